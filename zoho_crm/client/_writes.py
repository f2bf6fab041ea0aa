"""
Writes of records: chunks of 100 in a call, and the result or the error of each record.

https://www.zoho.com/crm/developer/docs/api/v8/insert-records.html
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import field, replace
from datetime import date
from decimal import Decimal
from itertools import islice, repeat
from types import TracebackType
from typing import Any, Generic, TypeAlias, TypeVar

from zoho_crm.client._answers import id_or_empty, text_of, unknown_form
from zoho_crm.client._api import Api
from zoho_crm.client._in_flight import CallsInFlight
from zoho_crm.client._names import field_name, record_id
from zoho_crm.client._pages import MAX_RECORDS_PER_CALL
from zoho_crm.client._values import text_of_value, unusable
from zoho_crm.exceptions import (
    RequestRefusedError,
    UnknownOutcomeError,
    WriteInterruptedError,
    ZohoError,
)
from zoho_crm.types import UNSTORABLE, JsonObject, Record, Reference, ValueObject

#: Characters that are read of the name of a field.
MAX_FIELD_NAME_LENGTH = 100

Given = TypeVar("Given")
Sent = TypeVar("Sent")
#: The records of a chunk: what is sent of each, or why it is not.
_Prepared: TypeAlias = list[Sent | RequestRefusedError]


class WriteResult(ValueObject):
    """What became of one record of a write."""

    #: Id of the record; of one that was refused, if it was given.
    id: str = ""
    #: ``insert``, ``update`` or ``delete``; empty if it was refused.
    action: str = ""
    #: API name of the field by which an upsert found the record.
    duplicate_field: str = ""
    #: Why it was not written, or may not have been: ``error.may_repeat`` tells.
    error: ZohoError | None = None

    def raise_for_error(self) -> None:
        """
        Do nothing if the record was written.

        :raises ZohoError: the error, if there is one
        """
        if self.error is not None:
            raise self.error


class Write(ValueObject):
    """A kind of call that creates or updates records."""

    api: Api
    method: str
    path: str
    #: What is done to a record, if it is not the answer that says it.
    action: str = ""
    #: What the body has besides the records.
    keys: JsonObject = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Names of the fields that tell which record is meant: as calls that are in flight together may
    #: overtake each other, no two of them are about the same record.
    identity: tuple[str, ...] = ()

    def all(
        self,
        records: Iterable[Mapping[str, Any]],
        prepare: Callable[[Mapping[str, Any]], JsonObject],
    ) -> tuple[WriteResult, ...]:
        """Write all records, as ``write_all``."""
        return write_all(records, prepare, CallsInFlight(self.api, self._send), self._marks)

    def _marks(self, records: Sequence[JsonObject]) -> frozenset[object]:
        values = ((name, record.get(name)) for record in records for name in self.identity)
        return frozenset((name, str(value).strip().casefold()) for name, value in values if value)

    def _send(self, api: Api, records: Sequence[JsonObject]) -> list[WriteResult]:
        repeatable = self.action == "update" and not any(map(adds_rows, records))
        answers = api.call_items(
            self.method,
            self.path,
            number=len(records),
            repeatable=repeatable,
            json={"data": records, **self.keys},
            headers=self.headers,
        )
        return [
            _result(answer, str(record.get("id", "")), self.action, repeatable)
            for record, answer in zip(records, answers, strict=True)
        ]


class Deletion(ValueObject):
    """The call that deletes records by id."""

    api: Api
    path: str
    run_workflows: bool

    def all(self, ids: Iterable[str], prepare: Callable[[str], str]) -> tuple[WriteResult, ...]:
        """Delete all records, as ``write_all``."""
        return write_all(ids, prepare, CallsInFlight(self.api, self._send), frozenset)

    def _send(self, api: Api, ids: Sequence[str]) -> list[WriteResult]:
        query = {"ids": ",".join(ids), "wf_trigger": str(self.run_workflows).lower()}
        answers = api.call_items(
            "DELETE", self.path, number=len(ids), repeatable=True, params=query
        )
        return [
            _result(answer, record_id, "delete", True)
            for record_id, answer in zip(ids, answers, strict=True)
        ]


class Tagging(ValueObject):
    """The call that adds tags to records, or removes them, which may be repeated."""

    api: Api
    path: str
    keys: JsonObject

    def all(self, ids: Iterable[str], prepare: Callable[[str], str]) -> tuple[WriteResult, ...]:
        """Change the tags of all records, as ``write_all``."""
        return write_all(ids, prepare, CallsInFlight(self.api, self._send), frozenset)

    def _send(self, api: Api, ids: Sequence[str]) -> list[WriteResult]:
        answers = api.call_items(
            "POST",
            self.path,
            number=len(ids),
            repeatable=True,
            json={**self.keys, "ids": list(ids)},
        )
        return [
            _result(answer, record_id, "update", True)
            for record_id, answer in zip(ids, answers, strict=True)
        ]


def write_all(
    given: Iterable[Given],
    prepare: Callable[[Given], Sent],
    calls: CallsInFlight[Sent, WriteResult],
    marks_of: Callable[[Sequence[Sent]], frozenset[object]],
) -> tuple[WriteResult, ...]:
    """
    Send records in chunks of 100, and return the result of each in the order that was given.

    A record that ``prepare`` refuses is not sent. After a call that failed as a whole no other is.

    :param prepare: returns what is sent of a record, or raises a ``RequestRefusedError``
    :param marks_of: returns what tells which records a chunk is about
    :raises ZohoError: if no call succeeded, the error of the first, or of one that is in doubt
    :raises WriteInterruptedError: if the iterable raises an error; what it gave before is sent
    """
    results: list[WriteResult] = []
    failures: list[ZohoError] = []
    has_written = False
    source = _Source(given)
    with calls:
        for prepared, answer in _answers(source, prepare, calls, marks_of):
            if isinstance(answer, ZohoError):
                failures.append(answer)
            has_written = has_written or (isinstance(answer, list) and bool(answer))
            if failures and not has_written and not calls and source.error is None:
                raise _worst(failures)
            results += _in_order(prepared, answer, len(results))
    if source.error is not None:
        raise WriteInterruptedError(results=tuple(results)) from source.error
    return tuple(results)


def _answers(
    source: _Source[Given],
    prepare: Callable[[Given], Sent],
    calls: CallsInFlight[Sent, WriteResult],
    marks_of: Callable[[Sequence[Sent]], frozenset[object]],
) -> Iterator[tuple[_Prepared[Sent], list[WriteResult] | ZohoError]]:
    """Yield what was prepared for each call, with its answer, in the order they are sent in."""
    waiting: deque[_Prepared[Sent]] = deque()
    while chunk := source.take():
        prepared = [_prepared(prepare, item) for item in chunk]
        sendable = [item for item in prepared if not isinstance(item, RequestRefusedError)]
        marks = marks_of(sendable)
        while calls.must_wait(marks):
            yield waiting.popleft(), calls.finish()
        calls.start(sendable, marks, alone=not calls and len(chunk) < MAX_RECORDS_PER_CALL)
        waiting.append(prepared)
        while calls.must_wait():
            yield waiting.popleft(), calls.finish()
    while calls:
        yield waiting.popleft(), calls.finish()


def _in_order(
    prepared: _Prepared[Any], answer: list[WriteResult] | ZohoError, index: int
) -> Iterator[WriteResult]:
    """
    Yield the result of each record of a chunk.

    :param index: of the first one among all
    """
    sent = repeat(WriteResult(error=answer)) if isinstance(answer, ZohoError) else iter(answer)
    for number, item in enumerate(prepared, index):
        refused = item if isinstance(item, RequestRefusedError) else None
        yield _numbered(WriteResult(error=refused) if refused else next(sent), number)


def _worst(failures: Sequence[ZohoError]) -> ZohoError:
    """Return the error of a call that may have been processed, else the first one."""
    sent = [error for error in failures if error.code != "not_sent"] or failures
    return next((error for error in sent if isinstance(error, UnknownOutcomeError)), sent[0])


def record_values(record: Mapping[str, Any]) -> JsonObject:
    """
    Return the values of a record as JSON that Zoho takes.

    :raises RequestRefusedError: for a value of another type, that names the field
    """
    if not isinstance(record, Mapping):
        raise RequestRefusedError(code="no_record")
    return {field_name(str(name)): _sent_value(str(name), value) for name, value in record.items()}


def identified_values(record: Mapping[str, Any]) -> JsonObject:
    """
    Return the values of a record that exists as JSON that Zoho takes.

    :raises RequestRefusedError: as ``record_values``, and if the record has no id
    """
    values = record_values(record)
    return {**values, "id": record_id(values.get("id", ""))}


class _Source(Generic[Given]):
    """The items of an iterable, which may end with an error of any class."""

    def __init__(self, items: Iterable[Given]) -> None:
        self._items = iter(items)
        #: The error with which the items ended.
        self.error: Exception | None = None

    def take(self) -> Sequence[Given]:
        """Return the next 100 items; fewer, or none, if they end."""
        taken: list[Given] = []
        with self:
            for item in islice(self._items, MAX_RECORDS_PER_CALL):
                taken.append(item)
        return taken

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Keep an error of the block; one that ends the program passes."""
        if not isinstance(error, Exception):
            return False
        self.error = error
        return True


