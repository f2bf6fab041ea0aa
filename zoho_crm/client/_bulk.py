"""
Bulk read: Zoho writes the records of a module to a file, 200,000 in a job, which is read by rows.

https://www.zoho.com/crm/developer/docs/api/v8/bulk-read/overview.html
"""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import IO, Any, BinaryIO, TypeVar

from zoho_crm.client._answers import (
    MAX_TEXT_LENGTH,
    check_answer,
    count_of,
    id_of,
    parse_answer,
    text_of,
)
from zoho_crm.client._api import Api
from zoho_crm.client._criteria import Condition, Criteria, Group
from zoho_crm.client._files import save_body
from zoho_crm.client._metadata import ModuleField
from zoho_crm.client._names import field_names, module_name
from zoho_crm.client._transport import Pace
from zoho_crm.client._typed import typed_by
from zoho_crm.client._values import text_of_value
from zoho_crm.exceptions import (
    RateLimitError,
    RequestRefusedError,
    ServerError,
    TransientError,
    TransportError,
)
from zoho_crm.types import BulkProgress, JsonObject, Record, storable

Value = TypeVar("Value")

PATH = "/crm/bulk/v8/read"
#: Zoho's limits: fields of a job, conditions, values of one ``in``.
MAX_FIELDS = 200
MAX_CONDITIONS = 25
MAX_VALUES = 20
#: Bytes of the rows of one job.
MAX_BYTES = 2_000_000_000
#: Characters of one line of the file: 200 fields of the longest text that Zoho has, 50,000.
MAX_LINE_LENGTH = 10_000_000
#: Jobs after which the list is taken to be endless.
MAX_JOBS = 500
#: Seconds between two polls: the first, and the longest.
FIRST_POLL_SECONDS = 2.0
MAX_POLL_SECONDS = 30.0
#: Seconds after which a job is given up.
MAX_JOB_SECONDS = 7_200.0
#: Seconds before a call is made once more that got no answer, or was one too many.
RETRY_SECONDS = (10.0, 20.0, 40.0, 60.0)

_OPERATORS = {"equals": "equal"}
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)


