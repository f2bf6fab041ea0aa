"""Faulty HTTP servers on a loopback port, which handle one connection at a time."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TypeAlias

Treatment: TypeAlias = Callable[[socket.socket, "RawServer"], None]

JSON = b"Content-Type: application/json\r\n"


class RawServer:
    """
    Treats each connection as it is told to, in a thread; what was asked is in ``requests``.

    ``stopping`` is set when the test is over: whoever waits, waits for that.
    """

    def __init__(self, treat: Treatment, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._treat = treat
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []
        scheme = "https" if context else "http"
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.origin = f"{scheme}://{self.host}"

    def receive(self, connection: socket.socket) -> bytes:
        """Read one whole request, and keep it."""
        request = b""
        while b"\r\n\r\n" not in request:
            request += self._more(connection)
        head, _gap, body = request.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        size = sum(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        while len(body) < size:
            body += self._more(connection)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    @staticmethod
    def _more(connection: socket.socket) -> bytes:
        part = connection.recv(65536)
        if not part:
            raise ConnectionResetError
        return part

    def __enter__(self) -> RawServer:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stopping.set()
        for listening in (self._listener, *self._connections):
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _start(self, what: Callable[[], None]) -> None:
        thread = threading.Thread(target=what, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _address = self._listener.accept()
                self.connections += 1
                self._connections.append(connection)
                self._start(lambda mine=connection: self._serve(mine))

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self._context is None:
                self._treat(connection, self)
                return
            with self._context.wrap_socket(connection, server_side=True) as secured:
                self._treat(secured, self)


def answering(*answers: bytes) -> Treatment:
    """Answer the requests of one connection in turn, and keep it open as long as the client."""

    def treat(connection: socket.socket, server: RawServer) -> None:
        for answer in answers:
            server.receive(connection)
            connection.sendall(answer)
        connection.recv(1)

    return treat


def closing_after(answer: bytes) -> Treatment:
    """Answer one request and close the connection: its end is the end of the answer."""

    def treat(connection: socket.socket, server: RawServer) -> None:
        server.receive(connection)
        connection.sendall(answer)

    return treat


def silent(connection: socket.socket, server: RawServer) -> None:
    """Read a request and never answer."""
    server.receive(connection)
    server.stopping.wait(30)


def dripping(start: bytes, drop: bytes = b"x", pause: float = 0.05) -> Treatment:
    """Begin an answer, and send it byte by byte until the client gives up."""

    def treat(connection: socket.socket, server: RawServer) -> None:
        server.receive(connection)
        connection.sendall(start)
        while not server.stopping.wait(pause):
            connection.sendall(drop)

    return treat


def tunnel(to: RawServer) -> Treatment:
    """Answer a proxy's ``CONNECT``, and carry bytes to a server, whatever host was named."""

    def treat(connection: socket.socket, server: RawServer) -> None:
        server.receive(connection)
        name, _colon, port = to.host.partition(":")
        with socket.create_connection((name, int(port))) as onwards:
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=_carry, args=(onwards, connection), daemon=True)
            back.start()
            _carry(connection, onwards)
            back.join(10)

    return treat


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def whole(body: bytes, *, status: str = "200 OK", head: bytes = JSON) -> bytes:
    """Return an answer with its length."""
    size = f"Content-Length: {len(body)}\r\n".encode()
    return f"HTTP/1.1 {status}\r\n".encode() + head + size + b"\r\n" + body


def endless(status: str = "200 OK", head: bytes = JSON) -> bytes:
    """Return the head of an answer that ends with its connection."""
    return f"HTTP/1.1 {status}\r\n".encode() + head + b"Connection: close\r\n\r\n"
