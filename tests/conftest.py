from __future__ import annotations

import signal
import socket
from collections.abc import Iterator

import pytest
from django.contrib.contenttypes.management import create_contenttypes
from django.db import connection as database
from django.db.models.signals import post_migrate

from testproject.celery import app
from tests.client.raw import RawServer
from zoho_crm.models import Connection
from zoho_crm.services import broker
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator

pytest_plugins = ["zoho_crm.contrib.pytest"]

# A suite that is started in the background would ignore Ctrl-C, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Let slow tests run untraced: what they walk, others walk too, and coverage doubles their time.

    On another database than SQLite, leave out what touches none: that was tested there.
    """
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker("no_cover")
    if database.vendor != "sqlite":
        config.hook.pytest_deselected(items=[item for item in items if not has_tables(item)])
        items[:] = filter(has_tables, items)


def has_tables(item: pytest.Item) -> bool:
    fixtures = {"db", "transactional_db"}.intersection(getattr(item, "fixturenames", ()))
    return bool(fixtures) or item.get_closest_marker("django_db") is not None


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """Write content types and permissions once: they stay between tests (``tests.backends``)."""
    post_migrate.disconnect(create_contenttypes)
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")


@pytest.fixture(autouse=True, scope="session")
def celery_knows_its_settings() -> None:
    """Celery reads them when they are first used, which a test that changes some might do."""
    assert app.conf.broker_url


@pytest.fixture
def connection(db: None, zoho: Simulator) -> Connection:
    """Connected to the simulated Zoho."""
    return with_grant_code(code=zoho.grant_code(), data_center="local")


@pytest.fixture(params=["redis://{}/0", "amqp://guest:guest@{}//"], ids=["redis", "amqp"])
def silent_broker(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RawServer]:
    """A broker that accepts connections and never answers."""

    def accept(connection: socket.socket, server: RawServer) -> None:
        server.stopping.wait(600)

    monkeypatch.setattr(broker._Pause, "until", 0.0)
    with RawServer(accept) as server:
        monkeypatch.setenv("CELERY_BROKER_WRITE_URL", request.param.format(server.host))
        yield server
