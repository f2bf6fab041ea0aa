"""Results on stdout: an aligned table for people, JSON lines or CSV for programs."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from django.core.management.base import OutputWrapper
from django.utils.translation import gettext_lazy

from zoho_crm.services.csv_text import csv_line

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

Row: TypeAlias = Mapping[str, Any]
Style: TypeAlias = Callable[[str], str]

FORMATS = ("table", "json", "csv")
#: What a heading of a table is for people; one that is not here is a name of Zoho's.
HEADINGS: Mapping[str, StrPromise] = {
    "account": gettext_lazy("account"),
    "access token": gettext_lazy("access token"),
    "after": gettext_lazy("after"),
    "before": gettext_lazy("before"),
    "calls": gettext_lazy("calls"),
    "check": gettext_lazy("check"),
    "connection": gettext_lazy("connection"),
    "contact": gettext_lazy("contact"),
    "converted": gettext_lazy("converted"),
    "created": gettext_lazy("created"),
    "credits (estimated)": gettext_lazy("credits (estimated)"),
    "day": gettext_lazy("day"),
    "deal": gettext_lazy("deal"),
    "due": gettext_lazy("due"),
    "e-mail": gettext_lazy("e-mail"),
    "edition": gettext_lazy("edition"),
    "environment": gettext_lazy("environment"),
    "failed": gettext_lazy("failed"),
    "field": gettext_lazy("field"),
    "group": gettext_lazy("group"),
    "in progress": gettext_lazy("in progress"),
    "key": gettext_lazy("key"),
    "kind": gettext_lazy("kind"),
    "kind of call": gettext_lazy("kind of call"),
    "label": gettext_lazy("label"),
    "layout": gettext_lazy("layout"),
    "lead": gettext_lazy("lead"),
    "leads": gettext_lazy("leads"),
    "leads from": gettext_lazy("leads from"),
    "left out": gettext_lazy("left out"),
    "message": gettext_lazy("message"),
    "module": gettext_lazy("module"),
    "name": gettext_lazy("name"),
    "needs review": gettext_lazy("needs review"),
    "organisation": gettext_lazy("organisation"),
    "outbox": gettext_lazy("outbox"),
    "permissions": gettext_lazy("permissions"),
    "pipeline": gettext_lazy("pipeline"),
    "place": gettext_lazy("place"),
    "plan": gettext_lazy("plan"),
    "refused": gettext_lazy("refused"),
    "refused as too many": gettext_lazy("refused as too many"),
    "reports to": gettext_lazy("reports to"),
    "required": gettext_lazy("required"),
    "result": gettext_lazy("result"),
    "role": gettext_lazy("role"),
    "run": gettext_lazy("run"),
    "stage": gettext_lazy("stage"),
    "stages": gettext_lazy("stages"),
    "status": gettext_lazy("status"),
    "tag": gettext_lazy("tag"),
    "to be sent": gettext_lazy("to be sent"),
    "type": gettext_lazy("type"),
    "undecided": gettext_lazy("undecided"),
    "unknown": gettext_lazy("unknown"),
    "use": gettext_lazy("use"),
    "verdict": gettext_lazy("verdict"),
    "waiting": gettext_lazy("waiting"),
}
#: Characters of a table cell, and of one in the last column.
MAX_CELL_WIDTH = 40
MAX_LAST_CELL_WIDTH = 1000


class Output:
    """Writes the rows of a command to stdout in one of ``FORMATS``."""

    def __init__(
        self, stdout: OutputWrapper, output_format: str, *, coloured: bool = False
    ) -> None:
        self._stdout = stdout
        self._format = output_format
        self._coloured = coloured

    @property
    def is_table(self) -> bool:
        """Return whether the format is the table for people."""
        return self._format == "table"

    def show(
        self,
        rows: Iterable[Row],
        *,
        fields: Sequence[str],
        columns: Mapping[str, Callable[[Row], str]],
        styles: Callable[[Row], Mapping[str, Style]] | None = None,
        widths: Mapping[str, int] | None = None,
    ) -> None:
        """
        Write rows one by one; a table without ``widths`` is written when all of them are there.

        :param fields: keys of each row that JSON and CSV contain, in this order
        :param columns: columns of the table: heading, in English, and function from row to text
        :param styles: function from row to the colour styles of its cells, by heading
        :param widths: widths of all columns but the last, by heading; wider cells are not cut
        """
        if self._format == "json":
            for row in rows:
                self.write_line(json.dumps({name: row[name] for name in fields}))
        elif self._format == "csv":
            self._write_csv(rows, fields)
        else:
            styler = styles if styles and self._coloured else _no_styles
            self._write_table(rows, columns, styler, widths)

    def write_line(self, text: str = "") -> None:
        """Write a text as one line without control characters, and flush it."""
        self._write(visible(text))

    def _write(self, line: str) -> None:
        self._stdout.write(line)
        self._stdout.flush()

    def _write_csv(self, rows: Iterable[Row], fields: Sequence[str]) -> None:
        values = ([row[name] for name in fields] for row in rows)
        for cells in chain([fields], values):
            self._write(csv_line(cells).removesuffix("\r\n"))

    def _write_table(
        self,
        rows: Iterable[Row],
        columns: Mapping[str, Callable[[Row], str]],
        styles: Callable[[Row], Mapping[str, Style]],
        widths: Mapping[str, int] | None,
    ) -> None:
        lines: Iterable[tuple[Row, dict[str, str]]]
        lines = ((row, _cells(row, columns)) for row in rows)
        headings = {name: str(HEADINGS.get(name, name)) for name in columns}
        if widths is None:
            lines = list(lines)
            widths = {
                name: max(map(_width, [shown, *(cells[name] for _row, cells in lines)]))
                for name, shown in headings.items()
            }
        for number, (row, cells) in enumerate(lines):
            if number == 0:
                self._write_cells(headings, widths, {})
            self._write_cells(cells, widths, styles(row))

    def _write_cells(
        self, line: Mapping[str, str], width: Mapping[str, int], styles: Mapping[str, Style]
    ) -> None:
        *others, last = line
        padded = [line[name] + " " * (width[name] - _width(line[name])) for name in others]
        texts = dict(zip(line, [*padded, line[last]], strict=True))
        shown = [styles.get(name, str)(text) for name, text in texts.items()]
        self._write("  ".join(shown).rstrip())


def _cells(row: Row, columns: Mapping[str, Callable[[Row], str]]) -> dict[str, str]:
    """Return the texts of a row of a table, each cut to the largest width of its column."""
    *_others, last = columns
    return {
        name: printable(show(row), MAX_LAST_CELL_WIDTH if name == last else MAX_CELL_WIDTH)
        for name, show in columns.items()
    }


def _no_styles(row: Row) -> Mapping[str, Style]:
    return {}


def visible(text: str, keep: str = "") -> str:
    """
    Return a text as a terminal may show it: control and bidirectional characters become spaces.

    :param keep: characters that stay as they are
    """
    return "".join(each if each.isprintable() or each in keep else " " for each in text)


def printable(text: str, max_width: int = MAX_CELL_WIDTH) -> str:
    """Return a text as one visible line with single spaces, cut to a width."""
    shown = " ".join(visible(text).split())
    return shown if len(shown) <= max_width else shown[: max_width - 1] + "…"


def _width(text: str) -> int:
    """Return the number of terminal columns that a text takes."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)
