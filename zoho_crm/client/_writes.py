"""
Writes of records: chunks of 100 in a call, and the result or the error of each record.

https://www.zoho.com/crm/developer/docs/api/v8/insert-records.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from zoho_crm.client._answers import id_or_empty, text_of, unknown_form
from zoho_crm.client._api import Api
from zoho_crm.client._names import field_name, record_id
from zoho_crm.client._values import text_of_value, unusable
from zoho_crm.exceptions import RequestRefusedError, TransientError, ZohoError
from zoho_crm.types import UNSTORABLE, JsonObject, Record, Reference

#: Zoho's limit of records in a write.
MAX_RECORDS_PER_CALL = 100
#: Characters that are read of the name of a field.
MAX_FIELD_NAME_LENGTH = 100

Given = TypeVar("Given")
Sent = TypeVar("Sent")


@dataclass(frozen=True, kw_only=True)
class WriteResult:
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


@dataclass(frozen=True, kw_only=True)
class Write:
    """A kind of call that creates or updates records."""

    api: Api
    method: str
    path: str
    #: What is done to a record, if it is not the answer that says it.
    action: str = ""
    #: What the body has besides the records.
    keys: JsonObject = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def all(
        self,
        records: Iterable[Mapping[str, Any]],
        prepare: Callable[[Mapping[str, Any]], JsonObject],
    ) -> tuple[WriteResult, ...]:
        """Write all records, as ``write_all``."""
        return write_all(records, prepare, self._send)

    def _send(self, records: Sequence[JsonObject]) -> list[WriteResult]:
        repeatable = self.action == "update" and not any(map(_adds_rows, records))
        answers = self.api.call_items(
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


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """The call that deletes records by id."""

    api: Api
    path: str
    run_workflows: bool

    def all(self, ids: Iterable[str], prepare: Callable[[str], str]) -> tuple[WriteResult, ...]:
        """Delete all records, as ``write_all``."""
        return write_all(ids, prepare, self._send)

    def _send(self, ids: Sequence[str]) -> list[WriteResult]:
        query = {"ids": ",".join(ids), "wf_trigger": str(self.run_workflows).lower()}
        answers = self.api.call_items(
            "DELETE", self.path, number=len(ids), repeatable=True, params=query
        )
        return [
            _result(answer, record_id, "delete", True)
            for record_id, answer in zip(ids, answers, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class Tagging:
    """The call that adds tags to records, or removes them, which may be repeated."""

    api: Api
    path: str
    keys: JsonObject

    def all(self, ids: Iterable[str], prepare: Callable[[str], str]) -> tuple[WriteResult, ...]:
        """Change the tags of all records, as ``write_all``."""
        return write_all(ids, prepare, self._send)

    def _send(self, ids: Sequence[str]) -> list[WriteResult]:
        answers = self.api.call_items(
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
    send: Callable[[Sequence[Sent]], list[WriteResult]],
) -> tuple[WriteResult, ...]:
    """
    Send records in chunks of 100, and return the result of each in the order that was given.

    A record that ``prepare`` refuses is not sent. After a call that failed as a whole none is sent.

    :param prepare: returns what is sent of a record, or raises a ``RequestRefusedError``
    :param send: sends one chunk
    :raises ZohoError: if the first call failed as a whole
    """
    results: list[WriteResult] = []
    send_next = send
    is_first = True
    for chunk in _chunks(given):
        prepared = [_prepared(prepare, item) for item in chunk]
        sendable = [item for item in prepared if not isinstance(item, RequestRefusedError)]
        try:
            sent = iter(send_next(sendable) if sendable else [])
        except ZohoError as error:
            if is_first:
                raise
            sent = iter([WriteResult(error=error)] * len(sendable))
            send_next = _send_nothing
        results += [
            WriteResult(error=item) if isinstance(item, RequestRefusedError) else next(sent)
            for item in prepared
        ]
        is_first = is_first and not sendable
    return tuple(results)


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


def _chunks(items: Iterable[Given]) -> Iterator[Sequence[Given]]:
    """Yield the items in lists of at most 100; if they end with an error, the last ones, too."""
    chunk: list[Given] = []
    try:
        for item in items:
            chunk.append(item)
            if len(chunk) == MAX_RECORDS_PER_CALL:
                full, chunk = chunk, []
                yield full
    finally:
        if chunk:
            yield chunk


def _prepared(prepare: Callable[[Given], Sent], item: Given) -> Sent | RequestRefusedError:
    try:
        return prepare(item)
    except RequestRefusedError as error:
        return error


def _send_nothing(items: Sequence[Any]) -> list[WriteResult]:
    return [WriteResult(error=TransientError(code="not_sent")) for _item in items]


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


def _adds_rows(values: JsonObject) -> bool:
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
