"""Celery's programs on hosts of their own: killed, frozen, terminated, and with wrong clocks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Seconds that a worker may take to end after SIGTERM.
TERMINATE_TIMEOUT_SECONDS = 20


@dataclass(kw_only=True)
class Program:
    """A worker or a beat, in a process group of its own."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    logs: Path
    process: subprocess.Popen[bytes] | None = None
    #: The module of its Celery app.
    app: str = "testproject"
    starts: int = 0

    def start(self) -> None:
        """Start the program, with a log of its own for each start."""
        self.starts += 1
        command = [sys.executable, "-m", "celery", "-A", self.app, *self.arguments]
        with (self.logs / f"{self.name}.{self.starts}.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "-l", "warning"],
                cwd=ROOT,
                env=dict(self.environment),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def process_group(self) -> int:
        assert self.process
        return self.process.pid

    def signal(self, number: int) -> None:
        """Send a signal to the program and all processes that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process_group, number)

    def kill(self) -> None:
        """End the program as a loss of power would."""
        self.signal(signal.SIGKILL)
        assert self.process
        self.process.wait()

    def terminate(self) -> None:
        """End the program by SIGTERM, and by SIGKILL if that takes too long."""
        assert self.process
        self.process.terminate()
        try:
            self.process.wait(timeout=TERMINATE_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


def build_clock_library(folder: Path) -> Path:
    """Compile the library that shifts the time of day of a program that preloads it."""
    library = folder / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def worker(name: str, queue: str, environment: Mapping[str, str], logs: Path) -> Program:
    """Return a prefork worker of two processes; its node is ``name@queue``."""
    return Program(
        name=name,
        arguments=(
            *("worker", "--pool", "prefork", "--concurrency", "2", "--queues", queue),
            *("--hostname", f"{name}@{queue}", "--without-gossip", "--without-mingle"),
        ),
        environment=environment,
        logs=logs,
    )


def beat(name: str, environment: Mapping[str, str], logs: Path) -> Program:
    schedule = str(logs / f"{name}-schedule")
    arguments = ("beat", "--schedule", schedule, "--pidfile", "")
    return Program(name=name, arguments=arguments, environment=environment, logs=logs)


@contextmanager
def running(programs: list[Program]) -> Iterator[None]:
    """Run programs until the block ends; then they are killed."""
    with ExitStack() as stack:
        for program in programs:
            program.start()
            stack.callback(program.kill)
        yield


def program_with_process(programs: list[Program], pid: int) -> Program | None:
    """Return the program that a process belongs to, if it is one of these."""
    with suppress(ProcessLookupError):
        group = os.getpgid(pid)
        return next((program for program in programs if program.process_group == group), None)
    return None
