"""The review of a run: its leads as they are filtered, and decisions for one or the ticked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from tests import messages
from tests.admin.pages import Browser, Page, check_mark_up, check_tables
from tests.admin.runs import (
    copy_of,
    prepare_run,
    reload,
    review_url,
    rows_of,
    run_in_review,
    start_run,
    tick,
    work_until_waiting,
)
from tests.parameters import long
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services import bulk, mass_convert
from zoho_crm.services.mass_convert._export import COLUMNS
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


def line_of(page: Page, row: LeadConversion) -> str:
    """Return the text about one lead."""
    start = page.html.index(f'data-lead="{row.pk}"')
    end = page.html.index("</details>", start)
    return Page(f"<form><p {page.html[start:end]}").text


def press_choice(browser: Browser, row: LeadConversion, text: str) -> Page:
    """Press the button of a lead that does this."""
    value = next(
        given["value"]
        for given in browser.page.attributes_of("button")
        if given.get("value", "").startswith(f"{row.pk}:{row.version}:{text}")
    )
    return browser.post(browser.url, [("one", value)])


def test_the_leads_are_shown_by_what_was_found_and_by_decision(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "several", "no_match", "no_match", "locked")
    several = rows_of(run, verdict="SEVERAL_MATCHES")[0]

    page = browser.get(review_url(run))

    assert "All 4 ▲ 1" in page.text
    assert "No match 2" in page.text
    assert "to be decided (1)" in page.text
    assert "2 included" in page.text
    check_mark_up(page)
    check_tables(page.html)
    page = browser.get(review_url(run, "?verdict=SEVERAL_MATCHES&decision=undecided"))
    assert "1 lead" in page.text
    first = several.stored_options().contacts[0]
    assert first.name in line_of(page, several)
    assert "▲ To be decided" in line_of(page, several)
    assert f'value="{several.pk}:{several.version}:contact:{first.id}"' in page.html


@pytest.mark.parametrize("what", ["name", "company", "email", "lead_id"])
def test_a_search_finds_a_lead_by(
    what: str, browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    lead = zoho.add_lead(Last_Name="Ångström", Company="Wärme AG", Email="anders@waerme.example")
    run = work_until_waiting(prepare_run(connection, zoho, "no_match", more=(lead.id,)))
    (row,) = rows_of(run, lead_id=lead.id)
    stored = row.stored_lead()
    assert stored
    text = lead.id if what == "lead_id" else getattr(stored, what)

    page = browser.get(review_url(run, f"?q={text}"))

    assert f'id="lead-{row.pk}"' in page.html
    assert "1 lead" in page.text
    assert "No lead of this run matches." in browser.get(review_url(run, "?q=nobody")).text


def test_ticked_leads_are_decided_together_and_the_others_stay(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "one_match", "one_match", "several")
    one, other = rows_of(run, verdict="ONE_MATCH")
    (several,) = rows_of(run, verdict="SEVERAL_MATCHES")
    browser.get(review_url(run))
    messages.take_all()

    page = browser.press("Decide", row=tick(one, several), action="attach")

    assert "1 lead is decided; nothing is sent yet." in page.text
    assert "1 lead stays as it is: this does not fit it" in page.text
    one, other = rows_of(run, verdict="ONE_MATCH")
    assert one.stored_plan()
    assert one.decided_by == boss
    assert not other.plan
    assert "Joins “" in line_of(page, one)
    assert [sent.kwargs for sent in messages.take_all()] == [{"connection_id": connection.pk}]


def test_a_lead_that_was_left_out_is_taken_in_again_by_a_tick(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match")
    browser.get(review_url(run))
    browser.press("Decide", row=tick(*rows_of(run)), action="skip")
    assert rows_of(run)[0].status == "SKIPPED"

    browser.press("Decide", row=tick(*rows_of(run)), action="create")

    assert rows_of(run)[0].status == "PREVIEWED"
    assert rows_of(run)[0].plan


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"action": ""}, "Please choose a decision."),
        ({"action": "overwrite", "row": ["1:1"]}, "Please choose a decision."),
        ({"action": "skip"}, "Nothing is chosen"),
        ({"action": "skip", "row": ["x", "1", "9:9:9"]}, "Nothing is chosen"),
    ],
)
def test_what_cannot_be_understood_decides_nothing(
    changes: dict[str, str],
    text: str,
    browser: Browser,
    connection: Connection,
    zoho: Simulator,
) -> None:
    run = run_in_review(connection, zoho, "several")
    browser.get(review_url(run))

    page = browser.press("Decide", **changes)

    assert text in page.text
    assert reload(run).revision == run.revision


def test_a_lead_that_changed_since_it_was_shown_stays(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "one_match")
    (row,) = rows_of(run)
    browser.get(review_url(run))
    mass_convert.decide(run_id=run.pk, verdict="ONE_MATCH", action="attach", by=boss)

    page = browser.press("Decide", row=tick(row), action="skip")
    assert "1 lead stays as it is" in page.text
    page = browser.post(review_url(run), [("one", f"{row.pk}:{row.version}:skip")])
    assert "This has changed since it was shown" in page.text

    assert rows_of(run)[0].status == "PREVIEWED"


def test_one_lead_joins_the_match_of_its_button(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "several")
    (row,) = rows_of(run)
    second = row.stored_options().contacts[1]
    browser.get(review_url(run))

    page = press_choice(browser, row, f"contact:{second.id}")

    (row,) = rows_of(run)
    plan = row.stored_plan()
    assert plan
    assert (plan.contact_id, row.decided_by) == (second.id, boss)
    assert f"Joins “{second.name}”" in line_of(page, row)
    assert LogEntry.objects.latest("pk").get_change_message() == "Decided."
    press_choice(browser, row, "skip")
    assert rows_of(run)[0].status == "SKIPPED"


def test_a_record_that_is_no_match_is_refused(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "several")
    (row,) = rows_of(run)

    browser.post(review_url(run), [("one", f"{row.pk}:{row.version}:contact:1234567890123456789")])

    assert not rows_of(run)[0].plan
    (other,) = rows_of(run_in_review(connection, zoho, "no_match"))
    browser.post(review_url(run), [("one", f"{other.pk}:{other.version}:create")])
    assert browser.status == 404


def test_there_is_something_to_confirm_once_a_lead_is_included(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "several")
    (row,) = rows_of(run)

    before = browser.get(review_url(run)).text
    browser.post(review_url(run), [("one", f"{row.pk}:{row.version}:create")])
    after = browser.get(review_url(run)).text

    assert ["Continue to confirm" in text for text in (before, after)] == [False, True]


def test_a_run_that_does_not_wait_for_decisions_says_how_it_stands(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = prepare_run(connection, zoho, "no_match")
    (row,) = rows_of(run)

    page = browser.get(review_url(run))

    assert "1 lead is still to be read from Zoho" in page.text
    assert not page.has_button("Decide")
    page = browser.post(
        review_url(run), [("row", f"{row.pk}:0"), ("action", "skip"), ("scope", "")]
    )
    assert "not waiting for decisions" in page.text


def test_values_that_differ_are_what_to_look_at(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "one_match")
    (row,) = rows_of(run)
    (contact,) = row.stored_options().contacts
    other = replace(contact, fields={**contact.fields, "Phone": "+49 30 1"})
    lead = {**row.lead_snapshot, "fields": {**row.lead_snapshot["fields"], "Phone": "+49 30 2"}}
    options = {**row.options_snapshot}
    options["contacts"] = [{**options["contacts"][0], "fields": dict(other.fields)}]
    LeadConversion.objects.update(lead_snapshot=lead, options_snapshot=options)

    page = browser.get(review_url(run))

    assert "Phone" in line_of(page, row)
    assert "differ" in line_of(page, row)
    assert "≠ +49 30 1" in line_of(page, row)


def test_leads_are_filtered_by_owner_and_by_what_matched(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    kim, lee = [user for user in zoho.organisation.users if user["confirm"]][:2]
    kims = zoho.add_lead(Last_Name="Kimball", Owner=zoho.organisation.owner(kim))
    lees = zoho.add_lead(Last_Name="Leeward", Owner=zoho.organisation.owner(lee))
    more = (kims.id, lees.id)
    run = work_until_waiting(prepare_run(connection, zoho, "one_match", more=more))
    (matched,) = rows_of(run, verdict="ONE_MATCH")
    field = matched.stored_options().contacts[0].matched_on[0]

    page = browser.get(review_url(run))
    owners, fields = (choices_of(page, name) for name in ("owner", "matched"))
    assert {lee["full_name"], kim["full_name"], "any"} <= owners.keys()
    assert field in fields.values()

    page = browser.get(review_url(run, f"?owner={lee['id']}"))
    assert "1 lead, page 1 of 1" in page.text
    assert "Leeward" in page.text
    assert "Kimball" not in page.text
    page = browser.get(review_url(run, f"?matched={field}"))
    assert "1 lead, page 1 of 1" in page.text
    assert f'data-lead="{matched.pk}"' in page.html
    check_mark_up(page)
    assert "No lead of this run matches." in browser.get(review_url(run, "?matched=Ema")).text
    assert (
        "3 leads" in browser.get(review_url(run, "?matched=%00&owner=x&decision=x&sample=x")).text
    )


def choices_of(page: Page, name: str) -> dict[str, str]:
    """Return the values of a selection by what they are called."""
    start = page.html.index(f'<select name="{name}"')
    options = re.findall(r'<option value="(.*?)".*?>(.*?)</option>', page.html[start:])
    end = page.html[start : page.html.index("</select>", start)].count("<option")
    return {label: value for value, label in options[:end]}


def test_an_owner_is_taken_from_what_was_read_last(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    kim, lee = [user for user in zoho.organisation.users if user["confirm"]][:2]
    lead = zoho.add_lead(Owner=zoho.organisation.owner(kim))
    run = work_until_waiting(prepare_run(connection, zoho, more=(lead.id,)))
    zoho.change(lead, Owner=zoho.organisation.owner(lee))

    (row,) = rows_of(run)
    bulk.look_again(run=run, versions={row.pk: row.version}, by=boss)
    work_until_waiting(run)

    assert choices_of(browser.get(review_url(run)), "owner").keys() == {"any", lee["full_name"]}


def test_a_sample_is_the_same_for_the_same_address(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "one_match", "no_match")
    page = browser.get(review_url(run))
    assert not any("Check a sample" in link for link in page.links)
    one, other = rows_of(run)
    LeadConversion.objects.bulk_create(copy_of(one, 10**18 + number) for number in range(30))

    page = browser.get(review_url(run, "?verdict=ONE_MATCH"))
    sample = page.links["Check a sample: 10 of these at random"]
    page = browser.get(review_url(run, sample))

    first = leads_on(page)
    assert len(first) == 10
    assert other.pk not in first
    assert "10 leads, page 1 of 1" in page.text
    assert page.html.count("<details open>") == 10
    check_mark_up(page)
    assert leads_on(browser.get(review_url(run, sample))) == first
    assert leads_on(browser.get(review_url(run, page.links["Show others"]))) != first
    browser.get(review_url(run, sample))
    browser.press("Decide", action="skip", scope="matching")
    browser.press("Decide 10 leads")
    assert {row.pk for row in rows_of(run, status="SKIPPED")} == first
    assert leads_on(browser.page) == first


def leads_on(page: Page) -> set[int]:
    """Return the primary keys of the rows of a page."""
    return {int(given["data-lead"]) for given in page.attributes_of("tbody") if given}


def test_the_list_is_exported_as_it_is_filtered(
    browser: Browser,
    browser_as: Callable[..., Browser],
    connection: Connection,
    zoho: Simulator,
) -> None:
    run = run_in_review(connection, zoho, "one_match", "no_match", "several")
    (several,) = rows_of(run, verdict="SEVERAL_MATCHES")
    url = browser.get(review_url(run, "?decision=undecided&verdict=SEVERAL_MATCHES"))
    url = url.links["Export this list as CSV"]

    header, *lines = browser.client.get(url).getvalue().decode().splitlines()

    assert header == ",".join(COLUMNS)
    assert len(lines) == 1
    assert several.lead_id in lines[0]
    assert LogEntry.objects.latest("pk").get_change_message() == "Exported."
    stranger = browser_as("prepare_massconversion")
    assert "Export this list as CSV" not in stranger.get(review_url(run)).links
    assert stranger.client.get(url).status_code == 403


def test_leads_whose_preview_failed_have_a_tab_with_what_to_do(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match", "one_match", "locked")
    broken, doubtful, locked = rows_of(run)
    assert "Errors" not in browser.get(review_url(run)).text
    error: dict[str, Any] = {"status": "NEEDS_REVIEW", "plan": None}
    these = LeadConversion.objects.filter(pk=broken.pk)
    these.update(**error, verdict="", error_code="INTERNAL")
    those = LeadConversion.objects.filter(pk=doubtful.pk)
    those.update(**error, attempts=1, in_doubt=True, error_code="MAX_ATTEMPTS")

    page = browser.get(review_url(run))
    assert "Unlock it there, then look again." in line_of(page, locked)
    page = browser.get(review_url(run, page.links["Errors 2"]))

    assert leads_on(page) == {broken.pk, doubtful.pk}
    assert "Something went wrong with these leads" in page.text
    assert "Nothing was sent for it; look again." in line_of(page, broken)
    assert "Look at the lead in Zoho" in line_of(page, doubtful)
    check_mark_up(page)
    page = browser.press("Look again", scope="matching")
    assert "1 lead needs a person: open it here" in page.text
    browser.press("Look at 1 lead again")
    work_until_waiting(run)
    assert [row.status for row in rows_of(run)] == ["PREVIEWED", "NEEDS_REVIEW", "PREVIEWED"]
    assert rows_of(run)[0].plan


@pytest.mark.parametrize("number", [1_000, long(10_000)])
def test_many_leads_with_long_matches_take_as_many_queries_as_four(
    browser: Browser, connection: Connection, zoho: Simulator, number: int
) -> None:
    run = run_in_review(connection, zoho, "several", "no_match", "one_match", "locked")
    browser.get(review_url(run))
    with CaptureQueriesContext(database) as few:
        browser.get(review_url(run))
    copies = rows_of(run)
    several = copies[0]
    words: dict[str, Any] = {"name": "W" * 200}
    words["fields"] = {f"Field_{place}": "W" * 200 for place in range(20)}
    several.options_snapshot = {
        kind: [{**matches[0], **words}] * 9
        for kind, matches in several.options_snapshot.items()
        if kind in ("contacts", "accounts")
    }
    for first in range(0, number, 100):  # MariaDB takes 16 MB at a time
        LeadConversion.objects.bulk_create(
            copy_of(several if place % 100 < 90 else copies[place % 3], 10**18 + place)
            for place in range(first, first + 100)
        )

    with CaptureQueriesContext(database) as many:
        page = browser.get(review_url(run, "?p=2"))

    assert len(many) == len(few) <= 14
    leads, pages = number + len(copies), number // 50 + 1
    assert f"{leads} leads page 2 of {pages}" in page.text.replace(",", "")
    assert len(page.html) < 300_000


def test_a_lead_of_a_started_run_is_not_decided_here(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "no_match")
    (row,) = rows_of(run)
    start_run(run, by=boss)

    page = browser.post(review_url(run), [("one", f"{row.pk}:{row.version}:skip")])

    assert "not waiting for decisions" in page.text
    assert rows_of(run)[0].status != "SKIPPED"
