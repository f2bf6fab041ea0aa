"""The calls of a write are in flight together; what they give is in the order of the records."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from tests.client.conftest import Transport
from zoho_crm.client import TokenAuth, WriteResult, ZohoClient, open_session
from zoho_crm.contrib.pytest import SimulatorAdapter
from zoho_crm.exceptions import PermissionDeniedError, UnknownOutcomeError
from zoho_crm.simulator import Simulator

#: Seconds after which a test fails that waits for what does not come.
PATIENCE = 20


def people(*numbers: int) -> list[dict[str, str]]:
    """Return contacts, each of whom another number tells from the others."""
    return [{"Last_Name": f"No. {each}", "Email": f"{each}@nordwind.example"} for each in numbers]


class Watched(SimulatorAdapter):
    """An adapter that tells a function which write is about to be sent, counted from 0."""

    def __init__(self, simulator: Simulator, before: Callable[[int, str], object]) -> None:
        super().__init__(simulator)
        self._before = before
        self._lock = threading.Lock()
        self._calls = 0
        self._now = 0
        #: The most calls that were in flight together.
        self.peak = 0

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Send a request, as the simulator's adapter does."""
        if request.method == "GET":
            return super().send(request, *args, **kwargs)
        with self._lock:
            number = self._calls
            self._calls += 1
            self._now += 1
            self.peak = max(self.peak, self._now)
        try:
            self._before(number, (request.body or b"").decode())
            return super().send(request, *args, **kwargs)
        finally:
            with self._lock:
                self._now -= 1


def nothing(number: int, body: str) -> None:
    """Do nothing before a call."""


def watched(
    transport: Transport, before: Callable[[int, str], object] = nothing, concurrency: int = 3
) -> tuple[ZohoClient, Watched]:
    """Return a client that may have some calls in flight, and the adapter that it sends with."""
    adapter = Watched(transport.simulator, before)
    session = open_session(lambda: adapter)
    api = replace(transport.api(), session=session, concurrency=concurrency)
    return ZohoClient(api=replace(api, auth=TokenAuth(transport.token()))), adapter


def codes(results: tuple[WriteResult, ...]) -> list[str]:
    return [result.error.code if result.error else "" for result in results]


def test_as_many_calls_are_in_flight_as_are_allowed(in_process: Transport) -> None:
    together = threading.Barrier(3)
    crm, adapter = watched(in_process, lambda number, body: together.wait(PATIENCE))

    results = crm.records("Contacts").create(people(*range(600)))

    assert codes(results) == [""] * 600
    assert adapter.peak == 3


def test_results_are_in_the_order_of_the_records_whichever_call_is_answered_first(
    in_process: Transport,
) -> None:
    others = threading.Semaphore(0)

    def first_comes_last(number: int, body: str) -> None:
        if 'No. 0"' in body:
            assert others.acquire(timeout=PATIENCE)
            assert others.acquire(timeout=PATIENCE)
        else:
            others.release()

    crm, _adapter = watched(in_process, first_comes_last)

    results = crm.records("Contacts").create(people(*range(300)))

    stored = in_process.simulator.records["Contacts"]
    assert [stored[result.id]["Last_Name"] for result in results] == [
        f"No. {number}" for number in range(300)
    ]


def test_the_iterable_is_read_as_calls_are_answered(in_process: Transport) -> None:
    taken: list[int] = []
    ahead: list[int] = []

    def given() -> Iterator[dict[str, str]]:
        for number in range(3000):
            taken.append(number)
            yield people(number)[0]

    crm, _adapter = watched(
        in_process, lambda number, body: ahead.append(len(taken) - 100 * number)
    )

    crm.records("Contacts").create(given())

    assert max(ahead) <= 100 * (2 * 3 + 1)


@pytest.mark.parametrize("fields", [["Email"], []], ids=["fields named", "Zoho's own"])
def test_the_same_person_twice_is_created_once_and_has_the_last_values(
    in_process: Transport, fields: list[str]
) -> None:
    crm, _adapter = watched(in_process)
    rows = [*people(*range(250)), {"Last_Name": "Last", "Email": "7@NORDWIND.example"}]

    results = crm.records("Contacts").upsert(rows, duplicate_check_fields=fields)

    assert (results[7].action, results[-1].action) == ("insert", "update")
    assert results[7].id == results[-1].id
    assert in_process.simulator.records["Contacts"][results[7].id]["Last_Name"] == "Last"


def test_updates_of_one_record_follow_each_other(in_process: Transport) -> None:
    crm, adapter = watched(in_process)
    [created] = crm.records("Contacts").create(people(1))

    crm.records("Contacts").update(
        {"id": created.id, "Last_Name": f"No. {number}"} for number in range(500)
    )

    assert adapter.peak == 1
    assert in_process.simulator.records["Contacts"][created.id]["Last_Name"] == "No. 499"


def lose(*numbers: int) -> Callable[[int, str], None]:
    """Lose the answers to the calls with these people, which are not sent either."""

    def before(number: int, body: str) -> None:
        if any(f'"No. {each}"' in body for each in numbers):
            raise requests.ReadTimeout

    return before


def test_a_call_that_fails_costs_its_own_records_and_those_that_were_not_sent(
    in_process: Transport,
) -> None:
    crm, _adapter = watched(in_process, lose(150))

    results = crm.records("Contacts").create(people(*range(2000)))

    stored = in_process.simulator.records["Contacts"]
    assert {result.id for result in results if not result.error} == set(stored)
    errors = [result.error for result in results]
    assert all(isinstance(error, UnknownOutcomeError) for error in errors[100:200])
    assert {error.code for error in errors[900:] if error and error.may_repeat} == {"not_sent"}
    assert errors[-1]


def test_if_no_call_succeeds_the_error_is_raised(in_process: Transport) -> None:
    crm, adapter = watched(in_process)
    api = replace(crm.api, auth=TokenAuth(in_process.token("ZohoCRM.modules.contacts.READ")))

    with pytest.raises(PermissionDeniedError):
        ZohoClient(api=api).records("Contacts").create(people(*range(5000)))


def test_a_call_in_doubt_is_raised_rather_than_one_that_was_refused(in_process: Transport) -> None:
    together = threading.Barrier(2)

    def before(number: int, body: str) -> None:
        together.wait(PATIENCE)
        lose(150)(number, body)

    crm, _adapter = watched(in_process, before, 2)
    api = replace(crm.api, auth=TokenAuth(in_process.token("ZohoCRM.modules.contacts.READ")))

    with pytest.raises(UnknownOutcomeError):
        ZohoClient(api=api).records("Contacts").create(people(*range(200)))


def test_too_many_calls_are_sent_again_and_fewer_at_a_time(in_process: Transport) -> None:
    in_process.simulator.tune(concurrency=2, sub_concurrency=2)
    together = threading.Barrier(3)

    def before(number: int, body: str) -> None:
        if number < 3:
            together.wait(PATIENCE)

    crm, _adapter = watched(in_process, before)

    results = crm.records("Contacts").create(people(*range(1000)))

    assert codes(results) == [""] * 1000
    assert len(in_process.simulator.records["Contacts"]) == 1000


def test_what_ends_the_program_waits_for_what_was_sent(in_process: Transport) -> None:
    def given() -> Iterator[dict[str, str]]:
        yield from people(*range(250))
        raise KeyboardInterrupt

    crm, _adapter = watched(in_process)

    with pytest.raises(KeyboardInterrupt):
        crm.records("Contacts").create(given())

    assert not [each for each in threading.enumerate() if each.name.startswith("zoho-write")]
