"""One slice of work on one connection: threads call Zoho, the main thread moves the rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from threading import Event
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.models import BooleanField, Case, Exists, IntegerField, Q, Value, When

from zoho_crm import matching
from zoho_crm.client import ZohoClient
from zoho_crm.conf import conf
from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    AlreadyConvertedError,
    AuthorizationError,
    ConnectionLostError,
    CreditsExhaustedError,
    RateLimitError,
    RequestRefusedError,
    TokenThrottledError,
    TransientError,
    UnknownOutcomeError,
    ZohoError,
)
from zoho_crm.matching import Preview
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, Move, from_now
from zoho_crm.services import _life, tokens
from zoho_crm.services.convert import by_policy
from zoho_crm.services.preview import look, preview_seen
from zoho_crm.services.settle import with_counting
from zoho_crm.services.work._crew import Crew, Errand
from zoho_crm.services.work._limit import Limit, ceiling
from zoho_crm.types import ConversionPlan, Lead, Secret

logger = logging.getLogger(__name__)

Status = LeadConversion.Status
#: Leads that one call reads.
BATCH = 100
#: Seconds between two looks for more urgent rows, and before the loop turns once more.
LOOK = 0.5
TURN = 0.2
#: Calls in a row without an answer after which the connection waits, and how long.
FAILURES = 10
FAILURE_PAUSE = 30
#: How long a connection waits for credits or a permission, before it probes once.
PROBE = 900
TOKEN_PAUSE = 10


class Slice:
    """Work the due rows of a connection until the time is over or nothing is due."""

    def __init__(self, connection: Connection, lease: ConnectionWork, stop: Event) -> None:
        self._conf = conf()
        self._connection = connection
        self._lease = lease
        self._stop = stop
        most = ceiling(self._conf.MAX_CONCURRENCY, connection.edition)
        # After a waiting time one call goes first, alone.
        value = 1.0 if lease.cooling_reason else lease.limit
        self._limit = Limit(value=value, ceiling=most, met=lease.limit_met)
        self._crew = Crew(most + 4)
        self._end = time.monotonic() + self._conf.SLICE
        self._renew_at = time.monotonic() + self._conf.LEASE / 4
        self._look_at = 0.0
        self._token: Secret | None = None
        self._client: ZohoClient | None = None
        self._renewed = False
        self._failures = 0
        self._cooling: tuple[float, str] | None = None
        #: Rows whose lead was just read and is what it was, with the moment of that read.
        self._checked: list[tuple[float, LeadConversion]] = []
        self._moves: list[Move] = []

    def run(self) -> dict[str, Any]:
        """Work, and return what was learnt for the next slice, as columns of ``ConnectionWork``."""
        try:
            while not self._is_over():
                self._hand_out()
                if self._crew.is_idle:
                    break
                self._gather()
            while not self._crew.is_idle:
                self._gather()
        finally:
            self._crew.dismiss()
        return self._learnt()

    def _is_over(self) -> bool:
        return self._stop.is_set() or self._cooling is not None or time.monotonic() > self._end

    def _learnt(self) -> dict[str, Any]:
        learnt: dict[str, Any] = {"limit": self._limit.value, "limit_met": self._limit.met}
        if self._client and self._client.api.credits_remaining is not None:
            learnt["credits_remaining"] = self._client.api.credits_remaining
        seconds, reason = self._cooling or (0, "")
        until = from_now(seconds) if self._cooling else None
        return {**learnt, "cooling_until": until, "cooling_reason": reason[:200]}

    # Gathering

    def _gather(self) -> None:
        """Take in what the threads brought, write it in sets, and keep the lease."""
        patience = min(TURN, self._conf.LEASE / 8)
        for errand, future in self._crew.gather(patience=patience):
            error = future.exception()
            if error is None:
                errand.done(future.result())
            else:
                errand.failed(errand, error)
        moves, self._moves = self._moves, []
        self._approve(LeadConversion.objects.move(moves))
        if time.monotonic() > self._renew_at:
            self._renew_at = time.monotonic() + self._conf.LEASE / 4
            if not self._lease.renew(seconds=self._conf.LEASE):
                logger.warning("The lease of connection %s went to another", self._connection.pk)
                self._end = 0.0

    def _approve(self, made: Iterable[Move]) -> None:
        for move in made:
            if move.to == Status.PREVIEWED and move.row.policy:
                self._judge(move.row, partial(by_policy, move.row))

    def _succeeded(self) -> None:
        self._limit.succeeded()
        self._failures, self._renewed = 0, False

    # Handing out

    def _hand_out(self) -> None:
        if self._client is None:
            self._fetch_token()
            return
        if time.monotonic() >= self._look_at or len(self._checked) < self._free():
            self._look_at = time.monotonic() + LOOK
            self._read_back_and_check()
        self._send()
        self._preview()

    def _free(self) -> int:
        return max(0, self._limit.now - self._crew.calls)

    def _held(self) -> set[int]:
        return self._crew.held() | {row.pk for _moment, row in self._checked}

    def _due(self, *statuses: str, most: int) -> list[LeadConversion]:
        if most <= 0:
            return []
        old = Q(previewed_at__lt=from_now(-self._conf.PREVIEW_MAX_AGE))
        flags: dict[str, Any] = {
            "is_old": Case(When(old, then=True), default=False, output_field=BooleanField())
        }
        rows = with_counting(LeadConversion.objects.due()).annotate(**flags)
        rows = rows.filter(connection=self._connection, status__in=statuses)
        return list(rows.exclude(pk__in=self._held()).order_by(URGENCY, "due_at", "pk")[:most])

    def _read_back_and_check(self) -> None:
        if not self._free():
            return
        rows = self._due(Status.UNKNOWN, Status.SCHEDULED, Status.READY, most=BATCH)
        in_doubt = [row for row in rows if row.status != Status.READY]
        if in_doubt:
            self._read(in_doubt, self._judge_read)
        ready = [row for row in rows if row.status == Status.READY and not row.is_old]
        if ready and self._free():
            self._read(ready, self._judge_check)
        for row in [row for row in rows if row.status == Status.READY and row.is_old]:
            if self._free():
                self._look(row, renewed)

    def _preview(self) -> None:
        for row in self._due(Status.NEW, most=self._free()):
            self._look(row, _life.previewed)

    # Errands

    def _fetch_token(self) -> None:
        if not self._crew.is_idle:
            return
        errand = Errand(rows=(), done=self._token_came, failed=self._token_failed, is_call=False)
        self._crew.send(errand, partial(_token, self._connection.pk, self._token))

    def _token_came(self, token: Secret) -> None:
        self._token = token
        self._client = tokens.client_with(self._connection, token)

    def _token_failed(self, errand: Errand, error: BaseException) -> None:
        if isinstance(error, ConnectionLostError):
            self._end = 0.0
        elif isinstance(error, TokenThrottledError):
            self._cool(tokens.THROTTLE, str(error))
        elif isinstance(error, TransientError):
            self._cool(TOKEN_PAUSE, str(error))
        else:
            self._cool(PROBE, str(error))
            if not isinstance(error, ZohoError | ImproperlyConfigured):
                logger.error("No token for connection %s", self._connection.pk, exc_info=error)

    def _look(
        self, row: LeadConversion, outcome: Callable[[LeadConversion, Preview], Move]
    ) -> None:
        client = self._the_client()

        def call() -> Move:
            return outcome(row, look(client, row.lead_id))

        self._crew.send(Errand(rows=(row,), done=self._looked, failed=self._put_off), call)

    def _looked(self, move: Move) -> None:
        self._succeeded()
        self._moves.append(move)

    def _read(
        self,
        rows: list[LeadConversion],
        judge: Callable[[float, LeadConversion, Lead | None], None],
    ) -> None:
        """Read the leads of these rows in one call, then judge each by itself."""
        client, begun = self._the_client(), time.monotonic()

        def came(leads: dict[str, Lead]) -> None:
            self._succeeded()
            for row in rows:
                judge(begun, row, leads.get(row.lead_id))

        def failed(errand: Errand, error: BaseException) -> None:
            if len(rows) > 1 and not isinstance(error, ZohoError):
                logger.error("A read of %s leads failed; one by one now", len(rows), exc_info=error)
                for row in rows:
                    self._read([row], judge)
            else:
                self._put_off(errand, error)

        ids = [row.lead_id for row in rows]
        errand = Errand(rows=tuple(rows), done=came, failed=failed)
        self._crew.send(errand, partial(client.leads.get_many, ids))

    def _judge_read(self, _begun: float, row: LeadConversion, lead: Lead | None) -> None:
        self._judge(row, partial(_life.read, row, lead, counts=row.counts))

    def _judge_check(self, begun: float, row: LeadConversion, lead: Lead | None) -> None:
        def unchanged() -> None:
            self._checked.append((begun, row))

        self._judge(row, partial(checked, row, lead), otherwise=unchanged)

    def _judge(
        self,
        row: LeadConversion,
        judgement: Callable[[], Move | None],
        otherwise: Callable[[], None] = lambda: None,
    ) -> None:
        """Think about one row in a thread, where an error of ours stays with that row."""

        def done(move: Move | None) -> None:
            if move:
                self._moves.append(move)
            else:
                otherwise()

        errand = Errand(rows=(row,), done=done, failed=self._put_off, is_call=False)
        self._crew.send(errand, judgement)

    def _send(self) -> None:
        """Claim rows whose lead was just read, as many as threads are free, and convert them."""
        oldest = time.monotonic() - self._conf.CALL_DEADLINE
        fresh = [(begun, row) for begun, row in self._checked if begun > oldest]
        now, self._checked = fresh[: self._free()], fresh[self._free() :]
        latest = time.monotonic() + self._conf.LEASE - self._conf.CALL_DEADLINE
        mine = Exists(self._lease.mine(for_seconds=self._conf.CALL_DEADLINE))
        claims = [_life.claimed(row) for _begun, row in now]
        client = self._the_client()
        for move in LeadConversion.objects.move(claims, only_if=Q(mine)):
            errand = Errand(rows=(move.row,), done=self._answered(move.row), failed=self._lost)
            self._crew.send(errand, partial(_convert, client, move.row, latest))

    def _answered(self, row: LeadConversion) -> Callable[[Any], None]:
        def done(answer: Any) -> None:
            self._succeeded()
            self._moves.append(_life.answered(row, answer))

        return done

    # What went wrong

    def _lost(self, errand: Errand, error: BaseException) -> None:
        """A conversion did not succeed: refused, surely not processed, or nobody knows."""
        (row,) = errand.rows
        if isinstance(error, AlreadyConvertedError):
            self._succeeded()
            self._moves.append(_life.already_converted(row, error))
        elif isinstance(error, RequestRefusedError):
            self._succeeded()
            self._moves.append(_life.refused(row, error))
        elif isinstance(error, TransientError | AuthorizationError):
            self._react(errand, error)
            at_once = isinstance(error, AccessTokenRejectedError)
            self._moves.append(_life.not_processed(row, error, at_once=at_once))
        elif isinstance(error, UnknownOutcomeError):
            left = errand.started + self._conf.CALL_DEADLINE - time.monotonic()
            self._moves.append(_life.lost(row, error, in_flight=max(0.0, left)))
        else:
            self._broken(row, error)

    def _put_off(self, errand: Errand, error: BaseException) -> None:
        """A read did not come about."""
        if isinstance(error, ZohoError):
            self._react(errand, error)
            at_once = isinstance(error, AccessTokenRejectedError)
            for row in errand.rows:
                self._moves.append(_life.put_off(row, error, at_once=at_once))
        else:
            for row in errand.rows:
                self._broken(row, error)

    def _broken(self, row: LeadConversion, error: BaseException) -> None:
        logger.error("Conversion %s met an error of ours", row.pk, exc_info=error)
        self._moves.append(_life.broken(row, error))

    def _react(self, errand: Errand, error: ZohoError) -> None:
        """Draw the consequences of an error for the whole connection."""
        if isinstance(error, RateLimitError):
            self._limit.refused(started=errand.started)
        elif isinstance(error, CreditsExhaustedError):
            self._cool(PROBE, str(error))
        elif isinstance(error, AccessTokenRejectedError):
            self._token_rejected(errand, error)
        elif isinstance(error, AuthorizationError):
            self._cool(PROBE, f"{error.code}: {error}")
        else:
            self._failures += 1
            if self._failures >= FAILURES:
                self._cool(FAILURE_PAUSE, str(error))

    def _token_rejected(self, errand: Errand, error: ZohoError) -> None:
        if self._client is None:
            return
        if self._renewed:
            self._cool(PROBE, f"{error.code}: {error}")
        self._renewed, self._client = True, None

    def _cool(self, seconds: float, reason: str) -> None:
        if self._cooling is None:
            logger.warning("Connection %s waits %s s: %s", self._connection.pk, seconds, reason)
            self._cooling = (seconds, reason)

    def _the_client(self) -> ZohoClient:
        assert self._client is not None
        return self._client


#: A person's conversion, settle, send; previews come in a query of their own.
URGENCY = Case(
    When(status=Status.READY, approved_by__isnull=False, then=Value(0)),
    When(status__in=[Status.UNKNOWN, Status.SCHEDULED], then=Value(1)),
    default=Value(2),
    output_field=IntegerField(),
)


def checked(row: LeadConversion, lead: Lead | None) -> Move | None:
    """Say what a read just before sending means; ``None``: it is what was approved."""
    if lead is None:
        return _life.afresh(row, gone=True)
    if lead.converted:
        return _life.read_converted(row, lead.converted)
    seen = row.lead_seen()
    changed = matching.changes(seen, lead) if seen else ("id",)
    return _life.afresh(row, changed=list(changed)) if changed else None


def renewed(row: LeadConversion, found: Preview) -> Move:
    """Say what a new preview of an approved row means."""
    if found.lead and found.lead.converted:
        return _life.read_converted(row, found.lead.converted)
    seen = preview_seen(row)
    unchanged = seen.lead and found.lead and not matching.changes(seen.lead, found.lead)
    if unchanged and matching.same_matches(seen, found):
        return _life.renewed(row, found)
    return _life.afresh(row, changed=["matches"])


def _convert(client: ZohoClient, row: LeadConversion, latest: float) -> Any:
    plan = row.planned() or ConversionPlan()
    return client.leads.convert(row.lead_id, plan, may_send=lambda: time.monotonic() <= latest)


def _token(connection_id: int, rejected: Secret | None) -> Secret:
    """Get a token: the only errand that touches a table, so it closes its own connection."""
    try:
        if rejected is None:
            return tokens.access_token(connection_id=connection_id)
        return tokens.renew(connection_id=connection_id, rejected=rejected)
    finally:
        connections.close_all()
