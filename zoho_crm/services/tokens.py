"""The access tokens of a connection's users, and which token is meant."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Case, Exists, OuterRef, Q, QuerySet

from zoho_crm.client import AccountsClient, Credentials
from zoho_crm.exceptions import ConnectionLostError, ZohoError
from zoho_crm.models import (
    ApiUsage,
    Connection,
    ConnectionEvent,
    Token,
    atomic,
    from_now,
    holds,
)
from zoho_crm.services import refreshing
from zoho_crm.services._transactions import outside_transaction
from zoho_crm.services._zoho import api
from zoho_crm.services.connections import data_center_of
from zoho_crm.types import Secret, storable

logger = logging.getLogger(__name__)

#: Seconds since the last use of an access token after which the sweep does not refresh it.
RECENT_USE_SECONDS = 86_400
#: Characters of a user's e-mail address, as it is stored.
MAX_USER_LENGTH = 200


def access_token(*, connection_id: int, token_id: int | None = None) -> Secret:
    """
    Return a valid access token of a connection; refresh it if it is due and no other process does.

    :param token_id: the token of one of its users; by default the default one
    :raises ConnectionLostError: if the connection has to be connected again
    :raises ZohoError: as ``refreshing.valid_access_token``
    """
    return refreshing.valid_access_token(_TokenOf(connection_id, token_id))


def stored_access_token(*, connection_id: int) -> Secret | None:
    """
    Return the stored access token; ``None`` if it has to be refreshed or waited for.

    :raises AuthorizationError: if there is none, or it cannot be read
    """
    token = _TokenOf(connection_id).read()
    valid = refreshing.valid_or_none(token)
    return valid if refreshing.needs_no_refresh(token) else None


def refresh_rejected(
    *, connection_id: int, rejected: Secret, token_id: int | None = None
) -> Secret:
    """Return an access token other than the one that Zoho rejected; raise as ``access_token``."""
    grant = _TokenOf(connection_id, token_id)
    return refreshing.valid_access_token(grant, rejected=rejected)


def refresh(*, connection_id: int, generation: int) -> None:
    """
    Refresh the access token before it is due, unless its generation is another one by now.

    :raises ZohoError: as ``access_token``, or if the stored token cannot be read
    """
    outside_transaction()
    token = _TokenOf(connection_id).read()
    if token.generation == generation:
        refresh_rejected(connection_id=connection_id, rejected=token.reveal("access_token"))


def connections_to_renew() -> QuerySet[Any]:
    """
    Return the ids of the connections whose access token ends soon and was used in the last day.

    If they are renewed without being asked for, hardly any caller has to wait for that.
    """
    usable = {"is_default": True, "status": Token.Status.ACTIVE, "renews_early": True}
    ends_soon = {"is_valid": True, "is_fresh": False}
    free = {"is_being_refreshed": False, "is_throttled": False}
    rows = Token.objects.with_freshness(**refreshing.freshness_margins())
    soon: QuerySet[Any] = rows.filter(**usable, **ends_soon, **free)
    used = ApiUsage.objects.filter(hour__gte=from_now(-RECENT_USE_SECONDS))
    return soon.filter(connection__in=used.values("connection")).values("connection")


def renew_if_used(*, connection_id: int) -> None:
    """Refresh the access token of a connection if it is one of ``connections_to_renew``."""
    if not connections_to_renew().filter(connection=connection_id).exists():
        return
    try:
        access_token(connection_id=connection_id)
    except (ZohoError, ImproperlyConfigured) as error:
        logger.warning("Connection %s: its access token was not renewed: %s", connection_id, error)


def usable_token(*, connection_id: int, token_id: int) -> Token:
    """
    Return the row of a token, with an access token that is valid; raise as ``access_token``.

    Its expiry is that of this access token, which is refreshed if it is due.
    """
    return refreshing.usable_row(_TokenOf(connection_id, token_id))


def token_of(connection: Connection, user: str | None = None) -> Token:
    """
    Return the token of a user of a connection that works, or its default token.

    :param user: e-mail address, in any case, or Zoho's id of the user; ``None`` for the default
    :raises ConnectionLostError: if there is none, or Zoho no longer accepts it
    """
    if user is None:
        return _TokenOf(connection.pk).read()
    of_user = tokens_of(connection, user)
    token = of_user.filter(status=Token.Status.ACTIVE).first()
    if token is None:
        code = "user_lost" if of_user.exists() else "no_such_user"
        details = {"user": storable(user, MAX_USER_LENGTH), "connection": connection.name}
        raise ConnectionLostError(code=code, details=details)
    return token


def tokens_of(connection: Connection, user: str) -> QuerySet[Token]:
    """Return the tokens of a user of a connection, one for each client, the default first."""
    name = storable(user.strip(), MAX_USER_LENGTH)
    rows = connection.tokens.select_related("connection").order_by("-is_default", "pk")
    return rows.filter(Q(user_email__iexact=name) | Q(user_id=name)) if name else rows.none()


def lacks_default() -> Case:
    """Return an expression for connections: whether only users work that are not the default."""
    active = Token.objects.filter(connection=OuterRef("pk"), status=Token.Status.ACTIVE)
    return holds(Q(Exists(active)), ~Q(Exists(active.filter(is_default=True))))


def needs_default(connection_id: int) -> bool:
    """Return whether only users of a connection work that are not the default."""
    return Connection.objects.filter(lacks_default(), pk=connection_id).exists()


def accounts_client_for(token: Token) -> AccountsClient:
    """Return a client of Zoho's accounts server with the client id and secret of a token."""
    credentials = Credentials(
        client_id=token.client_id, client_secret=token.reveal("client_secret")
    )
    origin = data_center_of(token.connection).accounts
    return AccountsClient(api=api(origin), credentials=credentials)


