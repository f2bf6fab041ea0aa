"""CSV as programs and spreadsheets read it: the one writer of the admin and of the commands."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from typing import Any

#: What a spreadsheet takes for a formula; a number with its sign is none.
_FORMULA = re.compile(r"[=@＝＠\t\r\n]|[+＋－-](?![\d\s().-]*$)")
#: Control characters that a terminal obeys; the line ends and tabs stay, as a quoted cell has them.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class _Echo:
    """A file for ``csv`` whose ``write`` returns the text that it is given."""

    def write(self, text: str) -> str:
        return text


# A cell with a character of the line end is quoted: with "\r\n", a single "\r" is too.
_writer = csv.writer(_Echo(), lineterminator="\r\n")


def csv_line(values: Iterable[Any]) -> str:
    """
    Return one line of CSV, which ends with CR and LF.

    A text that a spreadsheet would take for a formula gets an apostrophe in front. ``None`` is an
    empty cell, a list of texts is one text with semicolons, anything else is written as JSON.
    """
    line: str = _writer.writerow(map(_cell, values))
    return line


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return _cell("; ".join(value))
    if not isinstance(value, str):
        return json.dumps(value)
    text = _CONTROL.sub(" ", value)
    return f"'{text}" if _FORMULA.match(text) else text
