"""What the session sends with a call, and what it does not."""

from __future__ import annotations

import gzip
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import requests

from tests.client.conftest import Transport
from tests.client.raw import RawServer, answering, closing_after, dripping, endless, whole
from zoho_crm.client import AccountsClient, Api, Credentials, Limits, TokenAuth, ZohoClient
from zoho_crm.exceptions import ServerError, TransportError
from zoho_crm.types import Secret

GRANT = b'{"access_token": "1000.a", "expires_in": 3600}'


@pytest.fixture
def api_at(session: requests.Session) -> Callable[..., Api]:
    def api_at(origin: str, **limits: float) -> Api:
        bounds = Limits(**{"connect": 2, "deadline": 5, "size": 10_000, **limits})
        auth = TokenAuth(Secret("1000.token"))
        return Api(origin=origin, session=session, auth=auth, limits=bounds)

    return api_at


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 T", "308 P"])
def test_a_redirect_is_not_followed_and_the_secret_is_not_posted_again(
    api_at: Callable[..., Api], status: str
) -> None:
    with RawServer(answering(whole(GRANT))) as evil:
        head = f"Location: {evil.origin}/oauth/v2/token\r\n".encode()
        with RawServer(answering(whole(GRANT, status=status, head=head))) as zoho:
            api = api_at(zoho.origin)
            credentials = Credentials(client_id="1000.C", client_secret=Secret("the-secret"))
            accounts = AccountsClient(api=api, credentials=credentials)
            with pytest.raises(ServerError):
                accounts.refresh(Secret("1000.r"))

    assert b"client_secret=the-secret" in zoho.requests[0]
    assert evil.connections == 0


