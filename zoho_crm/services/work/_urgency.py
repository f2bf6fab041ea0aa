"""What goes first: a person's conversion, then a program's, then those of runs, one by one."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, IntegerField, Value, When

from zoho_crm.models import LeadConversion

#: Within a run all is equal, and the index has it in this order.
IN_A_RUN = ("due_at", "pk")
OUTSIDE_RUNS = (
    Case(
        When(approved_by__isnull=False, then=Value(0)),
        default=Value(1),
        output_field=IntegerField(),
    ),
    *IN_A_RUN,
)


def urgency(row: LeadConversion) -> tuple[Any, ...]:
    """Return the key that puts rows to be sent into the same order."""
    return row.mass_conversion_id or 0, row.approved_by_id is None, row.due_at, row.pk
