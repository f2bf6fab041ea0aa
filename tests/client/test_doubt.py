"""
Which failed conversions were certainly not processed, and which have an unknown outcome.

A read that failed may always be repeated.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import requests

from tests.client.conftest import Transport
from tests.client.raw import (
    RawServer,
    Treatment,
    answering,
    closing_after,
    dripping,
    endless,
    silent,
    whole,
)
from tests.client.tls import Certificate, certificate
from zoho_crm.client import Api, Limits, TokenAuth, ZohoClient
from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    PermissionDeniedError,
    RateLimitError,
    TransientError,
    TransportError,
    UnknownOutcomeError,
    ZohoError,
)
from zoho_crm.types import ConversionPlan, Secret

SUCCESS = (
    b'{"data": [{"code": "SUCCESS", "details": {"Contacts": {"id": "1"}}, "status": "success"}]}'
)


@pytest.fixture
def client_at(session: requests.Session) -> Callable[..., ZohoClient]:
    """A client of the server at an origin, with short time-outs."""

    def client_at(origin: str, *, deadline: float = 0.5, connect: float = 0.5) -> ZohoClient:
        limits = Limits(connect=connect, deadline=deadline, size=10_000)
        auth = TokenAuth(Secret("1000.token"))
        return ZohoClient(api=Api(origin=origin, session=session, auth=auth, limits=limits))

    return client_at


@pytest.fixture
def trusted(tmp_path: Path, session: requests.Session) -> Certificate:
    """The certificate of a server that the session trusts."""
    mine = certificate(tmp_path / "trusted.pem")
    session.verify = str(mine.path)
    return mine


@pytest.fixture
def refused_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def full_port() -> Iterator[str]:
    """A port whose queue is full, so that a connection is never made."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        for _ in range(4):
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"


def convert(client: ZohoClient) -> ZohoError:
    with pytest.raises(ZohoError) as caught:
        client.leads.convert("1", ConversionPlan())
    return caught.value


def read(client: ZohoClient) -> ZohoError:
    with pytest.raises(ZohoError) as caught:
        client.leads.get_many(["1"])
    return caught.value


# Surely not processed


def test_a_port_that_refuses(client_at: Callable[..., ZohoClient], refused_port: str) -> None:
    assert type(convert(client_at(refused_port))) is TransportError
    assert type(read(client_at(refused_port))) is TransportError


def test_a_host_without_an_address(client_at: Callable[..., ZohoClient]) -> None:
    error = convert(client_at("http://no-such-host.invalid"))

    assert type(error) is TransportError


def test_a_connection_that_is_never_made(
    client_at: Callable[..., ZohoClient], full_port: str
) -> None:
    assert type(convert(client_at(full_port, deadline=5, connect=0.2))) is TransportError


def test_a_certificate_that_is_not_trusted(
    client_at: Callable[..., ZohoClient], trusted: Certificate, tmp_path: Path
) -> None:
    stranger = certificate(tmp_path / "stranger.pem")

    with RawServer(answering(whole(SUCCESS)), stranger.server()) as server:
        error = convert(client_at(server.origin, deadline=5, connect=5))

    assert type(error) is TransportError
    assert server.requests == []


def closes_at_once(connection: socket.socket, server: RawServer) -> None:
    connection.recv(1)


def talks_plainly(connection: socket.socket, server: RawServer) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    connection.recv(1000)


def resets(connection: socket.socket, server: RawServer) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def shakes_no_hand(connection: socket.socket, server: RawServer) -> None:
    server.stopping.wait(30)


@pytest.mark.parametrize("treat", [closes_at_once, talks_plainly, resets, shakes_no_hand])
def test_a_hand_shake_that_fails(client_at: Callable[..., ZohoClient], treat: Treatment) -> None:
    with RawServer(treat) as server:
        origin = server.origin.replace("http:", "https:")
        error = convert(client_at(origin, deadline=5, connect=0.5))

    assert type(error) is TransportError


def test_leave_to_send_that_is_withdrawn_while_a_connection_is_made(
    client_at: Callable[..., ZohoClient],
) -> None:
    answers = iter([True, False])

    with RawServer(answering(whole(SUCCESS))) as server, pytest.raises(TransportError):
        client_at(server.origin, deadline=5).leads.convert(
            "1", ConversionPlan(), may_send=lambda: next(answers)
        )

    assert list(answers) == []
    assert server.requests == []


def test_leave_to_send_is_asked_for_on_a_connection_that_stands_already(
    client_at: Callable[..., ZohoClient],
) -> None:
    asked: list[int] = []

    def may_send() -> bool:
        asked.append(len(server.requests))
        return True

    with RawServer(answering(whole(SUCCESS), whole(SUCCESS))) as server:
        client = client_at(server.origin, deadline=5)
        client.leads.convert("1", ConversionPlan(), may_send=may_send)
        client.leads.convert("1", ConversionPlan(), may_send=may_send)

    assert asked == [0, 0, 1, 1]
    assert server.connections == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "INVALID_TOKEN", AccessTokenRejectedError),
        (429, "TOO_MANY_REQUESTS", RateLimitError),
        (403, "NO_PERMISSION", PermissionDeniedError),
        (401, "OAUTH_SCOPE_MISMATCH", PermissionDeniedError),
    ],
)
def test_a_clear_no_at_the_gate(
    transport: Transport, status: int, code: str, kind: type[ZohoError]
) -> None:
    lead_id = transport.simulator.story("no_match")
    client = transport.client()
    body = {"code": code, "details": {}, "message": "no", "status": "error"}
    transport.simulator.fail("convert", "error_before", status=status, body=body)

    with pytest.raises(kind):
        client.leads.convert(lead_id, ConversionPlan())

    assert client.leads.convert(lead_id, ConversionPlan())


