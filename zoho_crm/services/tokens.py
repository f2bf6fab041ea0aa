"""
A usable access token for whoever asks, renewed by one process at a time.

Zoho gives ten access tokens in ten minutes for one consent, and keeps fifteen alive: two processes
that renew at once waste them. So the one that wins the lease on the token's row asks Zoho, outside
any transaction; the others go on with the old token, or wait until the row has a new generation.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from functools import partial

from django.db import transaction
from django.utils.translation import gettext as _

from zoho_crm import crypto
from zoho_crm.client import AccountsClient, Credentials, TokenAuth, ZohoAuth, ZohoClient
from zoho_crm.conf import conf
from zoho_crm.datacenters import DataCenter
from zoho_crm.exceptions import (
    AuthorizationError,
    ConnectionLostError,
    TokenThrottledError,
    TransportError,
    ZohoError,
)
from zoho_crm.models import Connection, ConnectionEvent, DbNow, Token, from_now
from zoho_crm.services import usage
from zoho_crm.services._zoho import api, outside_transaction
from zoho_crm.types import Secret, TokenGrant

logger = logging.getLogger(__name__)

#: Seconds before its end from which a token is renewed while it still serves.
EARLY = 300
#: How long Zoho's "Access Denied" is respected: its window is ten minutes.
THROTTLE = 600
#: How long the old token is used before Zoho is asked again, if it did not answer.
PAUSE = 5
POLL = 0.05


def access_token(*, connection_id: int) -> Secret:
    """
    Return a usable access token of the connection, renewing it if it is time and nobody else does.

    :raises ConnectionLostError: if the connection has to be connected again
    :raises TokenThrottledError: if Zoho gives out no new one for some minutes
    :raises TransientError: if Zoho or the process that renews it does not answer
    """
    return _usable(connection_id, rejected=None)


def at_hand(*, connection_id: int) -> Secret | None:
    """
    Return the access token that is stored; ``None`` if Zoho, or another process, is to be asked.

    :raises AuthorizationError: if there is none, or it cannot be read
    """
    token = _default_token(connection_id)
    serving = _serving(token, rejected=None)
    return serving if _is_left_alone(token) else None


def renew(*, connection_id: int, rejected: Secret) -> Secret:
    """Return an access token other than the one that Zoho rejected; raises as ``access_token``."""
    return _usable(connection_id, rejected=rejected)


def refresh(*, connection_id: int, generation: int) -> None:
    """
    Renew the access token before its time, unless that was done since this generation.

    :raises ZohoError: as ``access_token``, or if the stored token cannot be read
    """
    token = _default_token(connection_id)
    if token.generation == generation:
        renew(connection_id=connection_id, rejected=token.reveal("access_token"))


def client_for(connection: Connection | None = None) -> ZohoClient:
    """Return a client for a connection, by default the default one; it renews its token itself."""
    connection = connection or default_connection()
    origin = data_center_of(connection).api(connection.environment)
    count = partial(usage.record_one, connection.pk)
    return ZohoClient(
        api=api(origin, auth_for(connection), on_call=count),
        mapped_fields=tuple(connection.mapped_fields),
    )


def client_with(
    connection: Connection, token: Secret, on_call: Callable[[str, bool], object]
) -> ZohoClient:
    """Return a client that signs with one token and never touches a table."""
    origin = data_center_of(connection).api(connection.environment)
    return ZohoClient(
        api=api(origin, TokenAuth(token), on_call=on_call),
        mapped_fields=tuple(connection.mapped_fields),
    )


def auth_for(connection: Connection | None = None) -> ZohoAuth:
    """Return a ``requests`` auth object that signs calls to the connection's hosts, no others."""
    connection = connection or default_connection()
    origin = data_center_of(connection).api(connection.environment)
    return ZohoAuth(
        current=partial(access_token, connection_id=connection.pk),
        renew=lambda rejected: renew(connection_id=connection.pk, rejected=rejected),
        hosts=[origin.partition("://")[2], *conf().EXTRA_API_HOSTS],
    )


def default_connection() -> Connection:
    """
    Return the connection that is meant when none is named.

    :raises ConnectionLostError: if there is none
    """
    connection = Connection.objects.order_by("-is_default", "pk").first()
    if connection is None:
        raise ConnectionLostError(
            _("There is no connection yet; connect to Zoho first."), code="no_connection"
        )
    return connection


