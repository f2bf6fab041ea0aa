"""
Where the leads of a run come from: a file, a column of a CSV file, lines of text, all open leads.

Each yields one text for each line of its source, so that numbers of lines are those that people
see; a line that names no lead because it is empty, a heading or a comment is yielded empty.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator, Mapping
from io import TextIOWrapper
from itertools import chain, repeat
from typing import BinaryIO

from django.utils.translation import gettext as _

from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.models import Connection
from zoho_crm.services.leads import open_leads

COMMENT = "#"
DELIMITERS = ",;\t"
#: Bytes that are looked at together.
CHUNK = 1 << 16


def ids_in_file(file: BinaryIO, *, column: str = "") -> Iterator[str]:
    """
    Yield what stands in the lines of a file, or in a column of a CSV file with a header.

    The whole file is looked at before the first line is yielded.

    :param file: open for reading bytes, at its beginning
    :raises RequestRefusedError: if it is not text in UTF-8, is empty, or has no such column
    """
    _check_text(file)
    text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield from ids_in_lines(text, column=column)
    finally:
        text.detach()


def ids_in_lines(lines: Iterable[str], *, column: str = "") -> Iterator[str]:
    """
    Yield what stands in lines of text, or in a column of them with a header.

    :raises RequestRefusedError: if there is no line, or no such column
    """
    stream = iter(lines)
    first = next(stream, "")
    if not first:
        raise RequestRefusedError(_("It is empty."), code="empty")
    lines = chain([first.removeprefix("\ufeff")], stream)
    return _column(lines, column.strip()) if column else map(_id, lines)


def ids_of_open_leads(
    connection: Connection, *, filters: Mapping[str, str] | None = None
) -> Iterator[str]:
    """
    Yield the ids of the open leads of an organisation that have all these values, newest first.

    :raises ZohoError: if Zoho cannot be asked
    """
    return (lead.id for lead in open_leads(connection, filters=filters))


def _check_text(file: BinaryIO) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    message = _("It is not a text file in UTF-8. Save it as text or CSV, one id of a lead a line.")
    try:
        while chunk := file.read(CHUNK):
            if b"\0" in chunk:
                raise RequestRefusedError(message, code="no_text")
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise RequestRefusedError(message, code="no_text") from error
    file.seek(0)


def _id(line: str) -> str:
    text = line.strip()
    return "" if text.startswith(COMMENT) else text


def _column(lines: Iterator[str], name: str) -> Iterator[str]:
    header = next(lines)
    delimiter = _delimiter(header, name)
    place = _names(header, delimiter).index(name)
    yield ""
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    before = 0
    try:
        for row in rows:
            # A cell may go over several lines.
            yield from repeat("", rows.line_num - before - 1)
            before = rows.line_num
            value = row[place].strip() if place < len(row) else ""
            yield value or delimiter.join(row)
    except csv.Error as error:
        message = _("Line %(number)s cannot be read as CSV: %(error)s.")
        words = {"number": rows.line_num + 1, "error": error}
        raise RequestRefusedError(message % words, code="no_csv") from error


def _delimiter(header: str, name: str) -> str:
    for delimiter in DELIMITERS:
        if name in _names(header, delimiter):
            return delimiter
    widest = max(DELIMITERS, key=lambda delimiter: len(_names(header, delimiter)))
    message = _("There is no column “%(name)s”; the first line names: %(known)s.")
    words = {"name": name, "known": ", ".join(_names(header, widest))[:200]}
    raise RequestRefusedError(message % words, code="no_column")


def _names(header: str, delimiter: str) -> list[str]:
    names = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), [])
    return [name.strip() for name in names]
