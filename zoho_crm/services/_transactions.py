"""What may be done inside a transaction of the caller's: Zoho is read there, and never changed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import OperationalError, connections

from zoho_crm.exceptions import TransientError
from zoho_crm.models import database

Value = TypeVar("Value")

#: Seconds to wait for a lock that may be the caller's own.
MAX_LOCK_SECONDS = 3
#: Statements that set it, for databases on which a transaction locks what a renewal has to write.
LOCK_TIMEOUTS = {
    "sqlite": f"PRAGMA busy_timeout = {MAX_LOCK_SECONDS * 1000}",
    "mysql": f"SET SESSION innodb_lock_wait_timeout = {MAX_LOCK_SECONDS}",
}


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


def beside_transaction(function: Callable[[], Value]) -> Value:
    """
    Return what a function returns in a thread, whose database connection is its own.

    What the caller's transaction has locked stays locked until then, so that it may wait in vain.

    :raises TransientError: if it waits for a lock longer than ``MAX_LOCK_SECONDS``
    """

    def run() -> Value:
        connection = connections[database()]
        try:
            if connection.vendor in LOCK_TIMEOUTS:
                with connection.cursor() as cursor:
                    cursor.execute(LOCK_TIMEOUTS[connection.vendor])
            return function()
        except OperationalError as error:
            raise TransientError(code="database_locked") from error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="zoho") as executor:
        return executor.submit(run).result()
