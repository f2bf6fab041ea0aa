"""COQL: what a query finds, and what it is refused for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator


def run(caller: Caller, text: Any) -> Any:
    return caller.post("/coql", {"select_query": text})


@pytest.fixture
def people(sim: Simulator) -> None:
    sim.add_lead(Last_Name="Albrecht", Company="Nordwind", Annual_Revenue=900, City="Kiel")
    sim.add_lead(Last_Name="O'Neil", Company="Nordwind", Annual_Revenue=1000, City=None)
    sim.add_lead(Last_Name="Okafor", Company="50% AG", Lead_Status="Contacted", City="Bonn")


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("Last_Name = 'albrecht'", ["Albrecht"]),
        ("Last_Name = 'Alb'", []),
        ("Last_Name = 'O''Neil'", ["O'Neil"]),
        ('Last_Name = "O\'Neil"', ["O'Neil"]),
        ("Last_Name != 'Okafor'", ["Albrecht", "O'Neil"]),
        ("Last_Name like 'Al%'", ["Albrecht"]),
        ("Last_Name like '%for'", ["Okafor"]),
        ("Last_Name like '%a%'", ["Albrecht", "Okafor"]),
        ("Last_Name not like '%a%'", ["O'Neil"]),
        ("Last_Name in ('Okafor', 'Albrecht')", ["Albrecht", "Okafor"]),
        ("Last_Name not in ('Okafor', 'Albrecht')", ["O'Neil"]),
        ("City is null", ["O'Neil"]),
        ("City is not null", ["Albrecht", "Okafor"]),
        ("Annual_Revenue > 900", ["O'Neil"]),
        ("Annual_Revenue >= '900'", ["Albrecht", "O'Neil"]),
        ("Annual_Revenue between 950 and 2000", ["O'Neil"]),
        ("Annual_Revenue not between 950 and 2000", ["Albrecht", "Okafor"]),
        ("((Company = 'Nordwind' and City = 'Kiel') or City = 'Bonn')", ["Albrecht", "Okafor"]),
        ("Company = 'Nordwind' and (City = 'Kiel' or City = 'Bonn')", ["Albrecht"]),
        ("City = 'Bonn' or Company = 'Nordwind' and City = 'Kiel'", ["Albrecht", "Okafor"]),
        ("Created_Time > '2000-01-01T00:00:00Z'", ["Albrecht", "O'Neil", "Okafor"]),
        ("Email_Opt_Out = 'false'", ["Albrecht", "O'Neil", "Okafor"]),
        ("Email_Opt_Out = true", []),
        ("id is not null", ["Albrecht", "O'Neil", "Okafor"]),
    ],
)
@pytest.mark.usefixtures("people")
def test_conditions_find(caller: Caller, where: str, found: list[str]) -> None:
    answer = run(caller, f"select Last_Name from Leads where {where}")

    rows = answer.json()["data"] if answer.content else []
    assert answer.status_code == (200 if found else 204)
    assert [row["Last_Name"] for row in rows] == found


@pytest.mark.usefixtures("people")
def test_rows_are_ordered_and_limited(any_caller: Caller) -> None:
    sim = any_caller.simulator
    for number in range(3):
        sim.add_lead(Last_Name=f"B{number}", Annual_Revenue=number)
    text = "SELECT Last_Name FROM Leads WHERE Last_Name LIKE 'B%' ORDER BY Annual_Revenue DESC"

    first = run(any_caller, f"{text} LIMIT 2").json()
    second = run(any_caller, f"{text} limit 2 offset 2").json()
    same = run(any_caller, f"{text} limit 2, 2").json()

    assert [row["Last_Name"] for row in first["data"]] == ["B2", "B1"]
    assert first["info"] == {"count": 2, "more_records": True}
    assert second == same
    assert second["info"] == {"count": 1, "more_records": False}
    assert second["data"][0].keys() == {"Last_Name", "id"}


def test_look_ups_are_ids_unless_a_field_of_theirs_is_selected(
    caller: Caller, sim: Simulator
) -> None:
    account = sim.add("Accounts", Account_Name="Nordwind")
    contact = sim.add("Contacts", Last_Name="Albrecht", Account_Name=account.lookup())
    sim.add("Deals", Deal_Name="Roll-out", Contact_Name=contact.lookup())

    by_name = run(
        caller,
        "select Account_Name, Account_Name.Account_Name from Contacts"
        " where Account_Name.Account_Name = 'Nordwind'",
    )
    by_id = run(caller, f"select Last_Name from Contacts where Account_Name = '{account.id}'")
    two_steps = run(
        caller,
        "select Contact_Name.Account_Name.Account_Name as customer from Deals where id is not null",
    )

    assert by_name.json()["data"] == [
        {
            "Account_Name": {"id": account.id},
            "Account_Name.Account_Name": "Nordwind",
            "id": contact.id,
        }
    ]
    assert by_id.json()["data"][0]["id"] == contact.id
    assert two_steps.json()["data"][0]["customer"] == "Nordwind"


@pytest.mark.usefixtures("people")
def test_aggregates_are_keyed_as_they_are_written(caller: Caller) -> None:
    answer = run(
        caller,
        "select Company, COUNT(id), SUM(Annual_Revenue), MAX(Annual_Revenue) as best,"
        " AVG(Annual_Revenue) from Leads where id is not null group by Company order by best desc",
    )

    assert answer.json()["data"] == [
        {
            "Company": "Nordwind",
            "COUNT(id)": 2,
            "SUM(Annual_Revenue)": 1900,
            "best": 1000,
            "AVG(Annual_Revenue)": 950,
        },
        {
            "Company": "50% AG",
            "COUNT(id)": 1,
            "SUM(Annual_Revenue)": 0,
            "best": None,
            "AVG(Annual_Revenue)": 0,
        },
    ]


def test_converted_leads_are_found_too(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("converted")

    (row,) = run(caller, "select id from Leads where id is not null").json()["data"]

    assert row == {"id": lead_id}


def test_a_query_sees_every_write_at_once(caller: Caller, sim: Simulator) -> None:
    sim.tune(search_lag=60)
    lead = sim.add_lead()

    answer = run(caller, f"select id from Leads where Email = '{lead['Email']}'")

    assert answer.json()["data"] == [{"id": lead.id}]


@pytest.mark.parametrize(
    ("text", "code", "details"),
    [
        (None, "MANDATORY_NOT_FOUND", {"api_name": "select_query"}),
        (
            7,
            "INVALID_DATA",
            {
                "expected_data_type": "text",
                "api_name": "select_query",
                "json_path": "$.select_query",
            },
        ),
        ("", "SYNTAX_ERROR", {"clause": "select"}),
        ("select id", "SYNTAX_ERROR", {"clause": "from"}),
        ("select id from Leads", "SYNTAX_ERROR", {"clause": "where"}),
        (
            "select id from Leads where City = 'O'Neil'",
            "SYNTAX_ERROR",
            {"line": 1, "column": 42, "near": "'"},
        ),
        (
            "select id\nfrom Leads where City = 'open",
            "SYNTAX_ERROR",
            {"line": 2, "column": 25, "near": "'open"},
        ),
        (
            "select id from Leads where (City = 'a'",
            "SYNTAX_ERROR",
            {"line": 1, "column": 39, "near": ""},
        ),
        ("select id from Leads where City ~ 'a'", "SYNTAX_ERROR", None),
        ("select id from Leads where City has 'a'", "SYNTAX_ERROR", {"operator": "has"}),
        ("select id from Leads where id is not null limit 1 x", "SYNTAX_ERROR", None),
        ("select id from Leads where City = Kiel", "SYNTAX_ERROR", None),
        ("select id from Leads where id is not null limit s", "INVALID_QUERY", {"limit": "s"}),
        (
            "select id from Leads where id is not null limit 2001",
            "INVALID_QUERY",
            {"limit": "2001"},
        ),
        (
            "select id from Leads where id is not null limit 200 offset 99801",
            "INVALID_QUERY",
            {"offset": "99801"},
        ),
        ("select id from Leads where id is not null limit 0", "INVALID_DATA", {}),
        ("select id from Dragons where id is not null", "INVALID_MODULE", {}),
        ("select id from Leads#77 where id is not null", "INVALID_QUERY", {"cvid": "77"}),
        ("select Size from Leads where id = '1'", "INVALID_QUERY", {"column_name": "Size"}),
        (
            "select id from Leads where Owner.role = '1'",
            "INVALID_QUERY",
            {"column_name": "Owner.role"},
        ),
        ("select a.b.c.d from Leads where id = '1'", "INVALID_QUERY", {"column_name": "a.b.c.d"}),
        (
            "select id from Leads where City > 'a'",
            "INVALID_QUERY",
            {"reason": "invalid operator found", "column_name": "City", "operator": ">"},
        ),
        (
            "select id from Leads where Annual_Revenue > 'much'",
            "INVALID_QUERY",
            {
                "reason": "invalid value found",
                "column_name": "Annual_Revenue",
                "operator": ">",
            },
        ),
        (
            "select id from Leads where City not like 'a%'",
            "INVALID_QUERY",
            {"reason": "invalid value found", "column_name": "City", "operator": "not like"},
        ),
        (
            "select id from Leads where Description = 'a'",
            "INVALID_QUERY",
            {"column_name": "Description", "operator": "="},
        ),
        (
            "select id from Leads where Converted__s = 'true'",
            "INVALID_QUERY",
            {"column_name": "Converted__s", "operator": "="},
        ),
        (
            "select City, City from Leads where id = '1'",
            "DUPLICATE_DATA",
            {"column_name": "City"},
        ),
        (
            "select SUM(Annual_Revenue), SUM(Annual_Revenue) from Leads where id = '1'",
            "DUPLICATE_DATA",
            {"column_name": "Annual_Revenue", "aggregate": "SUM"},
        ),
        (
            "select GUESS(City) from Leads where id = '1'",
            "INVALID_DATA",
            {"reason": "unsupported aggregate function", "column": "GUESS(City)"},
        ),
        (
            f"select id from Leads where City in ({','.join(['1'] * 101)})",
            "LIMIT_EXCEEDED",
            {"limit": 100, "clause": "in"},
        ),
        (
            f"select id from Leads where {' and '.join(['City = 1'] * 26)}",
            "LIMIT_EXCEEDED",
            {"limit": 25, "clause": "where"},
        ),
    ],
    ids=lambda value: None if not isinstance(value, str) else value[:60] or "empty",
)
def test_queries_that_are_refused(
    caller: Caller, text: Any, code: str, details: dict[str, Any] | None
) -> None:
    body = {} if text is None else {"select_query": text}

    answer = caller.post("/coql", body)

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert details is None or answer.json()["details"] == details


def test_a_query_needs_the_scope_of_its_module(caller: Caller) -> None:
    caller.connect(scope="ZohoCRM.coql.READ,ZohoCRM.modules.leads.READ")

    assert run(caller, "select id from Leads where id = '1'").status_code == 204
    refused = run(caller, "select id from Contacts where id = '1'")
    assert (refused.status_code, refused.json()["code"]) == (401, "OAUTH_SCOPE_MISMATCH")


@pytest.mark.parametrize(
    ("window", "credits"),
    [("", 1), ("limit 200", 1), ("limit 201", 2), ("limit 0, 1000", 2), ("limit 1001", 3)],
)
def test_the_credits_of_a_query_depend_on_its_limit(
    caller: Caller, sim: Simulator, window: str, credits: int
) -> None:
    run(caller, f"select id from Leads where id = '1' {window}")

    assert sim.stats()["credits_used"] == credits


def test_a_fault_of_queries(caller: Caller, sim: Simulator) -> None:
    sim.fail("coql", "throttle")

    assert run(caller, "select id from Leads where id = '1'").status_code == 429
