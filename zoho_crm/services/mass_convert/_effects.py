"""Which rows of a run may go by Zoho's mass conversion, and with what effect."""

from __future__ import annotations

import hashlib
import json

from zoho_crm.conf import conf
from zoho_crm.matching import Policy
from zoho_crm.models import LeadConversion
from zoho_crm.types import ConversionPlan, Effect, Lead, as_json


def effect_of(row: LeadConversion, policy: Policy) -> Effect | None:
    """
    Return what a job would have to do to this row; ``None`` if only a single call can.

    A job creates everything, treats all its leads alike, and gives the records to one owner:
    keeping the owner means one effect an owner.
    """
    lead, plan = row.lead_seen(), row.planned()
    if lead is None or plan is None or not _creates_everything(row, plan):
        return None
    if plan.notify_lead_owner or plan.notify_new_owner or plan.overwrite:
        return None
    if plan.deal and not (policy.deal and policy.deal.is_same_for_all):
        return None
    owner_id = plan.owner_id or (lead.owner.id if lead.owner else "")
    if not owner_id or not _carries_all_tags(lead, plan):
        return None
    return Effect(
        owner_id=owner_id,
        deal=plan.deal,
        tags_to=tuple(sorted(plan.tags)),
        attachments_to=plan.move_attachments_to,
    )


def min_job_size() -> int:
    """Return from how many leads on a job costs fewer credits than single calls."""
    costs = conf().CREDIT_COSTS
    return costs.get("mass_convert", 200) // max(1, costs.get("convert", 5)) + 1


def effect_key(effect: Effect | None) -> str:
    """Return what rows of one effect have in common; empty for none."""
    if effect is None:
        return ""
    text = json.dumps(as_json(effect), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _creates_everything(row: LeadConversion, plan: ConversionPlan) -> bool:
    return row.follows_id is None and not plan.contact_id and not plan.account_id


def _carries_all_tags(lead: Lead, plan: ConversionPlan) -> bool:
    return all(set(names) == set(lead.tags) for names in plan.tags.values())
