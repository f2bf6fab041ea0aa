from __future__ import annotations

import gc
import signal
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.contrib.contenttypes.management import create_contenttypes
from django.db import connection as database
from django.db.models.signals import post_migrate
from hypothesis import settings as hypothesis_settings

from testproject.celery import app
from tests.client.raw import RawServer
from tests.connected import connected
from tests.kept import forget_metadata
from tests.object_permissions import DJANGOS, PATH, ObjectPermissions
from zoho_crm.models import Connection
from zoho_crm.services import broker
from zoho_crm.simulator import Simulator

pytest_plugins = ["zoho_crm.contrib.pytest"]

# What an example takes on a busy machine says nothing.
hypothesis_settings.register_profile("zoho_crm", deadline=None)
hypothesis_settings.load_profile("zoho_crm")

# A suite that is started in the background would ignore Ctrl-C, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


TESTS = Path(__file__).parent
#: Folders and modules that say nothing of Python, Django and the database: words and rules of our
#: own, permissions, secrets, sources, a silent broker, what the simulated Zoho answers. They are
#: marked as slow, and run on SQLite only.
SAME_EVERYWHERE = (
    "admin/test_hands.py",
    "admin/test_lookups.py",
    "admin/test_odd_names.py",
    "admin/test_permissions.py",
    "admin/test_permissions_by_connection.py",
    "admin/test_rules.py",
    "admin/test_runs_prepare.py",
    "admin/test_runs_rules.py",
    "chaos",
    "management/test_languages.py",
    "protocol",
    "simulator",
    "test_architecture.py",
    "test_architecture_page.py",
    "test_broker.py",
    "test_docs.py",
    "test_languages.py",
    "test_matching.py",
    "test_secrecy.py",
)
#: Modules whose tests mostly go through a worker, open many pages or wait for time-outs. They are
#: marked as slow.
END_TO_END = (
    "admin/test_actions_conversions.py",
    "admin/test_conversions.py",
    "admin/test_outbox.py",
    "admin/test_run_causes.py",
    "admin/test_run_decisions.py",
    "admin/test_run_results.py",
    "admin/test_run_review.py",
    "admin/test_runs.py",
    "client/test_doubt.py",
    "management/test_convert.py",
    "management/test_mass_convert.py",
    "management/test_preview.py",
    "management/test_work.py",
    "mass/test_purge.py",
    "services/test_outbox_checks.py",
    "test_shortcuts.py",
)
#: Where the tests of minutes are that ``make long`` begins with: at the end they would run alone.
LONGEST = ("journeys", "protocol", "services/test_model.py", "services/test_outbox_property.py")


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Iterator[None]:
    """
    Mark what is slow; leave out what is the same everywhere on another database than SQLite.

    At last, put the longest tests first.
    """
    same = {item for item in items if is_in(SAME_EVERYWHERE, item.path)}
    for item in items:
        if item in same or is_in(END_TO_END, item.path):
            item.add_marker(pytest.mark.slow)
    if database.vendor != "sqlite":
        left_out = same | {item for item in items if not has_tables(item)}
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
    yield
    items.sort(key=lambda item: not (item.get_closest_marker("long") and is_in(LONGEST, item.path)))


@cache
def is_in(folders: tuple[str, ...], path: Path) -> bool:
    return any(path.is_relative_to(TESTS / each) for each in folders)


def pytest_collection_finish() -> None:
    """Let the garbage collector look seldom, and pass over what was collected here: it stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


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
    return connected(zoho)


@pytest.fixture
def no_metadata_kept() -> Iterator[None]:
    """Begin, and end, with nothing kept of any organisation's metadata."""
    forget_metadata()
    yield
    forget_metadata()


@pytest.fixture
def object_permissions(settings: Any) -> Iterator[None]:
    """Use a backend with permissions of objects beside Django's own; nothing is given yet."""
    settings.AUTHENTICATION_BACKENDS = [DJANGOS, PATH]
    ObjectPermissions.given.clear()
    yield
    ObjectPermissions.given.clear()


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
