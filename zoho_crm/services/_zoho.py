"""Access to Zoho: hosts, one HTTP session for each process, and no change in a transaction."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import requests
from django.db import OperationalError, connections
from django.utils.module_loading import import_string
from requests.auth import AuthBase

from zoho_crm import client as zoho
from zoho_crm.conf import conf
from zoho_crm.datacenters import DataCenter
from zoho_crm.exceptions import AuthorizationError, TransientError, WrongSettingsError
from zoho_crm.models import Connection, database
from zoho_crm.types import ApiCall, Secret

Value = TypeVar("Value")

#: Seconds to wait for a lock that may be the caller's own.
MAX_LOCK_SECONDS = 3
#: Statements that set it, for databases on which a transaction locks what a renewal has to write.
LOCK_TIMEOUTS = {
    "sqlite": f"PRAGMA busy_timeout = {MAX_LOCK_SECONDS * 1000}",
    "mysql": f"SET SESSION innodb_lock_wait_timeout = {MAX_LOCK_SECONDS}",
}


def data_center_of(connection: Connection) -> DataCenter:
    """
    Return the data center of a connection.

    :raises AuthorizationError: if it is not configured, as ``local`` without ``LOCAL_URL``
    """
    center = conf().data_centers.get(connection.data_center)
    if center is None:
        details = {"data_center": connection.data_center}
        raise AuthorizationError(code="unknown_data_center", details=details)
    return center


def client_of(
    connection: Connection, auth: AuthBase, on_call: Callable[[ApiCall], object]
) -> zoho.ZohoClient:
    """Return a client for a connection's API, whose calls are signed so; it uses no database."""
    origin = data_center_of(connection).api(connection.environment)
    return zoho.ZohoClient(
        api=api(origin, auth, on_call), mapped_fields=tuple(connection.mapped_fields)
    )


def api(
    origin: str,
    auth: AuthBase | None = None,
    on_call: Callable[[ApiCall], object] | None = None,
) -> zoho.Api:
    """
    Return an API client for one origin, with the session and the time limits of the settings.

    It refuses to change anything at Zoho inside a transaction.

    :raises WrongSettingsError: if the file of trusted certificates does not exist
    """
    settings = conf()
    limits = zoho.Limits(
        connect=settings.CONNECT_TIMEOUT,
        deadline=settings.CALL_DEADLINE,
        file=settings.MAX_ATTACHMENT_SIZE,
    )
    if settings.TRANSPORT:
        session = zoho.open_session(import_string(settings.TRANSPORT))
    else:
        session = _session(os.getpid(), settings.proxy, existing_file(settings.CA_BUNDLE))
    return zoho.Api(
        origin=origin,
        session=session,
        auth=auth,
        limits=limits,
        before_change=outside_transaction,
        on_call=on_call or zoho.ignore_call,
    )


@lru_cache(maxsize=1)
def _session(_process: int, proxy: Secret, ca_bundle: str) -> requests.Session:
    # A forked process must not share its parent's sockets.
    return zoho.open_session(proxy=proxy, ca_bundle=ca_bundle)


def existing_file(path: str) -> str:
    """
    Return the path of a file of the settings; empty if there is none.

    :raises WrongSettingsError: if the file does not exist
    """
    if path and not os.path.isfile(path):
        raise WrongSettingsError(code="no_ca_bundle", details={"path": path})
    return path


# Transactions: Zoho is read inside those of the caller's, and never changed there


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