@dataclass(frozen=True)
class _TokenOf(refreshing.StoredGrant[Token]):
    """The token of one user of a connection, by default its default one."""

    connection_id: int
    token_id: int | None = None

    def read(self) -> Token:
        rows = Token.objects.with_freshness(**refreshing.freshness_margins())
        of_connection = rows.select_related("connection").filter(connection_id=self.connection_id)
        chosen = {"pk": self.token_id} if self.token_id else {"is_default": True}
        token = of_connection.filter(**chosen).first()
        if token is None or token.status != Token.Status.ACTIVE:
            raise self._lost(token)
        return token

    def accounts(self, row: Token) -> AccountsClient:
        return accounts_client_for(row)

    def mark_lost(
        self, row: Token, owner: str, error: ConnectionLostError
    ) -> ConnectionLostError | None:
        if not _mark_lost(row, owner, error):
            return None
        return error if row.is_default else _TokenOf(row.connection_id, row.pk)._lost(row)

    def record(self, row: Token, kind: ConnectionEvent.Kind, **details: Any) -> None:
        row.connection.record_event(kind, **details)

    def _lost(self, token: Token | None) -> ConnectionLostError:
        """Return the error for a token that does not work, or is not there."""
        if token and self.token_id and not token.is_default:
            user, connection = token.user_label, token.connection.name
            return ConnectionLostError(
                code="user_lost", details={"user": user, "connection": connection}
            )
        code = "no_default" if needs_default(self.connection_id) else "not_connected"
        return ConnectionLostError(code=code)


def _mark_lost(token: Token, owner: str, error: ConnectionLostError) -> bool:
    """Mark token and connection as NEEDS_RECONNECT; return whether the lease was ours."""
    with atomic():
        token.connection.lock()
        if not token.end_refresh(owner=owner, status=Token.Status.NEEDS_RECONNECT):
            return False
        # Another one may have been made the default since the row was read.
        token.refresh_from_db(fields=["is_default"])
        if token.is_default:
            active = Connection.objects.filter(
                pk=token.connection_id, status=Connection.Status.ACTIVE
            )
            active.update(status=Connection.Status.NEEDS_RECONNECT)
            token.connection.record_event(ConnectionEvent.Kind.LOST, code=error.code)
        else:
            kind, user = ConnectionEvent.Kind.USER_LOST, token.user_label
            token.connection.record_event(kind, code=error.code, user=user)
    logger.warning("Connection %s lost: %s", token.connection_id, error.code)
    return True
