"""
Pytest fixtures for projects that test against a simulated Zoho, and its ``requests`` adapter.

Load it with ``-p zoho_crm.contrib.pytest``, or with
``pytest_plugins = ["zoho_crm.contrib.pytest"]`` in your top ``conftest.py``.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from http.client import RemoteDisconnected
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.exceptions import ProtocolError
from urllib3.util import Timeout

from zoho_crm.simulator import (
    CLIENT_ID,
    CLIENT_SECRET,
    Answer,
    Call,
    Delivery,
    Server,
    Simulator,
    SimulatorSettings,
)

#: A key for tests only: it is public.
ENCRYPTION_KEY = "c2ltdWxhdG9yLWtleS1mb3ItdGVzdHMtb25seS0wMDA="

#: Short durations for tests, in seconds; they satisfy the system checks.
SHORT_DURATIONS = {
    "CONNECT_TIMEOUT": 1,
    "CALL_DEADLINE": 2,
    "QUIET_PERIOD": 2,
    "MASS_QUIET_PERIOD": 2,
    "JOB_HORIZON": 6,
    "READ_SPACING": 1,
    "LEASE": 10,
    "SLICE": 5,
    "REFRESH_LEASE": 4,
}


class SimulatorAdapter(HTTPAdapter):
    """
    A ``requests`` adapter to a simulator in this process; mount it on a session.

    Network faults raise what ``requests`` raises for them over HTTP.
    """

    def __init__(self, simulator: Simulator) -> None:
        super().__init__()
        self.simulator = simulator

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """
        Answer a request.

        :raises requests.ConnectionError: when a fault closes the connection
        :raises requests.ReadTimeout: when the answer takes longer than the time-out
        """
        answer = self.simulator.answer(_call(request, timeout))
        if answer.delivery is Delivery.CLOSED:
            closed = RemoteDisconnected("Remote end closed connection without response")
            aborted = ProtocolError("Connection aborted.", closed)
            raise requests.ConnectionError(aborted, request=request)
        if answer.delivery is Delivery.TIMED_OUT:
            raise requests.ReadTimeout("Read timed out.", request=request)
        return self._response(request, answer, stream)

    def _response(
        self, request: requests.PreparedRequest, answer: Answer, stream: bool
    ) -> requests.Response:
        response = self.build_response(request, _raw(answer))
        response.connection = self  # an auth object repeats the request through it
        if not stream:
            _ = response.content
        return response


def _call(request: requests.PreparedRequest, timeout: Any) -> Call:
    seconds = timeout[1] if isinstance(timeout, tuple) else timeout
    if isinstance(timeout, Timeout):
        seconds = timeout.total
    body: Any = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    elif not isinstance(body, (str, bytes)):
        body = b"".join(body)
    return Call.to(
        request.method or "GET",
        request.url or "",
        headers={name: str(value) for name, value in request.headers.items()},
        body=body.encode() if isinstance(body, str) else body,
        timeout=seconds,
    )


def _raw(answer: Answer) -> HTTPResponse:
    """Return the answer as urllib3 reads it from a socket."""
    if answer.delivery is Delivery.DRIP_HEAD:
        time.sleep(answer.pause * 150)  # a head has about 150 bytes
    cut = answer.delivery is Delivery.TRUNCATED
    body = answer.body[: len(answer.body) // 2] if cut else answer.body
    drips = answer.delivery is Delivery.DRIP_BODY
    return HTTPResponse(
        body=_DrippingBody(body, answer.pause) if drips else io.BytesIO(body),
        headers=HTTPHeaderDict(answer.sized_headers()),
        status=answer.status,
        preload_content=False,
        enforce_content_length=True,
    )


class _DrippingBody(io.BytesIO):
    """A body that arrives byte by byte."""

    def __init__(self, body: bytes, pause: float) -> None:
        super().__init__(body)
        self._pause = pause

    def read(self, size: int | None = -1) -> bytes:
        reads_all = size is None or size < 0
        parts: list[bytes] = []
        while (reads_all or len(parts) < (size or 0)) and (byte := super().read(1)):
            time.sleep(self._pause)
            parts.append(byte)
        return b"".join(parts)


#: The simulators of the running tests, the innermost last.
_running: list[Simulator] = []


def transport() -> SimulatorAdapter:
    """
    Return an adapter to the simulator of the running test; for the setting ``TRANSPORT``.

    :raises RuntimeError: outside a test that uses the fixture ``zoho``
    """
    if not _running:
        raise RuntimeError("No simulator is running: use the fixture `zoho`.")
    return SimulatorAdapter(_running[-1])


@pytest.fixture
def zoho(settings: Any) -> Iterator[Simulator]:
    """
    Return an empty simulator in this process and point ``settings.ZOHO_CRM`` to it.

    ``zoho.story("one_match")`` adds a lead and returns its id; see :class:`Simulator`.
    """
    simulator = new_simulator()
    _configure(settings, simulator, TRANSPORT=f"{__name__}.transport")
    _running.append(simulator)
    yield simulator
    _running.remove(simulator)


@pytest.fixture
def live_zoho(settings: Any) -> Iterator[Simulator]:
    """Return an empty simulator on a real port, for other processes and browsers."""
    simulator = new_simulator()
    with Server(simulator):
        _configure(settings, simulator, TRANSPORT="")
        yield simulator


def new_simulator() -> Simulator:
    """Return a simulator without leads that may redirect to Django's test client."""
    return Simulator(SimulatorSettings(leads=0, redirect_hosts=frozenset({"testserver"})))


def settings_for(simulator: Simulator, **more: Any) -> dict[str, Any]:
    """Return values of ``ZOHO_CRM`` that point to a simulator, and more of them."""
    return {
        "CLIENT_ID": CLIENT_ID,
        "CLIENT_SECRET": CLIENT_SECRET,
        "DATA_CENTER": "local",
        "ENCRYPTION_KEYS": [ENCRYPTION_KEY],
        "LOCAL_URL": simulator.origin,
        **more,
    }


def _configure(settings: Any, simulator: Simulator, **more: str) -> None:
    settings.ZOHO_CRM = {
        **getattr(settings, "ZOHO_CRM", {}),
        **SHORT_DURATIONS,
        **settings_for(simulator, **more),
    }