def _prepared(prepare: Callable[[Given], Sent], item: Given) -> Sent | RequestRefusedError:
    try:
        return prepare(item)
    except RequestRefusedError as error:
        return error


def _numbered(result: WriteResult, index: int) -> WriteResult:
    """Return the result, with the place of its record in the details of a refusal."""
    if not isinstance(result.error, RequestRefusedError):
        return result
    own = copy(result.error)  # of a call that was refused as a whole, all records have the same
    own.details = {**own.details, "index": index}
    return replace(result, error=own)


def _result(
    answer: JsonObject | ZohoError, given_id: str, action: str, repeatable: bool
) -> WriteResult:
    """
    Return the result of one record.

    :param given_id: the id that was sent; empty for a record that is created
    """
    if isinstance(answer, ZohoError):
        return WriteResult(id=given_id, error=answer)
    details: Any = answer.get("details")
    written_id = id_or_empty(details.get("id")) if isinstance(details, dict) else ""
    if not written_id:
        return WriteResult(id=given_id, error=unknown_form(repeatable=repeatable))
    return WriteResult(
        id=written_id,
        action=text_of(answer.get("action")) or action,
        duplicate_field=text_of(answer.get("duplicate_field"), MAX_FIELD_NAME_LENGTH),
    )


def adds_rows(values: JsonObject) -> bool:
    """Return whether a record has rows without an id, each of which is added by every update."""
    lists = (value for value in values.values() if isinstance(value, list))
    return any(isinstance(row, dict) and not row.get("id") for rows in lists for row in rows)


def _sent_value(name: str, value: Any) -> Any:
    """Return a value of a field as JSON; the name is for its error."""
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            raise unusable(name, "text")
        return value
    if isinstance(value, Record | Reference):
        return {"id": value.id}
    if isinstance(value, date):  # and time
        return text_of_value(name, value)
    if isinstance(value, Mapping):
        return {str(key): _sent_value(name, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sent_value(name, item) for item in value]
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        raise unusable(name, "number")
    if value is None or isinstance(value, int | float | Decimal):
        return value
    raise unusable(name, "type")
