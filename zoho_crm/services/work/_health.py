"""The state of a connection while it is worked: access token, concurrency limit, and back-off."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from zoho_crm.client import TokenAuth, ZohoClient
from zoho_crm.conf import conf
from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    AuthorizationError,
    ConnectionLostError,
    CreditsExhaustedError,
    RateLimitError,
    TokenThrottledError,
    TransientError,
    UnknownOutcomeError,
    ZohoError,
)
from zoho_crm.models import ConnectionWork, from_now
from zoho_crm.services import tokens, usage
from zoho_crm.services._zoho import client_of
from zoho_crm.services.outages import is_outage
from zoho_crm.services.presentation import reason_of
from zoho_crm.services.work._requests import Call, PendingCall, UnexpectedError, Work
from zoho_crm.types import ApiCall, Secret

logger = logging.getLogger(__name__)

#: Successful calls that raise the limit by one after the first rate limit error.
SUCCESSES_PER_INCREASE = 50
#: What a rate limit error multiplies the limit by.
DECREASE_FACTOR = 0.7

#: Failed calls in a row that start a back-off, and its length.
MAX_FAILURES_IN_A_ROW = 10
FAILURE_BACKOFF_SECONDS = 30
#: The back-off for missing credits or permissions; one call probes after it.
PROBE_SECONDS = 900
#: The back-off while the accounts server does not answer.
ACCOUNTS_BACKOFF_SECONDS = 10


@dataclass(kw_only=True)
class ConcurrencyLimit:
    """The number of concurrent calls; it rises by one a call until the first rate limit error."""

    value: float
    ceiling: int
    #: Whether there ever was a rate limit error.
    met: bool
    _last_decrease: float = 0.0

    @property
    def calls(self) -> int:
        """The number of calls that may be in flight now."""
        return max(1, min(int(self.value), self.ceiling))

    def increase(self) -> None:
        """Raise the limit after a successful call."""
        step = 1 / SUCCESSES_PER_INCREASE if self.met else 1
        self.value = min(float(self.ceiling), self.value + step)

    def decrease(self, *, started: float) -> None:
        """
        Lower the limit after a rate limit error, once for all calls in flight at that time.

        :param started: when the call started, on the monotonic clock
        """
        self.met = True
        if started > self._last_decrease:
            self.value = max(1.0, self.value * DECREASE_FACTOR)
            self._last_decrease = time.monotonic()


class ConnectionHealth:
    """Token, concurrency limit and back-off of one connection; for the main thread only."""

    def __init__(self, lease: ConnectionWork) -> None:
        self._connection = lease.connection
        ceiling = usage.max_concurrency(conf().MAX_CONCURRENCY, self._connection.edition)
        # After a back-off a single call probes first.
        value = 1.0 if lease.backoff_reason else lease.limit
        self.limit = ConcurrencyLimit(value=value, ceiling=ceiling, met=lease.limit_met)
        #: The seconds of the back-off and its reason; ``None`` while there is none.
        self.backoff: tuple[float, BaseException] | None = None
        #: Whether the consent was withdrawn, so that nothing can be done any more.
        self._is_lost = False
        #: Signs calls with the access token; ``None`` while there is none.
        self.client: ZohoClient | None = None
        #: Calls to Zoho so far, for the usage: the kind, and whether a rate limit refused it.
        self.calls: list[ApiCall] = []
        self._token: Secret | None = None
        #: Whether Zoho rejected the access token, so that a new one is needed before other calls.
        self._is_token_rejected = False
        #: Whether Zoho rejected an access token before. Some calls may succeed while others are
        #: always rejected: a new token for each of those would soon be one too many.
        self._was_token_rejected = False
        self._failures_in_a_row = 0

    # Calls

    def record(self, pending: PendingCall, error: BaseException | None) -> None:
        """Learn from the end of a call: from its error, unless that is an answer of Zoho's."""
        if not pending.call.is_zoho_call:
            return
        if error is None or isinstance(error, pending.call.answers):
            self.limit.increase()
            self._failures_in_a_row = 0
        elif isinstance(error, ZohoError) and not isinstance(error, UnknownOutcomeError):
            self._record_failure(error, started=pending.started)

    def _record_failure(self, error: ZohoError, *, started: float) -> None:
        """Lower the limit, ask for a new token or start a back-off, depending on the error."""
        if isinstance(error, RateLimitError):
            self.limit.decrease(started=started)
        elif isinstance(error, AccessTokenRejectedError):
            self._reject_token(error)
        elif isinstance(error, CreditsExhaustedError | AuthorizationError):
            self.back_off(PROBE_SECONDS, error)
        else:
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
                self.back_off(FAILURE_BACKOFF_SECONDS, error)

    @property
    def credits_remaining(self) -> int | None:
        """The credits that Zoho said remain; ``None`` if it did not say."""
        return self.client.api.credits_remaining if self.client else None

    # The access token

    @property
    def needs_token(self) -> bool:
        """Whether no call can be signed before there is an access token, or a new one."""
        return self.client is None or self._is_token_rejected

    def get_token(self) -> Work:
        """Take the stored access token, or fetch one, for Zoho may take long; or back off."""
        connection, token = self._connection, None
        try:
            if self._token is None:
                token = tokens.stored_access_token(connection_id=connection.pk)
            if token is None:
                fetch = partial(fetch_token, connection.pk, self._token)
                token = yield Call(lambda _client: fetch(), is_zoho_call=False)
            # Its data center may be unknown by now, or the trusted certificates gone.
            self.client = client_of(connection, TokenAuth(token), self._record_use)
        except ConnectionLostError:
            self._is_lost = True
        except (ZohoError, ImproperlyConfigured, UnexpectedError) as error:
            self._record_missing_token(error.cause if isinstance(error, UnexpectedError) else error)
        else:
            self._token, self._is_token_rejected = token, False

    def _record_use(self, call: ApiCall) -> None:
        """Record a call for the usage; runs in the thread of the call."""
        self.calls.append(call)

    def _record_missing_token(self, error: BaseException) -> None:
        """Start a back-off because no access token could be had."""
        if is_outage(error):
            raise error
        if isinstance(error, TokenThrottledError):
            self.back_off(conf().TOKEN_BACKOFF, error)
        elif isinstance(error, TransientError):
            self.back_off(ACCOUNTS_BACKOFF_SECONDS, error)
        else:
            self.back_off(PROBE_SECONDS, error)
        if not isinstance(error, ZohoError | ImproperlyConfigured):
            logger.error("No token for connection %s", self._connection.pk, exc_info=error)

    def _reject_token(self, error: ZohoError) -> None:
        if self._is_token_rejected:
            return
        if self._was_token_rejected:
            self.back_off(PROBE_SECONDS, error)
        self._is_token_rejected = self._was_token_rejected = True

    # The back-off

    @property
    def must_stop(self) -> bool:
        """Whether there is a back-off, or no consent any more."""
        return self.backoff is not None or self._is_lost

    def back_off(self, seconds: float, error: BaseException) -> None:
        """Start a back-off, unless there is one: the first reason stays."""
        if self.backoff is None:
            logger.warning(
                "Connection %s backs off for %s s: %s", self._connection.pk, seconds, error
            )
            self.backoff = (seconds, error)

    def columns(self) -> dict[str, Any]:
        """Return what ``ConnectionWork.release`` keeps of this state for the next worker."""
        columns = {
            "limit": self.limit.value,
            "limit_met": self.limit.met,
            "backoff": self._backoff_columns(),
        }
        credits = self.credits_remaining
        return columns if credits is None else {**columns, "credits_remaining": credits}

    def _backoff_columns(self) -> Mapping[str, Any]:
        if self.backoff is None:
            return ConnectionWork.NO_BACKOFF
        seconds, error = self.backoff
        reason = reason_of(error)
        return {
            "backoff_until": from_now(seconds),
            "backoff_reason": reason.code,
            "backoff_details": reason.details,
            "backoff_kind": _backoff_kind(error),
        }


def fetch_token(connection_id: int, rejected: Secret | None) -> Secret:
    """
    Return an access token; runs in a thread and closes the thread's database connections.

    :param rejected: the access token that Zoho rejected, if any
    :raises ZohoError: as ``tokens.access_token``
    """
    try:
        if rejected is None:
            return tokens.access_token(connection_id=connection_id)
        return tokens.refresh_rejected(connection_id=connection_id, rejected=rejected)
    finally:
        connections.close_all()


def _backoff_kind(error: BaseException) -> ConnectionWork.BackoffKind:
    if isinstance(error, CreditsExhaustedError | TokenThrottledError):
        return ConnectionWork.BackoffKind.LIMIT
    # Waiting does not help when Zoho rejects a new token.
    if isinstance(error, TransientError) and not isinstance(error, AccessTokenRejectedError):
        return ConnectionWork.BackoffKind.SILENCE
    return ConnectionWork.BackoffKind.PERSON
