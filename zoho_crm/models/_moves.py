"""
Moves: conditional changes of status with an event in a journal; and those of lead conversions.

``MovingQuerySet.move`` is the only code that changes a status or a version.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Q
from django.db.models.expressions import Expression
from django.utils.translation import gettext_lazy as _

from zoho_crm.models._database import (
    DbNow,
    PrimaryQuerySet,
    holds,
    insert_copies,
    insert_with_time,
    update_rows,
)
from zoho_crm.types import JsonObject, storable

if TYPE_CHECKING:
    from django.db.models.sql.compiler import SQLCompiler

    from zoho_crm.models._conversion import LeadConversion

#: A model with ``status``, ``version``, ``claim_id``, ``TRANSITIONS`` and a journal, ``events``.
RowT = TypeVar("RowT", bound=models.Model)
StatusT = TypeVar("StatusT", bound=models.TextChoices)
MoveT = TypeVar("MoveT", bound="BaseMove[Any, Any]")

#: The length of the column that holds who made a move; what a user is called may be longer.
MAX_BY_LENGTH = 150


class Status(models.TextChoices):
    """The status of a lead conversion."""

    NEW = "NEW", _("to be previewed")
    PREVIEWED = "PREVIEWED", _("previewed")
    READY = "READY", _("to be sent")
    RUNNING = "RUNNING", _("being sent")
    SCHEDULED = "SCHEDULED", _("scheduled at Zoho")
    UNKNOWN = "UNKNOWN", _("being checked")
    CONVERTED = "CONVERTED", _("converted")
    FAILED = "FAILED", _("refused")
    SKIPPED = "SKIPPED", _("left out")
    NEEDS_REVIEW = "NEEDS_REVIEW", _("needs a person")


#: Statuses that a worker still has to act on.
IN_PROGRESS = (Status.NEW, Status.READY, Status.RUNNING, Status.SCHEDULED, Status.UNKNOWN)

_S = Status
#: The statuses that may follow each status; one that stays the same is a move with its event too.
TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    _S.NEW: frozenset({_S.NEW, _S.PREVIEWED, _S.CONVERTED, _S.SKIPPED, _S.NEEDS_REVIEW}),
    _S.PREVIEWED: frozenset(
        {_S.PREVIEWED, _S.READY, _S.SKIPPED, _S.NEW, _S.CONVERTED, _S.NEEDS_REVIEW}
    ),
    _S.READY: frozenset({_S.READY, _S.RUNNING, _S.NEW, _S.CONVERTED, _S.SKIPPED, _S.NEEDS_REVIEW}),
    _S.RUNNING: frozenset({_S.CONVERTED, _S.FAILED, _S.SCHEDULED, _S.UNKNOWN, _S.READY}),
    _S.SCHEDULED: frozenset({_S.SCHEDULED, _S.CONVERTED, _S.UNKNOWN}),
    _S.UNKNOWN: frozenset(
        {_S.UNKNOWN, _S.CONVERTED, _S.READY, _S.SKIPPED, _S.FAILED, _S.NEEDS_REVIEW}
    ),
    _S.FAILED: frozenset({_S.NEW, _S.CONVERTED}),
    _S.SKIPPED: frozenset({_S.NEW, _S.PREVIEWED, _S.CONVERTED}),
    _S.NEEDS_REVIEW: frozenset({_S.NEEDS_REVIEW, _S.NEW, _S.SKIPPED, _S.CONVERTED}),
    # A sandbox that was rebuilt may show the lead open again.
    _S.CONVERTED: frozenset({_S.NEW}),
}


@dataclass(frozen=True, kw_only=True)
class BaseMove(Generic[RowT, StatusT]):
    """
    A change of one row from the version that was read: its new status, and its columns.

    It keeps that version, so that it can be written again after a transaction was rolled back.
    """

    row: RowT
    to: StatusT
    #: Columns to set, by name: values, or expressions such as ``DbNow()``.
    values: Mapping[str, Any] = field(default_factory=dict)
    #: Columns of the event: who decided it, the hash of what was sent, what was read.
    by: str = ""
    payload_hash: str = ""
    details: JsonObject = field(default_factory=dict)
    #: The status and the version of the row when the move was made.
    from_status: StatusT = field(init=False)
    from_version: int = field(init=False)

    def __post_init__(self) -> None:
        row: Any = self.row
        object.__setattr__(self, "from_status", type(self.to)(row.status))
        object.__setattr__(self, "from_version", row.version)
        if self.to not in row.TRANSITIONS[self.from_status]:
            raise ValueError(f"{row.status} cannot become {self.to}.")

    def apply(self) -> None:
        """Set the columns on the row object, except expressions, whose value is not known here."""
        row: Any = self.row
        row.status, row.version = self.to, self.from_version + 1
        for name, value in self.values.items():
            if not _is_computed(value):
                setattr(row, name, value)


@dataclass(frozen=True, kw_only=True)
class Move(BaseMove["LeadConversion", Status]):
    """A change of one lead conversion."""

    row: LeadConversion


class NumberByRow(Expression):
    """
    A number for each row, by its primary key; null for other rows.

    To set a column of many rows with one statement. With Django's ``Case`` that takes a hundred
    times as long: it compiles a condition and a value for each row.
    """

    def __init__(self, numbers: Mapping[int, int | None]) -> None:
        super().__init__(output_field=models.BigIntegerField())
        self._numbers = numbers
        self._key: Any = F("pk")

    # Moves with the same instance are written together; Django would compare all numbers.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def get_source_expressions(self) -> list[Any]:
        return [self._key]

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        (self._key,) = exprs

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[Any, ...]]:
        key, params = compiler.compile(self._key)
        whens = " WHEN %s THEN %s" * len(self._numbers)
        numbers = chain.from_iterable(self._numbers.items())
        return f"CASE {key}{whens} END", (*params, *numbers)


class MovingQuerySet(PrimaryQuerySet[RowT]):
    """Rows with a status, a version and a journal; no other code changes a status or a version."""

    def move(self, moves: Iterable[MoveT], *, only_if: Q | None = None) -> list[MoveT]:
        """
        Move the rows that are still in the version that was read, and write an event for each.

        All are written in one transaction. A row that was moved meanwhile, or does not fulfil
        ``only_if``, stays as it is. The row objects of the moves that were made get the new
        columns, except those set by expressions.

        :return: the moves that were made
        """
        groups: dict[tuple[Any, ...], list[MoveT]] = defaultdict(list)
        for move in moves:
            groups[move.from_status, move.from_version, move.to, _columns(move)].append(move)
        with transaction.atomic(using=self.db):
            made = [move for group in groups.values() for move in self._move_group(group, only_if)]
        for move in made:
            move.apply()
        return made

    def _move_group(self, group: list[MoveT], only_if: Q | None) -> list[MoveT]:
        first = group[0]
        claim_id = uuid.uuid4().hex
        as_read = Q(pk__in=[move.row.pk for move in group], version=first.from_version)
        # An expression, which no index has: the rows are found by their primary keys, not among
        # all of this status.
        as_read &= Q(holds(status=first.from_status))
        common = first.values if len(group) == 1 else _common_values(group)
        count = self.filter(as_read if only_if is None else as_read & only_if).update(
            status=first.to, version=F("version") + 1, claim_id=claim_id, **common
        )
        made = group if count == len(group) else self._with_claim(group, claim_id)
        self._write_differing_values(made, common)
        self._write_events(made)
        return made

    def _with_claim(self, group: list[MoveT], claim_id: str) -> list[MoveT]:
        pks = {move.row.pk for move in group}
        claimed = set(self.filter(pk__in=pks, claim_id=claim_id).values_list("pk", flat=True))
        return [move for move in group if move.row.pk in claimed]

    def _write_differing_values(self, made: list[MoveT], common: Mapping[str, Any]) -> None:
        names = sorted(made[0].values.keys() - common.keys()) if made else []
        if names:
            rows = [(*(move.values[name] for name in names), move.row.pk) for move in made]
            update_rows(self.model, names, rows, using=self.db)

    def _write_events(self, made: list[MoveT]) -> None:
        events: Any = self.model.events.field  # type: ignore[attr-defined]
        insert_with_time(
            events.model,
            "at",
            (events.name, "version", "from_status", "to_status", "by", "payload_hash", "details"),
            [
                (
                    move.row.pk,
                    move.from_version + 1,
                    move.from_status,
                    move.to,
                    storable(move.by, MAX_BY_LENGTH),
                    move.payload_hash,
                    move.details,
                )
                for move in made
            ],
            using=self.db,
        )

    # Queries

    def due(self) -> Self:
        """Return the rows that a worker should act on now, if their connection may be worked."""
        return self.filter(due_at__lte=DbNow())


class LeadConversionQuerySet(MovingQuerySet["LeadConversion"]):
    """Add, move and select lead conversions."""

    # Mutators

    def add(self, lead_ids: Iterable[str], **columns: Any) -> None:
        """Insert a row with these columns for each lead id; an existing row stays as it is."""
        with transaction.atomic(using=self.db):
            insert_copies(self.model(**columns), "lead_id", lead_ids, using=self.db)

    # Queries

    def with_is_conclusive(self) -> LeadConversionQuerySet:
        """Annotate ``is_conclusive``: whether a read that starts now may count as negative."""
        may_count = Q(due_at__lte=DbNow(), quiet_until__lte=DbNow())
        flags: dict[str, Any] = {"is_conclusive": holds(may_count)}
        return self.annotate(**flags)

    def workable(self) -> LeadConversionQuerySet:
        """Return the rows of no run, and those whose run lets a row of their status begin."""
        blocked = Q()
        for status, stages in STARTABLE_STAGES.items():
            may_begin = Q(mass_conversion__paused_reason="", mass_conversion__stage__in=stages)
            blocked |= Q(status=status) & ~may_begin
        return self.filter(Q(mass_conversion=None) | ~blocked)

    def of_lead(self, lead_id: str) -> LeadConversionQuerySet:
        """Return the rows of a lead: one for each connection that has it."""
        return self.filter(lead_id=lead_id)

    def converted(self) -> LeadConversionQuerySet:
        """Return the rows whose lead is converted, by us or elsewhere."""
        return self.filter(status=Status.CONVERTED)

    def failed(self) -> LeadConversionQuerySet:
        """Return the rows whose conversion Zoho refused, with its code and message."""
        return self.filter(status=Status.FAILED)

    def needs_review(self) -> LeadConversionQuerySet:
        """Return the rows whose outcome a person has to look for at Zoho."""
        return self.filter(status=Status.NEEDS_REVIEW)

    def decided(self) -> LeadConversionQuerySet:
        """Return the rows of runs that a start would send: previewed, and with a plan."""
        has_plan = Q(plan__isnull=False, mass_conversion__isnull=False)
        return self.filter(has_plan, status=Status.PREVIEWED)

    def unfinished(self) -> LeadConversionQuerySet:
        """Return the rows that a worker still has to act on."""
        return self.filter(status__in=IN_PROGRESS)


#: The stages of a run in which its NEW rows may be read, and its READY rows be sent.
STARTABLE_STAGES: Mapping[str, tuple[str, ...]] = {
    Status.NEW: ("STAGING", "PREVIEWING", "REVIEW", "CONVERTING"),
    Status.READY: ("CONVERTING",),
}


def _columns(move: BaseMove[Any, Any]) -> tuple[Any, ...]:
    """Return what moves of one group have in common: the columns' names, and the expressions."""
    values = sorted(move.values.items(), key=itemgetter(0))
    return tuple((name, value if _is_computed(value) else None) for name, value in values)


def _is_computed(value: Any) -> bool:
    """Return whether this is an expression, which the database computes."""
    return hasattr(value, "resolve_expression")


def _common_values(group: list[MoveT]) -> dict[str, Any]:
    """Return the values that are the same for the whole group."""
    first = group[0].values
    return {
        name: value
        for name, value in first.items()
        if all(_equal(move.values[name], value) for move in group)
    }


def _equal(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and bool(one == other))
