"""Notes of records."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator

FIELDS = "Note_Title,Note_Content,Parent_Id"


def parent(module: str, record_id: str) -> dict[str, Any]:
    return {"Parent_Id": {"module": {"api_name": module}, "id": record_id}}


def note_of(caller: Caller, record_id: str, **texts: Any) -> str:
    answer = caller.post(f"/Leads/{record_id}/Notes", {"data": [texts]})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"][0]["details"]["id"])


def test_a_note_is_created_and_read(any_caller: Caller) -> None:
    sim = any_caller.simulator
    lead, contact = sim.add_lead(), sim.add("Contacts", Last_Name="Albrecht")
    path = f"/Leads/{lead.id}/Notes"
    assert any_caller.get(path, fields=FIELDS).status_code == 204

    answer = any_caller.post(path, {"data": [{"Note_Title": "Call", "Note_Content": "Quote"}]})
    any_caller.post("/Notes", {"data": [{"Note_Content": "x", **parent("Contacts", contact.id)}]})

    (item,) = answer.json()["data"]
    assert (answer.status_code, item["message"]) == (201, "record added")
    assert item["details"].keys() == {
        "id",
        "Created_By",
        "Created_Time",
        "Modified_By",
        "Modified_Time",
    }
    listed = any_caller.get(path, fields=FIELDS).json()
    assert listed["data"] == [
        {
            "Note_Title": "Call",
            "Note_Content": "Quote",
            "Parent_Id": {
                "module": sim.organisation.module("Leads"),
                "name": lead.name,
                "id": lead.id,
            },
            "id": item["details"]["id"],
        }
    ]
    assert listed["info"]["count"] == 1
    assert any_caller.get("/Notes", fields="id").json()["info"]["count"] == 2
    one = any_caller.get(f"/Notes/{item['details']['id']}").json()["data"][0]
    assert (one["Note_Content"], one["$attachments"]) == ("Quote", None)
    assert any_caller.get("/Notes/77").status_code == 204


def test_notes_have_pages_and_an_order(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()
    ids = [note_of(caller, lead.id, Note_Content=str(number)) for number in range(3)]
    path = f"/Leads/{lead.id}/Notes"

    first = caller.get(path, fields="id", per_page=2, sort_by="id", sort_order="asc").json()
    token = first["info"]["next_page_token"]
    second = caller.get(
        path, fields="id", per_page=2, sort_by="id", sort_order="asc", page_token=token
    ).json()
    named = caller.get(path, fields="id", ids=f"{ids[1]},77").json()

    assert [note["id"] for note in first["data"] + second["data"]] == ids
    assert named["data"] == [{"id": ids[1]}]
    assert caller.get(path).json()["code"] == "REQUIRED_PARAM_MISSING"


def test_only_the_texts_of_a_note_can_be_changed(any_caller: Caller) -> None:
    lead = any_caller.simulator.add_lead()
    note_id = note_of(any_caller, lead.id, Note_Content="old")

    one = any_caller.put(
        f"/Notes/{note_id}", {"data": [{"Note_Title": "new", "Created_Time": "ignored"}]}
    )
    many = any_caller.put(
        f"/Leads/{lead.id}/Notes",
        {"data": [{"id": note_id, "Note_Content": "newer"}, {"id": "77"}, {"Note_Title": "x"}]},
    )

    note = any_caller.simulator.organisation.notes[note_id]
    assert (one.status_code, many.status_code) == (200, 207)
    codes = [item["code"] for item in many.json()["data"]]
    assert codes == ["SUCCESS", "INVALID_DATA", "MANDATORY_NOT_FOUND"]
    assert (note["Note_Title"], note["Note_Content"]) == ("new", "newer")
    assert note["Created_Time"] != "ignored"


def test_notes_are_deleted(any_caller: Caller) -> None:
    lead = any_caller.simulator.add_lead()
    first, second = (note_of(any_caller, lead.id, Note_Content=text) for text in "ab")

    one = any_caller.call("DELETE", f"/crm/v8/Notes/{first}")
    many = any_caller.call("DELETE", f"/crm/v8/Leads/{lead.id}/Notes?ids={first},{second}")

    assert (one.status_code, many.status_code) == (200, 207)
    assert one.json()["data"][0]["details"] == {"id": first}
    assert many.json()["data"][0]["message"] == "record not deleted"
    assert any_caller.simulator.organisation.notes == {}
    assert any_caller.call("DELETE", "/crm/v8/Notes").json()["code"] == "REQUIRED_PARAM_MISSING"


@pytest.mark.parametrize(
    ("item", "code", "path"),
    [
        ({"Note_Title": "x" * 256}, "INVALID_DATA", "$.data[0].Note_Title"),
        ({"Note_Content": "x" * 65_536}, "INVALID_DATA", "$.data[0].Note_Content"),
        ({"Note_Content": 7}, "INVALID_DATA", "$.data[0].Note_Content"),
        ({"Note_Content": None}, "EXPECTED_FIELD_MISSING", None),
        ({}, "EXPECTED_FIELD_MISSING", None),
    ],
)
def test_a_note_has_a_text(
    caller: Caller, sim: Simulator, item: dict[str, Any], code: str, path: str | None
) -> None:
    answer = caller.post(f"/Leads/{sim.add_lead().id}/Notes", {"data": [item]})

    (refused,) = answer.json()["data"]
    assert (answer.status_code, refused["code"]) == (400, code)
    assert path is None or refused["details"]["json_path"] == path
    assert sim.organisation.notes == {}


@pytest.mark.parametrize(
    ("parent_id", "code", "path"),
    [
        (None, "MANDATORY_NOT_FOUND", "Parent_Id"),
        ("77", "INVALID_DATA", "Parent_Id"),
        ({"id": "77"}, "MANDATORY_NOT_FOUND", "Parent_Id.module"),
        ({"module": {"api_name": "Leads"}, "id": "77"}, "INVALID_DATA", "Parent_Id.id"),
        ({"module": {"api_name": "Dragons"}, "id": "77"}, "INVALID_DATA", "Parent_Id.id"),
    ],
)
def test_a_note_belongs_to_a_record(caller: Caller, parent_id: Any, code: str, path: str) -> None:
    answer = caller.post("/Notes", {"data": [{"Note_Content": "x", "Parent_Id": parent_id}]})

    (refused,) = answer.json()["data"]
    assert refused["code"] == code
    assert refused["details"]["json_path"] == f"$.data[0].{path}"


def test_the_record_in_the_path_exists(caller: Caller) -> None:
    for answer in (
        caller.get("/Leads/77/Notes", fields="id"),
        caller.post("/Leads/77/Notes", {"data": [{"Note_Content": "x"}]}),
    ):
        assert answer.status_code == 400
        assert answer.json()["details"] == {"resource_path_index": 1}


def test_a_lost_answer_leaves_the_note(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()
    sim.fail("note_write", "error_after")

    answer = caller.post(f"/Leads/{lead.id}/Notes", {"data": [{"Note_Content": "x"}]})

    assert answer.status_code == 500
    assert len(sim.organisation.notes) == 1
