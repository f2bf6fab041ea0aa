"""
Records of any module: read by id, list, count, search, create, update, delete.

https://www.zoho.com/crm/developer/docs/api/v8/get-records.html
https://www.zoho.com/crm/developer/docs/api/v8/search-records.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import chain, islice
from typing import Any

from zoho_crm.client._api import Api
from zoho_crm.client._around import RecordClient
from zoho_crm.client._checks import Purpose, RecordCheck
from zoho_crm.client._criteria import Criteria, criteria_text
from zoho_crm.client._metadata import Metadata
from zoho_crm.client._names import field_names, list_fields, module_name, record_id
from zoho_crm.client._pages import (
    MAX_IDS_PER_CALL,
    RECORDS_PER_PAGE,
    Page,
    page_of,
    read_pages,
)
from zoho_crm.client._typed import typed_by
from zoho_crm.client._values import text_of_value
from zoho_crm.client._writes import (
    Deletion,
    Tagging,
    Write,
    WriteResult,
    identified_values,
    record_values,
)
from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.types import JsonObject, Record, ValueObject

#: Zoho's limit of what a search finds, as pages.
MAX_SEARCH_PAGES = 10
#: The fields of Zoho's own by which an upsert finds a record:
#: https://www.zoho.com/crm/developer/docs/api/v8/upsert-records.html
DUPLICATE_CHECK_FIELDS: Mapping[str, tuple[str, ...]] = {
    "Leads": ("Email",),
    "Contacts": ("Email",),
    "Accounts": ("Account_Name",),
    "Deals": ("Deal_Name",),
}
#: Fields by which a list can be sorted.
SORTABLE = frozenset({"id", "Created_Time", "Modified_Time"})
_PHONE = re.compile(r"\+?[0-9\s().\-/]{3,50}")


class RecordsClient(ValueObject):
    """The records of one module."""

    api: Api
    #: API name of the module, such as ``Contacts``.
    module: str
    metadata: Metadata

    def __post_init__(self) -> None:
        module_name(self.module)

    def get(self, id: str, *, fields: Iterable[str] = (), typed: bool = False) -> Record | None:
        """
        Read one record, a converted lead too; ``None`` if there is none of that id.

        :param fields: API names of the fields to read; all by default
        :param typed: whether values are those of Python, by the fields of the module, which are
            read if they are not at hand; by default they are as Zoho sends them
        :raises RequestRefusedError: if the id is not a number of at most 19 digits
        """
        names = field_names(fields)
        query = {"fields": ",".join(names)} if names else {}
        page = self._read(f"/{record_id(id)}", **query, **self._converted_too())
        return next(self._typed(page.records, typed), None)

    def get_many(
        self, ids: Iterable[str], *, fields: Iterable[str], typed: bool = False
    ) -> dict[str, Record]:
        """
        Read records by id, converted leads too; one that was not found is left out.

        :param ids: any number of ids, of which 100 are read in a call
        :param fields: API names of 1 to 50 fields to read
        :param typed: as in ``get``
        :raises RequestRefusedError: if an id is not a number of at most 19 digits
        """
        query = {"fields": list_fields(fields), **self._converted_too()}
        found: dict[str, Record] = {}
        for part in chunks(map(record_id, ids), MAX_IDS_PER_CALL):
            page = self._read(ids=",".join(part), **query)
            found |= {record.id: record for record in self._typed(page.records, typed)}
        return found

    def list(
        self,
        *,
        fields: Iterable[str],
        sort_by: str = "",
        converted: bool | None = False,
        typed: bool = False,
    ) -> Iterator[Record]:
        """
        Return an iterator over all records of the module, up to Zoho's limit of 100,000.

        Pages of 200 are read as they are needed. Records that are created meanwhile may be missing.

        :param fields: API names of 1 to 50 fields to read
        :param sort_by: ``id``, ``Created_Time`` or ``Modified_Time``, with ``-`` in front for the
            last one first; by default the newest first, which is the cheapest order
        :param converted: whether to list converted leads instead of open ones; ``None``: both
        :param typed: as in ``get``
        :raises RequestRefusedError: while iterating, if there are more than 100,000
        """
        query = {"fields": list_fields(fields), **_order(sort_by), **_converted(converted)}
        return self._typed(read_pages(self.api, self._path, query), typed)

    def count(self, criteria: Criteria | None = None) -> int:
        """
        Return the number of records, or of those that fit criteria. It costs 50 credits.

        The number lags behind changes by minutes, and what Zoho's ``equals`` finds is not checked.

        https://www.zoho.com/crm/developer/docs/api/v8/get-records.html
        """
        query = {} if criteria is None else {"criteria": criteria_text(criteria)}
        return self.api.read(f"{self._path}/actions/count", _count, **query)

    def search(
        self,
        *,
        email: str = "",
        phone: str = "",
        word: str = "",
        criteria: Criteria | None = None,
        fields: Iterable[str] = (),
        converted: bool | None = False,
        typed: bool = False,
    ) -> Iterator[Record]:
        """
        Return an iterator over the records with an address, a number or a word, or by criteria.

        One that was written a moment ago may be missing. Zoho also finds records whose values only
        contain what is searched: they are left out here.

        :param email: a whole address, in any case
        :param phone: a whole number: the same digits, however they are grouped
        :param word: at least two letters, in any field
        :param criteria: of at most 10 conditions, see ``field``
        :param fields: API names of the fields to read; all by default
        :param converted: as in ``list``, and so is ``typed``
        :raises ValueError: if none, or more than one, of the first four is given
        :raises RequestRefusedError: while iterating, if there are more than 2,000
        """
        text = None if criteria is None else criteria_text(criteria)
        given = {"email": email, "phone": phone, "word": word, "criteria": text}
        query = {name: value for name, value in given.items() if value}
        if len(query) != 1:
            raise ValueError("Search by one of: email, phone, word, criteria.")
        query, names = query | _converted(converted), field_names(fields)
        if email or phone:  # it is not known which fields Zoho compared, so all of them are read
            fits = _has_address(email) if email else _has_number(phone)
            return self._typed(_only(names, self._search(query, fits)), typed)
        if names:
            compared = () if criteria is None else (each.field for each in criteria.conditions())
            query["fields"] = ",".join(dict.fromkeys([*names, *compared]))
        fits = _fits_all if criteria is None else criteria.fits
        return self._typed(self._search(query, fits), typed)

    def create(
        self,
        records: Iterable[Mapping[str, Any]],
        *,
        trigger: Iterable[str] | None = None,
        assignment_rule: str = "",
        check: bool = True,
    ) -> tuple[WriteResult, ...]:
        """
        Create records, and return the result or the error of each, in their order.

        100 records go in a call, each with a deadline, and some calls at a time; the iterable is
        read as they are sent. If a call fails as a whole, that is the error of its records, and
        what would follow is not sent; if none succeeded, it is raised. If the iterable raises, what
        it gave before is sent first, and the results are those of the ``WriteInterruptedError``.

        A record that does not fit the fields of the module has an ``InvalidRecordError``, and is
        not sent. Fields that are not at hand are read before the first record; if they cannot be
        read, Zoho alone checks.

        https://www.zoho.com/crm/developer/docs/api/v8/insert-records.html

        :param records: values by API name: JSON, dates, aware times, decimals, records
        :param trigger: names of the automations to run, ``workflow`` for one; all by default
        :param assignment_rule: id of the assignment rule that gives the records their owners
        :param check: whether records are checked before they are sent
        :raises UnknownOutcomeError: if no call succeeded, and one may have been processed
        :raises WriteInterruptedError: if the iterable raises; ``error.results`` has what became of
            each record that it gave
        """
        keys = _keys(trigger, assignment_rule)
        write = Write(api=self.api, method="POST", path=self._path, action="insert", keys=keys)
        return write.all(records, self._checked(record_values, Purpose.CREATE, check))

    def update(
        self,
        records: Iterable[Mapping[str, Any]],
        *,
        trigger: Iterable[str] | None = None,
        if_unmodified_since: datetime | None = None,
        check: bool = True,
    ) -> tuple[WriteResult, ...]:
        """
        Update records, and return the result or the error of each, as ``create`` does.

        Calls about the same record follow each other, in the order of what is given.

        Only the fields that are given change; ``None`` empties one. A lost answer may be repeated,
        for which workflows run again, unless a record has rows without an id, which would be added
        again.

        https://www.zoho.com/crm/developer/docs/api/v8/update-records.html

        :param records: values by API name, with ``id``
        :param trigger: as in ``create``, and so is ``check``
        :param if_unmodified_since: records that were changed later are refused, with the code
            ``ALREADY_MODIFIED``
        """
        write = Write(
            api=self.api,
            method="PUT",
            path=self._path,
            action="update",
            keys=_keys(trigger),
            headers=_condition(if_unmodified_since),
            identity=("id",),
        )
        return write.all(records, self._checked(identified_values, Purpose.UPDATE, check))

    def upsert(
        self,
        records: Iterable[Mapping[str, Any]],
        *,
        duplicate_check_fields: Iterable[str] = (),
        trigger: Iterable[str] | None = None,
        assignment_rule: str = "",
        if_unmodified_since: datetime | None = None,
        check: bool = True,
    ) -> tuple[WriteResult, ...]:
        """
        Update the record that a value identifies, or create it; results are as of ``create``.

        ``action`` says which. An upsert of leads does not see converted ones: it creates another.
        Calls about the same record follow each other, as of ``update``; if it is not known by which
        fields it is found, as in a module of your own without ``duplicate_check_fields``, all do.

        https://www.zoho.com/crm/developer/docs/api/v8/upsert-records.html

        :param duplicate_check_fields: API names of the fields to compare first, of unique fields or
            Zoho's own, such as ``Email``; by default Zoho's own, then the unique ones
        :param trigger: as in ``create``, and so are ``assignment_rule`` and ``check``
        :param if_unmodified_since: as in ``update``
        """
        names = [*field_names(duplicate_check_fields)]
        checked: JsonObject = {"duplicate_check_fields": names} if names else {}
        compared = {*names, *DUPLICATE_CHECK_FIELDS.get(self.module, ())}
        write = Write(
            # If it is not known what Zoho compares, a record could be created twice.
            api=self.api if compared else replace(self.api, concurrency=1),
            method="POST",
            path=f"{self._path}/upsert",
            keys={**checked, **_keys(trigger, assignment_rule)},
            headers=_condition(if_unmodified_since),
            identity=("id", *compared),
        )
        return write.all(records, self._checked(record_values, Purpose.UPSERT, check))

    def preparation(self, *, is_new: bool) -> Callable[[Mapping[str, Any]], JsonObject]:
        """
        Return a function that returns a record as an upsert sends it, or raises why it would not.

        Fields that are not at hand are read when it is first called.

        :param is_new: whether the record is to be created, and needs all mandatory fields
        :raises RequestRefusedError: by the function, for a record that does not fit
        """
        return self._checked(record_values, Purpose.CREATE if is_new else Purpose.UPSERT, True)

    def delete(self, ids: Iterable[str], *, run_workflows: bool = True) -> tuple[WriteResult, ...]:
        """
        Delete records, and return the result or the error of each, as ``create`` does.

        They stay in the recycle bin for 60 days. A lost answer may be repeated: what was deleted is
        then refused as unknown.

        https://www.zoho.com/crm/developer/docs/api/v8/delete-records.html
        """
        return Deletion(api=self.api, path=self._path, run_workflows=run_workflows).all(
            ids, record_id
        )

    def add_tags(
        self, ids: Iterable[str], names: Iterable[str], *, replace: bool = False
    ) -> tuple[WriteResult, ...]:
        """
        Add tags to records, and return the result or the error of each, as ``create`` does.

        A tag that does not exist is created. A lost answer may be repeated.

        https://www.zoho.com/crm/developer/docs/api/v8/add-tags.html

        :param names: of tags, each of at most 25 characters
        :param replace: whether they replace the tags that a record has
        """
        keys = {**_tags(names), "over_write": replace}
        path = f"{self._path}/actions/add_tags"
        return Tagging(api=self.api, path=path, keys=keys).all(ids, record_id)

    def remove_tags(self, ids: Iterable[str], names: Iterable[str]) -> tuple[WriteResult, ...]:
        """
        Remove tags from records, and return the result or the error of each, as ``add_tags``.

        https://www.zoho.com/crm/developer/docs/api/v8/remove-tags.html
        """
        path = f"{self._path}/actions/remove_tags"
        return Tagging(api=self.api, path=path, keys=_tags(names)).all(ids, record_id)

    def record(self, id: str) -> RecordClient:
        """
        Return the endpoints of what belongs to one record: its notes, related lists.

        :raises RequestRefusedError: if the id is not a number of at most 19 digits
        """
        return RecordClient(api=self.api, module=self.module, id=id, metadata=self.metadata)

    def _typed(self, records: Iterable[Record], typed: bool) -> Iterator[Record]:
        """Return the records, with values of Python if these are wanted."""
        if not typed:
            return iter(records)
        return map(typed_by(self.metadata.fields(self.module)), records)

    def _checked(
        self, prepare: Callable[[Mapping[str, Any]], JsonObject], purpose: Purpose, check: bool
    ) -> Callable[[Mapping[str, Any]], JsonObject]:
        """Return the function that prepares a record, and checks it if that is wanted."""
        if not check:
            return prepare
        check_values = RecordCheck(metadata=self.metadata, module=self.module, purpose=purpose)
        return lambda record: check_values(prepare(record))

    @property
    def _path(self) -> str:
        return f"/crm/v8/{self.module}"

    def _search(self, query: Mapping[str, str], fits: Callable[[Record], bool]) -> Iterator[Record]:
        """Yield each record once, though a change may push one from a page to the next."""
        seen: set[str] = set()
        for record in chain.from_iterable(self._search_pages(query)):
            if record.id not in seen and fits(record):
                yield record
            seen.add(record.id)

    def _search_pages(self, query: Mapping[str, str]) -> Iterator[Iterable[Record]]:
        """
        Yield the records of each page.

        A last page that is full is the end of what Zoho gives, not of what there is.

        :raises RequestRefusedError: after it
        """
        for number in range(1, MAX_SEARCH_PAGES + 1):
            place = {"page": str(number), "per_page": str(RECORDS_PER_PAGE)}
            page = self._read("/search", **query, **place)
            yield page.records
            if not page.has_more and (number < MAX_SEARCH_PAGES or not page.is_full):
                return
        limit = MAX_SEARCH_PAGES * RECORDS_PER_PAGE
        raise RequestRefusedError(code="search_limit", details={"limit": limit})

    def _read(self, path: str = "", /, **query: str) -> Page:
        return self.api.read(f"{self._path}{path}", page_of, **query)

    def _converted_too(self) -> dict[str, str]:
        """Return the parameter without which Zoho leaves out converted leads."""
        return {"converted": "both"} if self.module == "Leads" else {}


def chunks(items: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    """Yield the items in tuples of at most ``size``."""
    iterator = iter(items)
    while chunk := tuple(islice(iterator, size)):
        yield chunk


def _keys(trigger: Iterable[str] | None, assignment_rule: str = "") -> JsonObject:
    """Return what the body of a write has besides its records."""
    if isinstance(trigger, str):
        raise TypeError("The automations are a list, not one text.")
    keys: JsonObject = {} if trigger is None else {"trigger": [*trigger]}
    return {**keys, "lar_id": record_id(assignment_rule)} if assignment_rule else keys


def _tags(names: Iterable[str]) -> JsonObject:
    if isinstance(names, str):
        raise TypeError("The names of tags are a list, not one text.")
    return {"tags": [{"name": name} for name in names]}


def _condition(unmodified_since: datetime | None) -> dict[str, str]:
    """Return the header of a write that depends on when records were changed."""
    if unmodified_since is None:
        return {}
    return {"If-Unmodified-Since": text_of_value("if_unmodified_since", unmodified_since)}


def _order(sort_by: str) -> dict[str, str]:
    if not sort_by:
        return {}
    name = sort_by.removeprefix("-")
    if name not in SORTABLE:
        raise ValueError(f"Sort by one of: {', '.join(sorted(SORTABLE))}.")
    return {"sort_by": name, "sort_order": "desc" if sort_by.startswith("-") else "asc"}


def _converted(converted: bool | None) -> dict[str, str]:
    if converted is False:
        return {}  # Zoho's default
    return {"converted": "true" if converted else "both"}


def _fits_all(record: Record) -> bool:
    return True


def _only(names: tuple[str, ...], records: Iterator[Record]) -> Iterator[Record]:
    """Yield the records with these fields and their ids; with all fields if there are no names."""
    wanted = {*names, "id"}
    for record in records:
        kept = {name: value for name, value in record.items() if name in wanted or not names}
        yield Record(record.id, kept)


def _has_address(email: str) -> Callable[[Record], bool]:
    wanted = email.strip().casefold()
    return lambda record: any(
        isinstance(value, str) and value.strip().casefold() == wanted for value in record.values()
    )


def _has_number(phone: str) -> Callable[[Record], bool]:
    wanted = _digits(phone)
    return lambda record: any(
        isinstance(value, str) and name != "id" and _is_number(value) and _digits(value) == wanted
        for name, value in record.items()
    )


def _is_number(text: str) -> bool:
    return _PHONE.fullmatch(text.strip()) is not None


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


def _count(body: JsonObject) -> int:
    return int(body["count"]) if body else 0
