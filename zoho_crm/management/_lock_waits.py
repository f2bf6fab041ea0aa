"""Short waits for locks of the database, in a command that a signal is to end at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

#: The statement that limits all waits of a connection for locks to a second, by the database. A
#: wait is a call into the driver, in which Python handles no signal.
LIMITS: Mapping[str, str] = {
    "postgresql": "SET lock_timeout = '1s'",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 1, SESSION lock_wait_timeout = 1",
    "sqlite": "PRAGMA busy_timeout = 1000",
}


@contextmanager
def short_lock_waits() -> Iterator[None]:
    """Limit the waits for locks, in this block, of all connections to databases, in all threads."""
    connection_created.connect(_limit)
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            _limit(connection)
    try:
        yield
    finally:
        connection_created.disconnect(_limit)
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:  # a test's
                connection.close()


def _limit(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    # Behind a pooler that shares connections by transaction, other programs would get the limit;
    # this setting is Django's for such sites.
    is_shared = connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS", False)
    if connection.vendor in LIMITS and not is_shared:
        with connection.cursor() as cursor:
            cursor.execute(LIMITS[connection.vendor])
