"""The authorization page, and the codes that it issues."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.simulator.conftest import Caller
from zoho_crm.simulator import CLIENT_ID

REDIRECT = "http://127.0.0.1:8000/zoho/oauth/callback/"
VERIFIER = "a-verifier-of-at-least-forty-three-characters"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")


def url(**changes: str | None) -> str:
    query = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "scope": "ZohoCRM.modules.ALL,ZohoCRM.users.READ",
        "redirect_uri": REDIRECT,
        "access_type": "offline",
        "prompt": "consent",
        "state": "s&=%/ä",
    }
    chosen = {name: value for name, value in {**query, **changes}.items() if value is not None}
    return f"/oauth/v2/auth?{urlencode(chosen)}"


def query_of(address: str) -> dict[str, Any]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def press(caller: Caller, decision: str, **changes: str | None) -> dict[str, Any]:
    page = caller.call("GET", url(**changes)).text
    request = re.search(r'name="request" value="(\w+)"', page)
    assert request
    data = {"request": request[1], "decision": decision}
    return query_of(caller.call("POST", "/oauth/v2/consent", data=data).headers["Location"])


def test_the_page_asks_and_names_what_is_asked_for(any_caller: Caller) -> None:
    answer = any_caller.call("GET", url())

    assert answer.status_code == 200
    assert "ZohoCRM.modules.ALL" in answer.text
    assert ">Accept</button>" in answer.text
    assert ">Reject</button>" in answer.text


def test_the_page_needs_no_inline_script_or_style(caller: Caller) -> None:
    answer = caller.call("GET", url())

    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'; style-src 'self'" in policy
    assert "form-action 'self' http://127.0.0.1:8000" in policy
    assert "<script" not in answer.text
    assert "style=" not in answer.text
    style = re.search(r'href="([^"]+\.css)"', answer.text)
    assert style
    assert caller.call("GET", style[1]).headers["Content-Type"].startswith("text/css")


def test_an_ipv6_callback_is_allowed_by_its_scheme(caller: Caller) -> None:
    answer = caller.call("GET", url(redirect_uri="http://[::1]:8000/callback"))

    assert "form-action 'self' http:" in answer.headers["Content-Security-Policy"]


def test_what_the_client_sent_is_escaped(caller: Caller) -> None:
    answer = caller.call("GET", url(redirect_uri=f'{REDIRECT}?"><script>alert(1)</script>'))

    assert answer.status_code == 200
    assert "<script" not in answer.text


def test_accept_redirects_with_a_code_the_state_and_the_server(any_caller: Caller) -> None:
    back = any_caller.simulator.consent(any_caller.simulator.origin + url())

    assert back.startswith(f"{REDIRECT}?")
    assert back.endswith("&")
    query = query_of(back)
    assert query["state"] == "s&=%/ä"
    assert query["location"] == "local"
    assert query["accounts-server"] == any_caller.simulator.origin
    answer = any_caller.token("authorization_code", code=query["code"], redirect_uri=REDIRECT)
    assert answer.json()["scope"] == "ZohoCRM.modules.ALL ZohoCRM.users.READ"
    assert "refresh_token" in answer.json()


def test_the_buttons_of_the_page_work(any_caller: Caller) -> None:
    assert "code" in press(any_caller, "accept")
    assert press(any_caller, "reject") == {"state": "s&=%/ä", "error": "access_denied"}


def test_a_callback_with_a_query_of_its_own_keeps_it(caller: Caller) -> None:
    back = caller.simulator.consent(url(redirect_uri=f"{REDIRECT}?tenant=7"))

    assert query_of(back)["tenant"] == "7"
    assert "code" in query_of(back)


def test_a_request_without_state_gets_none_back(caller: Caller) -> None:
    assert "state" not in press(caller, "accept", state=None)


def test_each_page_works_once(caller: Caller) -> None:
    page = caller.call("GET", url()).text
    request = re.search(r'name="request" value="(\w+)"', page)
    assert request
    data = {"request": request[1], "decision": "accept"}
    caller.call("POST", "/oauth/v2/consent", data=data)

    again = caller.call("POST", "/oauth/v2/consent", data=data)

    assert again.status_code == 400
    assert "Location" not in again.headers


@pytest.mark.parametrize(
    ("changes", "text", "status"),
    [
        ({"client_id": "1000.OTHER"}, "Invalid Client", 400),
        ({"client_id": None}, "Invalid response type", 400),
        ({"response_type": None}, "Invalid response type", 400),
        ({"response_type": "token"}, "An error occurred", 500),
        ({"scope": None}, "Invalid OAuth scope", 400),
        ({"scope": "everything"}, "Invalid OAuth scope", 400),
        ({"redirect_uri": None}, "Invalid Redirect Uri", 400),
        ({"redirect_uri": "https://evil.example/callback"}, "Invalid Redirect Uri", 400),
        ({"redirect_uri": "http://[127.0.0.1/"}, "Invalid Redirect Uri", 400),
        ({"redirect_uri": "javascript://127.0.0.1/%0aalert(1)"}, "Invalid Redirect Uri", 400),
        ({"redirect_uri": f"{REDIRECT}?x\r\nSet-Cookie: a=b"}, "Invalid Redirect Uri", 400),
        ({"code_challenge": "x", "code_challenge_method": "plain"}, "An error occurred", 400),
    ],
)
def test_a_wrong_request_shows_an_error_page_without_a_redirect(
    caller: Caller, changes: dict[str, str | None], text: str, status: int
) -> None:
    answer = caller.call("GET", url(**changes))

    assert answer.status_code == status
    assert text in answer.text
    assert "<form" not in answer.text
    with pytest.raises(ValueError, match=text):
        caller.simulator.consent(url(**changes))


def test_the_page_answers_get_only(caller: Caller) -> None:
    assert caller.call("POST", url()).status_code == 400


def test_after_consent_a_second_request_redirects_without_a_refresh_token(caller: Caller) -> None:
    caller.simulator.consent(url())

    back = caller.call("GET", url(prompt=None))

    assert back.status_code == 302
    assert caller.simulator.consent(url(prompt=None)).startswith(REDIRECT)
    code = query_of(back.headers["Location"])["code"]
    answer = caller.token("authorization_code", code=code, redirect_uri=REDIRECT).json()
    assert "access_token" in answer
    assert "refresh_token" not in answer


def test_online_access_gets_no_refresh_token(caller: Caller) -> None:
    code = press(caller, "accept", access_type=None)["code"]

    answer = caller.token("authorization_code", code=code, redirect_uri=REDIRECT).json()

    assert "refresh_token" not in answer


def test_the_redirect_uri_is_compared_at_the_exchange(caller: Caller) -> None:
    code = press(caller, "accept")["code"]

    answer = caller.token("authorization_code", code=code, redirect_uri=f"{REDIRECT}other")

    assert (answer.status_code, answer.json()) == (200, {"error": "invalid_redirect_uri"})


@pytest.mark.parametrize(("verifier", "granted"), [(VERIFIER, True), ("wrong", False), ("", False)])
def test_pkce_is_checked_at_the_exchange(caller: Caller, verifier: str, granted: bool) -> None:
    challenge = {"code_challenge": CHALLENGE.decode(), "code_challenge_method": "S256"}
    code = press(caller, "accept", **challenge)["code"]

    answer = caller.token(
        "authorization_code", code=code, redirect_uri=REDIRECT, code_verifier=verifier
    ).json()

    assert ("access_token" in answer) is granted
    assert granted or answer == {"error": "invalid_code"}


def test_the_eleventh_code_in_ten_minutes_is_denied(caller: Caller) -> None:
    backs = [press(caller, "accept") for _ in range(11)]

    assert all("code" in back for back in backs[:10])
    assert backs[10]["error"] == "access_denied"
    caller.simulator.advance(601)
    assert "code" in press(caller, "accept")
