"""
Search; the index may lag behind writes.

`Search records <https://www.zoho.com/crm/developer/docs/api/v8/search-records.html>`_
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from zoho_crm.simulator import refusals, schema
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.crm.comparing import sort_key
from zoho_crm.simulator.crm.criteria import Condition, parse
from zoho_crm.simulator.crm.paging import page_and_size, page_slice
from zoho_crm.simulator.crm.reading import project, record_view, table_of
from zoho_crm.simulator.records import Record, Table, normalized
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

MAX_SEARCH_RESULTS = 2_000
MIN_WORD_LENGTH = 2
_WORDS = ("text", "textarea", "email", "phone", "website", "picklist")
_SEARCH_PARAMETERS = ("criteria", "email", "phone", "word")


def search(world: World, context: RequestContext) -> Answer:
    """``GET /{module}/search`` by criteria, e-mail, phone or word; the first one given is used."""
    table = table_of(world, context)
    page, per_page = page_and_size(context.query)
    key, order = _checked_order(table, context)
    if page * per_page > MAX_SEARCH_RESULTS:
        raise refusals.search_limit()
    found = list(_found(world, context, table, _condition(context, table)))
    found = _sorted(table, found, key, order)
    shown, info = page_slice(context, found[:MAX_SEARCH_RESULTS])
    if not shown:
        return Answer.no_content()
    fields = [name for name in context.query.get("fields", "").split(",") if name]
    data = [project(record, fields) if fields else record.all_values() for record in shown]
    return Answer.json({"data": data, "info": {**info, "sort_by": key, "sort_order": order}})


def count(world: World, context: RequestContext) -> Answer:
    """
    ``GET /{module}/actions/count``: all records, or those that a search would find.

    https://www.zoho.com/crm/developer/docs/api/v8/get-record-count.html
    """
    table = table_of(world, context)
    ways = [name for name in (*_SEARCH_PARAMETERS, "cvid") if context.query.get(name)]
    if len(ways) > 1:
        raise refusals.ambiguous(*ways)
    if ways == ["cvid"] and context.query["cvid"] != world.organisation.custom_views[table.module]:
        raise refusals.bad_param("cvid")
    fits = _condition(context, table) if ways and ways != ["cvid"] else _every
    return Answer.json({"count": sum(1 for _ in _found(world, context, table, fits))})


def _every(record: Record) -> bool:
    return True


def _checked_order(table: Table, context: RequestContext) -> tuple[str, str]:
    """
    Return ``sort_by`` and ``sort_order``.

    :raises RefusedError: for a field that cannot be sorted by, and for another order
    """
    key, order = context.query.get("sort_by", "id"), context.query.get("sort_order", "desc")
    field = schema.field(table.module, key)
    if field is None or not field.sortable:
        raise refusals.bad_param("sort_by")
    if order not in ("asc", "desc"):
        raise refusals.bad_param("sort_order")
    return key, order


def _sorted(table: Table, records: list[Record], key: str, order: str) -> list[Record]:
    """Return the records in order; those without a value first, equal ones by id."""
    field = schema.field(table.module, key)
    kind = field.type if field else ""
    records.sort(key=lambda record: sort_key(kind, record.get(key)))
    return records if order == "asc" else records[::-1]


def _found(
    world: World, context: RequestContext, table: Table, fits: Condition
) -> Iterator[Record]:
    """Yield the records that fit, as this call sees them; the index lags behind writes."""
    view = record_view(world, context)
    indexed_until = context.now - timedelta(seconds=world.settings.search_lag)
    approval = context.query.get("approval_state")
    for record in table.data.values():
        shown = view(record)
        if shown is None or approval not in (None, shown["$approval_state"]):
            continue
        written = datetime.fromisoformat(shown["Modified_Time"])
        if written <= indexed_until and fits(shown):
            yield shown


def _condition(context: RequestContext, table: Table) -> Condition:
    way = next((name for name in _SEARCH_PARAMETERS if context.query.get(name)), None)
    if way is None:
        raise refusals.missing_search_param(*_SEARCH_PARAMETERS)
    wanted = context.query[way]
    if way == "criteria":
        return parse(table.module, wanted)
    if len(wanted.strip()) < MIN_WORD_LENGTH:
        raise refusals.too_short_word(way)
    kinds = _WORDS if way == "word" else (way,)
    fields = [each.name for each in schema.FIELDS[table.module] if each.type in kinds]
    if not fields:
        raise refusals.no_field_of_type()
    contains = _contains_digits if way == "phone" and _digits(wanted) else _contains
    return lambda record: any(contains(record.get(name), wanted) for name in fields)


def _contains(value: Any, wanted: str) -> bool:
    return normalized(wanted) in normalized(value)


def _contains_digits(value: Any, wanted: str) -> bool:
    """Return whether a phone number contains another, in whatever way both are written."""
    return _digits(wanted) in _digits(str(value or ""))


def _digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)
