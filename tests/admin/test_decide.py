"""The decision about one lead: form, confirmation, conversion."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection as database
from django.urls import reverse

from tests import messages
from tests.admin.pages import Browser, Page
from tests.kept import forget_metadata
from tests.matches import many_matches
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services import convert, preview, work
from zoho_crm.services.connect import with_grant_code
from zoho_crm.services.presentation import explain_plan
from zoho_crm.simulator import Simulator
from zoho_crm.types import ConversionPlan

pytestmark = pytest.mark.django_db(transaction=True)

SHOW_BUTTON = "Show what will happen"
CONVERT_BUTTON = "Convert this lead"
DEAL = {
    "deal": "on",
    "deal_name": "Roll-out",
    "deal_stage": "Qualification",
    "deal_closing_date": "2027-03-31",
}


@pytest.fixture
def preview_case(connection: Connection, zoho: Simulator) -> Callable[[str], LeadConversion]:
    """Return a function that previews a lead of a case, or one with these values."""

    def one(case: str, **values: Any) -> LeadConversion:
        lead_id = zoho.story(case) if case else zoho.add_lead(**values).id
        return preview.preview(connection_id=connection.pk, lead_id=lead_id)

    return one


def decide_url(row: LeadConversion) -> str:
    return reverse("admin:zoho_crm_leadconversion_decide", args=[row.pk])


def reload(row: LeadConversion) -> LeadConversion:
    return LeadConversion.objects.get(pk=row.pk)


def errors(page: Page) -> str:
    """Return the text of the error summary at the top of a page."""
    start = page.html.find('role="alert"')
    summary = page.html[start : page.html.find("</div>", start)] if start >= 0 else ""
    return Page(summary).text.replace(" :", ":")


def test_the_lead_stands_beside_its_matches_with_the_matched_fields_marked(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    row = preview_case("several")

    page = browser.get(decide_url(row))

    assert "Several existing records match this lead. A person has to choose." in page.text
    assert page.html.count('class="zoho-matched"') == 3
    assert "(matched)" in page.text
    assert row.lead_name in page.text
    assert not [value for name, value in page.form_with(SHOW_BUTTON).values if name == "contact"]


@pytest.mark.slow
def test_of_very_many_matches_the_first_are_offered_with_the_number_of_all(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("options", "error_before", status=200, body=many_matches(10_000))
    row = preview.preview(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    says = "Of 10000 contacts that match, the first 100 are offered. To join another, convert"

    page = browser.get(decide_url(row))

    assert says in page.text
    assert len([a for a in page.attributes_of("input") if a.get("name") == "contact"]) == 101
    assert len(page.html) < 150_000
    assert says in browser.get(f"/admin/zoho_crm/leadconversion/{row.pk}/change/").text
    assert len(json.dumps(row.options_snapshot)) < 60_000


def test_the_proposed_plan_is_preselected(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("one_match")

    page = browser.get(decide_url(row))

    contact = row.stored_options().contacts[0]
    assert ("contact", contact.id) in page.form_with(SHOW_BUTTON).values
    assert ("account", "new") in page.form_with(SHOW_BUTTON).values


def test_a_value_that_differs_is_marked_too(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    page = browser.get(decide_url(preview_case("disagree")))

    assert "≠" in page.text
    assert "(differs)" in page.text


def test_nothing_is_preselected_where_a_person_has_to_think(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    browser.get(decide_url(preview_case("several")))

    page = browser.press(SHOW_BUTTON)

    assert "Contact: Please choose." in errors(page)
    assert "Account: Please choose." in errors(page)


def test_what_will_happen_is_shown_for_exactly_the_chosen_plan(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("several")
    chosen = row.stored_options().contacts[1]
    browser.get(decide_url(row))

    page = browser.press(SHOW_BUTTON, contact=chosen.id, account="new")

    plan = ConversionPlan(contact_id=chosen.id)
    lead = row.stored_lead()
    assert lead
    for sentence in explain_plan(plan, lead, row.stored_options()):
        assert sentence in page.text
    assert reload(row).status == "PREVIEWED"


@pytest.mark.slow
def test_converting_sends_what_was_shown(
    browser: Browser,
    preview_case: Callable[..., LeadConversion],
    zoho: Simulator,
    connection: Connection,
    boss: User,
) -> None:
    row = preview_case("several")
    chosen = row.stored_options().contacts[1]
    browser.get(decide_url(row))
    browser.press(SHOW_BUTTON, contact=chosen.id, account="new")
    messages.take_all()

    page = browser.press(CONVERT_BUTTON)
    woken = messages.take_all()
    work.work(connection_id=connection.pk)

    row = reload(row)
    assert f"Lead {row.lead_name} is being converted." in page.text
    assert [message.kwargs for message in woken] == [{"connection_id": connection.pk}]
    assert (row.status, row.contact_id, row.approved_by) == ("CONVERTED", chosen.id, boss)
    assert zoho.conversions_of(row.lead_id)[0]["contact_id"] == chosen.id
    assert LogEntry.objects.latest("pk").get_change_message() == "Approved."


def test_everything_that_can_be_chosen_reaches_the_plan(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    account = zoho.add("Accounts", Account_Name="Engines & Co")
    row = preview_case("", Tag=[{"name": "fair", "id": "1"}], Company="Engines & Co")
    owner = zoho.organisation.users[1]
    role = zoho.organisation.contact_roles[0]
    browser.get(decide_url(row))

    browser.press(
        SHOW_BUTTON,
        contact="new",
        account=account.id,
        **DEAL,
        deal_pipeline="Partners (Standard)",
        deal_amount="1200.50",
        deal_contact_role=role["id"],
        owner=owner["id"],
        tags=["Contacts", "Deals"],
        attachments="Deals",
        overwrite="on",
        notify_lead_owner="on",
        notify_new_owner="on",
    )
    browser.press(CONVERT_BUTTON)

    plan = reload(row).stored_plan()
    assert plan
    assert plan.deal
    assert (plan.account_id, plan.owner_id) == (account.id, owner["id"])
    assert plan.tags == {"Contacts": ("fair",), "Deals": ("fair",)}
    assert (plan.move_attachments_to, plan.overwrite) == ("Deals", True)
    assert (plan.notify_lead_owner, plan.notify_new_owner) == (True, True)
    assert plan.deal.closing_date == date(2027, 3, 31)
    assert plan.deal.amount == Decimal("1200.50")
    assert (plan.deal.stage, plan.deal.contact_role) == ("Qualification", role["id"])


@pytest.mark.slow
def test_the_decision_can_be_saved_and_is_there_the_next_time(
    browser: Browser, preview_case: Callable[..., LeadConversion], boss: User
) -> None:
    row = preview_case("no_match")
    browser.get(decide_url(row))
    browser.press(SHOW_BUTTON, **DEAL, deal_pipeline="Standard (Standard)")

    page = browser.press("Save the decision")

    row = reload(row)
    assert (row.status, row.decided_by) == ("PREVIEWED", boss)
    assert "The decision is saved; nothing was sent." in page.text
    assert "boss has decided how; nothing is sent yet." in page.text
    values = browser.get(decide_url(row)).form_with(SHOW_BUTTON).values
    assert {("deal", "on"), ("deal_name", "Roll-out"), ("deal_closing_date", "2027-03-31")} <= {
        *values
    }


@pytest.mark.slow
def test_the_choice_can_be_changed_after_reading_what_it_means(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("no_match")
    browser.get(decide_url(row))
    browser.press(SHOW_BUTTON, **DEAL, deal_pipeline="Standard (Standard)")

    page = browser.press("Change the choice")

    assert ("deal_name", "Roll-out") in page.form_with(SHOW_BUTTON).values
    assert not errors(page)


def test_a_lead_can_be_left_out(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    row = preview_case("several")
    browser.get(decide_url(row))

    page = browser.press("Leave this lead out")

    assert reload(row).status == "SKIPPED"
    assert "boss left this lead out." in page.text


def test_an_approved_lead_can_still_be_left_out(
    browser: Browser, preview_case: Callable[..., LeadConversion], boss: User
) -> None:
    row = preview_case("no_match")
    row = convert.approve(conversion_id=row.pk, version=row.version, plan=ConversionPlan(), by=boss)
    page = browser.get(decide_url(row))
    assert "boss has approved it." in page.text

    browser.press("Leave out")

    assert reload(row).status == "SKIPPED"


# Invalid input


def test_a_record_that_is_not_among_the_matches_is_an_error_at_the_choice(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    row = preview_case("one_match")
    stranger = zoho.add("Contacts", Full_Name="Somebody Else")
    browser.get(decide_url(row))

    page = browser.press(SHOW_BUTTON, contact=stranger.id)

    assert f"Contact: {stranger.id} is not among the matches of this lead." in errors(page)


def test_a_match_that_cannot_be_used_is_dimmed_and_says_why(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("unapproved")
    contact = row.stored_options().contacts[0]

    page = browser.get(decide_url(row))

    assert ("contact", contact.id) in page.form_with(SHOW_BUTTON).disabled
    assert "It waits for approval at Zoho" in page.text

    page = browser.press(SHOW_BUTTON, contact=contact.id, account="new")

    assert "Contact: It waits for approval at Zoho" in errors(page)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"Locked__s": True}, "It is locked at Zoho"),
        ({"$editable": False}, "The user of this connection may not change it"),
    ],
)
def test_each_reason_why_a_match_cannot_be_used_is_said(
    values: dict[str, Any],
    why: str,
    browser: Browser,
    preview_case: Callable[..., LeadConversion],
    zoho: Simulator,
) -> None:
    zoho.add("Contacts", Full_Name="Ada King", Email="ada@engine.example", **values)
    row = preview_case("", Email="ada@engine.example")

    assert why in browser.get(decide_url(row)).text


def test_a_contact_and_an_account_that_disagree_are_an_error_at_the_account(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("disagree")
    options = row.stored_options()
    browser.get(decide_url(row))

    page = browser.press(
        SHOW_BUTTON, contact=options.contacts[0].id, account=options.accounts[0].id
    )

    assert "Account: The contact does not belong to this account: choose" in errors(page)


def test_missing_fields_of_a_deal_are_errors_at_the_fields(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    zoho.organisation.required["Deals"].append("Lead_Source")
    browser.get(decide_url(preview_case("no_match")))

    page = browser.press(SHOW_BUTTON, deal="on", deal_name="", deal_pipeline="")

    message = errors(page)
    for field in ("Name", "Pipeline", "Stage", "Closing date", "Lead Source"):
        assert f"{field}: A deal needs this." in message
    assert 'id="id_deal_stage_error"' in page.html


@pytest.mark.slow
def test_an_amount_that_deals_of_this_organisation_need_is_asked_for(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    zoho.organisation.required["Deals"].append("Amount")
    browser.get(decide_url(preview_case("no_match")))

    page = browser.press(SHOW_BUTTON, **DEAL)

    assert "Amount: A deal needs this." in errors(page)


@pytest.mark.slow
def test_a_field_that_only_this_organisation_asks_for_reaches_the_deal(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    zoho.organisation.required["Deals"].append("Lead_Source")
    row = preview_case("no_match")
    browser.get(decide_url(row))
    browser.press(
        SHOW_BUTTON,
        **DEAL,
        deal_pipeline="Standard (Standard)",
        deal_field_Lead_Source="Trade Show",
    )
    browser.press("Save the decision")

    plan = reload(row).stored_plan()
    assert plan
    assert plan.deal
    assert plan.deal.other == {"Lead_Source": "Trade Show"}
    values = browser.get(decide_url(row)).form_with(SHOW_BUTTON).values
    assert ("deal_field_Lead_Source", "Trade Show") in values


@pytest.mark.slow
def test_fields_of_a_deal_are_asked_for_and_stored_as_their_type_asks(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    names = ["Probability", "Budget", "Is_Renewal", "Interests", "Campaign_Source"]
    zoho.organisation.required["Deals"] += names
    row = preview_case("no_match")
    given: dict[str, Any] = {**DEAL, "deal_pipeline": "Standard (Standard)"}
    entered: dict[str, Any] = {
        "deal_field_Probability": "50",
        "deal_field_Budget": "12.50",
        "deal_field_Is_Renewal": "false",
        "deal_field_Interests": ["A", "C"],
        "deal_field_Campaign_Source": "4711",
    }

    browser.get(decide_url(row))
    wrong = {"deal_field_Probability": "half", "deal_field_Campaign_Source": "Fair"}
    page = browser.press(SHOW_BUTTON, **given, **{**entered, **wrong})

    assert "“half” is not a whole number" in errors(page)
    assert "“Fair” is not the id of a record" in errors(page)

    browser.press(SHOW_BUTTON, **given, **entered)
    browser.press("Save the decision")

    plan = reload(row).stored_plan()
    assert plan
    assert plan.deal
    assert plan.deal.other == {
        "Probability": 50,
        "Budget": Decimal("12.50"),
        "Is_Renewal": False,
        "Interests": ["A", "C"],
        "Campaign_Source": {"id": "4711"},
    }
    values = browser.get(decide_url(row)).form_with(SHOW_BUTTON).values
    assert {(name, value) for name, value in entered.items() if isinstance(value, str)} <= set(
        values
    )


@pytest.mark.slow
def test_a_stage_of_another_pipeline_is_an_error_at_the_stage(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    browser.get(decide_url(preview_case("no_match")))
    given = {**DEAL, "deal_stage": "Needs Analysis", "deal_pipeline": "Partners (Standard)"}

    page = browser.press(SHOW_BUTTON, **given)

    assert "Stage: The pipeline “Partners (Standard)” has no such stage" in errors(page)
    assert "Identify Decision Makers" in errors(page)


@pytest.mark.slow
def test_an_invalid_date_or_number_is_an_error_at_its_field(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    browser.get(decide_url(preview_case("no_match")))
    given = {**DEAL, "deal_closing_date": "soon", "deal_amount": "much"}

    page = browser.press(SHOW_BUTTON, **given)

    assert "Closing date: Enter a valid date." in errors(page)
    assert "Amount: Enter a number." in errors(page)
    assert errors(page).count("Closing date") == 1


def test_an_organisation_without_pipelines_is_not_asked_for_one(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    zoho.organisation.pipelines.clear()
    row = preview_case("no_match")
    page = browser.get(decide_url(row))
    assert "Pipeline" not in page.text

    browser.press(SHOW_BUTTON, **DEAL)
    browser.press("Save the decision")

    plan = reload(row).stored_plan()
    assert plan
    assert plan.deal
    assert plan.deal.pipeline == ""


def test_when_the_choices_cannot_be_asked_the_lead_can_be_converted_without_a_deal(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    row = preview_case("no_match")
    zoho.fail("metadata", "error_before", status=500, times=99)

    page = browser.get(decide_url(row))

    assert "The lead can be converted without a deal only. Internal Server Error" in page.text
    browser.press(SHOW_BUTTON)
    browser.press(CONVERT_BUTTON)
    assert reload(row).status == "READY"


@pytest.mark.slow
def test_a_deal_is_not_silently_dropped_when_it_cannot_be_checked_any_more(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    row = preview_case("no_match")
    browser.get(decide_url(row))
    browser.press(SHOW_BUTTON, **DEAL, deal_pipeline="Standard (Standard)")
    zoho.fail("metadata", "error_before", status=500, times=99)
    forget_metadata()

    page = browser.press(CONVERT_BUTTON)

    assert "Create a deal: No deal can be created now" in errors(page)
    assert reload(row).status == "PREVIEWED"


@pytest.mark.slow
def test_a_connection_that_may_not_read_the_choices_says_so(
    browser: Browser, zoho: Simulator, db: None
) -> None:
    scopes = "ZohoCRM.modules.ALL,ZohoCRM.org.READ,ZohoCRM.users.READ"
    connection = with_grant_code(code=zoho.grant_code(scopes), data_center="local")
    row = preview.preview(connection_id=connection.pk, lead_id=zoho.story("no_match"))

    page = browser.get(decide_url(row))

    assert "The stages of deals cannot be read: invalid oauth scope" in page.text


@pytest.mark.slow
def test_of_very_many_users_the_owner_is_searched(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    users = [zoho.add_user() for _ in range(201)]
    row = preview_case("no_match")

    page = browser.get(decide_url(row))
    assert users[0]["full_name"] not in page.text
    assert "Empty: Keep the lead's owner, Mara Lind." in page.text
    assert "Owner: Several users are called that" in errors(
        browser.press(SHOW_BUTTON, owner="user")
    )
    page = browser.press(SHOW_BUTTON, owner=users[-1]["email"])
    assert f"The records are assigned to {users[-1]['full_name']}." in page.text
    browser.press(CONVERT_BUTTON)

    plan = reload(row).stored_plan()
    assert plan
    assert plan.owner_id == users[-1]["id"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"attachments": "Deals"}, "Attachments go to: There will be no deal."),
        ({"tags": ["Deals"]}, "Carry the tags over to: There will be no deal."),
        ({"overwrite": "on"}, "There is no existing account to rename."),
        ({"owner": "4711"}, "Owner: Select a valid choice."),
    ],
)
def test_a_contradictory_choice_is_an_error_at_its_field(
    given: dict[str, Any],
    message: str,
    browser: Browser,
    preview_case: Callable[..., LeadConversion],
) -> None:
    browser.get(decide_url(preview_case("", Tag=[{"name": "fair", "id": "1"}])))

    assert message in errors(browser.press(SHOW_BUTTON, **given))


@pytest.mark.slow
def test_a_lead_without_a_company_gets_no_account(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    page = browser.get(decide_url(preview_case("", Company=None)))
    assert "No account: the lead has no company" in page.text
    assert "Give the existing account" not in page.text

    zoho.add("Contacts", Full_Name="Ada King", Email="ada@engine.example")
    page = browser.get(decide_url(preview_case("", Company=None, Email="ada@engine.example")))
    assert "The contact's own account, if it has one" in page.text


# Concurrent decisions


@pytest.mark.slow
def test_two_clicks_convert_once(
    browser: Browser,
    preview_case: Callable[..., LeadConversion],
    zoho: Simulator,
    connection: Connection,
) -> None:
    row = preview_case("no_match")
    browser.get(decide_url(row))
    confirm, here = browser.press(SHOW_BUTTON), browser.url
    browser.press(CONVERT_BUTTON)
    browser.page, browser.url = confirm, here

    page = browser.press(CONVERT_BUTTON)
    work.work(connection_id=connection.pk)

    assert "This has changed since it was shown; please look again." in page.text
    assert "boss has approved it." in page.text
    assert len(zoho.conversions_of(row.lead_id)) == 1


@pytest.mark.slow
def test_a_lead_that_was_previewed_again_meanwhile_is_shown_again(
    browser: Browser,
    preview_case: Callable[..., LeadConversion],
    zoho: Simulator,
    connection: Connection,
) -> None:
    row = preview_case("no_match")
    browser.get(decide_url(row))
    browser.press(SHOW_BUTTON)
    zoho.change(zoho.records["Leads"][row.lead_id], Company="Renamed & Partners")
    preview.preview(connection_id=connection.pk, lead_id=row.lead_id)

    page = browser.press(CONVERT_BUTTON)

    assert "This has changed since it was shown; please look again." in page.text
    assert "Renamed & Partners" in page.text
    assert page.has_button(SHOW_BUTTON)
    assert reload(row).status == "PREVIEWED"


@pytest.mark.slow
def test_a_colleague_who_was_faster_is_not_overruled(
    browser: Browser,
    browser_as: Callable[..., Browser],
    preview_case: Callable[..., LeadConversion],
) -> None:
    row = preview_case("no_match")
    colleague = browser_as("approve_leadconversion", name="kim")
    colleague.get(decide_url(row))
    browser.get(decide_url(row))
    colleague.press("Leave this lead out")

    page = browser.press(SHOW_BUTTON)

    assert "This has changed since it was shown; please look again." in page.text
    assert "kim left this lead out." in page.text


@pytest.mark.slow
@pytest.mark.parametrize("button", [CONVERT_BUTTON, "Save the decision"])
def test_a_colleague_in_the_same_instant_is_not_overruled(
    button: str, browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("no_match")
    browser.get(decide_url(row))
    browser.press(SHOW_BUTTON)

    with before_the_next_update(lambda: LeadConversion.objects.update(version=7)):
        page = browser.press(button)

    assert "This has changed since it was shown; please look again." in page.text
    assert (reload(row).status, reload(row).version) == ("PREVIEWED", 7)


@pytest.mark.slow
def test_leaving_out_in_the_same_instant_as_a_colleague_decides_overrules_nobody(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("no_match")
    browser.get(decide_url(row))

    with before_the_next_update(lambda: LeadConversion.objects.update(version=7)):
        page = browser.press("Leave this lead out")

    assert "This has changed since it was shown; please look again." in page.text
    assert reload(row).status == "PREVIEWED"


@contextmanager
def before_the_next_update(happens: Callable[[], object]) -> Iterator[None]:
    """Call ``happens`` before the next UPDATE of a conversion, after its row was read."""
    waiting = [happens]

    def interfere(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if waiting and sql.startswith("UPDATE") and "zoho_crm_leadconversion" in sql:
            waiting.pop()()
        return execute(sql, params, many, context)

    with database.execute_wrapper(interfere):
        yield


@pytest.mark.parametrize("version", ["", "x", "-1", "99"])
def test_a_version_that_was_never_shown_decides_nothing(
    version: str, browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("no_match")
    given = [("version", version), ("contact", "new"), ("account", "new"), ("step", "convert")]

    page = browser.post(decide_url(row), given)

    assert "This has changed since it was shown" in page.text
    assert reload(row).status == "PREVIEWED"


def test_a_row_that_needs_a_person_is_not_closed_by_a_forged_skip(
    browser: Browser, preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("no_match")
    LeadConversion.objects.update(status="NEEDS_REVIEW")

    browser.post(decide_url(row), [("version", str(row.version)), ("step", "skip")])

    assert reload(row).status == "NEEDS_REVIEW"


# Permissions


@pytest.mark.slow
def test_who_may_only_preview_sees_the_choice_and_decides_nothing(
    browser_as: Callable[..., Browser], preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("several")
    viewer = browser_as("preview_leadconversion")

    page = viewer.get(decide_url(row))

    assert not page.has_button(SHOW_BUTTON)
    assert "somebody who may convert leads has to decide" in page.text

    viewer.post(decide_url(row), [("version", str(row.version)), ("step", "skip")])

    assert viewer.status == 403
    assert reload(row).status == "PREVIEWED"


@pytest.mark.slow
def test_who_may_not_see_the_list_stays_at_the_lead(
    browser_as: Callable[..., Browser], preview_case: Callable[..., LeadConversion]
) -> None:
    row = preview_case("no_match")
    approver = browser_as("approve_leadconversion")
    approver.get(decide_url(row))
    approver.press(SHOW_BUTTON)

    approver.press(CONVERT_BUTTON)

    assert (approver.status, approver.url) == (200, decide_url(row))


@pytest.mark.slow
def test_hostile_values_stay_text(
    browser: Browser, preview_case: Callable[..., LeadConversion], zoho: Simulator
) -> None:
    row = preview_case("hostile")

    pages = [
        browser.get(decide_url(row)),
        browser.press(SHOW_BUTTON),
        browser.press("Save the decision"),
    ]
    pages.append(browser.get("/admin/zoho_crm/leadconversion/"))

    for page in pages:
        scripts = [attributes.get("src", "") for attributes in page.attributes_of("script")]
        assert all(scripts)
        assert not [a for a in page.attributes_of("img") if a.get("src") == "x"]
        assert not [a for a in page.attributes_of("a") if "javascript:" in a.get("href", "")]
        assert "<b>AG</b>" not in page.html
        assert len(page.html) < 300_000
    assert "&lt;script&gt;alert(&#x27;zoho&#x27;)&lt;/script&gt;" in pages[0].html
