"""What goes first: a person's conversion, then a program's, then a run's."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, IntegerField, Value, When

from zoho_crm.models import LeadConversion

MOST_URGENT_FIRST = (
    Case(
        When(mass_conversion__isnull=False, then=Value(2)),
        When(approved_by__isnull=False, then=Value(0)),
        default=Value(1),
        output_field=IntegerField(),
    ),
    "due_at",
    "pk",
)


def urgency(row: LeadConversion) -> tuple[Any, ...]:
    """Return the key that puts rows to be sent into the same order."""
    return row.mass_conversion_id is not None, row.approved_by_id is None, row.due_at, row.pk
