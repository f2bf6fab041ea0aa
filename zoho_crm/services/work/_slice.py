"""One slice of work on one connection: threads call Zoho, the main thread moves the rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any

from django.db.models import BooleanField, Case, Exists, Q, When

from zoho_crm.client import ZohoClient
from zoho_crm.conf import conf
from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    AlreadyConvertedError,
    AuthorizationError,
    ConnectionLostError,
    RequestRefusedError,
    TransientError,
    UnknownOutcomeError,
    ZohoError,
)
from zoho_crm.matching import Preview
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, Move, from_now
from zoho_crm.services import _life, tokens
from zoho_crm.services.convert import plan_by_policy, write
from zoho_crm.services.preview import look
from zoho_crm.services.settle import with_counting
from zoho_crm.services.work._condition import Condition
from zoho_crm.services.work._crew import Crew, Errand
from zoho_crm.services.work._errands import checked, convert, fetch_token, renewed, settled
from zoho_crm.services.work._urgency import MOST_URGENT_FIRST, urgency
from zoho_crm.types import ConversionPlan, Converted, Lead, Scheduled, Secret

logger = logging.getLogger(__name__)

Status = LeadConversion.Status
#: Leads that one call reads.
BATCH = 100
#: Seconds between two looks for more urgent rows, and before the loop turns once more.
LOOK = 0.5
TURN = 0.2


class Slice:
    """Work the due rows of a connection until the time is over or nothing is due."""

    def __init__(self, connection: Connection, lease: ConnectionWork, stop: Event) -> None:
        self._conf = conf()
        self._connection = connection
        self._lease = lease
        self._stop = stop
        self._condition = Condition(connection, lease)
        self._crew = Crew(self._condition.limit.ceiling + 4)
        self._end = time.monotonic() + self._conf.SLICE
        self._renew_at = time.monotonic() + self._conf.LEASE / 4
        self._look_at = 0.0
        self._token: Secret | None = None
        self._client: ZohoClient  # there is one as soon as there is a token
        #: Claims on rows whose lead was just read and is what it was, with the moment of that read.
        self._claims: list[tuple[float, Move]] = []
        self._moves: list[Move] = []
        #: What policies make of the previews among them, by row.
        self._plans: dict[int, ConversionPlan] = {}

    def run(self) -> dict[str, Any]:
        """Work, and return what was learnt for the next slice, as columns of ``ConnectionWork``."""
        try:
            self._hand_out()
            while not self._crew.is_idle:
                self._gather()
                self._hand_out()
        finally:
            self._crew.dismiss()
        return self._learnt()

    def _is_over(self) -> bool:
        return (
            self._stop.is_set()
            or self._condition.cooling is not None
            or time.monotonic() > self._end
        )

    def _learnt(self) -> dict[str, Any]:
        credits = self._client.api.credits_remaining if self._token else None
        learnt = {} if credits is None else {"credits_remaining": credits}
        return {**self._condition.learnt(), **learnt}

    # Gathering

    def _gather(self) -> None:
        """Take in what the threads brought, write it in sets, and keep the lease."""
        patience = min(TURN, self._conf.LEASE / 8)
        for errand, future in self._crew.gather(patience=patience):
            error = future.exception()
            if error is None:
                errand.done(errand, future.result())
            else:
                errand.failed(errand, error)
        if self._moves:
            write(self._moves, self._plans)
            self._moves, self._plans = [], {}
        if time.monotonic() > self._renew_at:
            self._renew_at = time.monotonic() + self._conf.LEASE / 4
            if not self._lease.renew(seconds=self._conf.LEASE):
                logger.warning("The lease of connection %s went to another", self._connection.pk)
                self._end = 0.0

    # Handing out

    def _hand_out(self) -> None:
        if self._is_over():
            return
        if self._token is None or self._condition.token_rejected:
            self._fetch_token()
            return
        if time.monotonic() >= self._look_at or len(self._claims) < self._free():
            self._look_at = time.monotonic() + LOOK
            self._read_back_and_check()
        self._send()
        self._preview()

    def _free(self) -> int:
        return max(0, self._condition.limit.now - self._crew.calls)

    def _held(self) -> set[int]:
        return self._crew.held() | {claim.row.pk for _begun, claim in self._claims}

    def _due(self, *statuses: str, most: int) -> list[LeadConversion]:
        if most <= 0:
            return []
        old = Q(previewed_at__lt=from_now(-self._conf.PREVIEW_MAX_AGE))
        flags: dict[str, Any] = {
            "is_old": Case(When(old, then=True), default=False, output_field=BooleanField())
        }
        rows = with_counting(LeadConversion.objects.due()).annotate(**flags)
        rows = rows.filter(connection=self._connection, status__in=statuses)
        return list(rows.exclude(pk__in=self._held()).order_by(*MOST_URGENT_FIRST)[:most])

    def _read_back_and_check(self) -> None:
        if not self._free():
            return
        rows = self._due(Status.UNKNOWN, Status.SCHEDULED, Status.READY, most=BATCH)
        in_doubt = [row for row in rows if row.status != Status.READY]
        if in_doubt:
            self._read(in_doubt, settled, self._decided)
        ready = [row for row in rows if row.status == Status.READY and not row.is_old]
        if ready and self._free():
            begun = time.monotonic()
            self._read(ready, checked, partial(self._checked, begun))
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
        self._crew.send(errand, partial(fetch_token, self._connection.pk, self._token))

    def _token_came(self, _errand: Errand, token: Secret) -> None:
        self._token, self._condition.token_rejected = token, False
        self._client = tokens.client_with(self._connection, token)

    def _token_failed(self, _errand: Errand, error: BaseException) -> None:
        if isinstance(error, ConnectionLostError):
            self._end = 0.0
        else:
            self._condition.no_token(error)

    def _look(
        self, row: LeadConversion, outcome: Callable[[LeadConversion, Preview], Move]
    ) -> None:
        def call() -> tuple[Move, ConversionPlan | None]:
            found = look(self._client, row.lead_id)
            return outcome(row, found), plan_by_policy(row, found)

        self._crew.send(Errand(rows=(row,), done=self._looked, failed=self._put_off), call)

    def _looked(self, _errand: Errand, seen: tuple[Move, ConversionPlan | None]) -> None:
        self._condition.succeeded()
        move, plan = seen
        self._moves.append(move)
        if plan and move.to == Status.PREVIEWED:
            self._plans[move.row.pk] = plan

    def _read(
        self,
        rows: list[LeadConversion],
        judge: Callable[[LeadConversion, Lead | None], Move],
        then: Callable[[Errand, Move | None], None],
    ) -> None:
        """Read the leads of these rows in one call, then judge each by itself."""

        def came(_errand: Errand, leads: dict[str, Lead]) -> None:
            self._condition.succeeded()
            for row in rows:
                self._judge(row, partial(judge, row, leads.get(row.lead_id)), then)

        def failed(errand: Errand, error: BaseException) -> None:
            is_odd = not isinstance(error, ZohoError) or error.code == "unknown_form"
            if is_odd and len(rows) > 1:
                logger.error("A read of %s leads failed; one by one now", len(rows), exc_info=error)
                for row in rows:
                    self._read([row], judge, then)
            else:
                self._put_off(errand, error)

        ids = [row.lead_id for row in rows]
        errand = Errand(rows=tuple(rows), done=came, failed=failed)
        self._crew.send(errand, partial(self._client.leads.get_many, ids))

    def _judge(
        self,
        row: LeadConversion,
        judgement: Callable[[], Move | None],
        then: Callable[[Errand, Move | None], None],
    ) -> None:
        """Think about one row in a thread, where an error of ours stays with that row."""
        errand = Errand(rows=(row,), done=then, failed=self._put_off, is_call=False)
        self._crew.send(errand, judgement)

    def _decided(self, _errand: Errand, move: Move | None) -> None:
        if move:
            self._moves.append(move)

    def _send(self) -> None:
        """Claim rows whose lead was just read, as many as threads are free, and convert them."""
        oldest = time.monotonic() - self._conf.CALL_DEADLINE
        fresh = [(begun, claim) for begun, claim in self._claims if begun > oldest]
        fresh.sort(key=lambda checked: urgency(checked[1].row))
        now, self._claims = fresh[: self._free()], fresh[self._free() :]
        latest = time.monotonic() + self._conf.LEASE - self._conf.CALL_DEADLINE
        mine = self._lease.mine(for_seconds=self._conf.CALL_DEADLINE)
        mine = mine.filter(connection__status=Connection.Status.ACTIVE)
        claims = [claim for _begun, claim in now]
        for claim in LeadConversion.objects.move(claims, only_if=Q(Exists(mine))):
            errand = Errand(rows=(claim.row,), done=self._answered, failed=self._not_converted)
            self._crew.send(errand, partial(convert, self._client, claim.row, latest))

    def _answered(self, errand: Errand, answer: Converted | Scheduled) -> None:
        self._condition.succeeded()
        self._moves += [_life.answered(row, answer) for row in errand.rows]

    def _checked(self, begun: float, errand: Errand, move: Move | None) -> None:
        if move and move.to == Status.RUNNING:
            self._claims.append((begun, move))
        else:
            self._decided(errand, move)

    # What went wrong

    def _not_converted(self, errand: Errand, error: BaseException) -> None:
        """Refused, surely not processed, or nobody knows."""
        (row,) = errand.rows
        if isinstance(error, AlreadyConvertedError):
            self._condition.succeeded()
            self._moves.append(_life.already_converted(row, error))
        elif isinstance(error, RequestRefusedError):
            self._condition.succeeded()
            self._moves.append(_life.refused(row, error))
        elif isinstance(error, TransientError | AuthorizationError):
            self._condition.failed(error, started=errand.started)
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
            self._condition.failed(error, started=errand.started)
            at_once = isinstance(error, AccessTokenRejectedError)
            for row in errand.rows:
                self._moves.append(_life.put_off(row, error, at_once=at_once))
        else:
            for row in errand.rows:
                self._broken(row, error)

    def _broken(self, row: LeadConversion, error: BaseException) -> None:
        logger.error("Conversion %s met an error of ours", row.pk, exc_info=error)
        self._moves.append(_life.broken(row, error))
