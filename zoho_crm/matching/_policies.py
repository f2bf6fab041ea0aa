"""Which plan a verdict gets without asking a person, and what all plans of a policy share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from django.utils.translation import gettext as _

from zoho_crm.exceptions import PlanError
from zoho_crm.matching._verdicts import Preview, propose
from zoho_crm.types import (
    ConversionOptions,
    ConversionPlan,
    Deal,
    JsonObject,
    Lead,
    Match,
    Verdict,
)


class Action(StrEnum):
    """What a policy does with a verdict."""

    CREATE = "create"
    ATTACH = "attach"
    REVIEW = "review"
    SKIP = "skip"
    NEWEST = "newest"
    MOST_RECENTLY_ACTIVE = "most_recently_active"


_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class DealTemplate:
    """The deal of each lead; ``{Company}`` and other fields of the lead may stand in its name."""

    name: str
    stage: str
    #: Days from the day of the decision.
    closing_days: int = 30
    pipeline: str = ""
    amount: Decimal | None = None
    contact_role: str = ""

    def for_lead(self, lead: Lead, *, today: date) -> Deal:
        """Return the deal of one lead; a field that the lead lacks stands empty."""
        values = {**lead.fields, "Full_Name": lead.name}
        # No str.format: a template is data, and must neither fail nor reach into our objects.
        name = _PLACE.sub(lambda place: values.get(place[1], ""), self.name)
        return Deal(
            name=name.strip(" –-") or lead.name,
            stage=self.stage,
            closing_date=today + timedelta(days=self.closing_days),
            pipeline=self.pipeline,
            amount=self.amount,
            contact_role=self.contact_role,
        )

    @property
    def is_same_for_all(self) -> bool:
        """Whether no field of the lead stands in it."""
        return _PLACE.search(self.name) is None


#: What may be done with a verdict.
ALLOWED: Mapping[str, frozenset[Action]] = {
    "on_no_match": frozenset({Action.CREATE, Action.REVIEW, Action.SKIP}),
    "on_one_match": frozenset({Action.ATTACH, Action.REVIEW, Action.SKIP}),
    "on_account_only": frozenset({Action.ATTACH, Action.REVIEW, Action.SKIP}),
    "on_several_matches": frozenset(
        {Action.REVIEW, Action.SKIP, Action.NEWEST, Action.MOST_RECENTLY_ACTIVE}
    ),
}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Which plan a verdict gets without asking a person, and what all its plans have in common."""

    name: str
    on_no_match: Action = Action.CREATE
    on_one_match: Action = Action.REVIEW
    on_account_only: Action = Action.REVIEW
    on_several_matches: Action = Action.REVIEW
    deal: DealTemplate | None = None
    #: Who gets the records; empty keeps each lead's owner.
    owner_id: str = ""
    #: Who gets those of an owner who is inactive; empty leaves such leads to a person.
    owner_for_inactive_id: str = ""
    #: To which modules the tags of the lead go.
    tags_to: tuple[str, ...] = ()
    attachments_to: str = ""
    notify_lead_owner: bool = False
    notify_new_owner: bool = False

    def __post_init__(self) -> None:
        for rule, allowed in ALLOWED.items():
            if getattr(self, rule) not in allowed:
                message = _("A policy cannot say “%(action)s” for %(rule)s.")
                words = {"action": getattr(self, rule), "rule": rule}
                raise PlanError(message % words, code="bad_policy")

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the policy that ``as_json`` stored."""
        deal, amount = stored["deal"], (stored["deal"] or {}).get("amount")
        parts: dict[str, Any] = {rule: Action(stored[rule]) for rule in ALLOWED}
        parts["tags_to"] = tuple(stored["tags_to"])
        if deal:
            known = None if amount is None else Decimal(amount)
            parts["deal"] = DealTemplate(**{**deal, "amount": known})
        return cls(**{**stored, **parts})


POLICIES: Mapping[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy(name="careful"),
        Policy(name="attach", on_one_match=Action.ATTACH, on_account_only=Action.ATTACH),
    )
}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a policy makes of a preview: a plan, a lead left out, or neither and why."""

    plan: ConversionPlan | None = None
    skip: bool = False
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class DecisionContext:
    """What a decision may need to know besides the preview."""

    today: date
    #: Users who may own records; empty if not known.
    active_owners: frozenset[str] = frozenset()
    #: When each of several matches was made, or was last active, by id; the latest wins.
    latest: Mapping[str, datetime] = field(default_factory=dict)


def decide_by(policy: Policy, preview: Preview, context: DecisionContext) -> Decision:
    """Return what the policy decides for a lead; a decision without a plan is left to a person."""
    action = {
        Verdict.NO_MATCH: policy.on_no_match,
        Verdict.ONE_MATCH: policy.on_one_match,
        Verdict.ACCOUNT_ONLY: policy.on_account_only,
        Verdict.SEVERAL_MATCHES: policy.on_several_matches,
    }.get(preview.verdict, Action.REVIEW)
    if action in {Action.REVIEW, Action.SKIP} or preview.lead is None:
        return Decision(skip=action == Action.SKIP)
    if action in {Action.NEWEST, Action.MOST_RECENTLY_ACTIVE}:
        plan = _latest(preview.options, context)
    else:
        plan = propose(preview.verdict, preview.options)
    return complete_plan(plan, policy, preview.lead, context) if plan else Decision()


def _latest(options: ConversionOptions, context: DecisionContext) -> ConversionPlan | None:
    """Attach to the latest usable contact, or else account; several alike are left to a person."""
    contact = _the_latest(options.contacts, context)
    if contact:
        return ConversionPlan(contact_id=contact.id)
    account = None if options.contacts else _the_latest(options.accounts, context)
    return ConversionPlan(account_id=account.id) if account else None


def _the_latest(matches: tuple[Match, ...], context: DecisionContext) -> Match | None:
    known = [match for match in matches if match.usable and match.id in context.latest]
    last = max((context.latest[match.id] for match in known), default=None)
    latest = [match for match in known if context.latest[match.id] == last]
    return latest[0] if len(latest) == 1 else None


def complete_plan(
    plan: ConversionPlan, policy: Policy, lead: Lead, context: DecisionContext
) -> Decision:
    """Add to a plan what all plans of a policy have in common."""
    owner_id = policy.owner_id
    is_gone = lead.owner and context.active_owners and lead.owner.id not in context.active_owners
    if is_gone and not owner_id:
        owner_id = policy.owner_for_inactive_id
        if not owner_id:
            return Decision(reason="owner")
    return Decision(
        plan=replace(
            plan,
            deal=policy.deal.for_lead(lead, today=context.today) if policy.deal else None,
            owner_id=owner_id,
            tags={module: lead.tags for module in policy.tags_to if lead.tags},
            move_attachments_to=policy.attachments_to,
            notify_lead_owner=policy.notify_lead_owner,
            notify_new_owner=policy.notify_new_owner,
        )
    )
