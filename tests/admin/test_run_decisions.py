"""What is done in the review of a run to all leads that match, and looking at leads again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection as database

from tests import messages
from tests.admin.pages import Browser, check_mark_up
from tests.admin.runs import (
    copy_of,
    prepare_run,
    reload,
    review_url,
    rows_of,
    run_in_review,
    run_url,
    start_run,
    tick,
    work_until_waiting,
)
from zoho_crm.exceptions import StaleDecisionError
from zoho_crm.models import Connection, LeadConversion, MassConversion, Selection
from zoho_crm.services import bulk, convert, lifecycle, mass_convert
from zoho_crm.services.run_review import decision_of
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


def test_all_that_match_are_decided_on_a_page_that_says_how_many(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "one_match", "one_match", "several", "locked")
    left_out, _other = rows_of(run, verdict="ONE_MATCH")
    browser.get(review_url(run))
    browser.press("Decide", row=tick(left_out), action="skip")

    page = browser.press("Decide", action="attach", scope="matching")

    assert "1 lead joins the one record that matches it." in page.text
    assert "1 lead is left out, and stays so" in page.text
    assert "1 lead cannot be converted now." in page.text
    assert "1 lead has no single record to join" in page.text
    form = page.form_with("Decide 1 lead")
    assert len(form.values) < 20
    check_mark_up(page)
    page = browser.press("Decide 1 lead")
    assert "1 lead is decided; nothing is sent yet." in page.text
    assert [bool(row.plan) for row in rows_of(run, verdict="ONE_MATCH")] == [False, True]


def test_all_that_match_are_those_of_the_filter(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match", "one_match")
    browser.get(review_url(run, "?verdict=NO_MATCH"))
    browser.press("Decide", action="skip", scope="matching")

    browser.press("Decide 1 lead")

    assert [row.status for row in rows_of(run)] == ["SKIPPED", "PREVIEWED"]
    assert browser.url == review_url(run, "?verdict=NO_MATCH")


def test_what_somebody_decided_meanwhile_stays_and_is_counted(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "one_match", "one_match")
    first, _second = rows_of(run)
    browser.get(review_url(run))
    browser.press("Decide", action="create", scope="matching")
    mass_convert.decide_rows(
        run_id=run.pk, versions={first.pk: first.version}, action="attach", by=boss
    )

    page = browser.press("Decide 2 leads")

    assert "1 lead is decided; nothing is sent yet." in page.text
    assert "1 lead stays as it is" in page.text
    joined, created = rows_of(run)
    assert joined.plan["contact_id"]
    assert created.plan["contact_id"] == ""
    browser.get(review_url(run))
    browser.press("Decide", action="create", scope="matching")
    browser.press("Decide 2 leads")
    assert not any(row.plan["contact_id"] for row in rows_of(run))


def test_the_page_says_what_somebody_decided_meanwhile(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "one_match", "one_match", "one_match")
    first, second, _third = rows_of(run)
    browser.get(review_url(run))
    browser.press("Decide", action="create", scope="matching")
    mass_convert.decide_one(conversion_id=first.pk, version=first.version, plan=None, by=boss)
    convert.skip(conversion_id=second.pk, version=second.version, by=boss)

    page = browser.get(browser.url)

    assert "2 leads were decided since then, by you or somebody else, and stay so." in page.text
    assert page.has_button("Decide 1 lead")


def test_a_decision_that_is_made_while_others_are_written_stays(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "no_match")
    (row,) = rows_of(run)
    LeadConversion.objects.bulk_create(copy_of(row, 10**18 + number) for number in range(501))
    last = rows_of(run)[-1]
    colleague = User.objects.create_superuser("colleague", password="secret")
    browser.get(review_url(run))
    browser.press("Decide", action="skip", scope="matching")
    pending = [{"run_id": run.pk, "versions": {last.pk: last.version}}]

    def decide_first(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE") and "revision" in sql and pending:
            mass_convert.decide_rows(**pending.pop(), action="create", by=colleague)
        return execute(sql, *rest)

    with database.execute_wrapper(decide_first):
        page = browser.press("Decide 502 leads")

    assert not pending
    assert "501 leads are decided" in page.text
    assert "1 lead stays as it is" in page.text
    last.refresh_from_db()
    assert (last.status, last.decided_by) == ("PREVIEWED", colleague)
    assert len(rows_of(run, status="SKIPPED")) == 501


def test_what_takes_too_long_for_one_request_goes_on_with_the_rest(
    browser: Browser, connection: Connection, zoho: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_in_review(connection, zoho, "no_match")
    (row,) = rows_of(run)
    LeadConversion.objects.bulk_create(copy_of(row, 10**18 + number) for number in range(501))
    browser.get(review_url(run))
    browser.press("Decide", action="create", scope="matching")
    monkeypatch.setattr("zoho_crm.admin.run_decisions.MAX_SECONDS", -1.0)

    page = browser.press("Decide 502 leads")

    assert "500 leads are decided" in page.text
    assert "press the button again for the rest" in page.text
    page = browser.press("Decide 2 leads")
    assert "2 leads are decided" in page.text
    assert "stays as it is" not in page.text


def test_what_was_chosen_serves_one_user_and_one_run(
    browser: Browser, browser_as: Callable[..., Browser], connection: Connection, zoho: Simulator
) -> None:
    run, other = (run_in_review(connection, zoho, "no_match") for _ in range(2))
    browser.get(review_url(run))
    browser.press("Decide", action="skip", scope="matching")
    query = f"?selection={Selection.objects.get().pk}&action=skip"

    stranger = browser_as("prepare_massconversion")
    for one, chosen in ((stranger, run), (browser, other)):
        page = one.post(run_url(chosen, "decide_all") + query, [("count", "1")])
        assert "has expired" in page.text
    browser.get(run_url(run, "decide_all") + "?selection=x&action=skip")
    browser_as("view_massconversion").get(run_url(run, "decide_all") + query)

    assert not LeadConversion.objects.filter(status="SKIPPED")


def test_who_prepares_runs_sees_no_names_of_a_run_that_is_not_under_review(
    browser_as: Callable[..., Browser], connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match")
    name = rows_of(run)[0].lead_name
    browser = browser_as("prepare_massconversion")
    browser.get(review_url(run))
    assert name in browser.press("Decide", action="create", scope="matching").text
    MassConversion.objects.update(stage=MassConversion.Stage.PREVIEWING)

    page = browser.get(browser.url)

    assert name not in page.text
    assert "has expired" in page.text


# Look again


def test_one_lead_is_looked_at_again_and_stays_in_its_run(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "locked", "no_match")
    locked, other = rows_of(run)
    zoho.change(zoho.records["Leads"][locked.lead_id], Locked__s=False)
    browser.get(review_url(run))
    messages.take_all()

    page = browser.post(browser.url, [("again", *tick(locked))])

    assert "1 lead is read from Zoho again; the worker does it by itself." in page.text
    assert "1 lead is being read from Zoho again; it can be started after that." in page.text
    assert "Is read from Zoho again" in page.text
    assert [sent.kwargs for sent in messages.take_all()] == [{"connection_id": connection.pk}]
    assert LogEntry.objects.latest("pk").get_change_message() == "Looked again."
    with pytest.raises(StaleDecisionError):
        start_run(run)
    run = work_until_waiting(run)
    locked, unchanged = rows_of(run)
    assert (run.stage, run.due_at) == ("REVIEW", None)
    assert (locked.status, locked.verdict, bool(locked.plan)) == ("PREVIEWED", "NO_MATCH", True)
    assert unchanged.version == other.version
    assert start_run(run).stage == "CONVERTING"


def test_a_decision_of_a_person_outlives_another_look(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "several", "one_match")
    several, one = rows_of(run)
    contact = several.stored_options().contacts[1].id
    of: dict[str, Any] = {"conversion_id": several.pk, "version": several.version, "by": boss}
    mass_convert.choose_match(contact_id=contact, **of)
    work_until_waiting(run)
    browser.get(review_url(run))

    browser.press("Look again", row=tick(*rows_of(run)))
    work_until_waiting(run)

    several, one = rows_of(run)
    assert (several.plan["contact_id"], several.decided_by) == (contact, boss)
    assert one.plan is None


def test_all_that_match_are_looked_at_again_on_a_page_that_says_how_many(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "no_match", "no_match", "one_match")
    left_out, waiting, matched = rows_of(run)
    mass_convert.decide_one(conversion_id=left_out.pk, version=left_out.version, plan=None, by=boss)
    browser.get(review_url(run, "?verdict=NO_MATCH"))

    page = browser.press("Look again", scope="matching")

    assert "The worker reads 1 lead from Zoho anew" in page.text
    assert "1 lead is left out, and stays so" in page.text
    check_mark_up(page)
    browser.press("Look at 1 lead again")
    statuses = [row.status for row in rows_of(run)]
    assert statuses == ["SKIPPED", "NEW", "PREVIEWED"]
    assert browser.url == review_url(run, "?verdict=NO_MATCH")


def test_a_lead_that_was_left_out_is_taken_in_by_another_look_as_the_policy_says(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "no_match", "one_match")
    for row in rows_of(run):
        mass_convert.decide_one(conversion_id=row.pk, version=row.version, plan=None, by=boss)
    browser.get(review_url(run))

    browser.press("Look again", row=tick(*rows_of(run)))
    work_until_waiting(run)

    created, undecided = rows_of(run)
    assert (created.status, bool(created.plan), created.decided_by) == ("PREVIEWED", True, None)
    assert (undecided.status, undecided.plan) == ("PREVIEWED", None)


def test_another_look_at_the_leader_of_a_group_forms_it_again(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    email = "one@person.example"
    leads = [zoho.add_lead(Email=email, Company=None).id for _ in range(3)]
    run = work_until_waiting(prepare_run(connection, zoho, more=tuple(leads)))
    leader, second, third = rows_of(run)
    assert [second.follows, third.follows] == [leader, leader]
    browser.get(review_url(run))

    browser.post(browser.url, [("again", *tick(leader))])
    zoho.change(zoho.records["Leads"][leader.lead_id], Email="another@person.example")
    work_until_waiting(run)

    leader, second, third = rows_of(run)
    assert [leader.follows, second.follows, third.follows] == [None, None, second]


def test_leads_of_a_run_that_was_started_are_not_looked_at_again(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    run = run_in_review(connection, zoho, "no_match")
    (row,) = rows_of(run)
    browser.get(review_url(run))
    start_run(run, by=boss)

    page = browser.press("Look again", row=tick(row))

    assert "This has changed since it was shown" in page.text
    assert rows_of(run)[0].status != "NEW"
    assert bulk.preview_again(ids=[row.pk], by=boss) == 0


def test_a_row_of_another_run_is_not_looked_at(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run, other = (run_in_review(connection, zoho, "no_match") for _ in range(2))
    browser.get(review_url(run))

    page = browser.post(browser.url, [("again", *tick(rows_of(other)[0]))])

    assert "1 lead stays as it is" in page.text
    assert rows_of(other)[0].status == "PREVIEWED"
    assert reload(other).revision == other.revision


@pytest.mark.parametrize("field", ["row", "again"], ids=["ticked", "by its own button"])
def test_another_look_takes_in_no_lead_that_was_left_out_since_it_was_shown(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User, field: str
) -> None:
    run = run_in_review(connection, zoho, "no_match")
    (shown,) = rows_of(run)
    mass_convert.decide_one(conversion_id=shown.pk, version=shown.version, plan=None, by=boss)

    given = [(field, *tick(shown)), *([("again", "chosen")] if field == "row" else [])]
    page = browser.post(review_url(run), [("action", ""), ("scope", ""), *given])

    assert "1 lead stays as it is" in page.text
    assert rows_of(run)[0].status == "SKIPPED"


def forgotten(row: LeadConversion) -> None:
    """Forget the values of a lead, as it is done after some time."""
    LeadConversion.objects.filter(pk=row.pk).update(**lifecycle.NO_PERSONAL_DATA)


def closed_in_doubt(row: LeadConversion) -> None:
    """Leave a lead out of which nobody knows whether it was converted."""
    LeadConversion.objects.filter(pk=row.pk).update(status="SKIPPED", in_doubt=True, attempts=3)


@pytest.mark.parametrize("happened", [forgotten, closed_in_doubt])
def test_a_lead_that_has_to_be_read_again_gets_no_plan_before_that(
    browser: Browser,
    connection: Connection,
    zoho: Simulator,
    boss: User,
    happened: Callable[[LeadConversion], None],
) -> None:
    run = run_in_review(connection, zoho, "no_match")
    happened(rows_of(run)[0])
    (row,) = rows_of(run)

    page = browser.post(review_url(run), [("row", *tick(row)), ("action", "create"), ("scope", "")])
    assert "1 lead stays as it is" in page.text
    assert not page.has_button("Create everything anew")
    page = browser.post(review_url(run), [("one", f"{row.pk}:{row.version}:create")])
    assert "This lead has to be read from Zoho again first." in page.text
    browser.get(review_url(run, f"?decision={decision_of(row)}"))
    page = browser.press("Decide", action="create", scope="matching")
    assert "1 lead has to be read from Zoho first" in page.text
    assert mass_convert.decide(run_id=run.pk, verdict="NO_MATCH", action="create", by=boss) == 0
    assert rows_of(run)[0].version == row.version

    browser.post(review_url(run), [("again", *tick(row))])
    work_until_waiting(run)

    (row,) = rows_of(run)
    assert (row.status, bool(row.plan)) == ("PREVIEWED", True)


def test_joining_needs_a_record(browser: Browser, connection: Connection, zoho: Simulator) -> None:
    run = run_in_review(connection, zoho, "several")
    (row,) = rows_of(run)

    page = browser.post(review_url(run), [("one", f"{row.pk}:{row.version}:contact:")])

    assert "Please choose a decision." in page.text
    assert rows_of(run)[0].version == row.version
