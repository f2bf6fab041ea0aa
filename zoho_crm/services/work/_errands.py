"""What threads do for a row: call Zoho, or think; no table is touched, but for the token's."""

from __future__ import annotations

import time

from django.db import connections

from zoho_crm import matching
from zoho_crm.client import ZohoClient
from zoho_crm.matching import Preview
from zoho_crm.models import LeadConversion, Move
from zoho_crm.services import _life, tokens
from zoho_crm.services.preview import preview_seen
from zoho_crm.types import ConversionPlan, Converted, Lead, Scheduled, Secret


def checked(row: LeadConversion, lead: Lead | None) -> Move:
    """Say what a read just before sending means: the claim, if it is what was approved."""
    if lead is None:
        return _life.afresh(row, gone=True)
    if lead.converted:
        return _life.read_converted(row, lead.converted)
    seen = row.lead_seen()
    changed = matching.changes(seen, lead) if seen else ("id",)
    return _life.afresh(row, changed=list(changed)) if changed else _life.claimed(row)


def settled(row: LeadConversion, lead: Lead | None) -> Move:
    """Say what reading back a lead in doubt means."""
    return _life.read(row, lead, counts=row.counts)


def renewed(row: LeadConversion, found: Preview) -> Move:
    """Say what a new preview of an approved row means."""
    if found.lead and found.lead.converted:
        return _life.read_converted(row, found.lead.converted)
    seen = preview_seen(row)
    unchanged = seen.lead and found.lead and not matching.changes(seen.lead, found.lead)
    if unchanged and matching.same_matches(seen, found):
        return _life.renewed(row, found)
    return _life.afresh(row, changed=["matches"])


def convert(client: ZohoClient, row: LeadConversion, latest: float) -> Converted | Scheduled:
    """Convert a lead as planned, unless it is later than ``latest`` on this process's clock."""
    plan = row.planned() or ConversionPlan()
    return client.leads.convert(row.lead_id, plan, may_send=lambda: time.monotonic() <= latest)


def fetch_token(connection_id: int, rejected: Secret | None) -> Secret:
    """Get an access token: the one errand that touches a table, so it closes its connection."""
    try:
        if rejected is None:
            return tokens.access_token(connection_id=connection_id)
        return tokens.renew(connection_id=connection_id, rejected=rejected)
    finally:
        connections.close_all()
