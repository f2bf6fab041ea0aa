"""Conversion options: the matches of a lead."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator

INES = {"First_Name": "Ines", "Last_Name": "Albrecht"}


def options_of(caller: Caller, lead_id: str) -> dict[str, Any]:
    answer = caller.options(lead_id)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["__conversion_options"]
    return found


def test_a_match_is_shown_as_on_zohos_page(any_caller: Caller) -> None:
    sim = any_caller.simulator
    account = sim.add("Accounts", Account_Name="Nordwind GmbH")
    contact = sim.add(
        "Contacts", **INES, Email="ines@nordwind.example", Account_Name=account.lookup()
    )
    lead = sim.add("Leads", **INES, Email="ines@nordwind.example", Company="Nordwind GmbH")

    found = options_of(any_caller, lead.id)

    organisation = sim.organisation
    assert found == {
        "module_preference": organisation.module("Contacts"),
        "Contacts": [
            {
                "Full_Name": "Ines Albrecht",
                "Email": "ines@nordwind.example",
                "Layout": organisation.layouts["Contacts"],
                "Locked__s": False,
                "Account_Name": {"name": "Nordwind GmbH", "id": account.id, "Locked__s": False},
                "$editable": True,
                "id": contact.id,
                "$approval_state": "approved",
                "Data_Processing_Basis": "null",
            }
        ],
        "Accounts": [
            {
                "Layout": organisation.layouts["Accounts"],
                "Phone": None,
                "Account_Type": None,
                "Website": None,
                "Account_Name": "Nordwind GmbH",
                "$editable": True,
                "Locked__s": False,
                "$approval_state": "approved",
                "id": account.id,
            }
        ],
        "preference_field_matched_value": {
            "Contacts": [
                {
                    "field": {
                        "api_name": "Email",
                        "field_label": "Email",
                        "unique": None,
                        "id": organisation.field_id("Contacts", "Email"),
                    },
                    "matched_lead_value": "ines@nordwind.example",
                }
            ],
            "Accounts": [
                {
                    "field": {
                        "api_name": "Account_Name",
                        "field_label": "Account Name",
                        "unique": None,
                        "id": organisation.field_id("Accounts", "Account_Name"),
                    },
                    "matched_lead_value": "Nordwind GmbH",
                }
            ],
        },
        "modules_with_multiple_layouts": None,
    }


def test_nothing_matches_and_no_layout_is_204(any_caller: Caller) -> None:
    lead = any_caller.simulator.add_lead()

    answer = any_caller.options(lead.id)

    assert (answer.status_code, answer.content) == (204, b"")


def test_a_choice_of_layouts_alone_is_200_with_nulls(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead(Layout=sim.organisation.layout_with_choice)

    assert options_of(caller, lead.id) == {
        "module_preference": None,
        "Contacts": None,
        "Accounts": None,
        "preference_field_matched_value": None,
        "modules_with_multiple_layouts": [sim.organisation.module("Deals")],
    }


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("ines@nordwind.example", "INES@Nordwind.example", True),
        ("  ines@nordwind.example ", "ines@nordwind.example", True),
        ("ines@nordwind.example", "inés@nordwind.example", False),
        ("ines@nordwind.example", "ines@nordwind.example.org", False),
    ],
)
def test_values_are_compared_without_case_and_white_space_but_with_accents(
    caller: Caller, sim: Simulator, ours: str, theirs: str, same: bool
) -> None:
    lead = sim.add_lead(Email=ours)
    sim.add("Contacts", Last_Name="Somebody", Email=theirs)

    assert (caller.options(lead.id).status_code == 200) is same


def test_inner_white_space_of_a_company_is_collapsed(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead(Company="Nordwind \t  GmbH")
    account = sim.add("Accounts", Account_Name="nordwind GMBH")

    found = options_of(caller, lead.id)

    assert [each["id"] for each in found["Accounts"]] == [account.id]
    assert found["Contacts"] is None
    assert found["module_preference"]["api_name"] == "Accounts"
    assert list(found["preference_field_matched_value"]) == ["Accounts"]


def test_the_name_is_compared_when_the_email_has_no_match(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead(**INES)
    contact = sim.add("Contacts", **INES, Email="another@address.example")

    found = options_of(caller, lead.id)

    assert [each["id"] for each in found["Contacts"]] == [contact.id]
    (match,) = found["preference_field_matched_value"]["Contacts"]
    assert match["field"]["api_name"] == "Full_Name"


def test_the_first_field_with_a_match_decides(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead(**INES)
    by_email = sim.add("Contacts", Last_Name="Other", Email=lead["Email"])
    sim.add("Contacts", **INES)

    found = options_of(caller, lead.id)

    assert [each["id"] for each in found["Contacts"]] == [by_email.id]


def test_unique_fields_come_first_and_are_shown(caller: Caller, sim: Simulator) -> None:
    sim.organisation.unique["Contacts"] = ["Phone", "Email"]
    lead = sim.add_lead(Phone="+49 40 1")
    by_phone = sim.add("Contacts", Last_Name="Phone", Phone="+49 40 1")
    sim.add("Contacts", Last_Name="Mail", Email=lead["Email"])

    found = options_of(caller, lead.id)

    assert [each["id"] for each in found["Contacts"]] == [by_phone.id]
    assert found["Contacts"][0]["Phone"] == "+49 40 1"
    (match,) = found["preference_field_matched_value"]["Contacts"]
    assert match["field"]["unique"] is True


def test_accounts_are_preferred_when_only_they_have_a_unique_field(
    caller: Caller, sim: Simulator
) -> None:
    sim.organisation.unique["Accounts"] = ["Website"]
    lead = sim.add_lead(Website="https://nordwind.example")
    sim.add("Accounts", Account_Name="Other name", Website="https://nordwind.example")
    sim.add("Contacts", Last_Name="Mail", Email=lead["Email"])

    assert options_of(caller, lead.id)["module_preference"]["api_name"] == "Accounts"


def test_an_account_is_shown_under_its_present_name(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()
    account = sim.add("Accounts", Account_Name="Old name")
    sim.add("Contacts", Last_Name="A", Email=lead["Email"], Account_Name=account.lookup())
    account["Account_Name"] = "New name"

    (contact,) = options_of(caller, lead.id)["Contacts"]

    assert contact["Account_Name"]["name"] == "New name"


def test_locked_and_unapproved_matches_are_matches(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()
    sim.add("Contacts", Last_Name="A", Email=lead["Email"], Locked__s=True)
    pending = sim.add("Contacts", Last_Name="B", Email=lead["Email"])
    pending["$approval_state"] = "pending"
    pending["Data_Processing_Basis"] = "Consent - Stop Processing"

    first, second = options_of(caller, lead.id)["Contacts"]

    assert first["Locked__s"] is True
    assert second["$approval_state"] == "pending"
    assert second["Data_Processing_Basis"] == "Consent - Stop Processing"


def test_a_hundred_matches_are_shown_at_most(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()
    for number in range(101):
        sim.add("Contacts", Last_Name=f"Nr {number}", Email=lead["Email"])

    assert len(options_of(caller, lead.id)["Contacts"]) == 100


@pytest.mark.parametrize(
    ("hidden", "status"), [("Accounts", 200), ("Contacts", 204), ("Deals", 200)]
)
def test_hidden_modules_are_left_out(
    caller: Caller, sim: Simulator, hidden: str, status: int
) -> None:
    lead_id = sim.story("one_match")
    sim.organisation.modules[hidden]["status"] = "user_hidden"

    answer = caller.options(lead_id)

    assert answer.status_code == status
    if hidden == "Accounts":
        assert answer.json()["__conversion_options"]["Accounts"] is None


@pytest.mark.parametrize(
    ("values", "code", "message"),
    [
        ({"$in_merge": True}, "RECORD_LOCKED", "record under merge is locked"),
        ({"$approval_state": "pending"}, "NOT_APPROVED", "record not approved"),
        ({"Converted__s": True}, "ID_ALREADY_CONVERTED", "id already converted"),
    ],
)
def test_leads_without_options(
    caller: Caller, sim: Simulator, values: dict[str, Any], code: str, message: str
) -> None:
    lead = sim.add_lead(**values)

    answer = caller.options(lead.id)

    assert answer.status_code == 400
    assert answer.json() == {
        "code": code,
        "details": {"resource_path_index": 1},
        "message": message,
        "status": "error",
    }


def test_an_unknown_lead_is_invalid_data(caller: Caller) -> None:
    answer = caller.options("7130042000000418003")

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_DATA")
    assert answer.json()["message"] == "the given id seems to be invalid"
