"""What threads do for a row: call Zoho, or think; no table is touched, but for the token's."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from django.db import connections
from django.utils.timezone import localdate

from zoho_crm import matching
from zoho_crm.client import ZohoClient, refused_index
from zoho_crm.exceptions import RequestRefusedError, ZohoError
from zoho_crm.matching import DecisionContext, Policy, Preview
from zoho_crm.models import LeadConversion, Move
from zoho_crm.services import lifecycle, mass_convert, tokens
from zoho_crm.services.convert import plan_by_policy
from zoho_crm.services.preview import stored_preview
from zoho_crm.types import (
    ConversionOptions,
    ConversionPlan,
    Converted,
    Effect,
    Lead,
    Scheduled,
    Secret,
    Verdict,
)


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What a look at a lead gave: the step of its row, and the plan that a policy then approves."""

    move: Move
    plan: ConversionPlan | None = None


@dataclass(frozen=True, kw_only=True)
class RunRules:
    """What a run decides by."""

    policy: Policy
    context: DecisionContext

    def knowing(self, client: ZohoClient, found: Preview) -> RunRules:
        """Return them with what has to be read to tell several matches apart."""
        latest = mass_convert.latest_of(client, self.policy, found)
        return replace(self, context=replace(self.context, latest=latest))


class Rules:
    """The rules of runs, each worked out once a slice."""

    def __init__(self) -> None:
        self._known: dict[int, RunRules] = {}

    def of(self, row: LeadConversion) -> RunRules | None:
        """Return the rules of the run that a row belongs to."""
        run = row.mass_conversion
        if run is None:
            return None
        if run.pk not in self._known:
            context = DecisionContext(today=localdate(), active_owners=frozenset(run.active_owners))
            self._known[run.pk] = RunRules(policy=run.rules, context=context)
        return self._known[run.pk]


def seen(row: LeadConversion, found: Preview, rules: RunRules | None) -> Sight:
    """Say what a preview means: for its run, or by the row's own policy."""
    if found.lead is None and lifecycle.may_appear_later(row):
        return Sight(move=lifecycle.not_found_yet(row))
    if rules:
        return Sight(move=mass_convert.previewed_in_run(row, found, rules.policy, rules.context))
    move = lifecycle.previewed(row, found)
    plan = plan_by_policy(row, found) if move.to == LeadConversion.Status.PREVIEWED else None
    return Sight(move=move, plan=plan)


def checked(row: LeadConversion, lead: Lead | None, *, sent: str | None = None) -> Move:
    """
    Say what a read just before sending means: the claim, if it is what was approved.

    :param sent: the hash of what is sent, if that is not the row's own
    """
    if lead is None:
        again = lifecycle.may_appear_later(row)
        return lifecycle.not_found_yet(row) if again else lifecycle.reset_to_new(row, gone=True)
    if lead.converted:
        return lifecycle.read_converted(row, lead.converted)
    seen = row.stored_lead()
    changed = matching.changed_fields(seen, lead) if seen else ("id",)
    return (
        lifecycle.reset_to_new(row, changed=list(changed))
        if changed
        else lifecycle.claimed(row, sent)
    )


def settled(row: LeadConversion, lead: Lead | None) -> Move:
    """Say what reading back a lead in doubt means."""
    return lifecycle.read_back(row, lead, is_conclusive=row.is_conclusive)


def renewed(row: LeadConversion, found: Preview, leader: LeadConversion | None) -> Move:
    """Say what a new preview of an approved row means."""
    if found.lead and found.lead.converted:
        return lifecycle.read_converted(row, found.lead.converted)
    seen = stored_preview(row)
    unchanged = seen.lead and found.lead and not matching.changed_fields(seen.lead, found.lead)
    if unchanged and matching.same_matches(seen, _without_made_by(leader, found)):
        return lifecycle.preview_renewed(row, found)
    return lifecycle.reset_to_new(row, changed=["matches"])


def _without_made_by(leader: LeadConversion | None, found: Preview) -> Preview:
    """Leave out the matches that the run made itself, by the row that this one follows."""
    if leader is None:
        return found
    made = {leader.contact_id, leader.account_id}
    options = ConversionOptions(
        contacts=tuple(match for match in found.options.contacts if match.id not in made),
        accounts=tuple(match for match in found.options.accounts if match.id not in made),
    )
    refusal = found.reason if found.verdict == Verdict.NOT_CONVERTIBLE else ""
    return matching.assess(found.lead, options, refusal)


def convert(client: ZohoClient, row: LeadConversion, latest: float) -> Converted | Scheduled:
    """Convert a lead as planned, unless it is later than ``latest`` on this process's clock."""
    plan = row.stored_plan() or ConversionPlan()
    return client.leads.convert(row.lead_id, plan, may_send=lambda: time.monotonic() <= latest)


@dataclass(frozen=True, kw_only=True)
class Posted:
    """A job that Zoho took on, perhaps without the one row for which it refused it first."""

    job_id: str
    refused_row: LeadConversion | None = None
    error: ZohoError | None = None


def start_job(
    client: ZohoClient, rows: list[LeadConversion], effect: Effect, latest: float
) -> Posted:
    """Start a job for these rows; if Zoho refuses it because of one of them, without that one."""

    def start(members: list[LeadConversion]) -> str:
        ids = [row.lead_id for row in members]
        return client.jobs.start(ids, effect, module_ids=modules, may_send=may_send)

    def may_send() -> bool:
        return time.monotonic() <= latest

    named = effect.tags_to or effect.attachments_to
    modules = client.jobs.module_ids() if named else {}
    try:
        return Posted(job_id=start(rows))
    except RequestRefusedError as error:
        index = refused_index(error)
        if index is None or index >= len(rows):
            raise
        rest = rows[:index] + rows[index + 1 :]
        return Posted(job_id=start(rest), refused_row=rows[index], error=error)


def fetch_token(connection_id: int, rejected: Secret | None) -> Secret:
    """Get an access token: the one errand that touches a table, so it closes its connection."""
    try:
        if rejected is None:
            return tokens.access_token(connection_id=connection_id)
        return tokens.refresh_rejected(connection_id=connection_id, rejected=rejected)
    finally:
        connections.close_all()
