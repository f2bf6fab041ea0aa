"""Read the file of an SDK: the Python SDK's CSV, or what the PHP SDK serialized."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from django.utils.translation import gettext as _

from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.services.token_sources._found import (
    COLUMN_NAMES,
    MAX_SOURCE_TOKENS,
    REQUIRED_COLUMNS,
    FoundToken,
    Problem,
    found_token,
    other_format,
    too_many_tokens,
)
from zoho_crm.services.token_sources._php import is_serialized, read_serialized

#: Bytes of a file that is read: a token of the longest kind has about 7,000.
MAX_SOURCE_BYTES = 64 * 1024 * 1024


def read_file(path: Path) -> list[FoundToken]:
    """
    Return the tokens in a file that Zoho's SDK for Python or PHP has written.

    :raises RequestRefusedError: if it is no such file, or cannot be read
    """
    content = _content(path)
    if is_serialized(content):
        return read_serialized(content)
    if b"\0" in content:
        raise RequestRefusedError(_("It is no text."), code="binary")
    # User names may be in the encoding of a machine; what has to be exact is ASCII.
    return _read_csv(content.decode("utf-8-sig", errors="replace"))


def check_file(path: Path) -> None:
    """
    Check that a path is a file that can be read, and not too large.

    :raises RequestRefusedError: if it is not
    """
    if not path.is_file():
        raise RequestRefusedError(_("There is no such file."), code="no_file")
    size = path.stat().st_size
    if not size:
        raise RequestRefusedError(_("It is empty."), code="empty")
    if size > MAX_SOURCE_BYTES:
        message = _("It is larger than %s bytes.")
        raise RequestRefusedError(message % MAX_SOURCE_BYTES, code="too_large")


def cannot_be_read(error: Exception) -> RequestRefusedError:
    """Return the error for a source that the system or a database does not let read."""
    return RequestRefusedError(_("It cannot be read: %s") % error, code="cannot_be_read")


def _content(path: Path) -> bytes:
    try:
        check_file(path)
        with path.open("rb") as file:
            content = file.read(MAX_SOURCE_BYTES)
    except (OSError, ValueError) as error:
        raise cannot_be_read(error) from error
    if not content.strip():
        raise RequestRefusedError(_("It is empty."), code="empty")
    return content


def _read_csv(text: str) -> list[FoundToken]:
    # ``delete_token`` of the SDK writes other line ends than ``save_token``, and blank rows.
    rows = (row for row in _rows(text) if any(row))
    names = [COLUMN_NAMES.get(cell.strip().lower(), "") for cell in next(rows, [])]
    if not REQUIRED_COLUMNS.issubset(names):
        raise other_format()
    read = list(islice(rows, MAX_SOURCE_TOKENS + 1))
    if len(read) > MAX_SOURCE_TOKENS:
        raise too_many_tokens()
    return [_token_of_row(number, names, row) for number, row in enumerate(read, start=1)]


def _rows(text: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(text.splitlines(keepends=True))
    except csv.Error as error:
        raise other_format() from error


def _token_of_row(number: int, names: Sequence[str], row: Sequence[str]) -> FoundToken:
    """Return the token of a row; the SDK ends rows without ``api_domain``, its newest column."""
    is_whole = len(row) == len(names) or (len(row) == len(names) - 1 and names[-1] == "api_domain")
    if not is_whole:
        return FoundToken(source_row=str(number), problem=Problem.UNREADABLE)
    return found_token(number, {name: cell for name, cell in zip(names, row, strict=False) if name})
