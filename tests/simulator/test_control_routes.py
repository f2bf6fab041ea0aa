"""The control routes, over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import requests

from tests.simulator.conftest import Caller
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET

ROOT = "/_simulator"


def control(caller: Caller, method: str, path: str, body: Any = None) -> Any:
    answer = caller.call(method, ROOT + path, json=body, headers={"Authorization": ""})
    return answer.json() if answer.content else None


def test_the_story_names_every_lead_and_its_case(any_caller: Caller) -> None:
    control(any_caller, "POST", "/reset", {"leads": 10})

    stories = control(any_caller, "GET", "/story")

    assert [each["case"] for each in stories] == [
        "no_match",
        "one_match",
        "account_only",
        "several",
        "disagree",
        "locked",
        "unapproved",
        "converted",
        "deleted",
        "hostile",
    ]


def test_grant_codes_come_without_limit_and_with_the_client(any_caller: Caller) -> None:
    answers = [control(any_caller, "POST", "/grant-codes") for _ in range(12)]

    made = answers[-1]
    assert len({answer["code"] for answer in answers}) == 12
    assert made["expires_in"] == 180
    assert (made["client_id"], made["client_secret"]) == (CLIENT_ID, CLIENT_SECRET)
    granted = any_caller.token("authorization_code", code=made["code"]).json()
    assert "refresh_token" in granted
    assert "ZohoCRM.modules.ALL" in granted["scope"]


def test_a_grant_code_may_have_less_scope_and_time(caller: Caller) -> None:
    body = {"scope": "ZohoCRM.org.READ", "seconds": 10}

    made = control(caller, "POST", "/grant-codes", body)

    assert made["expires_in"] == 10
    granted = caller.token("authorization_code", code=made["code"]).json()
    assert granted["scope"] == "ZohoCRM.org.READ"


def test_calls_are_counted_by_address_without_their_ids(any_caller: Caller) -> None:
    control(any_caller, "POST", "/reset", {"leads": 0})
    any_caller.connect()
    lead_id = any_caller.simulator.story("no_match")
    any_caller.get(f"/Leads/{lead_id}")
    any_caller.get("/Contacts/1")
    any_caller.convert(lead_id)
    any_caller.call("GET", "/crm/v8/some/where/7130042000000418003/else")
    control(any_caller, "GET", "/ledger")

    stats = control(any_caller, "GET", "/stats")

    def call(method: str, path: str, status: int) -> dict[str, Any]:
        return {"method": method, "path": path, "status": status, "count": 1}

    assert stats == {
        "calls": [
            call("POST", "/oauth/v2/token", 200),
            call("GET", "/crm/v8/Leads/{id}", 200),
            call("GET", "/crm/v8/Contacts/{id}", 204),
            call("POST", "/crm/v8/Leads/{id}/actions/convert", 200),
            call("GET", "/crm/v8/some/where/{id}/else", 404),
        ],
        "peak": {"all": 1, "convert": 1},
        "tokens": {"exchanged": 1, "refreshed": 0, "refused": 0},
        "credits_used": 7,
    }


def test_the_ledger_has_instants_in_utc_with_microseconds(any_caller: Caller) -> None:
    lead_id = any_caller.simulator.story("no_match")
    any_caller.convert(lead_id)

    ledger = control(any_caller, "GET", "/ledger")

    (conversion,), (call,) = ledger["conversions"], ledger["calls"]
    assert set(conversion) == {
        "lead_id",
        "contact_id",
        "account_id",
        "deal_id",
        "at",
        "via",
        "request",
    }
    assert conversion["deal_id"] is None
    assert set(call) == {
        "lead_id",
        "received_at",
        "effect_at",
        "answered_at",
        "resolved_at",
        "code",
        "request",
    }
    for instant in (conversion["at"], call["received_at"], call["resolved_at"]):
        assert instant.endswith("+00:00")
        assert len(instant) == len("2026-11-20T13:20:11.123456+00:00")
        datetime.fromisoformat(instant)


def test_faults_are_added_and_cleared(any_caller: Caller) -> None:
    body = {"on": "org", "do": "error_before", "times": 2, "status": 503}

    first, second = (control(any_caller, "POST", "/faults", body) for _ in range(2))

    assert first["id"] != second["id"]
    assert any_caller.get("/org").status_code == 503
    assert control(any_caller, "DELETE", "/faults") is None
    assert any_caller.get("/org").status_code == 200


def test_faults_do_not_apply_to_control_routes(any_caller: Caller) -> None:
    control(any_caller, "POST", "/faults", {"on": "any", "do": "close_before", "times": None})

    assert control(any_caller, "GET", "/story") == []


def test_a_reset_replaces_all_state(any_caller: Caller) -> None:
    before = any_caller.simulator.organisation.id
    refresh_token = any_caller.connect()["refresh_token"]
    control(any_caller, "POST", "/faults", {"on": "org", "do": "error_before"})
    first = control(any_caller, "POST", "/reset", {"leads": 3, "seed": 7})
    names = [lead["Full_Name"] for lead in any_caller.simulator.records["Leads"].values()]
    ids = list(any_caller.simulator.records["Leads"])

    second = control(any_caller, "POST", "/reset")

    assert first["leads"] == second["leads"] == 3
    assert len({before, first["org_id"], second["org_id"]}) == 3
    assert [
        lead["Full_Name"] for lead in any_caller.simulator.records["Leads"].values()
    ] == names, "the same seed makes the same people"
    assert not set(ids) & set(any_caller.simulator.records["Leads"])
    assert any_caller.get("/org").status_code == 401
    refused = any_caller.token("refresh_token", refresh_token=refresh_token)
    assert refused.json() == {"error": "invalid_code"}


def test_the_clock_can_be_advanced(any_caller: Caller) -> None:
    control(any_caller, "POST", "/clock", {"advance_seconds": 3600})

    assert any_caller.get("/org").json()["code"] == "INVALID_TOKEN"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/nothing", None, 404, "GET /_simulator/story"),
        ("GET", "/reset", None, 404, "POST /_simulator/reset"),
        ("POST", "/faults", {"on": "org"}, 400, "do"),
        ("POST", "/faults", {"on": "org", "do": "delay", "colour": "red"}, 400, "colour"),
        ("POST", "/faults", ["org"], 400, "JSON object"),
        ("POST", "/clock", {}, 400, "advance_seconds"),
        ("POST", "/limits", {"latency_ms": -1}, 400, "whole numbers"),
        ("POST", "/clock", {"advance_seconds": "soon"}, 400, "seconds"),
    ],
)
def test_an_invalid_control_request_is_explained(
    any_caller: Caller, method: str, path: str, body: Any, status: int, text: str
) -> None:
    answer = any_caller.call(method, ROOT + path, json=body)

    assert answer.status_code == status
    assert text in answer.json()["error"]


def test_all_consents_can_be_ended(any_caller: Caller) -> None:
    assert control(any_caller, "POST", "/revoke") == {"revoked": 1}

    assert any_caller.get("/org").json()["code"] == "INVALID_TOKEN"


def test_credits_can_be_made_scarce_and_calls_slow(caller: Caller) -> None:
    control(caller, "POST", "/limits", {"credits_left": 1, "latency_ms": 5})

    assert [caller.get("/org").status_code for _ in range(2)] == [200, 429]
    assert caller.simulator.engine.settings.latency == 0.005


def test_the_latest_calls_are_logged(any_caller: Caller) -> None:
    any_caller.simulator.fail("org", "close_after")
    with pytest.raises(requests.ConnectionError):
        any_caller.get("/org")
    any_caller.get("/users", type="CurrentUser")

    log = control(any_caller, "GET", "/calls")["calls"]

    assert [(each["method"], each["path"], each["status"]) for each in log[:2]] == [
        ("GET", "/crm/v8/users", 200),
        ("GET", "/crm/v8/org", None),
    ]
    assert log[0]["at"] >= log[1]["at"]
