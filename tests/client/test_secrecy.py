"""No variable that an error reporter shows holds a secret."""

from __future__ import annotations

import pytest
import requests

from tests.client.conftest import Transport
from tests.client.raw import RawServer, answering, closing_after, endless, whole
from tests.reporter import shown_by
from zoho_crm.client import AccountsClient, Api, Credentials, Limits, TokenAuth, ZohoClient
from zoho_crm.exceptions import ZohoError
from zoho_crm.simulator import CLIENT_SECRET
from zoho_crm.types import ConversionPlan, Secret

CLIENT = Credentials(client_id="1000.CLIENT", client_secret=Secret("the-client-secret"))
REFRESH_TOKEN = Secret("1000.refresh")
ACCESS_TOKEN = Secret("1000.access")
SECRETS = ("the-client-secret", "1000.refresh", "1000.access", "1000.new")
GRANTED = b'{"access_token": "1000.new", "refresh_token": "1000.new", "expires_in": 3600}'


NO_GOOD = {
    "nothing": closing_after(b""),
    "half an answer": closing_after(endless() + GRANTED[:-5]),
    "less than promised": closing_after(
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + GRANTED
    ),
    "code": answering(whole(b'{"error": "invalid_code"}')),
    "client": answering(whole(b'{"error": "invalid_client"}')),
    "throttled": answering(whole(b'{"error": "Access Denied"}')),
    "redirect": answering(whole(b"", status="307 Temporary Redirect")),
    "page": answering(whole(b"<html>", status="502 Bad Gateway")),
    "no access token": answering(whole(b'{"refresh_token": "1000.refresh"}')),
}


@pytest.mark.parametrize("trouble", NO_GOOD)
def test_a_failed_call_to_the_token_endpoint_shows_no_secret(
    session: requests.Session, trouble: str
) -> None:
    with RawServer(NO_GOOD[trouble]) as server:
        limits = Limits(deadline=5)
        api = Api(origin=server.origin, session=session, limits=limits)
        accounts = AccountsClient(api=api, credentials=CLIENT)
        with pytest.raises(ZohoError) as caught:
            accounts.refresh(REFRESH_TOKEN)

    shown = shown_by(caught.value)
    assert "_accounts.py" in shown
    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize("trouble", ["nothing", "page"])
def test_a_failed_call_to_the_crm_shows_no_token(session: requests.Session, trouble: str) -> None:
    with RawServer(NO_GOOD[trouble]) as server:
        auth = TokenAuth(ACCESS_TOKEN)
        client = ZohoClient(api=Api(origin=server.origin, session=session, auth=auth))
        with pytest.raises(ZohoError) as caught:
            client.leads.convert("1", ConversionPlan())

    assert "1000.access" not in shown_by(caught.value)


def test_a_call_without_a_server_shows_no_secret(session: requests.Session) -> None:
    api = Api(origin="https://127.0.0.1:1", session=session)

    with pytest.raises(ZohoError) as caught:
        AccountsClient(api=api, credentials=CLIENT).exchange(REFRESH_TOKEN)

    assert not [secret for secret in SECRETS if secret in shown_by(caught.value)]


def test_nothing_that_travels_shows_a_secret(in_process: Transport) -> None:
    accounts = in_process.accounts()
    grant = accounts.exchange(Secret(in_process.simulator.grant_code()))
    client = in_process.client()

    shown = f"{accounts!r} {grant!r} {client!r} {client.api.auth!r} {client.leads!r}"

    assert CLIENT_SECRET not in shown
    assert grant.access_token.reveal() not in shown
    assert grant.refresh_token.reveal() not in shown
