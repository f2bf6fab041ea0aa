"""
Search; the index may lag behind writes.

`Search records <https://www.zoho.com/crm/developer/docs/api/v8/search-records.html>`_
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from zoho_crm.simulator import refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.crm.criteria import Condition, parse
from zoho_crm.simulator.crm.paging import page_and_size, page_slice, sorted_records
from zoho_crm.simulator.crm.reading import project, record_view, table_of
from zoho_crm.simulator.records import Record, Table, normalized
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.schema import FIELDS
from zoho_crm.simulator.world import World

MAX_SEARCH_RESULTS = 2_000
MIN_WORD_LENGTH = 2
_WORDS = ("text", "textarea", "email", "phone", "website", "picklist")
_SEARCH_PARAMETERS = ("criteria", "email", "phone", "word")


def search(world: World, context: RequestContext) -> Answer:
    """``GET /{module}/search`` by criteria, e-mail, phone or word; the first one given is used."""
    table = table_of(world, context)
    page, per_page = page_and_size(context.query)
    if page * per_page > MAX_SEARCH_RESULTS:
        raise refusals.search_limit()
    found = list(_found(world, context, table))
    shown, info = page_slice(context, found[:MAX_SEARCH_RESULTS])
    if not shown:
        return Answer.no_content()
    order = {"sort_by": context.query.get("sort_by", "id")}
    order["sort_order"] = context.query.get("sort_order", "desc")
    fields = [name for name in context.query.get("fields", "").split(",") if name]
    data = [project(record, fields) if fields else record.all_values() for record in shown]
    return Answer.json({"data": data, "info": {**info, **order}})


def _found(world: World, context: RequestContext, table: Table) -> Iterator[Record]:
    fits = _condition(context, table)
    view = record_view(world, context)
    indexed_until = context.now - timedelta(seconds=world.settings.search_lag)
    approval = context.query.get("approval_state")
    for record in sorted_records(world, context, table):
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
        raise refusals.bad_param(way)
    kinds = _WORDS if way == "word" else (way,)
    fields = [each.name for each in FIELDS[table.module] if each.type in kinds]
    return lambda record: any(normalized(wanted) in normalized(record.get(name)) for name in fields)
