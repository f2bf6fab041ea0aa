"""``manage.py demo`` as a process."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testproject.demo.browser import browser
from testproject.demo.results import compare_with_ledger
from zoho_crm.models import LeadConversion
from zoho_crm.types import Verdict

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
#: Seconds after which it has failed, also on a machine that does much else.
PATIENCE = 300
COLUMNS = ["lead", "verdict", "plan", "result", "contact", "account", "deal"]


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@contextmanager
def demo(temporary: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a demo with the environment variables of a person, not those of this test run."""
    outside = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    # The demo must ignore these variables.
    outside |= {"DATABASE_URL": "sqlite:////nowhere/db.sqlite3", "ZOHO_CRM_DATA_CENTER": "eu"}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--leads", "11", *arguments],
        cwd=ROOT,
        env={**outside, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def cells(line: str) -> list[str]:
    return re.split(r"  +", line)


def check_story(lines: list[str]) -> None:
    """Make sure that the demo showed every verdict, a run, and agrees with its ledger."""
    begin = next(number for number, line in enumerate(lines) if cells(line) == COLUMNS)
    rows = [dict(zip(COLUMNS, cells(line), strict=True)) for line in lines[begin + 1 : begin + 12]]
    assert {row["verdict"] for row in rows} == {verdict.value for verdict in Verdict}
    assert "attach contact + deal" in {row["plan"] for row in rows}
    assert "CONVERTED (read back)" in {row["result"] for row in rows}
    assert any(row["deal"] != "-" for row in rows)
    said = "\n".join(lines)
    assert "Run #1 Trade fair: 240 leads; left out: line 241 (double), line 242" in said
    assert re.search(r"groups +36 join", said)
    assert re.search(r"finished +CONVERTED 239, FAILED 1", said)
    assert re.search(r"jobs +[1-9], of \d+", said)
    assert re.search(r"failure +\d+: RECORD_LOCKED, the record is locked", said)
    assert re.search(r"CSV +242 lines: line,lead_id,", said)
    assert "Ledger: 251 rows, 251 equal" in lines
    assert lines[-2].startswith("Site: http://127.0.0.1:")
    assert re.fullmatch(r"Log-in: admin / \S{12}", lines[-1])


@pytest.mark.long
def test_it_ends_by_itself_if_asked_to(temporary: Path) -> None:
    with demo(temporary, "--once", "--port", "0") as process:
        said, complained = process.communicate(timeout=PATIENCE)

    assert (process.returncode, complained) == (0, "")
    check_story(said.splitlines())
    assert not list(temporary.iterdir())


@pytest.mark.long
def test_it_shows_every_verdict_agrees_with_the_ledger_and_stays(temporary: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with demo(temporary, "--port", str(port)) as process, browser() as person:
            lines = read_until_log_in(process)
            site = lines[-2].removeprefix("Site: ")
            log_in = person.open(f"{site}/admin/")
            password = lines[-1].partition(" / ")[2]
            home = person.press(log_in, "Log in", username="admin", password=password)
            waiting = person.open(f"{site}/admin/zoho_crm/leadconversion/?status__exact=PREVIEWED")

            process.send_signal(signal.SIGINT)
            said, complained = process.communicate(timeout=PATIENCE)

    check_story(lines)
    assert lines[0] == f"Port {port} is taken; the site is at {site}."
    assert (home.url, home.status, waiting.status) == (f"{site}/admin/", 200, 200)
    assert (process.returncode, said, complained) == (0, "", "")
    assert not list(temporary.iterdir())


def read_until_log_in(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("Log-in: "):
            return lines
    raise AssertionError(f"{lines} {process.stderr and process.stderr.read()}")


def row(lead_id: str, **values: str) -> LeadConversion:
    return LeadConversion(lead_id=lead_id, **{"status": "PREVIEWED", **values})


def entry(lead_id: str, contact_id: str, via: str = "convert") -> dict[str, str | None]:
    ids = {"contact_id": contact_id, "account_id": None, "deal_id": None}
    return {"lead_id": lead_id, "via": via, **ids}


@pytest.mark.parametrize(
    ("books", "equal"),
    [
        ([entry("1", "11")], True),
        ([entry("1", "12")], False),
        ([entry("1", "11", via="elsewhere")], False),
        ([entry("1", "11"), entry("1", "11")], False),
        ([], False),
    ],
    ids=["the same", "another contact", "by somebody else", "twice", "never"],
)
def test_a_converted_row_is_compared_with_the_ledger(
    books: list[dict[str, str | None]], equal: bool
) -> None:
    ours = row("1", status="CONVERTED", contact_id="11", converted_by="us")

    assert compare_with_ledger([ours], {"conversions": books}) == {"1": equal}


def test_what_only_one_side_knows_of_is_compared_too() -> None:
    books = {"conversions": [entry("2", "12"), entry("3", "13")]}

    equal = compare_with_ledger([row("1"), row("2")], books)

    assert equal == {"1": True, "2": False, "3": False}
