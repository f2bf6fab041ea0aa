"""
Which records a list shows, in which order, and on which page.

`Get records <https://www.zoho.com/crm/developer/docs/api/v8/get-records.html>`_
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from zoho_crm.simulator import refusals
from zoho_crm.simulator.clock import zoho_time
from zoho_crm.simulator.records import Record, Table
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import Bookmark, World

PER_PAGE = 200
REACHED_BY_PAGE = 2_000
REACHED_BY_TOKEN = 100_000
TOKEN_LASTS = timedelta(hours=24)
_SORTABLE = ("id", "Created_Time", "Modified_Time")


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a list."""

    records: list[Record]
    info: dict[str, Any]


def page_of(query: Mapping[str, str]) -> tuple[int, int]:
    """Return ``page`` and ``per_page``."""
    page, per_page = query.get("page", "1"), query.get("per_page", str(PER_PAGE))
    if not page.isdigit() or int(page) < 1:
        raise refusals.bad_param("page")
    if not per_page.isdigit() or not 1 <= int(per_page) <= PER_PAGE:
        raise refusals.bad_param("per_page")
    return int(page), int(per_page)


def in_order(world: World, context: RequestContext, table: Table) -> Sequence[Record]:
    """Return all records of a table as ``sort_by`` and ``sort_order`` want them."""
    query = context.query
    _check_view(world, context)
    key, order = query.get("sort_by", "id"), query.get("sort_order", "desc")
    if key not in _SORTABLE:
        raise refusals.bad_param("sort_by")
    if order not in ("asc", "desc"):
        raise refusals.bad_param("sort_order")
    records = list(table.data.values())  # oldest first, which is by id
    if key != "id":
        records.sort(key=lambda record: datetime.fromisoformat(record[key]))
    return records if order == "asc" else records[::-1]


def _check_view(world: World, context: RequestContext) -> None:
    if "cvid" not in context.query:
        return
    if "sort_by" in context.query:
        raise refusals.ambiguous("cvid", "sort_by")
    if context.query["cvid"] not in world.organisation.custom_views.values():
        raise refusals.bad_param("cvid")


def turn_to(
    world: World,
    context: RequestContext,
    records: Sequence[Record],
    seen: Callable[[Record], Record | None],
) -> Page:
    """
    Return the asked page of those records that are seen.

    ``page`` counts seen records from the start; ``page_token`` goes on where a page ended.
    """
    place = _place(world, context, records, seen)
    page, per_page = place.page, page_of(context.query)[1]
    found: list[Record] = []
    end = len(records)
    for position in range(place.start, len(records)):
        record = seen(records[position])
        if record is not None and len(found) == per_page:
            end = position
            break
        found += [record] if record is not None else []
    return Page(records=found, info=_info(world, context, found, page, end, end < len(records)))


def _place(
    world: World,
    context: RequestContext,
    records: Sequence[Record],
    seen: Callable[[Record], Record | None],
) -> Bookmark:
    if "page_token" in context.query:
        return _bookmarked(world, context)
    page, per_page = page_of(context.query)
    if page * per_page > REACHED_BY_PAGE:
        raise refusals.beyond_pages(REACHED_BY_PAGE)
    skipped = (page - 1) * per_page
    start = 0
    while skipped and start < len(records):
        skipped -= seen(records[start]) is not None
        start += 1
    return Bookmark(start=start, page=page, bound=(), expires_at=context.now)


def _bookmarked(world: World, context: RequestContext) -> Bookmark:
    if "page" in context.query:
        raise refusals.ambiguous("page", "page_token")
    bookmark = world.bookmarks.get(context.query["page_token"])
    if bookmark is None or bookmark.bound != _bound(context):
        raise refusals.token_mismatch()
    if bookmark.expires_at <= context.now:
        raise refusals.token_expired()
    if bookmark.page * page_of(context.query)[1] > REACHED_BY_TOKEN:
        raise refusals.beyond_tokens()
    return bookmark


def _bound(context: RequestContext) -> tuple[str, ...]:
    """A token is bound to the user and to all the other parameters."""
    loose = ("page", "page_token")
    fixed = (f"{name}={value}" for name, value in context.query.items() if name not in loose)
    user = context.session.user_id if context.session else ""
    return (user, context.call.path, *sorted(fixed))


def _info(
    world: World, context: RequestContext, found: list[Record], page: int, end: int, more: bool
) -> dict[str, Any]:
    expires_at = context.now + TOKEN_LASTS
    token = None
    if more:
        token = secrets.token_hex(24)
        world.bookmarks[token] = Bookmark(
            start=end, page=page + 1, bound=_bound(context), expires_at=expires_at
        )
    return {
        "call": False,
        "per_page": page_of(context.query)[1],
        "next_page_token": token,
        "count": len(found),
        "sort_by": context.query.get("sort_by", "id"),
        "page": page,
        "previous_page_token": context.query.get("page_token"),
        "page_token_expiry": zoho_time(expires_at) if token else None,
        "sort_order": context.query.get("sort_order", "desc"),
        "email": False,
        "more_records": more,
    }


def slice_of(context: RequestContext, items: Sequence[Any]) -> tuple[Sequence[Any], dict[str, Any]]:
    """Return the asked page of a short list, and its ``info``."""
    page, per_page = page_of(context.query)
    shown = items[(page - 1) * per_page : page * per_page]
    info = {
        "per_page": per_page,
        "count": len(shown),
        "page": page,
        "more_records": len(items) > page * per_page,
    }
    return shown, info
