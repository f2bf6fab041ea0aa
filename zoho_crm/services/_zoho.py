"""Access to Zoho: one HTTP session for each process, and no change inside a transaction."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache

import requests
from django.utils.module_loading import import_string
from requests.auth import AuthBase

from zoho_crm.client import Api, Limits, ignore_call, open_session
from zoho_crm.conf import conf
from zoho_crm.exceptions import WrongSettingsError
from zoho_crm.services._transactions import outside_transaction
from zoho_crm.types import Secret


def api(
    origin: str,
    auth: AuthBase | None = None,
    on_call: Callable[[str, bool], object] = ignore_call,
) -> Api:
    """
    Return an API client for one origin, with the session and the time limits of the settings.

    It refuses to change anything at Zoho inside a transaction.

    :raises WrongSettingsError: if the file of trusted certificates does not exist
    """
    settings = conf()
    limits = Limits(connect=settings.CONNECT_TIMEOUT, deadline=settings.CALL_DEADLINE)
    if settings.TRANSPORT:
        session = open_session(import_string(settings.TRANSPORT))
    else:
        session = _session(os.getpid(), settings.proxy, _existing(settings.CA_BUNDLE))
    return Api(
        origin=origin,
        session=session,
        auth=auth,
        limits=limits,
        before_change=outside_transaction,
        on_call=on_call,
    )


@lru_cache(maxsize=1)
def _session(_process: int, proxy: Secret, ca_bundle: str) -> requests.Session:
    # A forked process must not share its parent's sockets.
    return open_session(proxy=proxy, ca_bundle=ca_bundle)


def _existing(path: str) -> str:
    if path and not os.path.isfile(path):
        raise WrongSettingsError(code="no_ca_bundle", details={"path": path})
    return path
