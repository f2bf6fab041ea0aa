from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from tests.mass.bench import Bench
from tests.mass.conftest import LONG_TIMES
from tests.routers import OWN
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator
from zoho_crm.types import JsonObject

ROUTERS = ["tests.routers.ReplicaRouter", "tests.routers.OwnDatabaseRouter"]
OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode = WAL",
}


@contextmanager
def own_database(path: Path) -> Iterator[None]:
    """Add the database ``crm``, an SQLite file, with only our tables in it."""
    given: JsonObject = {"ENGINE": "django.db.backends.sqlite3", "NAME": path, "OPTIONS": OPTIONS}
    every = connections.configure_settings({"default": {}, OWN: given})
    connections.settings[OWN] = every[OWN]
    try:
        with override_settings(DATABASE_ROUTERS=ROUTERS):
            yield
    finally:
        connections[OWN].close()
        del connections[OWN], connections.settings[OWN]


@pytest.fixture(scope="module")
def migrated_alone(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any
) -> Iterator[None]:
    """Our tables are alone in the database ``crm``."""
    with own_database(tmp_path_factory.mktemp("databases") / "crm.sqlite3"):
        with django_db_blocker.unblock():
            call_command("migrate", database=OWN, verbosity=0)
        yield


def refuse_our_tables(execute: Callable[..., Any], sql: str, *more: Any) -> Any:
    assert "zoho_crm_" not in sql, f"in the wrong database: {sql}"
    return execute(sql, *more)


@pytest.fixture
def alone(migrated_alone: None, transactional_db: None) -> Iterator[None]:
    """Our tables are alone in the database ``crm``; none of ours is looked for in the other."""
    with connections["default"].execute_wrapper(refuse_our_tables):
        yield


@pytest.fixture
def bench(alone: None, zoho: Simulator, settings: Any) -> Bench:
    connection = with_grant_code(code=zoho.grant_code(), data_center="local")
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, **LONG_TIMES, "REFRESH_LEASE": 20}
    return Bench(connection=connection, zoho=zoho, person=User.objects.create_superuser("pat"))
