"""
Zoho's own Python SDK on the connections of this site.

``Initializer.initialize(environment=sdk_environment(), token=sdk_token(),
store=DjangoTokenStore())`` works as with the SDK's stores; in a program with threads use
``sdk_session`` instead, since ``initialize`` changes the user of the whole process.
https://www.zoho.com/crm/developer/docs/sdk/server-side/python-sdk.html
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError
from django.utils.translation import gettext as _

from zoho_crm.exceptions import ZohoError
from zoho_crm.models import Connection
from zoho_crm.services import sdk_rows, sdk_tokens, tokens
from zoho_crm.services._zoho import data_center_of
from zoho_crm.services.connections import find_connection
from zoho_crm.services.sdk_rows import SdkGrant
from zoho_crm.types import Secret

try:
    from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
    from zohocrmsdk.src.com.zoho.api.authenticator.store import TokenStore
    from zohocrmsdk.src.com.zoho.crm.api import Initializer
    from zohocrmsdk.src.com.zoho.crm.api.dc import DataCenter
    from zohocrmsdk.src.com.zoho.crm.api.exception import SDKException
    from zohocrmsdk.src.com.zoho.crm.api.sdk_config import SDKConfig
    from zohocrmsdk.src.com.zoho.crm.api.user_signature import UserSignature
    from zohocrmsdk.src.com.zoho.crm.api.util.constants import Constants
except ImportError as error:
    raise ImportError(
        'Zoho\'s Python SDK is not installed: pip install "django-zoho-crm[sdk]"'
    ) from error

logger = logging.getLogger(__name__)

Method = TypeVar("Method", bound=Callable[..., Any])

_description_lock = threading.Lock()
_folder_lock = threading.Lock()


def _raising_sdk_errors(method: Method) -> Method:
    """Return a method whose errors are the SDK's, which its callers know."""

    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except (ZohoError, ImproperlyConfigured, DatabaseError, InterfaceError) as error:
            raise SDKException(Constants.TOKEN_STORE, str(error)) from error

    return wrapper  # type: ignore[return-value]


class DjangoTokenStore(TokenStore):  # type: ignore[misc]
    """A token store for the SDK in the tables of this site, encrypted and for many users."""

    @_raising_sdk_errors
    def find_token(self, token: Any) -> Any:
        """
        Fill a token with what is stored of it, and return it; ``None`` if it is not stored.

        Its access token is valid: it was renewed if it was due, by one process at a time.
        """
        if not isinstance(token, OAuthToken):
            return token
        found = sdk_tokens.find(_grant_of(token))
        return _filled(token, found) if found else None

    @_raising_sdk_errors
    def find_token_by_id(self, id: str) -> Any:
        """
        Return the token of an id, with a valid access token.

        :raises SDKException: if there is none
        """
        found = sdk_tokens.find_by_id(str(id))
        if found is None:
            raise SDKException(Constants.TOKEN_STORE, _("There is no token of the id %s.") % id)
        return _filled(OAuthToken(id=found.id), found)

    def save_token(self, token: Any) -> None:
        """
        Store a token, or what is new in it, and set its id.

        :raises SDKException: if it could not be stored; since the SDK only logs that, it is also
            logged here
        """
        if not isinstance(token, OAuthToken):
            return
        try:
            self._save(token)
        except SDKException as error:
            logger.error("A token of Zoho's SDK was not stored: %s", error)
            raise

    @_raising_sdk_errors
    def _save(self, token: Any) -> None:
        token.set_id(sdk_tokens.save(_grant_of(token)))

    @_raising_sdk_errors
    def delete_token(self, id: str) -> None:
        """
        Delete the token of an id.

        :raises SDKException: if there is none, or the consent was given in the admin
        """
        if not sdk_tokens.delete(str(id)):
            raise SDKException(Constants.TOKEN_STORE, _("There is no token of the id %s.") % id)

    @_raising_sdk_errors
    def get_tokens(self) -> list[Any]:
        """Return all tokens as they are stored."""
        return [_filled(OAuthToken(id=each.id), each) for each in sdk_tokens.stored()]

    @_raising_sdk_errors
    def delete_tokens(self) -> None:
        """
        Delete all tokens that came through this store.

        :raises SDKException: if there are others, of consents that were given in the admin
        """
        sdk_tokens.delete_all()


