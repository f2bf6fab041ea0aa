"""Inserting, updating and deleting, with a result for each item."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator


def item_of(answer: Any) -> dict[str, Any]:
    (item,) = answer.json()["data"]
    assert isinstance(item, dict)
    return item


def test_a_lead_is_inserted(any_caller: Caller) -> None:
    values = {"Last_Name": "Albrecht", "First_Name": "Ines", "Tag": [{"name": "fair"}]}

    answer = any_caller.post("/Leads", {"data": [values]})

    (lead,) = any_caller.simulator.records["Leads"].values()
    assert answer.status_code == 201
    item = item_of(answer)
    assert (item["code"], item["message"], item["status"]) == ("SUCCESS", "record added", "success")
    author = any_caller.simulator.organisation.author()
    assert item["details"] == {
        "Modified_Time": lead["Modified_Time"],
        "Modified_By": author,
        "Created_Time": lead["Created_Time"],
        "id": lead.id,
        "Created_By": author,
        "$approval_state": "approved",
    }
    assert lead["Full_Name"] == "Ines Albrecht"
    assert [tag["name"] for tag in lead["Tag"]] == ["fair"]


def test_items_succeed_and_fail_independently(caller: Caller, sim: Simulator) -> None:
    mixed = caller.post("/Leads", {"data": [{"Last_Name": "A"}, {}, "x"]})
    none = caller.post("/Leads", {"data": [{}]})

    assert (mixed.status_code, none.status_code) == (207, 400)
    codes = [item["code"] for item in mixed.json()["data"]]
    assert codes == ["SUCCESS", "MANDATORY_NOT_FOUND", "INVALID_DATA"]
    details = mixed.json()["data"][1]["details"]
    assert details == {"api_name": "Last_Name", "json_path": "$.data[1].Last_Name"}
    assert len(sim.records["Leads"]) == 1


def test_a_lead_inserted_for_approval_cannot_be_converted(caller: Caller) -> None:
    answer = caller.post("/Leads", {"data": [{"Last_Name": "A", "$approved": False}]})

    lead_id = item_of(answer)["details"]["id"]
    assert item_of(answer)["details"]["$approval_state"] == "approval_process_pending"
    assert caller.convert(lead_id).json()["code"] == "NOT_APPROVED"


def test_lookups_are_given_by_id_and_kept_with_their_names(caller: Caller, sim: Simulator) -> None:
    account = sim.add("Accounts", Account_Name="Nordwind")
    contact = sim.add("Contacts", Full_Name="Ines Albrecht")
    owner = sim.organisation.users[1]
    deal = {
        "Deal_Name": "Roll-out",
        "Stage": "Qualification",
        "Pipeline": "Standard (Standard)",
        "Account_Name": {"id": account.id},
        "Contact_Name": {"id": contact.id},
        "Owner": {"id": owner["id"]},
        "Layout": {"id": sim.organisation.layouts["Deals"]["id"]},
        "Campaign_Source": {"id": "77"},
        "Amount": None,
        "Created_Time": "ignored",
    }

    assert caller.post("/Deals", {"data": [deal]}).status_code == 201

    (made,) = sim.records["Deals"].values()
    assert made["Account_Name"] == {"name": "Nordwind", "id": account.id}
    assert made["Contact_Name"] == {"name": "Ines Albrecht", "id": contact.id}
    assert made["Owner"] == sim.organisation.owner(owner)
    assert made["Layout"] == sim.organisation.layouts["Deals"]
    assert made["Created_Time"] != "ignored"


@pytest.mark.parametrize("value", [None, "x"])
def test_an_unknown_field_is_refused_by_name(caller: Caller, value: Any) -> None:
    records = [{"Last_Name": "A", "Made_Up__c": value}, {"Last_Name": "B", "$free": value}]

    answer = caller.post("/Contacts", {"data": records})

    refused, made = answer.json()["data"]
    assert (answer.status_code, refused["code"], made["code"]) == (207, "INVALID_DATA", "SUCCESS")
    assert refused["message"] == "the field api name given seems to be invalid"
    assert refused["details"] == {"api_name": "Made_Up__c", "json_path": "$.data[0].Made_Up__c"}


@pytest.mark.parametrize("tags", ["fair", ["fair"]])
def test_tags_of_a_record_are_objects(caller: Caller, tags: Any) -> None:
    answer = caller.post("/Leads", {"data": [{"Last_Name": "A", "Tag": tags}]})

    expected = {"expected_data_type": "jsonarray", "api_name": "Tag", "json_path": "$.data[0].Tag"}
    assert item_of(answer)["details"] == expected


@pytest.mark.parametrize("name", ["Owner", "Layout", "Account_Name"])
def test_a_lookup_to_an_unknown_record_is_refused(caller: Caller, name: str) -> None:
    answer = caller.post("/Contacts", {"data": [{"Last_Name": "A", name: {"id": "1"}}]})

    assert item_of(answer)["code"] == "INVALID_DATA"
    assert item_of(answer)["details"]["json_path"] == f"$.data[0].{name}.id"


def test_a_deal_needs_a_pipeline_when_there_are_any(caller: Caller, sim: Simulator) -> None:
    deal = {"data": [{"Deal_Name": "Roll-out", "Stage": "Qualification"}]}

    assert item_of(caller.post("/Deals", deal))["details"]["api_name"] == "Pipeline"
    sim.organisation.pipelines = []
    assert caller.post("/Deals", deal).status_code == 201


def test_a_unique_field_refuses_a_duplicate(caller: Caller, sim: Simulator) -> None:
    sim.organisation.unique["Leads"] = ["Email"]
    lead = sim.add_lead()

    answer = caller.post("/Leads", {"data": [{"Last_Name": "A", "Email": lead["Email"].upper()}]})

    assert item_of(answer)["code"] == "DUPLICATE_DATA"
    assert item_of(answer)["details"]["duplicate_record"]["id"] == lead.id


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([], "INVALID_DATA"),
        ({}, "MANDATORY_NOT_FOUND"),
        ({"data": []}, "INVALID_DATA"),
    ],
)
def test_bodies_of_another_shape_are_refused_at_the_root(
    caller: Caller, body: Any, code: str
) -> None:
    answer = caller.post("/Leads", body)

    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_more_than_a_hundred_items_are_refused_in_the_list(caller: Caller, method: str) -> None:
    answer = caller.call(method, "/crm/v8/Leads", json={"data": [{}] * 101})

    assert answer.status_code == 400
    assert item_of(answer) == {
        "code": "LIMIT_EXCEEDED",
        "details": {"maximum_length": 100, "api_name": "data"},
        "message": "count of records in your request exceeds the limit",
        "status": "error",
    }


@pytest.mark.parametrize("name", ["Owner", "Account_Name", "Layout"])
@pytest.mark.parametrize("value", ["Mara Lind", "7130042000000225013", 77])
def test_a_reference_is_an_object(caller: Caller, name: str, value: Any) -> None:
    answer = caller.post("/Contacts", {"data": [{"Last_Name": "A", name: value}]})

    assert item_of(answer)["details"] == {
        "expected_data_type": "jsonobject",
        "api_name": name,
        "json_path": f"$.data[0].{name}",
    }


def test_a_reference_has_an_id(caller: Caller, sim: Simulator) -> None:
    user_id = sim.organisation.users[1]["id"]

    nameless = caller.post("/Leads", {"data": [{"Last_Name": "A", "Owner": {"name": "Mara"}}]})
    number = caller.post("/Leads", {"data": [{"Last_Name": "A", "Owner": {"id": int(user_id)}}]})

    assert item_of(nameless)["details"] == {"api_name": "Owner", "json_path": "$.data[0].Owner"}
    assert number.status_code == 201


STANDARD, PARTNERS = "Standard (Standard)", "Partners (Standard)"


@pytest.mark.parametrize(
    ("deal", "field", "mapped"),
    [
        ({"Stage": "Dreaming", "Pipeline": STANDARD}, "Stage", "Pipeline"),
        ({"Stage": "Needs Analysis", "Pipeline": PARTNERS}, "Stage", "Pipeline"),
        ({"Stage": "Qualification", "Pipeline": "Made up"}, "Pipeline", "Layout"),
    ],
)
def test_the_stage_of_a_new_deal_is_one_of_its_pipeline(
    caller: Caller, sim: Simulator, deal: dict[str, str], field: str, mapped: str
) -> None:
    answer = caller.post("/Deals", {"data": [{"Deal_Name": "Roll-out", **deal}]})

    assert item_of(answer)["code"] == "MAPPING_MISMATCH"
    assert item_of(answer)["details"] == {
        "mapped_field": mapped,
        "api_name": field,
        "json_path": f"$.data[0].{field}",
    }
    assert not sim.records["Deals"]


def test_an_update_keeps_stage_and_pipeline_together(caller: Caller, sim: Simulator) -> None:
    deal = sim.add("Deals", Deal_Name="Roll-out", Stage="Needs Analysis", Pipeline=STANDARD)
    bare = sim.add("Deals", Deal_Name="Bare")

    wrong = caller.put(f"/Deals/{deal.id}", {"data": [{"Pipeline": PARTNERS}]})
    right = caller.put(f"/Deals/{deal.id}", {"data": [{"Stage": "Closed Won"}]})
    both = caller.put(f"/Deals/{deal.id}", {"data": [{"Pipeline": PARTNERS}]})
    free = caller.put("/Deals", {"data": [{"id": bare.id, "Stage": "Closed Won"}]})

    codes = [item_of(answer)["code"] for answer in (wrong, right, both, free)]
    assert codes == ["MAPPING_MISMATCH", "SUCCESS", "SUCCESS", "SUCCESS"]


def test_without_pipelines_a_stage_is_one_of_the_picklist(caller: Caller, sim: Simulator) -> None:
    sim.organisation.pipelines = []
    deal = {"Deal_Name": "Roll-out", "Stage": "Dreaming"}

    assert item_of(caller.post("/Deals", {"data": [deal]}))["code"] == "INVALID_DATA"


def test_a_record_is_updated(any_caller: Caller) -> None:
    lead = any_caller.simulator.add_lead()
    lead["Modified_Time"] = "2026-01-01T00:00:00+01:00"

    answer = any_caller.put(f"/Leads/{lead.id}", {"data": [{"Last_Name": "Neu", "id": "ignored"}]})

    assert answer.status_code == 200
    assert item_of(answer)["message"] == "record updated"
    assert lead["Full_Name"] == f"{lead['First_Name']} Neu"
    assert lead["Modified_Time"] != "2026-01-01T00:00:00+01:00"


def test_many_records_are_updated_by_their_ids(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()
    items = [{"id": lead.id, "Company": "New"}, {"Company": "New"}, {"id": "1"}]

    answer = caller.put("/Leads", {"data": items})

    assert answer.status_code == 207
    codes = [item["code"] for item in answer.json()["data"]]
    assert codes == ["SUCCESS", "MANDATORY_NOT_FOUND", "INVALID_DATA"]
    assert lead["Company"] == "New"


def test_an_update_may_keep_its_own_unique_value(caller: Caller, sim: Simulator) -> None:
    sim.organisation.unique["Leads"] = ["Email"]
    lead, other = sim.add_lead(), sim.add_lead()

    same = caller.put(f"/Leads/{lead.id}", {"data": [{"Email": lead["Email"]}]})
    taken = caller.put(f"/Leads/{lead.id}", {"data": [{"Email": other["Email"]}]})

    assert item_of(same)["code"] == "SUCCESS"
    assert item_of(taken)["code"] == "DUPLICATE_DATA"


@pytest.mark.parametrize(
    ("values", "code", "message"),
    [
        ({"Converted__s": True}, "CONVERTED_RECORD", "can't update the converted record"),
        (
            {"$approval_state": "pending"},
            "NOT_APPROVED",
            "Cannot update record that is not approved yet",
        ),
    ],
)
def test_a_record_converted_or_under_approval_is_refused_at_the_root(
    caller: Caller, sim: Simulator, values: dict[str, Any], code: str, message: str
) -> None:
    lead = sim.add_lead(**values)

    answer = caller.put(f"/Leads/{lead.id}", {"data": [{"Company": "New"}]})

    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["message"]) == (code, message)


def test_a_record_in_review_is_refused_in_the_list(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead(**{"$review": {"id": "1"}})

    answer = caller.put(f"/Leads/{lead.id}", {"data": [{"Company": "New"}]})

    assert answer.status_code == 400
    assert item_of(answer) == {
        "code": "NOT_REVIEWED",
        "details": {},
        "message": "record in review",
        "status": "error",
    }


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"Converted__s": True}, "CONVERTED_RECORD"),
        ({"$approval_state": "approval_process_pending"}, "NOT_APPROVED"),
        ({"$review": {"id": "1"}}, "NOT_REVIEWED"),
        ({"Locked__s": True}, "RECORD_LOCKED"),
    ],
)
def test_a_refused_record_among_others_is_an_item(
    any_caller: Caller, values: dict[str, Any], code: str
) -> None:
    good, bad = any_caller.simulator.add_lead(), any_caller.simulator.add_lead(**values)
    items = [{"id": record.id, "Company": "New"} for record in (good, bad, good)]

    answer = any_caller.put("/Leads", {"data": items})

    assert answer.status_code == 207
    assert [item["code"] for item in answer.json()["data"]] == ["SUCCESS", code, "SUCCESS"]
    assert (good["Company"], bad["Company"] == "New") == ("New", False)


def test_a_locked_record_cannot_be_updated(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("locked")

    answer = caller.put(f"/Leads/{lead_id}", {"data": [{"Company": "New"}]})

    assert item_of(answer)["code"] == "RECORD_LOCKED"
    assert item_of(answer)["details"]["action"] == "record_locking"


def test_an_unknown_record_cannot_be_updated(caller: Caller) -> None:
    answer = caller.put("/Leads/1", {"data": [{"Company": "New"}]})

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_DATA")


@pytest.mark.parametrize(("since", "status"), [("2026-01-15", 412), ("2026-03-01", 200)])
def test_an_update_can_require_an_unmodified_record(
    caller: Caller, sim: Simulator, since: str, status: int
) -> None:
    lead = sim.add_lead()
    lead["Modified_Time"] = "2026-02-01T09:00:00+01:00"

    answer = caller.call(
        "PUT",
        f"/crm/v8/Leads/{lead.id}",
        json={"data": [{"Company": "New"}]},
        headers={"If-Unmodified-Since": f"{since}T00:00:00+01:00"},
    )

    assert answer.status_code == status
    assert status == 200 or item_of(answer)["code"] == "ALREADY_MODIFIED"
    assert item_of(answer)["details"]["id"] == lead.id


def test_each_item_of_an_update_can_require_an_unmodified_record(
    caller: Caller, sim: Simulator
) -> None:
    old, new = sim.add_lead(), sim.add_lead()
    old["Modified_Time"] = "2026-01-01T09:00:00+01:00"
    new["Modified_Time"] = "2026-02-01T09:00:00+01:00"

    answer = caller.call(
        "PUT",
        "/crm/v8/Leads",
        json={"data": [{"id": record.id, "Company": "New"} for record in (old, new)]},
        headers={"If-Unmodified-Since": "2026-01-15T00:00:00+01:00"},
    )

    assert answer.status_code == 207
    codes = [item["code"] for item in answer.json()["data"]]
    assert codes == ["SUCCESS", "ALREADY_MODIFIED"]


def test_records_are_deleted(any_caller: Caller) -> None:
    first, second = (any_caller.simulator.add_lead().id for _ in range(2))

    one = any_caller.call("DELETE", f"/crm/v8/Leads/{first}")
    many = any_caller.call("DELETE", f"/crm/v8/Leads?ids={first},{second}")

    assert (one.status_code, many.status_code) == (200, 207)
    assert item_of(one) == {
        "code": "SUCCESS",
        "details": {"id": first},
        "message": "record deleted",
        "status": "success",
    }
    assert many.json()["data"][0]["message"] == "record not deleted"
    assert not any_caller.simulator.records["Leads"]


def test_an_unknown_record_is_not_deleted_at_the_root(caller: Caller) -> None:
    answer = caller.call("DELETE", "/crm/v8/Leads/418003")

    assert answer.status_code == 400
    assert answer.json() == {
        "code": "INVALID_DATA",
        "details": {"resource_path_index": 1},
        "message": "record not deleted",
        "status": "error",
    }


@pytest.mark.parametrize(
    ("ids", "code"),
    [
        ("", "REQUIRED_PARAM_MISSING"),
        ("abc", "UNABLE_TO_PARSE_DATA_TYPE"),
        (",".join(["1"] * 101), "LIMIT_EXCEEDED"),
    ],
)
def test_ids_to_delete_have_to_be_ids(caller: Caller, ids: str, code: str) -> None:
    answer = caller.call("DELETE", f"/crm/v8/Leads?ids={ids}")

    assert (answer.status_code, answer.json()["code"]) == (400, code)
