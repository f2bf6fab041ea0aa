"""Faults: what each one does, and which calls it applies to."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import requests

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Simulator


def codes(caller: Caller, lead_id: str) -> list[str | None]:
    return [
        call["code"] for call in caller.simulator.ledger()["calls"] if call["lead_id"] == lead_id
    ]


@pytest.mark.parametrize(("do", "conversions"), [("error_before", 0), ("error_after", 1)])
def test_an_error_comes_before_or_after_the_effect(
    any_caller: Caller, do: str, conversions: int
) -> None:
    lead_id = any_caller.simulator.story("no_match")
    any_caller.simulator.fail("convert", do)

    answer = any_caller.convert(lead_id)

    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL_ERROR")
    assert len(any_caller.simulator.conversions_of(lead_id)) == conversions
    assert codes(any_caller, lead_id) == ["INTERNAL_ERROR"]


@pytest.mark.parametrize(
    ("parameters", "status", "text"),
    [
        ({"status": 503}, 503, "INTERNAL_ERROR"),
        ({"body": {"code": "NEWS", "status": "error"}, "status": 202}, 202, "NEWS"),
        ({"body": "<h1>Bad day</h1>"}, 500, "<h1>Bad day</h1>"),
        ({"body": [1, 2]}, 500, "[1, 2]"),
    ],
)
def test_status_and_body_of_an_error_can_be_chosen(
    caller: Caller, sim: Simulator, parameters: dict[str, Any], status: int, text: str
) -> None:
    sim.fail("org", "error_before", **parameters)

    answer = caller.get("/org")

    assert answer.status_code == status
    assert text in answer.text


@pytest.mark.parametrize("body", ["<html>", [1], {"data": [7]}, {"data": []}])
def test_an_answer_without_a_code_has_none_in_the_ledger(
    caller: Caller, sim: Simulator, body: Any
) -> None:
    lead_id = sim.story("no_match")
    sim.fail("convert", "error_before", body=body)

    caller.convert(lead_id)

    assert codes(caller, lead_id) == [None]


def test_a_fault_applies_as_many_times_as_configured(caller: Caller, sim: Simulator) -> None:
    sim.fail("org", "error_before", times=2)

    assert [caller.get("/org").status_code for _ in range(3)] == [500, 500, 200]


def test_a_fault_without_a_limit_applies_until_it_is_removed(
    caller: Caller, sim: Simulator
) -> None:
    sim.fail("org", "error_before", times=None)
    assert {caller.get("/org").status_code for _ in range(5)} == {500}

    sim.heal()

    assert caller.get("/org").status_code == 200


def test_a_fault_can_apply_to_one_lead(caller: Caller, sim: Simulator) -> None:
    first, second = sim.story("no_match"), sim.story("no_match")
    sim.fail("any", "error_before", lead_id=second, times=None)

    assert caller.get(f"/Leads/{first}").status_code == 200
    assert caller.get(f"/Leads/{second}").status_code == 500
    assert caller.get("/Leads", fields="id", ids=first).status_code == 200
    assert caller.get("/Leads", fields="id", ids=f"{first},{second}").status_code == 500
    assert caller.get(f"/Contacts/{second}").status_code == 204
    assert caller.get("/org").status_code == 200


def test_a_share_selects_the_same_leads_in_any_order(caller: Caller, sim: Simulator) -> None:
    lead_ids = [sim.add_lead().id for _ in range(60)]

    def hit(order: list[str], seed: int) -> set[str]:
        sim.heal()
        sim.fail("leads_get", "error_before", times=None, share=0.33, seed=seed)
        return {each for each in order if caller.get(f"/Leads/{each}").status_code == 500}

    first = hit(lead_ids, seed=1)

    assert hit(lead_ids[::-1], seed=1) == first
    assert hit(lead_ids, seed=2) != first
    assert 10 <= len(first) <= 30


def test_the_first_matching_fault_is_used(caller: Caller, sim: Simulator) -> None:
    sim.fail("users", "error_before", status=501)
    sim.fail("org", "error_before", status=502)
    sim.fail("any", "error_before", status=503)

    assert [caller.get("/org").status_code for _ in range(2)] == [502, 503]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"on": "dragons", "do": "delay"}, "on: 'dragons' is none of"),
        ({"on": "org", "do": "sing"}, "do: 'sing' is none of"),
        ({"on": "org", "do": "delay", "times": -1}, "times"),
        ({"on": "org", "do": "delay", "times": "x"}, "times"),
        ({"on": "org", "do": "delay", "share": 2}, "share"),
    ],
)
def test_an_invalid_fault_is_refused(
    sim: Simulator, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sim.fail(**parameters)


@pytest.mark.parametrize("do", ["error_before", "close_before", "html", "throttle"])
def test_a_fault_before_the_effect_prevents_it(caller: Caller, sim: Simulator, do: str) -> None:
    lead_id = sim.story("no_match")
    sim.fail("convert", do)

    try:
        caller.convert(lead_id)
    except requests.ConnectionError:
        assert do == "close_before"

    assert sim.conversions_of(lead_id) == []
    assert sim.stats()["credits_used"] == 0


def test_a_short_delay_only_delays(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("no_match")
    sim.fail("convert", "delay", seconds=0.01)

    assert caller.convert(lead_id).status_code == 200


def test_a_delay_beyond_the_timeout_has_no_answer_in_the_ledger(
    caller: Caller, sim: Simulator
) -> None:
    lead_id = sim.story("no_match")
    sim.fail("convert", "delay", seconds=60)

    with pytest.raises(requests.ReadTimeout):
        caller.convert(lead_id)

    (call,) = sim.ledger()["calls"]
    assert (call["answered_at"], call["code"]) == (None, None)
    assert call["effect_at"] is not None
    (entry,) = (each for each in sim.stats()["calls"] if "convert" in each["path"])
    assert entry["status"] is None


def test_a_late_effect_happens_after_the_connection_closed(any_caller: Caller) -> None:
    sim = any_caller.simulator
    lead_id = sim.story("no_match")
    sim.fail("convert", "late", seconds=30)

    with pytest.raises(requests.ConnectionError):
        any_caller.convert(lead_id)

    assert sim.conversions_of(lead_id) == []
    sim.advance(29)
    assert sim.ledger()["calls"][0]["resolved_at"] is None
    assert any_caller.get(f"/Leads/{lead_id}").status_code == 200
    sim.advance(2)
    assert any_caller.get(f"/Leads/{lead_id}").status_code == 204
    (call,) = sim.ledger()["calls"]
    (conversion,) = sim.conversions_of(lead_id)
    assert call["effect_at"] == call["resolved_at"] == conversion["at"]
    assert call["effect_at"] > call["received_at"]
    assert call["answered_at"] is None


@pytest.mark.parametrize("fault", ["close_before", "error_before", "close_after", "truncate"])
def test_a_processed_call_is_resolved_even_without_an_answer(
    caller: Caller, sim: Simulator, fault: str
) -> None:
    lead_id = sim.story("no_match")
    sim.fail("convert", fault)
    with suppress(requests.RequestException):
        caller.convert(lead_id)

    (call,) = sim.ledger()["calls"]
    assert call["resolved_at"] >= call["received_at"]
    assert call["request"] == {"data": [{}]}


def test_a_late_effect_may_find_the_lead_converted(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.story("no_match")
    sim.fail("convert", "late", seconds=30)
    with pytest.raises(requests.ConnectionError):
        caller.convert(lead_id)
    caller.convert(lead_id)

    sim.advance(31)

    assert len(sim.conversions_of(lead_id)) == 1


@pytest.mark.parametrize("do", ["late", "scheduled"])
def test_an_unauthorized_call_has_no_later_effect(caller: Caller, sim: Simulator, do: str) -> None:
    lead_id = sim.story("no_match")
    sim.fail("convert", do)
    caller.headers = {}

    assert caller.convert(lead_id).status_code == 401
    sim.advance(60)
    assert sim.conversions_of(lead_id) == []


def test_a_scheduled_conversion_happens_later(any_caller: Caller) -> None:
    sim = any_caller.simulator
    lead_id = sim.story("no_match")
    sim.fail("convert", "scheduled", seconds=20)

    answer = any_caller.convert(lead_id)

    assert answer.status_code == 202
    (item,) = answer.json()["data"]
    assert (item["code"], item["status"]) == ("SCHEDULED", "success")
    assert item["details"]["job_id"].isdigit()
    assert sim.conversions_of(lead_id) == []
    sim.advance(21)
    assert len(sim.conversions_of(lead_id)) == 1
    assert codes(any_caller, lead_id) == ["SCHEDULED"]


@pytest.mark.parametrize("on", ["leads_get", "leads_list", "options"])
def test_a_stale_read_does_not_show_the_conversion(caller: Caller, sim: Simulator, on: str) -> None:
    lead_id = sim.story("one_match")
    caller.convert(lead_id)
    sim.fail("any", "stale", times=3)

    shown = caller.get(f"/Leads/{lead_id}", converted="both").json()["data"][0]
    listed = caller.get("/Leads", fields="Converted__s", ids=lead_id, converted="both").json()

    assert shown["Converted__s"] is False
    assert listed["data"][0]["Converted__s"] is False
    assert caller.options(lead_id).status_code == 200
    assert caller.get(f"/Leads/{lead_id}").status_code == 204


def test_a_stale_read_shows_the_state_of_so_many_seconds_ago(
    caller: Caller, sim: Simulator
) -> None:
    lead = sim.add_lead(Company="First")
    sim.change(lead, Company="Second")
    sim.advance(100)
    sim.change(lead, Company="Third")
    sim.advance(100)

    def seen(seconds: int) -> str:
        sim.fail("leads_get", "stale", seconds=seconds)
        return str(caller.get(f"/Leads/{lead.id}").json()["data"][0]["Company"])

    assert [seen(50), seen(150), seen(300)] == ["Third", "Second", "First"]


@pytest.mark.parametrize(
    ("parameters", "status", "body"),
    [
        ({}, 204, ""),
        ({"body": "204"}, 204, ""),
        ({"body": {"data": []}}, 200, '{"data": []}'),
        ({"body": "data"}, 200, '{"data": []}'),
        ({"body": "404"}, 404, "INVALID_URL_PATTERN"),
        ({"status": 404}, 404, "INVALID_URL_PATTERN"),
    ],
)
def test_an_empty_read_has_several_forms(
    caller: Caller, sim: Simulator, parameters: dict[str, Any], status: int, body: str
) -> None:
    lead_id = sim.story("no_match")
    sim.fail("leads_get", "empty", **parameters)

    answer = caller.get(f"/Leads/{lead_id}")

    assert answer.status_code == status
    assert body in answer.text


def test_a_gateway_answers_with_a_page(caller: Caller, sim: Simulator) -> None:
    sim.fail("org", "html", times=2)
    first = caller.get("/org")
    sim.heal()
    sim.fail("org", "html", status=503)

    second = caller.get("/org")

    assert (first.status_code, second.status_code) == (502, 503)
    assert first.headers["Content-Type"].startswith("text/html")
    assert "<h1>502</h1>" in first.text


def test_throttling_differs_between_accounts_and_crm(caller: Caller, sim: Simulator) -> None:
    sim.fail("refresh", "throttle")
    sim.fail("org", "throttle")

    token = caller.token("refresh_token", refresh_token="x")
    api = caller.get("/org")

    assert (token.status_code, token.json()["error"]) == (200, "Access Denied")
    assert (api.status_code, api.json()["code"]) == (429, "TOO_MANY_REQUESTS")


def test_throttling_of_tokens_may_come_with_400(caller: Caller, sim: Simulator) -> None:
    sim.fail("refresh", "throttle", status=400)

    answer = caller.token("refresh_token", refresh_token="x")

    assert (answer.status_code, answer.json()["error"]) == (400, "Access Denied")


def test_a_token_call_may_be_lost_after_its_effect(caller: Caller, sim: Simulator) -> None:
    code = sim.grant_code()
    sim.fail("exchange", "close_after")
    with pytest.raises(requests.ConnectionError):
        caller.token("authorization_code", code=code)

    assert caller.token("authorization_code", code=code).json() == {"error": "invalid_code"}
    assert sim.stats()["tokens"]["exchanged"] == 2


def test_a_refusal_may_come_without_details(any_caller: Caller) -> None:
    lead_id = any_caller.simulator.story("no_match")
    any_caller.simulator.fail("convert", "unnamed", times=None)

    item = any_caller.convert(lead_id, Deals={})
    whole = any_caller.convert("77")
    done = any_caller.convert(lead_id)

    (problem,) = item.json()["data"]
    assert (problem["code"], problem["details"]) == ("MANDATORY_NOT_FOUND", {})
    assert (whole.json()["code"], whole.json()["details"]) == ("INVALID_DATA", {})
    assert done.json()["data"][0]["details"]["Contacts"]["id"]


def test_a_body_that_is_not_json_is_unchanged(caller: Caller, sim: Simulator) -> None:
    sim.fail("authorize", "unnamed")

    answer = caller.call("GET", "/oauth/v2/auth", params={"response_type": "code"})

    assert "<" in answer.text
