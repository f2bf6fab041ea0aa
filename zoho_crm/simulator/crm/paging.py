"""
Sorting and paging of lists.

`Get records <https://www.zoho.com/crm/developer/docs/api/v8/get-records.html>`_
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from zoho_crm.simulator import refusals
from zoho_crm.simulator.clock import zoho_time
from zoho_crm.simulator.records import Record, Table
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import PagePosition, World

MAX_PER_PAGE = 200
MAX_RECORDS_BY_PAGE = 2_000
MAX_RECORDS_BY_PAGE_TOKEN = 100_000
PAGE_TOKEN_LIFETIME = timedelta(hours=24)
_SORTABLE = ("id", "Created_Time", "Modified_Time")


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a list."""

    records: list[Record]
    info: dict[str, Any]


def page_and_size(query: Mapping[str, str]) -> tuple[int, int]:
    """
    Return ``page`` and ``per_page``.

    :raises RefusedError: if one of them is invalid
    """
    page, per_page = query.get("page", "1"), query.get("per_page", str(MAX_PER_PAGE))
    if not page.isdigit() or int(page) < 1:
        raise refusals.bad_param("page")
    if not per_page.isdigit() or not 1 <= int(per_page) <= MAX_PER_PAGE:
        raise refusals.bad_param("per_page")
    return int(page), int(per_page)


def sorted_records(world: World, context: RequestContext, table: Table) -> Sequence[Record]:
    """
    Return all records of a table in the order of ``sort_by`` and ``sort_order``.

    :raises RefusedError: for another field or order, and for an unknown ``cvid``
    """
    _check_view(world, context)
    return in_order(context, table.data.values())


def in_order(context: RequestContext, oldest_first: Iterable[Record]) -> Sequence[Record]:
    """
    Return records in the order of ``sort_by`` and ``sort_order``.

    :raises RefusedError: for another field or order
    """
    query = context.query
    key, order = query.get("sort_by", "id"), query.get("sort_order", "desc")
    if key not in _SORTABLE:
        raise refusals.bad_param("sort_by")
    if order not in ("asc", "desc"):
        raise refusals.bad_param("sort_order")
    records = list(oldest_first)  # so by id
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


def read_page(
    world: World,
    context: RequestContext,
    records: Sequence[Record],
    view: Callable[[Record], Record | None],
) -> Page:
    """
    Return the requested page of those records that ``view`` does not hide.

    ``page`` counts visible records from the start; ``page_token`` continues where a page ended.

    :raises RefusedError: for bad parameters, and beyond Zoho's limits
    """
    start = _start(world, context, records, view)
    per_page = page_and_size(context.query)[1]
    found: list[Record] = []
    end = len(records)
    for index in range(start.index, len(records)):
        record = view(records[index])
        if record is not None and len(found) == per_page:
            end = index
            break
        found += [record] if record is not None else []
    info = _info(world, context, found, start.page, end, end < len(records))
    return Page(records=found, info=info)


def _start(
    world: World,
    context: RequestContext,
    records: Sequence[Record],
    view: Callable[[Record], Record | None],
) -> PagePosition:
    if "page_token" in context.query:
        return _position_of_token(world, context)
    page, per_page = page_and_size(context.query)
    if page * per_page > MAX_RECORDS_BY_PAGE:
        raise refusals.page_limit_exceeded(MAX_RECORDS_BY_PAGE)
    skipped = (page - 1) * per_page
    index = 0
    while skipped and index < len(records):
        skipped -= view(records[index]) is not None
        index += 1
    return PagePosition(index=index, page=page, bound_to=(), expires_at=context.now)


def _position_of_token(world: World, context: RequestContext) -> PagePosition:
    if "page" in context.query:
        raise refusals.ambiguous("page", "page_token")
    position = world.page_tokens.get(context.query["page_token"])
    if position is None or position.bound_to != _bound_to(context):
        raise refusals.token_mismatch()
    if position.expires_at <= context.now:
        raise refusals.token_expired()
    if position.page * page_and_size(context.query)[1] > MAX_RECORDS_BY_PAGE_TOKEN:
        raise refusals.page_token_limit_exceeded()
    return position


def _bound_to(context: RequestContext) -> tuple[str, ...]:
    """Return what a page token is bound to: the user, the path and all other parameters."""
    free = ("page", "page_token")
    fixed = (f"{name}={value}" for name, value in context.query.items() if name not in free)
    user = context.access_token.user_id if context.access_token else ""
    return (user, context.call.path, *sorted(fixed))


def _info(
    world: World, context: RequestContext, found: list[Record], page: int, end: int, more: bool
) -> dict[str, Any]:
    expires_at = context.now + PAGE_TOKEN_LIFETIME
    token = None
    if more:
        token = secrets.token_hex(24)
        world.page_tokens[token] = PagePosition(
            index=end, page=page + 1, bound_to=_bound_to(context), expires_at=expires_at
        )
    return {
        "call": False,
        "per_page": page_and_size(context.query)[1],
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


def page_slice(
    context: RequestContext, items: Sequence[Any]
) -> tuple[Sequence[Any], dict[str, Any]]:
    """Return the requested page of a list, and its ``info``."""
    page, per_page = page_and_size(context.query)
    shown = items[(page - 1) * per_page : page * per_page]
    info = {
        "per_page": per_page,
        "count": len(shown),
        "page": page,
        "more_records": len(items) > page * per_page,
    }
    return shown, info
