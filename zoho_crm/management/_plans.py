"""The conversion plan of a lead, from the options of a command and a policy or a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from zoho_crm import matching
from zoho_crm.exceptions import PlanError, ZohoError
from zoho_crm.management import _arguments as arguments
from zoho_crm.management._deals import add_deal_arguments, deal_from_options, wants_deal
from zoho_crm.management._exits import wrong_use
from zoho_crm.matching import Policy
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services.choices import Choices, check_owner, choices
from zoho_crm.services.policies import decision_on, policy_named
from zoho_crm.services.presentation import REASONS, reason_text
from zoho_crm.types import ConversionPlan, Verdict

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
    #: A record id, ``new``, or ``None`` if the policy decides.
    contact: str | None = None
    account: str | None = None
    #: Other fields of the plan, by name.
    common: Mapping[str, Any]
    #: Names of users and contact roles, by id, as far as they were read.
    names: Mapping[str, str]
    #: Sentences on what of the organisation could not be read.
    notices: list[str] = field(default_factory=list)


def add_plan_arguments(parser: CommandParser) -> None:
    """Add the options that make up a plan."""
    add = parser.add_argument
    add_policy_argument(parser, f"what decides without asking (default: {DEFAULT_POLICY})")
    add("--contact", type=arguments.record_id_or_new, metavar="ID|new", help="attach, or create")
    add("--account", type=arguments.record_id_or_new, metavar="ID|new", help="attach, or create")
    add_deal_arguments(parser)
    add("--owner", type=arguments.record_id, metavar="ID", help="the user who gets the records")
    add("--overwrite", action="store_true", help="rename the account to the lead's company")
    add(
        "--move-attachments-to",
        choices=("Contacts", "Accounts", "Deals"),
        help="where attachments go (Zoho's default: the contact)",
    )
    add("--tags", type=arguments.names, metavar="A,B", help="tags to carry over")
    add("--notify-lead-owner", action="store_true", help="let Zoho notify the lead's owner")
    add("--notify-new-owner", action="store_true", help="let Zoho notify the new records' owner")


def add_policy_argument(parser: CommandParser, text: str) -> None:
    """Add ``--policy`` with a help text."""
    text = f"careful, attach or a saved one: {text}"
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
    if is_deal_wanted:
        common["deal"] = deal_from_options(options, known)
    if options["owner"]:
        policy = replace(policy, owner_id=options["owner"])
    if options["tags"]:
        modules = ("Contacts", "Accounts", "Deals") if is_deal_wanted else ("Contacts", "Accounts")
        common["tags"] = dict.fromkeys(modules, tuple(options["tags"]))
    return PlanOptions(
        policy=policy,
        contact=options["contact"],
        account=options["account"],
        common=common,
        names=known.names,
        notices=known.absence_texts(),
    )


def plan_for(row: LeadConversion, plan_options: PlanOptions) -> ConversionPlan:
    """
    Return the plan for a previewed lead.

    A person's decision that is stored with the lead takes precedence over the policy.

    :raises PlanError: if a person has to decide, the policy leaves the lead out, or the plan does
        not fit the lead's matches
    :raises ZohoError: if the policy depends on more than the preview, and Zoho cannot be asked
    """
    verdict, options = Verdict(row.verdict), row.stored_options()
    persons = row.stored_plan() if row.decided_by_id else None
    decided = persons or _plan_of_policy(row, plan_options)
    given: dict[str, Any] = {"contact_id": plan_options.contact, "account_id": plan_options.account}
    chosen = {
        name: "" if value == arguments.NEW else value
        for name, value in given.items()
        if value is not None
    }
    plan = replace(decided or ConversionPlan(), **{**chosen, **plan_options.common})
    matching.check_plan(plan, verdict, options)
    _check_is_decided(row, plan_options, plan, is_decided=decided is not None)
    return plan


def _plan_of_policy(row: LeadConversion, plan_options: PlanOptions) -> ConversionPlan | None:
    policy = plan_options.policy
    decision = decision_on(row, policy)
    if decision.skip and plan_options.contact is None and plan_options.account is None:
        message = _("The policy “%s” leaves this lead out.") % policy.name
        raise PlanError(message, code="left_out")
    if decision.reason:
        raise PlanError(f"{REASONS[decision.reason]} --owner ID", code="undecided")
    return decision.plan


def _check_is_decided(
    row: LeadConversion, plan_options: PlanOptions, plan: ConversionPlan, *, is_decided: bool
) -> None:
    """Refuse a plan that creates a record beside a match, unless that was decided explicitly."""
    options = row.stored_options()
    is_contact_open = not is_decided and plan_options.contact is None
    is_account_open = (
        not is_decided or plan_options.contact is not None
    ) and plan_options.account is None
    if options.contacts and is_contact_open:
        choice = "--contact ID, --contact new"
    elif is_contact_open and not options.accounts:
        choice = "--contact new"
    elif options.accounts and is_account_open and not (plan.contact_id or plan.account_id):
        choice = "--account ID, --account new"
    else:
        return
    message = _("A person has to decide (%(verdict)s): %(choice)s")
    message %= {"verdict": row.get_verdict_display(), "choice": choice}
    raise PlanError(f"{reason_text(row)} {message}".strip(), code="undecided")


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
        check_owner(owner or "", known)
    except PlanError as error:
        raise wrong_use(str(error)) from error
    except ZohoError:
        return Choices()
    return known
