"""The policy of a run: a copy of an existing one, changed by options."""

from __future__ import annotations

from argparse import ArgumentTypeError, BooleanOptionalAction
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from zoho_crm.management import _arguments as arguments
from zoho_crm.management._deals import check_contact_role, find_pipeline, find_stage, missing_fields
from zoho_crm.management._exits import wrong_use
from zoho_crm.management._plans import DEFAULT_POLICY, chosen_policy
from zoho_crm.matching import ALLOWED, Action, DealTemplate, Policy
from zoho_crm.models import Connection
from zoho_crm.services import mass_convert
from zoho_crm.services.choices import Choices, choices

MODULES = ("Contacts", "Accounts", "Deals")
#: Fields of a policy that options can change, and the option of each.
POLICY_OPTIONS: Mapping[str, str] = {
    "owner_id": "owner",
    "owner_for_inactive_id": "owner_for_inactive",
    "tags_to": "tags_to",
    "attachments_to": "attachments_to",
    "notify_lead_owner": "notify_lead_owner",
    "notify_new_owner": "notify_new_owner",
}
#: The same for the policy's deal: the option, and the deal field (API name) that it fills.
DEAL_OPTIONS: Mapping[str, tuple[str, str]] = {
    "name": ("deal_name", "Deal_Name"),
    "stage": ("stage", "Stage"),
    "closing_days": ("closing_days", "Closing_Date"),
    "pipeline": ("pipeline", "Pipeline"),
    "amount": ("amount", "Amount"),
    "contact_role": ("contact_role", "Contact_Role"),
}


@dataclass(frozen=True, kw_only=True)
class RunPolicy:
    """A policy that was checked against an organisation, and the organisation's active users."""

    policy: Policy
    #: Ids of users; empty if not all of them are known.
    active_owners: tuple[str, ...]
    #: Sentences on what of the organisation could not be read.
    notices: list[str]


def add_policy_arguments(parser: CommandParser) -> None:
    """Add ``--policy`` and the options that change the run's copy of it."""
    add = parser.add_argument
    add("--policy", default=DEFAULT_POLICY, metavar="NAME", help="careful, attach or a saved one")
    for rule, allowed in ALLOWED.items():
        words = sorted(action.value for action in allowed)
        add(_flag(rule), choices=words, help="instead of what the policy says")
    add("--owner", type=arguments.record_id, metavar="ID", help="the user who gets all records")
    add(
        "--owner-for-inactive",
        type=arguments.record_id,
        metavar="ID",
        help="the user who gets the records of owners who are inactive",
    )
    add("--tags-to", type=_modules, metavar="A,B", help="where tags go: Contacts,Accounts,Deals")
    add("--attachments-to", choices=MODULES, help="where attachments go")
    for option, who in (("lead", "the lead's owner"), ("new", "the new records' owner")):
        add(f"--notify-{option}-owner", action=BooleanOptionalAction, help=f"let Zoho notify {who}")
    _add_deal_arguments(parser)


def _add_deal_arguments(parser: CommandParser) -> None:
    add = parser.add_argument
    add(
        "--deal-name",
        type=arguments.non_empty,
        metavar="TEMPLATE",
        help="create deals; fields of the lead may stand in their name: {Company}, {Lead_Source}",
    )
    add("--stage", type=arguments.non_empty, help="of the deals")
    add("--closing-days", type=arguments.natural, metavar="N", help="from now (default: 30)")
    add("--pipeline", type=arguments.non_empty, help="of the deals (default: the default one)")
    add("--amount", type=arguments.amount, help="of each deal")
    add("--contact-role", type=arguments.record_id, metavar="ID", help="the contacts' role")


def run_policy_from(options: dict[str, Any], connection: Connection) -> RunPolicy:
    """
    Return the policy that the options ask for, checked against what the organisation has.

    :raises CommandError: if there is no such policy, or its parts contradict each other
    :raises PlanError: if the policy names something that does not exist at Zoho
    :raises ZohoError: if the organisation's users and fields cannot be read
    """
    policy = _with_options(chosen_policy(options["policy"]), options)
    known = choices(connection, with_deal=policy.deal is not None)
    if policy.deal:
        policy = replace(policy, deal=_checked_deal(policy.deal, known))
    elif "Deals" in (policy.attachments_to, *policy.tags_to):
        raise wrong_use(_("Nothing can go to deals if none are created: --deal-name."))
    mass_convert.check_policy(policy, known)
    return RunPolicy(
        policy=policy, active_owners=known.active_owners, notices=known.absence_texts()
    )


def _with_options(policy: Policy, options: dict[str, Any]) -> Policy:
    given = {word: options[option] for word, option in POLICY_OPTIONS.items()}
    parts = {word: value for word, value in given.items() if value is not None}
    parts |= {rule: Action(options[rule]) for rule in ALLOWED if options[rule]}
    deal = {word: options[option] for word, (option, _field) in DEAL_OPTIONS.items()}
    deal = {word: value for word, value in deal.items() if value is not None}
    if deal:
        parts["deal"] = _deal_template(policy.deal, deal)
    return replace(policy, **parts)


def _deal_template(known: DealTemplate | None, parts: dict[str, Any]) -> DealTemplate:
    if known:
        return replace(known, **parts)
    missing = [_flag(DEAL_OPTIONS[word][0]) for word in ("name", "stage") if word not in parts]
    if missing:
        raise wrong_use(_("A deal also needs: %s.") % ", ".join(missing))
    return DealTemplate(**parts)


def _checked_deal(deal: DealTemplate, known: Choices) -> DealTemplate:
    """Return the deal with Zoho's values for pipeline, stage and role; refuse an incomplete one."""
    pipeline = find_pipeline(deal.pipeline or None, known)
    deal = replace(
        deal,
        pipeline=pipeline.value if pipeline else deal.pipeline,
        stage=find_stage(deal.stage, pipeline),
        contact_role=check_contact_role(deal.contact_role, known),
    )
    filled = {
        field
        for word, (_option, field) in DEAL_OPTIONS.items()
        if getattr(deal, word) not in (None, "")
    }
    missing = ", ".join(field.label for field in missing_fields(known, filled))
    if missing:
        raise wrong_use(_("Deals of this organisation also need: %s.") % missing)
    return deal


def _modules(text: str) -> tuple[str, ...]:
    chosen = arguments.names(text)
    unknown = ", ".join(sorted(set(chosen) - set(MODULES)))
    if unknown:
        message = _("there is no module “%(unknown)s”; write it as %(known)s.")
        words = {"unknown": unknown, "known": ",".join(MODULES)}
        raise ArgumentTypeError(message % words)
    return chosen


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")
