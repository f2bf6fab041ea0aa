"""Admission of calls: authorization, concurrency and credits."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.simulator.conftest import Caller


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "AUTHENTICATION_FAILURE"),
        ("Zoho-oauthtoken 1000.guessed", "INVALID_TOKEN"),
        ("Zoho-oauthtoken", "INVALID_TOKEN"),
    ],
)
def test_a_call_has_to_be_signed(caller: Caller, header: str, code: str) -> None:
    caller.headers["Authorization"] = header

    answer = caller.get("/org")

    assert (answer.status_code, answer.json()["code"]) == (401, code)


def test_the_bearer_scheme_is_refused(caller: Caller) -> None:
    token = caller.headers["Authorization"].split()[1]
    caller.headers["Authorization"] = f"Bearer {token}"

    assert caller.get("/org").json()["code"] == "INVALID_TOKEN"


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        ("ZohoCRM.modules.ALL", "GET", "/Leads/1", 204),
        ("ZohoCRM.modules.READ", "GET", "/Leads/1", 204),
        ("ZohoCRM.modules.leads.READ", "GET", "/Leads/1", 204),
        ("ZohoCRM.modules.Leads.READ", "GET", "/Leads/1", 204),
        ("ZohoCRM.modules.contacts.READ", "GET", "/Leads/1", 401),
        ("ZohoCRM.modules.leads.CREATE", "GET", "/Leads/1", 401),
        ("ZohoCRM.modules.leads.WRITE", "POST", "/Leads/1/actions/convert", 400),
        ("ZohoCRM.modules.leads.UPDATE", "POST", "/Leads/1/actions/convert", 401),
        ("ZohoCRM.settings.ALL", "GET", "/settings/fields?module=Leads", 200),
        ("ZohoCRM.settings.fields.READ", "GET", "/settings/modules", 401),
        ("ZohoCRM.users.READ", "GET", "/org", 401),
        ("ZohoCRM.modules.ALL", "GET", "/Leads/search?word=ada", 401),
        (
            "ZohoCRM.modules.ALL,ZohoSearch.securesearch.READ",
            "GET",
            "/Leads/search?word=ada",
            204,
        ),
    ],
)
def test_each_address_needs_its_scopes(
    caller: Caller, scope: str, method: str, path: str, status: int
) -> None:
    caller.connect(scope=scope)

    answer = caller.call(method, f"/crm/v8{path}", json={"data": [{}]})

    assert answer.status_code == status
    assert status != 401 or answer.json()["code"] == "OAUTH_SCOPE_MISMATCH"


@pytest.mark.parametrize(
    ("permission", "path"),
    [
        ("Crm_Implied_Api_Access", "/org"),
        ("Crm_Implied_View_Leads", "/Leads/1"),
        ("Crm_Implied_View_Contacts", "/Contacts/1"),
    ],
)
def test_a_profile_may_lack_a_permission(caller: Caller, permission: str, path: str) -> None:
    caller.simulator.organisation.denied.add(permission)

    answer = caller.get(path)

    assert answer.status_code == 403
    assert answer.json()["code"] == "NO_PERMISSION"
    assert answer.json()["details"] == {"permissions": [permission]}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/crm/v8/nowhere/at/all/here", 404, "INVALID_URL_PATTERN"),
        ("GET", "/elsewhere", 404, "INVALID_URL_PATTERN"),
        ("DELETE", "/crm/v8/org", 400, "INVALID_REQUEST_METHOD"),
        ("GET", "/crm/v8/Leads/1/actions/convert", 400, "INVALID_REQUEST_METHOD"),
        ("GET", "/crm/v7/org", 400, "API_NOT_SUPPORTED"),
        ("GET", "/crm/v8/Dragons/1", 400, "INVALID_MODULE"),
        ("GET", "/crm/v8/Leads/abc", 400, "INVALID_DATA"),
    ],
)
def test_unknown_urls_versions_and_methods_have_their_own_codes(
    any_caller: Caller, method: str, path: str, status: int, code: str
) -> None:
    answer = any_caller.call(method, path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def slow_calls(caller: Caller, paths: list[str], **more: Any) -> list[int]:
    """Make all calls in parallel; return the statuses."""
    with ThreadPoolExecutor(len(paths)) as pool:
        answers = list(pool.map(lambda path: caller.get(path, **more), paths))
    return sorted(answer.status_code for answer in answers)


def test_calls_beyond_the_concurrency_limit_are_429(start: Callable[..., Caller]) -> None:
    caller = start(concurrency=3)
    caller.simulator.fail("org", "delay", times=None, seconds=0.3)

    statuses = slow_calls(caller, ["/org"] * 5)

    assert statuses == [200, 200, 200, 429, 429]
    assert caller.simulator.stats()["peak"]["all"] == 3
    assert caller.get("/users").status_code == 200


def test_heavy_calls_have_a_lower_limit(start: Callable[..., Caller]) -> None:
    caller = start(concurrency=20, sub_concurrency=2)
    caller.simulator.story("no_match")
    caller.simulator.fail("leads_list", "delay", times=None, seconds=0.3)

    heavy = slow_calls(caller, ["/Leads"] * 3, fields="id", sort_by="id")
    light = slow_calls(caller, ["/Leads"] * 3, fields="id")

    assert heavy == [200, 200, 429]
    assert light == [200, 200, 200]


def test_concurrent_converts_are_counted(caller: Caller) -> None:
    lead_ids = [caller.simulator.story("no_match") for _ in range(3)]
    caller.simulator.fail("convert", "delay", times=None, seconds=0.2)

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(caller.convert, lead_ids))

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert caller.simulator.stats()["peak"] == {"all": 3, "convert": 3}


def test_a_call_holds_its_slot_during_the_latency(start: Callable[..., Caller]) -> None:
    caller = start(concurrency=1, latency=0.2)

    assert slow_calls(caller, ["/org"] * 2) == [200, 429]


def test_credits_are_spent_by_kind_of_call(caller: Caller) -> None:
    view = caller.simulator.organisation.custom_views["Leads"]
    lead_id = caller.simulator.story("no_match")
    records = {"data": [{"Last_Name": f"Nr {number}"} for number in range(25)]}

    def spent(call: Callable[[], Any]) -> int:
        before = caller.simulator.stats()["credits_used"]
        call()
        return int(caller.simulator.stats()["credits_used"] - before)

    assert spent(lambda: caller.get(f"/Leads/{lead_id}")) == 1
    assert spent(lambda: caller.get("/Leads", fields="id", cvid=view)) == 3
    assert spent(lambda: caller.options(lead_id)) == 1
    assert spent(lambda: caller.convert(lead_id)) == 5
    assert spent(lambda: caller.post("/Leads", records)) == 3
    assert spent(lambda: caller.post("/Leads", [])) == 1
    assert spent(lambda: caller.token("refresh_token", refresh_token="x")) == 0


def test_remaining_credits_are_shown_once_half_are_used(start: Callable[..., Caller]) -> None:
    caller = start(credits=4)

    shown = [caller.get("/org").headers.get("X-API-CREDITS-REMAINING") for _ in range(4)]

    assert shown == [None, "2", "1", "0"]


def test_without_credits_calls_are_429_until_a_day_has_passed(
    start: Callable[..., Caller],
) -> None:
    caller = start(credits=2)
    lead_id = caller.simulator.story("no_match")
    assert caller.convert(lead_id).status_code == 429
    caller.get("/org")
    caller.get("/org")

    refused = caller.get("/org")

    assert (refused.status_code, refused.json()["code"]) == (429, "TOO_MANY_REQUESTS")
    assert refused.headers["X-API-CREDITS-REMAINING"] == "0"
    caller.simulator.advance(24 * 3600 + 60)
    caller.connect()
    assert caller.get("/org").status_code == 200


def test_a_large_insert_is_heavy(start: Callable[..., Caller]) -> None:
    caller = start(sub_concurrency=0)
    few = {"data": [{"Last_Name": "Nr"}] * 10}
    many = {"data": [{"Last_Name": "Nr"}] * 11}

    assert caller.post("/Leads", few).status_code == 201
    assert caller.post("/Leads", many).status_code == 429
