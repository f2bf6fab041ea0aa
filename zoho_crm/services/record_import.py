"""
Bring rows of a table into a module: compare them with what Zoho has, and upsert what differs.

Nothing is stored here. Rows are read, compared and sent in chunks of at most 100, so a table may be
of any size. What was sent without an answer is found by reading, when the rows are compared again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cached_property
from typing import Any

from zoho_crm.client import ModuleField, WriteResult, ZohoClient, field_name, module_name
from zoho_crm.exceptions import RequestRefusedError, UnknownOutcomeError, ZohoError
from zoho_crm.types import JsonObject, ValueObject

#: Rows that are compared and sent together, and keys that one question takes.
ROWS_PER_CHUNK = 100
KEYS_PER_QUERY = 50
#: Fields that one question reads, besides the id.
MAX_FIELDS = 48
CONVERTED = "Converted__s"
#: The module and the key with which a person may be known as a contact already.
LEADS_BY_EMAIL = ("Leads", "Email")


class Outcome(StrEnum):
    """What is to be done with a row, or what became of it."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    INVALID = "invalid"
    CREATED = "created"
    UPDATED = "updated"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"


#: Outcomes after which a row needs nothing more.
DONE = frozenset({Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED})
TO_SEND = frozenset({Outcome.NEW, Outcome.CHANGED})


class ImportRow(ValueObject):
    """One row of a table, and what is to be done with it."""

    #: Its number in the table, for people.
    line: int
    #: Texts by API name of the field; an empty text is left out.
    texts: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    outcome: Outcome = Outcome.INVALID
    #: Id of the record that it is, or has become.
    id: str = ""
    #: API names of the fields that differ.
    changed: tuple[str, ...] = ()
    error: ZohoError | None = None

    def refused(self, error: ZohoError) -> ImportRow:
        """Return the row as one that cannot be sent."""
        return replace(self, outcome=Outcome.INVALID, error=error)


@dataclass(kw_only=True)
class RecordImport:
    """
    An import into one module.

    :param key: API name of the field whose value says which record a row is
    :param fields: API names of the fields of the rows, ``key`` among them
    :raises RequestRefusedError: if a name is none
    :raises ValueError: if there are too many fields, or the key is not among them
    """

    client: ZohoClient
    module: str
    key: str
    fields: Sequence[str]

    def __post_init__(self) -> None:
        module_name(self.module)
        names = tuple(dict.fromkeys(map(field_name, self.fields)))
        if self.key not in names or len(names) > MAX_FIELDS:
            raise ValueError(f"The key and at most {MAX_FIELDS - 1} other fields are wanted.")
        self.fields = names

    def chunks(self, rows: Iterable[ImportRow]) -> Iterator[list[ImportRow]]:
        """Yield the rows in chunks, in none of which a key comes twice."""
        chunk: list[ImportRow] = []
        keys: set[str] = set()
        for row in rows:
            key = _loose(row.key)
            if len(chunk) == ROWS_PER_CHUNK or key in keys:
                yield chunk
                chunk, keys = [], set()
            chunk.append(row)
            keys.add(key)
        if chunk:
            yield chunk

    def compared(self, chunk: Sequence[ImportRow]) -> list[ImportRow]:
        """
        Return the rows of a chunk with what is to be done with each; a question for 50 of them.

        :raises ZohoError: if Zoho cannot be asked
        """
        checked = [self._with_key(row) for row in chunk]
        wanted = [row.key for row in checked if row.error is None]
        found: dict[str, list[Mapping[str, Any]]] = {}
        for start in range(0, len(wanted), KEYS_PER_QUERY):
            keys = wanted[start : start + KEYS_PER_QUERY]
            for record in self._question(tuple(keys)):
                found.setdefault(_loose(str(record.get(self.key))), []).append(record)
        done = [
            row if row.error else self._compared(row, found.get(_loose(row.key), []))
            for row in checked
        ]
        return self._without_contacts(done) if (self.module, self.key) == LEADS_BY_EMAIL else done

    def sent(self, chunk: Sequence[ImportRow]) -> list[ImportRow]:
        """
        Upsert those rows of a compared chunk that differ, and return all with their outcomes.

        If the call fails as a whole, its error is that of each row.
        """
        sending = [row for row in chunk if row.outcome in TO_SEND]
        if not sending:
            return [*chunk]
        try:
            results = self.client.records(self.module).upsert(
                [self._values(row) for row in sending], duplicate_check_fields=[self.key]
            )
        except ZohoError as error:
            results = tuple(WriteResult(error=error) for _row in sending)
        outcomes = {
            row.line: _with_result(row, result)
            for row, result in zip(sending, results, strict=True)
        }
        return [outcomes.get(row.line, row) for row in chunk]

    @cached_property
    def _fields(self) -> Mapping[str, ModuleField]:
        return {each.api_name: each for each in self.client.metadata.fields(self.module)}

    @cached_property
    def _query(self) -> str:
        marks = (CONVERTED,) if self.module == "Leads" else ()
        columns = ", ".join(dict.fromkeys([*self.fields, *marks]))
        return f"select {columns} from {self.module} where {self.key} in :{self.key}"

    @cached_property
    def _check_new(self) -> Callable[[Mapping[str, Any]], Any]:
        return self.client.records(self.module).preparation(is_new=True)

    @cached_property
    def _check_known(self) -> Callable[[Mapping[str, Any]], Any]:
        return self.client.records(self.module).preparation(is_new=False)

    def _question(self, keys: tuple[str, ...]) -> Iterator[JsonObject]:
        return self.client.coql(self._query, typed=False, **{self.key: keys})

    def _with_key(self, row: ImportRow) -> ImportRow:
        """Return a row, refused if there is no value in its key that can be asked for."""
        if row.error is not None:
            return row
        try:
            self._question((row.key,))  # asks nothing before it is iterated
        except RequestRefusedError as error:
            return row.refused(error)
        return row

    def _without_contacts(self, rows: Sequence[ImportRow]) -> list[ImportRow]:
        """Return the rows, of which a new lead is refused if a contact has its address."""
        keys = [row.key for row in rows if row.outcome == Outcome.NEW]
        known: dict[str, str] = {}
        for start in range(0, len(keys), KEYS_PER_QUERY):
            emails = tuple(keys[start : start + KEYS_PER_QUERY])
            query = "select Email from Contacts where Email in :emails"
            for record in self.client.coql(query, emails=emails):
                known[_loose(str(record.get("Email")))] = str(record["id"])
        return [
            row.refused(RequestRefusedError(code="known_contact", details={"id": known[key]}))
            if row.outcome == Outcome.NEW and (key := _loose(row.key)) in known
            else row
            for row in rows
        ]

    def _compared(self, row: ImportRow, found: Sequence[Mapping[str, Any]]) -> ImportRow:
        if len(found) > 1:
            details = {"api_name": self.key, "number": len(found)}
            return row.refused(RequestRefusedError(code="several_records", details=details))
        if found and found[0].get(CONVERTED):
            details = {"id": str(found[0]["id"])}
            return row.refused(RequestRefusedError(code="converted_lead", details=details))
        values = self._values(row)
        try:
            (self._check_known if found else self._check_new)(values)
        except RequestRefusedError as error:
            return row.refused(error)
        if not found:
            return replace(row, outcome=Outcome.NEW, changed=tuple(values))
        differing = tuple(
            name for name, value in values.items() if not _is_same(found[0].get(name), value)
        )
        outcome = Outcome.CHANGED if differing else Outcome.UNCHANGED
        return replace(row, outcome=outcome, id=str(found[0]["id"]), changed=differing)

    def _values(self, row: ImportRow) -> dict[str, Any]:
        return {name: value_of(self._fields.get(name), text) for name, text in row.texts.items()}


