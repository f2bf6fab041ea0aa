from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread, Timer
from typing import Any

import pytest
from django.db import connection as database
from django.db import connections

from tests.management.conftest import CommandResult, Run
from zoho_crm.management._worker_loop import stop_on_signals
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, from_now
from zoho_crm.services.convert import request
from zoho_crm.services.preview import get_or_create_row
from zoho_crm.signals import lead_converted
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


def ordered(connection: Connection, zoho: Simulator, *cases: str) -> list[str]:
    """Add leads and request their conversion by the policy ``attach``; return their ids."""
    ids = [zoho.story(case) for case in cases]
    for lead_id in ids:
        request(connection_id=connection.pk, lead_id=lead_id, policy="attach")
    return ids


@contextmanager
def ending_by(number: int) -> Iterator[None]:
    """Send this process a signal when a lead is converted."""

    def ask(**_more: Any) -> None:
        signal.raise_signal(number)

    lead_converted.connect(ask)
    try:
        yield
    finally:
        lead_converted.disconnect(ask)


def test_what_is_due_is_worked(run: Run, connection: Connection, zoho: Simulator) -> None:
    ordered(connection, zoho, "no_match", "one_match", "several", "locked")

    ran = run("zoho_work", "--format=json")

    assert ran.code == 0
    assert ran.line == {
        "connection": connection.name,
        "converted": 2,
        "failed": 0,
        "unknown": 0,
        "needs_review": 0,
        "waiting": 0,
    }


