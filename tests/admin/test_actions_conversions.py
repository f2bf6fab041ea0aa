"""The actions of the list of lead conversions, each from the ticked rows to what it does."""

from __future__ import annotations

import csv
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from tests import messages
from tests.admin.actions import action_names, choose, choose_all
from tests.admin.pages import Browser, check_mark_up
from tests.admin.runs import run_in_review, work_until_waiting
from tests.calls import calls
from zoho_crm.models import Connection, LeadConversion, MassConversion, Selection, from_now
from zoho_crm.services import convert, preview, work
from zoho_crm.simulator import Simulator
from zoho_crm.types import ConversionPlan

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/zoho_crm/leadconversion/"
#: For each action the permission that it needs, and one that shows the list only.
PERMISSIONS = {
    "preview_again": ["preview_leadconversion"],
    "convert": ["approve_leadconversion", "prepare_massconversion"],
    "leave_out": ["approve_leadconversion"],
    "find_out": ["resolve_leadconversion"],
    "prepare": ["prepare_massconversion"],
    "export": ["export_leadconversion"],
}


@pytest.fixture
def preview_case(connection: Connection, zoho: Simulator) -> Callable[[str], LeadConversion]:
    """Return a function that previews a lead of a case of the simulator."""

    def one(case: str) -> LeadConversion:
        return preview.preview(connection_id=connection.pk, lead_id=zoho.story(case))

    return one


@pytest.fixture
def leads(connection: Connection) -> Callable[..., list[LeadConversion]]:
    """Return a function that stores leads with these columns, without asking Zoho."""

    def some(count: int, **columns: Any) -> list[LeadConversion]:
        first = LeadConversion.objects.count()
        given = {"connection": connection, "status": "PREVIEWED", **columns}
        rows = [
            LeadConversion(lead_id=str(7_000_000 + first + number), **given)
            for number in range(count)
        ]
        LeadConversion.objects.bulk_create(rows)
        return list(LeadConversion.objects.order_by("pk")[first:])

    return some


def statuses(rows: list[LeadConversion]) -> list[str]:
    found = LeadConversion.objects.in_bulk([row.pk for row in rows])
    return [found[row.pk].status for row in rows]


# Who may do what


def test_an_action_is_there_with_its_permission_only(
    subtests: pytest.Subtests,
    browser_as: Callable[..., Browser],
    leads: Callable[..., list[LeadConversion]],
) -> None:
    rows = leads(2)
    boss_like = browser_as(*{name for names in PERMISSIONS.values() for name in names})
    assert action_names(boss_like.get(LIST)) == []  # and no list without the right to see it
    for action, needed in PERMISSIONS.items():
        with subtests.test(action):
            all_others = {name for names in PERMISSIONS.values() for name in names} - set(needed)
            others = all_others - {"prepare_massconversion"}
            without = browser_as("view_leadconversion", *others)
            assert action not in action_names(without.get(LIST))
            choose(without, LIST, action, *rows)
            assert without.status == 403

            having = browser_as("view_leadconversion", *needed)
            assert action in action_names(having.get(LIST))
            choose(having, LIST, action, *rows)
            assert (having.status, f"/action/{action}/" in having.url) == (200, True)
            url = having.url

            taken_away = browser_as("view_leadconversion", *others)
            taken_away.get(url)
            assert taken_away.status == 403
            taken_away.post(url, [("count", "2")])
            assert taken_away.status == 403


def test_what_somebody_has_chosen_is_theirs_alone_and_expires(
    browser_as: Callable[..., Browser], leads: Callable[..., list[LeadConversion]]
) -> None:
    rows = leads(2)
    permissions = ("view_leadconversion", "preview_leadconversion")
    pat = browser_as(*permissions)
    choose(pat, LIST, "preview_again", *rows)
    url = pat.url

    kim = browser_as(*permissions, name="kim")
    kim.get(url)
    assert kim.status == 404

    Selection.objects.update(expires_at=from_now(-1))
    page = pat.post(url, [("count", "2")])
    assert pat.url == LIST
    assert "What was chosen has expired; please choose again." in page.text
    assert statuses(rows) == ["PREVIEWED", "PREVIEWED"]
    choose(pat, LIST, "preview_again", *rows)
    assert Selection.objects.count() == 1  # the expired one is gone