def value_of(known: ModuleField | None, text: str) -> Any:
    """Return the value that a text means for a field; the text if it means none."""
    kind = known.data_type if known else ""
    if kind == "multiselectpicklist":
        return [part.strip() for part in text.split(";") if part.strip()]
    make = _VALUES.get(kind)
    return make(text) if make else text


def _number(text: str) -> Any:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return text
    return number if number.is_finite() else text


def _whole(text: str) -> Any:
    number = _number(text)
    is_whole = isinstance(number, Decimal) and number == number.to_integral_value()
    return int(number) if is_whole and len(text) <= 20 else text


def _truth(text: str) -> Any:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    return known.get(text.strip().casefold(), text)


def _reference(text: str) -> Any:
    return {"id": text.strip()}


_VALUES: Mapping[str, Callable[[str], Any]] = {
    "integer": _whole,
    **dict.fromkeys(("double", "currency", "percent"), _number),
    "boolean": _truth,
    **dict.fromkeys(("lookup", "ownerlookup", "userlookup"), _reference),
}


def _is_same(there: Any, wanted: Any) -> bool:
    """Return whether a value at Zoho is the one that a row has."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and str(there.get("id")) == str(wanted["id"])
    if isinstance(there, int | float | Decimal) and not isinstance(there, bool):
        return bool(_number(str(there)) == _number(str(wanted)))
    if isinstance(there, list) and isinstance(wanted, list):
        return sorted(map(str, there)) == sorted(wanted)
    if isinstance(there, str) and isinstance(wanted, str):
        time = _time(there)
        return there == wanted or (time is not None and time == _time(wanted))
    return bool(there == wanted)


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.utcoffset() is not None else None


def _with_result(row: ImportRow, result: WriteResult) -> ImportRow:
    error = result.error
    if error is None:
        outcome = Outcome.CREATED if result.action == "insert" else Outcome.UPDATED
    elif isinstance(error, UnknownOutcomeError):
        outcome = Outcome.UNKNOWN
    else:
        outcome = Outcome.NOT_SENT if error.may_repeat else Outcome.REFUSED
    return replace(row, outcome=outcome, id=result.id or row.id, error=error)


def _loose(text: str) -> str:
    return text.strip().casefold()
