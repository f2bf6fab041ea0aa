"""
What belongs to one record: its notes, and records of related lists.

https://www.zoho.com/crm/developer/docs/api/v8/get-notes.html
https://www.zoho.com/crm/developer/docs/api/v8/get-related-records.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from zoho_crm.client._answers import id_or_empty, text_of
from zoho_crm.client._api import Api
from zoho_crm.client._names import list_fields, module_name, record_id
from zoho_crm.client._pages import read_pages
from zoho_crm.client._writes import Write, record_values
from zoho_crm.types import JsonObject, Note, Record, Reference

NOTE_FIELDS = (
    "Note_Title",
    "Note_Content",
    "Owner",
    "Created_By",
    "Created_Time",
    "Modified_Time",
)
#: Characters that are read of a user's name.
MAX_NAME_LENGTH = 255


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

    @property
    def _path(self) -> str:
        return f"/crm/v8/{self.module}/{self.id}"


def _note(record: Record) -> Note:
    author = record.get("Created_By") or record.get("Owner")
    return Note(
        id=record.id,
        title=text_of(record.get("Note_Title")),
        content=text_of(record.get("Note_Content")),
        author=_user(author) if isinstance(author, dict) else None,
        created_at=_time(record.get("Created_Time")),
        modified_at=_time(record.get("Modified_Time")),
    )


def _user(value: JsonObject) -> Reference:
    name = text_of(value.get("name"), MAX_NAME_LENGTH)
    return Reference(id=id_or_empty(value.get("id")), name=name)


def _time(value: object) -> datetime | None:
    """Return a time with its zone; ``None`` if the value is none."""
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return time if time.utcoffset() is not None else None
