"""Signing requests: to known hosts only, with one refresh, over both transports."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import requests
from urllib3.util import parse_url

from tests.client.canned import Canned
from tests.client.conftest import Transport
from tests.client.raw import RawServer, answering, whole
from zoho_crm.client import TokenAuth, ZohoAuth, ZohoClient
from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    ConnectionLostError,
    PermissionDeniedError,
)
from zoho_crm.types import ConversionPlan, Converted, Secret

HOSTS = ("www.zohoapis.eu", "desk.zoho.eu")
REJECTED = b'{"code": "INVALID_TOKEN", "details": {}, "message": "no", "status": "error"}'


@dataclass
class Vault:
    """Access tokens that are given out in order; the rejected ones are kept in a list."""

    make: Callable[[], Secret]
    current: Secret = field(init=False)
    rejected: list[Secret] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.current = self.make()

    def renew(self, rejected: Secret) -> Secret:
        self.rejected.append(rejected)
        self.current = self.make()
        return self.current

    def auth(self, *hosts: str) -> ZohoAuth:
        return ZohoAuth(current=lambda: self.current, renew=self.renew, hosts=hosts)


@pytest.fixture
def vault() -> Vault:
    numbers = iter(range(100))
    return Vault(lambda: Secret(f"1000.token-{next(numbers)}"))


def connected(transport: Transport, scope: str = "") -> tuple[Vault, ZohoClient]:
    vault = Vault(partial(transport.token, scope))
    host = transport.simulator.origin.removeprefix("http://")
    return vault, ZohoClient(api=transport.api(vault.auth(host)))


def session_with(**adapters: Canned) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    for scheme, adapter in adapters.items():
        session.mount(f"{scheme}://", adapter)
    return session


def signature(url: str, vault: Vault) -> str | None:
    """Return how a request to that address is signed."""
    canned = Canned(200, b"{}")
    session_with(https=canned, http=canned).get(url, auth=vault.auth(*HOSTS, "127.0.0.1:8765"))
    signed = canned.requests[0].headers.get("Authorization")
    return None if signed is None else str(signed)


@pytest.mark.parametrize(
    "url",
    [
        "https://www.zohoapis.eu/crm/v8/Leads",
        "https://WWW.ZOHOAPIS.EU/crm/v8/Leads",
        "https://desk.zoho.eu/api/v1/tickets?limit=1",
        "http://127.0.0.1:8765/crm/v8/Leads",
    ],
)
def test_a_call_to_a_known_host_is_signed(vault: Vault, url: str) -> None:
    assert signature(url, vault) == "Zoho-oauthtoken 1000.token-0"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "https://www.zohoapis.eu.evil.example/",
        "https://evil.example/www.zohoapis.eu",
        "https://evil.example/?www.zohoapis.eu",
        "https://www.zohoapis.eu:8443/",
        "https://www.zohoapis.com/",
        "http://www.zohoapis.eu/",
        "http://127.0.0.1:9999/",
    ],
)
def test_a_call_to_anybody_else_is_not(vault: Vault, url: str) -> None:
    assert signature(url, vault) is None


@pytest.mark.parametrize(
    "url", ["https://www.zohoapis.eu@evil.example/", "https://u:p@evil.example/"]
)
def test_a_name_before_the_host_is_not_the_host(vault: Vault, url: str) -> None:
    signed = signature(url, vault)

    assert "1000.token" not in (signed or "")


@pytest.mark.parametrize(
    "url",
    [
        "https://www.zohoapis.eu./crm",
        "https://www.zohoapis.eu:80/crm",
        "https://www.zohoapis.eu:0443/crm",
        "https://evilwww.zohoapis.eu/",
        "https://evil.www.zohoapis.eu/",
        "https://zohoapis.eu/",
        "https://www-zohoapis.eu/",
        "https://www.zohoapis.eu.:443/",
        "https://www。zohoapis。eu.evil.example/",
        "https://www.zohoap\u0456s.eu/",
        "https://www.zohoapis.eu%2eevil.example/",
        "https://www.zohoapis.eu%00.evil.example/",
        "https://www.zohoapis.eu\\.evil.example/",
        "https://evil.example\\@www.zohoapis.eu/",
        "https://evil.example#@www.zohoapis.eu/",
        "https://evil.example?@www.zohoapis.eu/",
        "https://www.zohoapis.eu:443@evil.example/",
        "https://user:password@www.zohoapis.eu/",
        "https://www.zohoapis.eu@www.zohoapis.eu.evil.example/",
        "https://203.0.113.7/",
        "https://[::ffff:127.0.0.1]:8765/",
        "http://127.0.0.1.evil.example:8765/",
        "http://localhost:8765/",
        "http://127.1:8765/",
        "http://desk.zoho.eu/",
        "HTTP://WWW.ZOHOAPIS.EU/",
    ],
)
def test_no_spelling_of_an_address_gets_the_token_elsewhere(vault: Vault, url: str) -> None:
    canned = Canned(200, b"{}")
    session = session_with(https=canned, http=canned)

    with suppress(requests.exceptions.InvalidURL):
        session.get(url, auth=vault.auth(*HOSTS, "127.0.0.1:8765"))

    for request in canned.requests:
        if "1000.token" in request.headers.get("Authorization", ""):
            found = parse_url(str(request.url))
            assert (found.scheme, found.host, found.port) == ("https", "www.zohoapis.eu", None)


def test_a_host_of_the_settings_may_have_capital_letters(vault: Vault) -> None:
    canned = Canned(200, b"{}")

    session_with(https=canned).get("https://desk.zoho.eu/", auth=vault.auth("Desk.Zoho.EU"))

    assert "Authorization" in canned.requests[0].headers


class Redirecting(Canned):
    """Redirects each request to the next of some addresses; the last one answers with HTTP 401."""

    def __init__(self, *urls: str) -> None:
        super().__init__(401, REJECTED)
        self.urls = [*urls]

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        answer = super().send(request, *args, **kwargs)
        if self.urls:
            answer.status_code = 307
            answer.headers["Location"] = self.urls.pop(0)
        return answer


@pytest.mark.parametrize(
    "urls",
    [
        ["https://evil.example/"],
        ["http://www.zohoapis.eu/"],
        ["https://www.zohoapis.eu:8443/"],
        ["https://evil.example/", "https://www.zohoapis.eu/crm/v8/settings"],
        ["https://desk.zoho.eu/", "https://evil.example/"],
    ],
)
def test_a_redirect_to_another_origin_carries_no_signature(vault: Vault, urls: list[str]) -> None:
    canned = Redirecting(*urls)

    answer = session_with(https=canned, http=canned).post(
        "https://www.zohoapis.eu/crm/v8/Leads", data=b"{}", auth=vault.auth(*HOSTS)
    )

    assert answer.status_code == 401
    first, *others = canned.requests
    assert first.headers["Authorization"] == "Zoho-oauthtoken 1000.token-0"
    assert len(others) == len(urls)
    assert all("Authorization" not in request.headers for request in others)
    assert vault.rejected == []


def test_an_expired_token_is_renewed_and_the_call_made_again(transport: Transport) -> None:
    vault, client = connected(transport)
    first = vault.current
    transport.simulator.world.grants.revoke(first.reveal())

    assert client.organisation().id == transport.simulator.organisation.id
    assert vault.rejected == [first]
    assert client.current_user()
    assert vault.rejected == [first]


def test_a_second_401_is_the_answer(transport: Transport) -> None:
    vault, client = connected(transport)
    body = {"code": "INVALID_TOKEN", "details": {}, "message": "no", "status": "error"}
    transport.simulator.fail("org", "error_before", times=None, status=401, body=body)

    with pytest.raises(AccessTokenRejectedError):
        client.organisation()

    assert len(vault.rejected) == 1
    counted = [
        call for call in transport.simulator.stats()["calls"] if call["path"].endswith("/org")
    ]
    assert [(call["status"], call["count"]) for call in counted] == [(401, 2)]


def test_a_missing_scope_is_no_reason_to_renew(transport: Transport) -> None:
    vault, client = connected(transport, "ZohoCRM.users.READ")

    with pytest.raises(PermissionDeniedError):
        client.organisation()

    assert vault.rejected == []


def test_a_conversion_that_was_turned_away_is_sent_once_more(transport: Transport) -> None:
    lead_id = transport.simulator.story("no_match")
    vault, client = connected(transport)
    transport.simulator.world.grants.revoke(vault.current.reveal())

    assert isinstance(client.leads.convert(lead_id, ConversionPlan()), Converted)
    assert len(transport.simulator.conversions_of(lead_id)) == 1


def test_what_keeps_a_token_from_being_renewed_reaches_the_caller(
    transport: Transport,
) -> None:
    vault, client = connected(transport)
    transport.simulator.world.grants.revoke(vault.current.reveal())

    def lost() -> Secret:
        raise ConnectionLostError

    vault.make = lost

    with pytest.raises(ConnectionLostError):
        client.organisation()


@pytest.mark.parametrize("status", [302, 307])
def test_who_we_are_redirected_to_is_not_signed_for_even_if_it_asks(
    vault: Vault, status: int
) -> None:
    head = b"Location: %s\r\n"
    with RawServer(answering(*[whole(REJECTED, status="401 Unauthorized")] * 2)) as evil:
        redirect = whole(b"", status=f"{status} T", head=head % f"{evil.origin}/".encode())
        with RawServer(answering(redirect)) as zoho, requests.Session() as session:
            session.trust_env = False
            answer = session.get(zoho.origin, auth=vault.auth(zoho.host), timeout=5)

    assert answer.status_code == 401
    assert b"Zoho-oauthtoken" in zoho.requests[0]
    assert len(evil.requests) == 1
    assert b"1000.token" not in evil.requests[0]
    assert vault.rejected == []


def test_other_hooks_of_the_caller_still_run(vault: Vault) -> None:
    seen: list[int] = []

    def look(response: requests.Response, **_more: Any) -> None:
        seen.append(response.status_code)

    session = session_with(https=Canned(401, REJECTED))

    answer = session.get(
        "https://www.zohoapis.eu/crm/v8/org", auth=vault.auth(*HOSTS), hooks={"response": look}
    )

    assert seen == [401]
    assert len(answer.history) == 1
    assert answer.request.headers["Authorization"] == "Zoho-oauthtoken 1000.token-1"


def test_a_session_signs_each_call_with_the_token_of_the_moment(vault: Vault) -> None:
    canned = Canned(200, b"{}")
    session = session_with(https=canned)
    session.auth = vault.auth(*HOSTS)

    session.get("https://www.zohoapis.eu/1")
    vault.renew(vault.current)
    session.get("https://www.zohoapis.eu/2")

    signatures = [request.headers["Authorization"] for request in canned.requests]
    assert signatures == ["Zoho-oauthtoken 1000.token-0", "Zoho-oauthtoken 1000.token-1"]


def test_signatures_do_not_show_their_token(vault: Vault) -> None:
    for auth in (TokenAuth(vault.current), vault.auth(*HOSTS)):
        assert "1000.token" not in repr(auth)
        assert "1000.token" not in repr(vars(auth))