@dataclass(kw_only=True)
class BulkRead:
    """The jobs of one bulk read."""

    api: Api
    module: str
    fields: tuple[str, ...]
    criteria: Criteria | None
    #: Called when a job has begun, after each poll, and when its rows have been read.
    on_progress: Callable[[BulkProgress], object]
    #: Waits for a number of seconds.
    wait: Callable[[float], object]
    #: Bytes of the rows of one job.
    max_bytes: int
    #: The fields by which the values get types; ``None``: they stay texts.
    typed_fields: Iterable[ModuleField] | None = None
    _rows: int = 0
    #: Ids of the records of earlier jobs, those of each job in order.
    _earlier: list[array[int]] = field(default_factory=list)

    def records(self) -> Iterator[Record]:
        """
        Yield the records of all jobs; a later job leaves out those that an earlier one had.

        :raises ZohoError: if Zoho refuses or fails
        """
        typed = _typing(self.typed_fields)
        start: JsonObject = {"page": 1}
        for number in range(1, MAX_JOBS + 1):
            job_id = self._patiently(partial(self._begin, start))
            result = self._done(job_id, number)
            has_more = bool(result.get("more_records"))
            ids: array[int] = array("Q")
            yield from self._new_records(job_id, ids, typed)
            self._tell(job_id, number, "COMPLETED", count_of(result.get("count")))
            if not has_more:
                return
            self._earlier.append(array("Q", sorted(ids)))
            token = text_of(result.get("next_page_token"))
            start = {"page_token": token} if token else {"page": number + 1}
        raise ServerError(code="endless_list")

    def _new_records(
        self, job_id: str, ids: array[int], typed: Callable[[Record], Record]
    ) -> Iterator[Record]:
        """Yield the records of a job that no earlier job had; add the ids of all to the array."""
        with tempfile.TemporaryFile() as file:
            for record in self._downloaded(job_id, file):
                ids.append(int(record.id))
                if not self._is_known(ids[-1]):
                    self._rows += 1
                    yield typed(record)

    def _begin(self, start: JsonObject) -> str:
        """Create a job, and return its id."""
        query = start if "page_token" in start else {**self._query(), **start}
        body = self.api.call("POST", PATH, json={"query": query}, is_read=True)
        return parse_answer(lambda answer: id_of(answer["data"][0]["details"]["id"]), body)

    def _query(self) -> JsonObject:
        query: JsonObject = {"module": {"api_name": self.module}, "fields": [*self.fields]}
        return query if self.criteria is None else {**query, "criteria": nested(self.criteria)}

    def _done(self, job_id: str, number: int) -> JsonObject:
        """
        Poll a job until it is done, and return its result.

        :raises RequestRefusedError: if it failed
        :raises TransientError: if it takes too long, or Zoho failed
        """
        pause, waited = FIRST_POLL_SECONDS, 0.0
        while True:
            job = self._patiently(partial(self.api.read, f"{PATH}/{job_id}", _job))
            state = text_of(job.get("state")).upper().replace("_", " ")
            told: Any = job.get("result")
            result: JsonObject = told if isinstance(told, dict) else {}
            if state == "COMPLETED":
                return result
            if state in {"FAILURE", "FAILED"}:
                raise _failure(result, job_id)
            self._tell(job_id, number, state, 0)
            if waited >= MAX_JOB_SECONDS:
                raise TransientError(code="bulk_too_slow", details={"id": job_id})
            self.wait(pause)
            waited += pause
            pause = min(2 * pause, MAX_POLL_SECONDS)

    def _downloaded(self, job_id: str, file: BinaryIO) -> Iterator[Record]:
        """Yield the records of a job, whose archive is saved in a file first."""
        self._patiently(partial(self._download, job_id, file))
        with reading(file, self.max_bytes) as rows:
            yield from records_of(rows)

    def _download(self, job_id: str, file: BinaryIO) -> None:
        """
        Save the archive of a job.

        :raises ServerError: if it is not a whole archive
        """
        file.seek(0)
        file.truncate()
        pace = Pace(idle=self.api.limits.deadline)
        saved: list[int] = []
        response, body = self.api.transfer(
            "GET",
            f"{PATH}/{job_id}/result",
            repeatable=True,
            pace=pace,
            save=lambda answer: saved.append(
                save_body(answer, file, limit=self.max_bytes, pace=pace)
            ),
        )
        if not saved:
            check_answer(response, body, repeatable=True)
            raise ServerError(code="bad_archive")
        if saved[0] and not zipfile.is_zipfile(file):
            raise ServerError(code="bad_archive")

    def _patiently(self, call: Callable[[], Value]) -> Value:
        """Return what a call returns; it is made again after a while if Zoho did not answer."""
        for seconds in RETRY_SECONDS:
            try:
                return call()
            except (RateLimitError, ServerError, TransportError):
                self.wait(seconds)
        return call()

    def _is_known(self, record_id: int) -> bool:
        for ids in self._earlier:
            place = bisect_left(ids, record_id)
            if place < len(ids) and ids[place] == record_id:
                return True
        return False

    def _tell(self, job_id: str, number: int, state: str, expected: int) -> None:
        progress = BulkProgress(
            job_id=job_id, number=number, state=state, rows=self._rows, expected=expected
        )
        self.on_progress(progress)


def bulk_read(
    api: Api, module: str, fields: Iterable[str], criteria: Criteria | None, **options: Any
) -> Iterator[Record]:
    """
    Return an iterator over the records of a bulk read.

    :param options: of ``BulkRead``
    :raises RequestRefusedError: for names that are none, and for criteria with too many values
    :raises ValueError: for no field, or more than 200
    """
    names = field_names(fields)
    if not 1 <= len(names) <= MAX_FIELDS:
        raise ValueError(f"Name 1 to {MAX_FIELDS} fields to read, not {len(names)}.")
    if criteria is not None:
        nested(criteria)
    read = BulkRead(api=api, module=module_name(module), fields=names, criteria=criteria, **options)
    return read.records()


def nested(criteria: Criteria) -> JsonObject:
    """
    Return criteria in the form of a bulk read.

    :raises RequestRefusedError: if there are more conditions, or values, than Zoho takes
    """
    number = len(list(criteria.conditions()))
    if number > MAX_CONDITIONS:
        raise RequestRefusedError(code="too_many_conditions", details={"limit": MAX_CONDITIONS})
    return _nested(criteria)


def _nested(criteria: Criteria) -> JsonObject:
    if isinstance(criteria, Group):
        return {"group_operator": criteria.word, "group": [*map(_nested, criteria.parts)]}
    if not isinstance(criteria, Condition):
        raise TypeError("These are no criteria.")
    if len(criteria.values) > MAX_VALUES:
        details = {"api_name": criteria.field, "number": len(criteria.values), "limit": MAX_VALUES}
        raise RequestRefusedError(code="number_of_values", details=details)
    values = [text_of_value(criteria.field, value) for value in criteria.values]
    is_list = criteria.operator in {"in", "between"}
    return {
        "field": {"api_name": criteria.field},
        "comparator": _OPERATORS.get(criteria.operator, criteria.operator),
        "value": values if is_list else values[0],
    }


