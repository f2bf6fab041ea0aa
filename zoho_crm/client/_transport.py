"""
The session of ``requests``: signed calls with a deadline, without redirects, ``.netrc``, retries.

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
import ssl
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import AuthBase
from requests.utils import rewind_body
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import ConnectionPool, HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError, SSLError
from urllib3.poolmanager import ProxyManager
from urllib3.util import Timeout

from zoho_crm.datacenters import LOOPBACK
from zoho_crm.types import Secret, ValueObject

NO_PROXY = Secret("")


class Limits(ValueObject):
    """
    The limits of a call: seconds to connect and for the whole call, bytes of the answer.

    A file that is sent or received has a limit of bytes of its own.
    """

    connect: float = 5
    deadline: float = 30
    size: int = 20_000_000
    file: int = 100 * 1024 * 1024

    def timeout(self) -> Timeout:
        """Return the time-outs as an argument for ``requests``."""
        return Timeout(connect=min(self.connect, self.deadline), total=self.deadline)


#: Bytes in a second at which a file is sent or received at least.
MIN_BYTES_PER_SECOND = 100_000


@dataclass(kw_only=True)
class Pace:
    """
    How long the transfer of a file may last, and how long it may stand still.

    ``idle`` is the number of seconds without a byte, and the time for all that is no file.
    """

    idle: float
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.idle

    def give_time_for(self, size: int) -> None:
        """Let the transfer last from now on as long as this number of bytes needs."""
        self._end = time.monotonic() + self.idle + size / MIN_BYTES_PER_SECOND

    @property
    def seconds_left(self) -> float:
        """The number of seconds until the time is over; zero or less if it is."""
        return self._end - time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self.seconds_left <= 0

    def timeout(self, connect: float) -> Timeout:
        """Return the time-outs as an argument for ``requests``."""
        total = max(self.seconds_left, 0)
        return Timeout(connect=min(connect, total), read=self.idle, total=total)


class _Session(requests.Session):
    """A session without redirects: not even the address of one is read."""

    def get_redirect_target(self, resp: Response) -> None:
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


def is_tls_error(error: BaseException | None) -> bool:
    """Return whether TLS failed, such as for a certificate that is not trusted."""
    return error is not None and any(isinstance(each, ssl.SSLError) for each in _causes(error))


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


#: Of the block of ``sending_only_if`` around the requests of this thread.
_block_may_send: ContextVar[Callable[[], bool]] = ContextVar("may_send", default=lambda: True)


def may_be_sent() -> bool:
    """Return whether a request may be sent now in the block of ``sending_only_if`` around."""
    return _block_may_send.get()()


@contextmanager
def sending_only_if(may_send: Callable[[], bool]) -> Iterator[None]:
    """Send requests inside the block, in this thread, only if this is ``True`` just before."""
    token = _block_may_send.set(may_send)
    try:
        yield
    finally:
        _block_may_send.reset(token)


class OneRequest(NamedTuple):
    """What holds for one request only."""

    #: Called when its connection is open, before the first byte is written to it.
    may_send: Callable[[], bool]
    #: Of the file that it sends or receives, if it has one.
    pace: Pace | None


#: Every request sets it anew. So what an interruption leaves behind concerns no later one.
_request: ContextVar[OneRequest | None] = ContextVar("request", default=None)


@contextmanager
def one_request(may_send: Callable[[], bool], pace: Pace | None = None) -> Iterator[None]:
    """Send the request inside the block only if allowed, and at the pace of its file."""
    token = _request.set(OneRequest(may_send, pace))
    try:
        yield
    finally:
        _request.reset(token)


def _pace() -> Pace | None:
    request = _request.get()
    return request.pace if request else None


#: The message of ``http.client`` if a proxy refuses to connect, without the proxy's own words.
_PROXY_REFUSED = re.compile(r"Tunnel connection failed: ([0-9]{3})\b")


class _BoundedReader(io.RawIOBase):
    """Reads a socket until a deadline, no matter how many bytes arrive before."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        timeout = sock.gettimeout()
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._pace = _pace()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._seconds_left()
        if remaining is not None:
            if remaining <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(remaining)
        return self._raw.readinto(buffer)

    def _seconds_left(self) -> float | None:
        if self._pace is not None:
            return min(self._pace.seconds_left, self._pace.idle)
        return None if self._deadline is None else self._deadline - time.monotonic()

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
    request = _request.get()
    if not may_be_sent() or (request and not request.may_send()):
        raise NewConnectionError(connection, "too late to be sent")
    pace = _pace()
    if pace is not None and connection.sock is not None:
        connection.sock.settimeout(pace.idle)  # for each part of the body


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
        request: PreparedRequest,
        verify: Any,
        proxies: Any = None,
        cert: Any = None,
    ) -> ConnectionPool:
        """Return the connections for a request, which go through the proxy if there is one."""
        parts = urlsplit(request.url or "")
        is_direct = parts.scheme != "https" or parts.hostname in LOOPBACK
        ours = {} if is_direct or not self._proxy else {"https": self._proxy.reveal()}
        return super().get_connection_with_tls_context(request, verify, ours, cert)


# How requests are signed: https://www.zoho.com/crm/developer/docs/api/v8/access-refresh.html


class TokenAuth(AuthBase):
    """Signs requests with one access token."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = _signature(self._token)
        return request


class ZohoAuth(AuthBase):
    """
    Signs requests to known hosts, over TLS or on this machine.

    If the answer is HTTP 401, the access token is refreshed and the request is sent once more.

    :param current: returns the access token
    :param renew: returns a new access token, given the one that was rejected
    :param hosts: the hosts (``host[:port]``) that may get the token
    """

    def __init__(
        self,
        *,
        current: Callable[[], Secret],
        renew: Callable[[Secret], Secret],
        hosts: Collection[str],
    ) -> None:
        self._current = current
        self._renew = renew
        self._hosts = frozenset(map(str.lower, hosts))

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if not self._may_sign(request.url):
            return request
        token = self._current()
        request.hooks["response"].append(partial(self._retry_with_new_token, token))
        return TokenAuth(token)(request)

    def now(self) -> TokenAuth:
        """Return an auth object with the access token of now, which it never renews."""
        return TokenAuth(self._current())

    def _may_sign(self, url: str | None) -> bool:
        parts = urlsplit(url or "")
        is_private = parts.scheme == "https" or parts.hostname in LOOPBACK
        return is_private and parts.netloc in self._hosts

    def _retry_with_new_token(self, token: Secret, response: Response, **kwargs: Any) -> Response:
        # After a redirect this hook is called for the answer of the other host too, and of a host
        # that this one redirects to.
        is_ours = response.request.headers.get("Authorization") == _signature(token)
        if response.status_code != 401 or not is_ours or not self._may_sign(response.request.url):
            return response
        # Zoho answers 401 for a missing scope too, which a new token would lack as well.
        if b"OAUTH_SCOPE_MISMATCH" in response.content:
            return response
        retry = TokenAuth(self._renew(token))(response.request.copy())
        if not _rewound(retry):
            return response
        answer: Response = response.connection.send(retry, **kwargs)
        answer.history.append(response)
        answer.request = retry
        return answer


def _signature(token: Secret) -> str:
    return f"Zoho-oauthtoken {token.reveal()}"


def _rewound(request: PreparedRequest) -> bool:
    """Return a body that is read while it is sent to its beginning; ``False`` if it cannot be."""
    if isinstance(request.body, str | bytes | None):
        return True
    try:
        rewind_body(request)
    except requests.exceptions.UnrewindableBodyError:
        return False
    return True
