"""A site as in production: a broker, workers and beat in processes of their own, Zoho over HTTP."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from testproject.celery import app
from testproject.demo.results import compare_with_ledger
from tests.journeys import fair
from tests.journeys.processes import site
from tests.journeys.waiting import wait_until, wait_until_at_rest
from zoho_crm import tasks
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.broker

LEADS = 30
#: Of each kind, while they are converted.
LOST_ANSWERS = 6
#: Seconds for a run of so many leads.
PATIENCE = {500: 180, 5_000: 600}


@pytest.fixture
def queue(settings: Any, live_zoho: Simulator) -> Iterator[str]:
    """A queue that no other run listens to."""
    assert app.conf.broker_url.partition(":")[0] in ("redis", "amqp"), "set CELERY_BROKER_URL"
    name = f"zoho-crm-{uuid.uuid4().hex}"
    # So that no lead is given to a person, even if all answers that are lost are its own.
    attempts = {"MAX_ATTEMPTS": 2 * LOST_ANSWERS + 1}
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, **attempts, "QUEUE": name, "SWEEP_INTERVAL": 1}
    yield name
    with app.connection_for_write() as broker:
        broker.default_channel.queue_delete(name)


@pytest.fixture
def connection(transactional_db: None, live_zoho: Simulator) -> Connection:
    return with_grant_code(code=live_zoho.grant_code(), data_center="local")


@pytest.fixture
def logs(queue: str, transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[Path]:
    """The site is running; its programs write here what is wrong."""
    with site(queue, settings.ZOHO_CRM, tmp_path):
        yield tmp_path


def complaints(logs: Path) -> str:
    return "".join(log.read_text() for log in logs.glob("*.log"))


def test_leads_are_converted_once_each_whatever_becomes_of_the_answers(
    live_zoho: Simulator, connection: Connection, queue: str, logs: Path
) -> None:
    lead_ids = [live_zoho.story("no_match") for _ in range(LEADS)]
    live_zoho.fail("convert", "close_after", times=LOST_ANSWERS, share=0.3, seed=1)
    live_zoho.fail("convert", "close_before", times=LOST_ANSWERS, share=0.3, seed=2)

    for lead_id in lead_ids:
        tasks.convert_lead.apply_async(kwargs={"lead_id": lead_id}, queue=queue)
    wait_until(lambda: LeadConversion.objects.count() == LEADS)
    wait_until_at_rest(connection)

    rows = LeadConversion.objects.all()
    assert Counter(row.status for row in rows) == {"CONVERTED": LEADS}
    assert compare_with_ledger(rows, live_zoho.ledger()) == dict.fromkeys(lead_ids, True)
    assert "ID_ALREADY_CONVERTED" not in {call["code"] for call in live_zoho.ledger()["calls"]}
    assert {row.evidence for row in rows} == {"answer", "read"}
    assert "Traceback" not in complaints(logs)


@pytest.mark.parametrize("number", [500, pytest.param(5_000, marks=pytest.mark.long)])
def test_a_run_goes_through_two_workers_and_every_lead_is_accounted_for(
    live_zoho: Simulator, connection: Connection, queue: str, logs: Path, number: int
) -> None:
    pat = User.objects.create_user("pat")
    leads = fair.visitors(live_zoho, number)

    def get_on(run: MassConversion) -> None:
        tasks.mass_convert.apply_async(kwargs={"mass_conversion_id": run.pk}, queue=queue)

    def waits_for_people(run: MassConversion) -> bool:
        run.refresh_from_db()
        return run.stage == MassConversion.Stage.REVIEW and run.due_at is None

    def has_ended(run: MassConversion) -> bool:
        run.refresh_from_db()
        assert not run.paused_reason
        return run.ended_at is not None

    run = fair.prepare(connection, leads, pat)
    get_on(run)
    wait_until(lambda: waits_for_people(run), seconds=PATIENCE[number])
    fair.decide(run, pat)
    get_on(run)
    wait_until(lambda: waits_for_people(run), seconds=PATIENCE[number])
    were_there = fair.start(run, live_zoho, pat)
    get_on(run)
    wait_until(lambda: has_ended(run), seconds=PATIENCE[number])

    fair.check(run, live_zoho, leads, were_there)
    assert "Traceback" not in complaints(logs)
