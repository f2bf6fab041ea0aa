"""
The access tokens of a connection's users: which is meant, refreshed by one process at a time.

Zoho gives ten access tokens in ten minutes for one consent, and keeps fifteen valid: two processes
that refresh at once waste them. So the process that takes the lease on the grant's row asks Zoho,
outside any transaction; the others use the old token, or wait until the row has a new generation.
Inside a caller's transaction a valid token is used, else one is fetched on another connection.
"""

from __future__ import annotations

import logging
import time
import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Case, Exists, OuterRef, Q, QuerySet

from zoho_crm import client as zoho
from zoho_crm import crypto
from zoho_crm.conf import conf
from zoho_crm.exceptions import (
    ConnectionLostError,
    TokenThrottledError,
    TransportError,
    ZohoError,
)
from zoho_crm.models import (
    ApiUsage,
    Connection,
    ConnectionEvent,
    GrantModel,
    Token,
    atomic,
    from_now,
    holds,
    tokens_at_hand,
)
from zoho_crm.models._database import DbNow
from zoho_crm.services._zoho import (
    api,
    beside_transaction,
    data_center_of,
    in_transaction,
    outside_transaction,
)
from zoho_crm.types import Secret, TokenGrant, storable

logger = logging.getLogger(__name__)

Row = TypeVar("Row", bound=GrantModel)

#: Seconds before its expiry from which a valid access token is refreshed.
REFRESH_EARLY_SECONDS = 300
#: Seconds until a failed refresh is repeated while the old access token is still valid.
REFRESH_RETRY_SECONDS = 5
#: Seconds between two reads of the row while another process refreshes the token.
POLL_SECONDS = 0.05
#: Seconds since the last use of an access token after which the sweep does not refresh it.
RECENT_USE_SECONDS = 86_400
#: Characters of a user's e-mail address, as it is stored.
MAX_USER_LENGTH = 200


def access_token(*, connection_id: int, token_id: int | None = None) -> Secret:
    """
    Return a valid access token of a connection; refresh it if it is due and no other process does.

    One that was read in the last 30 seconds is at hand: its row is not read again.

    :param token_id: the token of one of its users; by default the default one
    :raises ConnectionLostError: if the connection has to be connected again
    :raises ZohoError: as ``valid_access_token``
    """
    key = (connection_id, token_id)
    if at_hand := tokens_at_hand.find(key):
        return at_hand
    grant, times_forgotten = _TokenOf(connection_id, token_id), tokens_at_hand.times_forgotten
    row = grant.read()
    valid = valid_or_none(row)
    if valid is None or not row.is_lasting:
        return valid_access_token(grant)
    tokens_at_hand.keep(key, valid, times_forgotten)
    return valid


def stored_access_token(*, connection_id: int) -> Secret | None:
    """
    Return the stored access token; ``None`` if it has to be refreshed or waited for.

    :raises AuthorizationError: if there is none, or it cannot be read
    """
    token = _TokenOf(connection_id).read()
    valid = valid_or_none(token)
    return valid if needs_no_refresh(token) else None


def refresh_rejected(
    *, connection_id: int, rejected: Secret, token_id: int | None = None
) -> Secret:
    """Return an access token other than the one that Zoho rejected; raise as ``access_token``."""
    tokens_at_hand.forget()
    grant = _TokenOf(connection_id, token_id)
    return valid_access_token(grant, rejected=rejected)


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
    rows = Token.objects.with_freshness(**freshness_margins())
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
    return usable_row(_TokenOf(connection_id, token_id))


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


def accounts_client_for(token: Token) -> zoho.AccountsClient:
    """Return a client of Zoho's accounts server with the client id and secret of a token."""
    credentials = zoho.Credentials(
        client_id=token.client_id, client_secret=token.reveal("client_secret")
    )
    origin = data_center_of(token.connection).accounts
    return zoho.AccountsClient(api=api(origin), credentials=credentials)


# Refreshing, for every kind of grant


class StoredGrant(ABC, Generic[Row]):
    """A grant in a row of ours: how it is read, who gives new access tokens, and what is noted."""

    @abstractmethod
    def read(self) -> Row:
        """
        Return its row, with the flags of ``freshness_margins``.

        :raises ConnectionLostError: if it does not work
        """

    @abstractmethod
    def accounts(self, row: Row) -> zoho.AccountsClient:
        """Return a client of the accounts server that gives it new access tokens."""

    @abstractmethod
    def mark_lost(
        self, row: Row, owner: str, error: ConnectionLostError
    ) -> ConnectionLostError | None:
        """
        End the lease of a grant that Zoho does not accept any more, and mark it so.

        :return: the error for the caller; ``None`` if the lease was lost meanwhile
        """

    @abstractmethod
    def record(self, row: Row, kind: ConnectionEvent.Kind, **details: Any) -> None:
        """Note that its access token was renewed, or that Zoho gives none for now."""


