"""Settle conversions in doubt: read the lead and record whether it was converted."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from zoho_crm.models import LeadConversion, holds
from zoho_crm.models._time import DbNow
from zoho_crm.services import clients, lifecycle

IN_DOUBT = (LeadConversion.Status.UNKNOWN, LeadConversion.Status.SCHEDULED)


def settle(*, conversion_id: int) -> LeadConversion:
    """
    Read the lead of a conversion in doubt now and record the result; return the row.

    A read before the row is due can prove a conversion, but does not count as "not converted". A
    row that is not in doubt is returned unchanged.

    :raises ZohoError: if Zoho cannot be asked; then nothing is recorded
    """
    row = with_is_conclusive(LeadConversion.objects.select_related("connection")).get(
        pk=conversion_id
    )
    if row.status not in IN_DOUBT:
        return row
    lead = clients.client_for(row.connection).leads.get_many([row.lead_id]).get(row.lead_id)
    if row.is_conclusive or (lead is not None and lead.converted):
        LeadConversion.objects.move(
            [lifecycle.read_back(row, lead, is_conclusive=row.is_conclusive)]
        )
        row.refresh_from_db()
    return row


def with_is_conclusive(rows: QuerySet[LeadConversion]) -> QuerySet[LeadConversion]:
    """Annotate ``is_conclusive``: whether a read that starts now may count as "not converted"."""
    is_due = Q(due_at__lte=DbNow(), quiet_until__lte=DbNow())
    flags: dict[str, Any] = {"is_conclusive": holds(is_due)}
    return rows.annotate(**flags)
