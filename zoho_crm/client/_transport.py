"""
The session of ``requests``: calls with a deadline, without redirects, ``.netrc`` or retries.

Proxies and certificates that the environment names are not used, only those that are given.

The read time-out of ``requests`` starts again with every byte, so a slow server could keep a call
open for ever. Here the time-out that is set when the request has been sent is the deadline of the
whole answer, head and body. Because looking up the host's name and connecting may take long too,
``may_send`` is called again when the connection is open.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import ConnectionPool, HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError, SSLError
from urllib3.poolmanager import ProxyManager
from urllib3.util import Timeout

from zoho_crm.datacenters import LOOPBACK
from zoho_crm.types import Secret

NO_PROXY = Secret("")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a call: seconds to connect and for the whole call, bytes of the answer."""

    connect: float = 5
    deadline: float = 30
    size: int = 20_000_000

    def timeout(self) -> Timeout:
        """Return the time-outs as an argument for ``requests``."""
        return Timeout(connect=min(self.connect, self.deadline), total=self.deadline)


class _Session(requests.Session):
    """A session without redirects: not even the address of one is read."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def open_session(
    transport: Callable[[], BaseAdapter] | None = None,
    *,
    proxy: Secret = NO_PROXY,
    ca_bundle: str = "",
) -> requests.Session:
    """
    Return a session that may be used by several threads.

    :param transport: makes the adapter that sends the requests, instead of ours
    :param proxy: URL of the proxy for ``https`` hosts other than this machine
    :param ca_bundle: path of a file with the certificates to trust; empty for those of ``certifi``
    """
    session = _Session()
    session.trust_env = False
    session.verify = ca_bundle or True
    session.headers["User-Agent"] = "django-zoho-crm"
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = transport() if transport else BoundedAdapter(proxy, pool_maxsize=25, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def surely_not_sent(error: requests.RequestException) -> bool:
    """Return whether the request was certainly not sent: no address, no connection or no TLS."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.InvalidURL):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(reason, ProxyError):  # also when a connection through the proxy was lost
        reason = reason.original_error
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def describe_error(error: requests.RequestException) -> str:
    """
    Return the class of an error, and class and number of the system's error behind it.

    The messages of errors are left out: they may contain a proxy's password, or what it answered.
    """
    name = type(error).__name__
    for cause in _causes(error):
        if refused := _PROXY_REFUSED.match(str(cause)):
            return f"{name} (the proxy answered {refused[1]})"
        if isinstance(cause, OSError) and cause.errno is not None:
            return f"{name} ({type(cause).__name__}, errno {cause.errno})"
    return name


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and the errors that it was made from, the outermost first."""
    seen: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and not any(cause is other for other in seen):
            seen.append(cause)
            yield cause
            reason = getattr(cause, "reason", None)
            waiting += [*cause.args, reason, cause.__cause__, cause.__context__]


#: Called when a connection is open, before the first byte of a request is written to it.
_may_send: ContextVar[Callable[[], bool]] = ContextVar("may_send", default=lambda: True)


@contextmanager
def sending_only_if(may_send: Callable[[], bool]) -> Iterator[None]:
    """Send requests inside the block only if ``may_send`` returns ``True`` just before."""
    token = _may_send.set(may_send)
    try:
        yield
    finally:
        _may_send.reset(token)


#: The message of ``http.client`` if a proxy refuses to connect, without the proxy's own words.
_PROXY_REFUSED = re.compile(r"Tunnel connection failed: ([0-9]{3})\b")


class _BoundedReader(io.RawIOBase):
    """Reads a socket until a deadline, no matter how many bytes arrive before."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        timeout = sock.gettimeout()
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline is not None:
            remaining = self._deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(remaining)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        # http.client keeps the socket of a closed connection open until its answer is read.
        self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    """An answer that must arrive completely within the time-out of its socket."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _BoundedResponse

    def request(self, *args: Any, **kwargs: Any) -> None:
        _connect_if_allowed(self)
        super().request(*args, **kwargs)


class _TLSConnection(HTTPSConnection):
    response_class = _BoundedResponse

    def connect(self) -> None:
        try:
            super().connect()
        except (OSError, SSLError) as error:
            # Before the proxy's consent and the TLS handshake are complete, no request is sent.
            raise NewConnectionError(self, "no tunnel or no TLS") from error

    def request(self, *args: Any, **kwargs: Any) -> None:
        _connect_if_allowed(self)
        super().request(*args, **kwargs)


def _connect_if_allowed(connection: HTTPConnection) -> None:
    if connection.is_closed:
        connection.connect()
    if not _may_send.get()():
        raise NewConnectionError(connection, "too late to be sent")


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


POOLS = {"http": _Pool, "https": _TLSPool}


class BoundedAdapter(HTTPAdapter):
    """
    The adapter of ``requests``, with connections whose answers have a deadline.

    :param proxy: URL of the proxy for ``https`` hosts other than this machine
    """

    def __init__(self, proxy: Secret = NO_PROXY, **options: Any) -> None:
        self._proxy = proxy
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: Any,
        proxies: Any = None,
        cert: Any = None,
    ) -> ConnectionPool:
        """Return the connections for a request, which go through the proxy if there is one."""
        parts = urlsplit(request.url or "")
        is_direct = parts.scheme != "https" or parts.hostname in LOOPBACK
        ours = {} if is_direct or not self._proxy else {"https": self._proxy.reveal()}
        return super().get_connection_with_tls_context(request, verify, ours, cert)
