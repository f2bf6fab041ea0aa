"""Records of any module, as they are read, with notes, attachments and changes; people."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from zoho_crm.types._conversions import Converted, Reference
from zoho_crm.types._values import ValueObject


class Record(Mapping[str, Any]):
    """
    A record of a module: a mapping of the API names that were read to their values, with ``id``.

    ``repr`` shows its id and no value, since values are about people; ``dict(record)`` has them.
    """

    __slots__ = ("_values", "id")

    def __init__(self, record_id: str, values: Mapping[str, Any]) -> None:
        self.id = record_id
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def items(self) -> ItemsView[str, Any]:
        """Return names and values; much faster than those of a ``Mapping``."""
        return self._values.items()

    def __repr__(self) -> str:
        return f"Record(id={self.id!r}, {len(self)} fields)"


class Note(ValueObject):
    """A note of a record."""

    id: str
    title: str = ""
    content: str = ""
    #: The user who wrote it.
    author: Reference | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None


class FieldChange(ValueObject):
    """The change of one field of a record; the values are as Zoho sends them."""

    field: str
    old: Any = None
    new: Any = None


class Attachment(ValueObject):
    """A file, or a link, that is attached to a record."""

    id: str
    #: The name of the file, or the title of the link.
    name: str = ""
    #: Bytes of the file; 0 of a link.
    size: int = 0
    #: Empty if it is a file.
    url: str = ""
    author: Reference | None = None
    created_at: datetime | None = None


class BulkProgress(ValueObject):
    """How far a bulk read is."""

    #: Zoho's id of the job, and which one of the jobs it is, from 1 on.
    job_id: str
    number: int
    #: Zoho's word: ``ADDED``, ``QUEUED``, ``IN PROGRESS``, ``COMPLETED``.
    state: str
    #: Records of all jobs that were given so far.
    rows: int = 0
    #: Records of this job; 0 until it is done.
    expected: int = 0


class Change(ValueObject):
    """A record that was created or updated, or that was deleted."""

    id: str
    #: Zoho's time of the last change, to the second.
    at: datetime
    #: The record as it is now; ``None`` if it was deleted.
    record: Record | None = None

    @property
    def is_deletion(self) -> bool:
        """Whether the record was deleted."""
        return self.record is None


class TimelineEvent(ValueObject):
    """Something that happened to a record."""

    id: str
    #: Zoho's word, such as ``added``, ``updated``, ``tag_added``.
    action: str
    #: Where it was done, such as ``crm_ui``, ``crm_api``, ``convert``.
    source: str = ""
    at: datetime | None = None
    #: The user who did it.
    by: Reference | None = None
    changes: tuple[FieldChange, ...] = ()


class PersonKind(StrEnum):
    """What a record about a person is."""

    LEAD = "lead"
    CONVERTED_LEAD = "converted_lead"
    CONTACT = "contact"


class Person(ValueObject):
    """A lead or a contact with a certain e-mail address."""

    kind: PersonKind
    id: str
    name: str = ""
    #: The company of a lead, or the name of a contact's account.
    company: str = ""
    #: The records that a converted lead became.
    converted: Converted | None = None
