"""
The timeline of a record: what happened to it, who did it, and which fields changed.

https://www.zoho.com/crm/developer/docs/api/v8/timeline-of-a-record.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from zoho_crm.client._answers import MAX_CODE_LENGTH, id_of, id_or_empty, text_of, time_of
from zoho_crm.client._api import Api
from zoho_crm.client._pages import pages, token_in
from zoho_crm.types import FieldChange, JsonObject, Reference, TimelineEvent

#: Characters that are read of the name of a user or a field.
MAX_NAME_LENGTH = 255


@dataclass(frozen=True, kw_only=True)
class _Page:
    events: tuple[TimelineEvent, ...]
    next_page_token: str


def read_timeline(api: Api, path: str) -> Iterator[TimelineEvent]:
    """
    Yield the events of a record, page by page.

    No page size is sent: Zoho takes one with the first page only, and its token may be bound to it.
    """
    for page in pages(lambda token: api.read(path, _page, **token)):
        yield from page.events


def _page(body: JsonObject) -> _Page:
    events = tuple(map(_event, body.get("__timeline") or []))
    return _Page(events=events, next_page_token=token_in(body.get("info")))


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


def user_of(value: JsonObject) -> Reference:
    """Return a user of an answer."""
    name = text_of(value.get("name"), MAX_NAME_LENGTH)
    return Reference(id=id_or_empty(value.get("id")), name=name)
