"""
Records of any module: read by id, list, count, search, create, update, delete.

https://www.zoho.com/crm/developer/docs/api/v8/get-records.html
https://www.zoho.com/crm/developer/docs/api/v8/search-records.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from zoho_crm.client._api import Api
from zoho_crm.client._around import RecordClient
from zoho_crm.client._criteria import Criteria, criteria_text
from zoho_crm.client._names import field_names, list_fields, module_name, record_id
from zoho_crm.client._pages import RECORDS_PER_PAGE, Page, page_of, read_pages
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
from zoho_crm.types import JsonObject, Record

#: Zoho's limit of ids in a read.
MAX_IDS_PER_CALL = 100
#: Zoho's limit of what a search finds, as pages.
MAX_SEARCH_PAGES = 10
#: Fields by which a list can be sorted.
SORTABLE = frozenset({"id", "Created_Time", "Modified_Time"})
_PHONE = re.compile(r"\+?[0-9\s().\-/]{3,50}")


@dataclass(frozen=True, kw_only=True)
class RecordsClient:
    """The records of one module."""

    api: Api
    #: API name of the module, such as ``Contacts``.
    module: str

    def __post_init__(self) -> None:
        module_name(self.module)

    def get(self, id: str, *, fields: Iterable[str] = ()) -> Record | None:
        """
        Read one record, a converted lead too; ``None`` if there is none of that id.

        :param fields: API names of the fields to read; all by default
        :raises RequestRefusedError: if the id is not a number of at most 19 digits
        """
        names = field_names(fields)
        query = {"fields": ",".join(names)} if names else {}
        page = self._read(f"/{record_id(id)}", **query, **self._converted_too())
        return next(iter(page.records), None)

    def get_many(self, ids: Iterable[str], *, fields: Iterable[str]) -> dict[str, Record]:
        """
        Read records by id, converted leads too; one that was not found is left out.

        :param ids: any number of ids, of which 100 are read in a call
        :param fields: API names of 1 to 50 fields to read
        :raises RequestRefusedError: if an id is not a number of at most 19 digits
        """
        query = {"fields": list_fields(fields), **self._converted_too()}
        found: dict[str, Record] = {}
        for part in chunks(map(record_id, ids), MAX_IDS_PER_CALL):
            page = self._read(ids=",".join(part), **query)
            found |= {record.id: record for record in page.records}
        return found

    def list(
        self, *, fields: Iterable[str], sort_by: str = "", converted: bool | None = False
    ) -> Iterator[Record]:
        """
        Return an iterator over all records of the module, up to Zoho's limit of 100,000.

        Pages of 200 are read as they are needed. Records that are created meanwhile may be missing.

        :param fields: API names of 1 to 50 fields to read
        :param sort_by: ``id``, ``Created_Time`` or ``Modified_Time``, with ``-`` in front for the
            last one first; by default the newest first, which is the cheapest order
        :param converted: whether to list converted leads instead of open ones; ``None``: both
        :raises RequestRefusedError: while iterating, if there are more than 100,000
        """
        query = {"fields": list_fields(fields), **_order(sort_by), **_converted(converted)}
        return read_pages(self.api, self._path, query)

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
        :param converted: as in ``list``
        :raises ValueError: if none, or more than one, of the first four is given
        :raises RequestRefusedError: while iterating, if there are more than 2,000
        """
        text = None if criteria is None else criteria_text(criteria)
        given = {"email": email, "phone": phone, "word": word, "criteria": text}
        query = {name: value for name, value in given.items() if value}
        if len(query) != 1:
            raise ValueError("Search by one of: email, phone, word, criteria.")
        query |= _converted(converted)
        names = field_names(fields)
        if email or phone:  # it is not known which fields Zoho compared, so all of them are read
            fits = _has_address(email) if email else _has_number(phone)
            return _only(names, self._search(query, fits))
        compared = [] if criteria is None else [each.field for each in criteria.conditions()]
        if names:
            query["fields"] = ",".join(dict.fromkeys([*names, *compared]))
        return self._search(query, _fits_all if criteria is None else criteria.fits)

    def create(
        self,
        records: Iterable[Mapping[str, Any]],
        *,
        trigger: Iterable[str] | None = None,
        assignment_rule: str = "",
    ) -> tuple[WriteResult, ...]:
        """
        Create records, and return the result or the error of each, in their order.

        100 records go in a call, each with a deadline. If the first call fails as a whole, its
        error is raised; if a later one does, it is the error of its records, and what would follow
        is not sent. If the iterable raises, what it gave before is sent first.

        https://www.zoho.com/crm/developer/docs/api/v8/insert-records.html

        :param records: values by API name: JSON, dates, aware times, decimals, records
        :param trigger: names of the automations to run, ``workflow`` for one; all by default
        :param assignment_rule: id of the assignment rule that gives the records their owners
        :raises UnknownOutcomeError: if the first call may have been processed; do not repeat it
        """
        keys = _keys(trigger, assignment_rule)
        write = Write(api=self.api, method="POST", path=self._path, action="insert", keys=keys)
        return write.all(records, record_values)

    def update(
        self,
        records: Iterable[Mapping[str, Any]],
        *,
        trigger: Iterable[str] | None = None,
        if_unmodified_since: datetime | None = None,
    ) -> tuple[WriteResult, ...]:
        """
        Update records, and return the result or the error of each, as ``create`` does.

        Only the fields that are given change; ``None`` empties one. A lost answer may be repeated,
        for which workflows run again, unless a record has rows without an id, which would be added
        again.

        https://www.zoho.com/crm/developer/docs/api/v8/update-records.html

        :param records: values by API name, with ``id``
        :param trigger: as in ``create``
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
        )
        return write.all(records, identified_values)

    def upsert(
        self,
        records: Iterable[Mapping[str, Any]],
        *,
        duplicate_check_fields: Iterable[str] = (),
        trigger: Iterable[str] | None = None,
        assignment_rule: str = "",
        if_unmodified_since: datetime | None = None,
    ) -> tuple[WriteResult, ...]:
        """
        Update the record that a value identifies, or create it; results are as of ``create``.

        ``action`` says which. An upsert of leads does not see converted ones: it creates another.

        https://www.zoho.com/crm/developer/docs/api/v8/upsert-records.html

        :param duplicate_check_fields: API names of the fields to compare first, of unique fields or
            Zoho's own, such as ``Email``; by default Zoho's own, then the unique ones
        :param trigger: as in ``create``, and so is ``assignment_rule``
        :param if_unmodified_since: as in ``update``
        """
        names = [*field_names(duplicate_check_fields)]
        checked: JsonObject = {"duplicate_check_fields": names} if names else {}
        write = Write(
            api=self.api,
            method="POST",
            path=f"{self._path}/upsert",
            keys={**checked, **_keys(trigger, assignment_rule)},
            headers=_condition(if_unmodified_since),
        )
        return write.all(records, record_values)

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
        return RecordClient(api=self.api, module=self.module, id=id)

    @property
    def _path(self) -> str:
        return f"/crm/v8/{self.module}"

    def _search(self, query: Mapping[str, str], fits: Callable[[Record], bool]) -> Iterator[Record]:
        """
        Yield each record once, though a change may push one from a page to the next.

        A last page that is full is the end of what Zoho gives, not of what there is.
        """
        seen: set[str] = set()
        for number in range(1, MAX_SEARCH_PAGES + 1):
            place = {"page": str(number), "per_page": str(RECORDS_PER_PAGE)}
            page = self._read("/search", **query, **place)
            for record in page.records:
                if record.id not in seen and fits(record):
                    yield record
                seen.add(record.id)
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
