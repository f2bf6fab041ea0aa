"""Databases and brokers for one run, to be stopped, emptied and restarted."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Where Debian keeps the programs of PostgreSQL's administrators, by version.
POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
START_TIMEOUT_SECONDS = 30


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    """
    Wait until a server listens on a port of this machine.

    :raises TimeoutError: if none does in time
    """
    end = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(port)


@dataclass(frozen=True, kw_only=True)
class PostgresqlServer:
    """A PostgreSQL cluster of its own folder and port."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return self.url_at(self.port)

    @staticmethod
    def url_at(port: int) -> str:
        """Return its URL through another port, as that of a proxy."""
        return f"postgres://postgres@127.0.0.1:{port}/postgres?CONN_MAX_AGE=60"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self._run("start", "-w", "-o", options)

    def stop(self, mode: str) -> None:
        self._run("stop", "-m", mode)

    def restart(self) -> None:
        """Stop it as a crash would, and start it again: it recovers what was committed."""
        self.stop("immediate")
        self.start()

    def _run(self, *arguments: str) -> None:
        log = str(self.folder / "log")
        run_as_postgres(
            POSTGRESQL[-1] / "pg_ctl", "-s", "-D", self.folder / "data", "-l", log, *arguments
        )


def run_as_postgres(*command: object) -> None:
    """Run a program as the user ``postgres`` if this is root, who may not run PostgreSQL."""
    words = [str(word) for word in command]
    if os.geteuid() == 0:
        words = ["runuser", "-u", "postgres", "--", *words]
    subprocess.run(words, check=True, cwd="/", stdout=subprocess.DEVNULL)


@contextmanager
def postgresql(folder: Path) -> Iterator[PostgresqlServer]:
    """Run a new cluster until the block ends."""
    place = folder / "postgresql"
    place.mkdir()
    if os.geteuid() == 0:
        shutil.chown(place, "postgres")
        folder.chmod(0o755)
    run_as_postgres(
        POSTGRESQL[-1] / "initdb", "-D", place / "data", "-A", "trust", "-U", "postgres", "-N"
    )
    server = PostgresqlServer(folder=place, port=free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop("immediate")


@dataclass(kw_only=True)
class RedisServer:
    """A Redis server of its own port that stores nothing on disk."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", "--port", str(self.port), *options], cwd=self.folder, stdout=log
            )
        wait_for_port(self.port)

    def end(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def empty(self) -> None:
        """Lose every message, and every connection with it."""
        self.end()
        self.start()

    def suspend(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)


@contextmanager
def redis(folder: Path) -> Iterator[RedisServer]:
    """Run a new Redis until the block ends."""
    server = RedisServer(folder=folder, port=free_port())
    try:
        server.start()
        yield server
    finally:
        server.end()


@contextmanager
def mariadb() -> Iterator[str]:
    """Make a database in this machine's MariaDB until the block ends; yield its URL."""
    name = f"test_zoho_crm_chaos_{os.getpid()}"

    def execute(statement: str) -> None:
        subprocess.run(["mariadb", *MARIADB_LOGIN, "--execute", statement], check=True)

    execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    try:
        yield f"mysql://zoho_crm:zoho_crm@127.0.0.1/{name}"
    finally:
        execute(f"DROP DATABASE {name}")


MARIADB_LOGIN = ("--host", "127.0.0.1", "--user", "zoho_crm", "--password=zoho_crm")


@contextmanager
def rabbitmq(queue: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """Make a vhost in this machine's RabbitMQ; yield its URL, and what empties a queue."""
    vhost = f"chaos-{os.getpid()}"

    def rabbitmqctl(*arguments: str) -> None:
        subprocess.run(["rabbitmqctl", "--quiet", *arguments], check=False, capture_output=True)

    rabbitmqctl("add_vhost", vhost)
    rabbitmqctl("set_permissions", "--vhost", vhost, "guest", ".*", ".*", ".*")
    try:
        url = f"amqp://guest:guest@127.0.0.1:5672/{vhost}"
        yield url, lambda: rabbitmqctl("purge_queue", "--vhost", vhost, queue)
    finally:
        rabbitmqctl("delete_vhost", vhost)