class _Limited(io.RawIOBase):
    """A file that may give only so many bytes."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file = file
        self._limit = self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._file.read(len(buffer))
        self._left -= len(part)
        if self._left < 0:
            raise RequestRefusedError(code="bulk_too_large", details={"limit": self._limit})
        buffer[: len(part)] = part
        return len(part)


@contextmanager
def reading(file: BinaryIO, max_bytes: int) -> Iterator[Iterator[list[str]]]:
    """
    Open the rows of an archive, which are unpacked while they are read; none of an empty file.

    :raises ServerError: inside the block, too, if it is not an archive with one whole CSV file
    :raises RequestRefusedError: inside the block, too, if that has more bytes than are allowed
    """
    if not file.seek(0, io.SEEK_END):
        yield iter([])
        return
    try:
        with zipfile.ZipFile(file) as archive:
            [entry] = archive.infolist()
            if entry.file_size > max_bytes:
                raise RequestRefusedError(code="bulk_too_large", details={"limit": max_bytes})
            with archive.open(entry) as packed:
                raw = io.BufferedReader(_Limited(packed, max_bytes))
                text = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="")
                yield csv.reader(_lines(text))
    except (csv.Error, ValueError, *_BROKEN) as error:
        raise ServerError(code="bad_archive") from error


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """
    Yield the lines of a text.

    :raises ValueError: if one is too long
    """
    while line := text.readline(MAX_LINE_LENGTH):
        if len(line) >= MAX_LINE_LENGTH:
            raise ValueError("a line is too long")
        yield line


def records_of(rows: Iterator[list[str]]) -> Iterator[Record]:
    """
    Yield the records of rows, of which the first one has the names of the fields.

    An empty cell is ``None``: a file does not tell an empty text.

    :raises ValueError: if a row does not have a cell for each field, or an id that is none
    """
    names = ["id" if name.lower() == "id" else name for name in next(rows, [])]
    for number, row in zip(count(1), rows, strict=False):
        if not row:
            continue
        if len(row) != len(names):
            raise ValueError(f"row {number} has another number of cells")
        values = {
            name: storable(text, MAX_TEXT_LENGTH) or None
            for name, text in zip(names, row, strict=True)
        }
        record_id = id_of(values.get("id"))
        yield Record(record_id, {**values, "id": record_id})


def _typing(fields: Iterable[ModuleField] | None) -> Callable[[Record], Record]:
    """Return a function that gives the values of a record their types."""
    if fields is None:
        return lambda record: record
    known = {each.api_name: each for each in fields}
    as_python = typed_by(known.values())

    def typed(record: Record) -> Record:
        values = {
            name: _as_json(known[name], value) if value and name in known else value
            for name, value in record.items()
        }
        return as_python(Record(record.id, {**values, "id": record.id}))

    return typed


def _as_json(field: ModuleField, text: str) -> Any:
    """Return a cell as the JSON value that Zoho has elsewhere for it; a text if it is none."""
    make = _FORMS.get(field.data_type)
    if field.data_type == "multiselectpicklist":
        return _several(text, {choice.value for choice in field.choices})
    return make(text) if make else text


def _several(text: str, choices: set[str]) -> list[str]:
    """Return the values in a cell; they are separated by semicolons, or as was seen by commas."""
    found = text.split(";")
    if len(found) == 1 and text not in choices:
        parts = [part.strip() for part in text.split(",")]
        found = parts if choices.issuperset(parts) else found
    return found


def _whole(text: str) -> Any:
    return int(text) if text.removeprefix("-").isdecimal() and len(text) <= 20 else text


def _truth(text: str) -> Any:
    return {"true": True, "false": False}.get(text.lower(), text)


def _reference(text: str) -> Any:
    return {"id": text}


_FORMS: Mapping[str, Callable[[str], Any]] = {
    "integer": _whole,
    "boolean": _truth,
    **dict.fromkeys(("lookup", "ownerlookup", "userlookup", "multi_module_lookup"), _reference),
}


def _job(body: JsonObject) -> JsonObject:
    job: JsonObject = body["data"][0]
    return dict(job)


def _failure(result: JsonObject, job_id: str) -> RequestRefusedError | ServerError:
    """Return the error of a job that failed; Zoho's own failure is a ``ServerError``."""
    told: Any = result.get("error_message")
    told = told if isinstance(told, dict) else {}
    code = text_of(told.get("code"))
    kind = ServerError if not code or code.startswith("INTERNAL") else RequestRefusedError
    message = text_of(told.get("message"), 2_000) or f"The job {job_id} failed."
    details = told.get("details")
    known = details if isinstance(details, dict) else {}
    return kind(message, code=code, details={**known, "id": job_id})