def test_a_selection_of_another_list_is_not_taken(
    browser: Browser, leads: Callable[..., list[LeadConversion]]
) -> None:
    choose(browser, LIST, "preview_again", *leads(2))
    url = browser.url
    Selection.objects.update(of="zoho_crm.massconversion")

    browser.get(url)

    assert browser.status == 404


# Choosing


def test_nothing_chosen_goes_back_to_the_list(
    browser: Browser, leads: Callable[..., list[LeadConversion]]
) -> None:
    leads(2)

    page = choose(browser, f"{LIST}?status__exact=PREVIEWED", "preview_again")

    assert "Nothing is chosen: tick some, or choose all that match." in page.text
    assert browser.url.endswith("?status__exact=PREVIEWED")


@pytest.mark.parametrize("odd", ["x", "9" * 30, "-1", "\0"])
def test_an_odd_id_chooses_nothing(
    odd: str, browser: Browser, leads: Callable[..., list[LeadConversion]]
) -> None:
    leads(1)
    values = [("action", "preview_again"), ("index", "0"), ("_selected_action", odd)]

    browser.post(LIST, values)

    assert (browser.status, browser.url) == (200, LIST)
    assert not Selection.objects.exists()


def test_all_that_match_are_chosen_without_a_field_for_each(
    browser: Browser, leads: Callable[..., list[LeadConversion]]
) -> None:
    chosen, others = leads(120), leads(3, status="SKIPPED")
    listed = browser.get(f"{LIST}?status__exact=PREVIEWED")
    assert "all 120 that match" in listed.text

    page = choose_all(browser, f"{LIST}?status__exact=PREVIEWED", "preview_again")
    check_mark_up(page)
    assert "The worker reads 120 leads from Zoho anew" in page.text
    added = leads(2)
    form = page.form_with("Preview 120 leads again")
    assert len(form.values) < 20
    page = browser.press("Preview 120 leads again")

    assert "120 leads are previewed anew" in page.text
    assert browser.url == f"{LIST}?status__exact=PREVIEWED"
    assert set(statuses(chosen)) == {"NEW"}
    assert set(statuses(others)) == {"SKIPPED"}
    assert set(statuses(added)) == {"PREVIEWED"}  # they came after the choice


def test_the_browsers_own_choice_of_all_is_the_same(
    browser: Browser, leads: Callable[..., list[LeadConversion]]
) -> None:
    (first, *_others) = leads(60)

    page = choose(browser, LIST, "preview_again", first, select_across="1")

    assert "The worker reads 60 leads from Zoho anew" in page.text


def test_more_than_was_shown_is_not_done(
    browser: Browser, leads: Callable[..., list[LeadConversion]]
) -> None:
    rows, blocked = leads(2), leads(1, status="RUNNING")
    page = choose(browser, LIST, "preview_again", *rows, *blocked)
    assert "1 lead is being converted, or checked after that." in page.text
    LeadConversion.objects.filter(pk=blocked[0].pk).update(status="FAILED")

    page = browser.press("Preview 2 leads again")

    assert "There are more by now than were shown; please look again." in page.text
    assert page.has_button("Preview 3 leads again")
    assert statuses([*rows, *blocked]) == ["PREVIEWED", "PREVIEWED", "FAILED"]


def test_less_than_was_shown_is_done(
    browser: Browser, leads: Callable[..., list[LeadConversion]]
) -> None:
    one, other = leads(2)
    choose(browser, LIST, "preview_again", one, other)
    LeadConversion.objects.filter(pk=other.pk).update(status="RUNNING")

    page = browser.press("Preview 2 leads again")

    assert "1 lead is previewed anew" in page.text
    assert statuses([one, other]) == ["NEW", "RUNNING"]


