"""Outages of the database are nobody's fault, and what one row cannot store is its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connections,
)
from django.db import connection as database
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from tests.clock import pass_time
from tests.outages import at, cut, failing, own_number, written
from tests.parameters import long
from zoho_crm.conf import conf
from zoho_crm.matching import POLICIES
from zoho_crm.models import (
    Connection,
    ConnectionWork,
    LeadConversion,
    MassConversion,
    Token,
    from_now,
)
from zoho_crm.services import convert, mass_convert, work
from zoho_crm.services.outages import is_outage
from zoho_crm.simulator import Simulator

Status = LeadConversion.Status


class DriverError(Exception):
    """An error of a driver of PostgreSQL, with its code."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__()
        self.sqlstate = sqlstate


def caused(error: Exception, sqlstate: str) -> Exception:
    error.__cause__ = DriverError(sqlstate)
    return error


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("database is locked"),
        OperationalError(),
        OperationalError(1205, "Lock wait timeout exceeded"),
        OperationalError(1213, "Deadlock found"),
        OperationalError(2006, "Server has gone away"),
        OperationalError(2013, "Lost connection"),
        InterfaceError(0, ""),
        caused(OperationalError("terminating connection"), "57P01"),
        caused(OperationalError("deadlock detected"), "40P01"),
        caused(InternalError("read-only transaction"), "25006"),
    ],
    ids=repr,
)
def test_cut_connections_locks_and_deadlocks_are_outages(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize(
    "error",
    [
        DataError("value too long"),
        IntegrityError("CHECK constraint failed"),
        ProgrammingError("no such table"),
        UnicodeError("surrogates not allowed"),
        OverflowError("too large"),
        OperationalError(1366, "Incorrect string value"),
        OperationalError(1153, "Got a packet bigger than 'max_allowed_packet'"),
        caused(OperationalError("index row size exceeds maximum"), "54000"),
    ],
    ids=repr,
)
def test_values_that_a_column_does_not_take_are_no_outages(error: Exception) -> None:
    assert not is_outage(error)


def request(connection: Connection, lead_id: str) -> LeadConversion:
    return convert.request(connection_id=connection.pk, lead_id=lead_id, policy="careful")


class Slices:
    """Works one slice after the other, as a command does, with a deadlock at one statement."""

    def __init__(self, connection: Connection, zoho: Simulator, *, deadlock_at: int) -> None:
        self.connection, self.zoho = connection, zoho
        self._fails = at(deadlock_at)
        #: Slices that ended by it.
        self.outages = 0
        #: Seconds that passed between the slices.
        self.waited = 0.0

    def work(self) -> float | None:
        try:
            with failing(OperationalError("deadlock detected"), self._fails):
                return work.work(connection_id=self.connection.pk)
        except OperationalError:
            self.outages += 1
            return 0.0

    def until(self, is_over: Callable[[], bool]) -> Slices:
        for _slice in range(20):
            wait = self.work()
            if wait is None and is_over():
                return self
            # Whoever could not give back its lease still has it.
            passed = wait or conf().LEASE / 10
            pass_time(self.zoho, passed)
            self.waited += passed
        raise AssertionError("It does not come to an end.")


def work_until_idle(connection: Connection, zoho: Simulator, *, deadlock_at: int = -1) -> int:
    """Work until no lead is in progress; return how many slices ended by an outage."""
    unfinished = LeadConversion.objects.unfinished()
    slices = Slices(connection, zoho, deadlock_at=deadlock_at)
    return slices.until(lambda: not unfinished.all().exists()).outages


def journal(row: LeadConversion) -> list[str]:
    return [event.to_status for event in row.events.order_by("version")]


STEPS = [Status.NEW, Status.PREVIEWED, Status.READY, Status.RUNNING, Status.CONVERTED]


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
@pytest.mark.parametrize("step", [17, long(5)])
def test_a_deadlock_at_any_statement_is_retried_and_marks_nobody(
    connection: Connection, zoho: Simulator, subtests: pytest.Subtests, settings: Any, step: int
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "LEASE": 600, "SLICE": 300}  # none ends by its time
    ended = 0
    for number in range(0, 85, step):
        rows = [request(connection, zoho.story("no_match")) for _row in range(3)]
        with subtests.test(number=number):
            ended += work_until_idle(connection, zoho, deadlock_at=number)
            assert [journal(row) for row in rows] == [STEPS] * 3
    # A slice ends only by what comes before its loop, or after it.
    assert ended <= 4


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
@pytest.mark.parametrize("step", [17, long(5)])
def test_a_deadlock_in_a_step_of_a_run_does_not_hold_it_up(
    connection: Connection, zoho: Simulator, subtests: pytest.Subtests, step: int
) -> None:
    for number in range(30, 80, step):
        run = mass_convert.prepare(
            connection_id=connection.pk,
            lead_ids=[zoho.story("no_match")],
            policy=POLICIES["careful"],
        )
        in_review = MassConversion.objects.filter(pk=run.pk, stage=MassConversion.Stage.REVIEW)
        slices = Slices(connection, zoho, deadlock_at=number)
        with subtests.test(number=number):
            slices.until(lambda rows=in_review: rows.all().exists())
            assert slices.waited < 30


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_a_preview_that_cannot_be_written_costs_only_its_own_row(
    connection: Connection, zoho: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    odd = request(connection, zoho.add_lead(Company="Unwritable GmbH").id)
    others = [request(connection, zoho.story("no_match")) for _row in range(3)]

    with failing(
        DataError("Failing row: Unwritable"), lambda _sql, params: "Unwritable" in written(params)
    ):
        work_until_idle(connection, zoho)

    odd.refresh_from_db()
    assert (odd.status, odd.error_code) == (Status.NEEDS_REVIEW, "INTERNAL")
    assert odd.events.latest("version").details == {"bug": "DataError", "why": "INTERNAL"}
    assert [journal(row) for row in others] == [STEPS] * 3
    assert f"Conversion {odd.pk}: DataError when it was written" in caplog.text
    assert "Unwritable" not in caplog.text


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_an_outcome_that_cannot_be_written_is_in_doubt_and_costs_only_its_own_row(
    connection: Connection, zoho: Simulator
) -> None:
    rows = [request(connection, zoho.story("no_match")) for _row in range(4)]
    odd = rows[0]

    def fails(_sql: str, params: Any) -> bool:
        became = zoho.conversions_of(odd.lead_id)
        return bool(became) and became[0]["contact_id"] in written(params)

    with failing(UnicodeError("surrogates not allowed"), fails):
        work.work(connection_id=connection.pk)

    odd.refresh_from_db()
    assert (odd.status, odd.in_doubt) == (Status.UNKNOWN, True)
    assert [journal(row) for row in rows[1:]] == [STEPS] * 3
    pass_time(zoho, 10)
    work.work(connection_id=connection.pk)
    odd.refresh_from_db()
    assert (odd.status, odd.evidence) == (Status.CONVERTED, "read")


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_an_outage_while_the_access_token_is_fetched_starts_no_back_off(
    connection: Connection, zoho: Simulator
) -> None:
    """The thread that fetches it has a connection to the database of its own."""
    row = request(connection, zoho.story("no_match"))
    Token.objects.update(expires_at=from_now(0))
    cut = OperationalError("server closed the connection unexpectedly")
    numbers = count()

    def execute(run: Callable[..., Any], *statement: Any) -> Any:
        if next(numbers) == 0:
            raise cut
        return run(*statement)

    def in_threads(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            connection.execute_wrappers.append(execute)

    connection_created.connect(in_threads)
    try:
        work.work(connection_id=connection.pk)
    finally:
        connection_created.disconnect(in_threads)

    assert next(numbers) > 1
    assert journal(row) == STEPS
    assert ConnectionWork.objects.get().backoff_reason == ""


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
@pytest.mark.skipif(database.vendor == "sqlite", reason="it has no server that could cut")
def test_a_connection_that_the_server_cuts_is_opened_again_and_marks_nobody(
    connection: Connection, zoho: Simulator
) -> None:
    rows = [request(connection, zoho.story("no_match")) for _row in range(3)]
    number = own_number()

    def sleep(_seconds: float) -> None:
        cut(number)
        connections.close_all()

    zoho.fail("convert", "delay", seconds=0.1)
    zoho.engine.sleep = sleep

    assert work_until_idle(connection, zoho) == 0
    assert [journal(row) for row in rows] == [STEPS] * 3
