"""What goes first: a person's conversion, settling, sending; previews have a query of their own."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, IntegerField, Value, When

from zoho_crm.models import LeadConversion

Status = LeadConversion.Status

MOST_URGENT_FIRST = (
    Case(
        When(status=Status.READY, approved_by__isnull=False, then=Value(0)),
        When(status__in=[Status.UNKNOWN, Status.SCHEDULED], then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    ),
    "due_at",
    "pk",
)


def urgency(row: LeadConversion) -> tuple[Any, ...]:
    """Return the key that puts rows to be sent into the same order."""
    return row.approved_by_id is None, row.due_at, row.pk
