"""
Reading records, one or many.

`Get records <https://www.zoho.com/crm/developer/docs/api/v8/get-records.html>`_
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from zoho_crm.simulator import refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.ids import is_id
from zoho_crm.simulator.records import Record, Table
from zoho_crm.simulator.visits import Visit
from zoho_crm.simulator.world import World

PER_PAGE = 200
MOST_FIELDS = 50
MOST_IDS = 100


def get_one(world: World, visit: Visit) -> Answer:
    """``GET /{module}/{id}``: 204 for what does not exist, and for a converted lead."""
    table = table_of(world, visit)
    record_id = checked_id(visit)
    record = table.get(record_id)
    shown = list(_visible(world, visit, [record] if record else []))
    if not shown:
        return Answer.nothing()
    fields = visit.query.get("fields")
    values = project(shown[0], fields.split(",")) if fields else shown[0].whole()
    return Answer.json({"data": [values]})


def get_many(world: World, visit: Visit) -> Answer:
    """``GET /{module}``: ``fields`` is mandatory, converted leads are hidden by default."""
    table = table_of(world, visit)
    fields = asked_fields(visit)
    records = _visible(world, visit, _selected(visit, table))
    page, per_page = page_of(visit.query)
    start = (page - 1) * per_page
    found = list(islice(records, start, start + per_page + 1))
    if not found:
        return Answer.nothing()
    data = [project(record, fields) for record in found[:per_page]]
    info = {
        "call": False,
        "per_page": per_page,
        "next_page_token": None,
        "count": len(data),
        "sort_by": visit.query.get("sort_by", "id"),
        "page": page,
        "previous_page_token": None,
        "page_token_expiry": None,
        "sort_order": visit.query.get("sort_order", "desc"),
        "email": False,
        "more_records": len(found) > per_page,
    }
    return Answer.json({"data": data, "info": info})


def table_of(world: World, visit: Visit) -> Table:
    """Return the module that the path names."""
    module = visit.path.get("module", "Leads")
    if module not in world.organisation.records:
        raise refusals.unknown_module()
    return world.organisation.records[module]


def checked_id(visit: Visit) -> str:
    """Return the id that the path names; it need not exist."""
    if not is_id(visit.path["id"]):
        raise refusals.malformed_id()
    return visit.path["id"]


def asked_fields(visit: Visit) -> list[str]:
    """Return what ``fields`` asks for."""
    names = [name for name in visit.query.get("fields", "").split(",") if name]
    if not names:
        raise refusals.missing_param("fields")
    if len(names) > MOST_FIELDS:
        raise refusals.too_many_values("fields", MOST_FIELDS)
    return names


def page_of(query: Mapping[str, str]) -> tuple[int, int]:
    """Return ``page`` and ``per_page``."""
    page, per_page = query.get("page", "1"), query.get("per_page", str(PER_PAGE))
    if not page.isdigit() or int(page) < 1:
        raise refusals.bad_param("page")
    if not per_page.isdigit() or not 1 <= int(per_page) <= PER_PAGE:
        raise refusals.bad_param("per_page")
    return int(page), int(per_page)


def project(record: Record, fields: Iterable[str]) -> dict[str, Any]:
    """Return the asked fields that exist; ``id`` comes unasked."""
    known = record.whole()
    return {name: known[name] for name in (*fields, "id") if name in known}


def _selected(visit: Visit, table: Table) -> Iterable[Record]:
    if "ids" not in visit.query:
        return table.newest_first()
    names = visit.query["ids"].split(",")
    if len(names) > MOST_IDS:
        raise refusals.too_many_values("ids", MOST_IDS)
    if not all(map(is_id, names)):
        raise refusals.bad_param("ids")
    return [table[name] for name in sorted(set(names), reverse=True) if name in table]


def _visible(world: World, visit: Visit, records: Iterable[Record]) -> Iterator[Record]:
    """A converted lead is seen only by those who ask for it."""
    wanted = visit.query.get("converted", "false")
    for record in records:
        seen = world.organisation.as_of(record, visit.seen_at) if visit.seen_at else record
        if wanted == "both" or bool(seen.get("Converted__s")) == (wanted == "true"):
            yield seen