# In doubt


@pytest.mark.parametrize(
    ("do", "order"),
    [
        ("close_before", {}),
        ("close_after", {}),
        ("error_before", {}),
        ("error_after", {}),
        ("delay", {"seconds": 2}),
        ("late", {"seconds": 60}),
        ("truncate", {}),
        ("html", {}),
        ("html", {"status": 503}),
        ("empty", {}),
        ("error_after", {"status": 200, "body": {"data": []}}),
    ],
    ids=str,
)
def test_an_answer_that_is_lost_before_or_after_the_effect(
    transport: Transport, do: str, order: dict[str, object]
) -> None:
    lead_id = transport.simulator.story("no_match")
    client = transport.client(deadline=1)
    transport.simulator.fail("convert", do, **order)

    with pytest.raises(UnknownOutcomeError):
        client.leads.convert(lead_id, ConversionPlan())


@pytest.mark.parametrize("part", ["header", "body"])
def test_an_answer_that_drips(over_http: Transport, part: str) -> None:
    lead_id = over_http.simulator.story("no_match")
    client = over_http.client(deadline=1)
    over_http.simulator.fail("convert", "drip", seconds=0.02, body=part)

    with pytest.raises(UnknownOutcomeError):
        client.leads.convert(lead_id, ConversionPlan())


@pytest.mark.parametrize("do", ["close_before", "delay", "truncate", "html", "error_before"])
def test_a_read_that_went_wrong_may_be_repeated(transport: Transport, do: str) -> None:
    lead_id = transport.simulator.story("no_match")
    client = transport.client(deadline=1)
    transport.simulator.fail("leads_list", do, seconds=2)

    with pytest.raises(TransientError):
        client.leads.get_many([lead_id])

    assert lead_id in client.leads.get_many([lead_id])


def closes_without_reading(connection: socket.socket, server: RawServer) -> None:
    connection.recv(10)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def closes_after_reading(connection: socket.socket, server: RawServer) -> None:
    server.receive(connection)


AMBIGUOUS = {
    "nothing is said": silent,
    "closed after the request": closes_after_reading,
    "reset within the request": closes_without_reading,
    "a drip of the status line": dripping(b"HTTP/1.1 200 OK"),
    "a drip of headers": dripping(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x"),
    "headers without end": dripping(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", 0.001),
    "a header without end": dripping(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 9000, 0.001),
    "a drip of the body": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"),
    "a drip of a body without length": dripping(endless()),
    "a drip of chunks": dripping(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"
    ),
    "a drip of a chunk's size": dripping(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"
    ),
    "a body without end": dripping(endless(), b"x" * 5000, 0.001),
    "a body beyond its size": answering(whole(b" " * 20_000 + SUCCESS)),
    "a body shorter than its length": closing_after(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + SUCCESS
    ),
    "a body cut without a length": closing_after(endless() + SUCCESS[:-10]),
    "chunks without a last one": closing_after(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}   \r\n"
    ),
    "no HTTP": closing_after(b"SSH-2.0-OpenSSH\r\n"),
    "a damaged encoding": answering(whole(b"damaged", head=b"Content-Encoding: gzip\r\n")),
    "two lengths": closing_after(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}"
    ),
    "a temporary redirect": answering(
        whole(SUCCESS, status="307 Temporary Redirect", head=b"Location: /elsewhere\r\n")
    ),
}


@pytest.mark.parametrize("treat", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_an_answer_that_does_not_come_whole_and_in_time(
    client_at: Callable[..., ZohoClient], treat: Treatment
) -> None:
    with RawServer(treat) as server:
        error = convert(client_at(server.origin))
        by_read = read(client_at(server.origin))

    assert type(error) is UnknownOutcomeError
    assert isinstance(by_read, TransientError)
    assert len(server.requests) <= 2


def breaks_the_encryption(connection: socket.socket, server: RawServer) -> None:
    server.receive(connection)
    # Past the encryption, onto the wire.
    plain = socket.socket(fileno=connection.detach())
    plain.sendall(b"this is no record of TLS")
    server.stopping.wait(30)
    plain.close()


@pytest.mark.parametrize(
    "treat",
    [breaks_the_encryption, silent, closes_after_reading, dripping(endless())],
)
def test_an_encrypted_answer_that_breaks_after_the_request(
    client_at: Callable[..., ZohoClient], trusted: Certificate, treat: Treatment
) -> None:
    with RawServer(treat, trusted.server()) as server:
        error = convert(client_at(server.origin, deadline=2, connect=2))

    assert type(error) is UnknownOutcomeError
    assert len(server.requests) == 1


def test_an_encrypted_answer_arrives(
    client_at: Callable[..., ZohoClient], trusted: Certificate
) -> None:
    with RawServer(closing_after(endless() + SUCCESS), trusted.server()) as server:
        client = client_at(server.origin, deadline=5, connect=5)
        assert client.leads.convert("1", ConversionPlan())


def test_a_connection_that_the_server_has_closed_meanwhile_is_made_anew(
    client_at: Callable[..., ZohoClient],
) -> None:
    gone = threading.Event()

    def treat(connection: socket.socket, server: RawServer) -> None:
        server.receive(connection)
        connection.sendall(whole(SUCCESS))
        connection.close()
        gone.set()

    with RawServer(treat) as server:
        client = client_at(server.origin, deadline=5)
        client.leads.convert("1", ConversionPlan())
        gone.wait(5)

        assert client.leads.convert("2", ConversionPlan())

    assert server.connections == 2
