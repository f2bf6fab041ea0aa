"""
The sources of a run's lead ids: a file, a column of a CSV file, lines of text, the open leads.

Each function yields one text per line of its source, so that line numbers are those of the source;
a line without an id (an empty line, a header, a comment) is yielded as an empty text.
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
from zoho_crm.services.presentation import MAX_TEXT_LENGTH
from zoho_crm.types import CodedText, storable

COMMENT = "#"
DELIMITERS = ",;\t"
#: Bytes of a file that are read at a time.
CHUNK_BYTES = 1 << 16


def ids_in_file(file: BinaryIO, *, column: str = "") -> Iterator[str]:
    """
    Yield the lines of a file, or the values in a column of a CSV file with a header.

    The whole file is checked before the first line is yielded.

    :param file: a file opened for reading bytes, at its beginning
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
    Yield lines of text, or the values in a column of lines of CSV with a header.

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

    :param filters: values by the API name of a field
    :raises ZohoError: if a page of leads cannot be read
    """
    return (lead.id for lead in open_leads(connection, filters=filters))


def file_source(name: str) -> CodedText:
    """Return the source of the leads in a file of this name, as a run stores it."""
    return CodedText(code="file", details={"file": storable(name, MAX_TEXT_LENGTH)})


def open_leads_source(filters: Mapping[str, str]) -> CodedText:
    """Return the source of the open leads that have these values, by API name."""
    if not filters:
        return CodedText(code="all_open_leads")
    listed = ", ".join(f"{field}={value}" for field, value in filters.items())
    return CodedText(code="open_leads", details={"filters": listed[:MAX_TEXT_LENGTH]})


def _check_text(file: BinaryIO) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    message = _("It is not a text file in UTF-8. Save it as text or CSV, one id of a lead a line.")
    try:
        while chunk := file.read(CHUNK_BYTES):
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
    index = _names(header, delimiter).index(name)
    yield ""
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    last_line = 0
    try:
        for row in rows:
            # A cell may contain line breaks.
            yield from repeat("", rows.line_num - last_line - 1)
            last_line = rows.line_num
            value = row[index].strip() if index < len(row) else ""
            yield value or delimiter.join(row)
    except csv.Error as error:
        message = _("Line %(number)s cannot be read as CSV: %(error)s.")
        values = {"number": rows.line_num + 1, "error": error}
        raise RequestRefusedError(message % values, code="no_csv") from error


def _delimiter(header: str, name: str) -> str:
    for delimiter in DELIMITERS:
        if name in _names(header, delimiter):
            return delimiter
    widest = max(DELIMITERS, key=lambda delimiter: len(_names(header, delimiter)))
    message = _("There is no column “%(name)s”; the first line names: %(known)s.")
    values = {"name": name, "known": ", ".join(_names(header, widest))[:200]}
    raise RequestRefusedError(message % values, code="no_column")


def _names(header: str, delimiter: str) -> list[str]:
    names = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), [])
    return [name.strip() for name in names]
