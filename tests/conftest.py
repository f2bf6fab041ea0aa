from __future__ import annotations

import signal

import pytest
from django.db import connection as database

from testproject.celery import app
from zoho_crm.models import Connection
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator

pytest_plugins = ["zoho_crm.contrib.pytest"]

# A suite that is started in the background would ignore Ctrl-C, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On another database than SQLite, leave out what touches none: that was tested there."""
    if database.vendor != "sqlite":
        config.hook.pytest_deselected(items=[item for item in items if not has_tables(item)])
        items[:] = filter(has_tables, items)


def has_tables(item: pytest.Item) -> bool:
    fixtures = {"db", "transactional_db"}.intersection(getattr(item, "fixturenames", ()))
    return bool(fixtures) or item.get_closest_marker("django_db") is not None


@pytest.fixture(autouse=True, scope="session")
def celery_knows_its_settings() -> None:
    """Celery reads them when they are first used, which a test that changes some might do."""
    assert app.conf.broker_url


@pytest.fixture
def connection(db: None, zoho: Simulator) -> Connection:
    """Connected to the simulated Zoho."""
    return with_grant_code(code=zoho.grant_code(), data_center="local")
