"""The policy of a run: a copy of an existing one, changed by options."""

from __future__ import annotations

from argparse import ArgumentTypeError, BooleanOptionalAction
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from zoho_crm.management import _arguments as arguments
from zoho_crm.management._deals import refuse
from zoho_crm.management._plans import DEFAULT_POLICY, chosen_policy
from zoho_crm.matching import ALLOWED, Action, DealTemplate, Policy
from zoho_crm.models import Connection
from zoho_crm.services.choices import Choices, choices
from zoho_crm.services.plans import TEMPLATE_FIELDS, fit_policy, missing_deal_fields

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
#: The same for the policy's deal.
DEAL_OPTIONS: Mapping[str, str] = {
    word: "deal_name" if word == "name" else word for word in TEMPLATE_FIELDS
}


def add_policy_arguments(parser: CommandParser) -> None:
    """Add ``--policy`` and the options that change the run's copy of it."""
    add = parser.add_argument
    add("--policy", default=DEFAULT_POLICY, metavar="NAME", help="careful, attach or a saved one")
    for rule, allowed in ALLOWED.items():
        words = sorted(action.value for action in allowed)
        add("--" + rule.replace("_", "-"), choices=words, help="instead of what the policy says")
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
    add("--closing-days", type=arguments.closing_days, metavar="N", help="from now (default: 30)")
    add("--pipeline", type=arguments.non_empty, help="of the deals (default: the default one)")
    add("--amount", type=arguments.amount, help="of each deal")
    add("--contact-role", type=arguments.record_id, metavar="ID", help="the contacts' role")


def run_policy_from(options: dict[str, Any], connection: Connection) -> tuple[Policy, Choices]:
    """
    Return the policy that the options ask for, and what the organisation has, which it fits.

    :raises CommandError: if there is no such policy, or it does not fit the organisation
    :raises ZohoError: if the organisation's users and fields cannot be read
    """
    policy = _with_options(chosen_policy(options["policy"]), options)
    known = choices(connection, with_deal=policy.deal is not None)
    policy, errors = fit_policy(policy, known)
    refuse(errors)
    return policy, known


def _with_options(policy: Policy, options: dict[str, Any]) -> Policy:
    given = {word: options[option] for word, option in POLICY_OPTIONS.items()}
    parts = {word: value for word, value in given.items() if value is not None}
    parts |= {rule: Action(options[rule]) for rule in ALLOWED if options[rule]}
    deal = {word: options[option] for word, option in DEAL_OPTIONS.items()}
    deal = {word: value for word, value in deal.items() if value is not None}
    if deal:
        parts["deal"] = _deal_template(policy.deal, deal)
    return replace(policy, **parts)


def _deal_template(known: DealTemplate | None, parts: dict[str, Any]) -> DealTemplate:
    if known:
        return replace(known, **parts)
    parts = {"closing_days": DealTemplate.closing_days, **parts}
    entered = {name: parts.get(word) for word, name in TEMPLATE_FIELDS.items()}
    refuse(missing_deal_fields(entered, Choices()))
    return DealTemplate(**parts)


def _modules(text: str) -> tuple[str, ...]:
    chosen = arguments.names(text)
    unknown = ", ".join(sorted(set(chosen) - set(MODULES)))
    if unknown:
        message = _("there is no module “%(unknown)s”; write it as %(known)s.")
        words = {"unknown": unknown, "known": ",".join(MODULES)}
        raise ArgumentTypeError(message % words)
    return chosen
