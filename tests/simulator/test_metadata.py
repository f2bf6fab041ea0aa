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
    ("path", "details"),
    [
        ("/settings/pipeline", {"param_name": "layout_id"}),
        ("/settings/fields", {"param_name": "module"}),
        ("/settings/layouts", {"param_name": "module"}),
        ("/settings/tags", {"param": "module"}),
    ],
)
def test_metadata_requires_its_parameter(
    caller: Caller, path: str, details: dict[str, str]
) -> None:
    answer = caller.get(path)

    assert answer.status_code == 400
    assert answer.json()["code"] == "REQUIRED_PARAM_MISSING"
    assert answer.json()["details"] == details


FIELD_KEYS = """
    additional_column address api_name association_details associated_module auto_number
    businesscard_supported child_fields colour_code_enabled_by_system column_name convert_mapping
    created_source created_time crypt currency custom_field customizable_properties data_type
    decimal_place display_field display_format display_format_properties display_label display_type
    email_parser enable_colour_code external field_label field_read_only filterable formula
    global_picklist hipaa_compliance hipaa_compliance_enabled history_tracking
    history_tracking_enabled id json_type layout_associations length lookup mass_update
    modified_time multi_module_lookup multiselectlookup operation_type parent_field
    pick_list_values pick_list_values_sorted_lexically private profiles public range read_only
    rollup_summary searchable separator sortable system_mandatory tooltip type ui_type unique
    view_type virtual_field visible webhook
"""


@pytest.mark.parametrize("module", ["Leads", "Contacts", "Accounts", "Deals"])
def test_a_field_has_the_documented_keys(caller: Caller, module: str) -> None:
    fields = only(caller.get("/settings/fields", module=module), "fields")

    assert [field["api_name"] for field in fields if set(FIELD_KEYS.split()) - field.keys()] == []


def test_a_field_tells_what_can_be_done_with_it(caller: Caller) -> None:
    fields = {
        field["api_name"]: field
        for field in only(caller.get("/settings/fields", module="Deals"), "fields")
    }

    flags = {
        name: [fields[name][flag] for flag in ("searchable", "filterable", "sortable")]
        for name in ("Deal_Name", "Description", "Interests", "Record_Image")
    }
    assert flags == {
        "Deal_Name": [True, True, True],
        "Description": [True, False, False],
        "Interests": [True, True, False],
        "Record_Image": [False, False, False],
    }
    assert (fields["Amount"]["decimal_place"], fields["Stage"]["decimal_place"]) == (2, None)
    assert fields["Owner"]["field_read_only"] is True
    assert fields["Owner"]["read_only"] is False
    assert fields["Stage"]["profiles"][0]["permission_type"] == "read_write"


def test_a_look_up_names_its_module(caller: Caller, sim: Simulator) -> None:
    fields = {
        field["api_name"]: field["lookup"]
        for field in only(caller.get("/settings/fields", module="Deals"), "fields")
    }

    account = fields["Account_Name"]["module"]
    assert (account["api_name"], account["id"]) == (
        "Accounts",
        sim.organisation.modules["Accounts"]["id"],
    )
    assert fields["Account_Name"]["api_name"] == "Deals"
    assert fields["Campaign_Source"]["module"]["api_name"] == "Campaigns"
    assert fields["Deal_Name"] == {}


def test_a_layout_field_has_its_place(caller: Caller) -> None:
    (layout,) = only(caller.get("/settings/layouts", module="Deals"), "layouts")

    keys = "required sequence_number section_id show_type category element_type validation_rule"
    fields = layout["sections"][0]["fields"]
    assert all(set(keys.split()) <= field.keys() for field in fields)
    assert [field["sequence_number"] for field in fields] == list(range(1, len(fields) + 1))


def test_a_module_has_the_documented_keys(caller: Caller, sim: Simulator) -> None:
    (listed, *_) = only(caller.get("/settings/modules"), "modules")
    (detailed,) = only(caller.get("/settings/modules/Leads"), "modules")

    keys = "sequence_number modified_time profiles quick_create access_type lookupable per_page"
    assert set(keys.split()) - listed.keys() == {"per_page"}
    assert set(keys.split()) <= detailed.keys()
    assert listed["profiles"] == [sim.organisation.current_user["profile"]]
    assert detailed["display_field"] == "Full_Name"
    assert "$approval_state" in detailed["$properties"]
    assert detailed["custom_view"]["id"] == sim.organisation.custom_views["Leads"]


def test_a_module_is_read_by_name_or_id(any_caller: Caller) -> None:
    own = any_caller.simulator.organisation

    for key in ("Tasks", own.modules["Tasks"]["id"]):
        (module,) = only(any_caller.get(f"/settings/modules/{key}"), "modules")
        assert module["api_name"] == "Tasks"
    assert any_caller.get("/settings/modules/Dragons").json()["code"] == "INVALID_MODULE"


def test_one_layout_field_and_role_is_read_by_id(any_caller: Caller) -> None:
    own = any_caller.simulator.organisation
    fair, role = own.layout_with_choice["id"], own.contact_roles[2]
    email = own.field_id("Leads", "Email")

    (layout,) = only(any_caller.get(f"/settings/layouts/{fair}", module="Leads"), "layouts")
    (field,) = only(any_caller.get(f"/settings/fields/{email}", module="Leads"), "fields")
    roles = only(any_caller.get(f"/Contacts/roles/{role['id']}"), "contact_roles")

    assert (layout["name"], field["api_name"], roles) == ("Trade fair", "Email", [role])


