"""The rows of a few leads in the real tables, for a machine that compares them with a model."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models import BooleanField, Case, F, When

from tests.services.model import Life
from tests.services.truth import MATCH, Truth
from zoho_crm.matching import Preview, assess
from zoho_crm.models import Connection, DbNow, LeadConversion, LeadConversionEvent, Move
from zoho_crm.services.preview import get_or_create_row
from zoho_crm.services.settle import with_is_conclusive
from zoho_crm.types import ConversionOptions, Converted, Environment, Lead, Match

BECAME = Converted(contact_id="2")
OPTIONS = ConversionOptions(contacts=(Match(id=MATCH, name="Ines Albrecht"),))
#: The last read of a row that goes to a person is not counted, and decides nothing any more.
CLOSED = ("NEEDS_REVIEW", "SKIPPED", "CONVERTED")
COLUMNS = ("status", "version", "in_doubt", "attempts", "negative_reads", "converted_by")


def lead_as(view: str, truth: Truth, lead_id: str) -> Lead | None:
    """Return what the client returns of a lead that a read shows so."""
    if view == "nothing":
        return None
    if view == "converted":
        return Lead(id=lead_id, converted=BECAME)
    return Lead(id=lead_id, fields={"Company": f"Nordwind {truth.edition}"})


def preview_of(view: str, truth: Truth, lead_id: str) -> Preview:
    """Return what a preview finds."""
    has_options = view == "open" and truth.has_match
    return assess(lead_as(view, truth, lead_id), OPTIONS if has_options else None)


def said_by(life: Life) -> dict[str, Any]:
    """Return what the row must say, with the plan only where it is about to be sent."""
    said = {name: getattr(life, name) for name in COLUMNS}
    is_sent = life.status in ("READY", "RUNNING")
    return {
        **said,
        "negative_reads": life.negative_reads if life.status not in CLOSED else None,
        "policy": life.policy,
        "decided": life.decided,
        "plan": life.plan if is_sent else None,
        "is_due": life.is_due if life.is_sure else None,
        "is_conclusive": life.is_conclusive if life.is_sure else None,
    }


class Tables:
    """The rows of one connection."""

    def __init__(self) -> None:
        self.connection = Connection.objects.create(
            name="model", data_center="us", environment=Environment.PRODUCTION, org_id="1"
        )
        self._last_event = 0

    def add(self, lead_id: str) -> int:
        """Make the row of a lead, and return its key."""
        return get_or_create_row(connection_id=self.connection.pk, lead_id=lead_id).pk

    def row(self, pk: int) -> LeadConversion:
        """Return a row as a worker reads it."""
        return with_is_conclusive(LeadConversion.objects.all()).get(pk=pk)

    def move(self, move: Move) -> None:
        """Take a step that nobody can have overtaken."""
        assert LeadConversion.objects.move([move]) == [move]

    def later(self, seconds: int) -> None:
        """Let time go on without waiting."""
        LeadConversion.objects.update(
            **{name: F(name) - timedelta(seconds=seconds) for name in ("due_at", "quiet_until")}
        )

    def said(self, life_of: dict[int, Life]) -> dict[int, dict[str, Any]]:
        """Return what all rows say, as ``said_by`` does of the model."""
        due = Case(When(due_at__lte=DbNow(), then=True), default=False, output_field=BOOLEAN)
        rows = with_is_conclusive(LeadConversion.objects.annotate(is_due=due))
        return {row.pk: _said(row, life_of[row.pk]) for row in rows}

    def new_events(self) -> Iterator[LeadConversionEvent]:
        """Yield the events since the last call."""
        for event in LeadConversionEvent.objects.filter(pk__gt=self._last_event).order_by("pk"):
            self._last_event = event.pk
            yield event


BOOLEAN = BooleanField()


def _said(row: Any, life: Life) -> dict[str, Any]:
    said = {name: getattr(row, name) for name in COLUMNS}
    plan = row.stored_plan() if row.status in ("READY", "RUNNING") else None
    return {
        **said,
        "negative_reads": row.negative_reads if row.status not in CLOSED else None,
        "policy": bool(row.policy),
        "decided": row.decided_by_id is not None,
        "plan": plan and plan.contact_id,
        "is_due": row.is_due if life.is_sure else None,
        "is_conclusive": row.is_conclusive if life.is_sure else None,
    }
