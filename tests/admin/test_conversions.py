"""The list of conversions and the page of one: what they show, and to whom."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests import messages
from tests.admin.pages import Browser, Page
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, from_now
from zoho_crm.services import convert, preview, work
from zoho_crm.simulator import Simulator
from zoho_crm.types import ConversionPlan, Deal

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/zoho_crm/leadconversion/"
#: Settings, in seconds, that keep a conversion unsettled during a test.
LONG_INTERVALS = {"QUIET_PERIOD": 600, "READ_SPACING": 600}


@pytest.fixture
def preview_case(connection: Connection, zoho: Simulator) -> Callable[[str], LeadConversion]:
    """Return a function that previews a lead of a case of the simulator."""

    def one(case: str) -> LeadConversion:
        return preview.preview(connection_id=connection.pk, lead_id=zoho.story(case))

    return one


@pytest.fixture
def unknown(
    preview_case: Callable[..., LeadConversion], zoho: Simulator, settings: Any, boss: User
) -> Callable[..., LeadConversion]:
    """Return a function that makes a conversion whose answer is lost, with or without effect."""

    def one(do: str = "close_after") -> LeadConversion:
        settings.ZOHO_CRM = {**settings.ZOHO_CRM, **LONG_INTERVALS}
        row = preview_case("no_match")
        convert.approve(conversion_id=row.pk, version=row.version, plan=ConversionPlan(), by=boss)
        zoho.fail("convert", do)
        work.work(connection_id=row.connection_id)
        return LeadConversion.objects.get(pk=row.pk)

    return one


def change_url(row: LeadConversion) -> str:
    return reverse("admin:zoho_crm_leadconversion_change", args=[row.pk])


def decide_url(row: LeadConversion) -> str:
    return reverse("admin:zoho_crm_leadconversion_decide", args=[row.pk])


def needs_a_person(row: LeadConversion) -> LeadConversion:
    LeadConversion.objects.filter(pk=row.pk).update(
        status="NEEDS_REVIEW", due_at=None, error_code="UNREADABLE"
    )
    return LeadConversion.objects.get(pk=row.pk)


def test_what_changed_after_an_approval_is_said_and_nothing_is_sent(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator, boss: User
) -> None:
    row = preview_case("one_match")
    convert.approve(conversion_id=row.pk, version=row.version, plan=ConversionPlan(), by=boss)
    zoho.change(zoho.records["Leads"][row.lead_id], Company="Renamed", Lead_Status="Qualified")

    work.work(connection_id=row.connection_id)

    text = "The lead has changed at Zoho since it was approved (Company, Lead Status)"
    assert text in browser.get(decide_url(row)).text
    # In the state and in the journal.
    assert browser.get(change_url(row)).text.count(text) == 2
    assert not zoho.ledger()["calls"]


def test_the_list_asks_the_database_as_often_for_many_leads_as_for_one(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    preview_case("no_match")
    browser.get(LIST)
    with CaptureQueriesContext(database) as for_one:
        browser.get(LIST)
    for _ in range(5):
        preview_case("several")
    browser.get(LIST)  # writes how often Zoho was called for the previews

    with CaptureQueriesContext(database) as for_many:
        browser.get(LIST)

    assert len(for_many) == len(for_one)


def test_the_list_does_not_read_snapshots(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("hostile")

    with CaptureQueriesContext(database) as queries:
        page = browser.get(LIST)

    assert row.lead_name in page.text
    listing = [q["sql"] for q in queries if "snapshot_name" in q["sql"]]
    assert listing
    assert '"options_snapshot",' not in listing[0]


def test_a_lead_is_found_by_its_id_by_its_status_and_by_its_verdict(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    one, other = preview_case("no_match"), preview_case("locked")

    for query in (
        f"q={one.lead_id}",
        "verdict__exact=NO_MATCH",
        f"status__exact=PREVIEWED&verdict__exact=NO_MATCH&connection__id__exact={one.connection_id}",
    ):
        page = browser.get(f"{LIST}?{query}")
        assert one.lead_id in page.html
        assert other.lead_id not in page.text.replace(f"q={other.lead_id}", "")


def test_who_may_not_see_names_sees_ids(
    browser_as: Callable[..., Browser], preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("several")
    viewer = browser_as("view_leadconversion")

    html = viewer.get(LIST).html + viewer.get(change_url(row)).html

    lead = row.stored_lead()
    assert lead
    assert row.lead_id in html
    for value in (lead.name, lead.email, lead.company, lead.fields["Phone"]):
        assert value not in html


def test_the_page_shows_every_event_and_what_was_read_and_sent(
    browser: Browser,
    preview_case: Callable[..., LeadConversion],
    connection: Connection,
    boss: User,
) -> None:
    row = preview_case("one_match")
    contact = row.stored_options().contacts[0]
    plan = ConversionPlan(contact_id=contact.id)
    convert.approve(conversion_id=row.pk, version=row.version, plan=plan, by=boss)
    work.work(connection_id=connection.pk)

    page = browser.get(change_url(row))

    lead = row.stored_lead()
    assert lead
    assert "It was converted by us" in page.text
    assert f"It became the contact {contact.id}." in page.text
    assert "Approved by boss." in page.text
    for step in ("to be previewed previewed", "previewed to be sent boss", "being sent converted"):
        assert step in page.text
    assert f"Contact {contact.id} " in page.text  # in the order that the database keeps
    assert "By us Evidence Zoho's answer" in page.text
    assert "{&#x27;" not in page.html
    assert lead.email in page.text
    assert f'"Contacts": {{ "id": "{contact.id}" }}' in page.text
    assert not page.has_button("Save")


def test_only_the_latest_events_are_shown(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("no_match")
    row.events.model.objects.bulk_create(
        [
            row.events.model(
                conversion=row,
                version=version,
                from_status="UNKNOWN",
                to_status="UNKNOWN",
                at=row.created_at,
            )
            for version in range(2, 130)
        ]
    )

    page = browser.get(change_url(row))

    assert "There are older events than these." in page.text


def test_a_row_that_is_not_previewed_yet_has_a_page_too(
    browser: Browser, connection: Connection
) -> None:
    row = LeadConversion.objects.create(
        connection=connection, lead_id="4711", due_at=from_now(60), retry_count=2
    )

    page = browser.get(change_url(row))

    assert "waits to be read from Zoho" in page.text
    assert "Zoho could not be asked yet; it will be tried again." in page.text
    assert "Nothing was read." in page.text


def test_a_lead_is_previewed_again_from_its_page(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    row = preview_case("locked")
    page = browser.get(change_url(row))
    assert "The lead is locked at Zoho. Unlock it there, then look again." in page.text
    zoho.change(zoho.records["Leads"][row.lead_id], Locked__s=False)

    page = browser.press("Look again")

    assert browser.url == decide_url(row)
    assert page.has_button("Show what will happen")


def test_a_lead_is_previewed_again_where_it_is_decided(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    row = preview_case("one_match")
    browser.get(decide_url(row))
    zoho.change(zoho.records["Leads"][row.lead_id], Company="Renamed Ltd")

    page = browser.press("Look again")

    assert browser.url == decide_url(row)
    assert "Renamed Ltd" in page.text


def test_a_lost_answer_is_being_checked_and_can_be_settled_now(
    browser: Browser, unknown: Callable[..., LeadConversion]
) -> None:
    row = unknown("close_after")
    page = browser.get(change_url(row))
    assert (
        "We sent the conversion but got no answer. We are checking; do not convert it by hand."
        in page.text
    )
    messages.take_all()

    page = browser.press("Settle now")

    assert "Zoho shows the lead converted." in page.text
    assert "It was converted by us" in page.text
    assert messages.take_all()
    assert LogEntry.objects.latest("pk").get_change_message() == "Settled by hand."


def test_settling_early_proves_nothing(
    browser: Browser, unknown: Callable[..., LeadConversion]
) -> None:
    row = unknown("close_before")
    browser.get(change_url(row))

    page = browser.press("Settle now")

    assert "Zoho shows the lead open, which proves nothing yet; we go on checking." in page.text
    assert LeadConversion.objects.get(pk=row.pk).status == "UNKNOWN"


def test_settling_after_the_quiet_period_settles_it(
    browser: Browser, unknown: Callable[..., LeadConversion], settings: Any
) -> None:
    row = unknown("close_before")
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "NEGATIVE_READS": 1}
    LeadConversion.objects.update(quiet_until=from_now(-1), due_at=from_now(-1))
    browser.get(change_url(row))

    page = browser.press("Settle now")

    assert "It is settled: to be sent." in page.text


def test_settling_says_so_when_zoho_cannot_be_asked(
    browser: Browser, unknown: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    row = unknown()
    zoho.fail("leads_list", "error_before", status=500, times=9)
    browser.get(change_url(row))

    page = browser.press("Settle now")

    assert "Zoho could not be asked." in page.text


def test_there_is_nothing_to_settle_if_the_outcome_is_known(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("converted")
    assert not browser.get(change_url(row)).has_button("Settle now")

    page = browser.post(f"{LIST}{row.pk}/settle/")

    assert "There is nothing to check" in page.text


def test_what_needs_a_person_is_closed_with_a_note(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = needs_a_person(preview_case("no_match"))
    page = browser.get(change_url(row))
    assert "The lead can no longer be read." in page.text
    browser.get(page.links["Close with a note…"])
    page = browser.press("Close this lead", note=" ")
    assert "Note" in page.text
    assert "This field is required." in page.text

    page = browser.press("Close this lead", note="Converted by hand <i>last week</i>.")

    assert f"Lead {row.lead_name} is closed." in page.text
    assert "Note: Converted by hand <i>last week</i>." in page.text
    assert LeadConversion.objects.get(pk=row.pk).status == "SKIPPED"


def test_two_people_close_it_once(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = needs_a_person(preview_case("no_match"))
    first = browser.get(f"{LIST}{row.pk}/close/")
    browser.press("Close this lead", note="One")
    browser.page, browser.url = first, f"{LIST}{row.pk}/close/"

    page = browser.press("Close this lead", note="Two")

    assert "This lead does not need a person any more." in page.text


def test_a_note_to_an_older_state_is_refused(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = needs_a_person(preview_case("no_match"))
    browser.get(f"{LIST}{row.pk}/close/")
    LeadConversion.objects.update(version=row.version + 1)

    page = browser.press("Close this lead", note="Too late")

    assert "This has changed since it was shown; please look again." in page.text


# The description of each state


def open_decision(browser: Browser, row: LeadConversion) -> Page:
    return browser.get(decide_url(row))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"verdict": "NOT_FOUND"}, "Zoho has no such lead"),
        ({"verdict": "NOT_CONVERTIBLE", "reason": "in_merge"}, "just being merged"),
        ({"verdict": "NOT_CONVERTIBLE", "reason": "approval"}, "approval process"),
        ({"verdict": "NOT_CONVERTIBLE", "reason": "review"}, "review process"),
        (
            {"verdict": "NOT_CONVERTIBLE", "reason": "record under merge"},
            "Zoho would not convert it: record under merge Put that right at Zoho",
        ),
        ({"verdict": "NOT_CONVERTIBLE", "reason": "refused"}, "gives no reason"),
        ({"status": "RUNNING"}, "is being sent at this moment"),
        ({"status": "SCHEDULED"}, "Zoho has taken the conversion on and does it later"),
        ({"status": "READY", "retry_count": 1}, "The policy has approved it."),
        ({"status": "SKIPPED"}, "This lead was left out."),
        (
            {"status": "FAILED", "error_code": "INVALID_DATA", "error_message": "invalid data"},
            "Zoho refused the conversion: invalid data (INVALID_DATA).",
        ),
        (
            {"status": "FAILED", "error_code": "REFUSED"},
            "Zoho CRM refused this: correct the lead or the choice. (REFUSED).",
        ),
        (
            {"status": "NEEDS_REVIEW", "error_code": "MAX_ATTEMPTS"},
            "It was sent several times, and each time no answer came.",
        ),
    ],
)
def test_each_state_says_what_it_means(
    values: dict[str, Any],
    sentence: str,
    browser: Browser,
    preview_case: Callable[..., LeadConversion],
) -> None:
    row = preview_case("no_match")
    LeadConversion.objects.update(**values)

    assert sentence in open_decision(browser, row).text


def test_a_lead_converted_elsewhere_shows_by_whom_how_known_and_what_it_became(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    row = preview_case("converted")

    page = open_decision(browser, row)

    became = zoho.conversions_of(row.lead_id)[0]
    assert "It was converted elsewhere" in page.text
    assert "(known from reading the lead)" in page.text
    assert f"It became the contact {became['contact_id']}." in page.text
    assert f"Its account is {became['account_id']}." in page.text
    assert not page.has_button("Show what will happen")


def test_a_refusal_names_the_field(
    browser: Browser,
    preview_case: Callable[..., LeadConversion],
    connection: Connection,
    zoho: Simulator,
) -> None:
    deal = Deal(name="", stage="Qualification", closing_date=date(2027, 3, 31), amount=Decimal(7))
    row = preview_case("no_match")
    convert.approve(conversion_id=row.pk, version=row.version, plan=ConversionPlan(deal=deal))
    work.work(connection_id=connection.pk)

    page = open_decision(browser, row)

    named = "required field not found: field Deal Name (Deal_Name)"
    assert f"Zoho refused the conversion: {named} (MANDATORY_NOT_FOUND)." in page.text
    assert page.has_button("Look again")
    assert "MANDATORY_NOT_FOUND: field Deal Name (Deal_Name)" in browser.get(change_url(row)).text


def test_the_value_that_was_refused_is_for_those_who_may_see_what_was_sent(
    browser_as: Callable[..., Browser],
    preview_case: Callable[..., LeadConversion],
    connection: Connection,
    zoho: Simulator,
) -> None:
    row = preview_case("no_match")
    deal = Deal(
        name="Fair",
        stage="Secret stage",
        closing_date=date(2027, 3, 31),
        pipeline="Standard (Standard)",
    )
    convert.approve(conversion_id=row.pk, version=row.version, plan=ConversionPlan(deal=deal))
    work.work(connection_id=connection.pk)

    page = browser_as("view_leadconversion").get(change_url(row))
    trusted = browser_as("view_leadconversion", "view_payload_leadconversion").get(change_url(row))

    assert "Secret stage" not in page.html
    assert "value “Secret stage”" in trusted.text


def test_a_lead_in_progress_says_what_blocks_it(
    browser: Browser, preview_case: Callable[..., LeadConversion], connection: Connection
) -> None:
    row = preview_case("no_match")
    LeadConversion.objects.update(status="READY", due_at=from_now(0))
    ConnectionWork.objects.create(
        connection=connection, backoff_until=from_now(600), backoff_reason="reserve"
    )

    assert "The connection waits until" in open_decision(browser, row).text
    assert "reserved for other programs" in open_decision(browser, row).text

    Connection.objects.update(status=Connection.Status.NEEDS_RECONNECT)

    assert "has to be connected again first." in open_decision(browser, row).text
