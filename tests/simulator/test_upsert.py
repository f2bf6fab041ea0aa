"""Upsert: which record is updated, and by which field."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator


def upsert(caller: Caller, *items: Any, **more: Any) -> Any:
    return caller.post("/Leads/upsert", {"data": list(items), **more})


def test_items_are_inserted_or_updated_in_their_order(any_caller: Caller) -> None:
    sim = any_caller.simulator
    known = sim.add_lead(Email="ines@nordwind.example")

    answer = upsert(
        any_caller,
        {"Last_Name": "New", "Email": "new@nordwind.example"},
        {"Email": "INES@nordwind.example", "Company": "Changed"},
        {"Email": "nobody@nordwind.example"},
    )

    first, second, third = answer.json()["data"]
    assert answer.status_code == 207
    assert (first["action"], first["duplicate_field"]) == ("insert", None)
    assert (first["message"], first["code"]) == ("record added", "SUCCESS")
    assert (second["action"], second["duplicate_field"]) == ("update", "Email")
    assert (second["message"], second["details"]["id"]) == ("record updated", known.id)
    assert third["details"] == {"api_name": "Last_Name", "json_path": "$.data[2].Last_Name"}
    assert known["Company"] == "Changed"
    assert len(sim.records["Leads"]) == 2


def test_all_inserted_is_200(caller: Caller) -> None:
    assert upsert(caller, {"Last_Name": "A"}).status_code == 200
    assert upsert(caller, {}).status_code == 400


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (None, "by_email"),
        ([], "by_email"),
        (["Mobile"], "by_mobile"),
        (["Phone"], "by_phone"),
        (["Phone", "Mobile"], "by_phone"),
        (["Mobile", "Email"], "by_mobile"),
    ],
)
def test_the_named_fields_are_compared_first(
    caller: Caller, sim: Simulator, named: list[str] | None, found: str
) -> None:
    sim.organisation.unique["Leads"] = ["Phone", "Mobile"]
    leads = {
        "by_email": sim.add_lead(Email="a@nordwind.example").id,
        "by_phone": sim.add_lead(Phone="1").id,
        "by_mobile": sim.add_lead(Mobile="2").id,
    }
    # The values of a unique field that another record has are refused, but name the match.
    item = {"Email": "a@nordwind.example", "Phone": "1", "Mobile": "2", "Company": "New"}
    sim.organisation.unique["Leads"] = ["Phone", "Mobile"]

    more = {} if named is None else {"duplicate_check_fields": named}
    answer = upsert(caller, item, **more).json()["data"][0]

    refused = answer["details"].get("errors", [answer])
    others = {each["details"]["id"] for each in refused}
    assert leads[found] not in others
    assert others <= set(leads.values())


def test_a_unique_field_is_compared_although_only_another_is_named(
    caller: Caller, sim: Simulator
) -> None:
    sim.organisation.unique["Leads"] = ["Phone", "Mobile"]
    lead = sim.add_lead(Phone="1", Email="a@nordwind.example")
    item = {"Last_Name": "A", "Phone": "1", "Mobile": "2"}

    by_other = upsert(caller, item, duplicate_check_fields=["Mobile"]).json()["data"][0]
    by_email = upsert(
        caller,
        {"Last_Name": "B", "Email": "a@nordwind.example"},
        duplicate_check_fields=["Mobile"],
    ).json()["data"][0]

    assert (by_other["action"], by_other["duplicate_field"]) == ("update", "Phone")
    assert by_other["details"]["id"] == lead.id
    assert by_email["action"] == "insert"


def test_a_converted_lead_is_not_found(caller: Caller, sim: Simulator) -> None:
    lead = sim.records["Leads"][sim.story("converted")]

    answer = upsert(caller, {"Last_Name": "Again", "Email": lead["Email"]}).json()["data"][0]

    assert answer["action"] == "insert"


def test_an_id_comes_first(caller: Caller, sim: Simulator) -> None:
    one, other = sim.add_lead(), sim.add_lead()

    answer = upsert(caller, {"id": one.id, "Email": other["Email"]}).json()["data"][0]

    assert answer["details"]["id"] == one.id


def test_an_update_says_which_record_lacks_a_field(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()

    answer = upsert(caller, {"Email": lead["Email"], "Last_Name": None}).json()["data"][0]

    assert answer["code"] == "MANDATORY_NOT_FOUND"
    assert answer["details"]["id"] == lead.id


def test_only_a_system_or_unique_field_is_compared(caller: Caller) -> None:
    unknown = upsert(caller, {"Last_Name": "A"}, duplicate_check_fields=["Email", "City"])
    text = upsert(caller, {"Last_Name": "A"}, duplicate_check_fields="Email")

    assert (unknown.status_code, text.status_code) == (400, 400)
    (item,) = unknown.json()["data"]
    assert item["details"]["json_path"] == "$.duplicate_check_fields[1]"
    assert text.json()["data"][0]["details"]["expected_data_type"] == "jsonarray"


def test_a_stale_upsert_is_412(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()
    lead["Modified_Time"] = "2026-02-01T09:00:00+01:00"

    answer = caller.call(
        "POST",
        "/crm/v8/Leads/upsert",
        json={"data": [{"Email": lead["Email"], "Company": "New"}]},
        headers={"If-Unmodified-Since": "2026-01-15T00:00:00+01:00"},
    )

    assert answer.status_code == 412
    assert answer.json()["data"][0]["code"] == "ALREADY_MODIFIED"


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_unknown_module_is_refused_in_the_list(caller: Caller, method: str) -> None:
    path = "/crm/v8/Dragons/upsert" if method == "POST" else "/crm/v8/Dragons"

    answer = caller.call(method, path, json={"data": [{}]})

    assert answer.status_code == 400
    assert answer.json()["data"][0]["code"] == "INVALID_MODULE"


def test_ten_records_cost_a_credit(caller: Caller, sim: Simulator) -> None:
    upsert(caller, *({"Last_Name": f"A{number}"} for number in range(21)))

    assert sim.stats()["credits_used"] == 3


def test_a_lost_answer_leaves_the_records(caller: Caller, sim: Simulator) -> None:
    sim.fail("upsert", "error_after")

    assert upsert(caller, {"Last_Name": "A"}).status_code == 500
    assert len(sim.records["Leads"]) == 1
