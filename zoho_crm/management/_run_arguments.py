"""The arguments of each action of ``zoho_mass_convert``."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentTypeError
from collections.abc import Callable, Mapping

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from zoho_crm.management import _arguments as arguments
from zoho_crm.management._command import add_connection_argument
from zoho_crm.management._policies import add_policy_arguments
from zoho_crm.matching import CONVERTIBLE
from zoho_crm.models import MassConversion
from zoho_crm.services.plans import actions_for
from zoho_crm.types import Verdict

#: Decisions that can be made for all leads of a verdict.
DECISIONS = [action.value for action in actions_for(Verdict.ONE_MATCH)]


def add_action(parser: CommandParser, name: str) -> None:
    """Add an action's arguments, and those that Django adds only to the command itself."""
    add = parser.add_argument
    add("-v", "--verbosity", type=int, choices=range(4), default=SUPPRESS, help="0 is silent")
    add("--no-color", action="store_true", default=SUPPRESS, help="do not colour the output")
    if name not in ("create", "list"):
        add("run", type=arguments.count, metavar="N", help="number of the mass conversion")
    ACTIONS[name](parser)


def _no_arguments(parser: CommandParser) -> None:
    """Add nothing: the number of the run is enough."""


def _create(parser: CommandParser) -> None:
    add_connection_argument(parser)
    sources = parser.add_mutually_exclusive_group(required=True)
    sources.add_argument("--ids-file", metavar="PATH", help="one id a line, or CSV; - reads stdin")
    sources.add_argument("--all", action="store_true", help="every open lead")
    sources.add_argument(
        "--filter",
        type=arguments.assignment,
        action="append",
        metavar="FIELD=VALUE",
        help="open leads with this value, such as Lead_Status=Qualified; may be repeated",
    )
    parser.add_argument(
        "--column", type=arguments.non_empty, metavar="NAME", help="column of the ids in a CSV file"
    )
    parser.add_argument("--name", type=_run_name, default="", help="name that people see")
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
        help="how many leads are to be sent; nothing starts with another number",
    )
    parser.add_argument("--execute", action="store_true", help="start it")
    _add_user_argument(parser)
    _add_wait_arguments(parser)


def _retry(parser: CommandParser) -> None:
    _add_user_argument(parser)
    _add_wait_arguments(parser)


def _export(parser: CommandParser) -> None:
    parser.add_argument("--output", metavar="FILE", help="instead of stdout")


def _add_user_argument(parser: CommandParser) -> None:
    parser.add_argument("--user", metavar="NAME", help="user of this site in whose name it is done")


def _add_wait_arguments(parser: CommandParser) -> None:
    parser.add_argument("--wait", action="store_true", help="work it in this process")
    parser.add_argument(
        "--max-seconds", type=arguments.seconds, metavar="N", help="wait at most N seconds"
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
SUMMARIES: Mapping[str, str] = {
    "create": "Read lead ids and preview the leads; nothing is converted.",
    "list": "List all mass conversions, the newest first.",
    "show": "Show the progress of a mass conversion.",
    "decide": "Make one decision for all previewed leads of a verdict; nothing is sent.",
    "run": "Show what would be sent; with --execute, start. Zoho cannot undo a conversion.",
    "pause": "Stop sending further leads until it is resumed.",
    "resume": "Continue after a pause; with --wait, work it until it ends or waits for decisions.",
    "cancel": "Skip all leads that were not sent yet.",
    "retry": "Preview again what failed or is undecided; then it has to be started again.",
    "export": "Write the results as CSV.",
}
