"""What the pages of a lead conversion share: its state, and the values that were read."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from zoho_crm.admin._base import has_any_permission
from zoho_crm.admin._html import state_html
from zoho_crm.models import LeadConversion
from zoho_crm.services.presentation import field_label
from zoho_crm.services.preview import PREVIEWABLE, REOPENABLE
from zoho_crm.services.settle import IN_DOUBT
from zoho_crm.services.states import (
    can_be_decided,
    can_be_skipped,
    describe_conversion,
    is_in_review,
)
from zoho_crm.types import Lead, Match


def state_context(request: HttpRequest, row: LeadConversion) -> dict[str, Any]:
    """Return the template variables for the state of a row and its possible actions."""
    return {
        "row": row,
        "state": state_html(describe_conversion(row)),
        "can_decide": can_be_decided(row),
        "may_decide": may_decide(request, row),
        "can_preview_again": can_preview_again(row),
        "can_skip": can_be_skipped(row),
        "can_settle": row.status in IN_DOUBT,
        "is_in_progress": not row.is_at_rest,
        "can_close": row.status == LeadConversion.Status.NEEDS_REVIEW,
    }


def shown_values(record: Lead | Match) -> list[tuple[str, str]]:
    """Return the values that were read of a record, each with the label of its field."""
    return [(field_label(name), value) for name, value in record.fields.items() if value]


def can_preview_again(row: LeadConversion) -> bool:
    """Return whether a lead may be previewed anew on its own."""
    return row.status in PREVIEWABLE | REOPENABLE and not row.is_in_run


def may_decide(request: HttpRequest, row: LeadConversion) -> bool:
    """Return whether the user may decide about this lead, as part of a run or on its own."""
    needed = "prepare_massconversion" if is_in_review(row) else "approve_leadconversion"
    return has_any_permission(request, needed, of=row)
