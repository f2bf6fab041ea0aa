"""The page that previews a lead by its id or e-mail address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from tests.admin.pages import Browser, Page
from zoho_crm.models import Connection, LeadConversion, Token, from_now
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

PREVIEW = "/admin/zoho_crm/leadconversion/preview/"


def look_up(browser: Browser, lead: str, **more: Any) -> Page:
    browser.get(PREVIEW)
    return browser.press("Preview", lead=lead, **more)


def decide_url(row: LeadConversion) -> str:
    return reverse("admin:zoho_crm_leadconversion_decide", args=[row.pk])


def test_an_id_leads_to_the_choice(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("one_match")

    page = look_up(browser, f" {lead_id} ")

    row = LeadConversion.objects.get()
    assert browser.url == decide_url(row)
    assert zoho.records["Leads"][lead_id]["Company"] in page.text
    assert [e.get_change_message() for e in LogEntry.objects.all()] == ["Previewed."]


def test_an_address_of_one_lead_leads_to_the_choice(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    lead = zoho.add_lead()

    look_up(browser, lead["Email"])

    assert browser.url == decide_url(LeadConversion.objects.get(lead_id=lead.id))


def test_an_address_of_several_leads_asks_which(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    leads = [zoho.add_lead(Email="shared@desk.example") for _ in range(2)]

    page = look_up(browser, "shared@desk.example")

    assert all(lead["Full_Name"] in page.text for lead in leads)
    assert not LeadConversion.objects.exists()

    form = next(form for form in page.forms if ("lead", leads[0].id) in form.values)
    browser.post(PREVIEW, form.values)

    assert browser.url == decide_url(LeadConversion.objects.get(lead_id=leads[0].id))


def test_an_address_that_only_contains_the_wanted_one_is_not_opened(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    zoho.add_lead(Email="marjo@desk.example")

    page = look_up(browser, "jo@desk.example")

    assert "Zoho finds no open lead with this address" in page.text
    assert not LeadConversion.objects.exists()


def test_of_very_many_leads_with_one_address_the_first_are_offered(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    for _number in range(102):
        zoho.add_lead(Email="shared@desk.example")

    page = look_up(browser, "shared@desk.example")

    assert "2 more have this address; look them up by their ids." in page.text
    assert len([form for form in page.forms if "Preview" in form.buttons]) == 101


def test_an_unknown_address_is_reported(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    page = look_up(browser, "nobody@nowhere.example")

    assert "Zoho finds no open lead with this address" in page.text


@pytest.mark.parametrize("text", ["", "abc", "12345678901234567890", "１２３", "a@", "4711; DROP"])
def test_neither_id_nor_address_is_refused_without_asking_zoho(
    text: str, browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    calls = zoho.stats()["calls"]

    page = look_up(browser, text)

    assert 'role="alert"' in page.html
    assert zoho.stats()["calls"] == calls
    assert not LeadConversion.objects.exists()


def test_an_outage_of_zoho_is_reported_and_the_lead_waits_for_the_worker(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("no_match")
    zoho.fail("leads_list", "error_before", status=500, times=9)

    page = look_up(browser, lead_id)

    assert "Internal Server Error" in page.text
    assert LeadConversion.objects.get().status == "NEW"


def test_without_a_connection_there_is_nothing_to_choose(browser: Browser, zoho: Simulator) -> None:
    page = look_up(browser, "4711")

    assert "Connection" in page.text
    assert 'role="alert"' in page.html


def test_the_default_connection_is_chosen_at_first(
    browser: Browser, connection: Connection
) -> None:
    Connection.objects.create(name="A", data_center="eu", environment="sandbox", org_id="1")

    page = browser.get(PREVIEW)

    assert ("connection", str(connection.pk)) in page.form_with("Preview").values


def test_a_lost_connection_is_one_link_away(
    browser: Browser, connection: Connection, browser_as: Callable[..., Browser]
) -> None:
    Connection.objects.update(status="NEEDS_RECONNECT")
    Token.objects.update(status="NEEDS_RECONNECT", expires_at=from_now(-1))
    url = f"/admin/zoho_crm/connection/{connection.pk}/change/"

    assert look_up(browser, "400").links["Open the connection"] == url
    assert look_up(browser, "not an id").links.get("Open the connection") is None
    page = look_up(browser_as("preview_leadconversion"), "400")
    assert "connect it again" in page.text
    assert "Open the connection" not in page.links
