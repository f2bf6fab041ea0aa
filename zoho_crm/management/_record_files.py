"""Files of ``zoho_records upsert``: the table with the rows, and what became of each of them."""

from __future__ import annotations

import csv
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO
from zlib import crc32

from django.utils.translation import gettext as _

from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.management._exits import wrong_use
from zoho_crm.services.csv_text import csv_line
from zoho_crm.services.record_import import DONE, ImportRow

FIELDS = ("row", "key", "outcome", "id", "fields", "error_code", "message")
#: Rows of the largest file.
MAX_ROWS = 100_000_000


class Source:
    """
    A CSV file with a row of headings, which is read row by row.

    :param columns: API names of fields by heading; empty: the headings are API names
    :raises CommandError: if the file cannot be read, or lacks a column
    """

    def __init__(self, path: str, columns: Mapping[str, str], key: str) -> None:
        self._path = path
        self._columns = columns
        self._key = key
        with self._open() as file:
            headings = next(self._reader(file), [])
        self.fields = self._fields_of(headings)

    def rows(self) -> Iterator[ImportRow]:
        """
        Yield the rows that are not empty; the first one below the headings is number 2.

        :raises CommandError: if the file cannot be read to its end
        """
        with self._open() as file:
            reader = self._reader(file)
            headings = next(reader, [])
            for number, cells in enumerate(reader, start=2):
                if any(cell.strip() for cell in cells):
                    yield self._row(number, headings, cells)

    def _row(self, number: int, headings: Sequence[str], cells: Sequence[str]) -> ImportRow:
        if len(cells) != len(headings):
            return ImportRow(line=number, error=RequestRefusedError(code="bad_row"))
        named = zip(headings, cells, strict=True)
        texts = {self.fields[name]: cell.strip() for name, cell in named if name in self.fields}
        given = {name: text for name, text in texts.items() if text}
        return ImportRow(line=number, texts=given, key=given.get(self._key, ""))

    def _fields_of(self, headings: Sequence[str]) -> Mapping[str, str]:
        """Return the API names of the fields by heading, in the order of the file."""
        missing = [name for name in self._columns if name not in headings]
        wanted = self._columns or {name: name for name in headings if name.strip()}
        if missing or self._key not in wanted.values():
            asked = missing or [self._key]
            message = _("%(path)s has no column for %(names)s; it has: %(headings)s.")
            shown = {"names": ", ".join(asked), "headings": ", ".join(headings)[:500]}
            raise wrong_use(message % {"path": self._path, **shown})
        return {name: wanted[name] for name in headings if name in wanted}

    @contextmanager
    def _open(self) -> Iterator[TextIOWrapper]:
        try:
            with open(self._path, encoding="utf-8-sig", newline="") as file:
                yield file
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            message = _("%(name)s cannot be read: %(error)s")
            raise wrong_use(message % {"name": self._path, "error": error}) from error

    @staticmethod
    def _reader(file: TextIO) -> Iterator[list[str]]:
        """Return the rows of a file, whose cells are separated by what its first line has most."""
        first = file.readline()
        file.seek(0)
        return csv.reader(file, delimiter=max(",;\t", key=first.count))


class Results:
    """
    A CSV file with what became of each row, which is written as soon as it is known.

    A second run of the same command leaves out the rows that were done. Their numbers and keys are
    remembered in four bytes a row.

    :raises CommandError: if the file is none of results
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._done = array("I")
        #: Rows that were done by an earlier run.
        self.number_done = 0
        if self._path.exists():
            self._read()

    def is_done(self, row: ImportRow) -> bool:
        """
        Return whether a row was done by an earlier run.

        :raises CommandError: if the results have another key in this row
        """
        known = self._done[row.line] if row.line < len(self._done) else 0
        if known and known != _mark(row.key):
            message = _(
                "%(path)s has the results of another file: its row %(row)s has another key. Move "
                "it away, or name another file with --results."
            )
            raise wrong_use(message % {"path": self._path, "row": row.line})
        return bool(known)

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows, and wait until they are on the disk."""
        is_new = not self._path.exists()
        with self._path.open("a", encoding="utf-8", newline="") as file:
            if is_new:
                file.write(csv_line(FIELDS))
            elif not self._ends_with_a_line():
                file.write("\r\n")  # an earlier run was killed while it wrote
            file.writelines(csv_line(row[name] for name in FIELDS) for row in rows)
            file.flush()
            os.fsync(file.fileno())

    def _ends_with_a_line(self) -> bool:
        with self._path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            return file.read(1) in {b"", b"\n"}

    def _read(self) -> None:
        try:
            with self._path.open(encoding="utf-8", newline="") as file:
                self._read_rows(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error, ValueError, TypeError) as error:
            message = _("%(path)s has no results of this command; name another file: --results.")
            raise wrong_use(message % {"path": self._path}) from error

    def _read_rows(self, reader: csv.DictReader[str]) -> None:
        if tuple(reader.fieldnames or ()) != FIELDS:
            raise ValueError("other headings")
        for row in reader:
            if row["outcome"] not in DONE:
                continue  # also half a row, if the writing was cut
            number = int(row["row"])
            if not 0 <= number <= MAX_ROWS:
                raise ValueError("no number of a row")
            if number >= len(self._done):
                self._done.extend([0] * (number + 1 - len(self._done)))
            self.number_done += not self._done[number]
            self._done[number] = _mark(row["key"])


def _mark(key: str) -> int:
    """Return a number for a key that is not 0, the same for the key as the results show it."""
    return crc32(csv_line([key]).encode()) or 1
