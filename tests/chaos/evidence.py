"""Rows, journal and ledger when a run is over, as the checker takes them."""

from __future__ import annotations

from tests.chaos.checker import Event, Row, RunRecords
from zoho_crm.models import LeadConversion, LeadConversionEvent
from zoho_crm.simulator import Simulator


def evidence(zoho: Simulator, *, max_concurrency: int, call_deadline: float) -> RunRecords:
    """Gather all that is known."""
    columns = ("lead_id", "status", "version", "converted_by", "error_code")
    ids = ("contact_id", "account_id", "deal_id")
    rows = [
        Row(
            lead_id=row["lead_id"],
            status=row["status"],
            version=row["version"],
            by=row["converted_by"],
            ids=(row["contact_id"], row["account_id"], row["deal_id"]),
            error_code=row["error_code"],
        )
        for row in LeadConversion.objects.values(*columns, *ids)
    ]
    events = [
        Event(
            lead_id=event["conversion__lead_id"],
            version=event["version"],
            from_status=event["from_status"],
            to_status=event["to_status"],
            at=event["at"],
            payload_hash=event["payload_hash"],
        )
        for event in LeadConversionEvent.objects.values(
            "conversion__lead_id", "version", "from_status", "to_status", "at", "payload_hash"
        )
    ]
    return RunRecords(
        ledger=zoho.ledger(),
        rows=rows,
        events=events,
        max_concurrency=max_concurrency,
        call_deadline=call_deadline,
    )
