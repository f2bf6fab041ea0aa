"""What may be done inside a transaction of the caller's: Zoho is read there, and never changed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import OperationalError, connections

from zoho_crm.exceptions import TransientError
from zoho_crm.models import database

Value = TypeVar("Value")

#: Seconds that another process may lock SQLite; a transaction of the caller does so to its end.
MAX_LOCK_SECONDS = 2


def in_transaction() -> bool:
    """Return whether a transaction is open in our database, except one that a test case opens."""
    blocks = connections[database()].atomic_blocks
    return bool(blocks) and not getattr(blocks[-1], "_from_testcase", False)


def outside_transaction() -> None:
    """
    Raise an error inside a transaction, except one that a test case opens.

    :raises RuntimeError: if a transaction is open
    """
    if in_transaction():
        raise RuntimeError(
            "This changes something at Zoho, and a rollback could not undo it. Do it outside of"
            " the transaction: in a view with @transaction.non_atomic_requests, or in a task that"
            " transaction.on_commit() enqueues."
        )


def on_own_connection(function: Callable[[], Value]) -> Value:
    """Return what a function returns in a thread, whose database connections are its own."""

    def run() -> Value:
        try:
            return function()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="zoho") as executor:
        return executor.submit(run).result()


def check_not_locked() -> None:
    """
    Check that no other connection keeps our database locked, as a transaction on SQLite does.

    :raises TransientError: if it is still locked after ``MAX_LOCK_SECONDS``
    """
    connection = connections[database()]
    if connection.vendor != "sqlite":
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {MAX_LOCK_SECONDS * 1000}")
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("ROLLBACK")
    except OperationalError as error:
        raise TransientError(code="database_locked") from error
    finally:
        connection.close()  # the next one waits as long as the settings say
