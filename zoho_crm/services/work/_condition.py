"""What calls tell of the whole connection: how many at a time, and whether to go on."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from zoho_crm.conf import conf
from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    AuthorizationError,
    CreditsExhaustedError,
    RateLimitError,
    TokenThrottledError,
    TransientError,
    ZohoError,
)
from zoho_crm.models import ConnectionWork, from_now
from zoho_crm.services.work._limit import Limit, ceiling

logger = logging.getLogger(__name__)

#: Calls in a row without an answer after which the connection waits, and for how many seconds.
FAILURES = 10
FAILURE_PAUSE = 30
#: How long a connection waits for credits or a permission, before it probes once.
PROBE = 900
#: How long it waits when the accounts server does not answer.
TOKEN_PAUSE = 10


class Condition:
    """How a connection is, as learnt from its calls; used by the main thread only."""

    def __init__(self, lease: ConnectionWork) -> None:
        self._connection = lease.connection
        most = ceiling(conf().MAX_CONCURRENCY, self._connection.edition)
        # After a waiting time one call goes first, alone.
        value = 1.0 if lease.backoff_reason else lease.limit
        self.limit = Limit(value=value, ceiling=most, met=lease.limit_met)
        #: How long the connection has to wait, and why.
        self.backoff: tuple[float, BaseException] | None = None
        #: Whether a new token is needed before anything else.
        self.token_rejected = False
        #: Whether that was so before. Some calls may succeed while others are always rejected: a
        #: new token for each of those would soon be one too many.
        self._renewed = False
        self._failures = 0

    def succeeded(self) -> None:
        """Take note of a call that was answered."""
        self.limit.succeeded()
        self._failures = 0

    def failed(self, error: ZohoError, *, started: float) -> None:
        """Take note of a call that was not, and draw the consequences for the others."""
        if isinstance(error, RateLimitError):
            self.limit.refused(started=started)
        elif isinstance(error, AccessTokenRejectedError):
            self._reject_token(error)
        elif isinstance(error, CreditsExhaustedError | AuthorizationError):
            self.back_off(PROBE, error)
        else:
            self._failures += 1
            if self._failures >= FAILURES:
                self.back_off(FAILURE_PAUSE, error)

    def no_token(self, error: BaseException) -> None:
        """Take note that there is no access token now; nothing can be done without one."""
        if isinstance(error, TokenThrottledError):
            self.back_off(conf().TOKEN_BACKOFF, error)
        elif isinstance(error, TransientError):
            self.back_off(TOKEN_PAUSE, error)
        else:
            self.back_off(PROBE, error)
        if not isinstance(error, ZohoError | ImproperlyConfigured):
            logger.error("No token for connection %s", self._connection.pk, exc_info=error)

    def back_off(self, seconds: float, error: BaseException) -> None:
        """Let the connection wait; the first reason stands."""
        if self.backoff is None:
            logger.warning("Connection %s waits %s s: %s", self._connection.pk, seconds, error)
            self.backoff = (seconds, error)

    def learnt(self) -> dict[str, Any]:
        """Return what the next slice should know, as columns of ``ConnectionWork``."""
        seconds, error = self.backoff or (0.0, None)
        return {
            "limit": self.limit.value,
            "limit_met": self.limit.met,
            "backoff_until": from_now(seconds) if error else None,
            "backoff_reason": str(error)[:200] if error else "",
            "backoff_kind": _kind(error) if error else "",
        }

    def _reject_token(self, error: ZohoError) -> None:
        if self.token_rejected:
            return
        if self._renewed:
            self.back_off(PROBE, error)
        self.token_rejected = self._renewed = True


def _kind(error: BaseException) -> ConnectionWork.BackoffKind:
    if isinstance(error, CreditsExhaustedError | TokenThrottledError):
        return ConnectionWork.BackoffKind.LIMIT
    # A new token that is rejected at once is no matter of time.
    if isinstance(error, TransientError) and not isinstance(error, AccessTokenRejectedError):
        return ConnectionWork.BackoffKind.SILENCE
    return ConnectionWork.BackoffKind.PERSON
