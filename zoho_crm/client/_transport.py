"""
The session: each call has a deadline and a size, no redirect, no proxy, no ``.netrc``, no retry.

``requests`` starts its read time-out anew with every byte, so a server that drips holds a call for
ever. Here the time-out that is set when the request has been sent is the end for the whole answer,
head and body. Looking a name up and connecting may take long, too, so leave to send is asked for
again when the connection stands.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util import Timeout


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long connecting and a whole call may take, in seconds, and how large an answer may be."""

    connect: float = 5
    deadline: float = 30
    size: int = 20_000_000

    def timeout(self) -> Timeout:
        """Return them as ``requests`` and ``urllib3`` take them."""
        return Timeout(connect=min(self.connect, self.deadline), total=self.deadline)


def open_session(transport: Callable[[], BaseAdapter] | None = None) -> requests.Session:
    """Return a session for any number of threads; ``transport`` makes another way out."""
    session = requests.Session()
    session.trust_env = False
    session.headers["User-Agent"] = "django-zoho-crm"
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = transport() if transport else BoundedAdapter(pool_maxsize=25, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def surely_not_sent(error: requests.RequestException) -> bool:
    """Whether the request cannot have reached Zoho: no address, refused, no connection, no TLS."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


#: Asked when a connection stands, before the first byte of a request is written to it.
_may_send: ContextVar[Callable[[], bool]] = ContextVar("may_send", default=lambda: True)


@contextmanager
def sending_only_if(may_send: Callable[[], bool]) -> Iterator[None]:
    """Ask before each transmission inside the block; a no is a request surely not sent."""
    before = _may_send.set(may_send)
    try:
        yield
    finally:
        _may_send.reset(before)


class _BoundedReader(io.RawIOBase):
    """Reads a socket until a moment that no byte puts off."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        timeout = sock.gettimeout()
        self._end = None if timeout is None else time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._end is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        # A connection that was closed already lives on until its answer is read.
        self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    """An answer whose last byte must arrive within the time-out of its socket."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _BoundedResponse

    def request(self, *args: Any, **kwargs: Any) -> None:
        _ready(self)
        super().request(*args, **kwargs)


class _TLSConnection(HTTPSConnection):
    response_class = _BoundedResponse

    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:  # until the hand-shake is done nothing of a request is sent
            raise NewConnectionError(self, f"TLS: {error}") from error

    def request(self, *args: Any, **kwargs: Any) -> None:
        _ready(self)
        super().request(*args, **kwargs)


def _ready(connection: HTTPConnection) -> None:
    if connection.is_closed:
        connection.connect()
    if not _may_send.get()():
        raise NewConnectionError(connection, "too late to be sent")


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class BoundedAdapter(HTTPAdapter):
    """The adapter of ``requests`` with answers that end by the deadline."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