def sdk_token(connection: Connection | str | int | None = None, *, user: str = "") -> Any:
    """
    Return the SDK's token of a connection, for ``Initializer.initialize`` or ``switch_user``.

    :param connection: a connection, its name or its primary key; the default one if ``None``
    :param user: e-mail address of one of its users; by default the one of the default token
    :raises ConnectionLostError: if there is none, or Zoho no longer accepts it
    :raises RequestRefusedError: if there is no such connection
    """
    token = tokens.token_of(find_connection(connection), user or None)
    row = sdk_rows.row_for(token)
    name = row.user_name or sdk_rows.name_of(token)
    # The SDK names files of its own by the user; without a name by a part of the refresh token.
    return OAuthToken(id=str(row.pk), user_signature=UserSignature(name))


def sdk_environment(connection: Connection | str | int | None = None) -> Any:
    """Return the SDK's environment of a connection: the servers that it calls."""
    connection = find_connection(connection)
    center = data_center_of(connection)
    return DataCenter.Environment(
        center.api(connection.environment), f"{center.accounts}/oauth/v2/token", center.content
    )


@contextmanager
def sdk_session(
    connection: Connection | str | int | None = None,
    *,
    user: str = "",
    sdk_config: Any = None,
    resource_path: str = "",
    proxy: Any = None,
) -> Iterator[None]:
    """
    Let the SDK act as a user of a connection within a block, in this thread only.

    Afterwards it acts as before. Other threads, with sessions of their own, are not affected.

    :param connection: as of ``sdk_token``
    :param user: likewise
    :param resource_path: folder for the SDK's files of fields; by default one that is deleted when
        the process ends
    """
    _load_description()
    initializer = Initializer()
    initializer.environment = sdk_environment(connection)
    initializer.token = sdk_token(connection, user=user)
    initializer.store = DjangoTokenStore()
    initializer.sdk_config = sdk_config or SDKConfig()
    initializer.resource_path = resource_path or _temporary_folder()
    initializer.request_proxy = proxy
    before = getattr(Initializer.LOCAL, "init", None)
    Initializer.LOCAL.init = initializer
    try:
        yield
    finally:
        Initializer.LOCAL.init = before


def _load_description() -> None:
    """Read the SDK's description of the API once, which ``Initializer.initialize`` does else."""
    with _description_lock:
        if not Initializer.json_details:
            package = sys.modules["zohocrmsdk.src.com.zoho"].__path__[0]
            path = os.path.join(package, "..", "..", Constants.JSON_DETAILS_FILE_PATH)
            Initializer.json_details = Initializer.get_json(path)


def _temporary_folder() -> str:
    """Return the folder of this process: one for all threads, for one nobody keeps is deleted."""
    with _folder_lock:
        return _folder_of(os.getpid()).name


@functools.lru_cache(maxsize=1)
def _folder_of(_process: int) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="zoho-crm-sdk-")


def _grant_of(token: Any) -> SdkGrant:
    """Return the values of an ``OAuthToken``."""
    signature, initializer = token.get_user_signature(), Initializer.get_initializer()
    environment = initializer.environment if initializer else None
    chosen = environment.url if environment else ""
    return SdkGrant(
        id=token.get_id() or "",
        user_name=(signature.get_name() if signature else "") or "",
        client_id=token.get_client_id() or "",
        client_secret=Secret(token.get_client_secret() or ""),
        refresh_token=Secret(token.get_refresh_token() or ""),
        access_token=Secret(token.get_access_token() or ""),
        grant_token=Secret(token.get_grant_token() or ""),
        redirect_url=token.get_redirect_url() or "",
        api_domain=sdk_rows.api_domain_of(token.get_api_domain() or "", chosen),
        expires_at=_time(token.get_expires_in()),
    )


def _filled(token: Any, found: SdkGrant) -> Any:
    """Return an ``OAuthToken`` with the stored values; a grant token and a name of its own stay."""
    token.set_id(found.id)
    if token.get_user_signature() is None and found.user_name:
        token.set_user_signature(UserSignature(found.user_name))
    token.set_client_id(found.client_id or None)
    token.set_client_secret(found.client_secret.reveal() or None)
    token.set_refresh_token(found.refresh_token.reveal() or None)
    token.set_access_token(found.access_token.reveal() or None)
    token.set_grant_token(token.get_grant_token() or found.grant_token.reveal() or None)
    token.set_redirect_url(token.get_redirect_url() or found.redirect_url or None)
    token.set_api_domain(found.api_domain or None)
    token.set_expires_in(_milliseconds(found.expires_at))
    return token


def _milliseconds(time: datetime | None) -> str | None:
    """Return a time as the SDK has it: milliseconds since the epoch, as a text."""
    return str(int(time.timestamp() * 1000)) if time else None


def _time(milliseconds: str | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(milliseconds or "") / 1000, UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
