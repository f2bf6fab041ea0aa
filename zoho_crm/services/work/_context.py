"""What the steps of a worker share: client, pool, connection health, due rows and pending moves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable
from datetime import datetime
from functools import cached_property, partial
from typing import Any, TypeAlias

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from zoho_crm.client import ZohoClient
from zoho_crm.conf import conf
from zoho_crm.exceptions import AccessTokenRejectedError, ZohoError
from zoho_crm.matching import Decision
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
from zoho_crm.services.work._health import ConnectionHealth
from zoho_crm.services.work._pool import CallPool, PendingCall
from zoho_crm.types import Lead

logger = logging.getLogger(__name__)

#: Returns the move of a row whose lead was read, or not found; runs in a thread.
MoveFor: TypeAlias = Callable[[LeadConversion, Lead | None], Move | None]
#: Takes that move; runs in the main thread.
TakeMove: TypeAlias = Callable[[LeadConversion, Move | None], None]
#: Leads that one call reads.
MAX_LEADS_PER_READ = 100
#: Threads for the access token and for decisions, besides those of the calls to Zoho.
EXTRA_THREADS = 4

#: The order of due rows. Within a run all rows have the same priority; the index has this order.
PRIORITY_IN_RUN = ("due_at", "pk")
#: Outside runs: the conversions that a person approved, then the others.
PRIORITY_OUTSIDE_RUNS = (
    Case(
        When(approved_by__isnull=False, then=Value(0)),
        default=Value(1),
        output_field=IntegerField(),
    ),
    *PRIORITY_IN_RUN,
)


def priority(row: LeadConversion) -> tuple[Any, ...]:
    """Return the key that sorts rows like the queries: outside runs first, then run by run."""
    return row.mass_conversion_id or 0, row.approved_by_id is None, row.due_at, row.pk


class WorkContext:
    """The state that the loop and its steps share; used by the main thread only."""

    def __init__(self, lease: ConnectionWork) -> None:
        self.settings = conf()
        self.lease = lease
        self.connection = lease.connection
        self.health = ConnectionHealth(lease)
        self.pool = CallPool(self.health.limit.ceiling + EXTRA_THREADS)
        self.client: ZohoClient  # set as soon as there is an access token
        #: Moves that are to be written.
        self.moves: list[Move] = []
        #: The decisions of policies on the previews among them, by the row's primary key.
        self.decisions: dict[int, Decision] = {}
        #: How often ``refresh`` was called.
        self.refresh_count = 0
        #: The runs that had not ended at the last refresh.
        self.runs: list[MassConversion] = []
        #: The statuses of the rows that were due at the last refresh and are not in flight yet.
        self._due_statuses: set[str] = set()
        #: Runs whose canaries have passed, each with its start or last resume.
        self._runs_past_canaries: set[tuple[int, datetime | None]] = set()
        #: Primary keys of rows that a step keeps between two calls.
        self.kept_row_ids: set[int] = set()

    @property
    def free_calls(self) -> int:
        """The number of calls to Zoho that may start now."""
        return max(0, self.health.limit.calls - self.pool.zoho_calls)

    def rows_in_flight(self) -> set[int]:
        """Return the primary keys of rows with a pending call or move, or kept by a step."""
        return self.pool.row_ids() | self.kept_row_ids | {move.row.pk for move in self.moves}

    @cached_property
    def may_be_claimed(self) -> Q:
        """The condition for a claim: the lease is held, and no pause holds the row back."""
        lease = self.lease.held(for_seconds=self.settings.CALL_DEADLINE)
        lease = lease.filter(connection__status=Connection.Status.ACTIVE)
        converting = MassConversion.objects.filter(
            stage=MassConversion.Stage.CONVERTING, paused_reason=""
        )
        may_go_on = Q(mass_conversion=None) | Q(mass_conversion__in=converting.values("pk"))
        return Q(connection__in=lease.values("pk")) & may_go_on

    def refresh(self, runs: list[MassConversion]) -> None:
        """Set the runs, and read which statuses have due rows; ``due_rows`` is empty for others."""
        self.runs = runs
        due = LeadConversion.objects.due().filter(connection=self.connection)
        self._due_statuses = set(due.order_by().values_list("status", flat=True).distinct())
        self.refresh_count += 1

    def due_rows(
        self,
        *statuses: str,
        limit: int = MAX_LEADS_PER_READ,
        without_runs: Container[int] = (),
        defer: Iterable[str] = (),
    ) -> list[LeadConversion]:
        """
        Return the due rows that are not in flight, most urgent first.

        One query for each run: the index has its rows in their order, however many there are.

        :param without_runs: primary keys of runs to leave out
        :param defer: columns that need not be read
        """
        if limit <= 0 or self._due_statuses.isdisjoint(statuses):
            return []
        rows = self._due_queryset(statuses).defer(*defer)
        outside_runs = rows.filter(mass_conversion=None)
        found = list(outside_runs.order_by(*PRIORITY_OUTSIDE_RUNS)[:limit])
        for run in self.active_runs(*statuses):
            if len(found) < limit and run.pk not in without_runs:
                rows_of_run = rows.filter(mass_conversion=run).order_by(*PRIORITY_IN_RUN)
                for row in rows_of_run[: limit - len(found)]:
                    row.mass_conversion = run
                    found.append(row)
        if len(found) < limit:
            self._due_statuses -= set(statuses)
        return found

    def _due_queryset(self, statuses: tuple[str, ...]) -> QuerySet[LeadConversion]:
        old = Q(previewed_at__lt=from_now(-self.settings.PREVIEW_MAX_AGE))
        flags: dict[str, Any] = {"is_old": holds(old)}
        rows = with_is_conclusive(LeadConversion.objects.due()).annotate(**flags)
        rows = rows.filter(connection=self.connection, status__in=statuses)
        return rows.exclude(pk__in=self.rows_in_flight())

    def active_runs(self, *statuses: str) -> list[MassConversion]:
        """Return the runs that had not ended at the last refresh and hold back no such row."""
        return [run for run in self.runs if not any(map(run.blocks, statuses))]

    def canaries_passed(self, run: MassConversion) -> bool:
        """Return whether the first leads of a run have outcomes; stays so until it is resumed."""
        key = (run.pk, run.counted_from)
        if key not in self._runs_past_canaries and mass_convert.canaries_passed(run):
            self._runs_past_canaries.add(key)
        return key in self._runs_past_canaries

    def read_leads(
        self, rows: list[LeadConversion], move_for: MoveFor, take_move: TakeMove
    ) -> None:
        """
        Start a call that reads the leads of at most 100 rows, and determine the move of each.

        If the call fails because of our code, the rows are read one by one.
        """

        def on_result(_call: PendingCall, leads: dict[str, Lead]) -> None:
            self.health.record_success()
            self._determine_moves(rows, leads, move_for, take_move)

        def on_error(call: PendingCall, error: BaseException) -> None:
            is_ours = not isinstance(error, ZohoError) or error.code == "unknown_form"
            if is_ours and len(rows) > 1:
                logger.error("Reading %s leads failed; one by one now", len(rows), exc_info=error)
                for row in rows:
                    self.read_leads([row], move_for, take_move)
            else:
                self.postpone(call, error)

        lead_ids = [row.lead_id for row in rows]
        call = PendingCall(rows=tuple(rows), on_result=on_result, on_error=on_error)
        self.pool.start(call, partial(self.client.leads.get_many, lead_ids))

    def _determine_moves(
        self,
        rows: list[LeadConversion],
        leads: dict[str, Lead],
        move_for: MoveFor,
        take_move: TakeMove,
    ) -> None:
        """Determine the moves in a thread; after an error in our code row by row."""

        def determine() -> list[Move | None]:
            return [move_for(row, leads.get(row.lead_id)) for row in rows]

        def on_result(_call: PendingCall, moves: list[Move | None]) -> None:
            for row, move in zip(rows, moves, strict=True):
                take_move(row, move)

        def on_error(call: PendingCall, error: BaseException) -> None:
            if len(rows) == 1:
                self.postpone(call, error)
            for row in rows if len(rows) > 1 else ():
                self._determine_moves([row], leads, move_for, take_move)

        call = PendingCall(
            rows=tuple(rows), on_result=on_result, on_error=on_error, is_zoho_call=False
        )
        self.pool.start(call, determine)

    def collect(self, _row: LeadConversion, move: Move | None) -> None:
        """Add a move, if there is one, to those that are to be written."""
        if move:
            self.moves.append(move)

    def postpone(self, call: PendingCall, error: BaseException) -> None:
        """Collect the moves of rows whose read failed."""
        if not isinstance(error, ZohoError):
            for row in call.rows:
                self.internal_error(row, error)
            return
        self.health.record_failure(error, started=call.started)
        at_once = isinstance(error, AccessTokenRejectedError)
        self.moves += [lifecycle.postponed(row, error, at_once=at_once) for row in call.rows]

    def internal_error(self, row: LeadConversion, error: BaseException) -> None:
        """Log an error in our code, and collect the move of the row that it is about."""
        logger.error("Conversion %s met an internal error", row.pk, exc_info=error)
        self.moves.append(lifecycle.internal_error(row, error))
