"""Policies: which plan a verdict gets without a person's decision, and what all plans share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
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
    ValueObject,
    Verdict,
)


class Action(StrEnum):
    """What a policy does with the leads of a verdict."""

    CREATE = "create"
    ATTACH = "attach"
    REVIEW = "review"
    SKIP = "skip"
    NEWEST = "newest"
    MOST_RECENTLY_ACTIVE = "most_recently_active"


_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class DealTemplate(ValueObject):
    """The deal to create for each lead; its name may contain fields of it, as ``{Company}``."""

    name: str
    stage: str
    #: Days from the decision to the closing date.
    closing_days: int = 30
    pipeline: str = ""
    amount: Decimal | None = None
    contact_role: str = ""

    def for_lead(self, lead: Lead, *, today: date) -> Deal:
        """Return the deal for one lead; the placeholder of a field without a value is empty."""
        values = {**lead.fields, "Full_Name": lead.name}
        # Not str.format: a template is user input, and must neither fail nor access attributes.
        name = _PLACEHOLDER.sub(lambda match: values.get(match[1], ""), self.name)
        return Deal(
            name=name.strip(" –-") or lead.name,
            stage=self.stage,
            closing_date=today + timedelta(days=self.closing_days),
            pipeline=self.pipeline,
            amount=self.amount,
            contact_role=self.contact_role,
        )

    @property
    def placeholders(self) -> frozenset[str]:
        """Return the API names of the fields of a lead that the name contains."""
        return frozenset(_PLACEHOLDER.findall(self.name))

    @property
    def is_same_for_all(self) -> bool:
        """Return whether the name contains no placeholder."""
        return not self.placeholders


#: The actions that may be chosen for each rule of a policy.
ALLOWED: Mapping[str, frozenset[Action]] = {
    "on_no_match": frozenset({Action.CREATE, Action.REVIEW, Action.SKIP}),
    "on_one_match": frozenset({Action.ATTACH, Action.REVIEW, Action.SKIP}),
    "on_account_only": frozenset({Action.ATTACH, Action.REVIEW, Action.SKIP}),
    "on_several_matches": frozenset(
        {Action.REVIEW, Action.SKIP, Action.NEWEST, Action.MOST_RECENTLY_ACTIVE}
    ),
}


class Policy(ValueObject):
    """The action for each verdict, and the values that all plans of the policy have in common."""

    name: str
    on_no_match: Action = Action.CREATE
    on_one_match: Action = Action.REVIEW
    on_account_only: Action = Action.REVIEW
    on_several_matches: Action = Action.REVIEW
    deal: DealTemplate | None = None
    #: Id of the user who will own the records; empty keeps each lead's owner.
    owner_id: str = ""
    #: Id of the user who will own the records of inactive owners; empty: a person decides.
    owner_for_inactive_id: str = ""
    #: The modules whose records get the lead's tags.
    tags_to: tuple[str, ...] = ()
    attachments_to: str = ""
    notify_lead_owner: bool = False
    notify_new_owner: bool = False

    def __post_init__(self) -> None:
        for rule, allowed in ALLOWED.items():
            if getattr(self, rule) not in allowed:
                message = _("A policy cannot say “%(action)s” for %(rule)s.")
                values = {"action": getattr(self, rule), "rule": rule}
                raise PlanError(message % values, code="bad_policy")

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the policy that ``as_json`` stored."""
        deal, amount = stored["deal"], (stored["deal"] or {}).get("amount")
        parts: dict[str, Any] = {rule: Action(stored[rule]) for rule in ALLOWED}
        parts["tags_to"] = tuple(stored["tags_to"])
        if deal:
            value = None if amount is None else Decimal(amount)
            parts["deal"] = DealTemplate(**{**deal, "amount": value})
        return cls(**{**stored, **parts})


POLICIES: Mapping[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy(name="careful"),
        Policy(name="attach", on_one_match=Action.ATTACH, on_account_only=Action.ATTACH),
    )
}


class Decision(ValueObject):
    """A decision on a preview: a plan, or to skip the lead, or neither (with the reason)."""

    plan: ConversionPlan | None = None
    skip: bool = False
    reason: str = ""


class DecisionContext(ValueObject):
    """What a decision depends on besides the preview and the policy."""

    today: date
    #: Ids of the users who may own records; empty if not known.
    active_owners: frozenset[str] = frozenset()
    #: When each of several matches was created or last active, by record id; the latest is chosen.
    latest: Mapping[str, datetime] = field(default_factory=dict)


def decide_by(policy: Policy, preview: Preview, context: DecisionContext) -> Decision:
    """Return the policy's decision on a preview; without a plan, a person has to decide."""
    action = {
        Verdict.NO_MATCH: policy.on_no_match,
        Verdict.ONE_MATCH: policy.on_one_match,
        Verdict.ACCOUNT_ONLY: policy.on_account_only,
        Verdict.SEVERAL_MATCHES: policy.on_several_matches,
    }.get(preview.verdict, Action.REVIEW)
    if action in {Action.REVIEW, Action.SKIP} or preview.lead is None:
        return Decision(skip=action == Action.SKIP)
    if action in {Action.NEWEST, Action.MOST_RECENTLY_ACTIVE}:
        plan = _attach_to_latest(preview.options, context)
    else:
        plan = propose(preview.verdict, preview.options)
    return complete_plan(plan, policy, preview.lead, context) if plan else Decision()


def _attach_to_latest(
    options: ConversionOptions, context: DecisionContext
) -> ConversionPlan | None:
    """
    Return the plan that attaches to the latest contact, or account if there are no contacts.

    ``None`` if no match is the latest by itself, or not all matches are known.
    """
    if options.further_contacts or options.further_accounts:
        return None
    contact = _latest_match(options.contacts, context)
    if contact:
        return ConversionPlan(contact_id=contact.id)
    account = None if options.contacts else _latest_match(options.accounts, context)
    return ConversionPlan(account_id=account.id) if account else None


def _latest_match(matches: tuple[Match, ...], context: DecisionContext) -> Match | None:
    """Return the usable match with the latest time; ``None`` if there is none, or several."""
    known = [match for match in matches if match.usable and match.id in context.latest]
    last = max((context.latest[match.id] for match in known), default=None)
    latest = [match for match in known if context.latest[match.id] == last]
    return latest[0] if len(latest) == 1 else None


def complete_plan(
    plan: ConversionPlan, policy: Policy, lead: Lead, context: DecisionContext
) -> Decision:
    """
    Return the decision for a plan, completed with the values that all plans of a policy share.

    There is no plan if the lead's owner is inactive and the policy names no other.
    """
    owner_id = policy.owner_id
    is_inactive = (
        lead.owner and context.active_owners and lead.owner.id not in context.active_owners
    )
    if is_inactive and not owner_id:
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
