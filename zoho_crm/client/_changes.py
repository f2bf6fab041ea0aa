"""
What was written and what was deleted in a module since a cursor.

Zoho's own times decide, to the second; the clock of this machine is never read. Each call reads a
minute again, because a write may become visible after a later one, and leaves out what was given.

https://www.zoho.com/crm/developer/docs/api/v8/Get-Records-through-COQL-Query.html
https://www.zoho.com/crm/developer/docs/api/v8/get-deleted-records.html
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from zoho_crm.client._answers import id_of, parse_answer, time_of
from zoho_crm.client._api import Api
from zoho_crm.client._coql import ROWS_PER_CALL, Query, Rows, quoted, read_rows
from zoho_crm.client._names import list_fields, module_name
from zoho_crm.client._pages import RECORDS_PER_PAGE
from zoho_crm.exceptions import RequestRefusedError, ServerError
from zoho_crm.types import Change, JsonObject, Record

TIME = "Modified_Time"
#: How far back each call reads again.
OVERLAP = timedelta(seconds=60)
#: Changes that a cursor remembers of each kind; with more in a minute it reads back less far.
MAX_REMEMBERED = 10_000
#: Pages of deleted records after which the list is taken to be endless.
MAX_PAGES = 5_000
#: Readings of a list of several pages until one finds nothing new.
MAX_READINGS = 5
VERSION = 1
_SECOND = timedelta(seconds=1)
_DIGEST_BYTES = 6
_DIGEST_LENGTH = 8
_BEGINNING = datetime(1990, 1, 1, tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)


@dataclass(kw_only=True)
class Track:
    """The changes of one kind that were given: from where to read on, and what to leave out."""

    #: Second from which the next call reads; ``None``: from the beginning.
    start: datetime | None = None
    #: Second of the last change that was given.
    latest: datetime | None = None
    #: Digests of the changes that were given, by their second, from ``start`` on.
    seen: dict[int, set[str]] = field(default_factory=dict)

    def knows(self, at: datetime, digest: str) -> bool:
        """Return whether a change was given before, or is older than what is read."""
        is_old = self.start is not None and at < self.start
        return is_old or digest in self.seen.get(int(at.timestamp()), ())

    def add(self, at: datetime, digest: str) -> None:
        """Remember a change that is given, and forget those that are not read again."""
        self.seen.setdefault(int(at.timestamp()), set()).add(digest)
        if self.latest is None or at > self.latest:
            self.latest = at
            self._forget(int((at - OVERLAP).timestamp()))

    def _forget(self, oldest: int) -> None:
        for second in [second for second in self.seen if second < oldest]:
            del self.seen[second]
        number = sum(map(len, self.seen.values()))
        for second in sorted(self.seen)[:-1]:
            if number <= MAX_REMEMBERED:
                break
            number -= len(self.seen.pop(second))
            oldest = second + 1
        start = datetime.fromtimestamp(oldest, UTC)
        self.start = start if self.start is None else max(self.start, start)

    def as_json(self) -> JsonObject:
        """Return the track as JSON values, the digests of a second in one text."""
        return {
            "start": self.start and self.start.isoformat(),
            "latest": self.latest and self.latest.isoformat(),
            "seen": {second: "".join(sorted(found)) for second, found in self.seen.items()},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Track:
        """
        Return the track that ``as_json`` returned.

        :raises ValueError: if it is none; also ``KeyError``, ``TypeError``, ``AttributeError``
        """
        seen = {int(second): _split(text) for second, text in stored["seen"].items()}
        times = [stored[name] and _second(stored[name]) for name in ("start", "latest")]
        return cls(start=times[0], latest=times[1], seen=seen)


class Changes(Iterator[Change]):
    """
    An iterator over the changes in a module since a cursor, in the order of their times.

    ``cursor`` can be kept after each change that was dealt with, and at the end.
    """

    def __init__(
        self,
        api: Api,
        module: str,
        cursor: str,
        fields: Iterable[str],
        shape: Callable[[Record], Record] | None = None,
    ) -> None:
        self._api = api
        #: Returns a record as it is given.
        self._shape = shape
        self._module = module_name(module)
        self._fields = list_fields(dict.fromkeys([*_listed(fields), TIME]))
        self._written, self._deleted = _read(cursor, self._module)
        self._found = self._changes(is_first=not cursor)

    def __iter__(self) -> Changes:
        return self

    def __next__(self) -> Change:
        return next(self._found)

    @property
    def cursor(self) -> str:
        """The text that continues after the changes that were given so far."""
        tracks = {"written": self._written.as_json(), "deleted": self._deleted.as_json()}
        return json.dumps({"version": VERSION, "module": self._module, **tracks})

    def _changes(self, *, is_first: bool) -> Iterator[Change]:
        """Yield the deletions that were read first, and the records, merged by their times."""
        waiting = deque(self._deletions(readings=1 if is_first else MAX_READINGS))
        if is_first:  # nothing is known that could have been deleted
            for deletion in waiting:
                self._deleted.add(deletion.at, _digest(deletion.id))
            waiting.clear()
        deleted = {deletion.id for deletion in waiting}
        for record in self._records():
            at = _second(record[TIME])
            deleted.discard(record.id)  # it was restored before it was read
            yield from self._deletions_until(at, waiting, deleted)
            digest = _digest(record.id, record)
            if not self._written.knows(at, digest):
                self._written.add(at, digest)
                shown = self._shape(record) if self._shape else record
                yield Change(id=record.id, at=at, record=shown)
        yield from self._deletions_until(_END, waiting, deleted)

    def _deletions_until(
        self, at: datetime, waiting: deque[Change], deleted: Collection[str]
    ) -> Iterator[Change]:
        """Yield those of the waiting deletions up to a time that are still deleted."""
        while waiting and waiting[0].at <= at:
            deletion = waiting.popleft()
            if deletion.id in deleted:
                self._deleted.add(deletion.at, _digest(deletion.id))
                yield deletion

    def _records(self) -> Iterator[Record]:
        """
        Yield the records by their seconds; those at the end of a page come again.

        Pages begin at a second and not at a number, so what is changed meanwhile moves none away;
        the records of a second that fills a page are read by their ids.
        """
        start = self._written.start or _BEGINNING
        while True:
            page = self._page(f"{TIME} >= {quoted(TIME, start)}", f"{TIME} asc, id asc")
            yield from map(_record, page.rows)
            if not page.has_more or not page.rows:
                return
            last = _second(page.rows[-1].get(TIME))
            if last > start:
                start = last
            else:
                yield from self._records_of(start)
                start += _SECOND

    def _records_of(self, second: datetime) -> Iterator[Record]:
        """Yield all records of one second, by growing id."""
        start, end = quoted(TIME, second), quoted(TIME, second + _SECOND)
        last_id = "0"
        while True:
            where = f"(({TIME} >= {start} and {TIME} < {end}) and id > '{last_id}')"
            page = self._page(where, "id asc")
            yield from map(_record, page.rows)
            if not page.has_more or not page.rows:
                return
            newest_id = id_of(page.rows[-1].get("id"))
            if int(newest_id) <= int(last_id):
                raise ServerError(code="endless_list")
            last_id = newest_id

    def _page(self, where: str, order: str) -> Rows:
        query = Query(
            select=self._fields.replace(",", ", "),
            source=self._module,
            where=where,
            order=f"order by {order}",
            limit=f"limit {ROWS_PER_CALL}",
        )
        return read_rows(self._api, query)

    def _deletions(self, *, readings: int = MAX_READINGS) -> list[Change]:
        """
        Return the deletions that were not given before, in the order of their times.

        What is restored meanwhile moves the rest forward, so pages are read until nothing is new.
        """
        found: dict[str, Change] = {}
        for _reading in range(readings):
            known = len(found)
            pages = 0
            for page in self._deleted_pages():
                pages += 1
                found |= {each.id: each for each in page if not self._is_given(each)}
            if pages <= 1 or len(found) == known:
                break
        return sorted(found.values(), key=lambda each: (each.at, int(each.id)))

    def _is_given(self, deletion: Change) -> bool:
        return self._deleted.knows(deletion.at, _digest(deletion.id))

    def _deleted_pages(self) -> Iterator[list[Change]]:
        start = self._deleted.start
        # One second less: it is not said whether a record of that second itself is listed.
        since = {} if start is None else {"If-Modified-Since": (start - _SECOND).isoformat()}
        for number in range(1, MAX_PAGES + 1):
            query = {"type": "all", "page": str(number), "per_page": str(RECORDS_PER_PAGE)}
            path = f"/crm/v8/{self._module}/deleted"
            body = self._api.call("GET", path, params=query, headers=since)
            page, has_more = parse_answer(_deleted_page, body)
            yield page
            if not has_more:
                return
        raise ServerError(code="endless_list")


def _listed(fields: Iterable[str]) -> Iterable[str]:
    if isinstance(fields, str):
        raise TypeError("Names of fields are a list, not one text.")
    return fields


def _record(row: JsonObject) -> Record:
    return Record(id_of(row.get("id")), row)


def _deleted_page(body: JsonObject) -> tuple[list[Change], bool]:
    """Return the deletions of a page, and whether another one follows."""
    rows = body.get("data") or []
    found = [Change(id=id_of(row["id"]), at=_second(row["deleted_time"])) for row in rows]
    return found, bool((body.get("info") or {}).get("more_records"))


def _second(value: Any) -> datetime:
    """
    Return a time of Zoho's in UTC, without what is smaller than a second.

    :raises ServerError: if it is none
    """
    time = time_of(value)
    if time is None:
        raise ServerError(code="unknown_form")
    return time.astimezone(UTC).replace(microsecond=0)


def _digest(record_id: str, values: Mapping[str, Any] | None = None) -> str:
    """Return a digest of one state of a record; a second change in a second has another one."""
    text = json.dumps([record_id, None if values is None else dict(values)], sort_keys=True)
    found = blake2b(text.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).digest()
    return urlsafe_b64encode(found).decode()


def _split(text: str) -> set[str]:
    """
    Return the digests in a text.

    :raises ValueError: if its length is not that of digests
    """
    if len(text) % _DIGEST_LENGTH:
        raise ValueError("no digests")
    places = range(0, len(text), _DIGEST_LENGTH)
    return {text[place : place + _DIGEST_LENGTH] for place in places}


def _read(cursor: str, module: str) -> tuple[Track, Track]:
    """
    Return what was given of each kind.

    :raises RequestRefusedError: if the text is no cursor, or one of another module
    """
    if not cursor:
        return Track(), Track()
    try:
        stored = json.loads(cursor)
        known = stored["module"] if stored["version"] == VERSION else ""
        tracks = Track.from_json(stored["written"]), Track.from_json(stored["deleted"])
    except (AttributeError, KeyError, ServerError, TypeError, ValueError) as error:
        raise RequestRefusedError(code="bad_cursor") from error
    if known != module:
        details = {"module": module, "known": str(known)}
        raise RequestRefusedError(code="other_cursor", details=details)
    return tracks
