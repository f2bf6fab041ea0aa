"""The rows of a few leads in the real tables, for the state machine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models import BooleanField, Case, F, When

from tests.services.model import ExpectedRow
from tests.services.truth import MATCH, Truth
from zoho_crm.matching import Preview, assess
from zoho_crm.models import Connection, LeadConversion, LeadConversionEvent
from zoho_crm.models._database import DbNow
from zoho_crm.models._moves import Move
from zoho_crm.services.preview import get_or_create_row
from zoho_crm.types import ConversionOptions, Converted, Environment, Lead, Match

BECAME = Converted(contact_id="2")
OPTIONS = ConversionOptions(contacts=(Match(id=MATCH, name="Ines Albrecht"),))
#: Statuses in which the last negative read need not be counted.
CLOSED = ("NEEDS_REVIEW", "SKIPPED", "CONVERTED")
COLUMNS = ("status", "version", "in_doubt", "attempts", "negative_reads", "converted_by")


def lead_as(view: str, truth: Truth, lead_id: str) -> Lead | None:
    """Return what the client returns for a view: ``open``, ``converted`` or ``nothing``."""
    if view == "nothing":
        return None
    if view == "converted":
        return Lead(id=lead_id, converted=BECAME)
    return Lead(id=lead_id, fields={"Company": f"Nordwind {truth.edits}"})


def preview_of(view: str, truth: Truth, lead_id: str) -> Preview:
    """Return the preview for a view."""
    has_options = view == "open" and truth.has_match
    return assess(lead_as(view, truth, lead_id), OPTIONS if has_options else None)


def expected_columns(expected: ExpectedRow) -> dict[str, Any]:
    """Return the columns that a row must have; a plan only if it is READY or RUNNING."""
    columns = {name: getattr(expected, name) for name in COLUMNS}
    is_sent = expected.status in ("READY", "RUNNING")
    return {
        **columns,
        "negative_reads": expected.negative_reads if expected.status not in CLOSED else None,
        "policy": expected.policy,
        "decided": expected.decided,
        "plan": expected.plan if is_sent else None,
        "is_due": expected.is_due if expected.is_due_certain else None,
        "is_conclusive": expected.is_conclusive if expected.is_due_certain else None,
    }


class Tables:
    """The rows of one connection."""

    def __init__(self) -> None:
        self.connection = Connection.objects.create(
            name="model", data_center="us", environment=Environment.PRODUCTION, org_id="1"
        )
        self._last_event = 0

    def add(self, lead_id: str) -> int:
        """Create the row of a lead, and return its primary key."""
        return get_or_create_row(connection_id=self.connection.pk, lead_id=lead_id).pk

    def row(self, pk: int) -> LeadConversion:
        """Return a row as a worker reads it."""
        return LeadConversion.objects.with_is_conclusive().get(pk=pk)

    def move(self, move: Move) -> None:
        """Write a move of a row that no other process moves."""
        assert LeadConversion.objects.move([move]) == [move]

    def later(self, seconds: int) -> None:
        """Let time pass by moving all times back."""
        LeadConversion.objects.update(
            **{name: F(name) - timedelta(seconds=seconds) for name in ("due_at", "quiet_until")}
        )

    def columns(self, expected_rows: dict[int, ExpectedRow]) -> dict[int, dict[str, Any]]:
        """Return the columns of all rows, by primary key, to compare with ``expected_columns``."""
        due = Case(When(due_at__lte=DbNow(), then=True), default=False, output_field=BOOLEAN)
        rows = LeadConversion.objects.with_is_conclusive().annotate(is_due=due)
        return {row.pk: _columns(row, expected_rows[row.pk]) for row in rows}

    def new_events(self) -> Iterator[LeadConversionEvent]:
        """Yield the events since the last call."""
        for event in LeadConversionEvent.objects.filter(pk__gt=self._last_event).order_by("pk"):
            self._last_event = event.pk
            yield event


BOOLEAN = BooleanField()


def _columns(row: Any, expected: ExpectedRow) -> dict[str, Any]:
    columns = {name: getattr(row, name) for name in COLUMNS}
    plan = row.stored_plan() if row.status in ("READY", "RUNNING") else None
    return {
        **columns,
        "negative_reads": row.negative_reads if row.status not in CLOSED else None,
        "policy": bool(row.policy),
        "decided": row.decided_by_id is not None,
        "plan": plan and plan.contact_id,
        "is_due": row.is_due if expected.is_due_certain else None,
        "is_conclusive": row.is_conclusive if expected.is_due_certain else None,
    }
