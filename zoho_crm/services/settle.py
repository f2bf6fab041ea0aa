"""Find out what became of a conversion whose answer never came."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from zoho_crm.models import DbNow, LeadConversion, holds
from zoho_crm.services import lifecycle, tokens
from zoho_crm.services._zoho import outside_transaction

IN_DOUBT = (LeadConversion.Status.UNKNOWN, LeadConversion.Status.SCHEDULED)


def settle(*, conversion_id: int) -> LeadConversion:
    """
    Read a lead in doubt back now, and note what that proves; any other row is returned as it is.

    A read between two that are due can prove a conversion, but never its absence.

    :raises ZohoError: if Zoho cannot be asked; then nothing is noted
    """
    outside_transaction()
    row = with_counting(LeadConversion.objects.select_related("connection")).get(pk=conversion_id)
    if row.status not in IN_DOUBT:
        return row
    lead = tokens.client_for(row.connection).leads.get_many([row.lead_id]).get(row.lead_id)
    if row.is_conclusive or (lead is not None and lead.converted):
        LeadConversion.objects.move(
            [lifecycle.read_back(row, lead, is_conclusive=row.is_conclusive)]
        )
        row.refresh_from_db()
    return row


def with_counting(rows: QuerySet[LeadConversion]) -> QuerySet[LeadConversion]:
    """Annotate ``is_conclusive``: whether a read that begins now may count as "not converted"."""
    now = Q(due_at__lte=DbNow(), quiet_until__lte=DbNow())
    flags: dict[str, Any] = {"is_conclusive": holds(now)}
    return rows.annotate(**flags)
