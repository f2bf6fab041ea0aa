"""The tasks: their arguments, results, and the messages that they send."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.db import connection as database

from testproject.celery import app
from tests import messages
from tests.connected import connected
from tests.messages import Sent
from tests.outages import at, cut, failing, own_number
from tests.signals import heard
from zoho_crm import tasks
from zoho_crm.exceptions import ConnectionLostError, PlanError, RequestRefusedError
from zoho_crm.matching import POLICIES
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, MassConversion, from_now
from zoho_crm.schedules import BEAT_SCHEDULE
from zoho_crm.services import convert, mass_convert, preview, work
from zoho_crm.services.connect import with_grant_code
from zoho_crm.signals import lead_converted, mass_conversion_finished
from zoho_crm.simulator import Simulator

Status = LeadConversion.Status


@pytest.fixture(autouse=True)
def empty_queues() -> None:
    """Remove the messages that other tests sent."""
    messages.take_all()


@pytest.fixture
def connection(transactional_db: None, zoho: Simulator) -> Connection:
    """Use real transactions: threads read what tests write, and ``on_commit`` runs."""
    return connected(zoho)


@pytest.fixture
def told() -> Iterator[list[LeadConversion]]:
    """Collect the conversions that signals were sent for."""
    with heard(lead_converted, "conversion") as conversions:
        yield conversions


def prepared(*lead_ids: str) -> MassConversion:
    """Return a run of these leads over the only connection."""
    connection_id = Connection.objects.get().pk
    policy = POLICIES["careful"]
    return mass_convert.prepare(
        connection_id=connection_id, lead_ids=lead_ids or ("1",), policy=policy
    )


def awake(connection: Connection) -> Sent:
    return Sent(task="work_connection", kwargs={"connection_id": connection.pk}, eta=None)


def test_converting_a_lead_answers_with_its_row_and_wakes_its_connection(
    connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("no_match")

    answer = tasks.convert_lead(lead_id=lead_id, connection_id=connection.pk, policy="attach")

    row = LeadConversion.objects.get(lead_id=lead_id)
    assert answer == {"conversion_id": row.pk, "status": "NEW"}
    assert row.policy == "attach"
    assert messages.take_all() == [awake(connection)]


def test_a_task_that_meets_an_outage_of_the_database_is_tried_again(
    connection: Connection, zoho: Simulator
) -> None:
    order = {"lead_id": zoho.story("no_match"), "connection_id": connection.pk}
    with failing(OperationalError("server closed the connection unexpectedly"), at(0)):
        answer = tasks.convert_lead.apply(kwargs=order).result

    assert answer["status"] == "NEW"
    assert LeadConversion.objects.get().lead_id == order["lead_id"]


@pytest.mark.skipif(database.vendor == "sqlite", reason="it has no server that could cut")
def test_a_task_begins_with_connections_that_the_database_has_not_cut(
    connection: Connection,
) -> None:
    number = own_number()
    with ThreadPoolExecutor(max_workers=1) as other:
        other.submit(cut, number).result()
        other.submit(connections.close_all).result()
    with suppress(OperationalError):
        Connection.objects.count()  # what the task before this one met

    tasks.sweep.before_start("1", (), {})

    assert tasks.sweep() is None


def test_what_a_task_answers_is_small_json(connection: Connection, zoho: Simulator) -> None:
    lead_id = zoho.story("hostile")
    preview.preview(connection_id=connection.pk, lead_id=lead_id)

    answer = tasks.convert_lead(lead_id=lead_id)

    assert len(json.dumps(answer)) < 100


def test_a_lead_is_converted_over_the_default_connection_if_none_is_named(
    connection: Connection, zoho: Simulator
) -> None:
    answer = tasks.convert_lead(lead_id=zoho.story("no_match"))

    assert LeadConversion.objects.get(pk=answer["conversion_id"]).connection == connection


def test_without_a_connection_no_lead_is_converted(db: None) -> None:
    with pytest.raises(ConnectionLostError, match="connect to Zoho first"):
        tasks.convert_lead(lead_id="1")

    assert messages.take_all() == []


@pytest.mark.parametrize("lead_id", ["", "abc", "12 34", "-1", "1" * 20, "../users", "１２３"])
def test_what_can_be_no_lead_is_refused(connection: Connection, lead_id: str) -> None:
    with pytest.raises(RequestRefusedError):
        tasks.convert_lead(lead_id=lead_id)

    assert not LeadConversion.objects.exists()
    assert messages.take_all() == []


def test_a_policy_that_does_not_exist_is_refused(connection: Connection, zoho: Simulator) -> None:
    with pytest.raises(PlanError, match="careful, attach"):
        tasks.convert_lead(lead_id=zoho.story("no_match"), policy="reckless")

    assert not LeadConversion.objects.exists()


def test_a_lead_on_its_way_stays_on_it(connection: Connection, zoho: Simulator) -> None:
    lead_id = zoho.story("one_match")
    row = preview.preview(connection_id=connection.pk, lead_id=lead_id)
    plan = row.stored_plan()
    assert plan
    convert.approve(conversion_id=row.pk, version=row.version, plan=plan)

    answer = tasks.convert_lead(lead_id=lead_id, policy="attach")

    assert answer == {"conversion_id": row.pk, "status": "READY"}


def test_a_mass_conversion_wakes_its_connection_and_tells_its_stage(
    connection: Connection,
) -> None:
    run = prepared()

    answer = tasks.mass_convert(mass_conversion_id=run.pk)

    assert answer == {"mass_conversion_id": run.pk, "stage": "PREVIEWING"}
    assert messages.take_all() == [awake(connection)]


@pytest.fixture
def told_of_runs() -> Iterator[list[MassConversion]]:
    """Collect the mass conversions that signals were sent for."""
    with heard(mass_conversion_finished, "mass_conversion") as runs:
        yield runs


@pytest.mark.slow
def test_a_mass_conversion_is_announced_once_when_it_has_ended(
    connection: Connection, zoho: Simulator, told_of_runs: list[MassConversion]
) -> None:
    run = prepared(zoho.story("no_match"))
    tasks.work_connection(connection_id=connection.pk)
    tasks.send_signals()
    before = list(told_of_runs)
    mass_convert.cancel(run_id=run.pk)
    while work.work(connection_id=connection.pk) is not None:
        pass

    tasks.send_signals()
    tasks.send_signals()

    assert before == []
    assert told_of_runs == [run]


@pytest.mark.parametrize(
    "call",
    [
        lambda more: tasks.convert_lead(lead_id="1", **more),
        lambda more: tasks.mass_convert(mass_conversion_id=prepared().pk, **more),
        lambda more: tasks.work_connection(connection_id=1, **more),
        lambda more: tasks.sweep(**more),
        lambda more: tasks.send_signals(**more),
    ],
    ids=["convert_lead", "mass_convert", "work_connection", "sweep", "send_signals"],
)
def test_a_task_ignores_what_newer_callers_say(
    connection: Connection, call: Callable[[dict[str, str]], Any]
) -> None:
    call({"said_by_a_newer_version": "hello"})


@pytest.mark.parametrize(
    "name", ["convert_lead", "mass_convert", "work_connection", "sweep", "send_signals"]
)
def test_a_task_takes_keywords_only(name: str) -> None:
    task = app.tasks[f"zoho_crm.tasks.{name}"]

    with pytest.raises(TypeError):
        task("1")


def test_no_message_is_sent_before_the_transaction_is_committed(
    db: None, zoho: Simulator, django_capture_on_commit_callbacks: Any
) -> None:
    connection = with_grant_code(code=zoho.grant_code(), data_center="local")

    with django_capture_on_commit_callbacks(execute=True):
        tasks.convert_lead(lead_id=zoho.story("no_match"))
        before = messages.take_all()

    assert before == []
    assert messages.take_all() == [awake(connection)]


def test_work_is_done_and_then_announced(
    connection: Connection, zoho: Simulator, told: list[LeadConversion]
) -> None:
    answer = tasks.convert_lead(lead_id=zoho.story("no_match"))
    messages.take_all()

    tasks.work_connection(connection_id=connection.pk)
    sent = messages.take_all()
    tasks.send_signals()

    row = LeadConversion.objects.get(pk=answer["conversion_id"])
    assert row.status == Status.CONVERTED
    assert [message.task for message in sent] == ["send_signals"]
    assert told == [row]


def test_work_comes_back_when_the_next_row_is_due(connection: Connection, zoho: Simulator) -> None:
    zoho.fail("options", "error_before")
    tasks.convert_lead(lead_id=zoho.story("no_match"))
    messages.take_all()

    tasks.work_connection(connection_id=connection.pk)

    (back,) = [message for message in messages.take_all() if message.task == "work_connection"]
    assert back.kwargs == {"connection_id": connection.pk}
    assert back.eta is not None


def test_work_comes_back_no_more_when_nothing_is_due(connection: Connection) -> None:
    tasks.work_connection(connection_id=connection.pk)

    assert messages.take_all() == []


def test_work_has_what_came_of_it_announced(connection: Connection, zoho: Simulator) -> None:
    tasks.convert_lead(lead_id=zoho.story("no_match"))
    messages.take_all()

    tasks.work_connection(connection_id=connection.pk)

    assert [message.task for message in messages.take_all()] == ["send_signals"]


def test_of_copies_of_one_sweep_only_one_wakes_a_connection(
    connection: Connection, zoho: Simulator, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "SWEEP_INTERVAL": 900}
    monkeypatch.setattr(work, "MIN_SWEEP_INTERVAL_SECONDS", 225)  # ten take their time, maybe
    convert.request(connection_id=connection.pk, lead_id=zoho.story("no_match"))

    for _copy in range(10):
        tasks.sweep()

    assert messages.take_all() == [awake(connection)]


def test_the_next_sweep_wakes_it_again(connection: Connection, zoho: Simulator) -> None:
    convert.request(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    tasks.sweep()
    ConnectionWork.objects.update(swept_at=from_now(-2))

    tasks.sweep()

    assert messages.take_all() == [awake(connection)] * 2


def test_sweeping_wakes_connections_with_due_rows(connection: Connection, zoho: Simulator) -> None:
    convert.request(connection_id=connection.pk, lead_id=zoho.story("no_match"))

    tasks.sweep()

    assert messages.take_all() == [awake(connection)]


@pytest.mark.parametrize(
    "busy",
    [
        {"lease_until": from_now(60)},
        {"backoff_until": from_now(60)},
    ],
    ids=["worked by another", "waiting"],
)
def test_sweeping_leaves_a_connection_alone_that_is(
    connection: Connection, zoho: Simulator, busy: dict[str, Any]
) -> None:
    convert.request(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    ConnectionWork.objects.create(connection=connection, **busy)

    tasks.sweep()

    assert messages.take_all() == []


def test_sweeping_leaves_a_disabled_connection_alone(
    connection: Connection, zoho: Simulator
) -> None:
    convert.request(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    Connection.objects.update(status=Connection.Status.DISABLED)

    tasks.sweep()

    assert messages.take_all() == []


def test_every_message_goes_to_the_queue_of_the_settings(
    connection: Connection, zoho: Simulator, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "QUEUE": "crm"}
    zoho.fail("options", "error_before")
    for _lead in range(2):
        tasks.convert_lead(lead_id=zoho.story("no_match"))

    tasks.sweep()
    tasks.work_connection(connection_id=connection.pk)

    sent = [message.task for message in messages.take_all("crm")]
    assert sorted(sent) == ["send_signals", *["work_connection"] * 4]
    assert messages.take_all() == []


def test_the_schedule_of_beat_names_tasks_that_there_are() -> None:
    assert {entry["task"] for entry in BEAT_SCHEDULE.values()} <= app.tasks.keys()


@pytest.fixture
def broker_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.amqp, "_producer_pool", None)
    monkeypatch.setitem(app.conf, "broker_write_url", "amqp://127.0.0.1:1//")


def test_a_broker_that_is_down_raises_no_error(
    connection: Connection, zoho: Simulator, broker_is_down: None
) -> None:
    answer = tasks.convert_lead(lead_id=zoho.story("no_match"))

    assert answer["status"] == "NEW"