def data_center_of(connection: Connection) -> DataCenter:
    """
    Return where a connection's Zoho is.

    :raises AuthorizationError: if its data center is not in the table, as ``local`` may not be
    """
    center = conf().data_centers.get(connection.data_center)
    if center is None:
        message = _("The data center %s is unknown here; is LOCAL_URL set?")
        raise AuthorizationError(message % connection.data_center, code="unknown_data_center")
    return center


def accounts_of(token: Token) -> AccountsClient:
    """Return the accounts server of a token, as the client that the token came from."""
    credentials = Credentials(
        client_id=token.client_id, client_secret=token.reveal("client_secret")
    )
    origin = data_center_of(token.connection).accounts
    return AccountsClient(api=api(origin), credentials=credentials)


def _usable(connection_id: int, rejected: Secret | None) -> Secret:
    outside_transaction()
    patience = time.monotonic() + conf().REFRESH_LEASE + conf().CALL_DEADLINE
    while time.monotonic() < patience:
        token = _default_token(connection_id)
        serving = _serving(token, rejected)
        if serving and _is_left_alone(token):
            return serving
        if token.is_throttled:
            raise TokenThrottledError
        crypto.require_key()
        owner = uuid.uuid4().hex
        if not token.take_refresh_lease(owner=owner, seconds=conf().REFRESH_LEASE):
            time.sleep(POLL)
        elif found := _refreshed(token, owner, serving):
            return found
    raise TransportError(_("Another process is renewing the access token."))


def _default_token(connection_id: int) -> Token:
    margin = conf().CALL_DEADLINE
    token = (
        Token.objects.with_freshness(early=max(EARLY, margin), margin=margin)
        .select_related("connection")
        .filter(connection_id=connection_id, is_default=True)
        .first()
    )
    if token is None or token.status != Token.Status.ACTIVE:
        raise ConnectionLostError(code="not_connected")
    return token


def _is_left_alone(token: Token) -> bool:
    """Whether the caller need not, or must not, renew an access token that still serves."""
    return token.is_fresh or token.is_being_refreshed or token.is_throttled


def _serving(token: Token, rejected: Secret | None) -> Secret | None:
    """Return the access token that is there, if it still serves."""
    if not token.is_valid:
        return None
    secret = token.reveal("access_token")
    return None if rejected is not None and secret == rejected else secret


def _refreshed(token: Token, owner: str, serving: Secret | None) -> Secret | None:
    """
    Return a new access token, or the one that still serves; ``None`` if this came too late, so
    that another process may have another answer.
    """
    try:
        grant = accounts_of(token).refresh(token.reveal("refresh_token"))
    except ConnectionLostError as error:
        if _mark_lost(token, owner, error):
            raise
        return None
    except ZohoError as error:
        if not _back_off(token, owner, error, serves=serving is not None):
            return None
        if serving is None:
            raise
        return serving
    return grant.access_token if _stored(token, owner, grant) else None


def renews_early(grant: TokenGrant) -> bool:
    """Whether an access token lives so long that it is renewed some minutes before its end."""
    return grant.expires_in > 2 * EARLY


def _stored(token: Token, owner: str, grant: TokenGrant) -> bool:
    generation = token.generation + 1
    stored = token.end_refresh(
        owner=owner,
        generation=generation,
        expires_at=from_now(grant.expires_in),
        refreshed_at=DbNow(),
        renews_early=renews_early(grant),
        **token.encrypted_columns(access_token=grant.access_token),
    )
    if stored:
        token.connection.record_event(ConnectionEvent.Kind.REFRESHED, generation=generation)
    return stored


def _back_off(token: Token, owner: str, error: ZohoError, *, serves: bool) -> bool:
    """Let others go on; they ask Zoho again when they may, not at once if the old one serves."""
    if not isinstance(error, TokenThrottledError):
        until = from_now(PAUSE) if serves else None
        return token.end_refresh(owner=owner, throttled_until=until)
    in_time = token.end_refresh(owner=owner, throttled_until=from_now(THROTTLE))
    if in_time:
        token.connection.record_event(ConnectionEvent.Kind.THROTTLED)
    return in_time


def _mark_lost(token: Token, owner: str, error: ConnectionLostError) -> bool:
    with transaction.atomic():
        if not token.end_refresh(owner=owner, status=Token.Status.NEEDS_RECONNECT):
            return False
        Connection.objects.filter(pk=token.connection_id, status=Connection.Status.ACTIVE).update(
            status=Connection.Status.NEEDS_RECONNECT
        )
        token.connection.record_event(ConnectionEvent.Kind.LOST, code=error.code)
    logger.warning("Connection %s lost: %s", token.connection_id, error.code)
    return True
