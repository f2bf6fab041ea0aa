"""Deleted records, and the count of those that are there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator

DAY = 24 * 3600


def test_deleted_records_are_listed_the_last_one_first(any_caller: Caller) -> None:
    sim = any_caller.simulator
    first, second = sim.add_lead(), sim.add_lead()
    assert any_caller.get("/Leads/deleted").status_code == 204
    sim.delete("Leads", first.id)
    any_caller.call("DELETE", f"/crm/v8/Leads/{second.id}")

    answer = any_caller.get("/Leads/deleted", type="all").json()

    assert [each["id"] for each in answer["data"]] == [second.id, first.id]
    deleted = answer["data"][1]
    author = sim.organisation.author()
    assert deleted.pop("deleted_time")
    assert deleted == {
        "id": first.id,
        "display_name": first.name,
        "type": "recycle",
        "deleted_by": author,
        "created_by": author,
    }
    assert answer["info"] == {"per_page": 200, "count": 2, "page": 1, "more_records": False}


def test_the_recycle_bin_is_emptied(start: Callable[..., Caller]) -> None:
    caller = start(token_seconds=200 * DAY)
    sim = caller.simulator
    now, gone = sim.add_lead(), sim.add_lead()
    sim.delete("Leads", now.id)
    sim.delete("Leads", gone.id, is_permanent=True)

    def listed(kind: str) -> list[str]:
        answer = caller.get("/Leads/deleted", type=kind)
        return [each["id"] for each in answer.json()["data"]] if answer.content else []

    assert (listed("recycle"), listed("permanent")) == ([now.id], [gone.id])
    sim.advance(60 * DAY)
    assert (listed("recycle"), listed("permanent")) == ([], [gone.id, now.id])
    (nameless, _) = caller.get("/Leads/deleted").json()["data"]
    assert (nameless["display_name"], nameless["deleted_by"]) == (None, None)
    sim.advance(60 * DAY)
    assert listed("all") == []


def test_a_converted_lead_is_not_deleted(caller: Caller, sim: Simulator) -> None:
    sim.story("converted")

    assert caller.get("/Leads/deleted").status_code == 204


def test_an_unknown_type_is_refused_in_the_list(caller: Caller) -> None:
    answer = caller.get("/Leads/deleted", type="burnt")

    assert answer.status_code == 400
    assert answer.json()["data"][0]["code"] == "PATTERN_NOT_MATCHED"


def test_deletions_since_an_instant(caller: Caller, sim: Simulator) -> None:
    sim.delete("Leads", sim.add_lead().id)

    def since(year: int) -> int:
        headers = {"If-Modified-Since": f"{year}-01-01T00:00:00+01:00"}
        return caller.call("GET", "/crm/v8/Leads/deleted", headers=headers).status_code

    assert (since(2000), since(9000)) == (200, 304)


def test_only_deletions_since_an_instant_are_listed(caller: Caller, sim: Simulator) -> None:
    first, second = sim.add_lead(), sim.add_lead()
    sim.delete("Leads", first.id)
    (known,) = caller.get("/Leads/deleted").json()["data"]
    sim.advance(1)
    sim.delete("Leads", second.id)

    headers = {"If-Modified-Since": known["deleted_time"]}
    answer = caller.call("GET", "/crm/v8/Leads/deleted", headers=headers).json()

    assert [each["id"] for each in answer["data"]] == [second.id]
    assert answer["info"]["more_records"] is False


def test_a_restored_record_is_there_again_as_modified(caller: Caller, sim: Simulator) -> None:
    first, second = sim.add_lead(), sim.add_lead()
    before = first["Modified_Time"]
    sim.delete("Leads", first.id)
    sim.advance(1)

    sim.restore("Leads", first.id)

    answer = caller.get("/Leads", fields="Modified_Time").json()
    assert [each["id"] for each in answer["data"]] == [second.id, first.id]
    assert answer["data"][1]["Modified_Time"] > before
    assert caller.get("/Leads/deleted").status_code == 204
    with pytest.raises(KeyError):
        sim.restore("Leads", first.id)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 3),
        ({"converted": "both"}, 4),
        ({"criteria": "(Company:starts_with:Nord)"}, 2),
        ({"email": "ines@"}, 1),
        ({"word": "Nord"}, 2),
        ({"phone": "777"}, 0),
    ],
)
def test_records_are_counted(any_caller: Caller, query: dict[str, str], count: int) -> None:
    sim = any_caller.simulator
    sim.add_lead(Company="Nordwind", Email="ines@nordwind.example")
    sim.add_lead(Company="Nordlicht")
    sim.add_lead(Company="Other")
    sim.story("converted")

    assert any_caller.get("/Leads/actions/count", **query).json() == {"count": count}


def test_one_way_of_counting_at_a_time(caller: Caller, sim: Simulator) -> None:
    view = sim.organisation.custom_views["Leads"]

    both = caller.get("/Leads/actions/count", cvid=view, word="abc").json()
    unknown = caller.get("/Leads/actions/count", cvid="77").json()

    assert both["code"] == "AMBIGUITY_DURING_PROCESSING"
    assert both["details"] == {"ambiguity_due_to": [{"param_name": "word"}, {"param_name": "cvid"}]}
    assert unknown["details"] == {"param_name": "cvid"}
    assert caller.get("/Leads/actions/count", cvid=view).json() == {"count": 0}
    assert sim.stats()["credits_used"] == 150


@pytest.mark.parametrize(("on", "path"), [("deleted", "deleted"), ("count", "actions/count")])
def test_faults_apply(caller: Caller, sim: Simulator, on: str, path: str) -> None:
    sim.fail(on, "html")

    assert caller.get(f"/Leads/{path}").status_code == 502