def valid_access_token(grant: StoredGrant[Row], *, rejected: Secret | None = None) -> Secret:
    """
    Return a valid access token; refresh it if it is due and no other process does.

    :param rejected: an access token that Zoho has rejected, so that another one is needed
    :raises ConnectionLostError: if the grant does not work
    :raises TokenThrottledError: if Zoho gives no new access token for some minutes
    :raises TransientError: if Zoho, or the process that refreshes the token, does not answer; or if
        it has to be refreshed, and the caller's transaction has locked the database
    """
    if not in_transaction():
        return _stored_or_refreshed(grant, rejected)
    valid = valid_or_none(grant.read(), rejected)
    return valid or beside_transaction(partial(_stored_or_refreshed, grant, rejected))


def usable_row(grant: StoredGrant[Row]) -> Row:
    """
    Return the row of a grant, with an access token that is valid; raise as ``valid_access_token``.

    Its expiry is that of this access token, which is refreshed if it is due.
    """
    row = grant.read()
    if valid_or_none(row) and needs_no_refresh(row):
        return row
    valid_access_token(grant)
    return grant.read()


def valid_or_none(row: GrantModel, rejected: Secret | None = None) -> Secret | None:
    """Return the stored access token if it is valid and not the rejected one."""
    if not row.is_valid:
        return None
    secret = row.reveal("access_token")
    return None if rejected is not None and secret == rejected else secret


def needs_no_refresh(row: GrantModel) -> bool:
    """Return whether the caller need not, or must not, refresh a valid access token."""
    return row.is_fresh or row.is_being_refreshed or row.is_throttled


def renews_early(grant: TokenGrant) -> bool:
    """Return whether an access token is valid long enough to be refreshed before its expiry."""
    return grant.expires_in > 2 * REFRESH_EARLY_SECONDS


def freshness_margins() -> dict[str, float]:
    """Return the arguments of ``with_freshness``: when tokens are refreshed, and no longer used."""
    margin = conf().CALL_DEADLINE
    return {"early": max(REFRESH_EARLY_SECONDS, margin), "margin": margin}


def _stored_or_refreshed(grant: StoredGrant[Row], rejected: Secret | None) -> Secret:
    deadline = time.monotonic() + conf().REFRESH_LEASE + conf().CALL_DEADLINE
    while time.monotonic() < deadline:
        row = grant.read()
        valid = valid_or_none(row, rejected)
        if valid and needs_no_refresh(row):
            return valid
        if row.is_throttled:
            raise TokenThrottledError
        crypto.require_key()
        owner = uuid.uuid4().hex
        if not row.take_refresh_lease(owner=owner, seconds=conf().REFRESH_LEASE):
            time.sleep(POLL_SECONDS)
        elif secret := _refresh(grant, row, owner, valid):
            return secret
    raise TransportError(code="being_refreshed")


def _refresh(grant: StoredGrant[Row], row: Row, owner: str, valid: Secret | None) -> Secret | None:
    """
    Return a new access token, or the old one if it is still valid; ``None`` if the lease was lost
    meanwhile, so that another process may have another answer.
    """
    try:
        given = grant.accounts(row).refresh(row.reveal("refresh_token"))
    except ConnectionLostError as error:
        lost = grant.mark_lost(row, owner, error)
        if lost is None:
            return None
        if lost is error:
            raise
        raise lost from error
    except ZohoError as error:
        if not _back_off(grant, row, owner, error, is_valid=valid is not None):
            return None
        if valid is None:
            raise
        return valid
    return given.access_token if _store(grant, row, owner, given) else None


def _store(grant: StoredGrant[Row], row: Row, owner: str, given: TokenGrant) -> bool:
    """Write a new access token; return whether this process still had the lease."""
    generation = row.generation + 1
    stored = row.end_refresh(
        owner=owner,
        generation=generation,
        expires_at=from_now(given.expires_in),
        refreshed_at=DbNow(),
        renews_early=renews_early(given),
        **row.encrypted_columns(access_token=given.access_token),
    )
    if stored:
        grant.record(row, ConnectionEvent.Kind.REFRESHED, generation=generation)
    return stored


def _back_off(
    grant: StoredGrant[Row], row: Row, owner: str, error: ZohoError, *, is_valid: bool
) -> bool:
    """End the lease after a failed refresh, with a pause for all; return whether it was ours."""
    if not isinstance(error, TokenThrottledError):
        until = from_now(REFRESH_RETRY_SECONDS) if is_valid else None
        return row.end_refresh(owner=owner, throttled_until=until)
    in_time = row.end_refresh(owner=owner, throttled_until=from_now(conf().TOKEN_BACKOFF))
    if in_time:
        grant.record(row, ConnectionEvent.Kind.THROTTLED)
    return in_time


# The grant of a connection's user


@dataclass(frozen=True)
class _TokenOf(StoredGrant[Token]):
    """The token of one user of a connection, by default its default one."""

    connection_id: int
    token_id: int | None = None

    def read(self) -> Token:
        rows = Token.objects.with_freshness(**freshness_margins())
        of_connection = rows.select_related("connection").filter(connection_id=self.connection_id)
        chosen = {"pk": self.token_id} if self.token_id else {"is_default": True}
        token = of_connection.filter(**chosen).first()
        if token is None or token.status != Token.Status.ACTIVE:
            raise self._lost(token)
        return token

    def accounts(self, row: Token) -> zoho.AccountsClient:
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
