"""
Ids of leads as exports and spreadsheets write them.

An id is taken where it is certain which one is meant. Everything else is left out with its reason,
first of all a number that a spreadsheet has rounded: its last digits are lost, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from zoho_crm.models import MassConversionLine
from zoho_crm.types import RECORD_ID, is_record_id

Reason = MassConversionLine.Reason

#: What separates the cells of a line.
DELIMITERS = ",;\t|"
#: What exports and spreadsheets put around an id: white space, quotes, ``="…"``, a byte order mark.
_AROUND = " \t\r\n\f\v\"'=“”„‘’\u00a0\u202f\u200b\ufeff"
#: The prefix of ids in Zoho's own exports.
_PREFIX = "zcrm_"
#: A number as spreadsheets write it: with an exponent, with decimals, with its digits in groups.
_SPREADSHEET_NUMBER = re.compile(
    r"[+-]?\d+([.,]\d+)?E\+?\d+|\d{16,}(\.\d+|,00)|\d{1,3}([.,'’ \u00a0\u202f]\d{3}){4,}",
    re.IGNORECASE,
)
_CELL_END = re.compile(f"[{DELIMITERS}]")
#: Digits of a number that spreadsheets keep; all that follow become zeros.
SPREADSHEET_DIGITS = 15
#: Digits from which on an id of zeros behind those is suspicious.
MIN_ROUNDED_LENGTH = SPREADSHEET_DIGITS + 3


class ReadId(NamedTuple):
    """The id of a lead in a text, or why it has none."""

    lead_id: str = ""
    #: One of ``MassConversionLine.Reason``; empty if there is an id.
    reason: str = ""


def read_lead_id(text: str) -> ReadId:
    """Return the id that one text is, without what an export put around it, or the reason."""
    if is_record_id(text):
        return ReadId(lead_id=text)
    text = text.strip(_AROUND)
    bare = text[len(_PREFIX) :] if text[: len(_PREFIX)].lower() == _PREFIX else text
    if is_record_id(bare):
        return ReadId(lead_id=bare)
    if _SPREADSHEET_NUMBER.fullmatch(text):
        return ReadId(reason=Reason.ROUNDED)
    if any(_is_unmistakable(cell) for cell in cells_of(text)):
        return ReadId(reason=Reason.SEVERAL_VALUES)
    return ReadId(reason=Reason.MALFORMED)


def read_lead_ids(texts: Mapping[int, str]) -> dict[int, ReadId]:
    """
    Return what ``read_lead_id`` reads in each of some texts.

    If two or more are long and all of these end in zeros, a spreadsheet has rounded them.
    """
    found = {number: read_lead_id(text) for number, text in texts.items()}
    long = {each for each in found.values() if len(each.lead_id) >= MIN_ROUNDED_LENGTH}
    if len(long) < 2 or any(each.lead_id[SPREADSHEET_DIGITS:].strip("0") for each in long):
        return found
    rounded = ReadId(reason=Reason.ROUNDED)
    return {number: rounded if each in long else each for number, each in found.items()}


def id_in_line(line: str) -> str:
    """
    Return the only id among the cells of a line; if there is none, or several, the whole line.

    A short number beside other cells is no id: it may be anything.
    """
    line = line.strip()
    if is_record_id(line):
        return line
    cells = cells_of(line)
    reasons = {read_lead_id(text).reason for text in (line, *cells)}
    if len(cells) < 2 or Reason.ROUNDED in reasons:
        return line
    filled = [cell for cell in cells if cell.strip(_AROUND)]
    if len(filled) == 1:
        return filled[0]
    ids = {read_lead_id(cell).lead_id for cell in cells if _is_unmistakable(cell)}
    return ids.pop() if len(ids) == 1 else line


def ids_in_text(text: str) -> Iterator[str]:
    """Yield the texts of a list that was pasted, one a line or with delimiters between them."""
    for line in text.splitlines():
        is_number = read_lead_id(line).reason == Reason.ROUNDED
        yield from filter(None, map(str.strip, [line] if is_number else cells_of(line)))


def cells_of(line: str) -> list[str]:
    """Return what stands between the delimiters of a line."""
    return _CELL_END.split(line)


def _is_unmistakable(cell: str) -> bool:
    """Return whether a cell is an id with Zoho's prefix, or as long as Zoho's ids are."""
    text = cell.strip(_AROUND).lower()
    bare = text.removeprefix(_PREFIX)
    is_long = bare != text or len(bare) > SPREADSHEET_DIGITS
    return is_long and RECORD_ID.fullmatch(bare) is not None
