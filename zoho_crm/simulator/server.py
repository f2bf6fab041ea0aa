"""HTTP server: serves a simulator on a loopback port."""

from __future__ import annotations

import io
import socket
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

from zoho_crm.simulator.calls import Answer, Call, Delivery
from zoho_crm.simulator.refusals import too_large
from zoho_crm.simulator.simulator import Simulator
from zoho_crm.simulator.world import Addresses

MAX_BODY_BYTES = 10 * 1024 * 1024
MAX_UPLOAD_BYTES = 110 * 1024 * 1024


class Server:
    """
    Serves a simulator at ``origin``: ``with Server(Simulator()) as server: …``.

    :raises OSError: if the port is taken
    """

    def __init__(self, simulator: Simulator, *, port: int = 0) -> None:
        self.simulator = simulator
        self._http = _HTTPServer(("127.0.0.1", port), _HTTPHandler)
        self._http.simulator = simulator
        self.origin = f"http://127.0.0.1:{self._http.server_port}"
        simulator.move_to(Addresses(accounts=self.origin, api=self.origin))

    def serve_forever(self) -> None:
        """Serve in this thread until :meth:`stop`."""
        self._http.serve_forever(poll_interval=0.1)

    def start(self) -> None:
        """Serve in a thread of its own."""
        Thread(target=self.serve_forever, name="zoho-simulator", daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self.close()

    def close(self) -> None:
        """Close the port."""
        self._http.server_close()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class _HTTPServer(ThreadingHTTPServer):
    simulator: Simulator
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(address, handler)

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect; print the traceback of any other error."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _LineReader(io.BufferedReader):
    """A buffered reader that keeps the last line it read; end of input may have cut it."""

    last_line = b""

    def readline(self, size: int | None = -1, /) -> bytes:
        self.last_line = super().readline(size)
        return self.last_line


class _HTTPHandler(BaseHTTPRequestHandler):
    """Turns HTTP requests into calls and answers into HTTP responses."""

    server: _HTTPServer
    protocol_version = "HTTP/1.1"
    # Without these two, each answer on a kept-alive connection is delayed by 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True
    rfile: _LineReader
    raw_requestline: bytes

    def setup(self) -> None:
        super().setup()
        self.rfile = _LineReader(self.rfile.detach())

    def parse_request(self) -> bool:
        """
        Read the head of a request and return whether it is complete and valid.

        The connection of an incomplete one is closed without an answer.
        """
        is_parsed = self.raw_requestline.endswith(b"\n") and super().parse_request()
        if is_parsed and self.rfile.last_line in (b"\r\n", b"\n"):
            return True
        self.close_connection = True
        return False

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        size = self.headers.get("Content-Length", "0")
        is_number = size.isascii() and size.isdigit()
        limit = MAX_UPLOAD_BYTES if path.endswith("/Attachments") else MAX_BODY_BYTES
        if not is_number or int(size) > limit or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            return self._deliver(too_large().answer)
        body = self.rfile.read(int(size))
        if len(body) < int(size):  # the client closed the connection
            return self._close_connection()
        call = Call(
            method=self.command,
            path=path,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
            origin=f"http://{self.headers.get('Host', '')}",
        )
        return self._deliver(self.server.simulator.answer(call))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _deliver(self, answer: Answer) -> None:
        if not answer.is_delivered:
            return self._close_connection()
        body = b"" if self.command == "HEAD" else answer.body
        head = self._head(answer)
        return _DELIVERIES.get(answer.delivery, _HTTPHandler._send_whole)(
            self, head, body, answer.pause
        )

    def _head(self, answer: Answer) -> bytes:
        """Return the status line and headers as bytes, so that they can be sent slowly."""
        reason = self.responses.get(answer.status, ("",))[0]
        close = {"Connection": "close"} if self.close_connection else {}
        headers = {"Date": self.date_time_string(), **answer.sized_headers(), **close}
        lines = [f"HTTP/1.1 {answer.status} {reason}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join((*lines, "", "")).encode("latin-1")

    def _send_whole(self, head: bytes, body: bytes, pause: float) -> None:
        self.wfile.write(head + body)

    def _send_truncated(self, head: bytes, body: bytes, pause: float) -> None:
        self.wfile.write(head + body[: len(body) // 2])
        self._close_connection()

    def _drip_head(self, head: bytes, body: bytes, pause: float) -> None:
        self._drip(head, pause)
        self.wfile.write(body)

    def _drip_body(self, head: bytes, body: bytes, pause: float) -> None:
        self.wfile.write(head)
        self._drip(body, pause)

    def _drip(self, text: bytes, pause: float) -> None:
        for byte in text:
            self.wfile.write(bytes((byte,)))
            self.wfile.flush()
            time.sleep(pause)

    def _close_connection(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: counters are at ``/_simulator/stats``."""


_DELIVERIES = {
    Delivery.TRUNCATED: _HTTPHandler._send_truncated,
    Delivery.DRIP_HEAD: _HTTPHandler._drip_head,
    Delivery.DRIP_BODY: _HTTPHandler._drip_body,
}
