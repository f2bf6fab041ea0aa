"""
Searching records; the index may lag behind what was written.

`Search records <https://www.zoho.com/crm/developer/docs/api/v8/search-records.html>`_
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from zoho_crm.simulator import refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.crm.criteria import Condition, parse
from zoho_crm.simulator.crm.paging import in_order, page_of, slice_of
from zoho_crm.simulator.crm.reading import project, seen_by, table_of
from zoho_crm.simulator.records import Record, Table, same
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.schema import FIELDS
from zoho_crm.simulator.world import World

MOST_FOUND = 2_000
SHORTEST_WORD = 2
_WORDS = ("text", "textarea", "email", "phone", "website", "picklist")
_WAYS = ("criteria", "email", "phone", "word")


def search(world: World, context: RequestContext) -> Answer:
    """``GET /{module}/search`` by criteria, e-mail, phone or word; the first given one counts."""
    table = table_of(world, context)
    page, per_page = page_of(context.query)
    if page * per_page > MOST_FOUND:
        raise refusals.search_limit()
    found = list(_found(world, context, table))
    shown, info = slice_of(context, found[:MOST_FOUND])
    if not shown:
        return Answer.nothing()
    order = {"sort_by": context.query.get("sort_by", "id")}
    order["sort_order"] = context.query.get("sort_order", "desc")
    fields = [name for name in context.query.get("fields", "").split(",") if name]
    data = [project(record, fields) if fields else record.whole() for record in shown]
    return Answer.json({"data": data, "info": {**info, **order}})


def _found(world: World, context: RequestContext, table: Table) -> Iterator[Record]:
    fits = _condition(context, table)
    seen = seen_by(world, context)
    indexed_until = context.now - timedelta(seconds=world.settings.search_lag)
    approval = context.query.get("approval_state")
    for record in in_order(world, context, table):
        shown = seen(record)
        if shown is None or approval not in (None, shown["$approval_state"]):
            continue
        written = datetime.fromisoformat(shown["Modified_Time"])
        if written <= indexed_until and fits(shown):
            yield shown


def _condition(context: RequestContext, table: Table) -> Condition:
    way = next((name for name in _WAYS if context.query.get(name)), None)
    if way is None:
        raise refusals.nothing_to_search_by(*_WAYS)
    wanted = context.query[way]
    if way == "criteria":
        return parse(table.module, wanted)
    if len(wanted.strip()) < SHORTEST_WORD:
        raise refusals.bad_param(way)
    kinds = _WORDS if way == "word" else (way,)
    fields = [each.name for each in FIELDS[table.module] if each.type in kinds]
    if way == "email":
        return lambda record: any(same(record.get(name)) == same(wanted) for name in fields)
    return lambda record: any(same(wanted) in same(record.get(name)) for name in fields)
