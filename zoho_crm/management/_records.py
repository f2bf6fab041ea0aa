"""Arguments, rows and texts of ``zoho_records``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.management import _arguments as arguments
from zoho_crm.management._command import add_connection_argument, add_user_argument
from zoho_crm.management._output import Row
from zoho_crm.services.record_import import ImportRow, Outcome
from zoho_crm.types import Change, Record

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

DEFAULT_LIMIT = 50
#: Fields that are shown if none are named, by module.
DEFAULT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "Leads": ("Full_Name", "Company", "Email"),
    "Contacts": ("Full_Name", "Email", "Phone"),
    "Accounts": ("Account_Name", "Phone", "Website"),
    "Deals": ("Deal_Name", "Stage", "Amount"),
}
OTHER_FIELDS = ("Created_Time", "Modified_Time")
SUMMARIES: Mapping[str, StrPromise] = {
    "get": gettext_lazy("show records by their ids"),
    "list": gettext_lazy("list records, the newest first"),
    "search": gettext_lazy("search by an e-mail address, a phone number, a word, or values"),
    "upsert": gettext_lazy(
        "compare the rows of a CSV file with the records, and write those that differ"
    ),
    "delete": gettext_lazy("delete records by their ids"),
    "changes": gettext_lazy("list what was written and deleted since the last time"),
}
#: Widths of the columns of a table that is written while it is made.
WIDTHS = {"row": 7, "key": 30, "outcome": 9, "id": 19}
CHANGE_WIDTHS = {"at": 25, "id": 19, "deleted": 7}


def add_action(parser: CommandParser, name: str) -> None:
    """Add the arguments of one action."""
    add_connection_argument(parser)
    add_user_argument(parser, _("act as this user (default: the default user)"))
    parser.add_argument("module", metavar="MODULE", help=_("API name, such as Contacts"))
    _ADDERS[name](parser)


def _add_fields(parser: CommandParser) -> None:
    parser.add_argument(
        "--fields", type=arguments.names, help=_("API names, separated by commas (default: a few)")
    )


def _add_ids(parser: CommandParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help=_("ids of records; - reads stdin"))
    parser.add_argument("--ids-file", metavar="PATH", help=_("a file with one id a line"))


def _add_get(parser: CommandParser) -> None:
    _add_ids(parser)
    _add_fields(parser)


def _add_list(parser: CommandParser) -> None:
    _add_fields(parser)
    parser.add_argument(
        "--sort-by",
        default="",
        metavar="FIELD",
        help=_("id, Created_Time or Modified_Time; with - in front the last first: --sort-by=-id"),
    )
    _add_limit(parser)


def _add_limit(parser: CommandParser) -> None:
    parser.add_argument(
        "--limit",
        type=arguments.count,
        default=DEFAULT_LIMIT,
        help=_("at most (default: %s)") % DEFAULT_LIMIT,
    )


def _add_search(parser: CommandParser) -> None:
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--email", type=arguments.non_empty, help=_("a whole e-mail address"))
    how.add_argument("--phone", type=arguments.non_empty, help=_("a whole number"))
    how.add_argument("--word", type=arguments.non_empty, help=_("a word in any field"))
    how.add_argument(
        "--filter",
        type=arguments.assignment,
        action="append",
        metavar="FIELD=VALUE",
        help=_("only records with this value; may be repeated"),
    )
    _add_fields(parser)
    _add_limit(parser)


def _add_upsert(parser: CommandParser) -> None:
    parser.add_argument("--from-file", required=True, metavar="PATH", help=_("CSV with headings"))
    parser.add_argument(
        "--map",
        type=arguments.assignment,
        action="append",
        metavar="HEADING=FIELD",
        help=_("which field a column is; may be repeated (default: the headings are API names)"),
    )
    parser.add_argument(
        "--key",
        required=True,
        type=arguments.non_empty,
        metavar="FIELD",
        help=_("the field that says which record a row is, such as Email"),
    )
    parser.add_argument(
        "--results",
        metavar="PATH",
        help=_(
            "CSV with what became of each row, from which a second run continues"
            " (default: the first file with .results.csv)"
        ),
    )
    _add_execute(parser)


def _add_delete(parser: CommandParser) -> None:
    _add_ids(parser)
    _add_execute(parser)


def _add_execute(parser: CommandParser) -> None:
    parser.add_argument(
        "--execute", action="store_true", help=_("do it; else show what it would do")
    )


def _add_changes(parser: CommandParser) -> None:
    _add_fields(parser)
    parser.add_argument(
        "--cursor-file",
        required=True,
        metavar="PATH",
        help=_("keeps where the next call continues; without this file all records are listed"),
    )


_ADDERS: Mapping[str, Callable[[CommandParser], None]] = {
    "get": _add_get,
    "list": _add_list,
    "search": _add_search,
    "upsert": _add_upsert,
    "delete": _add_delete,
    "changes": _add_changes,
}


def fields_of(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields that are to be shown."""
    named: tuple[str, ...] | None = options["fields"]
    return named or DEFAULT_FIELDS.get(options["module"], OTHER_FIELDS)


def record_row(record: Record, fields: Iterable[str]) -> Row:
    """Return the values of a record that are shown."""
    return {"id": record.id, **{name: record.get(name) for name in fields if name != "id"}}


def change_row(change: Change, fields: Sequence[str]) -> Row:
    """Return the values of a change that are shown."""
    shown = record_row(change.record, fields) if change.record else dict.fromkeys(fields)
    return {**shown, "at": change.at.isoformat(), "id": change.id, "deleted": change.is_deletion}


def columns_of(names: Iterable[str]) -> dict[str, Callable[[Row], str]]:
    """Return the columns of a table with these values."""
    return {name: partial(_cell, name) for name in names}


def _cell(name: str, row: Row) -> str:
    return value_text(row[name])


def value_text(value: Any) -> str:
    """Return a value as it is shown in a cell: of a look-up the name."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, dict):
        return str(value.get("name") or value.get("id") or "")
    if isinstance(value, list | tuple):
        return ", ".join(map(value_text, value))
    return str(value)


def import_row(row: ImportRow) -> Row:
    """Return the values of a row of an import that are shown, and kept as its result."""
    return {
        "row": row.line,
        "key": row.key,
        "outcome": row.outcome.value,
        "id": row.id or None,
        "fields": list(row.changed),
        "error_code": row.error.code if row.error else None,
        "message": str(row.error) if row.error else "",
    }


def counts_text(counts: Mapping[Outcome, int]) -> str:
    """Return how many rows have each outcome."""
    labels = {
        Outcome.NEW: _("%s new"),
        Outcome.CHANGED: _("%s changed"),
        Outcome.CREATED: _("%s created"),
        Outcome.UPDATED: _("%s updated"),
        Outcome.UNCHANGED: _("%s unchanged"),
        Outcome.INVALID: _("%s invalid"),
        Outcome.REFUSED: _("%s refused"),
        Outcome.UNKNOWN: _("%s unknown"),
        Outcome.NOT_SENT: _("%s not sent"),
    }
    found = [label % f"{counts[each]:,}" for each, label in labels.items() if counts.get(each)]
    return ", ".join(found) or _("no rows")