def test_the_signature_is_ours_and_not_of_a_netrc_file(
    api_at: Callable[..., Api], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    with RawServer(answering(whole(b"{}"), whole(b"{}"))) as server:
        signed = api_at(server.origin)
        unsigned = Api(origin=server.origin, session=signed.session)
        for api in (signed, unsigned):
            with pytest.raises(TransportError):
                api.call("GET", "/")

    assert b"Authorization: Zoho-oauthtoken 1000.token\r\n" in server.requests[0]
    assert b"authorization" not in server.requests[1].lower()


def test_no_proxy_of_the_environment_is_asked(
    api_at: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(answering(whole(GRANT))) as proxy, RawServer(answering(whole(GRANT))) as zoho:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.origin)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        api_at(zoho.origin).call("GET", "/")

    assert proxy.connections == 0
    assert len(zoho.requests) == 1


def test_cookies_are_not_kept(api_at: Callable[..., Api]) -> None:
    head = b"Set-Cookie: session=1; Path=/\r\n"

    with RawServer(answering(whole(GRANT, head=head), whole(GRANT))) as server:
        api = api_at(server.origin)
        api.call("GET", "/")
        api.call("GET", "/")

    assert not api.session.cookies
    assert b"cookie" not in server.requests[1].lower()


def test_every_call_says_who_we_are(api_at: Callable[..., Api]) -> None:
    with RawServer(answering(whole(GRANT))) as server:
        api_at(server.origin).call("GET", "/")

    assert b"User-Agent: django-zoho-crm\r\n" in server.requests[0]


def test_an_answer_is_read_to_the_end_of_its_connection(api_at: Callable[..., Api]) -> None:
    with RawServer(closing_after(endless() + GRANT)) as server:
        assert api_at(server.origin).call("GET", "/")["access_token"] == "1000.a"


def test_an_answer_of_http_1_0_is_read(api_at: Callable[..., Api]) -> None:
    with RawServer(closing_after(b"HTTP/1.0 200 OK\r\n\r\n" + GRANT)) as server:
        assert api_at(server.origin).call("GET", "/")["access_token"] == "1000.a"


def test_an_answer_in_chunks_is_read(api_at: Callable[..., Api]) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"%x\r\n%s\r\n0\r\n\r\n" % (len(GRANT), GRANT)

    with RawServer(answering(chunked, chunked)) as server:
        api = api_at(server.origin)
        assert api.call("GET", "/")["access_token"] == "1000.a"
        assert api.call("GET", "/")["access_token"] == "1000.a"

    assert server.connections == 1


def test_a_small_answer_that_unfolds_beyond_measure_is_given_up(
    api_at: Callable[..., Api],
) -> None:
    bomb = gzip.compress(b" " * 10_000_000 + GRANT)

    with (
        RawServer(answering(whole(bomb, head=b"Content-Encoding: gzip\r\n"))) as server,
        pytest.raises(TransportError, match="ContentDecodingError"),
    ):
        api_at(server.origin).call("GET", "/")

    assert len(bomb) < 10_000


def test_an_answer_of_the_largest_size_is_read(api_at: Callable[..., Api]) -> None:
    body = b" " * (10_000 - len(GRANT)) + GRANT

    with RawServer(answering(whole(body))) as server:
        assert api_at(server.origin).call("GET", "/")["access_token"] == "1000.a"


def test_connections_are_kept_and_shared_between_threads(api_at: Callable[..., Api]) -> None:
    with RawServer(answering(*[whole(GRANT)] * 20)) as server:
        api = api_at(server.origin)
        threads = [threading.Thread(target=api.call, args=("GET", "/")) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for _ in range(16):
            api.call("GET", "/")

    assert len(server.requests) == 20
    assert server.connections <= 4


def test_of_answers_that_were_under_way_together_the_smallest_figure_of_credits_is_kept(
    api_at: Callable[..., Api],
) -> None:
    overtaken = threading.Event()

    def treat(connection: socket.socket, server: RawServer) -> None:
        mine = server.connections
        server.receive(connection)
        if mine == 1:
            overtaken.wait(5)
        left = {1: 6, 2: 1, 3: 5_000}[mine]
        head = f"X-API-CREDITS-REMAINING: {left}\r\nConnection: close\r\n".encode()
        connection.sendall(whole(GRANT, head=head))

    with RawServer(treat) as server:
        api = api_at(server.origin)
        slow = threading.Thread(target=api.call, args=("GET", "/"))
        slow.start()
        while not server.requests:
            time.sleep(0.001)
        api.call("GET", "/")
        overtaken.set()
        slow.join()
        assert api.credits_remaining == 1
        api.call("GET", "/")

    assert api.credits_remaining == 5_000


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 OK\r\nX-Drip: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"]
)
def test_a_call_ends_at_its_deadline_however_many_bytes_still_come(
    api_at: Callable[..., Api], start: bytes
) -> None:
    began = time.monotonic()

    with (
        RawServer(dripping(start, pause=0.05)) as server,
        pytest.raises(TransportError),
    ):
        api_at(server.origin, deadline=0.3).call("GET", "/")

    # The drip would go on for minutes.
    assert time.monotonic() - began < 10


def test_a_call_that_may_not_be_sent_is_not_sent(api_at: Callable[..., Api]) -> None:
    with (
        RawServer(answering(whole(GRANT))) as server,
        pytest.raises(TransportError, match="too late"),
    ):
        api_at(server.origin).call("GET", "/", may_send=lambda: False)

    assert server.connections == 0


# Python 3.13 tells what it could not close because it was interrupted there.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_an_interrupted_call_leaves_behind_stops_no_later_one(over_http: Transport) -> None:
    """A signal, Celery's soft time limit say, may raise at any line; its thread goes on."""
    client = over_http.client()

    # In a context of its own, so that nothing is left behind for other tests.
    assert copy_context().run(interrupt_at_each_line, client) > 20


def interrupt_at_each_line(client: ZohoClient) -> int:
    """Interrupt a call at each of its lines, with a whole call after each; return their number."""
    lines = 0
    while interrupted_at(lines, client):
        client.records("Leads").count()
        lines += 1
    return lines


def interrupted_at(line: int, client: ZohoClient) -> bool:
    """Make a call that may not be sent any more later; return whether it was interrupted there."""
    left, may_send = iter([*[False] * line, True]), [True]

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        name = frame.f_code.co_filename
        if event == "call":
            return trace if name.endswith(("client/_api.py", "client/_transport.py")) else None
        if event == "line" and next(left, False):
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        client.api.call("GET", "/crm/v8/Leads/actions/count", may_send=lambda: may_send[0])
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
        may_send[0] = False
    return False
