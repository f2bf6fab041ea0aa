"""Send what is ready: read its lead once more, claim it, convert it, take the answer in."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from math import inf

from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    AlreadyConvertedError,
    AuthorizationError,
    RequestRefusedError,
    TransientError,
    UnknownOutcomeError,
)
from zoho_crm.models import LeadConversion, MassConversion, Move
from zoho_crm.services import lifecycle
from zoho_crm.services.preview import fetch_preview
from zoho_crm.services.work._crew import Errand
from zoho_crm.services.work._desk import BATCH, Desk
from zoho_crm.services.work._errands import checked, convert, renewed
from zoho_crm.services.work._urgency import urgency
from zoho_crm.types import Converted, Scheduled

Status = LeadConversion.Status


class Sending:
    """One part of a slice."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        #: The look into the tables whose more urgent rows are in hand.
        self._look = 0
        #: Claims on rows whose lead was just read and is what it was, with the moment of that read.
        self._claims: list[tuple[float, Move]] = []
        self._in_flight: Counter[int] = Counter()

    def hand_out(self) -> None:
        """Read what is ready, and send what was read and is what it was."""
        if self._desk.free > len(self._claims) or (
            self._desk.free and self._look != self._desk.looks
        ):
            self._look = self._desk.looks
            self._check()
        self._send()

    def _check(self) -> None:
        # With many claims in hand it is the more urgent rows that are looked for.
        most = max(self._desk.free, BATCH - len(self._claims))
        rows = self._desk.due(Status.READY, most=most, without_runs=self._held_back())
        ready = [row for row in rows if not row.is_old]
        if ready:
            self._desk.read(ready, checked, partial(self._checked, time.monotonic()))
        for row in [row for row in rows if row.is_old]:
            if self._desk.free:
                self._look_again(row)

    def _held_back(self) -> set[int]:
        """Return the runs whose first leads are on their way, and whose next ones are in hand."""
        runs = {claim.row.mass_conversion for _begun, claim in self._claims}
        return {run.pk for run in runs if run and not self._desk.canaries_passed(run)}

    def _checked(self, begun: float, row: LeadConversion, move: Move | None) -> None:
        if move and move.to == Status.RUNNING:
            self._claims.append((begun, move))
            self._desk.kept.add(row.pk)
        else:
            self._desk.lay_down(row, move)

    def _look_again(self, row: LeadConversion) -> None:
        client, leader = self._desk.client, row.follows

        def call() -> Move:
            return renewed(row, fetch_preview(client, row.lead_id), leader)

        errand = Errand(rows=(row,), done=self._looked_again, failed=self._desk.put_off)
        self._desk.crew.send(errand, call)

    def _looked_again(self, _errand: Errand, move: Move) -> None:
        self._desk.condition.succeeded()
        self._desk.moves.append(move)

    def _send(self) -> None:
        """Claim rows whose lead was just read, as many as threads are free, and convert them."""
        desk, deadline = self._desk, self._desk.conf.CALL_DEADLINE
        claims = self._next_claims()
        if not claims:
            return
        latest = time.monotonic() + desk.conf.LEASE - deadline
        for claim in LeadConversion.objects.move(claims, only_if=desk.may_be_claimed):
            errand = Errand(rows=(claim.row,), done=self._answered, failed=self._not_converted)
            desk.crew.send(errand, partial(convert, desk.client, claim.row, latest))
            self._in_flight[claim.row.mass_conversion_id or 0] += 1

    def _next_claims(self) -> list[Move]:
        """Take as many fresh claims as may be sent now; what is no longer fresh is read again."""
        oldest = time.monotonic() - self._desk.conf.CALL_DEADLINE
        fresh = [(begun, claim) for begun, claim in self._claims if begun > oldest]
        fresh.sort(key=lambda checked: urgency(checked[1].row))
        now: list[Move] = []
        later: list[tuple[float, Move]] = []
        rooms: dict[int, float] = {}
        for begun, claim in fresh:
            if len(now) < self._desk.free and self._may_begin(claim.row.mass_conversion, rooms):
                now.append(claim)
            else:
                later.append((begun, claim))
        self._desk.kept -= {claim.row.pk for _begun, claim in self._claims}
        self._desk.kept |= {claim.row.pk for _begun, claim in later}
        self._claims = later
        return now

    def _may_begin(self, run: MassConversion | None, rooms: dict[int, float]) -> bool:
        """
        Whether one more lead of a run may be sent: the first ones go one at a time.

        :param rooms: how many more that are, as counted for one turn
        """
        if run is None:
            return True
        if run.pk not in rooms:
            rooms[run.pk] = inf if self._desk.canaries_passed(run) else 1 - self._in_flight[run.pk]
        rooms[run.pk] -= 1
        return rooms[run.pk] >= 0

    # Answers

    def _answered(self, errand: Errand, answer: Converted | Scheduled) -> None:
        self._landed(errand)
        self._desk.condition.succeeded()
        self._desk.moves += [lifecycle.answered(row, answer) for row in errand.rows]

    def _not_converted(self, errand: Errand, error: BaseException) -> None:
        """Refused, surely not processed, or nobody knows."""
        self._landed(errand)
        desk, (row,) = self._desk, errand.rows
        if isinstance(error, AlreadyConvertedError):
            desk.condition.succeeded()
            desk.moves.append(lifecycle.already_converted(row, error))
        elif isinstance(error, RequestRefusedError):
            desk.condition.succeeded()
            desk.moves.append(lifecycle.refused(row, error))
        elif isinstance(error, TransientError | AuthorizationError):
            desk.condition.failed(error, started=errand.started)
            at_once = isinstance(error, AccessTokenRejectedError)
            desk.moves.append(lifecycle.not_processed(row, error, at_once=at_once))
        elif isinstance(error, UnknownOutcomeError):
            left = errand.started + desk.conf.CALL_DEADLINE - time.monotonic()
            desk.moves.append(lifecycle.answer_lost(row, error, in_flight=max(0.0, left)))
        else:
            desk.broken(row, error)

    def _landed(self, errand: Errand) -> None:
        for row in errand.rows:
            self._in_flight[row.mass_conversion_id or 0] -= 1
