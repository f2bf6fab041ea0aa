"""
What belongs to one record: its notes, related lists and timeline.

https://www.zoho.com/crm/developer/docs/api/v8/get-notes.html
https://www.zoho.com/crm/developer/docs/api/v8/get-related-records.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from zoho_crm.client._answers import text_of, time_of
from zoho_crm.client._api import Api
from zoho_crm.client._names import list_fields, module_name, record_id
from zoho_crm.client._pages import read_pages
from zoho_crm.client._timeline import read_timeline, user_of
from zoho_crm.client._writes import Write, record_values
from zoho_crm.types import JsonObject, Note, Record, TimelineEvent

NOTE_FIELDS = (
    "Note_Title",
    "Note_Content",
    "Owner",
    "Created_By",
    "Created_Time",
    "Modified_Time",
)


@dataclass(frozen=True, kw_only=True)
class RecordClient:
    """One record, and what belongs to it."""

    api: Api
    module: str
    id: str

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

    def related(self, name: str, *, fields: Iterable[str]) -> Iterator[Record]:
        """
        Return an iterator over the records of a related list, the newest first.

        :param name: API name of the list, such as ``Deals`` of a contact
        :param fields: API names of 1 to 50 fields to read
        :raises RequestRefusedError: while iterating, if there is no such record or list
        """
        query = {"fields": list_fields(fields)}
        return read_pages(self.api, f"{self._path}/{module_name(name)}", query)

    def timeline(self) -> Iterator[TimelineEvent]:
        """
        Return an iterator over what happened to the record, in Zoho's order.

        https://www.zoho.com/crm/developer/docs/api/v8/timeline-of-a-record.html

        :raises RequestRefusedError: while iterating, if there is no such record
        """
        return read_timeline(self.api, f"{self._path}/__timeline")

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
