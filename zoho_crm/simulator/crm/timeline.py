"""
What happened to a record, the last first.

`Timeline <https://www.zoho.com/crm/developer/docs/api/v8/timeline-of-a-record.html>`_,
`its OpenAPI <https://github.com/zoho/crm-oas/tree/main/v8.0/timelines>`_
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from zoho_crm.simulator import refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.clock import zoho_time
from zoho_crm.simulator.crm.paging import read_page
from zoho_crm.simulator.crm.parents import parent_of
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.records import Record
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]
#: Fields whose changes are no history of their own.
_NOT_TRACKED = ("Modified_Time", "Full_Name")


def timeline(world: World, context: RequestContext) -> Answer:
    """``GET /{module}/{id}/__timeline``"""
    record = parent_of(world, context)
    if context.query.get("sort_by", "audited_time") != "audited_time":
        raise refusals.bad_param("sort_by")
    fits = _filter(context)
    entries = [each for each in _entries(world.organisation, record) if fits(each.data)]
    page = read_page(world, context, _in_order(context, entries), lambda entry: entry)
    if not page.records:
        return Answer.no_content()
    info = {**page.info, "sort_by": "audited_time"}
    return Answer.json({"__timeline": [dict(each.data) for each in page.records], "info": info})


def _in_order(context: RequestContext, entries: list[Record]) -> list[Record]:
    order = context.query.get("sort_order", "desc")
    if order not in ("asc", "desc"):
        raise refusals.bad_param("sort_order")
    return entries if order == "asc" else entries[::-1]


def _entries(organisation: Organisation, record: Record) -> list[Record]:
    """Return the creation of a record and its changes, the first first."""
    changes = organisation.changes_of(record)
    states = [change.before for change in changes] + [dict(record.data)]
    made_at = datetime.fromisoformat(record["Created_Time"])
    entries = [_entry(organisation, record, 0, made_at, "added", None)]
    for number, change in enumerate(changes):
        history = _differences(organisation, record, states[number], states[number + 1])
        action = "tag_added" if [each["api_name"] for each in history] == ["Tag"] else "updated"
        entries.append(_entry(organisation, record, number + 1, change.at, action, history))
    return entries


def _entry(
    organisation: Organisation,
    record: Record,
    number: int,
    at: datetime,
    action: str,
    history: list[Json] | None,
) -> Record:
    module = record.table.module if record.table else ""
    return Record(
        {
            "id": f"{record.id[:-3]}{number:03d}",
            "audited_time": zoho_time(at),
            "action": action,
            "source": "crm_api",
            "done_by": organisation.author(),
            "related_record": None,
            "automation_details": None,
            "record": {"module": organisation.module(module), **record.lookup()},
            "field_history": history,
        }
    )


def _differences(
    organisation: Organisation, record: Record, before: Json, after: Json
) -> list[Json]:
    module = record.table.module if record.table else ""
    changed = [
        name
        for name in {**before, **after}
        if before.get(name) != after.get(name) and name not in _NOT_TRACKED and name[0] != "$"
    ]
    return [
        {
            "api_name": name,
            "id": organisation.field_id(module, name),
            "_value": {"old": before.get(name), "new": after.get(name)},
        }
        for name in changed
    ]


def _filter(context: RequestContext) -> Callable[[Json], bool]:
    """
    Return the test of the parameter ``filters``: one condition, or a group that is joined by AND.

    :raises RefusedError: for other filters
    """
    text = context.query.get("filters")
    if text is None:
        return lambda entry: True
    try:
        tests = [_condition(each) for each in _conditions(json.loads(text))]
    except (ValueError, LookupError, TypeError):
        raise refusals.bad_param("filters") from None
    return lambda entry: all(test(entry) for test in tests)


def _conditions(filters: Json) -> list[Json]:
    if "group" not in filters:
        return [filters]
    if str(filters["group_operator"]).upper() != "AND":
        raise ValueError(filters["group_operator"])
    return list(filters["group"])


def _condition(condition: Json) -> Callable[[Json], bool]:
    read = _FILTERED[condition["field"]["api_name"]]
    comparator, value = condition["comparator"], condition["value"]
    if comparator == "between":
        first, last = (datetime.fromisoformat(each) for each in value)
        return lambda entry: first <= datetime.fromisoformat(read(entry)) <= last
    if comparator not in ("equal", "in"):
        raise ValueError(comparator)
    wanted = value if isinstance(value, list) else [value]
    return lambda entry: read(entry) in wanted


_FILTERED: Mapping[str, Callable[[Json], str]] = {
    "audited_time": lambda entry: str(entry["audited_time"]),
    "source": lambda entry: str(entry["source"]),
    "done_by.id": lambda entry: str(entry["done_by"]["id"]),
    "record.module.api_name": lambda entry: str(entry["record"]["module"]["api_name"]),
}
