"""A proxy before PostgreSQL that cuts connections at COMMIT."""

from __future__ import annotations

import contextlib
import multiprocessing
import socket
import threading
from random import Random

COMMIT = b"COMMIT\x00"
_fork = multiprocessing.get_context("fork")


class Proxy:
    """
    Forwards bytes both ways, in a process of its own.

    While a share is set, it cuts the connection at that share of the commits: at every other one
    before the server gets the COMMIT, at the rest before the client gets the answer.
    """

    def __init__(self, port: int, *, seed: int) -> None:
        self._target = ("127.0.0.1", port)
        self._random = Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._share = _fork.Value("d", 0.0)
        self._cuts = _fork.Value("i", 0)
        self._process = _fork.Process(target=self._accept, daemon=True)
        self._process.start()

    @property
    def cuts(self) -> int:
        """Return how many connections were cut."""
        return self._cuts.value

    def cut(self, share: float) -> None:
        """Cut the connection at this share of the commits from now on."""
        self._share.value = share

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            client, _address = self._listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._target) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answer_is_lost = threading.Event()
            back = threading.Thread(
                target=_forward_answers, args=(server, client, answer_is_lost), daemon=True
            )
            back.start()
            try:
                self._forward_requests(client, server, answer_is_lost)
            finally:
                # Else the server would hold its locks, and wait for a client that is gone.
                with contextlib.suppress(OSError):
                    server.shutdown(socket.SHUT_WR if answer_is_lost.is_set() else socket.SHUT_RDWR)
                back.join()

    def _forward_requests(
        self, client: socket.socket, server: socket.socket, answer_is_lost: threading.Event
    ) -> None:
        """Forward what the client sends, until a COMMIT is to be lost, or the answer to one."""
        while data := client.recv(65_536):
            if COMMIT in data and self._random.random() < self._share.value:
                with self._cuts.get_lock():
                    self._cuts.value += 1
                    if self._cuts.value % 2:
                        return
                answer_is_lost.set()
            server.sendall(data)
            if answer_is_lost.is_set():
                return


def _forward_answers(
    server: socket.socket, client: socket.socket, answer_is_lost: threading.Event
) -> None:
    """Forward what the server sends, until an answer is to be lost."""
    with contextlib.suppress(OSError):
        while data := server.recv(65_536):
            if answer_is_lost.is_set():
                break
            client.sendall(data)
        client.shutdown(socket.SHUT_RDWR)
