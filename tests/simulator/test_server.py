"""The HTTP server, where it differs from the transport in process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
import requests

from tests.simulator.conftest import Caller
from zoho_crm.simulator import Server, Simulator, SimulatorSettings


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Simulator(SimulatorSettings(leads=0))) as running:
        yield running


def send(origin: str, text: str | bytes, *, end: bool = False) -> bytes:
    """Send text, then end of input if ``end``; return all bytes until the server closes."""
    host, _, port = origin.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(text.encode() if isinstance(text, str) else text)
        if end:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_only_this_machine_is_served(server: Server) -> None:
    assert server.origin.startswith("http://127.0.0.1:")
    assert server.simulator.origin == server.origin


def test_a_connection_is_kept_for_the_next_call(server: Server) -> None:
    text = "GET /_simulator/story HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    last = "GET /_simulator/story HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"

    answers = send(server.origin, text + last)

    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.count(b"Connection: close") == 1


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]"])
def test_any_loopback_name_is_this_zoho(server: Server, host: str) -> None:
    answer = send(
        server.origin, f"GET /crm/v8/org HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )

    assert b"AUTHENTICATION_FAILURE" in answer


@pytest.mark.parametrize("host", ["www.zohoapis.example", "[", ""])
def test_any_other_name_is_not(server: Server, host: str) -> None:
    answer = send(
        server.origin, f"GET /crm/v8/org HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )

    assert b"INVALID_HOST" in answer


def test_a_path_is_not_taken_for_a_host(server: Server) -> None:
    answer = send(
        server.origin, "GET //[crm/v8/org HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )

    assert b"INVALID_URL_PATTERN" in answer


@pytest.mark.parametrize(
    "header",
    [
        "Content-Length: 99999999",
        "Content-Length: many",
        "Content-Length: \N{SUPERSCRIPT TWO}",
        "Transfer-Encoding: chunked",
    ],
)
def test_a_body_that_is_too_large_or_has_no_size_is_refused(server: Server, header: str) -> None:
    head = f"POST /crm/v8/Leads HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n"

    answer = send(server.origin, head.encode("latin-1"))

    assert answer.startswith(b"HTTP/1.1 413")
    assert b"REQUEST_ENTITY_TOO_LARGE" in answer


def test_a_head_has_no_body(server: Server) -> None:
    answer = requests.head(f"{server.origin}/crm/v8/org", timeout=5)

    assert (answer.status_code, answer.content) == (400, b"")
    assert int(answer.headers["Content-Length"]) > 0


def test_a_stopped_server_closes_kept_alive_connections() -> None:
    simulator = Simulator(SimulatorSettings(leads=0))
    with Server(simulator) as running, requests.Session() as session:
        session.get(f"{running.origin}/oauth/serverinfo", timeout=5)
        running.stop()

        with pytest.raises(requests.ConnectionError):
            session.get(f"{running.origin}/oauth/serverinfo", timeout=5)


def test_a_client_that_disconnects_does_not_affect_others(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    server.simulator.fail("serverinfo", "drip", seconds=0.01)
    host, _, port = server.origin.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)), timeout=5)
    connection.sendall(b"GET /oauth/serverinfo HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.recv(1)
    connection.close()

    assert requests.get(f"{server.origin}/oauth/serverinfo", timeout=5).status_code == 200
    assert "Traceback" not in capfd.readouterr().err


@pytest.fixture
def connected(start: Callable[..., Caller]) -> Iterator[Caller]:
    """Yield a caller with a token, over HTTP."""
    caller = start()
    with Server(caller.simulator), requests.Session() as session:
        yield Caller(caller.simulator, session, caller.headers)


def convert_request(caller: Caller, kind: str) -> bytes:
    """Return the bytes of a request that converts a new lead, single or in a job."""
    lead_id = caller.simulator.story("no_match")
    path, body = f"/Leads/{lead_id}/actions/convert", {"data": [{}]}
    if kind == "mass_convert":
        assign_to = {"id": caller.simulator.organisation.current_user["id"]}
        path, body = "/Leads/actions/mass_convert", {"ids": [lead_id], "assign_to": assign_to}
    url = f"{caller.simulator.origin}/crm/v8{path}"
    request = requests.Request("POST", url, headers=caller.headers, json=body).prepare()
    lines = [f"POST {request.path_url} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    head = "\r\n".join((*lines, "", "")).encode()
    return head + (request.body if isinstance(request.body, bytes) else b"")


END_OF_HEAD = b"\r\n\r\n"
INCOMPLETE_REQUESTS = {
    "in its first line": lambda request: request[:20],
    "in a header": lambda request: request[: request.index(b"Content-Length") + 9],
    "after a header": lambda request: request[: request.index(b"Content-Length")],
    "before its body": lambda request: request[: request.index(END_OF_HEAD) + len(END_OF_HEAD)],
    "in its body": lambda request: request[:-4],
}


@pytest.mark.parametrize("kind", ["convert", "mass_convert"])
@pytest.mark.parametrize("where", INCOMPLETE_REQUESTS)
def test_an_incomplete_request_is_dropped(connected: Caller, kind: str, where: str) -> None:
    zoho = connected.simulator
    request = convert_request(connected, kind)
    fault = zoho.fail(kind, "error_before")
    before = zoho.stats()

    answer = send(zoho.origin, INCOMPLETE_REQUESTS[where](request), end=True)

    assert answer == b""
    assert zoho.ledger() == {"conversions": [], "calls": []}
    assert zoho.stats() == before
    assert fault.times == 1

    zoho.heal()
    assert send(zoho.origin, request).startswith(b"HTTP/1.1 20")
    assert len(zoho.ledger()["conversions"]) == 1


def test_an_error_is_printed_to_stderr_and_closes_the_connection(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    lead = server.simulator.add_lead()
    lead["Created_Time"] = {"not": object()}
    code = server.simulator.grant_code()
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": "1000.SIMULATOR",
        "client_secret": "simulator-secret",
    }
    token = requests.post(f"{server.origin}/oauth/v2/token", data=form, timeout=5).json()
    headers = {"Authorization": f"Zoho-oauthtoken {token['access_token']}"}

    with pytest.raises(requests.ConnectionError):
        requests.get(f"{server.origin}/crm/v8/Leads/{lead.id}", headers=headers, timeout=5)

    assert "TypeError" in capfd.readouterr().err


def test_a_taken_port_is_an_error(server: Server) -> None:
    port = int(server.origin.rpartition(":")[2])

    with pytest.raises(OSError, match="in use"):
        Server(Simulator(SimulatorSettings(leads=0)), port=port)
