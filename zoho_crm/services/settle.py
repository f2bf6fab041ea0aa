"""Settle conversions in doubt: read the lead and record whether it was converted."""

from __future__ import annotations

from zoho_crm.models import LeadConversion
from zoho_crm.services import clients, lifecycle

IN_DOUBT = (LeadConversion.Status.UNKNOWN, LeadConversion.Status.SCHEDULED)


def settle(*, conversion_id: int) -> LeadConversion:
    """
    Read the lead of a conversion in doubt now and record the result; return the row.

    A read before the row is due can prove a conversion, but does not count as "not converted". A
    row that is not in doubt is returned unchanged.

    :raises ZohoError: if Zoho cannot be asked; then nothing is recorded
    """
    rows = LeadConversion.objects.with_is_conclusive().select_related("connection")
    row = rows.get(pk=conversion_id)
    if row.status not in IN_DOUBT:
        return row
    lead = clients.client_for(row.connection).leads.get_many([row.lead_id]).get(row.lead_id)
    if row.is_conclusive or (lead is not None and lead.converted):
        LeadConversion.objects.move(
            [lifecycle.read_back(row, lead, is_conclusive=row.is_conclusive)]
        )
        row.refresh_from_db()
    return row
