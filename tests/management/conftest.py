from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command

from zoho_crm.contrib.pytest import ENCRYPTION_KEY, SHORT_DURATIONS
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator

#: Seconds after which a command has failed, also on a machine that does much else.
PATIENCE = 120
MANAGE = Path(django_settings.BASE_DIR) / "manage.py"


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The objects that ``--format json`` wrote."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def line(self) -> dict[str, Any]:
        (line,) = self.lines
        return line


Run = Callable[..., CommandResult]


class Terminal(io.StringIO):
    """An output that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def run() -> Run:
    """Return a function that runs a command in this process: ``run("zoho_status")``."""

    def run_one(
        *words: str, stdin: str = "", out: io.StringIO | None = None, **more: Any
    ) -> CommandResult:
        out, err = out or io.StringIO(), io.StringIO()
        code = 0
        try:
            call_command(*words, stdin=io.StringIO(stdin), stdout=out, stderr=err, **more)
        except CommandError as error:
            code = error.returncode
            err.write(str(error))
        return CommandResult(code=code, out=out.getvalue(), err=err.getvalue())

    return run_one


@pytest.fixture
def durable_broker(settings: Any) -> None:
    """Set a broker that the checks accept; Celery keeps the one that it has read already."""
    settings.CELERY_BROKER_URL = "filesystem://"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables and no rows."""
    path = tmp_path_factory.mktemp("database") / "empty.sqlite3"
    _manage({"DATABASE_URL": f"sqlite:///{path}"}, "migrate", "-v0").check_returncode()
    return path


@dataclass(frozen=True)
class Site:
    """A site with its own environment; its commands run as processes."""

    environment: dict[str, str]

    def run(self, *words: str, stdin: str = "", **environment: str) -> CommandResult:
        done = _manage({**self.environment, **environment}, *words, stdin=stdin)
        return CommandResult(code=done.returncode, out=done.stdout, err=done.stderr)

    def with_settings(self, **settings: object) -> Site:
        """Return the site with other values for some keys of ``ZOHO_CRM``."""
        changed = {f"ZOHO_CRM_{name}": str(value) for name, value in settings.items()}
        return Site({**self.environment, **changed})

    def start(self, *words: str, **streams: int) -> subprocess.Popen[str]:
        closed = {"stdin": subprocess.DEVNULL}
        piped = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(
            [sys.executable, MANAGE, *words],
            env=_environment(self.environment),
            start_new_session=True,
            text=True,
            **{**closed, **piped, **streams},
        )


@pytest.fixture
def site(live_zoho: Simulator, migrated: Path, tmp_path: Path) -> Site:
    """Return a site with its own database, not connected, that calls Zoho over HTTP."""
    path = shutil.copy(migrated, tmp_path / "site.sqlite3")
    quick = {f"ZOHO_CRM_{name}": str(value) for name, value in SHORT_DURATIONS.items()}
    return Site(
        {
            **quick,
            "ZOHO_CRM_CALL_DEADLINE": "20",
            "ZOHO_CRM_QUIET_PERIOD": "20",
            "ZOHO_CRM_REFRESH_LEASE": "21",
            "ZOHO_CRM_LEASE": "41",
            "DATABASE_URL": f"sqlite:///{path}",
            "ZOHO_CRM_CLIENT_ID": CLIENT_ID,
            "ZOHO_CRM_CLIENT_SECRET": CLIENT_SECRET,
            "ZOHO_CRM_DATA_CENTER": "local",
            "ZOHO_CRM_ENCRYPTION_KEYS": ENCRYPTION_KEY,
            "ZOHO_CRM_LOCAL_URL": live_zoho.origin,
        }
    )


@pytest.fixture
def connected(site: Site, live_zoho: Simulator) -> Site:
    """Return the same site, connected."""
    code = f"{live_zoho.grant_code()}\n"
    assert site.run("zoho_connect", "--grant-code", "-", stdin=code).code == 0
    return site


def _manage(
    environment: dict[str, str], *words: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, MANAGE, *words],
        env=_environment(environment),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def _environment(own: dict[str, str]) -> dict[str, str]:
    """Return the environment of a process, without this test run's own variables."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "CELERY_BROKER_URL": "filesystem://", "PYTHONWARNINGS": "error", **own}
