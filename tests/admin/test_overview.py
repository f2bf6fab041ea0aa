"""The app's own page: health, connections, credits, what waits, runs, conversions and failures."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.admin.pages import Browser, Page, check_mark_up, check_tables
from tests.admin.runs import run_in_review
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, from_now
from zoho_crm.services import preview, usage
from zoho_crm.simulator import Simulator
from zoho_crm.types import ApiCall

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/admin/zoho_crm/"
LIST = f"{URL}leadconversion/"
VIEW = ("view_connection", "view_leadconversion", "view_massconversion", "view_apiusage")


@pytest.fixture
def rows(connection: Connection, zoho: Simulator) -> list[LeadConversion]:
    """Return previews of three leads, of which two are finished then."""
    leads = [zoho.add_lead(Last_Name="Lovelace", Company="Acme") for _number in range(3)]
    found = [preview.preview(connection_id=connection.pk, lead_id=lead.id) for lead in leads]
    LeadConversion.objects.filter(pk=found[0].pk).update(
        status="CONVERTED", converted_by="us", finished_at=timezone.now()
    )
    LeadConversion.objects.filter(pk=found[1].pk).update(
        status="FAILED",
        error_code="RECORD_LOCKED",
        error_message="the record is locked",
        finished_at=timezone.now() - timedelta(days=2),
    )
    return found


def section(page: Page, name: str) -> Page:
    start = page.html.index(f'aria-labelledby="zoho-{name}"')
    return Page(page.html[start : page.html.index("</section>", start)])


def test_the_page_begins_with_what_to_do_where_nothing_is_connected(
    browser: Browser, db: None
) -> None:
    page = browser.get(URL)

    assert page.links["Connect to Zoho"] == f"{URL}connection/connect/"
    assert "Nothing waits for a person." in page.text
    assert "No run yet" in page.text


@pytest.mark.slow
def test_each_number_is_the_length_of_the_list_that_it_links_to(
    browser: Browser, rows: list[LeadConversion]
) -> None:
    page = browser.get(URL)
    html = section(page, "waiting").html + section(page, "conversions").html
    links = re.findall(r'<a href="([^"]+)">([^<]+)</a>', html)

    assert len(links) == 7
    for escaped, text in links:
        url = unescape(escaped)
        listed = browser.get(url)
        assert listed.url == url
        assert f"{text.split()[0]} lead conversion" in listed.text, text


def test_a_chart_is_drawn_by_the_server_and_has_a_table(
    browser: Browser, rows: list[LeadConversion]
) -> None:
    page = browser.get(URL)

    days = section(page, "conversions")
    assert len([1 for tag, given in days.tags if tag == "rect"]) == 2
    assert days.attributes_of("svg")[0]["role"] == "img"
    assert len([1 for given in days.attributes_of("th") if given["scope"] == "row"]) == 30
    assert "1 converted here" in days.text
    assert "the record is locked" in days.text
    check_mark_up(page)
    check_tables(page.html[: page.html.index('class="zoho-lists"')] + "</main>")


def test_credits_are_shown_against_what_is_allowed(
    browser: Browser, connection: Connection
) -> None:
    calls = [ApiCall(kind="convert") for _call in range(7)]
    usage.record(connection.pk, calls)
    spent = usage.spent(connection.pk)

    credits = section(browser.get(URL), "credits")

    progress = credits.attributes_of("progress")[0]
    assert progress["value"] == str(spent)
    assert progress["max"] == str(usage.allowance(Connection.objects.get()))
    assert f"{spent:,}" in credits.text


def test_what_does_not_work_is_said_with_the_way_out(
    browser: Browser, rows: list[LeadConversion]
) -> None:
    Connection.objects.update(status="NEEDS_RECONNECT")

    connections = section(browser.get(URL), "connections")

    assert "needs to be connected again" in connections.text
    assert "press “Connect again”" in connections.text


def test_a_missing_worker_and_sweep_are_said_with_their_commands(
    browser: Browser, rows: list[LeadConversion], connection: Connection
) -> None:
    long_ago = from_now(-300)
    Connection.objects.update(created_at=long_ago)
    seen = {"seen_at": long_ago, "swept_at": long_ago}
    ConnectionWork.objects.update_or_create(connection=connection, defaults=seen)
    assert "nothing is overdue" in section(browser.get(URL), "connections").text

    LeadConversion.objects.filter(pk=rows[2].pk).update(due_at=long_ago, status="NEW")
    text = section(browser.get(URL), "connections").text

    assert "celery -A <project> worker" in text
    assert "celery -A <project> beat" in text


def test_a_run_shows_how_far_it_is(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run_in_review(connection, zoho, "no_match", "no_match", name="Trade fair")
    LeadConversion.objects.filter(pk=LeadConversion.objects.earliest("pk").pk).update(
        status="CONVERTED", converted_by="us"
    )

    page = browser.get(URL)

    assert "1 of 2 converted (50 %)" in section(page, "runs").text
    assert "1 run waits for decisions" in section(page, "waiting").links


@pytest.mark.parametrize(
    ("permission", "shown", "hidden"),
    [
        ("view_connection", {"connections", "credits"}, {"waiting", "runs", "conversions"}),
        ("view_leadconversion", {"waiting", "conversions"}, {"connections", "credits", "runs"}),
        ("view_massconversion", {"waiting", "runs"}, {"connections", "credits", "conversions"}),
    ],
)
def test_only_what_the_user_may_see_is_shown(
    browser_as: Callable[..., Browser],
    rows: list[LeadConversion],
    permission: str,
    shown: set[str],
    hidden: set[str],
) -> None:
    page = browser_as(permission).get(URL)

    found = {name for name in shown | hidden if f'id="zoho-{name}"' in page.html}
    assert found == shown


@pytest.mark.slow
def test_the_number_of_queries_is_constant_and_the_page_small(
    browser: Browser, rows: list[LeadConversion], connection: Connection, zoho: Simulator
) -> None:
    run_in_review(connection, zoho, "no_match")
    browser.get(URL)
    with CaptureQueriesContext(database) as for_few:
        browser.get(URL)
    for number in range(25):
        values = {"data_center": "eu", "environment": "sandbox", "org_id": str(number)}
        Connection.objects.create(name=f"Connection {number}", **values)
    run_in_review(connection, zoho, "no_match", "one_match")
    browser.get(URL)

    with CaptureQueriesContext(database) as for_many:
        page = browser.get(URL)

    assert len(for_many) == len(for_few)
    assert len(for_many) <= 30
    assert len(page.html) < 300_000


@pytest.mark.parametrize("day", ["2026-11-27", "1", "30", "9999-12-31", "0001-01-01", "never"])
def test_the_list_is_filtered_by_the_day_of_the_outcome(
    browser: Browser, rows: list[LeadConversion], day: str
) -> None:
    page = browser.get(f"{LIST}?finished={day}")

    assert browser.status == 200
    assert parse_qs(urlsplit(page.url).query)["finished"] == [day]


def test_days_begin_at_the_reader_s_midnight(browser: Browser, rows: list[LeadConversion]) -> None:
    today = timezone.localdate()
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    LeadConversion.objects.filter(pk=rows[0].pk).update(
        finished_at=midnight - timedelta(microseconds=1)
    )

    yesterday = today - timedelta(days=1)
    assert "1 lead conversion" in browser.get(f"{LIST}?finished={yesterday}").text
    assert "0 lead conversions" in browser.get(f"{LIST}?finished={today}").text
