"""Policies by their names, presets and saved ones, and what their decisions depend on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.utils.timezone import localdate
from django.utils.translation import gettext as _

from zoho_crm import client as zoho
from zoho_crm import matching
from zoho_crm.exceptions import PlanError
from zoho_crm.matching import POLICIES, Action, Decision, DecisionContext, Policy, Preview
from zoho_crm.models import LeadConversion
from zoho_crm.models import Policy as SavedPolicy
from zoho_crm.services import clients
from zoho_crm.services.choices import Choices
from zoho_crm.services.preview import stored_preview
from zoho_crm.types import Verdict

#: The field by which a policy chooses the latest of several matches.
LATEST_BY_FIELD: Mapping[str, str] = {
    Action.NEWEST: "Created_Time",
    Action.MOST_RECENTLY_ACTIVE: "Last_Activity_Time",
}


def policies() -> dict[str, Policy]:
    """Return the presets and the saved policies by name; a preset wins over a saved namesake."""
    saved = {policy.name: policy.as_value() for policy in SavedPolicy.objects.order_by("name")}
    return {**POLICIES, **saved, **POLICIES}


def find_policy(name: str) -> Policy | None:
    """Return the preset or the saved policy of this name; ``None`` if there is none."""
    if name in POLICIES:
        return POLICIES[name]
    saved = SavedPolicy.objects.filter(name=name).first()
    return saved.as_value() if saved else None


def policy_named(name: str) -> Policy:
    """
    Return the preset or the saved policy of this name.

    :raises PlanError: if there is none; it names the existing ones
    """
    policy = find_policy(name)
    if policy is None:
        message = _("There is no policy “%(name)s”; known are: %(known)s.")
        details = {"field": "policy", "name": name, "known": ", ".join(policies())}
        raise PlanError(message % details, code="no_policy", details=details)
    return policy


def decision_on(row: LeadConversion, policy: Policy) -> Decision:
    """
    Return the decision of a policy on the preview of a single lead; nothing is stored.

    :raises ZohoError: if the decision depends on more than the preview, and Zoho cannot be asked
    """
    preview = stored_preview(row)
    context = context_for(clients.client_for(row.connection), policy, preview)
    return matching.decide_by(policy, preview, context)


def context_for(
    client: zoho.ZohoClient,
    policy: Policy,
    preview: Preview,
    active_owners: frozenset[str] | None = None,
) -> DecisionContext:
    """
    Return what a policy's decision on a preview depends on; Zoho is asked only where it does.

    :param active_owners: ids of the users who may own records, as a run stores them; ``None``:
        they are read if the policy names an owner for the leads of inactive ones
    :raises ZohoError: if Zoho cannot be asked now
    """
    if active_owners is None:
        users = client.users() if policy.owner_for_inactive_id else ()
        active_owners = frozenset(Choices(users=users).active_owners)
    latest = match_times(client, policy, preview)
    return DecisionContext(today=localdate(), active_owners=active_owners, latest=latest)


def match_times(
    client: zoho.ZohoClient, policy: Policy, preview: Preview
) -> Mapping[str, datetime]:
    """
    Return when each of several matches was created or last active, by record id.

    Empty without a call if the policy does not choose by that, or there are not several matches.

    :raises ZohoError: if Zoho cannot be asked now
    """
    field = LATEST_BY_FIELD.get(policy.on_several_matches)
    if field is None or preview.verdict != Verdict.SEVERAL_MATCHES:
        return {}
    contacts = preview.options.contacts
    module, matches = ("Contacts", contacts) if contacts else ("Accounts", preview.options.accounts)
    records = client.records(module).get_many([match.id for match in matches], fields=(field,))
    times = {record_id: values.get(field) for record_id, values in records.items()}
    return {record_id: datetime.fromisoformat(time) for record_id, time in times.items() if time}
