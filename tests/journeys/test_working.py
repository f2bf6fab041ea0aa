"""Leads go through a real Celery worker, whatever becomes of its messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

import pytest
from celery.signals import task_postrun

from testproject.celery import app
from testproject.demo.results import compare_with_ledger
from testproject.demo.worker import run_worker
from tests import messages
from tests.journeys.waiting import wait_until, wait_until_at_rest
from zoho_crm import tasks
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.slow

Status = LeadConversion.Status
CASES = {
    "no_match": Status.CONVERTED,
    "one_match": Status.CONVERTED,
    "account_only": Status.CONVERTED,
    "several": Status.PREVIEWED,
    "disagree": Status.PREVIEWED,
    "locked": Status.PREVIEWED,
    "unapproved": Status.PREVIEWED,
    "converted": Status.CONVERTED,
    "deleted": Status.PREVIEWED,
    "hostile": Status.CONVERTED,
}


@pytest.fixture(autouse=True)
def empty_queues() -> None:
    """What other tests sent is none of our business."""
    messages.take_all()


@pytest.fixture
def connection(transactional_db: None, zoho: Simulator) -> Connection:
    """Transactions are real here: the worker has connections to the database of its own."""
    return with_grant_code(code=zoho.grant_code(), data_center="local")


@pytest.fixture
def ended() -> Iterator[Counter[str]]:
    """How many tasks have ended, by name."""
    count: Counter[str] = Counter()

    def note(task: Any, **_more: Any) -> None:
        count[task.name.rpartition(".")[2]] += 1

    task_postrun.connect(note, weak=False)
    yield count
    task_postrun.disconnect(note)


def statuses(lead_ids: list[str]) -> list[str]:
    known = dict(LeadConversion.objects.values_list("lead_id", "status"))
    return [known[lead_id] for lead_id in lead_ids]


def agree(zoho: Simulator) -> bool:
    return all(compare_with_ledger(LeadConversion.objects.all(), zoho.ledger()).values())


def sends(zoho: Simulator) -> Counter[str]:
    return Counter(call["lead_id"] for call in zoho.ledger()["calls"])


def test_what_the_policy_allows_is_converted_and_the_rest_waits_for_a_person(
    connection: Connection, zoho: Simulator, ended: Counter[str]
) -> None:
    lead_ids = [zoho.story(case) for case in CASES]

    with run_worker(app):
        for lead_id in lead_ids:
            tasks.convert_lead.delay(lead_id=lead_id, policy="attach")
        wait_until(lambda: ended["convert_lead"] == len(CASES))
        wait_until_at_rest(connection)

    assert statuses(lead_ids) == list(CASES.values())
    assert agree(zoho)


def test_losing_every_message_costs_nothing_but_the_time_until_the_next_sweep(
    connection: Connection, zoho: Simulator
) -> None:
    lead_ids = [zoho.story("no_match") for _ in range(5)]
    for lead_id in lead_ids:
        tasks.convert_lead(lead_id=lead_id)
    messages.take_all()

    with run_worker(app):
        tasks.sweep.delay()
        wait_until_at_rest(connection)

    assert set(statuses(lead_ids)) == {Status.CONVERTED}
    assert agree(zoho)


def test_repeating_and_reordering_messages_changes_nothing(
    connection: Connection, zoho: Simulator, ended: Counter[str]
) -> None:
    lead_ids = [zoho.story("no_match") for _ in range(10)]
    send: list[Callable[[], Any]] = [
        *(partial(tasks.convert_lead.delay, lead_id=lead_id) for lead_id in lead_ids * 3),
        *[partial(tasks.work_connection.delay, connection_id=connection.pk)] * 10,
        *[tasks.sweep.delay, tasks.send_signals.delay] * 5,
    ]
    Random(7).shuffle(send)

    with run_worker(app):
        for message in send:
            message()
        wait_until(lambda: ended["convert_lead"] == 30 and ended["sweep"] == 5)
        wait_until_at_rest(connection)

    assert set(statuses(lead_ids)) == {Status.CONVERTED}
    assert sends(zoho) == Counter(lead_ids)
    assert agree(zoho)


def test_a_message_that_comes_long_afterwards_converts_nothing_again(
    connection: Connection, zoho: Simulator, ended: Counter[str]
) -> None:
    lead_id = zoho.story("no_match")

    with run_worker(app):
        tasks.convert_lead.delay(lead_id=lead_id)
        wait_until(lambda: LeadConversion.objects.filter(status=Status.CONVERTED).exists())
        tasks.convert_lead.delay(lead_id=lead_id, policy="attach")
        wait_until(lambda: ended["convert_lead"] == 2)
        wait_until_at_rest(connection)

    assert sends(zoho) == Counter([lead_id])
    assert LeadConversion.objects.get().policy == "careful"
    assert agree(zoho)


def test_answers_that_are_lost_settle_by_themselves(
    connection: Connection, zoho: Simulator
) -> None:
    happened, vanished = zoho.story("no_match"), zoho.story("no_match")
    zoho.fail("convert", "close_after", lead_id=happened)
    zoho.fail("convert", "close_before", lead_id=vanished)

    with run_worker(app):
        for lead_id in (happened, vanished):
            tasks.convert_lead.delay(lead_id=lead_id)
        wait_until(lambda: LeadConversion.objects.filter(status=Status.CONVERTED).count() == 2)

    assert sends(zoho) == Counter({happened: 1, vanished: 2})
    assert LeadConversion.objects.get(lead_id=happened).evidence == "read"
    assert LeadConversion.objects.get(lead_id=vanished).evidence == "answer"
    assert agree(zoho)
