"""The arguments of each action of ``zoho_mass_convert``, and the policy that they ask for."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentTypeError, BooleanOptionalAction
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.management import _arguments as arguments
from zoho_crm.management._command import add_connection_argument
from zoho_crm.management._deals import refuse
from zoho_crm.management._plans import DEFAULT_POLICY, chosen_policy
from zoho_crm.matching import ALLOWED, CONVERTIBLE, Action, DealTemplate, Policy
from zoho_crm.models import Connection, MassConversion
from zoho_crm.services.choices import Choices, choices
from zoho_crm.services.plans import TEMPLATE_FIELDS, actions_for, fit_policy, missing_deal_fields
from zoho_crm.types import Verdict

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

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
#: Decisions that can be made for all leads of a verdict.
DECISIONS = [action.value for action in actions_for(Verdict.ONE_MATCH)]


def add_action(parser: CommandParser, name: str) -> None:
    """Add an action's arguments, and those that Django adds only to the command itself."""
    add = parser.add_argument
    add("-v", "--verbosity", type=int, choices=range(4), default=SUPPRESS, help=_("0 is silent"))
    add("--no-color", action="store_true", default=SUPPRESS, help=_("do not colour the output"))
    if name not in ("create", "list"):
        add("run", type=arguments.count, metavar="N", help=_("number of the run"))
    ACTIONS[name](parser)


def _no_arguments(parser: CommandParser) -> None:
    """Add nothing: the number of the run is enough."""


def _create(parser: CommandParser) -> None:
    add_connection_argument(parser)
    sources = parser.add_mutually_exclusive_group(required=True)
    sources.add_argument(
        "--ids-file", metavar="PATH", help=_("one id a line, or CSV; - reads stdin")
    )
    sources.add_argument("--all", action="store_true", help=_("every open lead"))
    sources.add_argument(
        "--filter",
        type=arguments.assignment,
        action="append",
        metavar="FIELD=VALUE",
        help=_("open leads with this value, such as Lead_Status=Qualified; may be repeated"),
    )
    parser.add_argument(
        "--column",
        type=arguments.non_empty,
        metavar="NAME",
        help=_("column of the ids in a CSV file"),
    )
    parser.add_argument("--name", type=_run_name, default="", help=_("name that people see"))
    add_policy_arguments(parser)
    _add_user_argument(parser)
    _add_wait_arguments(parser)


def _decide(parser: CommandParser) -> None:
    verdicts = sorted(verdict.value for verdict in CONVERTIBLE)
    parser.add_argument("--verdict", type=str.upper, choices=verdicts, required=True)
    parser.add_argument("--as", dest="decision", choices=DECISIONS, required=True)
    _add_user_argument(parser)


def _run(parser: CommandParser) -> None:
    parser.add_argument(
        "--expect-count",
        type=arguments.natural,
        metavar="K",
        help=_("how many leads are to be sent; nothing starts with another number"),
    )
    parser.add_argument("--execute", action="store_true", help=_("start it"))
    _add_user_argument(parser)
    _add_wait_arguments(parser)


def _retry(parser: CommandParser) -> None:
    _add_user_argument(parser)
    _add_wait_arguments(parser)


def _export(parser: CommandParser) -> None:
    parser.add_argument("--output", metavar="FILE", help=_("instead of stdout"))


def _add_user_argument(parser: CommandParser) -> None:
    parser.add_argument(
        "--user", metavar="NAME", help=_("user of this site in whose name it is done")
    )


def _add_wait_arguments(parser: CommandParser) -> None:
    parser.add_argument("--wait", action="store_true", help=_("work it in this process"))
    parser.add_argument(
        "--max-seconds", type=arguments.seconds, metavar="N", help=_("wait at most N seconds")
    )


def _run_name(text: str) -> str:
    max_length = MassConversion._meta.get_field("name").max_length or 0
    if len(text) > max_length:
        raise ArgumentTypeError(_("a name has at most %s characters.") % max_length)
    return text


ACTIONS: Mapping[str, Callable[[CommandParser], None]] = {
    "create": _create,
    "list": _no_arguments,
    "show": _no_arguments,
    "decide": _decide,
    "run": _run,
    "pause": _add_user_argument,
    "resume": _add_wait_arguments,
    "cancel": _add_wait_arguments,
    "retry": _retry,
    "export": _export,
}
SUMMARIES: Mapping[str, StrPromise] = {
    "create": gettext_lazy("Read lead ids and preview the leads; nothing is converted."),
    "list": gettext_lazy("List all runs, the newest first."),
    "show": gettext_lazy("Show the progress of a run."),
    "decide": gettext_lazy(
        "Make one decision for all previewed leads of a verdict; nothing is sent."
    ),
    "run": gettext_lazy(
        "Show what would be sent; with --execute, start. Zoho cannot undo a conversion."
    ),
    "pause": gettext_lazy("Stop sending further leads until it is resumed."),
    "resume": gettext_lazy(
        "Continue after a pause; with --wait, work it until it ends or waits for decisions."
    ),
    "cancel": gettext_lazy("Skip all leads that were not sent yet."),
    "retry": gettext_lazy(
        "Preview again what failed or is undecided; then it has to be started again."
    ),
    "export": gettext_lazy("Write the results as CSV."),
}


# The policy of a run: a copy of an existing one, changed by options


def add_policy_arguments(parser: CommandParser) -> None:
    """Add ``--policy`` and the options that change the run's copy of it."""
    add = parser.add_argument
    add(
        "--policy", default=DEFAULT_POLICY, metavar="NAME", help=_("careful, attach or a saved one")
    )
    for rule, allowed in ALLOWED.items():
        words = sorted(action.value for action in allowed)
        add("--" + rule.replace("_", "-"), choices=words, help=_("instead of what the policy says"))
    add("--owner", type=arguments.record_id, metavar="ID", help=_("the user who gets all records"))
    add(
        "--owner-for-inactive",
        type=arguments.record_id,
        metavar="ID",
        help=_("the user who gets the records of owners who are inactive"),
    )
    add("--tags-to", type=_modules, metavar="A,B", help=_("where tags go: Contacts,Accounts,Deals"))
    add("--attachments-to", choices=MODULES, help=_("where attachments go"))
    notify_lead_owner = _("let Zoho notify the lead's owner")
    notify_new_owner = _("let Zoho notify the new records' owner")
    add("--notify-lead-owner", action=BooleanOptionalAction, help=notify_lead_owner)
    add("--notify-new-owner", action=BooleanOptionalAction, help=notify_new_owner)
    _add_deal_arguments(parser)


def _add_deal_arguments(parser: CommandParser) -> None:
    add = parser.add_argument
    add(
        "--deal-name",
        type=arguments.non_empty,
        metavar="TEMPLATE",
        help=_(
            "create deals; fields of the lead may stand in their name: {Company}, {Lead_Source}"
        ),
    )
    add("--stage", type=arguments.non_empty, help=_("of the deals"))
    add(
        "--closing-days", type=arguments.closing_days, metavar="N", help=_("from now (default: 30)")
    )
    add("--pipeline", type=arguments.non_empty, help=_("of the deals (default: the default one)"))
    add("--amount", type=arguments.amount, help=_("of each deal"))
    add("--contact-role", type=arguments.record_id, metavar="ID", help=_("the contacts' role"))


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
