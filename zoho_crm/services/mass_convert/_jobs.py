"""Which rows of a run can be sent together in one of Zoho's mass-convert jobs."""

from __future__ import annotations

import hashlib
import json

from zoho_crm.conf import conf
from zoho_crm.matching import Policy
from zoho_crm.models import LeadConversion
from zoho_crm.types import ConversionPlan, Effect, Lead, as_json


def effect_of(row: LeadConversion, policy: Policy) -> Effect | None:
    """Return the effect of a job that carries out the row's plan; ``None`` if none can."""
    lead, plan = row.stored_lead(), row.stored_plan()
    if lead is None or plan is None or row.follows_id is not None:
        return None
    return effect_of_plan(lead, plan, policy)


def effect_of_plan(lead: Lead, plan: ConversionPlan, policy: Policy) -> Effect | None:
    """
    Return the effect of a job that carries out a plan; ``None`` if only a single call can.

    A job creates all records, does the same to all its leads, and assigns the records to one owner:
    where each lead keeps its owner, there is one effect per owner.
    """
    if plan.contact_id or plan.account_id:
        return None
    if plan.notify_lead_owner or plan.notify_new_owner or plan.overwrite:
        return None
    if plan.deal and not (policy.deal and policy.deal.is_same_for_all):
        return None
    if plan.deal and plan.deal.contact_role:  # only a single conversion sets the contact's role
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
    """Return the smallest number of leads for which a job costs fewer credits than single calls."""
    costs = conf().costs
    return costs["mass_convert"] // max(1, costs["convert"]) + 1


def effect_key(effect: Effect | None) -> str:
    """Return a hash of the effect, by which rows are gathered for a job; empty for none."""
    if effect is None:
        return ""
    text = json.dumps(as_json(effect), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _carries_all_tags(lead: Lead, plan: ConversionPlan) -> bool:
    return all(set(names) == set(lead.tags) for names in plan.tags.values())
