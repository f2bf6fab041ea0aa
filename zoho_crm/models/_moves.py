"""How a lead's row may move: the steps of its life, and the one primitive that takes them."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from django.db import models, transaction
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from zoho_crm.models._bulk import insert_copies, insert_with_time, update_rows
from zoho_crm.models._time import DbNow
from zoho_crm.types import JsonObject

if TYPE_CHECKING:
    from zoho_crm.models._conversion import LeadConversion


class Status(models.TextChoices):
    """Where a lead is on its way."""

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
#: What each status may become; to stay is a step too, with an event of its own.
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
    # Outside production a world that was rebuilt may show the lead open again.
    _S.CONVERTED: frozenset({_S.NEW}),
}


@dataclass(frozen=True, kw_only=True)
class Move:
    """One step of one row, from the version that was seen."""

    row: LeadConversion
    to: Status
    #: Columns to set; expressions of the database's clock are welcome.
    values: Mapping[str, Any] = field(default_factory=dict)
    #: For the journal: who, what was sent, what was read.
    by: str = ""
    payload_hash: str = ""
    details: JsonObject = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.to not in TRANSITIONS[Status(self.row.status)]:
            raise ValueError(f"{self.row.status} never becomes {self.to}.")

    def apply(self) -> None:
        """Bring the row in hand up to date; what only the database knows stays as it was seen."""
        self.row.status, self.row.version = self.to, self.row.version + 1
        for name, value in self.values.items():
            if not _is_computed(value):
                setattr(self.row, name, value)


class LeadConversionQuerySet(models.QuerySet["LeadConversion"]):
    """Rows of leads: the queue, and the only way to move them."""

    # Mutators

    def add(self, lead_ids: Iterable[str], **alike: Any) -> None:
        """Give leads their rows, all alike; a lead that has one already keeps it as it is."""
        with transaction.atomic(using=self.db):
            insert_copies(self.model(**alike), "lead_id", lead_ids, using=self.db)

    def move(self, moves: Iterable[Move], *, only_if: Q | None = None) -> list[Move]:
        """
        Take the steps that are still possible, each with its event, in short transactions.

        A row that somebody else moved since it was seen, or that is not ``only_if``, stays. Those
        that moved are up to date in hand too, but for what the database's clock set.

        :return: the moves that were made
        """
        groups: dict[tuple[Any, ...], list[Move]] = defaultdict(list)
        for move in moves:
            groups[move.row.status, move.row.version, move.to, _columns(move)].append(move)
        return [made for group in groups.values() for made in self._move_group(group, only_if)]

    def _move_group(self, group: list[Move], only_if: Q | None) -> list[Move]:
        first = group[0]
        claim_id = uuid.uuid4().hex
        seen = Q(pk__in=[move.row.pk for move in group], version=first.row.version)
        seen &= Q(status=first.row.status)
        common = first.values if len(group) == 1 else _shared(group)
        with transaction.atomic(using=self.db):
            count = self.filter(seen if only_if is None else seen & only_if).update(
                status=first.to, version=F("version") + 1, claim_id=claim_id, **common
            )
            made = group if count == len(group) else self._claimed(group, claim_id)
            self._write_own_values(made, common)
            self._write_events(made)
        for move in made:
            move.apply()
        return made

    def _claimed(self, group: list[Move], claim_id: str) -> list[Move]:
        pks = {move.row.pk for move in group}
        claimed = set(self.filter(pk__in=pks, claim_id=claim_id).values_list("pk", flat=True))
        return [move for move in group if move.row.pk in claimed]

    def _write_own_values(self, made: list[Move], common: Mapping[str, Any]) -> None:
        names = sorted(made[0].values.keys() - common.keys()) if made else []
        if names:
            rows = [(*(move.values[name] for name in names), move.row.pk) for move in made]
            update_rows(self.model, names, rows, using=self.db)

    def _write_events(self, made: list[Move]) -> None:
        insert_with_time(
            self.model.events.rel.related_model,
            "at",
            ("conversion", "version", "from_status", "to_status", "by", "payload_hash", "details"),
            [
                (
                    move.row.pk,
                    move.row.version + 1,
                    move.row.status,
                    move.to,
                    move.by,
                    move.payload_hash,
                    move.details,
                )
                for move in made
            ],
            using=self.db,
        )

    # Queries

    def due(self) -> LeadConversionQuerySet:
        """Return the rows that a machine should act on now, if their connection is to be worked."""
        return self.filter(due_at__lte=DbNow())

    def workable(self) -> LeadConversionQuerySet:
        """Return the rows that nothing holds back: of no run, or of one that goes on."""
        held = Q()
        for status, stages in STARTABLE_STAGES.items():
            goes_on = Q(mass_conversion__paused_reason="", mass_conversion__stage__in=stages)
            held |= Q(status=status) & ~goes_on
        return self.filter(Q(mass_conversion=None) | ~held)

    def unfinished(self) -> LeadConversionQuerySet:
        """Return the rows that are not at rest."""
        return self.filter(status__in=IN_PROGRESS)


#: In which stages of their run rows may begin to be read, and to be sent.
STARTABLE_STAGES: Mapping[str, tuple[str, ...]] = {
    Status.NEW: ("STAGING", "PREVIEWING", "CONVERTING"),
    Status.READY: ("CONVERTING",),
}


def _columns(move: Move) -> tuple[Any, ...]:
    """Return what moves must have alike to go together: the columns, and what is computed."""
    values = sorted(move.values.items(), key=itemgetter(0))
    return tuple((name, value if _is_computed(value) else None) for name, value in values)


def _is_computed(value: Any) -> bool:
    """Whether it is for the database to say what it is."""
    return hasattr(value, "resolve_expression")


def _shared(group: list[Move]) -> dict[str, Any]:
    """Return the values that are the same for the whole group."""
    first = group[0].values
    return {
        name: value
        for name, value in first.items()
        if all(_equal(move.values[name], value) for move in group)
    }


def _equal(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and bool(one == other))
