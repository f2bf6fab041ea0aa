"""Exchanging codes, refreshing access tokens and revoking, over both transports."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.client.canned import Canned
from tests.client.conftest import Transport
from zoho_crm.client import AccountsClient, Api, Credentials, open_session
from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    ClientRejectedError,
    ConnectionLostError,
    GrantRefusedError,
    ServerError,
    TokenThrottledError,
    TransportError,
    ZohoError,
)
from zoho_crm.types import Secret

Json = dict[str, Any]


@pytest.fixture
def code(transport: Transport) -> Secret:
    return Secret(transport.simulator.grant_code("ZohoCRM.modules.ALL,ZohoCRM.users.READ"))


def canned_accounts(status: int, body: str) -> tuple[AccountsClient, Canned]:
    canned = Canned(status, body.encode())
    api = Api(origin="https://accounts.zoho.eu", session=open_session(lambda: canned))
    credentials = Credentials(client_id="1000.CLIENT", client_secret=Secret("the-secret"))
    return AccountsClient(api=api, credentials=credentials), canned


def test_a_code_becomes_tokens(transport: Transport, code: Secret) -> None:
    grant = transport.accounts().exchange(code)

    assert grant.access_token.reveal().startswith("1000.")
    assert grant.refresh_token.reveal() in transport.simulator.world.grants.refresh_tokens
    assert grant.api_domain == transport.simulator.origin
    assert grant.expires_in == 3600
    assert grant.scopes == ("ZohoCRM.modules.ALL", "ZohoCRM.users.READ")


def test_a_code_works_once(transport: Transport, code: Secret) -> None:
    transport.accounts().exchange(code)

    with pytest.raises(GrantRefusedError) as caught:
        transport.accounts().exchange(code)

    assert (caught.value.code, caught.value.http_status) == ("invalid_code", 200)


def test_an_expired_code_is_refused(transport: Transport, code: Secret) -> None:
    transport.simulator.advance(181)

    with pytest.raises(GrantRefusedError):
        transport.accounts().exchange(code)


@pytest.mark.parametrize(
    ("client_id", "client_secret", "error"),
    [
        ("1000.OTHER", "simulator-secret", "invalid_client"),
        ("1000.SIMULATOR", "wrong", "invalid_client_secret"),
    ],
)
def test_a_wrong_client_is_the_administrators(
    transport: Transport, code: Secret, client_id: str, client_secret: str, error: str
) -> None:
    with pytest.raises(ClientRejectedError) as caught:
        transport.accounts(client_id, client_secret).exchange(code)

    assert caught.value.code == error
    assert transport.accounts().exchange(code).access_token


def test_a_refresh_gives_another_access_token_and_no_refresh_token(
    transport: Transport, code: Secret
) -> None:
    first = transport.accounts().exchange(code)

    second = transport.accounts().refresh(first.refresh_token)

    assert second.access_token != first.access_token
    assert not second.refresh_token


def test_milliseconds_of_a_client_registered_long_ago_are_told_by_the_seconds_beside_them() -> None:
    body = '{"access_token": "1000.a", "expires_in_sec": 3600, "expires_in": 3600000}'

    grant = canned_accounts(200, body)[0].refresh(Secret("1000.r"))

    assert grant.expires_in == 3600


@pytest.mark.parametrize(
    ("more", "seconds"),
    [
        ({}, 3600),
        ({"expires_in": None}, 3600),
        ({"expires_in": "1800"}, 1800),
        ({"expires_in": "soon"}, 3600),
        ({"expires_in": [1800]}, 3600),
        ({"expires_in": -1}, 3600),
        ({"expires_in": 3_600_000}, 3600),
        ({"expires_in": float("inf")}, 3600),
        ({"expires_in": float("nan")}, 3600),
    ],
)
def test_a_lifetime_is_an_hour_unless_zoho_says_so_believably(more: Json, seconds: float) -> None:
    accounts, _canned = canned_accounts(200, json.dumps({"access_token": "1000.a", **more}))

    grant = accounts.refresh(Secret("1000.r"))

    assert grant.expires_in == seconds
    assert (grant.scopes, grant.api_domain) == ((), "")


@pytest.mark.parametrize("scope", ["a.b c.d", "a.b,c.d", "a.b, c.d"])
def test_scopes_are_divided_by_spaces_or_commas(scope: str) -> None:
    accounts, _canned = canned_accounts(200, json.dumps({"access_token": "a", "scope": scope}))

    assert accounts.refresh(Secret("1000.r")).scopes == ("a.b", "c.d")


#: Body of the token endpoint: what it is to an exchange, and to a refresh.
REFUSALS: list[tuple[Json, type[ZohoError], type[ZohoError]]] = [
    ({"error": "invalid_code"}, GrantRefusedError, ConnectionLostError),
    ({"error": "invalid_grant"}, GrantRefusedError, ConnectionLostError),
    ({"error": "invalid_client"}, ClientRejectedError, ClientRejectedError),
    ({"error": "invalid_client_secret"}, ClientRejectedError, ClientRejectedError),
    ({"error": "invalid_redirect_uri"}, ClientRejectedError, ClientRejectedError),
    ({"error": "access_denied"}, TokenThrottledError, TokenThrottledError),
    (
        {"error_description": "Zu viele Anfragen.", "error": "Access Denied", "status": "failure"},
        TokenThrottledError,
        TokenThrottledError,
    ),
    ({"error": "an_error_of_tomorrow"}, ServerError, ServerError),
    ({"error": "general_error", "status": "error"}, ServerError, ServerError),
]


@pytest.mark.parametrize(("body", "by_exchange", "by_refresh"), REFUSALS, ids=str)
@pytest.mark.parametrize("status", [200, 400])
def test_the_token_endpoint_says_no_under_any_status(
    transport: Transport,
    code: Secret,
    status: int,
    body: Json,
    by_exchange: type[ZohoError],
    by_refresh: type[ZohoError],
) -> None:
    for on in ("exchange", "refresh"):
        transport.simulator.fail(on, "error_before", status=status, body=body)

    with pytest.raises(by_exchange) as exchanging:
        transport.accounts().exchange(code)
    with pytest.raises(by_refresh) as refreshing:
        transport.accounts().refresh(Secret("1000.r"))

    assert exchanging.value.code == refreshing.value.code == body["error"]
    assert exchanging.value.http_status == refreshing.value.http_status == status


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, "", TransportError),
        (200, "<html>", TransportError),
        (200, '{"access_token": "1000.', TransportError),
        (200, "{}", TransportError),
        (204, "", ServerError),
        (200, '{"access_token": ""}', ServerError),
        (200, '{"refresh_token": "1000.r"}', ServerError),
        (307, '{"access_token": "1000.a"}', ServerError),
        (400, "<h1>400 Bad Request</h1>", ServerError),
        (401, "", AccessTokenRejectedError),
        (500, "", ServerError),
        (502, "<html>", ServerError),
    ],
)
def test_an_answer_without_a_token_may_be_asked_for_again(
    status: int, body: str, kind: type[ZohoError]
) -> None:
    with pytest.raises(kind):
        canned_accounts(status, body)[0].refresh(Secret("1000.r"))


def test_the_eleventh_token_in_ten_minutes_is_denied(transport: Transport, code: Secret) -> None:
    refresh_token = transport.accounts().exchange(code).refresh_token
    for _ in range(10):
        transport.accounts().refresh(refresh_token)

    with pytest.raises(TokenThrottledError) as caught:
        transport.accounts().refresh(refresh_token)

    assert caught.value.code == "Access Denied"


def test_a_consent_that_was_taken_back_gives_no_more_tokens(
    transport: Transport, code: Secret
) -> None:
    refresh_token = transport.accounts().exchange(code).refresh_token

    transport.accounts().revoke(refresh_token)

    with pytest.raises(ConnectionLostError):
        transport.accounts().refresh(refresh_token)


def test_taking_back_what_is_gone_is_fine(transport: Transport) -> None:
    transport.accounts().revoke(Secret("1000.gone"))

    assert [call["status"] for call in transport.simulator.stats()["calls"]] == [400]


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, '{"status": "success"}'), (200, ""), (200, "OK"), (204, ""), (400, "<html>")],
)
def test_a_consent_is_taken_back_whatever_the_answer_looks_like(status: int, body: str) -> None:
    accounts, canned = canned_accounts(status, body)

    accounts.revoke(Secret("1000.r"))

    [request] = canned.requests
    assert (request.url, request.body) == (
        "https://accounts.zoho.eu/oauth/v2/token/revoke",
        "token=1000.r",
    )


@pytest.mark.parametrize(("status", "body"), [(500, ""), (503, "<html>"), (429, ""), (404, "")])
def test_a_consent_that_may_still_stand_is_not_said_to_be_gone(status: int, body: str) -> None:
    with pytest.raises(ZohoError):
        canned_accounts(status, body)[0].revoke(Secret("1000.r"))


def test_secrets_travel_in_the_body_and_never_in_the_address() -> None:
    accounts, canned = canned_accounts(200, '{"access_token": "1000.a"}')

    accounts.exchange(Secret("1000.c&d"), redirect_uri="https://crm.example/back/", verifier="v")

    [request] = canned.requests
    assert request.url == "https://accounts.zoho.eu/oauth/v2/token"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert int(request.headers["Content-Length"]) == len(request.body or "")
    assert parse_qs(str(request.body)) == {
        "grant_type": ["authorization_code"],
        "code": ["1000.c&d"],
        "redirect_uri": ["https://crm.example/back/"],
        "code_verifier": ["v"],
        "client_id": ["1000.CLIENT"],
        "client_secret": ["the-secret"],
    }


def test_a_self_client_names_no_address_to_return_to() -> None:
    accounts, canned = canned_accounts(200, '{"access_token": "1000.a"}')

    accounts.exchange(Secret("1000.c"))

    assert not {"redirect_uri", "code_verifier"} & parse_qs(str(canned.requests[0].body)).keys()


def test_a_person_is_asked_for_a_consent_that_can_be_renewed() -> None:
    accounts, _canned = canned_accounts(200, "")

    url = accounts.authorization_url(
        scopes=("a.b", "c.d"),
        redirect_uri="https://crm.example/back/?tenant=7",
        state=Secret("s&t"),
        code_challenge="challenge",
    )

    assert url.startswith("https://accounts.zoho.eu/oauth/v2/auth?")
    assert parse_qs(urlsplit(url).query) == {
        "response_type": ["code"],
        "client_id": ["1000.CLIENT"],
        "scope": ["a.b,c.d"],
        "redirect_uri": ["https://crm.example/back/?tenant=7"],
        "access_type": ["offline"],
        "prompt": ["consent"],
        "state": ["s&t"],
        "code_challenge": ["challenge"],
        "code_challenge_method": ["S256"],
    }
    assert "the-secret" not in url


def test_the_proof_of_the_client_is_left_out_where_it_is_switched_off() -> None:
    accounts, _canned = canned_accounts(200, "")

    url = accounts.authorization_url(
        scopes=("a.b",), redirect_uri="https://x.example/", state=Secret("s")
    )

    assert "challenge" not in url
