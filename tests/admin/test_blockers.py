"""Waiting rows report within 35 s that no worker or sweep was seen, and how to start one."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils.timezone import localtime

from tests.admin.pages import Browser, Page
from tests.admin.runs import prepare_run, run_url
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, MassConversion, from_now
from zoho_crm.services import convert, work
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

NO_WORKER = "No worker has been seen"
NO_SWEEP = "No sweep, which wakes the workers, has been seen"
START_A_WORKER = "Start one: celery -A <project> worker"
START_BEAT = "Start beat: celery -A <project> beat"


@pytest.fixture
def row(connection: Connection, zoho: Simulator) -> LeadConversion:
    """A row that has been due for longer than it may be before a worker is missed."""
    row = convert.request(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    LeadConversion.objects.update(due_at=from_now(-31))
    return row


def set_work_state(connection: Connection, **fields: Any) -> None:
    ConnectionWork.objects.update_or_create(connection=connection, defaults=fields)


def open_page(browser: Browser, row: LeadConversion) -> Page:
    return browser.get(f"/admin/zoho_crm/leadconversion/{row.pk}/change/")


def test_a_waiting_lead_says_that_no_worker_was_ever_seen(
    browser: Browser, row: LeadConversion
) -> None:
    page = open_page(browser, row)

    assert f"{NO_WORKER} yet. {START_A_WORKER}" in page.text
    assert f"{NO_SWEEP} yet. {START_BEAT}" in page.text


@pytest.mark.parametrize("status", ["NEW", "READY", "RUNNING", "SCHEDULED", "UNKNOWN"])
def test_every_lead_that_waits_for_a_worker_says_so(
    browser: Browser, row: LeadConversion, status: str
) -> None:
    LeadConversion.objects.update(status=status)

    assert NO_WORKER in open_page(browser, row).text


def test_it_says_since_when(browser: Browser, row: LeadConversion, connection: Connection) -> None:
    set_work_state(connection, seen_at=from_now(-31), swept_at=from_now(-31))

    page = open_page(browser, row)

    assert f"{NO_WORKER} since " in page.text
    assert f"{NO_SWEEP} since " in page.text
    seen_at = ConnectionWork.objects.get().seen_at
    assert seen_at is not None
    assert localtime(seen_at).isoformat(timespec="seconds") in page.html


def test_it_names_the_queue(
    browser: Browser, row: LeadConversion, connection: Connection, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "QUEUE": "zoho"}

    assert f"{START_A_WORKER} -Q zoho" in open_page(browser, row).text


def test_with_a_worker_only_beat_is_missed(
    browser: Browser, row: LeadConversion, connection: Connection
) -> None:
    set_work_state(connection, seen_at=from_now(-1))

    page = open_page(browser, row)

    assert NO_WORKER not in page.text
    assert NO_SWEEP in page.text


def test_a_lead_that_became_due_just_now_reports_no_missing_worker(
    browser: Browser, row: LeadConversion
) -> None:
    LeadConversion.objects.update(due_at=from_now(-20))

    page = open_page(browser, row)

    assert NO_WORKER not in page.text
    assert NO_SWEEP not in page.text


def test_a_lead_that_is_not_due_reports_no_missing_worker(
    browser: Browser, row: LeadConversion, connection: Connection
) -> None:
    work.work(connection_id=connection.pk)
    set_work_state(connection, seen_at=from_now(-600), swept_at=from_now(-600))

    page = open_page(browser, row)

    assert NO_WORKER not in page.text
    assert NO_SWEEP not in page.text


def test_during_a_back_off_only_that_is_reported(
    browser: Browser, row: LeadConversion, connection: Connection
) -> None:
    set_work_state(connection, backoff_until=from_now(600), backoff_reason="reserve")

    page = open_page(browser, row)

    assert "reserved for other programs" in page.text
    assert NO_WORKER not in page.text


def test_a_waiting_run_reports_missing_workers_too(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = prepare_run(connection, zoho, "no_match")
    MassConversion.objects.update(due_at=from_now(-31))

    page = browser.get(run_url(run))

    assert START_A_WORKER in page.text
    assert START_BEAT in page.text


def test_the_page_of_a_connection_tells_when_they_were_seen(
    browser: Browser, connection: Connection
) -> None:
    address = f"/admin/zoho_crm/connection/{connection.pk}/change/"

    never = browser.get(address).text
    set_work_state(connection, seen_at=from_now(-600))
    worked = browser.get(address).text

    assert never.count("never") == 2
    assert "Sweep last seen:" in never
    assert worked.count("never") == 1
