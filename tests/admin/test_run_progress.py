"""The part of a run's page that is kept up to date: how far it is, and what became of its leads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.staticfiles.finders import find
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.admin.pages import Browser, check_mark_up
from tests.admin.runs import (
    prepare_run,
    reload,
    rows_of,
    run_in_review,
    run_url,
    start_run,
    work_until_waiting,
)
from zoho_crm.matching import POLICIES
from zoho_crm.models import ApiUsage, Connection, LeadConversion, MassConversion
from zoho_crm.services import mass_convert
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(connection: Connection, zoho: Simulator) -> MassConversion:
    """Return a run that is being converted, with none of its four leads sent yet."""
    prepared = run_in_review(connection, zoho, *["no_match"] * 4, policy=POLICIES["attach"])
    return start_run(prepared)


def finish(run: MassConversion, count: int, status: str = "CONVERTED") -> None:
    rows = LeadConversion.objects.filter(mass_conversion=run, status="PREVIEWED")
    some = list(rows.order_by("pk").values_list("pk", flat=True)[:count])
    LeadConversion.objects.filter(pk__in=some).update(status=status, converted_by="us")


@pytest.mark.slow
def test_a_run_that_is_converted_shows_how_far_it_is(browser: Browser, run: MassConversion) -> None:
    finish(run, 1)
    finish(run, 1, "FAILED")

    page = browser.get(run_url(run))

    bar = page.attributes_of("progress")[0]
    assert (bar["role"], bar["value"], bar["max"]) == ("progressbar", "50", "100")
    assert str(run) in bar["aria-label"]
    assert "2 of 4 (50 %)" in page.text
    assert page.links["Refresh the page"] == run_url(run)
    check_mark_up(page)


def test_the_part_alone_is_what_the_page_shows(browser: Browser, run: MassConversion) -> None:
    finish(run, 3)

    part = browser.get(run_url(run, "progress"))

    assert "3 of 4 (75 %)" in part.text
    assert 'data-moving="yes" data-percent="75"' in part.html
    assert "<html" not in part.html
    assert len(part.html) < 4_000


@pytest.mark.slow
def test_the_script_is_told_where_to_ask_and_when_to_stop(
    browser: Browser, run: MassConversion, connection: Connection, zoho: Simulator
) -> None:
    page = browser.get(run_url(run))
    assert f'data-url="{run_url(run, "progress")}"' in page.html
    assert 'aria-live="polite"' in page.html
    assert "zoho_crm/progress.js" in page.html

    work_until_waiting(run)
    page, part = browser.get(run_url(run)), browser.get(run_url(run, "progress"))

    assert "data-url" not in page.html
    assert "data-moving" not in part.html


def test_before_the_review_the_previews_are_counted(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = prepare_run(connection, zoho, "no_match", "several")

    assert "0 of 2 (0 %)" in browser.get(run_url(run, "progress")).text


def test_the_part_is_closed_without_the_permission(
    browser_as: Callable[..., Browser], run: MassConversion
) -> None:
    browser = browser_as("view_leadconversion", "pause_massconversion")
    browser.get(run_url(run, "progress"))
    assert browser.status == 403

    part = browser_as("view_massconversion").get(run_url(run, "progress"))
    assert "0 of 4 (0 %)" in part.text


def test_what_was_waited_for_does_not_count_as_slowness(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = prepare_run(connection, zoho, *["no_match"] * 4)
    now = timezone.now()
    paused = MassConversion.objects.filter(pk=run.pk)
    paused.update(created_at=now - timedelta(hours=1), paused_reason="paused")
    mass_convert.resume(run_id=run.pk)
    assert reload(run).counted_from
    paused.update(counted_from=now - timedelta(seconds=30))
    previewed = [row.pk for row in rows_of(run)[:2]]
    LeadConversion.objects.filter(pk__in=previewed).update(status="PREVIEWED", previewed_at=now)

    assert "About 4 leads a minute" in browser.get(run_url(run, "progress")).text


@pytest.mark.slow
def test_it_says_how_fast_a_run_goes_and_what_it_costs(
    browser: Browser, browser_as: Callable[..., Browser], run: MassConversion
) -> None:
    finish(run, 2)
    now = timezone.now()
    MassConversion.objects.update(counted_from=now - timedelta(seconds=30))
    done = LeadConversion.objects.filter(mass_conversion=run, status="CONVERTED")
    done.update(attempts=1, finished_at=now)
    ApiUsage.objects.create(
        connection=run.connection,
        hour=now.replace(minute=0, second=0, microsecond=0),
        kind="convert",
        credits=1234,
        refusals=2,
    )
    newest = done.latest("pk")

    part = browser.get(run_url(run, "progress"))

    assert "About 4 leads a minute, about 1 minute left (estimates)." in part.text
    assert "Zoho has asked 2 times to be sent fewer calls" in part.text
    assert "All calls of this connection in 24 hours: about 1" in part.text
    # Two conversions for 5 credits each, four previews, and a read for each of both.
    assert "This run has used about 16 credits, by what happened to its leads." in part.text
    url = f"/admin/zoho_crm/leadconversion/{newest.pk}/change/"
    assert part.links[newest.lead_name] == url
    viewer = browser_as("view_massconversion", "view_leadconversion")
    assert viewer.get(run_url(run, "progress")).links[newest.lead_id] == url
    MassConversion.objects.update(paused_reason="paused")
    assert "a minute" not in browser.get(run_url(run, "progress")).text


def test_a_run_slower_than_a_lead_in_two_minutes_has_a_rate(
    browser: Browser, run: MassConversion
) -> None:
    finish(run, 1)
    now = timezone.now()
    MassConversion.objects.update(counted_from=now - timedelta(minutes=30))
    done = LeadConversion.objects.filter(mass_conversion=run, status="CONVERTED")
    done.update(attempts=1, finished_at=now - timedelta(minutes=10))

    part = browser.get(run_url(run, "progress"))

    assert "About 2 leads an hour, about 90 minutes left (estimates)." in part.text


def test_leads_without_a_decision_are_not_waited_for(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = start_run(run_in_review(connection, zoho, "no_match", "no_match", "several"))
    finish(run, 1)

    assert "1 of 2 (50 %)" in browser.get(run_url(run, "progress")).text


def test_the_part_takes_few_queries(browser: Browser, run: MassConversion) -> None:
    browser.get(run_url(run, "progress"))

    with CaptureQueriesContext(database) as queries:
        browser.get(run_url(run, "progress"))

    assert len(queries) <= 15  # in the first Django 5.2 two of them ask for no user


def test_the_scripts_need_no_inline_code_and_stop_when_hidden() -> None:
    copy, progress = (
        Path(str(find(f"zoho_crm/{name}.js"))).read_text(encoding="utf-8")
        for name in ("copy", "progress")
    )

    assert not [word for word in ("eval", ".style", "onclick") if word in copy + progress]
    assert "document.hidden" in progress
