"""
The sources of a run's lead ids: a file, a column of a CSV file, lines of text, the open leads.

Each function yields one text per line of its source, so that line numbers are those of the source;
a line without an id (an empty line, a header, a comment) is yielded as an empty text.

Zoho's exports have the ids in the column "Record Id", with the prefix "zcrm_".
"""

from __future__ import annotations

import codecs
import csv
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Mapping
from io import TextIOWrapper
from itertools import chain, repeat
from typing import BinaryIO

from django.utils.translation import gettext as _

from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.models import Connection
from zoho_crm.services.lead_ids import DELIMITERS, id_in_line
from zoho_crm.services.leads import open_leads
from zoho_crm.services.presentation import MAX_TEXT_LENGTH
from zoho_crm.types import CodedText, storable

COMMENT = "#"
#: Names of the column of ids, in lower case: in exports of Zoho's, of its bulk read, and of ours.
ID_COLUMNS = frozenset({"record id", "lead id", "leadid", "id", "lead_id"})
#: The first line that Excel writes, or needs, to know the delimiter.
_SEPARATOR_LINE = re.compile(r'"?sep=.?"?', re.IGNORECASE)
#: Bytes of a file that are read at a time.
CHUNK_BYTES = 1 << 16
#: A line that is added after the last one; a quotation that does not end takes it into its cell.
_END_OF_FILE = "\0"


def ids_in_file(file: BinaryIO, *, column: str = "") -> Iterator[str]:
    """
    Yield the lines of a file, or the values in a column of a CSV file with a header.

    The whole file is checked before the first line is yielded. Text in UTF-8 and, with a byte order
    mark, in UTF-16 is read as such. Of other encodings, which spreadsheets write too, the digits
    are certain, and only they matter.

    :param file: a file opened for reading bytes, at its beginning
    :raises RequestRefusedError: if it is no text, is empty, or has no such column
    """
    text = TextIOWrapper(file, encoding=_encoding(file), newline="")
    try:
        yield from ids_in_lines(text, column=column)
    finally:
        text.detach()


def ids_in_lines(lines: Iterable[str], *, column: str = "") -> Iterator[str]:
    """
    Yield the ids in lines of text, or the values in a column of lines of CSV with a header.

    Without a column, the one that is named as Zoho's exports name the id is taken; a line of other
    text is yielded whole if it has not one id.

    :raises RequestRefusedError: if there is no line, or no such column
    """
    stream = iter(lines)
    first = next(stream, "").removeprefix("\ufeff")
    if not first:
        raise RequestRefusedError(_("It is empty."), code="empty")
    if _SEPARATOR_LINE.fullmatch(first.strip()):
        return chain([""], _ids(next(stream, ""), stream, column.strip()))
    return _ids(first, stream, column.strip())


def _ids(first: str, rest: Iterator[str], column: str) -> Iterator[str]:
    lines = chain([first], rest)
    name = column or _id_column(first)
    return _column(lines, name) if name else map(_id, lines)


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


def open_leads_source(
    filters: Mapping[str, str], owner_names: Mapping[str, str] | None = None
) -> CodedText:
    """
    Return the source of the open leads that have these values, by API name.

    :param owner_names: by id, to name an owner who is meant by id
    """
    if not filters:
        return CodedText(code="all_open_leads")
    shown = {**filters}
    if owner := shown.get("Owner"):
        shown["Owner"] = (owner_names or {}).get(owner, owner)
    listed = ", ".join(f"{field}={value}" for field, value in shown.items())
    return CodedText(code="open_leads", details={"filters": listed[:MAX_TEXT_LENGTH]})


def _encoding(file: BinaryIO) -> str:
    """
    Return the encoding of a text file, and go back to its beginning.

    :raises RequestRefusedError: if it is no text
    """
    is_utf_16 = file.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE)
    file.seek(0)
    for encoding in ("utf-16",) if is_utf_16 else ("utf-8-sig", "latin-1"):
        if _is_text(file, encoding):
            return encoding
    message = _("It is not a text file. Save it as text or CSV, one id of a lead a line.")
    raise RequestRefusedError(message, code="no_text")


def _is_text(file: BinaryIO, encoding: str) -> bool:
    """Return whether a whole file is text in this encoding, and go back to its beginning."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while chunk := file.read(CHUNK_BYTES):
            if "\0" in decoder.decode(chunk):
                return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    finally:
        file.seek(0)
    return True


def _id(line: str) -> str:
    return "" if line.lstrip().startswith(COMMENT) else id_in_line(line)


def _id_column(header: str) -> str:
    """Return the one column whose name says that it has the ids; empty if there is none."""
    for delimiter in DELIMITERS:
        found = [name for name in _names(header, delimiter) if name.casefold() in ID_COLUMNS]
        if len(found) == 1:
            return found[0]
    return ""


def _column(lines: Iterator[str], name: str) -> Iterator[str]:
    header = next(lines)
    delimiter = _delimiter(header, name)
    index = _names(header, delimiter).index(name)
    yield ""
    rows = csv.reader(chain(lines, [_END_OF_FILE]), delimiter=delimiter, skipinitialspace=True)
    last_line = 0
    try:
        for row in rows:
            if row == [_END_OF_FILE]:
                return
            if row and row[-1].endswith(_END_OF_FILE):
                message = _("In line %(number)s a quotation begins that does not end.")
                raise RequestRefusedError(message % {"number": last_line + 2}, code="no_csv")
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
    """Return the names in the first line of a file; none if it is too long to be a header."""
    try:
        names = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []
    return [name.strip() for name in names]
