"""What a run's own policy makes of a preview: from the row and what was read to a move."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from zoho_crm import matching
from zoho_crm.client import ZohoClient
from zoho_crm.matching import Action, DecisionContext, Policy, Preview
from zoho_crm.models import LeadConversion, MassConversion, Move
from zoho_crm.services import lifecycle
from zoho_crm.types import ConversionPlan, Lead, Verdict, as_json

Status = LeadConversion.Status
#: By which field of a record a policy tells several apart.
LATEST: Mapping[str, str] = {
    Action.NEWEST: "Created_Time",
    Action.MOST_RECENTLY_ACTIVE: "Last_Activity_Time",
}


def previewed_in_run(
    row: LeadConversion, preview: Preview, policy: Policy, context: DecisionContext
) -> Move:
    """The lead was read, and what it could become; the run's policy decides if it can."""
    move = lifecycle.previewed(row, preview)
    if move.to != Status.PREVIEWED:
        return move
    run = row.mass_conversion
    if run and run.stage == MassConversion.Stage.CONVERTING:
        # It is not what was shown when the run was started.
        unseen = {"plan": None, "decided_by": None, "follows": None, "joins": ""}
        unseen |= {"reason": preview.reason or "changed", **keys_of(None, None)}
        return replace(move, values={**move.values, **unseen})
    if "plan" not in move.values:
        kept = keys_of(preview.lead, row.planned())
        return replace(move, values={**move.values, **kept})
    decision = matching.decide_by(policy, preview, context)
    values: dict[str, Any] = {**move.values, "plan": as_json(decision.plan)}
    values["reason"] = decision.reason or move.values["reason"]
    values |= keys_of(preview.lead, decision.plan)
    return replace(move, to=Status.SKIPPED if decision.skip else move.to, values=values)


def latest_of(client: ZohoClient, policy: Policy, preview: Preview) -> Mapping[str, datetime]:
    """
    Return when each of several matches was made, or last active, if the policy goes by that.

    :raises ZohoError: if Zoho cannot be asked now
    """
    field = LATEST.get(policy.on_several_matches)
    if field is None or preview.verdict != Verdict.SEVERAL_MATCHES:
        return {}
    contacts = preview.options.contacts
    module, matches = ("Contacts", contacts) if contacts else ("Accounts", preview.options.accounts)
    records = client.records(module).get_many([match.id for match in matches], fields=(field,))
    times = {record_id: values.get(field) for record_id, values in records.items()}
    return {record_id: datetime.fromisoformat(time) for record_id, time in times.items() if time}


def keys_of(lead: Lead | None, plan: ConversionPlan | None) -> dict[str, str]:
    """Return the columns that say which records the plan would create."""
    if lead is None or plan is None:
        return {"contact_key": "", "account_key": "", "similar_key": ""}
    account = matching.account_key(lead, plan)
    return {
        "contact_key": _digest(matching.contact_key(lead, plan)),
        "account_key": _digest(account),
        "similar_key": _digest(matching.similar_key(account)),
    }


def _digest(key: str) -> str:
    # A company may have 200 letters; an index should not.
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest() if key else ""
