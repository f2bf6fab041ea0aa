"""What people do in the admin: Django's log of it, and the way from there to the app's journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.urls import reverse

from tests.admin.pages import Browser, Page
from zoho_crm.matching import POLICIES
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services import mass_convert, outbox, work
from zoho_crm.services.preview import preview
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def row(connection: Connection, zoho: Simulator) -> LeadConversion:
    return preview(connection_id=connection.pk, lead_id=zoho.story("no_match"))


def url_of(name: str, *args: object) -> str:
    return reverse(f"admin:zoho_crm_{name}", args=args)


def journals(page: Page) -> list[str]:
    """Return the links of a history page that lead to events."""
    return [url for text, url in page.links.items() if "every event" in text.lower()]


@pytest.mark.slow
def test_a_history_leads_to_the_journal(
    browser: Browser, connection: Connection, row: LeadConversion
) -> None:
    run = mass_convert.prepare(
        connection_id=connection.pk, lead_ids=["1"], policy=POLICIES["careful"]
    )
    pushed = outbox.push(connection.pk, "create", "Leads", {"Last_Name": "Byron"})
    token = connection.tokens.get()
    events = f"{url_of('connectionevent_changelist')}?connection__id__exact={connection.pk}"
    leads = url_of("leadconversion_changelist")
    expected = [
        ("leadconversion", row.pk, f"{url_of('leadconversion_change', row.pk)}#events"),
        ("outboxrecord", pushed.pk, f"{url_of('outboxrecord_change', pushed.pk)}#events"),
        ("massconversion", run.pk, f"{leads}?run={run.pk}"),
        ("connection", connection.pk, events),
        ("token", token.pk, events),
    ]
    for model, pk, journal in expected:
        assert journals(browser.get(url_of(f"{model}_history", pk))) == [journal]
        page = browser.get(journal)
        assert browser.status == 200
        assert journal.endswith("#events") <= ("events" in page.ids)


def test_who_may_not_see_the_journal_is_shown_no_link_to_it(
    browser_as: Callable[..., Browser], connection: Connection
) -> None:
    run = mass_convert.prepare(
        connection_id=connection.pk, lead_ids=["1"], policy=POLICIES["careful"]
    )
    browser = browser_as("view_connection", "view_massconversion")

    for name, pk in (("connection", connection.pk), ("massconversion", run.pk)):
        assert journals(browser.get(url_of(f"{name}_history", pk))) == []


@pytest.mark.slow
def test_what_a_person_changes_is_in_the_log_of_its_object(
    browser: Browser, boss: User, connection: Connection, zoho: Simulator, row: LeadConversion
) -> None:
    run = mass_convert.prepare(
        connection_id=connection.pk, lead_ids=[zoho.story("one_match")], policy=POLICIES["careful"]
    )
    held = outbox.push(connection.pk, "update", "Leads", {"Last_Name": "Byron"}, key="unknown")
    work.work(connection_id=connection.pk)
    held.refresh_from_db()
    lead = [("contact", "new"), ("account", "new")]
    changes: list[tuple[Any, str, list[tuple[str, str]]]] = [
        (connection, "change", [("name", "Renamed")]),
        (connection, "test", []),
        (connection, "refresh", [("version", "0")]),
        (row, "decide", [*lead, ("step", "save"), ("version", "1")]),
        (row, "decide", [("step", "skip"), ("version", "2")]),
        (row, "settle", []),
        (held, "decide", [("step", "leave_out"), ("version", str(held.version))]),
        (run, "cancel", []),
        (connection, "disconnect", []),
    ]
    for changed, page, values in changes:
        model = changed._meta.model_name
        entries = LogEntry.objects.filter(content_type__model=model, object_id=str(changed.pk))
        before = entries.count()

        browser.post(url_of(f"{model}_{page}", changed.pk), values)

        assert entries.filter(user=boss).count() == before + 1, f"{page}: {browser.page.text}"
