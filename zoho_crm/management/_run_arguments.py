"""What each action of ``zoho_mass_convert`` takes."""

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

#: What may be said of a whole verdict.
DECISIONS = ("attach", "create", "skip")


def add_action(parser: CommandParser, name: str) -> None:
    """Let an action take what it needs, and what Django gives only to the command itself."""
    add = parser.add_argument
    add("-v", "--verbosity", type=int, choices=range(4), default=SUPPRESS, help="0 is silent")
    add("--no-color", action="store_true", default=SUPPRESS, help="do not colour the output")
    if name not in ("create", "list"):
        add("run", type=arguments.count, metavar="N", help="its number")
    ACTIONS[name](parser)


def _no_arguments(parser: CommandParser) -> None:
    """No more than its number."""


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
        "--column", type=arguments.non_empty, metavar="NAME", help="of the ids, in a CSV file"
    )
    parser.add_argument("--name", type=_run_name, default="", help="for people")
    add_policy_arguments(parser)
    _add_user_argument(parser)
    _add_wait_arguments(parser)


def _decide(parser: CommandParser) -> None:
    words = sorted(verdict.value for verdict in CONVERTIBLE)
    parser.add_argument("--verdict", type=str.upper, choices=words, required=True)
    parser.add_argument("--as", dest="decision", choices=DECISIONS, required=True)
    _add_user_argument(parser)


def _run(parser: CommandParser) -> None:
    parser.add_argument(
        "--expect-count",
        type=arguments.natural,
        metavar="K",
        help="how many leads are to be sent; another number starts nothing",
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
    parser.add_argument("--user", metavar="NAME", help="the user of this site who says so")


def _add_wait_arguments(parser: CommandParser) -> None:
    parser.add_argument("--wait", action="store_true", help="work it here and now")
    parser.add_argument(
        "--max-seconds", type=arguments.seconds, metavar="N", help="wait no longer than so"
    )


def _run_name(text: str) -> str:
    most = MassConversion._meta.get_field("name").max_length or 0
    if len(text) > most:
        raise ArgumentTypeError(_("a name has at most %s letters.") % most)
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
    "create": "Take leads in and preview them; nothing is converted.",
    "list": "List all mass conversions, the newest first.",
    "show": "Show how one stands.",
    "decide": "Decide all previewed leads of a verdict alike; nothing is sent.",
    "run": "Show what would be sent; with --execute, start. Zoho cannot undo a conversion.",
    "pause": "Let no more leads begin.",
    "resume": "Let it go on after a pause; with --wait, work it here until it is at rest.",
    "cancel": "Leave out what was not sent yet.",
    "retry": "Preview again what failed or was left undecided; then it has to be started again.",
    "export": "Write the results as CSV.",
}
