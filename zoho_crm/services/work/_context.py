"""What a worker may act on now, and what the loop and its steps share."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable
from datetime import datetime
from functools import cached_property
from math import inf
from typing import Any, TypeVar

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from zoho_crm.client import MAX_IDS_PER_CALL
from zoho_crm.conf import conf
from zoho_crm.matching import Decision
from zoho_crm.models import (
    Connection,
    ConnectionWork,
    LeadConversion,
    MassConversion,
    from_now,
    holds,
)
from zoho_crm.models._moves import Move
from zoho_crm.services.mass_convert._steps import canaries_passed
from zoho_crm.services.work._health import ConnectionHealth
from zoho_crm.services.work._requests import CallPool, WorkItem

RequestT = TypeVar("RequestT")
#: Threads for the access token, besides those of the calls to Zoho.
EXTRA_THREADS = 1

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
        #: The generators that have not ended.
        self.items: set[WorkItem] = set()
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

    @property
    def free_calls(self) -> int:
        """The number of calls to Zoho that may start now."""
        limit = 0 if self.health.needs_token else self.health.limit.calls
        return max(0, limit - self.pool.zoho_calls)

    def rows_in_flight(self) -> set[int]:
        """Return the primary keys of rows that a generator is about, or a move to be written."""
        in_items = {row.pk for item in self.items for row in item.rows}
        return in_items | {move.row.pk for move in self.moves}

    def is_begun(self, key: Hashable) -> bool:
        """Return whether there is a generator with this key that had no turn yet."""
        return any(item.key == key and not item.has_turn for item in self.items)

    def may_go_on(self) -> bool:
        """Return whether the lease is held and the connection may be worked."""
        return self._active_lease().exists()

    def _active_lease(self, for_seconds: float = 0) -> QuerySet[ConnectionWork]:
        """Return the held lease of an active connection; empty if it is not held or active."""
        lease = self.lease.held(for_seconds=for_seconds)
        return lease.filter(connection__status=Connection.Status.ACTIVE)

    @cached_property
    def lease_is_held(self) -> Q:
        """The condition for a claim: the lease outlasts a call, and the connection is active."""
        lease = self._active_lease(self.settings.CALL_DEADLINE)
        return Q(connection__in=lease.values("pk"))

    @cached_property
    def may_be_claimed(self) -> Q:
        """The condition for the claim of a lead: besides, no pause holds the row back."""
        converting = MassConversion.objects.filter(
            stage=MassConversion.Stage.CONVERTING, paused_reason=""
        )
        may_go_on = Q(mass_conversion=None) | Q(mass_conversion__in=converting.values("pk"))
        return self.lease_is_held & may_go_on

    def refresh(self, runs: list[MassConversion]) -> None:
        """Set the runs, and read which statuses have due rows; ``due_rows`` is empty for others."""
        self.runs = runs
        due = LeadConversion.objects.due().filter(connection=self.connection)
        self._due_statuses = set(due.order_by().values_list("status", flat=True).distinct())
        self.refresh_count += 1

    def due_rows(
        self,
        *statuses: str,
        limit: int = MAX_IDS_PER_CALL,
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
        rows = LeadConversion.objects.due().with_is_conclusive().annotate(**flags)
        rows = rows.filter(connection=self.connection, status__in=statuses)
        return rows.exclude(pk__in=self.rows_in_flight())

    def active_runs(self, *statuses: str) -> list[MassConversion]:
        """Return the runs that had not ended at the last refresh and hold back no such row."""
        return [run for run in self.runs if not any(map(run.blocks, statuses))]

    def canaries_passed(self, run: MassConversion) -> bool:
        """Return whether the first leads of a run have outcomes; stays so until it is resumed."""
        key = (run.pk, run.counted_from)
        if key not in self._runs_past_canaries and canaries_passed(run):
            self._runs_past_canaries.add(key)
        return key in self._runs_past_canaries


class Step:
    """One kind of work: finds what is due for it, and says what happens to each row."""

    def __init__(self, context: WorkContext) -> None:
        self._context = context
        #: The generators that wait for a call, or for others.
        self.waiting: list[WorkItem] = []
        #: When something will be due that is not yet, on the monotonic clock.
        self.due_at = inf
        self._last_refresh = 0

    def due(self) -> Iterable[WorkItem]:
        """Return new generators for what is due; only asked while a call is free."""
        return ()

    def waiting_for(self, kind: type[RequestT]) -> list[tuple[WorkItem, RequestT]]:
        """Return the generators that wait for a kind of request, with their requests."""
        return [(item, item.request) for item in self.waiting if isinstance(item.request, kind)]

    def remove(self, items: Iterable[WorkItem]) -> None:
        """Remove generators from those that wait."""
        for item in items:
            self.waiting.remove(item)

    def _is_refreshed(self) -> bool:
        """Return whether there was a refresh since this was asked last, or ``_look_again``."""
        before, self._last_refresh = self._last_refresh, self._context.refresh_count
        return before != self._last_refresh

    def _look_again(self) -> None:
        """Let the step look for what is due before the next refresh, as there may be more."""
        self._last_refresh = 0
