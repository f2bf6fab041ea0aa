"""The conversion plan of a lead, from the options of a command and a policy or a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from zoho_crm.exceptions import PlanError, ZohoError
from zoho_crm.management import _arguments as arguments
from zoho_crm.management._deals import (
    OPTIONS,
    add_deal_arguments,
    deal_from_options,
    flag,
    refuse,
    wants_deal,
)
from zoho_crm.management._exits import wrong_use
from zoho_crm.matching import Policy
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services.choices import Choices, check_owner, choices
from zoho_crm.services.policies import policy_named

DEFAULT_POLICY = "careful"
#: Fields of a plan that are the same for all leads, and the option of each.
COMMON_FIELDS = {
    "owner_id": "owner",
    "overwrite": "overwrite",
    "move_attachments_to": "move_attachments_to",
    "notify_lead_owner": "notify_lead_owner",
    "notify_new_owner": "notify_new_owner",
}


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What the options of a command ask for; the same for every lead."""

    policy: Policy
    #: Fields of the plan that take the place of the policy's, by name.
    common: Mapping[str, Any]
    #: Names of users and contact roles, by id, as far as they were read.
    names: Mapping[str, str]
    #: Sentences on what of the organisation could not be read.
    notices: list[str] = field(default_factory=list)


def add_plan_arguments(parser: CommandParser) -> None:
    """Add the options that make up a plan."""
    add = parser.add_argument
    text = _("careful, attach or a saved one: what decides without asking (default: %s)")
    add_policy_argument(parser, text % DEFAULT_POLICY)
    add("--contact", type=arguments.record_id_or_new, metavar="ID|new", help=_("attach, or create"))
    add("--account", type=arguments.record_id_or_new, metavar="ID|new", help=_("attach, or create"))
    add_deal_arguments(parser)
    add("--owner", type=arguments.record_id, metavar="ID", help=_("the user who gets the records"))
    add("--overwrite", action="store_true", help=_("rename the account to the lead's company"))
    add(
        "--move-attachments-to",
        choices=("Contacts", "Accounts", "Deals"),
        help=_("where attachments go (Zoho's default: the contact)"),
    )
    add("--tags", type=arguments.names, metavar="A,B", help=_("tags to carry over"))
    add("--notify-lead-owner", action="store_true", help=_("let Zoho notify the lead's owner"))
    add("--notify-new-owner", action="store_true", help=_("let Zoho notify the new records' owner"))


def add_policy_argument(parser: CommandParser, text: str) -> None:
    """Add ``--policy`` with a help text."""
    parser.add_argument("--policy", metavar="NAME", help=text)


def chosen_policy(name: str) -> Policy:
    """
    Return the preset or the saved policy of this name.

    :raises CommandError: if there is none
    """
    try:
        return policy_named(name)
    except PlanError as error:
        raise wrong_use(str(error)) from error


def plan_options_from(options: dict[str, Any], connection: Connection) -> PlanOptions:
    """
    Return what the options ask for, checked against what the organisation has.

    :raises CommandError: if options contradict each other, or something does not exist at Zoho
    """
    policy = chosen_policy(options["policy"] or DEFAULT_POLICY)
    is_deal_wanted = wants_deal(options)
    known = _load_choices(connection, options["owner"], is_deal_wanted=is_deal_wanted)
    common = {word: options[option] for word, option in COMMON_FIELDS.items() if options[option]}
    for word in ("contact_id", "account_id"):
        if chosen := options[OPTIONS[word]]:
            common[word] = "" if chosen == arguments.NEW else chosen
    if is_deal_wanted:
        common["deal"] = deal_from_options(options, known)
    if options["owner"]:
        policy = replace(policy, owner_id=options["owner"])
    if options["tags"]:
        modules = ("Contacts", "Accounts", "Deals") if is_deal_wanted else ("Contacts", "Accounts")
        common["tags"] = dict.fromkeys(modules, tuple(options["tags"]))
    return PlanOptions(
        policy=policy,
        common=common,
        names=known.names,
        notices=known.absence_texts(),
    )


def undecided_text(row: LeadConversion, error: PlanError) -> str:
    """Return the message of an error of a plan, with the options that decide what is open."""
    if error.code != "undecided":
        return str(error)
    option, options = flag(error.field), row.stored_options()
    if error.field == "owner_id":
        return f"{error} {option} ID"
    matches = options.contacts if error.field == "contact_id" else options.accounts
    return f"{error}: {f'{option} ID, ' if matches else ''}{option} new"


def _load_choices(connection: Connection, owner: str | None, *, is_deal_wanted: bool) -> Choices:
    """
    Return what the options need of users, pipelines and roles; nothing if they need none.

    Nothing too if Zoho cannot be asked now: it checks them once more.

    :raises CommandError: if the wanted owner is not active in the organisation
    """
    if not (owner or is_deal_wanted):
        return Choices()
    try:
        known = choices(connection, with_deal=is_deal_wanted)
    except ZohoError:
        return Choices()
    try:
        check_owner(owner or "", known)
    except PlanError as error:
        refuse([error])
    return known