@pytest.mark.parametrize(
    "path", ["/settings/layouts/77?module=Leads", "/settings/fields/77?module=Leads"]
)
def test_unknown_ids_of_metadata_are_204(caller: Caller, path: str) -> None:
    assert caller.get(path).status_code == 204
    assert caller.get("/Contacts/roles/77").status_code == 204
    assert caller.get(path.partition("?")[0]).json()["code"] == "REQUIRED_PARAM_MISSING"


def test_an_unknown_status_of_modules_is_named(caller: Caller) -> None:
    answer = caller.get("/settings/modules", status="visible,gone").json()

    assert (answer["code"], answer["details"]["index"]) == ("INVALID_DATA", 1)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/actions/watch"),
        ("POST", "/actions/watch"),
        ("POST", "/files"),
        ("GET", "/settings/related_lists"),
        ("POST", "/settings/fields"),
        ("POST", "/Leads/1/actions/change_owner"),
        ("GET", "/Leads/1/Locking_Information__s"),
    ],
)
def test_what_only_zoho_has_is_501(any_caller: Caller, method: str, path: str) -> None:
    answer = any_caller.call(method, f"/crm/v8{path}")

    assert answer.status_code == 501
    assert answer.json() == {
        "code": "NOT_IMITATED",
        "details": {"method": method, "path": f"/crm/v8{path}"},
        "message": "This address exists at Zoho, but the simulator does not imitate it.",
        "status": "error",
    }


def test_what_nobody_has_is_404(caller: Caller) -> None:
    answer = caller.get("/settings/dragons/of/the/north")

    assert (answer.status_code, answer.json()["code"]) == (404, "INVALID_URL_PATTERN")


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

    known = sim.organisation.tags["Leads"]
    assert one.json()["data"][0]["details"] == {
        "id": first.id,
        "tags": [known["fair"], known["q1"]],
    }
    assert one.json().keys() == {"data"}
    assert known["fair"].keys() == {"name", "id", "color_code"}
    assert (both.json()["success_count"], both.json()["locked_count"]) == ("2", "0")
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


def test_tags_are_removed_from_records(any_caller: Caller) -> None:
    sim = any_caller.simulator
    fair, old = (sim.organisation.tag("Leads", name) for name in ("fair", "old"))
    first, second = sim.add_lead(Tag=[fair, old]), sim.add_lead(Tag=[old])

    one = any_caller.post(f"/Leads/{first.id}/actions/remove_tags", {"tags": [{"name": "old"}]})
    many = any_caller.post(
        "/Leads/actions/remove_tags",
        {"tags": [{"id": old["id"], "name": "ignored"}], "ids": [first.id, second.id]},
    )

    assert one.json()["data"][0]["details"] == {"id": first.id, "tags": [fair]}
    assert [item["details"]["tags"] for item in many.json()["data"]] == [[fair], []]
    assert many.json()["success_count"] == "2"
    assert (first["Tag"], second["Tag"]) == ([fair], [])


def test_the_tags_of_a_locked_record_stay(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead(Locked__s=True)
    tags = {"tags": [{"name": "fair"}]}

    added = caller.post(f"/Leads/{lead.id}/actions/add_tags", tags)
    removed = caller.post(f"/Leads/{lead.id}/actions/remove_tags", tags)
    many = caller.post("/Leads/actions/add_tags", {**tags, "ids": [lead.id]})

    assert (added.status_code, added.json()["code"]) == (400, "RECORD_LOCKED")
    assert removed.json()["data"][0]["code"] == "RECORD_LOCKED"
    assert (many.json()["success_count"], many.json()["locked_count"]) == ("0", "1")


def test_ids_may_be_the_text_of_a_list(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()

    answer = caller.post(
        "/Leads/actions/add_tags", {"tags": [{"name": "fair"}], "ids": f'["{lead.id}"]'}
    )

    assert answer.json()["success_count"] == "1"


@pytest.mark.parametrize(
    ("tag", "details"),
    [
        (
            {"name": "x" * 26},
            {"maximum_length": 25, "api_name": "name", "json_path": "$.tags[*].name"},
        ),
        ({"id": "1"}, {"api_name": "id", "json_path": "$.tags[*].id"}),
    ],
)
def test_a_name_that_is_no_tag_is_refused_in_the_list_of_tags(
    caller: Caller, sim: Simulator, tag: dict[str, str], details: dict[str, Any]
) -> None:
    lead = sim.add_lead()

    answer = caller.post(f"/Leads/{lead.id}/actions/add_tags", {"tags": [tag]})

    assert answer.status_code == 400
    assert answer.json()["tags"][0]["details"] == details


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"tags": "fair", "ids": ["1"]}, "INVALID_DATA"),
        ({"tags": [{"name": "fair"}], "ids": []}, "INVALID_DATA"),
        ({"tags": [{"name": "fair"}], "ids": "a,b"}, "INVALID_DATA"),
        ({"tags": [{"name": "fair"}]}, "MANDATORY_NOT_FOUND"),
    ],
)
def test_tags_need_a_list_of_tags_and_of_ids(
    caller: Caller, body: dict[str, Any], code: str
) -> None:
    answer = caller.post("/Leads/actions/add_tags", body)

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_fifty_tagged_records_cost_a_credit(caller: Caller, sim: Simulator) -> None:
    ids = [sim.add_lead().id for _ in range(51)]

    caller.post("/Leads/actions/add_tags", {"tags": [{"name": "fair"}], "ids": ids})

    assert sim.stats()["credits_used"] == 2