def test_what_happened_before_is_not_counted(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    ordered(connection, zoho, "no_match")
    run("zoho_work")

    assert run("zoho_work", "--format=json").line["converted"] == 0


def test_people_get_a_table(run: Run, connection: Connection) -> None:
    ran = run("zoho_work")

    assert ran.out.splitlines()[0].split() == [
        *("connection", "converted", "failed", "unknown", "needs", "review", "waiting")
    ]


def test_without_a_connection_there_is_nothing_to_work(run: Run, zoho: Simulator) -> None:
    ran = run("zoho_work")

    assert (ran.code, ran.out) == (0, "")
    assert "zoho_connect" in ran.err


def test_doubt_ends_with_6(run: Run, connection: Connection, zoho: Simulator) -> None:
    ordered(connection, zoho, "no_match")
    zoho.fail("convert", "close_after")

    ran = run("zoho_work", "--format=json")

    assert ran.code == 6
    assert (ran.line["unknown"], ran.line["waiting"]) == (1, 0)


@pytest.mark.parametrize("fault", ["close_before", "close_after"])
def test_until_idle_finds_out_what_became_of_every_lead(
    run: Run, connection: Connection, zoho: Simulator, fault: str
) -> None:
    (lead_id,) = ordered(connection, zoho, "no_match")
    zoho.fail("convert", fault)

    ran = run("zoho_work", "--until-idle", "--format=json")

    assert ran.code == 0
    assert (ran.line["converted"], ran.line["unknown"]) == (1, 0)
    assert "1 lead is in progress" in ran.err
    assert len(zoho.conversions_of(lead_id)) == 1


def test_the_wait_for_doubt_can_be_bounded(
    run: Run, connection: Connection, zoho: Simulator, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "QUIET_PERIOD": 600}
    ordered(connection, zoho, "no_match")
    zoho.fail("convert", "close_before")
    run("zoho_work")

    ran = run("zoho_work", "--until-idle", "--max-seconds", "0.5", "--format=json")

    assert ran.code == 6
    assert ran.line["unknown"] == 1


def test_until_idle_says_that_the_time_was_too_short(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    ordered(connection, zoho, "no_match")
    zoho.fail("leads_list", "throttle", times=None)

    ran = run("zoho_work", "--until-idle", "--max-seconds", "0.5", "--format=json")

    assert ran.code == 1
    assert ran.line["waiting"] == 1


def test_what_zoho_refuses_ends_with_3(run: Run, connection: Connection, zoho: Simulator) -> None:
    ordered(connection, zoho, "no_match")
    body = {"code": "INVALID_DATA", "details": {}, "message": "no", "status": "error"}
    zoho.fail("convert", "error_before", status=400, body=body)

    ran = run("zoho_work", "--format=json")

    assert ran.code == 3
    assert ran.line["failed"] == 1


def test_rows_of_a_lost_connection_need_a_person(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    ordered(connection, zoho, "no_match")
    Connection.objects.update(status=Connection.Status.NEEDS_RECONNECT)

    ran = run("zoho_work", "--until-idle", "--format=json")

    assert ran.code == 4
    assert ran.line["waiting"] == 1


@pytest.mark.parametrize(
    ("kind", "code"),
    [(ConnectionWork.BackoffKind.LIMIT, 5), (ConnectionWork.BackoffKind.PERSON, 4)],
)
def test_until_idle_does_not_wait_for_limits_and_people(
    run: Run, connection: Connection, zoho: Simulator, kind: str, code: int
) -> None:
    ordered(connection, zoho, "no_match")
    ConnectionWork.objects.create(
        connection=connection,
        backoff_until=from_now(600),
        backoff_kind=kind,
        backoff_reason="reserve",
    )

    ran = run("zoho_work", "--until-idle", "--format=json")

    assert ran.code == code
    assert "reserved for other programs" in ran.err


def test_a_disabled_connection_is_left_alone(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    ordered(connection, zoho, "no_match")
    Connection.objects.update(status=Connection.Status.DISABLED)

    ran = run("zoho_work", "--until-idle")

    assert (ran.code, ran.out) == (0, "")


def test_one_connection_can_be_chosen(run: Run, connection: Connection, zoho: Simulator) -> None:
    ordered(connection, zoho, "no_match")
    Connection.objects.create(name="Other", org_id="1", data_center="local", environment="sandbox")

    ran = run("zoho_work", "--connection", "Other", "--format=json")

    assert ran.line["connection"] == "Other"
    assert not LeadConversion.objects.filter(status="CONVERTED").exists()


def test_another_worker_is_waited_for(run: Run, connection: Connection, zoho: Simulator) -> None:
    ordered(connection, zoho, "no_match")
    ConnectionWork.objects.create(
        connection=connection, lease_owner="another", lease_until=from_now(1.5)
    )

    ran = run("zoho_work", "--until-idle", "--format=json")

    assert ran.code == 0
    assert ran.line["converted"] == 1


def test_a_loop_works_what_comes_until_the_time_is_over(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    ordered(connection, zoho, "no_match")

    ran = run("zoho_work", "--loop", "0.2", "--max-seconds", "1", "--format=json")

    assert ran.code == 0
    assert ran.line["converted"] == 1


def test_who_looks_at_all_connections_sweeps(run: Run, connection: Connection) -> None:
    run("zoho_work", "--connection", connection.name)
    swept_before = ConnectionWork.objects.filter(swept_at__isnull=False).exists()
    run("zoho_work")

    assert not swept_before
    assert ConnectionWork.objects.get().swept_at is not None


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_loop_ends_when_it_is_asked_to(
    run: Run, connection: Connection, zoho: Simulator, number: int, code: int
) -> None:
    ordered(connection, zoho, "no_match")
    before = signal.getsignal(number)

    with ending_by(number):
        ran = run("zoho_work", "--loop", "60", "--format=json")

    assert ran.code == code
    assert ran.line["converted"] == 1
    assert signal.getsignal(number) is before


def test_loop_and_until_idle_exclude_each_other(run: Run) -> None:
    ran = run("zoho_work", "--loop", "1", "--until-idle")

    assert "not allowed with" in ran.err


def test_a_lead_that_is_not_decided_rests(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    get_or_create_row(connection_id=connection.pk, lead_id=zoho.story("no_match"))

    ran = run("zoho_work", "--until-idle")

    assert ran.code == 0
    assert LeadConversion.objects.get().status == "PREVIEWED"


def test_a_command_can_run_beside_the_main_thread(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    ordered(connection, zoho, "no_match")

    def work() -> CommandResult:
        try:
            return run("zoho_work", "--format=json")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=1) as pool:
        ran = pool.submit(work).result()

    assert ran.line["converted"] == 1


# Outages of the database

#: Statements that make every other connection wait for the table of the workers' leases.
LOCKS = {
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": "LOCK TABLE zoho_crm_connectionwork IN ACCESS EXCLUSIVE MODE",
    "mysql": "LOCK TABLES zoho_crm_connectionwork WRITE",
}
UNLOCKS = {"sqlite": "ROLLBACK", "postgresql": "ROLLBACK", "mysql": "UNLOCK TABLES"}


@pytest.fixture
def locked_out() -> Iterator[Callable[[Callable[[], None], float], Thread]]:
    """Return a function that locks the database in a thread, calls one, and unlocks it later."""
    over = Event()
    threads: list[Thread] = []

    def hold(then: Callable[[], None], seconds: float) -> None:
        with database.cursor() as cursor:
            if database.vendor == "postgresql":
                cursor.execute("BEGIN")
            cursor.execute(LOCKS[database.vendor])
            then()
            over.wait(seconds)
            cursor.execute(UNLOCKS[database.vendor])
        connections.close_all()

    def start(then: Callable[[], None], seconds: float) -> Thread:
        threads.append(Thread(target=hold, args=(then, seconds)))
        threads[-1].start()
        return threads[-1]

    yield start
    over.set()
    for thread in threads:
        thread.join()


def test_a_loop_goes_on_after_an_outage_of_the_database_and_says_so(
    run: Run, connection: Connection, zoho: Simulator, locked_out: Any
) -> None:
    ordered(connection, zoho, "no_match")
    locked = Event()
    locked_out(locked.set, 3)
    locked.wait(10)

    with ending_by(signal.SIGINT):
        ran = run("zoho_work", "--loop", "60", "--format=json")

    assert ran.code == 130
    assert ran.line["converted"] == 1
    assert "The database fails: " in ran.err
    assert "It is tried again in 1 s." in ran.err


def test_a_loop_ends_when_it_is_asked_to_while_it_waits_for_a_lock(
    run: Run, connection: Connection, zoho: Simulator, locked_out: Any
) -> None:
    ordered(connection, zoho, "no_match")
    locked_out(lambda: Timer(1.5, os.kill, [os.getpid(), signal.SIGTERM]).start(), 60)
    started = time.monotonic()

    ran = run("zoho_work", "--loop", "60")

    assert ran.code == 143
    assert time.monotonic() - started < 30


@pytest.mark.skipif(database.vendor != "postgresql", reason="PostgreSQL has such poolers")
@pytest.mark.parametrize(("is_shared", "limit"), [(False, "1s"), (True, "0")])
def test_the_waits_for_locks_are_not_limited_where_others_use_the_connection(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, is_shared: bool, limit: str
) -> None:
    monkeypatch.setitem(database.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", is_shared)

    with stop_on_signals(), database.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == (limit,)
    with database.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)
