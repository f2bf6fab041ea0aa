"""Calls through a proxy, to a server whose certificate a file vouches for."""

from __future__ import annotations

import base64
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.raw import (
    RawServer,
    Treatment,
    answering,
    closing_after,
    dripping,
    silent,
    tunnel,
    whole,
)
from tests.client.tls import Certificate, certificate
from zoho_crm.client import Api, Limits, TokenAuth, ZohoClient, open_session
from zoho_crm.exceptions import TransportError, UnknownOutcomeError, ZohoError
from zoho_crm.types import ConversionPlan, Secret

HOST = "www.zohoapis.example"
ANSWER = whole(b'{"fields": []}')
REFUSAL = b"HTTP/1.1 407 the-words-of-the-proxy\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("tls") / "trusted.pem", HOST)


@pytest.fixture
def zoho(trusted: Certificate) -> Iterator[RawServer]:
    """A server of ``HOST``, which only the proxy can find."""
    with RawServer(answering(ANSWER, ANSWER), trusted.server()) as server:
        yield server


PATIENT = Limits(connect=30, deadline=60)
#: For a proxy that never answers.
IMPATIENT = Limits(connect=0.5, deadline=2)


def client_of(
    proxy: str,
    ca_bundle: object = "",
    *,
    origin: str = f"https://{HOST}",
    limits: Limits = PATIENT,
) -> ZohoClient:
    session = open_session(proxy=Secret(proxy), ca_bundle=str(ca_bundle))
    auth = TokenAuth(Secret("1000.token"))
    return ZohoClient(api=Api(origin=origin, session=session, auth=auth, limits=limits))


def with_password(proxy: RawServer) -> str:
    return f"http://somebody:hunter2@{proxy.host}"


def converting(client: ZohoClient) -> ZohoError:
    with pytest.raises(ZohoError) as caught:
        client.leads.convert("1", ConversionPlan())
    return caught.value


def test_a_call_goes_through_the_proxy_and_its_password_no_further(
    zoho: RawServer, trusted: Certificate
) -> None:
    with RawServer(tunnel(zoho)) as proxy:
        client = client_of(with_password(proxy), trusted.path)
        client.mapped_lead_fields()
        client.mapped_lead_fields()

    (connect,) = proxy.requests
    password = base64.b64encode(b"somebody:hunter2")
    assert connect.startswith(f"CONNECT {HOST}:443 ".encode())
    assert b"Proxy-Authorization: Basic " + password in connect
    assert b"1000.token" not in connect
    assert len(zoho.requests) == 2
    assert all(b"Authorization: Zoho-oauthtoken 1000.token" in sent for sent in zoho.requests)
    assert all(b"proxy" not in sent.lower() for sent in zoho.requests)


def test_a_host_on_this_machine_is_called_without_the_proxy(trusted: Certificate) -> None:
    with RawServer(silent) as proxy, RawServer(answering(ANSWER)) as plain:
        client_of(with_password(proxy), origin=plain.origin).mapped_lead_fields()
        with RawServer(answering(ANSWER), trusted.server()) as secured:
            client_of(
                with_password(proxy), trusted.path, origin=secured.origin
            ).mapped_lead_fields()

    assert proxy.connections == 0


def test_a_certificate_that_is_not_in_the_file_is_not_accepted(
    zoho: RawServer, tmp_path: Path
) -> None:
    other = certificate(tmp_path / "other.pem", HOST)

    with RawServer(tunnel(zoho)) as proxy:
        errors = [
            converting(client_of(with_password(proxy), bundle)) for bundle in ("", other.path)
        ]

    for error in errors:
        assert type(error) is TransportError
        assert "SSLCertVerificationError, errno 1" in str(error)
    assert zoho.requests == []


@pytest.mark.parametrize(
    "treat",
    [
        closing_after(REFUSAL),
        closing_after(b""),
        silent,
        dripping(b"HTTP/1.1 200 Connected\r\nX-Drip: "),
    ],
    ids=["refuses", "closes", "is silent", "drips"],
)
def test_what_a_proxy_does_not_let_through_was_surely_not_sent(treat: Treatment) -> None:
    with RawServer(treat) as proxy:
        error = converting(client_of(with_password(proxy), limits=IMPATIENT))

    assert type(error) is TransportError


def test_a_proxy_that_is_down(trusted: Certificate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    error = converting(client_of(f"http://somebody:hunter2@127.0.0.1:{port}"))

    assert type(error) is TransportError
    assert f"{HOST}/crm/v8/Leads/1/actions/convert: ProxyError" in str(error)
    assert "(ConnectionRefusedError, errno 111)" in str(error)


def test_an_answer_that_is_lost_behind_the_proxy_is_in_doubt(trusted: Certificate) -> None:
    with (
        RawServer(closing_after(b""), trusted.server()) as zoho,
        RawServer(tunnel(zoho)) as proxy,
    ):
        error = converting(client_of(with_password(proxy), trusted.path))

    assert type(error) is UnknownOutcomeError
    assert len(zoho.requests) == 1


def test_an_error_names_the_status_of_the_proxy_and_neither_its_words_nor_the_password() -> None:
    with RawServer(closing_after(REFUSAL)) as proxy:
        error = converting(client_of(with_password(proxy)))

    assert "the proxy answered 407" in str(error)
    told = "".join(traceback.format_exception(error)) + repr(error)
    assert "hunter2" not in told
    assert base64.b64encode(b"somebody:hunter2").decode() not in told
    assert "the-words-of-the-proxy" not in str(error)


def test_a_url_that_is_of_no_proxy_is_no_doubt() -> None:
    assert type(converting(client_of("http://"))) is TransportError
