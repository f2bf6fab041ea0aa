"""Celery's programs in processes of their own, with the settings and the database of a test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.db import connection as database

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def site(queue: str, settings: dict[str, Any], logs: Path) -> Iterator[None]:
    """Run beat and two workers of two processes each until the block ends."""
    environment = {**outside(), **as_environment(settings), "DATABASE_URL": database_url()}
    worker = ("worker", "--pool", "prefork", "--concurrency", "2", "--queues", queue)
    programs = {
        "beat": ("beat", "--schedule", str(logs / "schedule"), "--pidfile", ""),
        "one": (*worker, "--hostname", f"one@{queue}"),
        "other": (*worker, "--hostname", f"other@{queue}"),
    }
    with ExitStack() as stack:
        for name, arguments in programs.items():
            log = logs / f"{name}.log"
            stack.enter_context(celery(*arguments, log=log, environment=environment))
        yield


@contextmanager
def celery(*arguments: str, log: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run one of Celery's programs until the block ends, then let it end what it began."""
    command = [sys.executable, "-m", "celery", "-A", "testproject", *arguments, "-l", "warning"]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)


def outside() -> dict[str, str]:
    """Return the environment of these tests, without what makes it one of tests."""
    return {name: value for name, value in os.environ.items() if "PYTEST" not in name}


def as_environment(given: dict[str, Any]) -> dict[str, str]:
    """Return settings as the variables that ``from_env`` reads."""
    lists = (list, tuple)
    return {
        f"ZOHO_CRM_{name}": ",".join(value) if isinstance(value, lists) else str(value)
        for name, value in given.items()
    }


def database_url() -> str:
    """Return where the database is that Django made for this test."""
    made = database.settings_dict
    if database.vendor == "sqlite":
        return f"sqlite:///{made['NAME']}"
    who = f"{quote(made['USER'], safe='')}:{quote(made['PASSWORD'], safe='')}"
    return f"{database.vendor}://{who}@{made['HOST']}:{made['PORT']}/{made['NAME']}"
