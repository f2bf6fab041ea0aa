"""
Reading of one record and of lists.

`Get records <https://www.zoho.com/crm/developer/docs/api/v8/get-records.html>`_
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from zoho_crm.simulator import refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.crm.paging import read_page, sorted_records
from zoho_crm.simulator.ids import is_id
from zoho_crm.simulator.records import Record, Table
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

MAX_FIELDS = 50
MAX_IDS = 100


def get_one(world: World, context: RequestContext) -> Answer:
    """``GET /{module}/{id}``: 204 for an unknown id, and by default for a converted lead."""
    record = table_of(world, context).get(checked_id(context))
    shown = record_view(world, context)(record) if record else None
    if shown is None:
        return Answer.no_content()
    if not _changed_since(context, [shown]):
        return Answer.not_modified()
    fields = context.query.get("fields")
    values = project(shown, fields.split(",")) if fields else shown.all_values()
    return Answer.json({"data": [values]})


def get_many(world: World, context: RequestContext) -> Answer:
    """``GET /{module}``: ``fields`` is mandatory, converted leads are hidden by default."""
    table = table_of(world, context)
    fields = requested_fields(context)
    page = read_page(world, context, _selected(world, context, table), record_view(world, context))
    if not page.records:
        return Answer.no_content()
    if not _changed_since(context, page.records):
        return Answer.not_modified()
    data = [project(record, fields) for record in page.records]
    return Answer.json({"data": data, "info": page.info})


def table_of(world: World, context: RequestContext) -> Table:
    """
    Return the table of the module in the path.

    :raises RefusedError: ``INVALID_MODULE``
    """
    module = context.path.get("module", "Leads")
    if module not in world.organisation.records:
        raise refusals.unknown_module()
    return world.organisation.records[module]


def checked_id(context: RequestContext) -> str:
    """
    Return the id in the path; it need not exist.

    :raises RefusedError: if it does not have the form of an id
    """
    if not is_id(context.path["id"]):
        raise refusals.malformed_id()
    return context.path["id"]


def requested_fields(context: RequestContext) -> list[str]:
    """
    Return the field names of the parameter ``fields``.

    :raises RefusedError: for none, and for more than fifty
    """
    names = [name for name in context.query.get("fields", "").split(",") if name]
    if not names:
        raise refusals.missing_param("fields")
    if len(names) > MAX_FIELDS:
        raise refusals.too_many_values("fields", MAX_FIELDS)
    return names


def project(record: Record, fields: Iterable[str]) -> dict[str, Any]:
    """Return the requested fields that exist, and ``id``."""
    known = record.all_values()
    return {name: known[name] for name in (*fields, "id") if name in known}


def record_view(world: World, context: RequestContext) -> Callable[[Record], Record | None]:
    """
    Return a function that returns a record as this call sees it, or None if it is hidden.

    :raises RefusedError: for an invalid ``converted``
    """
    wanted = context.query.get("converted", "false")
    if wanted not in ("true", "false", "both"):
        raise refusals.bad_param("converted")

    def view(record: Record) -> Record | None:
        shown = world.organisation.as_of(record, context.seen_at) if context.seen_at else record
        converted = "true" if shown.data.get("Converted__s") else "false"
        return shown if wanted in ("both", converted) else None

    return view


def _selected(world: World, context: RequestContext, table: Table) -> Sequence[Record]:
    if "ids" not in context.query:
        return sorted_records(world, context, table)
    names = context.query["ids"].split(",")
    if len(names) > MAX_IDS:
        raise refusals.too_many_values("ids", MAX_IDS)
    if not all(map(is_id, names)):
        raise refusals.bad_param("ids")
    return [table[name] for name in sorted(set(names), reverse=True) if name in table]


def _changed_since(context: RequestContext, records: Iterable[Record]) -> bool:
    """Return whether one of the records changed after ``If-Modified-Since``, if that is given."""
    given = context.call.headers.get("if-modified-since")
    if given is None:
        return True
    since = parse_datetime(given)
    return any(datetime.fromisoformat(record["Modified_Time"]) > since for record in records)


def parse_datetime(text: str) -> datetime:
    """
    Return the instant in a header.

    :raises RefusedError: if it is not ISO 8601 with an offset
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise refusals.unparsable() from None
    if moment.tzinfo is None:
        raise refusals.unparsable()
    return moment
