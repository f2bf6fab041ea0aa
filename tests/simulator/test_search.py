"""Search and its criteria."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator


@pytest.fixture
def people(sim: Simulator) -> dict[str, str]:
    """Add three leads; return their ids by last name."""
    leads = (
        sim.add_lead(Last_Name="Albrecht", Company="Nordwind (Nord), GmbH", Annual_Revenue=900),
        sim.add_lead(Last_Name="Alba", Company="Südwind GmbH", Annual_Revenue=1000),
        sim.add_lead(Last_Name="Okafor", Company="Okafor AG", Lead_Status="Contacted"),
    )
    return {lead["Last_Name"]: lead.id for lead in leads}


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ("(Last_Name:equals:albrecht)", {"Albrecht"}),
        ("(Last_Name:equals:Alb)", {"Albrecht", "Alba"}),
        ("(Lead_Status:equals:Contact)", set()),
        ("(Lead_Status:equals:contacted)", {"Okafor"}),
        ("(Last_Name:not_equal:Okafor)", {"Albrecht", "Alba"}),
        ("(Company:starts_with:nord)", {"Albrecht"}),
        ("(Last_Name:in:Alba,Okafor)", {"Alba", "Okafor"}),
        ("(Annual_Revenue:greater_than:900)", {"Alba"}),
        ("(Annual_Revenue:greater_equal:900)", {"Albrecht", "Alba"}),
        ("(Annual_Revenue:less_than:1000)", {"Albrecht"}),
        ("(Annual_Revenue:less_equal:1000)", {"Albrecht", "Alba"}),
        ("(Annual_Revenue:between:950,2000)", {"Alba"}),
        ("(Last_Name:less_than:Alc)", {"Albrecht", "Alba"}),
        ("((Last_Name:starts_with:Al)and(Company:starts_with:Nord))", {"Albrecht"}),
        ("(Last_Name:equals:Okafor)or(Last_Name:equals:Alba)", {"Alba", "Okafor"}),
        (
            "(((Last_Name:equals:Okafor) or (Last_Name:equals:Alba)) and (Company:equals:wind))",
            {"Alba"},
        ),
        (r"(Company:equals:Nordwind \(Nord\)\, GmbH)", {"Albrecht"}),
        ("(Converted__s:equals:false)", {"Albrecht", "Alba", "Okafor"}),
    ],
)
def test_criteria_find(
    caller: Caller, people: dict[str, str], criteria: str, found: set[str]
) -> None:
    answer = caller.get("/Leads/search", criteria=criteria, fields="Last_Name")

    shown = answer.json()["data"] if answer.content else []
    assert {lead["Last_Name"] for lead in shown} == found


@pytest.mark.parametrize(
    "criteria",
    [
        "Last_Name:equals:A",
        "(Last_Name:equals)",
        "(Last_Name:resembles:A)",
        "(Made_Up:equals:A)",
        "(Last_Name:equals:A",
        "((Last_Name:equals:A)",
        "(Last_Name:equals:A))",
        "((Last_Name:equals:A)xor(Last_Name:equals:B))",
        "(Annual_Revenue:between:1)",
        "and".join(["(Last_Name:equals:A)"] * 11),
    ],
)
def test_criteria_that_cannot_be_read_are_refused(caller: Caller, criteria: str) -> None:
    answer = caller.get("/Leads/search", criteria=criteria)

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_QUERY")


def test_an_email_a_phone_and_a_word_are_found_in_part(
    any_caller: Caller,
) -> None:
    sim = any_caller.simulator
    lead = sim.add_lead(Phone="+49 40 123", Secondary_Email="second@mail.example")
    sim.add_lead(Phone="+1 555")

    by_email = any_caller.get("/Leads/search", email=lead["Email"].upper()).json()
    assert [each["id"] for each in by_email["data"]] == [lead.id]
    assert any_caller.get("/Leads/search", email="second@mail.example").status_code == 200
    assert any_caller.get("/Leads/search", email="second@").status_code == 200
    assert any_caller.get("/Leads/search", email="third@").status_code == 204
    assert any_caller.get("/Leads/search", phone="40 12").json()["info"]["count"] == 1
    assert any_caller.get("/Leads/search", word=lead["Company"][:7]).status_code == 200


def test_criteria_take_precedence(caller: Caller, people: dict[str, str]) -> None:
    answer = caller.get("/Leads/search", criteria="(Last_Name:equals:Alba)", word="Okafor")

    assert [lead["id"] for lead in answer.json()["data"]] == [people["Alba"]]


def test_converted_and_unapproved_leads_are_filtered(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("converted")
    email = sim.records["Leads"][lead_id]["Email"]

    assert caller.get("/Leads/search", email=email).status_code == 204
    found = caller.get("/Leads/search", email=email, converted="both")
    assert found.status_code == 200
    pending = caller.get("/Leads/search", email=email, converted="both", approval_state="pending")
    assert pending.status_code == 204


def test_a_search_has_pages(caller: Caller, people: dict[str, str]) -> None:
    answer = caller.get("/Leads/search", word="gmbh", per_page=1, page=2, fields="Last_Name")

    assert answer.json() == {
        "data": [{"Last_Name": "Albrecht", "id": people["Albrecht"]}],
        "info": {
            "per_page": 1,
            "count": 1,
            "page": 2,
            "more_records": False,
            "sort_by": "id",
            "sort_order": "desc",
        },
    }


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "EXPECTED_PARAM_MISSING"),
        ({"word": "a"}, "INVALID_DATA"),
        ({"word": "abc", "page": "11"}, "LIMIT_REACHED"),
    ],
)
def test_a_search_refuses_invalid_parameters(
    caller: Caller, query: dict[str, str], code: str
) -> None:
    assert caller.get("/Leads/search", **query).json()["code"] == code


def test_the_index_may_lag(start: Callable[..., Caller]) -> None:
    caller = start(search_lag=60)
    lead = caller.simulator.add_lead()
    lead["Modified_Time"] = caller.simulator.organisation.add("Leads", {})["Modified_Time"]

    assert caller.get("/Leads/search", email=lead["Email"]).status_code == 204
    caller.simulator.advance(61)
    assert caller.get("/Leads/search", email=lead["Email"]).status_code == 200
