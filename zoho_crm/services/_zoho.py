"""Access to Zoho: one HTTP session for each process, and no call inside a transaction."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache

import requests
from django.db import connection as database
from django.utils.module_loading import import_string
from requests.auth import AuthBase

from zoho_crm.client import Api, Limits, ignore_call, open_session
from zoho_crm.conf import conf


def api(
    origin: str,
    auth: AuthBase | None = None,
    on_call: Callable[[str, bool], object] = ignore_call,
) -> Api:
    """Return an API client for one origin, with the session and the time limits of the settings."""
    settings = conf()
    limits = Limits(connect=settings.CONNECT_TIMEOUT, deadline=settings.CALL_DEADLINE)
    session = _session(os.getpid())
    if settings.TRANSPORT:
        session = open_session(import_string(settings.TRANSPORT))
    return Api(origin=origin, session=session, auth=auth, limits=limits, on_call=on_call)


@lru_cache(maxsize=1)
def _session(_process: int) -> requests.Session:
    # A forked process must not share its parent's sockets.
    return open_session()


def outside_transaction() -> None:
    """
    Raise an error inside a transaction, except one that a test case opens.

    What Zoho does cannot be rolled back, and a transaction must not last as long as a call.

    :raises RuntimeError: if a transaction is open
    """
    blocks = database.atomic_blocks
    if blocks and not getattr(blocks[-1], "_from_testcase", False):
        raise RuntimeError("Zoho must not be called inside a transaction.")
