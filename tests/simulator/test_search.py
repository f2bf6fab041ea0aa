"""Search and its criteria."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
        ("((Last_Name:starts_with:Al)and(Company:starts_with:Nord))", {"Albrecht"}),
        ("(Last_Name:equals:Okafor)or(Last_Name:equals:Alba)", {"Alba", "Okafor"}),
        (
            "(((Last_Name:equals:Okafor) or (Last_Name:equals:Alba)) and (Company:equals:wind))",
            {"Alba"},
        ),
        (r"(Company:equals:Nordwind \(Nord\)\, GmbH)", {"Albrecht"}),
        ("(Converted__s:equals:false)", {"Albrecht", "Alba", "Okafor"}),
        ("(Annual_Revenue:equals:900.0)", {"Albrecht"}),
        ("(Annual_Revenue:equals:9)", set()),
        ("(Created_Time:greater_than:2000-01-01T00:00:00Z)", {"Albrecht", "Alba", "Okafor"}),
        ("(Created_Time:less_than:2000-01-01T00:00:00-08:00)", set()),
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
        "(Last_Name:equals:A",
        "((Last_Name:equals:A)",
        "(Last_Name:equals:A))",
        "((Last_Name:equals:A)xor(Last_Name:equals:B))",
    ],
)
def test_criteria_that_cannot_be_read_are_refused(caller: Caller, criteria: str) -> None:
    answer = caller.get("/Leads/search", criteria=criteria)

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_QUERY")
    assert answer.json()["details"] == {"param_name": "criteria"}


@pytest.mark.parametrize(
    ("criteria", "details"),
    [
        (
            "(Last_Name:resembles:A)",
            {
                "reason": "invalid operator found",
                "api_name": "Last_Name",
                "operator": "resembles",
            },
        ),
        (
            "(Last_Name:less_than:Alc)",
            {
                "reason": "invalid operator found",
                "api_name": "Last_Name",
                "operator": "less_than",
            },
        ),
        (
            "(Made_Up:equals:A)",
            {
                "reason": "the field is not available for search",
                "api_name": "Made_Up",
                "operator": "equals",
            },
        ),
        (
            "(Annual_Revenue:between:1)",
            {"reason": "invalid value for search", "api_name": "Annual_Revenue", "value": "1"},
        ),
        (
            "(Converted__s:equals:no)",
            {"reason": "invalid value for search", "api_name": "Converted__s", "value": "no"},
        ),
        (
            "(Created_Time:equals:2027-01-01T00:00:00)",
            {
                "reason": "invalid value for search",
                "api_name": "Created_Time",
                "value": "2027-01-01T00:00:00",
            },
        ),
    ],
)
def test_a_refused_condition_is_named_with_the_reason(
    caller: Caller, criteria: str, details: dict[str, str]
) -> None:
    answer = caller.get("/Leads/search", criteria=criteria)

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_QUERY")
    assert answer.json()["details"] == details


def test_a_hundred_values_are_allowed_in_a_list(caller: Caller) -> None:
    hundred = ",".join(["A"] * 100)

    assert caller.get("/Leads/search", criteria=f"(Last_Name:in:{hundred})").status_code == 204
    more = caller.get("/Leads/search", criteria=f"(Last_Name:in:{hundred},A)")
    assert more.json()["message"] == 'Only 100 values are allowed in "IN" criteria'


def test_fifteen_conditions_are_allowed(caller: Caller) -> None:
    fifteen, sixteen = ("and".join(["(Last_Name:equals:A)"] * number) for number in (15, 16))

    assert caller.get("/Leads/search", criteria=fifteen).status_code == 204
    answer = caller.get("/Leads/search", criteria=sixteen)
    assert (answer.status_code, answer.json()["code"]) == (400, "CRITERIA_LIMIT_EXCEEDED")


@pytest.mark.parametrize("wanted", ["4940123", "(040) 123", "40-12", "+49 40 12"])
def test_a_phone_is_found_by_its_digits(caller: Caller, sim: Simulator, wanted: str) -> None:
    lead = sim.add_lead(Phone="+49 (0)40 123" if wanted.startswith("(") else "+49 40/123")

    answer = caller.get("/Leads/search", phone=wanted, fields="id")

    assert answer.json()["data"] == [{"id": lead.id}]


def test_a_module_without_phones_cannot_be_searched_by_phone(caller: Caller) -> None:
    assert caller.get("/Deals/search", phone="40123").json()["code"] == "FIELD_TYPE_UNAVAILABLE"


@pytest.mark.parametrize(
    ("field", "up"),
    [
        ("Last_Name", ["Alba", "Albrecht", "Okafor"]),
        ("Annual_Revenue", ["Okafor", "Albrecht", "Alba"]),
        ("id", ["Albrecht", "Alba", "Okafor"]),
    ],
)
def test_a_search_is_sorted_by_any_sortable_field(
    caller: Caller, people: dict[str, str], field: str, up: list[str]
) -> None:
    query = {"criteria": "(Company:not_equal:x)", "fields": "Last_Name", "sort_by": field}

    rising = caller.get("/Leads/search", **query, sort_order="asc").json()
    falling = caller.get("/Leads/search", **query).json()

    assert [lead["Last_Name"] for lead in rising["data"]] == up
    assert [lead["Last_Name"] for lead in falling["data"]] == up[::-1]
    assert (rising["info"]["sort_by"], rising["info"]["sort_order"]) == (field, "asc")


@pytest.mark.parametrize("name", ["Description", "Tag", "Made_Up"])
def test_a_search_is_not_sorted_by_other_fields(caller: Caller, name: str) -> None:
    answer = caller.get("/Leads/search", word="abc", sort_by=name)

    assert answer.json()["details"] == {"param_name": "sort_by"}


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
    ("query", "code", "details"),
    [
        (
            {},
            "EXPECTED_PARAM_MISSING",
            {"param_names": ["criteria", "email", "phone", "word"]},
        ),
        ({"word": "a"}, "INVALID_DATA", {"param_name": "word"}),
        ({"word": "abc", "page": "11"}, "LIMIT_REACHED", {"limit": "2000"}),
        ({"word": "abc", "sort_order": "up"}, "INVALID_DATA", {"param_name": "sort_order"}),
    ],
)
def test_a_search_refuses_invalid_parameters(
    caller: Caller, query: dict[str, str], code: str, details: dict[str, Any]
) -> None:
    answer = caller.get("/Leads/search", **query).json()

    assert (answer["code"], answer["details"]) == (code, details)


def test_the_index_may_lag(start: Callable[..., Caller]) -> None:
    caller = start(search_lag=60)
    lead = caller.simulator.add_lead()
    lead["Modified_Time"] = caller.simulator.organisation.add("Leads", {})["Modified_Time"]

    assert caller.get("/Leads/search", email=lead["Email"]).status_code == 204
    caller.simulator.advance(61)
    assert caller.get("/Leads/search", email=lead["Email"]).status_code == 200
