"""Decide about a previewed lead, and have it sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils.timezone import localdate
from django.utils.translation import gettext as _

from zoho_crm import matching
from zoho_crm.exceptions import PlanError, StaleDecisionError
from zoho_crm.matching import POLICIES, DecisionContext, Policy, Preview
from zoho_crm.models import LeadConversion, Move
from zoho_crm.services import lifecycle
from zoho_crm.services._in_run import check_free, freed, is_in_run
from zoho_crm.services.preview import row_of
from zoho_crm.types import ConversionPlan, Verdict, as_json

Status = LeadConversion.Status


def decide(
    *, conversion_id: int, version: int, plan: ConversionPlan, by: AbstractBaseUser
) -> LeadConversion:
    """
    Put a person's plan on a preview, without sending anything.

    :raises PlanError: if the plan does not fit the preview
    :raises RequestRefusedError: if a mass conversion decides about the lead
    :raises StaleDecisionError: if the preview changed after it was shown
    """
    row = _seen(conversion_id, version, Status.PREVIEWED)
    check_free(row)
    matching.check_plan(plan, Verdict(row.verdict), row.options_seen())
    values = {"plan": as_json(plan), "decided_by_id": by.pk}
    details = {"plan": as_json(plan)}
    move = Move(row=row, to=Status.PREVIEWED, by=str(by), values=values, details=details)
    return _moved(freed(move))


def approve(
    *,
    conversion_id: int,
    version: int,
    plan: ConversionPlan,
    by: AbstractBaseUser | None = None,
) -> LeadConversion:
    """
    Make a previewed lead ready to be converted exactly as planned: it is sent next.

    :raises PlanError: if the plan does not fit the preview
    :raises RequestRefusedError: if a mass conversion decides about the lead
    :raises StaleDecisionError: if the preview changed after it was shown
    """
    row = _seen(conversion_id, version, Status.PREVIEWED)
    check_free(row)
    matching.check_plan(plan, Verdict(row.verdict), row.options_seen())
    who: dict[str, Any] = {"policy": ""}
    if by is not None:
        who |= {"approved_by_id": by.pk, "decided_by_id": by.pk}
    return _moved(freed(lifecycle.approved(row, plan, by=str(by or ""), **who)))


def skip(
    *, conversion_id: int, version: int, by: AbstractBaseUser, note: str = ""
) -> LeadConversion:
    """
    Leave a lead out, or close one that needs a person, with a note; nothing is sent for it.

    :raises StaleDecisionError: if it changed after it was shown
    """
    row = _seen(conversion_id, version, Status.PREVIEWED, Status.READY, Status.NEEDS_REVIEW)
    values = {**lifecycle.AT_REST, "policy": "", "decided_by_id": by.pk}
    details = {"note": note} if note else {}
    with transaction.atomic():
        if row.mass_conversion:
            # Others may have followed it.
            row.mass_conversion.bump_revision()
        return _moved(Move(row=row, to=Status.SKIPPED, by=str(by), values=values, details=details))


def request(*, connection_id: int, lead_id: str, policy: str = "careful") -> LeadConversion:
    """
    Have a lead converted if this policy decides it, without asking a person.

    Only a lead that is new, or previewed and undecided, takes the policy; any other stays as it is.

    :raises RequestRefusedError: if this can be no lead's id
    :raises PlanError: if there is no such policy
    """
    policy_named(policy)
    row = row_of(connection_id=connection_id, lead_id=lead_id)
    undecided = row.status == Status.PREVIEWED and row.decided_by_id is None
    if not is_in_run(row) and (row.status == Status.NEW or undecided):
        move = freed(lifecycle.reset_to_new(row, policy=policy))
        LeadConversion.objects.move([replace(move, values={**move.values, "policy": policy})])
        row.refresh_from_db()
    return row


def policy_named(name: str) -> Policy:
    """
    Return a policy by its name.

    :raises PlanError: if there is none
    """
    if name not in POLICIES:
        message = _("There is no policy “%(name)s”; known are %(known)s.")
        raise PlanError(message % {"name": name, "known": ", ".join(POLICIES)}, code="no_policy")
    return POLICIES[name]


def plan_by_policy(row: LeadConversion, found: Preview) -> ConversionPlan | None:
    """Return the plan that a row's own policy gives to what was found, if it decides it."""
    policy = POLICIES.get(row.policy)
    if policy is None or row.decided_by_id is not None:
        return None
    return plan_of(policy, found)


def plan_of(policy: Policy, found: Preview) -> ConversionPlan | None:
    """Return the plan that a policy gives to what was found; ``None`` leaves it to a person."""
    return matching.decide_by(policy, found, DecisionContext(today=localdate())).plan


def write(moves: Iterable[Move], plans: Mapping[int, ConversionPlan]) -> None:
    """Write what was found, a preview together with the approval of a plan by policy, by row."""
    # A crash between the two would leave a lead lying that its policy has decided.
    with transaction.atomic():
        made = LeadConversion.objects.move(moves)
        LeadConversion.objects.move(
            lifecycle.approved(move.row, plans[move.row.pk], by=f"policy {move.row.policy}")
            for move in made
            if move.row.pk in plans
        )


def _seen(conversion_id: int, version: int, *statuses: str) -> LeadConversion:
    row = LeadConversion.objects.select_related("mass_conversion").get(pk=conversion_id)
    if row.version != version or row.status not in statuses:
        raise StaleDecisionError(code="changed")
    return row


def _moved(move: Move) -> LeadConversion:
    if not LeadConversion.objects.move([move]):
        raise StaleDecisionError(code="changed")
    move.row.refresh_from_db()
    return move.row
