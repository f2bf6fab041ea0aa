"""
Access tokens, refreshed by one process at a time.

Zoho gives ten access tokens in ten minutes for one consent, and keeps fifteen valid: two processes
that refresh at once waste them. So the process that takes the lease on the grant's row asks Zoho,
outside any transaction; the others use the old token, or wait until the row has a new generation.
Inside a caller's transaction a valid token is used, else one is fetched on another connection.
"""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from functools import partial
from typing import Any, Generic, TypeVar

from zoho_crm import crypto
from zoho_crm.client import AccountsClient
from zoho_crm.conf import conf
from zoho_crm.exceptions import (
    ConnectionLostError,
    TokenThrottledError,
    TransportError,
    ZohoError,
)
from zoho_crm.models import ConnectionEvent, GrantModel, from_now
from zoho_crm.models._time import DbNow
from zoho_crm.services._transactions import beside_transaction, in_transaction
from zoho_crm.types import Secret, TokenGrant

Row = TypeVar("Row", bound=GrantModel)

#: Seconds before its expiry from which a valid access token is refreshed.
REFRESH_EARLY_SECONDS = 300
#: Seconds until a failed refresh is repeated while the old access token is still valid.
REFRESH_RETRY_SECONDS = 5
#: Seconds between two reads of the row while another process refreshes the token.
POLL_SECONDS = 0.05


class StoredGrant(ABC, Generic[Row]):
    """A grant in a row of ours: how it is read, who gives new access tokens, and what is noted."""

    @abstractmethod
    def read(self) -> Row:
        """
        Return its row, with the flags of ``freshness_margins``.

        :raises ConnectionLostError: if it does not work
        """

    @abstractmethod
    def accounts(self, row: Row) -> AccountsClient:
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
