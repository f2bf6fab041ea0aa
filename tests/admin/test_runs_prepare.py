"""The page that prepares a mass conversion: leads, policy, and the errors of either."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile

from tests import messages
from tests.admin.pages import Browser, Page
from tests.admin.runs import LIST, rows_of, run_url, work_until_waiting
from tests.parameters import long
from zoho_crm.forms._runs import MAX_UPLOAD_BYTES
from zoho_crm.matching import Action, DealTemplate
from zoho_crm.models import Connection, LeadConversion, MassConversion, Policy
from zoho_crm.services.choices import choices
from zoho_crm.simulator import Simulator
from zoho_crm.types import as_json

pytestmark = pytest.mark.django_db(transaction=True)

PREPARE = f"{LIST}prepare/"
PREPARE_BUTTON = "Prepare previews"
DEAL = {
    "deal": "yes",
    "deal_name": "{Company} – fair",
    "deal_pipeline": "Standard (Standard)",
    "deal_stage": "Qualification",
}


def prepare(browser: Browser, **entered: Any) -> Page:
    browser.get(PREPARE)
    return browser.press(PREPARE_BUTTON, **{"policy": "careful", **entered})


def upload(browser: Browser, content: bytes, name: str = "leads.txt", **entered: Any) -> Page:
    """Post the form with a file."""
    browser.get(PREPARE)
    form = browser.page.form_with(PREPARE_BUTTON)
    values = {**dict(form.values), "policy": "careful", **entered}
    file = SimpleUploadedFile(name, content)
    response = browser.client.post(PREPARE, {**values, "file": file})
    return browser._take(response, PREPARE)


def error_at(page: Page, field: str) -> str:
    """Return the HTML of the errors of a form field."""
    start = page.html.find(f'id="id_{field}_error"')
    return page.html[start : page.html.find("</ul>", start)] if start >= 0 else ""


def test_pasted_ids_become_a_run_that_is_previewed(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    leads = [zoho.story("no_match") for _ in range(3)]
    messages.take_all()

    page = prepare(browser, ids=f" \r\n{leads[0]}, {leads[1]};\r\n\r\n{leads[2]}\r\n", name="Fair")

    run = MassConversion.objects.get()
    assert browser.url == run_url(run)
    assert "3 leads are taken in and are previewed now; nothing is converted yet." in page.text
    assert (run.name, run.stage, run.created_by) == ("Fair", "PREVIEWING", boss)
    assert (run.source, run.source_details) == ("ids", {})
    assert "ids that were pasted" in page.text
    assert run.rules.name == "careful"
    assert {row.lead_id for row in rows_of(run)} == set(leads)
    assert set(run.active_owners) == {user.id for user in choices(connection).users}
    assert [sent.kwargs for sent in messages.take_all()] == [{"connection_id": connection.pk}]
    assert LogEntry.objects.latest("pk").get_change_message() == "Prepared."


def test_what_cannot_be_taken_in_is_said_at_once(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("no_match")

    page = prepare(browser, ids=f"{lead_id}\n{lead_id}\nAda 4711")

    assert "1 lead is taken in" in page.text
    assert "2 lines were left out; the reasons stand on the page" in page.text


def test_a_file_is_taken_in_line_by_line(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    leads = [zoho.story("no_match") for _ in range(2)]

    upload(browser, "\n".join(["# from the fair", *leads]).encode("utf-8-sig"), "fair <b>.txt")

    run = MassConversion.objects.get()
    assert {row.lead_id for row in rows_of(run)} == set(leads)
    assert (run.source, run.source_details) == ("file", {"file": "fair <b>.txt"})


def test_a_column_of_a_csv_file_is_taken_in(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("no_match")

    upload(browser, f"Name;Lead id\nAda;{lead_id}\n".encode(), "leads.csv", column="Lead id")

    assert [row.lead_id for row in rows_of(MassConversion.objects.get())] == [lead_id]


def test_a_file_that_django_put_on_disk_is_taken_in_as_well(
    browser: Browser, connection: Connection, zoho: Simulator, settings: Any
) -> None:
    settings.FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
    assert TemporaryUploadedFile
    lead_id = zoho.story("no_match")

    upload(browser, lead_id.encode())

    assert [row.lead_id for row in rows_of(MassConversion.objects.get())] == [lead_id]


# Errors of the source


@pytest.mark.parametrize(
    ("content", "entered", "field", "message"),
    [
        (b"PK\x03\x04\x00\x00", {}, "file", "It is not a text file."),
        long((b"", {}, "file", "It is empty.")),
        (b"\n\n  \n", {}, "file", "There is not one lead in this source."),
        (b"id,name\n1,x\n", {"column": "lead"}, "column", "There is no column “lead”"),
        long((b"4711", {"ids": "4712"}, "file", "Either ids, or a file, or the open leads.")),
        (b"1" * (MAX_UPLOAD_BYTES + 1), {}, "file", "at most 1.0\xa0MB can be taken in here"),
    ],
    ids=["no-text", "empty", "blank", "no-column", "both", "too-large"],
)
def test_an_unreadable_source_is_an_error_at_the_field_that_can_fix_it(
    content: bytes,
    entered: dict[str, str],
    field: str,
    message: str,
    browser: Browser,
    connection: Connection,
) -> None:
    page = upload(browser, content, **entered)

    assert message in error_at(page, field)
    assert not MassConversion.objects.exists()
    assert not LeadConversion.objects.exists()


@pytest.mark.parametrize(
    ("entered", "field", "message"),
    [
        ({}, "ids", "Which leads? Paste their ids, or choose a file."),
        long(({"ids": " \n "}, "ids", "Which leads?")),
        long(({"ids": " , \n ;"}, "ids", "It is empty.")),
        ({"ids": "1", "column": "id"}, "column", "Only a file has columns."),
        long(({"ids": "1", "name": "x" * 101}, "name", "at most 100 characters")),
        ({"ids": "1" * 1_000_001}, "ids", "at most 1000000 characters"),
        ({"ids": "1", "policy": "bold"}, "policy", "Select a valid choice."),
    ],
)
def test_an_invalid_value_is_an_error_at_its_field(
    entered: dict[str, str], field: str, message: str, browser: Browser, connection: Connection
) -> None:
    page = prepare(browser, **entered)

    assert message in error_at(page, field)
    assert f'href="#id_{field}"' in page.html
    assert not MassConversion.objects.exists()


# The policy


def test_a_policy_that_was_saved_can_be_chosen(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    Policy.objects.create(name="Fairs", rules=_rules(on_one_match="attach", tags_to=["Deals"]))

    prepare(browser, ids="1", policy="Fairs", deal="", tags=["nothing"])

    policy = MassConversion.objects.get().rules
    assert (policy.name, policy.on_one_match, policy.tags_to) == ("Fairs", Action.ATTACH, ())


def test_overrides_are_kept_in_the_runs_copy_of_the_policy(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    owner, other = (user.id for user in choices(connection).users[:2])
    role = zoho.organisation.contact_roles[0]["id"]

    prepare(
        browser,
        ids="1",
        policy="attach",
        on_no_match="skip",
        on_several_matches="newest",
        **DEAL,
        deal_closing_days="0",
        deal_amount="12.50",
        deal_contact_role=role,
        owner=owner,
        owner_for_inactive=other,
        tags=["Contacts", "Deals"],
        attachments="Deals",
        notify_lead_owner="yes",
        notify_new_owner="no",
    )

    policy = MassConversion.objects.get().rules
    assert policy.deal == DealTemplate(
        name="{Company} – fair",
        stage="Qualification",
        closing_days=0,
        pipeline="Standard (Standard)",
        amount=Decimal("12.50"),
        contact_role=role,
    )
    assert (policy.on_no_match, policy.on_several_matches) == (Action.SKIP, Action.NEWEST)
    assert (policy.on_one_match, policy.on_account_only) == (Action.ATTACH, Action.ATTACH)
    assert (policy.owner_id, policy.owner_for_inactive_id) == (owner, other)
    assert (policy.tags_to, policy.attachments_to) == (("Contacts", "Deals"), "Deals")
    assert (policy.notify_lead_owner, policy.notify_new_owner) == (True, False)


def test_a_run_may_do_less_than_its_policy(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    owner = zoho.organisation.users[0]["id"]
    deal = {**as_json(DealTemplate(name="x", stage="y")), "pipeline": ""}
    rules = _rules(owner_id=owner, attachments_to="Contacts", deal=deal, notify_new_owner=True)
    Policy.objects.create(name="Fairs", rules=rules)

    prepare(
        browser,
        ids="1",
        policy="Fairs",
        deal="no",
        owner="nothing",
        attachments="nothing",
        notify_new_owner="no",
    )

    policy = MassConversion.objects.get().rules
    assert (policy.deal, policy.owner_id, policy.attachments_to) == (None, "", "")
    assert not policy.notify_new_owner


@pytest.mark.parametrize(
    ("entered", "field", "message"),
    [
        ({"deal": "yes"}, "deal_name", "A deal needs this."),
        long(({"deal": "yes"}, "deal_stage", "A deal needs this.")),
        long(({"deal": "yes"}, "deal_pipeline", "A deal needs this.")),
        ({"deal_name": "x"}, "deal", "Choose one for each lead, or leave its entries empty."),
        long(({**DEAL, "deal_stage": "No such stage"}, "deal_stage", "Select a valid choice.")),
        (
            {**DEAL, "deal_pipeline": "Partners (Standard)", "deal_stage": "Needs Analysis"},
            "deal_stage",
            "has no stage “Needs Analysis”",
        ),
        long(
            ({**DEAL, "deal_closing_days": "-1"}, "deal_closing_days", "greater than or equal to 0")
        ),
        ({**DEAL, "deal_amount": "much"}, "deal_amount", "Enter a number."),
        long(({"owner": "4711"}, "owner", "Select a valid choice.")),
        long(({"tags": ["Deals"]}, "tags", "There will be no deal.")),
        ({"attachments": "Deals"}, "attachments", "There will be no deal."),
        ({"tags": ["Contacts", "nothing"]}, "tags", "Choose “none of them” or some, not both."),
        ({"on_no_match": "attach"}, "on_no_match", "Select a valid choice."),
    ],
)
def test_an_invalid_override_is_an_error_at_its_field(
    entered: dict[str, Any],
    field: str,
    message: str,
    browser: Browser,
    connection: Connection,
    zoho: Simulator,
) -> None:
    page = prepare(browser, ids="1", **entered)

    assert message in error_at(page, field)
    assert not MassConversion.objects.exists()
    details = [given for given in page.attributes_of("details") if "open" in given]
    assert len(details) == 1


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"owner_id": "4711"}, "The user 4711 is not active in this organisation."),
        ({"deal": {"name": "x", "stage": "None"}}, "has no stage “None”"),
    ],
)
def test_a_saved_policy_that_does_not_fit_the_organisation_is_an_error_at_the_policy(
    rules: dict[str, Any], message: str, browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    if "deal" in rules:
        rules["deal"] = as_json(DealTemplate(**rules["deal"]))
    Policy.objects.create(name="Fairs", rules=_rules(**rules))

    page = prepare(browser, ids="1", policy="Fairs")

    assert message in error_at(page, "policy")
    assert not MassConversion.objects.exists()


def test_the_deal_of_a_saved_policy_without_a_pipeline_is_of_the_default_one(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    deal = as_json(DealTemplate(name="x", stage="Qualification"))
    Policy.objects.create(name="Fairs", rules=_rules(deal=deal))

    prepare(browser, ids="1", policy="Fairs")

    policy = MassConversion.objects.get().rules
    assert policy.deal
    assert policy.deal.pipeline == "Standard (Standard)"


def test_a_role_of_a_saved_policy_that_does_not_exist_is_an_error_at_the_policy(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    deal = as_json(DealTemplate(name="x", stage="Qualification", contact_role="7"))
    Policy.objects.create(name="Fairs", rules=_rules(deal=deal))

    page = prepare(browser, ids="1", policy="Fairs")

    assert "There is no contact role 7" in error_at(page, "policy")


def test_the_last_of_many_users_may_own_records(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    last = [zoho.add_user() for _ in range(201)][-1]
    Policy.objects.create(name="Fairs", rules=_rules(owner_id=last["id"]))

    prepare(browser, ids="1", policy="Fairs", owner_for_inactive=last["full_name"])

    run = MassConversion.objects.get()
    assert (run.rules.owner_id, run.rules.owner_for_inactive_id) == (last["id"], last["id"])
    assert last["id"] in run.active_owners
    page = prepare(browser, ids="1", policy="Fairs", owner="nothing")
    assert MassConversion.objects.latest("pk").rules.owner_id == ""
    assert len(page.html) < 100_000


def test_what_the_connection_may_not_read_is_said_and_is_no_obstacle(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("metadata", "empty", times=None)

    page = browser.get(PREPARE)

    assert "The stages of deals cannot be read: The user of this connection sees" in page.text
    browser.press(PREPARE_BUTTON, policy="careful", ids="1")
    assert MassConversion.objects.exists()


@pytest.mark.parametrize(("entered", "field"), [({"policy": "Fairs"}, "policy"), (DEAL, "deal")])
def test_deals_that_need_more_than_a_policy_gives_are_refused(
    entered: dict[str, Any],
    field: str,
    browser: Browser,
    connection: Connection,
    zoho: Simulator,
) -> None:
    deal = DealTemplate(name="x", stage="Qualification", pipeline="Standard (Standard)")
    Policy.objects.create(name="Fairs", rules=_rules(deal=as_json(deal)))
    zoho.organisation.required["Deals"] = ["Amount", "Lead_Source"]

    page = prepare(browser, ids="1", **entered)

    message = (
        "Deals of this organisation also need: Amount, Lead Source. A policy cannot give that."
    )
    assert message in error_at(page, field)


def test_what_deals_need_can_be_given_by_the_policy(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    zoho.organisation.required["Deals"] = ["Amount"]
    role = zoho.organisation.contact_roles[0]["id"]

    prepare(browser, ids="1", **DEAL, deal_amount="5", deal_contact_role=role)

    assert MassConversion.objects.get().rules.deal


def test_each_policy_is_told_in_words(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    user = zoho.organisation.users[0]
    Policy.objects.create(name="Fairs", rules=_rules(owner_id=user["id"]))

    page = browser.get(PREPARE)

    for name in ("careful", "attach", "Fairs"):
        assert f"What “{name}” says" in page.text
    assert f"The records are assigned to {user['full_name']}." in page.text


# The connection


def test_without_a_connection_the_page_says_what_to_do_first(browser: Browser) -> None:
    page = browser.get(PREPARE)

    assert "There is no connection to Zoho yet; connect first." in page.text
    assert not page.has_button(PREPARE_BUTTON)


def test_what_another_connection_offers_is_shown_without_losing_what_was_entered(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    other = Connection.objects.create(
        name="Other", data_center="eu", environment="sandbox", org_id="1"
    )
    page = browser.get(PREPARE)
    assert ("connection", str(connection.pk)) in page.form_with(PREPARE_BUTTON).values

    page = browser.press(
        "Show what this connection offers", connection=str(other.pk), name="Fair", tags=["Contacts"]
    )

    values = page.form_with(PREPARE_BUTTON).values
    assert {("connection", str(other.pk)), ("name", "Fair"), ("tags", "Contacts")} <= {*values}
    assert "Zoho cannot be asked what may be chosen" in page.text
    assert not MassConversion.objects.exists()


def test_a_connection_can_be_named_in_the_address(browser: Browser, connection: Connection) -> None:
    other = Connection.objects.create(
        name="Other", data_center="eu", environment="sandbox", org_id="1"
    )

    page = browser.get(f"{PREPARE}?connection={other.pk}")
    assert ("connection", str(other.pk)) in page.form_with(PREPARE_BUTTON).values
    page = browser.get(f"{PREPARE}?connection=x")
    assert ("connection", str(connection.pk)) in page.form_with(PREPARE_BUTTON).values


def test_nothing_is_prepared_while_zoho_cannot_be_asked_what_it_has(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("any", "error_before", status=503, times=99)

    page = prepare(browser, ids="4711")

    assert "Zoho cannot be asked what may be chosen" in error_at(page, "connection")
    assert not MassConversion.objects.exists()


def test_who_may_only_prepare_is_sent_to_the_decisions(
    browser_as: Callable[..., Browser], connection: Connection, zoho: Simulator
) -> None:
    browser = browser_as("prepare_massconversion")

    page = prepare(browser, ids=zoho.story("no_match"))

    assert browser.url == run_url(MassConversion.objects.get(), "decide")
    assert "1 lead is still to be read from Zoho" in page.text


def _rules(**otherwise: Any) -> dict[str, Any]:
    rules = {
        "on_no_match": "create",
        "on_one_match": "review",
        "on_account_only": "review",
        "on_several_matches": "review",
        "deal": None,
        "owner_id": "",
        "owner_for_inactive_id": "",
        "tags_to": [],
        "attachments_to": "",
        "notify_lead_owner": False,
        "notify_new_owner": False,
    }
    return {**rules, **otherwise}


def test_the_open_leads_are_taken_in_by_the_worker(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    fair = zoho.add_lead(City="Kiel").id
    zoho.add_lead(City="Graz")

    page = prepare(browser, open_leads="on", filters=" City = kiel \r\n", name="Fair")

    run = MassConversion.objects.get()
    assert "The open leads are being taken in and previewed" in page.text
    assert "0 open leads were read, and 0 taken in" in page.text
    assert (run.name, run.stage, run.created_by) == ("Fair", "STAGING", boss)
    assert [row.lead_id for row in rows_of(work_until_waiting(run))] == [fair]
    assert browser.get(run_url(run)).text.count("waits for decisions")


def test_a_run_that_found_no_open_lead_says_so(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    prepare(browser, open_leads="on")
    run = work_until_waiting(MassConversion.objects.get())

    assert "There is not one lead in its source." in browser.get(run_url(run)).text


@pytest.mark.parametrize(
    ("entered", "field", "error"),
    [
        ({"open_leads": "on", "ids": "1"}, "open_leads", "Either ids, or a file, or the open"),
        long(({"filters": "City=Kiel", "ids": "1"}, "filters", "Only open leads can be filtered")),
        ({"open_leads": "on", "filters": "Kiel"}, "filters", "“Kiel” is not of the form"),
        long(({"open_leads": "on", "filters": "City="}, "filters", "not of the form FIELD=VALUE")),
        ({"open_leads": "on", "filters": "a b=1"}, "filters", "not of the form FIELD=VALUE"),
    ],
)
def test_an_invalid_filter_of_open_leads_is_an_error_at_its_field(
    browser: Browser, connection: Connection, entered: dict[str, str], field: str, error: str
) -> None:
    page = prepare(browser, **entered)

    assert error in error_at(page, field)
    assert not MassConversion.objects.exists()


def estimate(browser: Browser, **entered: Any) -> Page:
    browser.get(PREPARE)
    return browser.press("Estimate what it costs", **{"policy": "careful", **entered})


def test_what_a_run_costs_is_told_before_it_is_prepared(
    browser: Browser, connection: Connection, settings: Any
) -> None:
    ids = "\n".join(str(5_000_000_000_000 + number) for number in range(100))

    page = estimate(browser, ids=f"{ids}\n{ids}", name="Fair")

    sentence = "Estimate: 100 leads take about 101 credits and 1 minute to preview, and about "
    assert f"{sentence}434 to 501 credits and 1 minute to convert." in page.text
    assert "not enough" not in page.text
    assert "Fair" in page.html
    assert ids.splitlines()[7] in page.html
    assert not MassConversion.objects.exists()
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CREDIT_BUDGET": 560}
    assert "That may not be enough" in estimate(browser, ids=ids).text
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CREDIT_BUDGET": 500}
    assert "That is not enough" in estimate(browser, ids=ids).text


def test_open_leads_are_counted_by_zoho_for_an_estimate(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    for _number in range(3):
        zoho.add_lead(Lead_Status="Qualified")

    page = estimate(browser, open_leads="on", filters="Lead_Status=Qualified")

    assert "Estimate: 3 leads take about 4 credits and 1 minute to preview" in page.text
    assert "about 16 credits and 1 minute to convert" in page.text
    zoho.fail("any", "error_before", status=500, body={"code": "INTERNAL_ERROR"}, times=20)
    page = estimate(browser, open_leads="on", filters="Lead_Status=Contacted")
    assert browser.status == 200
    assert "Estimate: 1,000 leads" in page.text
