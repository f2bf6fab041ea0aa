"""Read a table of tokens: in an SQLite file, or in a database of the project."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections
from django.utils.translation import gettext as _

from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.services.token_sources._files import cannot_be_read, check_file
from zoho_crm.services.token_sources._found import (
    COLUMN_NAMES,
    MAX_SOURCE_TOKENS,
    REQUIRED_COLUMNS,
    FoundToken,
    found_token,
    other_format,
    too_many_tokens,
)

#: The tables of the SDKs of today, and of those for API versions 1 and 2.
TABLES = ("oauthtoken", "oauthtokens")
#: Bytes of one value in an SQLite file.
MAX_VALUE_BYTES = 100_000
#: Characters that Django does not escape in names of tables.
_QUOTES = frozenset('"`')
#: Files of SQLite begin with this text; the byte of their write version is 2 in WAL mode.
_SQLITE_MAGIC = b"SQLite format 3\0"
_WRITE_VERSION = 18


def read_sqlite(path: Path, *, table: str = "") -> list[FoundToken]:
    """
    Return the tokens in an SQLite file such as the ``zohooauth.db`` of the SDK's samples.

    :param table: its name; empty for the first of ``TABLES`` that exists
    :raises RequestRefusedError: if it is no such file or has no such table, or cannot be read
    """
    with _open_sqlite(path) as database:
        # Views and virtual tables, which can run functions, have no root page.
        listed = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0"
        name = _table(table, [row[0] for row in database.execute(listed)])
        described = database.execute(f"SELECT * FROM {_quoted(name)} LIMIT 0").description
        columns = _columns([column[0] for column in described])
        selected = ", ".join(map(_quoted, columns))
        rows = database.execute(f"SELECT {selected} FROM {_quoted(name)}")
        return _tokens(list(columns.values()), rows)


def read_table(alias: str, *, table: str = "") -> list[FoundToken]:
    """
    Return the tokens in a table of one of the project's databases.

    :param alias: the database's key in the setting ``DATABASES``
    :param table: its name; empty for the first of ``TABLES`` that exists
    :raises RequestRefusedError: if there is no such database or table, or it cannot be read
    """
    if alias not in connections:
        message = _("There is no database “%(alias)s” in the settings; known are %(known)s.")
        values = {"alias": alias, "known": ", ".join(connections)}
        raise RequestRefusedError(message % values, code="no_database")
    try:
        return _read_table(alias, table)
    except (DatabaseError, ImproperlyConfigured) as error:
        raise cannot_be_read(error) from error


def _read_table(alias: str, table: str) -> list[FoundToken]:
    database = connections[alias]
    quote_name = database.ops.quote_name
    with database.cursor() as cursor:
        existing = database.introspection.table_names(cursor)
        name = _table(table, (each for each in existing if not _QUOTES.intersection(each)))
        described = database.introspection.get_table_description(cursor, name)
        columns = _columns([column.name for column in described])
        selected = ", ".join(map(quote_name, columns))
        cursor.execute(f"SELECT {selected} FROM {quote_name(name)}")
        return _tokens(list(columns.values()), cursor)


@contextmanager
def _open_sqlite(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        check_file(path)
        with closing(sqlite3.connect(_uri(path), uri=True)) as database:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
            database.execute("PRAGMA query_only = ON")
            database.execute("PRAGMA trusted_schema = OFF")
            database.text_factory = bytes
            yield database
    except (OSError, ValueError, sqlite3.Error) as error:
        raise cannot_be_read(error) from error


def _uri(path: Path) -> str:
    """
    Return the URI that opens an SQLite file so that neither it nor a file beside it changes.

    Opened for reading only, SQLite still locks against writers, and reads their log. For a file in
    WAL mode it would make the log, too, if there is none: then nobody has the file open, and it is
    opened as one that does not change.
    """
    with path.open("rb") as file:
        header = file.read(_WRITE_VERSION + 1)
    if not header.startswith(_SQLITE_MAGIC):
        raise RequestRefusedError(_("It is no SQLite database."), code="other_format")
    in_wal_mode = header[_WRITE_VERSION] == 2
    has_log = path.with_name(f"{path.name}-wal").exists()
    unchanging = "&immutable=1" if in_wal_mode and not has_log else ""
    return f"file:{quote(str(path.absolute()))}?mode=ro{unchanging}"


def _table(wanted: str, existing: Iterable[str | bytes]) -> str:
    """Return the name of the table to read, as the database has it."""
    names = {text.lower(): text for text in map(_text, existing)}
    found = [names[name] for name in ([wanted.lower()] if wanted else TABLES) if name in names]
    if not found:
        message = _("It has no table “%s”.")
        raise RequestRefusedError(message % (wanted or "”, “".join(TABLES)), code="no_table")
    return found[0]


def _columns(existing: Iterable[str]) -> dict[str, str]:
    """Return the columns that are read, by their name in the database."""
    columns = {
        name: COLUMN_NAMES[name.lower()] for name in existing if name.lower() in COLUMN_NAMES
    }
    if not REQUIRED_COLUMNS.issubset(columns.values()):
        raise other_format()
    return columns


def _tokens(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[FoundToken]:
    found = []
    for number, row in enumerate(rows, start=1):
        if number > MAX_SOURCE_TOKENS:
            raise too_many_tokens()
        columns: Mapping[str, str] = dict(zip(names, map(_text, row), strict=True))
        found.append(found_token(number, columns))
    return found


def _text(value: Any) -> str:
    """Return a value of a column as text; databases have bytes for some types."""
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode(errors="replace")
    return str(value)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
