"""Metadata for a conversion form."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator


def only(answer: Any, name: str) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()[name]


def test_the_current_user_is_who_granted_the_token(any_caller: Caller) -> None:
    (user,) = only(any_caller.get("/users", type="CurrentUser"), "users")

    assert user["full_name"] == "Mara Lind"
    assert (user["status"], user["confirm"], user["Isonline"]) == ("active", True, True)


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("AllUsers", 6),
        ("ActiveUsers", 5),
        ("DeactiveUsers", 1),
        ("ConfirmedUsers", 5),
        ("NotConfirmedUsers", 1),
        ("ActiveConfirmedUsers", 4),
        ("AdminUsers", 6),
        ("ActiveConfirmedAdmins", 4),
    ],
)
def test_users_are_listed_by_type(caller: Caller, kind: str, count: int) -> None:
    answer = caller.get("/users", type=kind)

    assert len(answer.json()["users"]) == answer.json()["info"]["count"] == count


def test_users_have_pages_and_ids(caller: Caller, sim: Simulator) -> None:
    wanted = sim.organisation.users[2]

    assert caller.get("/users", per_page=4).json()["info"]["more_records"] is True
    assert len(caller.get("/users", per_page=4, page=2).json()["users"]) == 2
    assert only(caller.get("/users", ids=wanted["id"]), "users") == [wanted]
    assert only(caller.get(f"/users/{wanted['id']}"), "users") == [wanted]
    assert caller.get("/users/1").status_code == 204
    assert caller.get("/users", type="DeletedUsers").status_code == 204
    assert caller.get("/users", type="Everybody").json()["code"] == "INVALID_DATA"


def test_the_organisation_says_what_it_is(any_caller: Caller) -> None:
    (organisation,) = only(any_caller.get("/org"), "org")

    assert organisation["id"] == any_caller.simulator.organisation.id
    assert organisation["type"] == "production"
    assert organisation["license_details"]["paid_type"] == "enterprise"


def test_modules_have_ids(caller: Caller, sim: Simulator) -> None:
    modules = {each["api_name"]: each for each in only(caller.get("/settings/modules"), "modules")}

    assert {"Leads", "Contacts", "Accounts", "Deals", "Tasks", "Events", "Calls"} == set(modules)
    assert modules["Leads"]["convertable"] is True
    assert modules["Events"]["plural_label"] == "Meetings"
    assert caller.get("/settings/modules", status="system_hidden").status_code == 204


def test_fields_tell_what_is_unique_and_where_conversion_copies_it(
    caller: Caller, sim: Simulator
) -> None:
    sim.organisation.unique["Leads"] = ["Email"]
    answer = caller.get("/settings/fields", module="Leads")

    fields = {field["api_name"]: field for field in only(answer, "fields")}
    assert fields["Email"]["unique"] == {"case_sensitive": False}
    assert fields["Phone"]["unique"] == {}
    mapping = {"Contacts": "Phone", "Accounts": "Phone", "Deals": None}
    assert fields["Phone"]["convert_mapping"] == mapping
    assert [name for name, field in fields.items() if field["system_mandatory"]] == ["Last_Name"]
    assert fields["Converted__s"]["read_only"] is True
    assert fields["Converted__s"]["field_label"] == "Converted"
    assert len(fields["Lead_Status"]["pick_list_values"]) == 9
    again = caller.get("/settings/fields", module="Leads")
    assert again.json() == answer.json()


def test_layouts_of_leads_tell_what_a_conversion_asks_for(caller: Caller, sim: Simulator) -> None:
    sim.organisation.required["Deals"] = ["Type"]

    standard, fair = only(caller.get("/settings/layouts", module="Leads"), "layouts")

    assert (standard["name"], fair["name"]) == ("Standard", "Trade fair")
    mapping = standard["convert_mapping"]
    assert mapping["Contacts"] == sim.organisation.layouts["Contacts"]
    required = {each["api_name"]: each["required"] for each in mapping["Deals"]["fields"]}
    assert required == {
        "Deal_Name": True,
        "Closing_Date": True,
        "Stage": True,
        "Pipeline": True,
        "Amount": False,
        "Type": True,
    }


def test_the_layout_of_deals_carries_the_pipelines(caller: Caller, sim: Simulator) -> None:
    (layout,) = only(caller.get("/settings/layouts", module="Deals"), "layouts")

    fields = {field["api_name"]: field for field in layout["sections"][0]["fields"]}
    assert fields["Pipeline"]["pick_list_values"] == sim.organisation.pipelines
    assert fields["Stage"]["required"] is True
    assert "convert_mapping" not in layout


def test_pipelines_have_stages(caller: Caller, sim: Simulator) -> None:
    layout_id = sim.organisation.layouts["Deals"]["id"]

    standard, partners = only(caller.get("/settings/pipeline", layout_id=layout_id), "pipeline")

    assert standard["actual_value"] == "Standard (Standard)"
    assert standard["maps"][3]["forecast_type"] == "Closed Won"
    assert partners["maps"][1]["actual_value"] == "Id. Decision Makers"
    assert partners["maps"][1]["display_value"] == "Identify Decision Makers"
    sim.organisation.pipelines = []
    assert caller.get("/settings/pipeline", layout_id=layout_id).status_code == 204
    assert caller.get("/settings/pipeline", layout_id="1").json()["code"] == "INVALID_DATA"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/settings/pipeline", "layout_id"),
        ("/settings/fields", "module"),
        ("/settings/layouts", "module"),
        ("/settings/tags", "module"),
    ],
)
def test_metadata_requires_its_parameter(caller: Caller, path: str, name: str) -> None:
    answer = caller.get(path)

    assert answer.status_code == 400
    assert answer.json()["code"] == "REQUIRED_PARAM_MISSING"
    assert answer.json()["details"] == {"param_name": name}


def test_metadata_of_an_unknown_module_is_refused(caller: Caller) -> None:
    answer = caller.get("/settings/fields", module="Dragons")

    assert answer.json()["code"] == "INVALID_MODULE"


def test_contact_roles_may_be_missing(caller: Caller, sim: Simulator) -> None:
    roles = only(caller.get("/Contacts/roles"), "contact_roles")

    assert roles[0]["name"] == "Decision Maker"
    sim.organisation.contact_roles = []
    assert caller.get("/Contacts/roles").status_code == 204


def test_a_contact_has_a_role_in_a_deal(caller: Caller, sim: Simulator) -> None:
    deal = sim.add("Deals", Deal_Name="Roll-out")
    contact = sim.add("Contacts", Last_Name="Albrecht", Email="ines@nordwind.example")
    role = sim.organisation.contact_roles[1]
    path = f"/Deals/{deal.id}/Contact_Roles"
    assert caller.get(path, fields="Email").status_code == 204

    answer = caller.put(f"{path}/{contact.id}", {"data": [{"Contact_Role": {"id": role["id"]}}]})

    assert answer.json()["data"][0]["message"] == "relation updated"
    assert only(caller.get(path, fields="Email"), "data") == [
        {
            "Email": "ines@nordwind.example",
            "id": contact.id,
            "Contact_Role": {"name": role["name"], "id": role["id"]},
        }
    ]


@pytest.mark.parametrize(
    ("deal", "contact", "role"),
    [("1", None, None), (None, "1", None), (None, None, "1")],
)
def test_a_role_needs_a_deal_a_contact_and_a_role(
    caller: Caller, sim: Simulator, deal: str | None, contact: str | None, role: str | None
) -> None:
    deal = deal or sim.add("Deals", Deal_Name="Roll-out").id
    contact = contact or sim.add("Contacts", Last_Name="Albrecht").id
    role = role or sim.organisation.contact_roles[0]["id"]

    answer = caller.put(
        f"/Deals/{deal}/Contact_Roles/{contact}", {"data": [{"Contact_Role": {"id": role}}]}
    )

    assert answer.status_code == 400
    assert "INVALID_DATA" in answer.text


def test_a_role_is_an_object_with_an_id(caller: Caller, sim: Simulator) -> None:
    deal = sim.add("Deals", Deal_Name="Roll-out")
    contact = sim.add("Contacts", Last_Name="Albrecht")

    answer = caller.put(
        f"/Deals/{deal.id}/Contact_Roles/{contact.id}", {"data": [{"Contact_Role": "Buyer"}]}
    )

    assert answer.json()["data"][0]["code"] == "INVALID_DATA"


def test_converted_leads_count_as_duplicates(caller: Caller) -> None:
    answer = caller.get("/settings/duplicate_check_preference", module="Leads")

    preference = only(answer, "duplicate_check_preference")
    assert preference == {"type": "converted_records", "type_configurations": None}


def test_tags_are_made_and_listed(any_caller: Caller) -> None:
    path = "/settings/tags?module=Leads"
    assert any_caller.get(path).status_code == 204

    made = any_caller.post(path, {"tags": [{"name": "q1", "color_code": "#57B1FD"}]})

    assert made.status_code == 201
    assert made.json()["tags"][0]["code"] == "SUCCESS"
    answer = any_caller.get(path).json()
    assert answer["info"] == {"count": 1, "allowed_count": 100}
    (tag,) = answer["tags"]
    assert (tag["name"], tag["color_code"]) == ("q1", "#57B1FD")
    assert tag["created_by"]["name"] == "Mara Lind"


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ({}, "MANDATORY_NOT_FOUND"),
        ({"name": "x" * 26}, "INVALID_DATA"),
        ({"name": "a,b"}, "INVALID_DATA"),
        ({"name": "q1", "color_code": "#F17574"}, "MAPPING_MISMATCH"),
        ({"name": "q1"}, "DUPLICATE_DATA"),
    ],
)
def test_bad_tags_are_refused(
    caller: Caller, sim: Simulator, tag: dict[str, str], code: str
) -> None:
    sim.organisation.tag("Leads", "q1")

    answer = caller.post("/settings/tags?module=Leads", {"tags": [tag]})

    assert answer.status_code == 400
    assert answer.json()["tags"][0]["code"] == code


def test_a_module_has_a_hundred_tags(caller: Caller, sim: Simulator) -> None:
    for number in range(100):
        sim.organisation.tag("Leads", f"tag {number}")

    answer = caller.post("/settings/tags?module=Leads", {"tags": [{"name": "one more"}]})

    assert answer.json()["tags"][0]["code"] == "LIMIT_EXCEEDED"


def test_tags_are_added_to_records(caller: Caller, sim: Simulator) -> None:
    first, second = sim.add_lead(), sim.add_lead()
    tags = {"tags": [{"name": "fair"}, {"name": "q1"}]}

    one = caller.post(f"/Leads/{first.id}/actions/add_tags", tags)
    both = caller.post(
        "/Leads/actions/add_tags",
        {"tags": [{"name": "q2"}], "ids": [first.id, second.id, "1"], "over_write": True},
    )

    assert one.json()["data"][0]["details"] == {"id": first.id, "tags": ["fair", "q1"]}
    assert (one.json()["success_count"], one.json()["locked_count"]) == ("1", "0")
    assert [item["status"] for item in both.json()["data"]] == ["success", "success", "error"]
    assert [tag["name"] for tag in first["Tag"]] == ["q2"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "INVALID_DATA"),
        ({"tags": []}, "MANDATORY_NOT_FOUND"),
        ({"tags": [{"name": "a"}], "ids": ["1"] * 501}, "LIMIT_EXCEEDED"),
        ({"tags": [{"name": f"t{number}"} for number in range(11)]}, "LIMIT_EXCEEDED"),
    ],
)
def test_tags_that_cannot_be_added(caller: Caller, sim: Simulator, body: Any, text: str) -> None:
    if isinstance(body, dict):
        body = {"ids": [sim.add_lead().id], **body}

    answer = caller.post("/Leads/actions/add_tags", body)

    assert answer.status_code == 400
    assert text in answer.text
