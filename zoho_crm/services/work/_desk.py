"""What the parts of a slice share: the client, the crew, and the moves that are to be written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable
from datetime import datetime
from functools import cached_property, partial
from typing import Any, TypeAlias

from django.db.models import Q, QuerySet

from zoho_crm.client import ZohoClient
from zoho_crm.conf import conf
from zoho_crm.exceptions import AccessTokenRejectedError, ZohoError
from zoho_crm.models import (
    Connection,
    ConnectionWork,
    LeadConversion,
    MassConversion,
    Move,
    from_now,
    holds,
)
from zoho_crm.services import lifecycle, mass_convert
from zoho_crm.services.settle import with_is_conclusive
from zoho_crm.services.work._condition import Condition
from zoho_crm.services.work._crew import Crew, Errand
from zoho_crm.services.work._urgency import IN_A_RUN, OUTSIDE_RUNS
from zoho_crm.types import ConversionPlan, Lead

logger = logging.getLogger(__name__)

Status = LeadConversion.Status
#: What a read lead, or none, means for its row; and what is done with that.
Judge: TypeAlias = Callable[[LeadConversion, Lead | None], Move | None]
Then: TypeAlias = Callable[[LeadConversion, Move | None], None]
#: Leads that one call reads.
BATCH = 100


class Desk:
    """Where the threads' results are laid down; used by the main thread only."""

    def __init__(self, lease: ConnectionWork) -> None:
        self.conf = conf()
        self.lease = lease
        self.connection = lease.connection
        self.condition = Condition(lease)
        self.crew = Crew(self.condition.limit.ceiling + 4)
        self.client: ZohoClient  # there is one as soon as there is a token
        self.moves: list[Move] = []
        #: What policies make of the previews among them, by row.
        self.plans: dict[int, ConversionPlan] = {}
        #: How often the tables were looked at, the runs that had not ended then, and what was due
        #: and is not yet in hand.
        self.looks = 0
        self.runs: list[MassConversion] = []
        self._due_now: set[str] = set()
        #: Runs whose first leads are through, each since its start or last resume.
        self._proven: set[tuple[int, datetime | None]] = set()
        #: Rows that a part keeps in hand while nobody is on an errand for them.
        self.kept: set[int] = set()

    @property
    def free(self) -> int:
        """Calls to Zoho that may begin now."""
        return max(0, self.condition.limit.now - self.crew.calls)

    def in_hand(self) -> set[int]:
        """Return the rows that need no errand: one is under way, or its end is to be written."""
        return self.crew.held() | self.kept | {move.row.pk for move in self.moves}

    @cached_property
    def may_be_claimed(self) -> Q:
        """Return the condition of a claim: the lease is ours, and nothing holds the row back."""
        mine = self.lease.held(for_seconds=self.conf.CALL_DEADLINE)
        mine = mine.filter(connection__status=Connection.Status.ACTIVE)
        going_on = MassConversion.objects.filter(
            stage=MassConversion.Stage.CONVERTING, paused_reason=""
        )
        is_free = Q(mass_conversion=None) | Q(mass_conversion__in=going_on.values("pk"))
        return Q(connection__in=mine.values("pk")) & is_free

    def look(self, runs: list[MassConversion]) -> None:
        """Take note of the runs, and look what is due; until the next look there is no more."""
        self.runs = runs
        due = LeadConversion.objects.due().filter(connection=self.connection)
        self._due_now = set(due.order_by().values_list("status", flat=True).distinct())
        self.looks += 1

    def due(
        self,
        *statuses: str,
        most: int = BATCH,
        without_runs: Container[int] = (),
        defer: Iterable[str] = (),
    ) -> list[LeadConversion]:
        """
        Return due rows that nobody has in hand, the most urgent first.

        Each run is asked for its rows by itself: so an index has them in their order, however many
        there are.

        :param without_runs: runs that are passed over
        :param defer: columns that need not be read
        """
        if most <= 0 or self._due_now.isdisjoint(statuses):
            return []
        rows = self._due(statuses).defer(*defer)
        found = list(rows.filter(mass_conversion=None).order_by(*OUTSIDE_RUNS)[:most])
        for run in self.runs_at_work(*statuses):
            if len(found) < most and run.pk not in without_runs:
                rows_of_run = rows.filter(mass_conversion=run).order_by(*IN_A_RUN)
                for row in rows_of_run[: most - len(found)]:
                    row.mass_conversion = run
                    found.append(row)
        if len(found) < most:
            self._due_now -= set(statuses)
        return found

    def _due(self, statuses: tuple[str, ...]) -> QuerySet[LeadConversion]:
        old = Q(previewed_at__lt=from_now(-self.conf.PREVIEW_MAX_AGE))
        flags: dict[str, Any] = {"is_old": holds(old)}
        rows = with_is_conclusive(LeadConversion.objects.due()).annotate(**flags)
        rows = rows.filter(connection=self.connection, status__in=statuses)
        return rows.exclude(pk__in=self.in_hand())

    def runs_at_work(self, *statuses: str) -> list[MassConversion]:
        """Return the runs that had not ended at the last look, and hold back none of these."""
        return [run for run in self.runs if not any(map(run.holds_back, statuses))]

    def canaries_passed(self, run: MassConversion) -> bool:
        """Whether the first leads of a run are through; that stays so until it is resumed."""
        if (run.pk, run.counted_from) not in self._proven and mass_convert.canaries_passed(run):
            self._proven.add((run.pk, run.counted_from))
        return (run.pk, run.counted_from) in self._proven

    def read(self, rows: list[LeadConversion], judge: Judge, then: Then) -> None:
        """Read the leads of these rows in one call, then judge each."""

        def came(_errand: Errand, leads: dict[str, Lead]) -> None:
            self.condition.succeeded()
            self._judge(rows, leads, judge, then)

        def failed(errand: Errand, error: BaseException) -> None:
            is_odd = not isinstance(error, ZohoError) or error.code == "unknown_form"
            if is_odd and len(rows) > 1:
                logger.error("A read of %s leads failed; one by one now", len(rows), exc_info=error)
                for row in rows:
                    self.read([row], judge, then)
            else:
                self.put_off(errand, error)

        ids = [row.lead_id for row in rows]
        errand = Errand(rows=tuple(rows), done=came, failed=failed)
        self.crew.send(errand, partial(self.client.leads.get_many, ids))

    def _judge(
        self, rows: list[LeadConversion], leads: dict[str, Lead], judge: Judge, then: Then
    ) -> None:
        """Think about rows in a thread; an error of ours stays with the row that it is about."""

        def judged() -> list[Move | None]:
            return [judge(row, leads.get(row.lead_id)) for row in rows]

        def done(_errand: Errand, moves: list[Move | None]) -> None:
            for row, move in zip(rows, moves, strict=True):
                then(row, move)

        def failed(errand: Errand, error: BaseException) -> None:
            if len(rows) == 1:
                self.put_off(errand, error)
            for row in rows if len(rows) > 1 else ():
                self._judge([row], leads, judge, then)

        self.crew.send(Errand(rows=tuple(rows), done=done, failed=failed, is_call=False), judged)

    def lay_down(self, _row: LeadConversion, move: Move | None) -> None:
        """Take a move in, to be written with the others."""
        if move:
            self.moves.append(move)

    def put_off(self, errand: Errand, error: BaseException) -> None:
        """Take note of a read that did not come about."""
        if not isinstance(error, ZohoError):
            for row in errand.rows:
                self.broken(row, error)
            return
        self.condition.failed(error, started=errand.started)
        at_once = isinstance(error, AccessTokenRejectedError)
        self.moves += [lifecycle.postponed(row, error, at_once=at_once) for row in errand.rows]

    def broken(self, row: LeadConversion, error: BaseException) -> None:
        """Take note of an error of our own at one row."""
        logger.error("Conversion %s met an error of ours", row.pk, exc_info=error)
        self.moves.append(lifecycle.internal_error(row, error))
