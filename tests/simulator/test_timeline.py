"""What happened to a record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator


def entries_of(caller: Caller, record_id: str, **query: Any) -> list[dict[str, Any]]:
    answer = caller.get(f"/Leads/{record_id}/__timeline", **query)
    return list(answer.json()["__timeline"]) if answer.content else []


def test_a_timeline_has_the_last_change_first(any_caller: Caller) -> None:
    sim = any_caller.simulator
    lead = sim.add_lead(Company="Old")
    any_caller.put(f"/Leads/{lead.id}", {"data": [{"Company": "New"}]})
    any_caller.post(f"/Leads/{lead.id}/actions/add_tags", {"tags": [{"name": "fair"}]})

    entries = entries_of(any_caller, lead.id)

    assert [entry["action"] for entry in entries] == ["tag_added", "updated", "added"]
    assert entries[1]["field_history"] == [
        {
            "api_name": "Company",
            "id": sim.organisation.field_id("Leads", "Company"),
            "_value": {"old": "Old", "new": "New"},
        }
    ]
    assert entries[2]["field_history"] is None
    assert entries[2]["record"] == {
        "module": sim.organisation.module("Leads"),
        "name": lead.name,
        "id": lead.id,
    }
    assert entries[2]["done_by"] == sim.organisation.author()
    assert len({entry["id"] for entry in entries}) == 3
    assert entries_of(any_caller, lead.id, sort_order="asc") == entries[::-1]


def test_a_timeline_has_pages(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()
    for number in range(4):
        sim.change(lead, Company=str(number))
    path = f"/Leads/{lead.id}/__timeline"

    first = caller.get(path, per_page=3).json()
    second = caller.get(path, per_page=3, page_token=first["info"]["next_page_token"]).json()

    assert (first["info"]["count"], second["info"]["count"]) == (3, 2)
    assert second["__timeline"][-1]["action"] == "added"


@pytest.mark.parametrize(
    ("field", "comparator", "value", "count"),
    [
        ("source", "equal", "crm_api", 2),
        ("source", "in", ["workflow"], 0),
        ("record.module.api_name", "in", ["Leads", "Notes"], 2),
        ("audited_time", "between", ["2000-01-01T00:00:00Z", "2001-01-01T00:00:00Z"], 0),
        ("audited_time", "between", ["2000-01-01T00:00:00Z", "9000-01-01T00:00:00Z"], 2),
    ],
)
def test_a_timeline_is_filtered(
    caller: Caller, sim: Simulator, field: str, comparator: str, value: Any, count: int
) -> None:
    lead = sim.add_lead()
    sim.change(lead, Company="New")
    one = {"field": {"api_name": field}, "comparator": comparator, "value": value}

    for filters in (one, {"group_operator": "AND", "group": [one, one]}):
        assert len(entries_of(caller, lead.id, filters=json.dumps(filters))) == count


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"filters": "{"}, "filters"),
        ({"filters": "{}"}, "filters"),
        ({"filters": '{"group": [], "group_operator": "OR"}'}, "filters"),
        (
            {"filters": '{"field": {"api_name": "source"}, "comparator": "like", "value": "x"}'},
            "filters",
        ),
        ({"sort_by": "id"}, "sort_by"),
        ({"sort_order": "up"}, "sort_order"),
    ],
)
def test_parameters_that_are_refused(
    caller: Caller, sim: Simulator, query: dict[str, str], name: str
) -> None:
    answer = caller.get(f"/Leads/{sim.add_lead().id}/__timeline", **query)

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_DATA")
    assert answer.json()["details"] == {"param_name": name}


def test_an_unknown_record_has_no_timeline(caller: Caller, sim: Simulator) -> None:
    answer = caller.get("/Leads/77/__timeline")

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_DATA")
    sim.fail("timeline", "html")
    assert caller.get("/Leads/77/__timeline").status_code == 502
