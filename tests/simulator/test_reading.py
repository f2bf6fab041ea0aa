"""Reading records: one, many, page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator


def ids_of(answer: Any) -> list[str]:
    return [record["id"] for record in answer.json()["data"]] if answer.content else []


def test_one_record_shows_every_field(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()

    (shown,) = caller.get(f"/Leads/{lead.id}").json()["data"]

    assert shown["Full_Name"] == f"{lead['First_Name']} {lead['Last_Name']}"
    assert shown["Fax"] is None
    assert shown["Converted__s"] is False
    assert shown["$converted_detail"] == {}
    assert shown["Tag"] == []
    assert shown["Owner"]["email"] == "mara@nordwind.example"


def test_one_record_shows_requested_fields_only(caller: Caller, sim: Simulator) -> None:
    lead = sim.add_lead()

    (shown,) = caller.get(f"/Leads/{lead.id}", fields="Email,$approval_state").json()["data"]

    expected = {"Email": lead["Email"], "$approval_state": "approved", "id": lead.id}
    assert shown == expected


@pytest.mark.parametrize(
    ("converted", "shown"), [(None, False), ("false", False), ("true", True), ("both", True)]
)
def test_a_converted_lead_is_hidden_by_default(
    any_caller: Caller, converted: str | None, shown: bool
) -> None:
    lead_id = any_caller.simulator.story("converted")
    chosen = {"converted": converted} if converted else {}

    one = any_caller.get(f"/Leads/{lead_id}", **chosen)
    many = any_caller.get("/Leads", ids=lead_id, fields="id", **chosen)

    status = 200 if shown else 204
    assert (one.status_code, many.status_code) == (status, status)


def test_an_open_lead_is_not_among_the_converted(caller: Caller, sim: Simulator) -> None:
    open_id, converted_id = sim.story("no_match"), sim.story("converted")

    assert ids_of(caller.get("/Leads", fields="id", converted="true")) == [converted_id]
    assert ids_of(caller.get("/Leads", fields="id")) == [open_id]
    both = caller.get("/Leads", fields="id", converted="both")
    assert ids_of(both) == [converted_id, open_id]


def test_a_list_shows_requested_fields_and_its_page(any_caller: Caller) -> None:
    first, second = any_caller.simulator.add_lead(), any_caller.simulator.add_lead()

    answer = any_caller.get("/Leads", fields="Last_Name")

    assert answer.json() == {
        "data": [
            {"Last_Name": second["Last_Name"], "id": second.id},
            {"Last_Name": first["Last_Name"], "id": first.id},
        ],
        "info": {
            "call": False,
            "per_page": 200,
            "next_page_token": None,
            "count": 2,
            "sort_by": "id",
            "page": 1,
            "previous_page_token": None,
            "page_token_expiry": None,
            "sort_order": "desc",
            "email": False,
            "more_records": False,
        },
    }


def test_only_named_ids_are_listed(caller: Caller, sim: Simulator) -> None:
    first, _, third = (sim.add_lead().id for _ in range(3))

    answer = caller.get("/Leads", fields="id", ids=f"{first},{third},{first},1")

    assert ids_of(answer) == [third, first]


@pytest.mark.parametrize("module", ["Contacts", "Accounts"])
def test_matches_can_be_read_with_age_and_activity(
    caller: Caller, sim: Simulator, module: str
) -> None:
    busy = sim.add(module, Last_Activity_Time="2026-11-01T10:00:00+01:00")
    quiet = sim.add(module)
    sim.add(module)

    answer = caller.get(
        f"/{module}", ids=f"{busy.id},{quiet.id},77", fields="Created_Time,Last_Activity_Time"
    )

    assert {record.pop("id"): record for record in answer.json()["data"]} == {
        busy.id: {
            "Created_Time": busy["Created_Time"],
            "Last_Activity_Time": "2026-11-01T10:00:00+01:00",
        },
        quiet.id: {"Created_Time": quiet["Created_Time"], "Last_Activity_Time": None},
    }


def test_other_modules_are_listed_too(caller: Caller, sim: Simulator) -> None:
    contact = sim.add("Contacts", Last_Name="Albrecht")

    assert ids_of(caller.get("/Contacts", fields="id")) == [contact.id]
    assert caller.get("/Accounts", fields="id").status_code == 204


@pytest.mark.parametrize(
    ("query", "code", "details"),
    [
        ({}, "REQUIRED_PARAM_MISSING", {"param_name": "fields"}),
        ({"fields": ","}, "REQUIRED_PARAM_MISSING", {"param_name": "fields"}),
        (
            {"fields": ",".join(["id"] * 51)},
            "LIMIT_EXCEEDED",
            {"limit": 50, "param_name": "fields"},
        ),
        (
            {"fields": "id", "ids": ",".join(["1"] * 101)},
            "LIMIT_EXCEEDED",
            {"limit": 100, "param_name": "ids"},
        ),
        ({"fields": "id", "ids": "a"}, "INVALID_DATA", {"param_name": "ids"}),
        ({"fields": "id", "page": "0"}, "INVALID_DATA", {"param_name": "page"}),
        ({"fields": "id", "per_page": "201"}, "INVALID_DATA", {"param_name": "per_page"}),
        ({"fields": "id", "converted": "yes"}, "INVALID_DATA", {"param_name": "converted"}),
        ({"fields": "id", "sort_by": "Email"}, "INVALID_DATA", {"param_name": "sort_by"}),
        ({"fields": "id", "sort_order": "up"}, "INVALID_DATA", {"param_name": "sort_order"}),
        ({"fields": "id", "cvid": "1"}, "INVALID_DATA", {"param_name": "cvid"}),
        ({"fields": "id", "page": "11"}, "DISCRETE_PAGINATION_LIMIT_EXCEEDED", {"limit": 2000}),
        (
            {"fields": "id", "page_token": "guessed"},
            "TOKEN_BOUND_DATA_MISMATCH",
            {"param_name": "page_token"},
        ),
        (
            {"fields": "id", "page_token": "x", "page": "2"},
            "AMBIGUITY_DURING_PROCESSING",
            {"ambiguity_due_to": [{"param_name": "page"}, {"param_name": "page_token"}]},
        ),
        (
            {"fields": "id", "cvid": "1", "sort_by": "id"},
            "AMBIGUITY_DURING_PROCESSING",
            {"ambiguity_due_to": [{"param_name": "cvid"}, {"param_name": "sort_by"}]},
        ),
    ],
)
def test_a_list_refuses_invalid_parameters(
    caller: Caller, query: dict[str, str], code: str, details: dict[str, Any]
) -> None:
    answer = caller.get("/Leads", **query)

    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["details"]) == (code, details)


def test_pages_and_tokens_show_every_record_once(start: Callable[..., Caller]) -> None:
    caller = start(leads=30)
    query = {"fields": "id", "per_page": "4", "converted": "false"}
    wanted = [
        record.id
        for record in reversed(list(caller.simulator.records["Leads"].values()))
        if not record["Converted__s"]
    ]

    first, second = (caller.get("/Leads", **query, page=page) for page in (1, 2))
    seen = ids_of(first) + ids_of(second)
    token = second.json()["info"]["next_page_token"]
    while token:
        answer = caller.get("/Leads", **query, page_token=token)
        seen += ids_of(answer)
        token = answer.json()["info"]["next_page_token"]

    assert seen == wanted
    assert answer.json()["info"]["more_records"] is False
    assert answer.json()["info"]["page"] == 6


def test_a_token_is_bound_to_the_other_parameters(start: Callable[..., Caller]) -> None:
    caller = start(leads=5)
    token = caller.get("/Leads", fields="id", per_page=1).json()["info"]["next_page_token"]

    answer = caller.get("/Leads", fields="Email", per_page=1, page_token=token)

    assert answer.json()["code"] == "TOKEN_BOUND_DATA_MISMATCH"


def test_a_token_lasts_for_a_day(start: Callable[..., Caller]) -> None:
    caller = start(leads=5, token_seconds=200_000)
    token = caller.get("/Leads", fields="id", per_page=1).json()["info"]["next_page_token"]
    caller.simulator.advance(24 * 3600)

    answer = caller.get("/Leads", fields="id", per_page=1, page_token=token)

    assert answer.json()["code"] == "EXPIRED_VALUE"


def test_tokens_reach_a_hundred_thousand_records(start: Callable[..., Caller]) -> None:
    caller = start(leads=5)
    info = caller.get("/Leads", fields="id", per_page=1).json()["info"]
    page_tokens = caller.simulator.world.page_tokens
    known = page_tokens[info["next_page_token"]]
    page_tokens["far"] = type(known)(**{**vars(known), "page": 100_001})

    answer = caller.get("/Leads", fields="id", per_page=1, page_token="far")

    assert answer.json()["code"] == "PAGINATION_LIMIT_EXCEEDED"


def test_a_list_is_sorted(caller: Caller, sim: Simulator) -> None:
    first, second = sim.add_lead(), sim.add_lead()
    first["Modified_Time"], second["Modified_Time"] = (
        "2026-02-01T09:00:00+01:00",
        "2026-01-01T09:00:00+01:00",
    )

    up = caller.get("/Leads", fields="id", sort_by="Modified_Time", sort_order="asc")
    down = caller.get("/Leads", fields="id", sort_by="Modified_Time")

    assert ids_of(up) == [second.id, first.id]
    assert ids_of(down) == [first.id, second.id]


@pytest.mark.parametrize(("since", "status"), [("2026-01-15", 200), ("2026-03-01", 304)])
def test_unchanged_records_are_304(any_caller: Caller, since: str, status: int) -> None:
    lead = any_caller.simulator.add_lead()
    lead["Modified_Time"] = "2026-02-01T09:00:00+01:00"
    headers = {"If-Modified-Since": f"{since}T00:00:00+01:00"}

    one = any_caller.call("GET", f"/crm/v8/Leads/{lead.id}", headers=headers)
    many = any_caller.call("GET", "/crm/v8/Leads?fields=id", headers=headers)

    assert (one.status_code, many.status_code) == (status, status)
    assert status == 200 or one.content == b""


@pytest.mark.parametrize("since", ["yesterday", "2026-01-01T00:00:00"])
def test_an_invalid_date_time_is_refused(caller: Caller, sim: Simulator, since: str) -> None:
    path = f"/crm/v8/Leads/{sim.add_lead().id}"

    answer = caller.call("GET", path, headers={"If-Modified-Since": since})

    assert answer.json()["code"] == "UNABLE_TO_PARSE_DATA_TYPE"