def test_the_list_asks_the_database_as_often_as_without_actions(
    browser: Browser,
    leads: Callable[..., list[LeadConversion]],
    django_assert_num_queries: Any,
) -> None:
    leads(1)
    browser.get(LIST)
    with CaptureQueriesContext(database) as one:
        browser.get(LIST)
    leads(40)

    with django_assert_num_queries(len(one)):
        browser.get(LIST)


def test_the_page_of_an_action_asks_the_database_as_often_for_many_as_for_two(
    browser: Browser,
    leads: Callable[..., list[LeadConversion]],
    django_assert_num_queries: Any,
) -> None:
    leads(2)
    choose_all(browser, LIST, "preview_again")
    with CaptureQueriesContext(database) as two:
        browser.get(browser.url)
    leads(200)
    Selection.objects.update(newest_id=None)

    with django_assert_num_queries(len(two)):
        page = browser.get(browser.url)

    assert "and 192 more" in page.text


# Preview again


def test_leads_are_previewed_again_by_the_worker_and_nothing_is_sent(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    one, converted = preview_case("no_match"), preview_case("converted")
    LeadConversion.objects.filter(pk=one.pk).update(status="FAILED", policy="attach")
    page = choose(browser, LIST, "preview_again", one, converted)
    assert "1 lead is converted already." in page.text
    messages.take_all()

    browser.press("Preview 1 lead again")

    assert [sent.task for sent in messages.take_all()] == ["work_connection"]
    work.work(connection_id=one.connection_id)
    one.refresh_from_db()
    assert (one.status, one.verdict, one.policy) == ("PREVIEWED", "NO_MATCH", "")
    assert [event.by for event in one.events.order_by("version")][-2:] == ["boss", ""]
    assert not zoho.conversions_of(one.lead_id)
    logged = LogEntry.objects.latest("pk")
    assert (logged.object_repr, logged.get_change_message()) == (
        "1 lead conversions",
        "Preview again",
    )


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"status": "NEW"}, "1 lead waits to be read from Zoho already."),
        ({"status": "UNKNOWN"}, "1 lead is being converted, or checked after that."),
        ({"status": "NEEDS_REVIEW"}, "1 lead needs a person"),
    ],
)
def test_what_cannot_be_previewed_again_is_left_out_with_the_reason(
    columns: dict[str, Any],
    reason: str,
    browser: Browser,
    leads: Callable[..., list[LeadConversion]],
) -> None:
    (row,) = leads(1, **columns)

    page = choose(browser, LIST, "preview_again", row)

    assert reason in page.text
    assert "There is nothing to do" in page.text
    browser.post(browser.url, [("count", "9")])
    assert statuses([row]) == [columns["status"]]


