"""Tokens: how they are issued, their lifetime and their limits."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.conftest import CLIENT, Caller
from zoho_crm.simulator import Addresses


def test_an_exchange_grants_both_tokens(any_caller: Caller) -> None:
    code = any_caller.simulator.grant_code("ZohoCRM.modules.ALL,ZohoCRM.org.READ")

    answer = any_caller.token("authorization_code", code=code)

    assert answer.status_code == 200
    granted = answer.json()
    assert granted.pop("access_token").startswith("1000.")
    assert granted.pop("refresh_token").startswith("1000.")
    assert granted == {
        "scope": "ZohoCRM.modules.ALL ZohoCRM.org.READ",
        "api_domain": any_caller.simulator.origin,
        "token_type": "Bearer",
        "expires_in": 3600,
    }


def test_a_code_is_good_once(caller: Caller) -> None:
    code = caller.simulator.grant_code()
    caller.token("authorization_code", code=code)

    answer = caller.token("authorization_code", code=code)

    assert (answer.status_code, answer.json()) == (200, {"error": "invalid_code"})


def test_a_code_expires(caller: Caller) -> None:
    code = caller.simulator.grant_code(seconds=60)
    caller.simulator.advance(61)

    assert caller.token("authorization_code", code=code).json() == {"error": "invalid_code"}


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"client_id": "1000.OTHER"}, "invalid_client"),
        ({"client_secret": "guessed"}, "invalid_client_secret"),
        ({"code": "1000.none"}, "invalid_code"),
        ({"grant_type": "password"}, "invalid_client"),
    ],
)
def test_refusals_of_the_token_endpoint_come_with_200(
    caller: Caller, form: dict[str, str], error: str
) -> None:
    good = {**CLIENT, "grant_type": "authorization_code", "code": caller.simulator.grant_code()}

    answer = caller.call("POST", "/oauth/v2/token", data={**good, **form})

    assert (answer.status_code, answer.json()) == (200, {"error": error})
    assert caller.simulator.stats()["tokens"]["refused"] == 1


@pytest.mark.parametrize(("method", "data"), [("POST", CLIENT), ("GET", {"grant_type": "x"})])
def test_without_a_grant_type_or_post_it_is_a_page_with_400(
    caller: Caller, method: str, data: dict[str, str]
) -> None:
    answer = caller.call(method, "/oauth/v2/token", data=data)

    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/html")


def _as_query(form: dict[str, str]) -> dict[str, Any]:
    return {"params": form}


def _as_multipart(form: dict[str, str]) -> dict[str, Any]:
    return {"files": {name: (None, value) for name, value in form.items()}}


def _with_basic_auth(form: dict[str, str]) -> dict[str, Any]:
    pair = f"{form.pop('client_id')}:{form.pop('client_secret')}".encode()
    header = f"Basic {base64.b64encode(pair).decode()}"
    return {"data": form, "headers": {"Authorization": header}}


@pytest.mark.parametrize("way", [_as_query, _as_multipart, _with_basic_auth])
def test_parameters_are_accepted_in_every_documented_form(
    any_caller: Caller, way: Callable[[dict[str, str]], dict[str, Any]]
) -> None:
    code = any_caller.simulator.grant_code()
    form = {**CLIENT, "grant_type": "authorization_code", "code": code}

    assert "access_token" in any_caller.call("POST", "/oauth/v2/token", **way(form)).json()


@pytest.mark.parametrize("header", ["Basic !", "Basic /w==", "Digest abc"])
def test_a_broken_basic_header_is_no_client(caller: Caller, header: str) -> None:
    answer = caller.call(
        "POST",
        "/oauth/v2/token",
        data={"grant_type": "refresh_token"},
        headers={"Authorization": header},
    )

    assert answer.json() == {"error": "invalid_client"}


def test_a_refresh_keeps_the_refresh_token(caller: Caller) -> None:
    refresh_token = caller.connect()["refresh_token"]

    first = caller.token("refresh_token", refresh_token=refresh_token).json()
    second = caller.token("refresh_token", refresh_token=refresh_token).json()

    assert "refresh_token" not in first
    assert first["access_token"] != second["access_token"]
    assert caller.simulator.stats()["tokens"]["refreshed"] == 2


def test_the_eleventh_refresh_in_ten_minutes_is_denied(caller: Caller) -> None:
    refresh_token = caller.connect()["refresh_token"]
    for _ in range(10):
        assert "access_token" in caller.token("refresh_token", refresh_token=refresh_token).json()

    denied = caller.token("refresh_token", refresh_token=refresh_token)

    assert denied.status_code == 200
    assert denied.json()["error"] == "Access Denied"
    assert denied.json()["status"] == "failure"
    caller.simulator.advance(600)
    assert "access_token" in caller.token("refresh_token", refresh_token=refresh_token).json()


def test_the_token_quota_can_have_a_shorter_window(start: Callable[..., Caller]) -> None:
    caller = start(token_quota_seconds=10)
    refresh_token = caller.connect()["refresh_token"]
    for _ in range(10):
        caller.token("refresh_token", refresh_token=refresh_token)

    denied = caller.token("refresh_token", refresh_token=refresh_token)
    caller.simulator.advance(10)
    given = caller.token("refresh_token", refresh_token=refresh_token)

    assert denied.json()["error"] == "Access Denied"
    assert "access_token" in given.json()


def test_the_sixteenth_access_token_makes_the_oldest_invalid(caller: Caller) -> None:
    refresh_token = caller.connect()["refresh_token"]
    for _ in range(10):
        caller.token("refresh_token", refresh_token=refresh_token)
    caller.simulator.advance(600)
    for _ in range(4):
        caller.token("refresh_token", refresh_token=refresh_token)
    assert caller.get("/org").status_code == 200

    caller.token("refresh_token", refresh_token=refresh_token)

    assert caller.get("/org").json()["code"] == "INVALID_TOKEN"


def test_the_twenty_first_refresh_token_deletes_the_oldest(start: Callable[..., Caller]) -> None:
    caller = start()
    oldest = next(iter(caller.simulator.world.grants.refresh_tokens))
    signed = dict(caller.headers)
    for _ in range(19):
        caller.connect()
    assert "access_token" in caller.token("refresh_token", refresh_token=oldest).json()

    caller.connect()

    caller.headers = signed
    assert caller.token("refresh_token", refresh_token=oldest).json() == {"error": "invalid_code"}
    assert caller.get("/org").status_code == 401


def test_an_access_token_expires_by_the_simulators_clock(start: Callable[..., Caller]) -> None:
    caller = start(token_seconds=60)
    assert caller.get("/org").status_code == 200

    caller.simulator.advance(60)

    assert caller.get("/org").json()["code"] == "INVALID_TOKEN"


def test_legacy_clients_get_milliseconds(start: Callable[..., Caller]) -> None:
    granted = start(legacy_expires_in=True, token_seconds=120).connect()

    assert (granted["expires_in_sec"], granted["expires_in"]) == (120, 120_000)


def test_revoking_a_refresh_token_revokes_its_access_tokens(any_caller: Caller) -> None:
    granted = any_caller.connect()
    token = granted["refresh_token"]

    answer = any_caller.call("POST", "/oauth/v2/token/revoke", params={"token": token})

    assert (answer.status_code, answer.json()) == (200, {"status": "success"})
    assert any_caller.get("/org").status_code == 401
    assert any_caller.token("refresh_token", refresh_token=token).json() == {
        "error": "invalid_code"
    }
    again = any_caller.call("POST", "/oauth/v2/token/revoke", params={"token": token})
    assert again.status_code == 400


def test_an_access_token_can_be_revoked_alone(caller: Caller) -> None:
    granted = caller.connect()

    caller.call("POST", "/oauth/v2/token/revoke", data={"token": granted["access_token"]})

    assert caller.get("/org").status_code == 401
    refreshed = caller.token("refresh_token", refresh_token=granted["refresh_token"])
    assert "access_token" in refreshed.json()


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_the_other_revoke_path_requires_the_client(any_caller: Caller, kind: str) -> None:
    granted = any_caller.connect()
    form = {"token": granted[kind], "token_type": kind}
    path = "/oauth/v2/revoke/token"

    assert any_caller.call("POST", path, data=form).status_code == 400
    answer = any_caller.call("POST", path, **_with_basic_auth({**CLIENT, **form}))

    assert (answer.status_code, answer.content) == (200, b"")
    assert any_caller.get("/org").status_code == 401


def test_the_other_revoke_path_checks_the_type(caller: Caller) -> None:
    form = {"token": caller.connect()["access_token"]}

    answer = caller.call("POST", "/oauth/v2/revoke/token", data={**CLIENT, **form})

    assert answer.status_code == 400


def test_server_info_names_the_accounts_servers(any_caller: Caller) -> None:
    answer = any_caller.call("GET", "/oauth/serverinfo", headers={"Authorization": ""})

    origin = any_caller.simulator.origin
    assert answer.json() == {"result": "success", "locations": {"local": origin}}


def test_it_can_be_in_another_data_center(caller: Caller) -> None:
    caller.simulator.move_to(
        Addresses(location="eu", accounts="https://accounts.zoho.eu", api="https://www.zohoapis.eu")
    )

    granted = caller.connect()

    assert granted["api_domain"] == "https://www.zohoapis.eu"
    answer = caller.session.get("https://www.zohoapis.eu/crm/v8/org", headers=caller.headers)
    assert answer.status_code == 200
    elsewhere = caller.session.get("https://www.zohoapis.com/crm/v8/org", headers=caller.headers)
    assert elsewhere.json()["code"] == "INVALID_HOST"


@pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token"])
def test_another_data_center_refuses_code_and_token(caller: Caller, grant_type: str) -> None:
    form = {
        **CLIENT,
        "grant_type": grant_type,
        "code": caller.simulator.grant_code(),
        "refresh_token": caller.connect()["refresh_token"],
    }

    answer = caller.session.post("https://accounts.zoho.eu/oauth/v2/token", data=form)

    assert answer.json() == {"error": "invalid_code"}
