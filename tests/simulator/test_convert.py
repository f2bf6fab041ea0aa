"""Converting a lead: created records, merged records, refusals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator

DEAL = {
    "Deal_Name": "Roll-out",
    "Closing_Date": "2027-03-31",
    "Pipeline": "Standard (Standard)",
    "Stage": "Qualification",
    "Amount": 48000,
}


def refusal_of(caller: Caller, lead_id: str, **item: Any) -> dict[str, Any]:
    """Return the refusal of the item; assert that nothing changed."""
    answer = caller.convert(lead_id, **item)
    assert answer.status_code == 400, answer.text
    assert caller.simulator.conversions_of(lead_id) == []
    assert not caller.simulator.records["Leads"][lead_id]["Converted__s"]
    (problem,) = answer.json()["data"]
    assert problem.pop("status") == "error"
    assert isinstance(problem, dict)
    return problem


def bad(path: str, **more: Any) -> dict[str, Any]:
    name = more.pop("api_name", path.rpartition(".")[2])
    message = more.pop("message", "invalid data")
    details = {**more, "api_name": name, "json_path": f"$.data[0].{path}"}
    return {"code": "INVALID_DATA", "details": details, "message": message}


def test_an_empty_item_makes_a_contact_and_an_account_by_the_mapping(any_caller: Caller) -> None:
    sim = any_caller.simulator
    lead = sim.add_lead(
        Designation="Buyer",
        Mobile="+49 170 1",
        No_of_Employees=12,
        Street="Am Speicher 4",
        Description="Met at the fair",
    )

    answer = any_caller.convert(lead.id)

    (contact,), (account,) = sim.records["Contacts"].values(), sim.records["Accounts"].values()
    assert answer.status_code == 200
    assert answer.json() == {
        "data": [
            {
                "code": "SUCCESS",
                "details": {
                    "Contacts": {"name": lead["Full_Name"], "id": contact.id},
                    "Deals": None,
                    "Accounts": {"name": lead["Company"], "id": account.id},
                },
                "message": "The record has been converted successfully",
                "status": "success",
            }
        ]
    }
    assert contact["Title"] == "Buyer"
    assert contact["Email"] == lead["Email"]
    assert contact["Mobile"] == "+49 170 1"
    assert contact["Mailing_Street"] == "Am Speicher 4"
    assert contact["Account_Name"] == account.lookup()
    assert contact["Owner"] == lead["Owner"]
    assert account["Account_Name"] == lead["Company"]
    assert account["Employees"] == 12
    assert account["Description"] == "Met at the fair"


def test_without_a_company_no_account_is_made(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead(Company=None)

    details = caller.convert(lead.id).json()["data"][0]["details"]

    assert details["Accounts"] is None
    assert not sim.records["Accounts"]


def test_the_lead_shows_its_conversion(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()
    sim.advance(timedelta(days=3).total_seconds())
    caller.connect()

    caller.convert(lead.id, Deals=DEAL)

    assert caller.get(f"/Leads/{lead.id}").status_code == 204
    shown = caller.get(f"/Leads/{lead.id}", converted="both").json()["data"][0]
    (conversion,) = sim.conversions_of(lead.id)
    assert shown["Converted__s"] is True
    assert shown["$converted"] is True
    assert shown["Converted_Contact"]["id"] == conversion["contact_id"]
    assert shown["Converted_Account"]["id"] == conversion["account_id"]
    assert shown["Converted_Deal"] == {"name": "Roll-out", "id": conversion["deal_id"]}
    assert shown["Lead_Conversion_Time"] >= 6
    assert shown["$converted_detail"] == {
        "contact": conversion["contact_id"],
        "account": conversion["account_id"],
        "deal": conversion["deal_id"],
    }


def test_the_ledger_keeps_the_call_and_the_conversion(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("no_match")

    caller.convert(lead_id, overwrite=False)
    caller.convert(lead_id)

    (conversion,) = sim.conversions_of(lead_id)
    assert conversion["via"] == "convert"
    assert conversion["request"] == {"overwrite": False}
    first, second = sim.ledger()["calls"]
    assert (first["code"], second["code"]) == ("SUCCESS", "ID_ALREADY_CONVERTED")
    assert first["received_at"] <= first["effect_at"] <= first["answered_at"]
    assert first["effect_at"] == conversion["at"]
    assert second["effect_at"] is None


def test_a_second_call_is_refused_at_the_root(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("converted")

    answer = caller.convert(lead_id)

    assert answer.status_code == 400
    assert answer.json() == {
        "code": "ID_ALREADY_CONVERTED",
        "details": {"resource_path_index": 1},
        "message": "id already converted",
        "status": "error",
    }


# Joining what exists


def test_a_contact_implies_its_account(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("one_match")
    (contact,), (account,) = sim.records["Contacts"].values(), sim.records["Accounts"].values()

    details = caller.convert(lead_id, Contacts={"id": contact.id}).json()["data"][0]["details"]

    assert details["Contacts"]["id"] == contact.id
    assert details["Accounts"]["id"] == account.id
    assert len(sim.records["Contacts"]) == 1
    assert len(sim.records["Accounts"]) == 1


def test_a_contact_without_an_account_gets_one(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()
    contact = sim.add("Contacts", Last_Name="Albrecht", Email=lead["Email"])

    caller.convert(lead.id, Contacts={"id": contact.id})

    (account,) = sim.records["Accounts"].values()
    assert contact["Account_Name"] == account.lookup()


def test_an_account_gets_the_new_contact(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("account_only")
    (account,) = sim.records["Accounts"].values()

    caller.convert(lead_id, Accounts={"id": account.id})

    (contact,) = sim.records["Contacts"].values()
    assert contact["Account_Name"] == account.lookup()
    assert len(sim.records["Accounts"]) == 1


def test_contact_and_account_that_belong_together_are_both_taken(
    caller: Caller, sim: Simulator
) -> None:
    lead_id = sim.story("one_match")
    (contact,), (account,) = sim.records["Contacts"].values(), sim.records["Accounts"].values()

    answer = caller.convert(lead_id, Contacts={"id": contact.id}, Accounts={"id": account.id})

    assert answer.json()["data"][0]["code"] == "SUCCESS"


def test_contact_and_account_that_disagree_are_refused(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("disagree")
    account, _ = sim.records["Accounts"].values()
    (contact,) = sim.records["Contacts"].values()

    refusal = refusal_of(caller, lead_id, Contacts={"id": contact.id}, Accounts={"id": account.id})

    assert refusal == bad("Accounts.id", message="give account id is mismatched with the data")


@pytest.mark.parametrize("module", ["Contacts", "Accounts"])
def test_a_record_that_does_not_match_the_lead_is_refused(
    caller: Caller, sim: Simulator, module: str
) -> None:
    lead_id = sim.story("no_match")
    other = sim.add(module, Last_Name="Stranger", Account_Name="Stranger")

    refusal = refusal_of(caller, lead_id, **{module: {"id": other.id}})

    singular = module.lower().removesuffix("s")
    message = f"give {singular} id is mismatched with the data"
    assert refusal == bad(f"{module}.id", message=message)


def test_overwrite_renames_a_named_account_to_the_company(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead(Company="Nordwind  gmbh")
    account = sim.add("Accounts", Account_Name="NORDWIND GmbH", Phone="+49 40 1")

    caller.convert(lead.id, Accounts={"id": account.id}, overwrite=True)

    assert account["Account_Name"] == "Nordwind  gmbh"
    assert account["Phone"] == "+49 40 1"


def test_overwrite_moves_the_contact_to_the_account_of_the_company(
    caller: Caller, sim: Simulator
) -> None:
    lead_id = sim.story("disagree")
    named, other = sim.records["Accounts"].values()
    (contact,) = sim.records["Contacts"].values()

    caller.convert(lead_id, Contacts={"id": contact.id}, overwrite=True)

    assert contact["Account_Name"] == named.lookup()
    assert other["Account_Name"].endswith("Holding")


def test_overwrite_makes_the_account_if_there_is_none(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()
    other = sim.add("Accounts", Account_Name="Other")
    contact = sim.add("Contacts", Last_Name="A", Email=lead["Email"], Account_Name=other.lookup())

    caller.convert(lead.id, Contacts={"id": contact.id}, overwrite=True)

    assert contact["Account_Name"]["name"] == lead["Company"]


@pytest.mark.parametrize("company", [None, "same"])
def test_overwrite_changes_nothing_without_another_company(
    caller: Caller, sim: Simulator, company: str | None
) -> None:
    lead = sim.add_lead(Company=company)
    account = sim.add("Accounts", Account_Name="SAME")
    contact = sim.add("Contacts", Last_Name="A", Email=lead["Email"], Account_Name=account.lookup())

    caller.convert(lead.id, Contacts={"id": contact.id}, overwrite=True)

    assert contact["Account_Name"] == account.lookup()
    assert account["Account_Name"] == "SAME"


def test_without_overwrite_nothing_of_an_existing_record_changes(
    caller: Caller, sim: Simulator
) -> None:
    lead_id = sim.story("disagree")
    (contact,) = sim.records["Contacts"].values()
    before = dict(contact)

    caller.convert(lead_id, Contacts={"id": contact.id})

    assert dict(contact) == before


# Deals


def test_a_deal_is_made_with_its_links_and_role(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("no_match")
    role = sim.organisation.contact_roles[0]

    caller.convert(lead_id, Deals={**DEAL, "Contact_Role": role["id"], "Next_Step": "Call"})

    (deal,) = sim.records["Deals"].values()
    (conversion,) = sim.conversions_of(lead_id)
    assert conversion["deal_id"] == deal.id
    assert deal["Contact_Name"]["id"] == conversion["contact_id"]
    assert deal["Account_Name"]["id"] == conversion["account_id"]
    assert (deal["Amount"], deal["Next_Step"]) == (48000, "Call")
    assert deal["Lead_Source"] == sim.records["Leads"][lead_id]["Lead_Source"]
    assert sim.organisation.deal_roles[deal.id] == {conversion["contact_id"]: role}


@pytest.mark.parametrize("name", ["Deal_Name", "Closing_Date", "Pipeline", "Stage"])
@pytest.mark.parametrize("empty", [None, ""])
def test_a_deal_without_a_mandatory_field_is_refused(
    caller: Caller, sim: Simulator, name: str, empty: object
) -> None:
    lead_id = sim.story("no_match")

    refusal = refusal_of(caller, lead_id, Deals={**DEAL, name: empty})

    assert refusal == {
        "code": "MANDATORY_NOT_FOUND",
        "details": {"api_name": name, "json_path": f"$.data[0].Deals.{name}"},
        "message": "required field not found",
    }


def test_a_layout_may_require_more_fields_of_a_deal(caller: Caller, sim: Simulator) -> None:
    sim.organisation.required["Deals"] = ["Type"]
    lead_id = sim.story("no_match")

    refusal = refusal_of(caller, lead_id, Deals=DEAL)

    assert refusal["details"]["api_name"] == "Type"
    assert caller.convert(lead_id, Deals={**DEAL, "Type": "New Business"}).status_code == 200


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"Deal_Name": "x" * 121}, bad("Deals.Deal_Name", maximum_length=120)),
        ({"Deal_Name": 7}, bad("Deals.Deal_Name", expected_data_type="text")),
        ({"Closing_Date": "31.03.2027"}, bad("Deals.Closing_Date", expected_data_type="date")),
        ({"Closing_Date": "2027-02-30"}, bad("Deals.Closing_Date", expected_data_type="date")),
        ({"Amount": "a lot"}, bad("Deals.Amount", expected_data_type="double")),
        ({"Amount": True}, bad("Deals.Amount", expected_data_type="double")),
        ({"Probability": 101}, bad("Deals.Probability")),
        ({"Probability": "50"}, bad("Deals.Probability", expected_data_type="integer")),
        ({"Probability": 50.5}, bad("Deals.Probability", expected_data_type="integer")),
        ({"Budget": "12.5"}, bad("Deals.Budget", expected_data_type="double")),
        ({"Margin": "7"}, bad("Deals.Margin", expected_data_type="double")),
        ({"Is_Renewal": "true"}, bad("Deals.Is_Renewal", expected_data_type="boolean")),
        ({"Kick_Off": "2027-04-01"}, bad("Deals.Kick_Off", expected_data_type="datetime")),
        (
            {"Kick_Off": "2027-04-01T09:00:00.5Z"},
            bad("Deals.Kick_Off", expected_data_type="datetime"),
        ),
        ({"Interests": "A;B"}, bad("Deals.Interests", expected_data_type="jsonarray")),
        ({"Interests": [1]}, bad("Deals.Interests", expected_data_type="jsonarray")),
        ({"Campaign_Source": "7"}, bad("Deals.Campaign_Source", expected_data_type="jsonobject")),
        ({"Campaign_Source": {"name": "x"}}, bad("Deals.Campaign_Source")),
        ({"Contact_Role": "1"}, bad("Deals.Contact_Role")),
    ],
)
def test_a_deal_with_a_bad_value_is_refused(
    caller: Caller, sim: Simulator, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    lead_id = sim.story("no_match")

    assert refusal_of(caller, lead_id, Deals={**DEAL, **changes}) == expected


def test_a_stage_of_another_pipeline_is_a_mismatch(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("no_match")

    refusal = refusal_of(caller, lead_id, Deals={**DEAL, "Stage": "Id. Decision Makers"})

    assert refusal == {
        "code": "MAPPING_MISMATCH",
        "details": {
            "mapped_field": "Pipeline",
            "api_name": "Stage",
            "json_path": "$.data[0].Stage",
        },
        "message": "Pipeline doesn't contain the Stage",
    }


def test_a_pipeline_that_does_not_exist_is_a_mismatch(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("no_match")

    refusal = refusal_of(caller, lead_id, Deals={**DEAL, "Pipeline": "Standard(Standard)"})

    assert refusal["code"] == "MAPPING_MISMATCH"
    assert refusal["message"] == "Layout doesn't contain the Pipeline"


def test_without_pipelines_the_stage_has_to_be_a_known_one(caller: Caller, sim: Simulator) -> None:
    sim.organisation.pipelines = []
    lead_id = sim.story("no_match")
    deal = {name: value for name, value in DEAL.items() if name != "Pipeline"}

    assert refusal_of(caller, lead_id, Deals={**deal, "Stage": "Dreaming"}) == bad("Deals.Stage")
    assert caller.convert(lead_id, Deals=deal).status_code == 200


# Owner, tags, attachments, notifications


def test_new_records_belong_to_the_assignee(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("no_match")
    colleague = sim.organisation.users[1]

    caller.convert(lead_id, assign_to={"id": colleague["id"]}, Deals=DEAL)

    for module in ("Contacts", "Accounts", "Deals"):
        (record,) = sim.records[module].values()
        assert record["Owner"] == sim.organisation.owner(colleague)


def test_a_user_above_cannot_be_assigned(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("no_match")
    chief = next(user for user in sim.organisation.users if user["role"]["name"] == "CEO")

    refusal = refusal_of(caller, lead_id, assign_to={"id": chief["id"]})

    expected = bad("Owner", message="Non Subordinate User Found")
    assert refusal == expected


@pytest.mark.parametrize("number", [4, 5, None])
def test_inactive_unconfirmed_or_unknown_users_cannot_be_assigned(
    caller: Caller, sim: Simulator, number: int | None
) -> None:
    lead_id = sim.story("no_match")
    user_id = "1" if number is None else sim.organisation.users[number]["id"]

    assert refusal_of(caller, lead_id, assign_to={"id": user_id}) == bad("assign_to.id")


def test_only_tags_that_the_lead_has_are_carried_over(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead(Tag=[sim.organisation.tag("Leads", name) for name in ("fair", "q1")])

    caller.convert(
        lead.id, carry_over_tags={"Contacts": ["fair", "q9"], "Deals": ["q1"]}, Deals=DEAL
    )

    def tags(module: str) -> list[str]:
        (record,) = sim.records[module].values()
        return [tag["name"] for tag in record["Tag"]]

    assert (tags("Contacts"), tags("Accounts"), tags("Deals")) == (["fair"], [], ["q1"])


@pytest.mark.parametrize(
    ("item", "target"),
    [
        ({}, "Contacts"),
        ({"move_attachments_to": {"api_name": "Accounts"}}, "Accounts"),
        ({"move_attachments_to": {"api_name": "Deals"}, "Deals": DEAL}, "Deals"),
        ({"Deals": {**DEAL, "$move_attachments": True}}, "Deals"),
    ],
)
def test_attachments_move_to_the_requested_module(
    caller: Caller, sim: Simulator, item: dict[str, Any], target: str
) -> None:
    lead_id = sim.story("no_match")
    sim.organisation.attachments[lead_id].append("offer.pdf")

    caller.convert(lead_id, **item)

    (record,) = sim.records[target].values()
    assert dict(sim.organisation.attachments) == {record.id: ["offer.pdf"]}


def test_owners_are_notified_only_if_requested(caller: Caller, sim: Simulator) -> None:
    caller.convert(sim.story("no_match"))
    assert sim.organisation.notifications == []

    lead_id = sim.story("no_match")
    colleague = sim.organisation.users[1]
    caller.convert(
        lead_id,
        notify_lead_owner=True,
        notify_new_entity_owner=True,
        assign_to={"id": colleague["id"]},
    )

    (conversion,) = sim.conversions_of(lead_id)
    assert sim.organisation.notifications == [
        {"to": sim.organisation.current_user["email"], "about": lead_id},
        {"to": colleague["email"], "about": conversion["contact_id"]},
    ]


# What is refused


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"overwrite": "yes"}, bad("overwrite", expected_data_type="boolean")),
        ({"Contacts": "1"}, bad("Contacts", expected_data_type="jsonobject")),
        ({"Contacts": {"id": "1"}}, bad("Contacts.id")),
        ({"move_attachments_to": {"api_name": "Notes"}}, bad("move_attachments_to.api_name")),
        (
            {"move_attachments_to": {"api_name": "Accounts", "id": "7"}},
            bad("move_attachments_to.id"),
        ),
        ({"move_attachments_to": {"api_name": "Deals"}}, bad("move_attachments_to.api_name")),
        (
            {"Deals": {**DEAL, "$move_attachments": "true"}},
            bad("Deals.$move_attachments", expected_data_type="boolean"),
        ),
        (
            {"carry_over_tags": {"Contacts": [{"name": "fair"}]}},
            bad("carry_over_tags.Contacts", expected_data_type="jsonarray"),
        ),
        ({"carry_over_tags": {"Notes": []}}, bad("carry_over_tags.Notes")),
    ],
)
def test_bad_keys_are_named_by_their_path(
    caller: Caller, sim: Simulator, item: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert refusal_of(caller, sim.story("no_match"), **item) == expected


@pytest.mark.parametrize(
    ("item", "path"),
    [
        ({"Accounts": {}}, "Accounts.id"),
        ({"assign_to": {}}, "assign_to.id"),
        ({"move_attachments_to": {}}, "move_attachments_to.api_name"),
    ],
)
def test_an_empty_object_lacks_its_id(
    caller: Caller, sim: Simulator, item: dict[str, Any], path: str
) -> None:
    refusal = refusal_of(caller, sim.story("no_match"), **item)

    assert refusal["code"] == "MANDATORY_NOT_FOUND"
    assert refusal["details"]["json_path"] == f"$.data[0].{path}"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (None, "INVALID_DATA"),
        ([], "INVALID_DATA"),
        ({}, "MANDATORY_NOT_FOUND"),
        ({"data": {}}, "INVALID_DATA"),
        ({"data": []}, "INVALID_DATA"),
        ({"data": ["x"]}, "INVALID_DATA"),
        ({"data": [{}, {}]}, "INVALID_DATA"),
    ],
)
def test_a_body_of_another_shape_is_refused_at_the_root(
    caller: Caller, sim: Simulator, body: Any, code: str
) -> None:
    answer = caller.post(f"/Leads/{sim.story('no_match')}/actions/convert", body)

    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize("lead_id", ["7130042000000418003", "abc", "9" * 20])
def test_an_unknown_or_malformed_lead_is_refused_at_the_root(caller: Caller, lead_id: str) -> None:
    answer = caller.convert(lead_id)

    assert answer.status_code == 400
    assert answer.json()["code"] == "INVALID_DATA"
    assert answer.json()["details"] == {"resource_path_index": 1}


@pytest.mark.parametrize(
    ("values", "code", "message"),
    [
        ({"$in_merge": True}, "RECORD_LOCKED", "record under merge is locked"),
        (
            {"$approval_state": "approval_process_pending"},
            "NOT_APPROVED",
            "cannot convert record that is not approved yet",
        ),
        ({"$review": {"id": "1"}}, "NOT_REVIEWED", "record in review"),
    ],
)
def test_leads_under_approval_review_or_merge_are_refused_at_the_root(
    caller: Caller, sim: Simulator, values: dict[str, Any], code: str, message: str
) -> None:
    lead = sim.add_lead(**values)

    answer = caller.convert(lead.id)

    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["message"]) == (code, message)


def test_a_locked_lead_is_refused(caller: Caller, sim: Simulator) -> None:
    refusal = refusal_of(caller, sim.story("locked"))

    assert refusal["code"] == "RECORD_LOCKED"


@pytest.mark.parametrize(
    ("values", "code"),
    [({"Locked__s": True}, "RECORD_LOCKED"), ({"$approval_state": "pending"}, "NOT_APPROVED")],
)
def test_locked_or_unapproved_matches_cannot_be_used(
    caller: Caller, sim: Simulator, values: dict[str, Any], code: str
) -> None:
    lead = sim.add_lead()
    contact = sim.add("Contacts", Last_Name="A", Email=lead["Email"], **values)

    assert refusal_of(caller, lead.id, Contacts={"id": contact.id})["code"] == code


def test_a_match_that_may_not_be_edited_is_forbidden(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()
    values = {"Email": lead["Email"], "$editable": False}
    contact = sim.add("Contacts", Last_Name="A", **values)

    answer = caller.convert(lead.id, Contacts={"id": contact.id})

    assert (answer.status_code, answer.json()["code"]) == (403, "NO_PERMISSION")


def test_a_unique_field_of_a_new_record_may_collide(caller: Caller, sim: Simulator) -> None:
    sim.organisation.unique["Contacts"] = ["Email"]
    lead = sim.add_lead()
    other = sim.add("Contacts", Last_Name="A", Email=lead["Email"])

    refusal = refusal_of(caller, lead.id)

    owner = sim.organisation.current_user
    assert refusal == {
        "code": "DUPLICATE_DATA",
        "details": {
            "api_name": "Email",
            "duplicate_record": {
                "Owner": {**sim.organisation.owner(owner), "zuid": owner["zuid"]},
                "module": sim.organisation.module("Contacts"),
                "id": other.id,
            },
            "json_path": "$.data[0].Contacts.Email",
            "id": other.id,
            "more_records": False,
        },
        "message": "duplicate data",
    }
    assert not sim.records["Accounts"]


def test_several_collisions_are_reported_together(caller: Caller, sim: Simulator) -> None:
    sim.organisation.unique["Accounts"] = ["Account_Name", "Website"]
    lead = sim.add_lead(Website="https://x.example")
    sim.add("Accounts", Account_Name=lead["Company"])
    sim.add("Accounts", Account_Name="B", Website="https://x.example")

    refusal = refusal_of(caller, lead.id)

    assert refusal["code"] == "MULTIPLE_OR_MULTI_ERRORS"
    names = [error["details"]["api_name"] for error in refusal["details"]["errors"]]
    assert names == ["Account_Name", "Website"]


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (
            lambda sim: sim.organisation.modules["Contacts"].update(status="user_hidden"),
            "NOT_ALLOWED",
        ),
        (
            lambda sim: sim.organisation.denied.add("Crm_Implied_Create_Contacts"),
            "AUTHORIZATION_FAILED",
        ),
    ],
)
def test_an_organisation_may_not_allow_conversion(
    caller: Caller, sim: Simulator, prepare: Callable[[Simulator], None], code: str
) -> None:
    lead_id = sim.story("no_match")
    prepare(sim)

    answer = caller.convert(lead_id)

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_with_accounts_hidden_only_a_contact_is_made(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("no_match")
    sim.organisation.modules["Accounts"]["status"] = "user_hidden"

    assert caller.convert(lead_id).json()["data"][0]["details"]["Accounts"] is None
