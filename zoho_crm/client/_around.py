"""
What belongs to one record: its notes, attachments, related lists and timeline.

https://www.zoho.com/crm/developer/docs/api/v8/get-notes.html
https://www.zoho.com/crm/developer/docs/api/v8/get-related-records.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from zoho_crm.client._answers import (
    MAX_CODE_LENGTH,
    MAX_NAME_LENGTH,
    id_of,
    text_of,
    time_of,
    user_of,
)
from zoho_crm.client._api import Api
from zoho_crm.client._attachments import AttachmentsClient
from zoho_crm.client._metadata import Metadata
from zoho_crm.client._names import list_fields, module_name, record_id
from zoho_crm.client._pages import pages, read_pages, token_in
from zoho_crm.client._typed import typed_by
from zoho_crm.client._writes import Write, record_values
from zoho_crm.types import FieldChange, JsonObject, Note, Record, TimelineEvent, ValueObject

NOTE_FIELDS = (
    "Note_Title",
    "Note_Content",
    "Owner",
    "Created_By",
    "Created_Time",
    "Modified_Time",
)


class RecordClient(ValueObject):
    """One record, and what belongs to it."""

    api: Api
    module: str
    id: str
    metadata: Metadata

    def __post_init__(self) -> None:
        record_id(self.id)

    def notes(self) -> Iterator[Note]:
        """Return an iterator over the notes of the record, the oldest first."""
        query = {"fields": ",".join(NOTE_FIELDS), "sort_by": "Created_Time", "sort_order": "asc"}
        return map(_note, read_pages(self.api, f"{self._path}/Notes", query))

    def add_note(self, content: str, *, title: str = "") -> str:
        """
        Add a note to the record, and return its id.

        https://www.zoho.com/crm/developer/docs/api/v8/create-notes.html

        :param content: at most 32,000 characters
        :param title: at most 120 characters
        :raises RequestRefusedError: if Zoho refuses it
        :raises UnknownOutcomeError: if it may have been added; do not repeat it
        """
        parent = {"module": {"api_name": self.module}, "id": self.id}
        note: JsonObject = {"Note_Content": content, "Parent_Id": parent}
        if title:
            note["Note_Title"] = title
        write = Write(api=self.api, method="POST", path=f"{self._path}/Notes", action="insert")
        [result] = write.all([note], record_values)
        result.raise_for_error()
        return result.id

    @property
    def attachments(self) -> AttachmentsClient:
        """The endpoints of the files that are attached to the record."""
        return AttachmentsClient(api=self.api, path=f"{self._path}/Attachments")

    def related(
        self, name: str, *, fields: Iterable[str], typed: bool = False, module: str = ""
    ) -> Iterator[Record]:
        """
        Return an iterator over the records of a related list, the newest first.

        :param name: API name of the list, such as ``Deals`` of a contact
        :param fields: API names of 1 to 50 fields to read
        :param typed: whether values are those of Python
        :param module: API name of the module of these records, by whose fields they are typed, if
            it is not that of the list
        :raises RequestRefusedError: while iterating, if there is no such record or list
        """
        query = {"fields": list_fields(fields)}
        found = read_pages(self.api, f"{self._path}/{module_name(name)}", query)
        return map(typed_by(self.metadata.fields(module or name)), found) if typed else found

    def timeline(self) -> Iterator[TimelineEvent]:
        """
        Yield what happened to the record, in Zoho's order.

        https://www.zoho.com/crm/developer/docs/api/v8/timeline-of-a-record.html

        :raises RequestRefusedError: while iterating, if there is no such record
        """
        # No page size: Zoho takes one with the first page only, and its token may be bound to it.
        path = f"{self._path}/__timeline"
        for page in pages(lambda token: self.api.read(path, _timeline_page, **token)):
            yield from page.events

    @property
    def _path(self) -> str:
        return f"/crm/v8/{self.module}/{self.id}"


def _note(record: Record) -> Note:
    author = record.get("Created_By") or record.get("Owner")
    return Note(
        id=record.id,
        title=text_of(record.get("Note_Title")),
        content=text_of(record.get("Note_Content")),
        author=user_of(author) if isinstance(author, dict) else None,
        created_at=time_of(record.get("Created_Time")),
        modified_at=time_of(record.get("Modified_Time")),
    )


class _TimelinePage(ValueObject):
    events: tuple[TimelineEvent, ...]
    next_page_token: str


def _timeline_page(body: JsonObject) -> _TimelinePage:
    events = tuple(map(_event, body.get("__timeline") or []))
    return _TimelinePage(events=events, next_page_token=token_in(body.get("info")))


def _event(event: JsonObject) -> TimelineEvent:
    by = event.get("done_by")
    return TimelineEvent(
        id=id_of(event["id"]),
        action=text_of(event["action"], MAX_CODE_LENGTH),
        source=text_of(event.get("source"), MAX_CODE_LENGTH),
        at=time_of(event.get("audited_time")),
        by=user_of(by) if by else None,
        changes=tuple(map(_change, event.get("field_history") or [])),
    )


def _change(change: JsonObject) -> FieldChange:
    values: Any = change.get("_value") or {}
    name = text_of(change["api_name"], MAX_NAME_LENGTH)
    return FieldChange(field=name, old=values.get("old"), new=values.get("new"))