def test_leads_of_a_run_are_decided_there(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    run = run_in_review(connection, zoho, "no_match", "several")

    page = choose_all(browser, f"{LIST}?run={run.pk}", "preview_again")

    assert "2 leads are in runs that have not ended" in page.text
    assert "There is nothing to do" in page.text


# Convert


def test_one_lead_opens_its_own_page(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("several")

    page = choose(browser, LIST, "convert", row)

    assert browser.url == f"{LIST}{row.pk}/decide/"
    assert page.has_button("Show what will happen")


@pytest.mark.parametrize("action", ["convert", "prepare"])
def test_several_leads_become_a_run_whose_review_opens(
    action: str,
    browser: Browser,
    preview_case: Callable[..., LeadConversion],
    zoho: Simulator,
) -> None:
    rows = [preview_case(case) for case in ("no_match", "one_match", "converted")]
    page = choose(browser, LIST, action, *rows)
    assert "A run of 2 leads is prepared, and its review opened." in page.text
    assert "1 lead is converted already." in page.text
    assert "Estimate: 2 leads take about 3 credits and 1 minute to preview" in page.text
    assert "credits are left for 24 hours" in page.text
    messages.take_all()

    browser.press("Prepare a run of 2 leads", policy="attach", name="Fair")

    run = MassConversion.objects.get()
    assert browser.url == f"/admin/zoho_crm/massconversion/{run.pk}/decide/"
    assert (run.name, run.source, run.rules.name) == ("Fair", "selection", "attach")
    assert run.created_by_id == LogEntry.objects.latest("pk").user_id
    assert run.lines.count() == 0
    assert messages.take_all()
    assert work_until_waiting(run).stage == "REVIEW"
    assert {row.status for row in run.rows.all()} == {"PREVIEWED"}
    assert not zoho.conversions_of(rows[0].lead_id)


def test_who_may_not_prepare_runs_converts_one_at_a_time(
    browser_as: Callable[..., Browser], leads: Callable[..., list[LeadConversion]]
) -> None:
    browser = browser_as("view_leadconversion", "approve_leadconversion")

    page = choose(browser, LIST, "convert", *leads(2))

    assert "Several leads are converted together, as a run" in page.text
    assert browser.url == LIST
    assert not Selection.objects.exists()


def test_a_run_is_of_one_connection(
    browser: Browser, leads: Callable[..., list[LeadConversion]], connection: Connection
) -> None:
    other = Connection.objects.create(
        name="Other", data_center="local", environment="sandbox", org_id="2"
    )
    leads(2)
    leads(2, connection=other)

    page = choose_all(browser, LIST, "prepare")

    assert "These leads are of several connections" in page.text
    browser.post(browser.url, [("count", "4"), ("policy", "careful")])
    assert not MassConversion.objects.exists()
    page = choose_all(browser, f"{LIST}?connection__id__exact={connection.pk}", "prepare")
    assert page.has_button("Prepare a run of 2 leads")


def test_a_policy_that_does_not_fit_is_refused_with_the_reason(
    browser: Browser, leads: Callable[..., list[LeadConversion]]
) -> None:
    choose(browser, LIST, "prepare", *leads(2))

    page = browser.press("Prepare a run of 2 leads", policy="no such")

    assert "Please correct this:" in page.text
    assert not MassConversion.objects.exists()


# Leave out


def test_leads_are_left_out(browser: Browser, leads: Callable[..., list[LeadConversion]]) -> None:
    undecided, ready, failed = leads(2), leads(1, status="READY"), leads(1, status="FAILED")
    page = choose_all(browser, LIST, "leave_out")
    assert "3 leads are left out: nothing is sent for them" in page.text
    assert "1 lead is not waiting to be decided or sent." in page.text

    browser.press("Leave 3 leads out")

    assert statuses([*undecided, *ready, *failed]) == ["SKIPPED"] * 3 + ["FAILED"]
    row = LeadConversion.objects.get(pk=ready[0].pk)
    assert (row.due_at, row.decided_by and row.decided_by.username) == (None, "boss")
    assert row.events.get().by == "boss"


def test_in_a_run_under_review_those_decide_who_may_prepare_runs(
    browser_as: Callable[..., Browser],
    connection: Connection,
    zoho: Simulator,
    leads: Callable[..., list[LeadConversion]],
) -> None:
    run = run_in_review(connection, zoho, "no_match", "no_match")
    (single,) = leads(1)
    converting = browser_as("view_leadconversion", "approve_leadconversion")
    page = choose_all(converting, LIST, "leave_out")
    assert "2 leads are in runs, whose leads you may not decide." in page.text
    assert page.has_button("Leave 1 lead out")

    preparing = browser_as("view_leadconversion", "prepare_massconversion", name="kim")
    page = choose_all(preparing, LIST, "leave_out")
    assert "1 lead is in no run under review, and only such leads may you decide." in page.text
    preparing.press("Leave 2 leads out")

    assert statuses([single]) == ["PREVIEWED"]
    assert {row.status for row in run.rows.all()} == {"SKIPPED"}
    assert MassConversion.objects.get().revision > run.revision


def test_a_run_that_is_started_meanwhile_keeps_its_leads(
    browser: Browser, connection: Connection, zoho: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_in_review(connection, zoho, "no_match", "no_match")
    choose_all(browser, f"{LIST}?run={run.pk}", "leave_out")
    bump = MassConversion.bump_revision

    def start_first(self: MassConversion) -> bool:
        MassConversion.objects.update(stage="CONVERTING")
        return bump(self)

    monkeypatch.setattr(MassConversion, "bump_revision", start_first)

    page = browser.press("Leave 2 leads out")

    assert "Nothing was left to do." in page.text
    assert {row.status for row in run.rows.all()} == {"PREVIEWED"}


# Find out what happened


def test_what_became_of_leads_is_found_out(
    browser: Browser,
    preview_case: Callable[..., LeadConversion],
    zoho: Simulator,
    settings: Any,
    boss: User,
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "QUIET_PERIOD": 600, "READ_SPACING": 600}
    rows = []
    for do in ("close_after", "close_before"):
        row = preview_case("no_match")
        convert.approve(conversion_id=row.pk, version=row.version, plan=ConversionPlan(), by=boss)
        zoho.fail("convert", do)
        work.work(connection_id=row.connection_id)
        rows.append(row)
    known = preview_case("no_match")
    page = choose(browser, LIST, "find_out", *rows, known)
    assert "2 leads are read from Zoho now, to see whether they were converted." in page.text
    assert "1 lead needs no check: it is known what became of it." in page.text
    began = calls(zoho)

    page = browser.press("Check 2 leads")

    assert "It is known now what became of 1 lead." in page.text
    assert statuses([*rows, known]) == ["CONVERTED", "UNKNOWN", "PREVIEWED"]
    assert calls(zoho) - began == 1
    assert LeadConversion.objects.get(pk=rows[1].pk).negative_reads == 0  # too early to count
    choose(browser, LIST, "find_out", rows[1])
    page = browser.press("Check 1 lead")
    assert "Zoho shows them open, which proves nothing so soon." in page.text


def test_that_zoho_cannot_be_asked_is_said(
    browser: Browser, leads: Callable[..., list[LeadConversion]], zoho: Simulator
) -> None:
    rows = leads(2, status="UNKNOWN")
    choose(browser, LIST, "find_out", *rows)
    zoho.fail("leads_list", "error_before", status=500, times=9)

    page = browser.press("Check 2 leads")

    assert "Zoho" in "".join(page.texts)
    assert page.html.count('class="error"') == 1
    assert statuses(rows) == ["UNKNOWN", "UNKNOWN"]


# Export


def test_leads_are_exported_as_csv_without_formulas(
    browser: Browser, leads: Callable[..., list[LeadConversion]], connection: Connection
) -> None:
    rows = leads(700)
    row = rows[0]
    LeadConversion.objects.filter(pk=row.pk).update(
        lead_snapshot={"id": row.lead_id, "name": "=cmd()", "fields": {}}
    )
    choose_all(browser, f"{LIST}?status__exact=PREVIEWED", "export")
    form = browser.page.form_with("Export 700 leads")
    values = {**dict(form.values), "csrfmiddlewaretoken": dict(form.values)["csrfmiddlewaretoken"]}

    response = browser.client.post(browser.url, values)

    assert response.streaming  # type: ignore[attr-defined]
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    lines = list(csv.DictReader(StringIO(text)))
    assert len(lines) == 700
    assert (lines[0]["lead_id"], lines[0]["lead"]) == (row.lead_id, "'=cmd()")
    assert lines[0]["connection"] == connection.name
    assert response["Content-Type"].startswith("text/csv")
    logged = LogEntry.objects.latest("pk")
    assert logged.object_repr == "700 lead conversions"


def test_names_on_the_page_are_for_those_who_may_see_them(
    browser_as: Callable[..., Browser], preview_case: Callable[..., LeadConversion]
) -> None:
    row, other = preview_case("no_match"), preview_case("several")
    viewer = browser_as("view_leadconversion", "export_leadconversion")

    page = choose(viewer, LIST, "export", row, other)

    assert row.lead_id in page.text
    assert row.lead_name not in page.text
