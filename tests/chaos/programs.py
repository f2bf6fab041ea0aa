"""Celery's programs on hosts of their own: killed, frozen, ended, and with wrong clocks."""

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


@dataclass(kw_only=True)
class Program:
    """One of Celery's programs, in a group of processes of its own."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    logs: Path
    process: subprocess.Popen[bytes] | None = None
    #: The module of its Celery app.
    app: str = "testproject"
    starts: int = 0

    def start(self) -> None:
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
    def group(self) -> int:
        assert self.process
        return self.process.pid

    def signal(self, number: int) -> None:
        """Send a signal to the program and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.group, number)

    def kill(self) -> None:
        """End it as a host that loses its power would."""
        self.signal(signal.SIGKILL)
        assert self.process
        self.process.wait()

    def end(self) -> None:
        """Ask it to come to an end, and wait for that."""
        assert self.process
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=20)


def build_clock_library(folder: Path) -> Path:
    """Build what moves the time of day of a program that loads it first."""
    built = folder / "clock.so"
    command = ["gcc", "-shared", "-fPIC", "-o", built, Path(__file__).with_name("clock.c"), "-ldl"]
    subprocess.run(command, check=True)
    return built


def worker(name: str, queue: str, environment: Mapping[str, str], logs: Path) -> Program:
    """Return a prefork worker of two processes."""
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
    """Return which of the programs a process belongs to."""
    with suppress(ProcessLookupError):
        group = os.getpgid(pid)
        return next((program for program in programs if program.group == group), None)
    return None
