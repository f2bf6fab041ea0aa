"""
However many processes and threads want a new access token, Zoho is asked for one.

The processes are real, and so are the database (``DATABASE_URL``; a file with SQLite) and the way
to the simulator.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import pytest
from django.db import connection as database

from zoho_crm.contrib.pytest import ENCRYPTION_KEY
from zoho_crm.models import Connection, Token, from_now
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMES = {"sqlite": "sqlite", "postgresql": "postgres", "mysql": "mysql"}
PROCESSES, THREADS = 8, 4

Start: TypeAlias = Callable[..., "subprocess.Popen[str]"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def url_of_the_test_database() -> str:
    """Return how another process reaches the database of this test."""
    known = database.settings_dict
    if database.vendor == "sqlite":
        return f"sqlite:///{known['NAME']}"
    user = ":".join(quote(known[part], safe="") for part in ("USER", "PASSWORD") if known[part])
    place = f"{known['HOST']}:{known['PORT']}" if known["PORT"] else known["HOST"]
    return f"{SCHEMES[database.vendor]}://{user}@{place}/{known['NAME']}"


def environment_at(zoho: Simulator, **more: str) -> dict[str, str]:
    inherited = {name: text for name, text in os.environ.items() if "ZOHO_CRM" not in name}
    mine = {
        "ZOHO_CRM_CLIENT_ID": CLIENT_ID,
        "ZOHO_CRM_CLIENT_SECRET": CLIENT_SECRET,
        "ZOHO_CRM_DATA_CENTER": "local",
        "ZOHO_CRM_ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "ZOHO_CRM_LOCAL_URL": zoho.origin,
        "DATABASE_URL": url_of_the_test_database(),
        "DJANGO_SETTINGS_MODULE": "testproject.settings",
    }
    return {**inherited, **mine, **more}


@pytest.fixture
def expired(live_zoho: Simulator) -> Connection:
    """Connected, and the access token has had its time."""
    connection = with_grant_code(code=live_zoho.grant_code(), data_center="local")
    connection.tokens.update(expires_at=from_now(-1))
    return connection


@pytest.fixture
def start(live_zoho: Simulator) -> Iterator[Start]:
    """Start so many processes that are ready to ask, and return the program that they belong to."""
    with ExitStack() as stack:

        def start(
            connection: Connection, processes: int, threads: int = THREADS, **more: str
        ) -> subprocess.Popen[str]:
            numbers = map(str, (connection.pk, processes, threads))
            program = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.single_flight.caller", *numbers],
                    cwd=ROOT,
                    env=environment_at(live_zoho, **more),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            )
            stack.callback(kill, program)
            assert program.stdout
            assert program.stdout.readline() == "ready\n"
            return program

        yield start


def kill(program: subprocess.Popen[str]) -> None:
    """Kill a program together with its processes, if it has not ended."""
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)


def go(program: subprocess.Popen[str]) -> None:
    assert program.stdin
    program.stdin.write("go\n")
    program.stdin.flush()


def answers_of(program: subprocess.Popen[str]) -> list[str]:
    """Return a fingerprint of the token that each thread got, or its error."""
    answers: list[str] = json.loads(program.communicate()[0])
    return answers


def fingerprint(token: Token) -> str:
    return hashlib.sha256(token.reveal("access_token").reveal().encode()).hexdigest()


def refreshed(zoho: Simulator) -> Any:
    return zoho.stats()["tokens"]["refreshed"]


def until(holds: Callable[[], bool]) -> None:
    for _ in range(400):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("it did not come about")


def test_thirty_two_callers_in_eight_processes_make_one_call(
    live_zoho: Simulator, expired: Connection, start: Start
) -> None:
    live_zoho.fail("refresh", "delay", seconds=0.5)
    before = expired.tokens.get()
    callers = start(expired, PROCESSES)

    go(callers)

    answers = answers_of(callers)
    after = expired.tokens.get()
    assert answers == [fingerprint(after)] * PROCESSES * THREADS
    assert refreshed(live_zoho) == 1
    assert after.generation == before.generation + 1
    assert (after.refresh_owner, after.refresh_until) == ("", None)


def test_a_holder_that_is_killed_in_its_call_costs_one_call_more(
    live_zoho: Simulator, expired: Connection, start: Start
) -> None:
    order = live_zoho.fail("refresh", "delay", seconds=10)
    short = {"ZOHO_CRM_CALL_DEADLINE": "30", "ZOHO_CRM_REFRESH_LEASE": "3"}
    holder = start(expired, 1, 1, **short)
    others = start(expired, PROCESSES - 1, **short)
    go(holder)
    until(lambda: order.times == 0)

    go(others)
    kill(holder)

    found = set(answers_of(others))
    assert found == {fingerprint(expired.tokens.get())}
    assert refreshed(live_zoho) <= 2
    assert expired.tokens.get().refresh_owner == ""


def test_callers_go_on_with_the_old_token_while_one_renews_it(
    live_zoho: Simulator, expired: Connection, start: Start
) -> None:
    expired.tokens.update(expires_at=from_now(200))
    old = fingerprint(expired.tokens.get())
    live_zoho.fail("refresh", "delay", seconds=2)
    callers = start(expired, 2)

    go(callers)

    answers = answers_of(callers)
    new = fingerprint(expired.tokens.get())
    assert refreshed(live_zoho) == 1
    assert set(answers) <= {old, new}
    assert new in answers
    assert answers.count(old) > 0


def test_a_denial_costs_one_call_however_many_ask(
    live_zoho: Simulator, expired: Connection, start: Start
) -> None:
    live_zoho.fail("refresh", "throttle", times=None)
    callers = start(expired, 2)

    go(callers)

    answers = answers_of(callers)
    assert all(answer.startswith("TokenThrottledError") for answer in answers)
    calls = [call for call in live_zoho.stats()["calls"] if call["path"] == "/oauth/v2/token"]
    assert [call["count"] for call in calls] == [2]  # the exchange, and one refresh
    assert expired.events.filter(kind="throttled").count() == 1


def test_a_withdrawn_consent_costs_one_call_however_many_ask(
    live_zoho: Simulator, expired: Connection, start: Start
) -> None:
    live_zoho.world.grants.revoke(expired.tokens.get().reveal("refresh_token").reveal())
    callers = start(expired, 2)

    go(callers)

    answers = answers_of(callers)
    assert all(answer.startswith("ConnectionLostError") for answer in answers)
    assert live_zoho.stats()["tokens"]["refused"] == 1
    assert expired.events.filter(kind="lost").count() == 1
