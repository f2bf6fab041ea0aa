"""``LeadAdminMixin`` in the admin of a host's own model: actions, the status column, the panel."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection as database
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext, isolate_apps

from testproject.admin import EnquiryAdmin
from testproject.models import Enquiry
from tests import messages
from tests.admin.actions import action_names, choose, choose_all
from tests.admin.pages import Browser, check_mark_up
from tests.admin.runs import work_until_waiting
from tests.object_permissions import DJANGOS, PATH, give
from zoho_crm.admin import LeadAdminMixin
from zoho_crm.models import Connection, LeadConversion, MassConversion, OutboxRecord
from zoho_crm.services import preview, work
from zoho_crm.services.selections import select
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/testproject/enquiry/"
HOST = ("view_enquiry", "change_enquiry")


@pytest.fixture
def enquiry(zoho: Simulator) -> Callable[..., Enquiry]:
    """Return a function that stores an enquiry whose lead is of a case of the simulator."""

    def one(case: str = "", **columns: Any) -> Enquiry:
        lead_id = zoho.story(case) if case else ""
        return Enquiry.objects.create(**{"name": "Ada", "zoho_lead_id": lead_id, **columns})

    return one


def url_of(row: Enquiry) -> str:
    return f"{LIST}{row.pk}/change/"


def reads(captured: CaptureQueriesContext) -> list[str]:
    """Return the queries that read; what counts calls to Zoho may write at any moment."""
    return [query["sql"] for query in captured if query["sql"].startswith("SELECT")]


def row_of(enquiry: Enquiry) -> LeadConversion:
    return LeadConversion.objects.get(lead_id=enquiry.zoho_lead_id)


# Permissions


@isolate_apps("testproject")
def test_a_connection_in_the_hosts_own_rows_limits_nothing(
    connection: Connection, settings: Any
) -> None:
    """The leads are of the connection that the admin names, and so is the permission."""

    class Visitor(models.Model):
        zoho = models.ForeignKey(Connection, models.CASCADE, related_name="+")
        lead = models.CharField(max_length=19)

        class Meta:
            app_label = "testproject"

        def __str__(self) -> str:
            return self.lead

    class VisitorAdmin(LeadAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
        zoho_lead_id_field = "lead"
        zoho_connection = connection.name

    settings.AUTHENTICATION_BACKENDS = [DJANGOS, PATH]
    other = Connection.objects.create(name="Other", org_id="2", data_center="us")
    user = User.objects.create(username="pat")
    give(user, {"preview_leadconversion", "add_outboxrecord"}, connection)
    request = RequestFactory().get(LIST)
    request.user = user
    with database.schema_editor() as editor:
        editor.create_model(Visitor)
    try:
        for number in (1, 2):
            Visitor.objects.create(zoho=other, lead=f"500000000000{number}")
        LeadConversion.objects.create(
            connection=connection, lead_id="5000000000001", status="FAILED"
        )
        pages = VisitorAdmin(Visitor, admin.site)
        found = select(user=user, of="testproject.visitor", ids=None)
        preview_page, convert_page, push_page = (
            pages.action_page(pages, request, action, found) for action in pages.list_actions
        )
        counts = [page.count for page in (preview_page, convert_page, push_page)]
        previewed = [*chain(*preview_page.lead_ids())]
        pushed = [*chain(*push_page.id_batches(10))]
    finally:
        with database.schema_editor() as editor:
            editor.delete_model(Visitor)

    assert counts == [2, 2, 2]
    assert sorted(previewed) == ["5000000000001", "5000000000002"]
    assert len(pushed) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "ours", "theirs"),
    [
        ("zoho_preview", "preview_leadconversion", "view_enquiry"),
        ("zoho_convert", "approve_leadconversion", "change_enquiry"),
        ("zoho_push", "add_outboxrecord", "change_enquiry"),
    ],
)
def test_an_action_needs_the_hosts_permission_and_ours(
    action: str,
    ours: str,
    theirs: str,
    browser_as: Callable[..., Browser],
    connection: Connection,
    enquiry: Callable[..., Enquiry],
) -> None:
    row = enquiry("no_match")
    having = browser_as("view_enquiry", theirs, ours)
    assert action in action_names(having.get(LIST))
    choose(having, LIST, action, row)
    assert having.status == 200
    url = having.url
    for permissions in ({"view_enquiry", theirs}, {"view_enquiry", ours} - {theirs}, {ours}):
        browser = browser_as(*permissions)
        assert action not in action_names(browser.get(LIST))
        choose(browser, LIST, action, row)
        assert browser.status == 403
        browser.get(url)
        assert browser.status == 403
        browser.post(url, [("count", "1")])
        assert browser.status == 403
    assert not LeadConversion.objects.exists()
    assert not OutboxRecord.objects.exists()


@pytest.mark.slow
def test_what_the_hosts_list_does_not_show_is_not_acted_on(
    browser: Browser,
    connection: Connection,
    enquiry: Callable[..., Enquiry],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine, other = enquiry("no_match"), enquiry("several", name="Hidden")
    choose(browser, LIST, "zoho_preview", mine, other)

    def visible(self: Any, request: HttpRequest) -> QuerySet[Enquiry]:
        return Enquiry.objects.exclude(name="Hidden")

    monkeypatch.setattr(EnquiryAdmin, "get_queryset", visible)
    page = browser.get(browser.url)
    assert "1 lead is read from Zoho" in page.text
    browser.press("Preview 1 lead")

    assert [row.lead_id for row in LeadConversion.objects.all()] == [mine.zoho_lead_id]
    page = choose(browser, LIST, "zoho_preview", other)
    assert "Nothing is chosen" in page.text


# Preview


@pytest.mark.slow
def test_one_lead_is_previewed_and_its_decision_opened(
    browser: Browser, connection: Connection, enquiry: Callable[..., Enquiry], zoho: Simulator
) -> None:
    row = enquiry("several")
    page = choose(browser, LIST, "zoho_preview", row)
    check_mark_up(page)

    page = browser.press("Preview 1 lead")

    conversion = row_of(row)
    assert browser.url == f"/admin/zoho_crm/leadconversion/{conversion.pk}/decide/"
    assert (conversion.status, conversion.verdict) == ("PREVIEWED", "SEVERAL_MATCHES")
    assert not zoho.conversions_of(conversion.lead_id)


@pytest.mark.slow
def test_several_leads_are_previewed_by_the_worker(
    browser: Browser, connection: Connection, enquiry: Callable[..., Enquiry]
) -> None:
    new, known, without = enquiry("no_match"), enquiry("one_match"), enquiry(name="Bo")
    double = enquiry(zoho_lead_id=new.zoho_lead_id)
    converted = enquiry("converted")
    for row in (known, converted):
        preview.preview(connection_id=connection.pk, lead_id=row.zoho_lead_id)
    messages.take_all()
    page = choose(browser, LIST, "zoho_preview", new, known, without, double, converted)
    assert "2 leads are read from Zoho by the worker" in page.text
    assert "1 has no id of a lead at Zoho: choose it alone" in page.text
    assert "1 names the same lead as another." in page.text
    assert "1 lead is converted already." in page.text

    page = browser.press("Preview 2 leads")

    assert "2 leads are previewed anew" in page.text
    assert messages.take_all()
    work.work(connection_id=connection.pk)
    assert [row_of(row).status for row in (new, known)] == ["PREVIEWED", "PREVIEWED"]
    assert row_of(known).events.filter(by="boss").exists()


# Found by e-mail


@pytest.mark.slow
def test_leads_with_the_address_are_offered_and_none_is_chosen(
    browser: Browser, connection: Connection, enquiry: Callable[..., Enquiry], zoho: Simulator
) -> None:
    leads = [
        zoho.add_lead(Last_Name=name, Email="ada@engine.example", Company="Engine")
        for name in ("Lovelace", "Byron")
    ]
    row = enquiry(email="ada@engine.example")
    page = choose(browser, LIST, "zoho_preview", row)
    check_mark_up(page)
    assert "Lovelace" in page.text
    assert "Byron" in page.text
    form = page.forms[-1]
    assert not any(name == "lead" for name, _value in form.values)
    browser.post(browser.url, [("count", "1")])
    assert not LeadConversion.objects.exists()

    browser.post(browser.url, [("count", "1"), ("lead", leads[1].id)])

    assert [row.lead_id for row in LeadConversion.objects.all()] == [leads[1].id]
    row.refresh_from_db()
    assert row.zoho_lead_id == leads[1].id


@pytest.mark.slow
def test_even_a_single_hit_is_only_offered(
    browser: Browser, connection: Connection, enquiry: Callable[..., Enquiry], zoho: Simulator
) -> None:
    zoho.add_lead(Last_Name="Lovelace", Email="ada@engine.example", Company="Engine")

    choose(browser, LIST, "zoho_convert", enquiry(email="ada@engine.example"))
    browser.post(browser.url, [("count", "1")])

    assert not LeadConversion.objects.exists()


@pytest.mark.slow
def test_the_chosen_lead_is_not_stored_for_who_may_only_look(
    browser_as: Callable[..., Browser],
    connection: Connection,
    enquiry: Callable[..., Enquiry],
    zoho: Simulator,
) -> None:
    lead = zoho.add_lead(Last_Name="Lovelace", Email="ada@engine.example", Company="Engine")
    row = enquiry(email="ada@engine.example")
    browser = browser_as("view_enquiry", "preview_leadconversion")
    choose(browser, LIST, "zoho_preview", row)

    browser.post(browser.url, [("count", "1"), ("lead", lead.id)])

    row.refresh_from_db()
    assert (LeadConversion.objects.count(), row.zoho_lead_id) == (1, "")


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"email": "nobody@example.com"}, "Zoho finds no open lead with this address"),
        ({}, "It has neither the id of a lead at Zoho nor an e-mail address."),
    ],
)
def test_that_there_is_no_lead_is_said(
    columns: dict[str, str],
    sentence: str,
    browser: Browser,
    connection: Connection,
    enquiry: Callable[..., Enquiry],
) -> None:
    page = choose(browser, LIST, "zoho_preview", enquiry(**columns))

    assert sentence in page.text


def test_without_a_connection_that_is_said(
    browser: Browser, enquiry: Callable[..., Enquiry]
) -> None:
    row = Enquiry.objects.create(name="Ada", zoho_lead_id="4711")

    page = choose(browser, LIST, "zoho_preview", row)

    assert "There is no connection to Zoho to use: connect first." in page.text
    assert browser.get(LIST).has_button("Go") or browser.page.has_button("Run")


# Convert


@pytest.mark.slow
def test_one_lead_opens_its_decision(
    browser: Browser, connection: Connection, enquiry: Callable[..., Enquiry], zoho: Simulator
) -> None:
    row = enquiry("one_match")
    choose(browser, LIST, "zoho_convert", row)

    page = browser.press("Look at 1 lead")

    assert browser.url == f"/admin/zoho_crm/leadconversion/{row_of(row).pk}/decide/"
    assert page.has_button("Show what will happen")
    assert not zoho.conversions_of(row.zoho_lead_id)


@pytest.mark.slow
def test_all_that_match_become_a_run_without_a_field_for_each(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    Enquiry.objects.bulk_create(
        Enquiry(name="Fair", zoho_lead_id=str(4_000_000 + number)) for number in range(700)
    )
    Enquiry.objects.create(name="Other", zoho_lead_id="5")
    page = choose_all(browser, f"{LIST}?q=Fair", "zoho_convert")
    assert len(page.form_with("Prepare a run of 700 leads").values) < 20

    browser.press("Prepare a run of 700 leads", policy="attach")

    run = MassConversion.objects.get()
    assert browser.url == f"/admin/zoho_crm/massconversion/{run.pk}/decide/"
    assert (run.rows.count(), run.rules.name) == (700, "attach")


@pytest.mark.slow
def test_a_run_of_the_hosts_rows_is_reviewed_like_any_other(
    browser: Browser, connection: Connection, enquiry: Callable[..., Enquiry]
) -> None:
    choose(browser, LIST, "zoho_convert", enquiry("no_match"), enquiry("several"))

    browser.press("Prepare a run of 2 leads", policy="careful")

    assert work_until_waiting(MassConversion.objects.get()).stage == "REVIEW"


@pytest.mark.slow
def test_who_may_not_prepare_runs_converts_one_at_a_time(
    browser_as: Callable[..., Browser], connection: Connection, enquiry: Callable[..., Enquiry]
) -> None:
    rows = [enquiry("no_match"), enquiry("several")]
    browser = browser_as(*HOST, "approve_leadconversion")

    page = choose(browser, LIST, "zoho_convert", *rows)
    assert "Several leads are converted together, as a run" in page.text
    browser.post(browser.url, [("count", "2"), ("policy", "careful")])
    assert not MassConversion.objects.exists()

    choose(browser, LIST, "zoho_convert", rows[0])
    page = browser.press("Look at 1 lead")
    assert page.has_button("Show what will happen")


# Push


def test_rows_are_put_into_the_outbox(
    browser: Browser, connection: Connection, enquiry: Callable[..., Enquiry]
) -> None:
    new = enquiry(name="Lovelace", company="Engine", email="ada@engine.example")
    known = enquiry("no_match", name="Byron")
    odd = enquiry(name="Bo")
    page = choose(browser, LIST, "zoho_push", new, known, odd)
    check_mark_up(page)
    assert "The values of 3 are sent to Zoho by the worker." in page.text
    messages.take_all()

    page = browser.press("Push 3 to Zoho")

    assert "3 are in the outbox; the worker sends them." in page.text
    assert messages.take_all()
    rows = {row.key: row for row in OutboxRecord.objects.all()}
    first, second = rows[f"testproject.enquiry:{new.pk}"], rows[f"testproject.enquiry:{known.pk}"]
    assert (first.action, first.module, first.values["Company"]) == ("upsert", "Leads", "Engine")
    assert (second.action, second.values["id"]) == ("update", known.zoho_lead_id)


def test_what_cannot_be_sent_is_said(
    browser: Browser,
    connection: Connection,
    enquiry: Callable[..., Enquiry],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good, bad = enquiry(name="Ada"), enquiry(name="Bo")
    choose(browser, LIST, "zoho_push", good, bad)
    values = {"Ada": {"Last_Name": "Ada"}, "Bo": {"Last_Name": "\0"}}
    monkeypatch.setattr(EnquiryAdmin, "zoho_values", lambda self, row: values[row.name])

    page = browser.press("Push 2 to Zoho")

    assert "1 is in the outbox; the worker sends it." in page.text
    assert "Bo: " in page.text
    assert OutboxRecord.objects.count() == 1


def test_a_host_that_says_no_values_has_no_push(
    browser: Browser, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    Enquiry.objects.create(name="Ada")
    monkeypatch.delattr(EnquiryAdmin, "zoho_values")

    assert "zoho_push" not in action_names(browser.get(LIST))


# The column and the panel


def test_the_statuses_of_a_page_are_read_with_one_query(
    browser: Browser, connection: Connection, enquiry: Callable[..., Enquiry]
) -> None:
    row = enquiry("several")
    preview.preview(connection_id=connection.pk, lead_id=row.zoho_lead_id)
    page = browser.get(LIST)
    assert "previewed" in page.text
    with CaptureQueriesContext(database) as for_one:
        browser.get(LIST)
    for _number in range(8):
        other = enquiry("no_match")
        preview.preview(connection_id=connection.pk, lead_id=other.zoho_lead_id)

    with CaptureQueriesContext(database) as for_nine:
        page = browser.get(LIST)

    assert page.text.count("previewed") == 9
    assert len(reads(for_nine)) == len(reads(for_one))
    assert sum("zoho_crm_leadconversion" in sql for sql in reads(for_nine)) == 1


def test_the_page_of_a_row_shows_what_happened(
    browser: Browser, connection: Connection, enquiry: Callable[..., Enquiry]
) -> None:
    row, untouched, without = enquiry("locked"), enquiry("no_match"), enquiry()
    preview.preview(connection_id=connection.pk, lead_id=row.zoho_lead_id)

    page = browser.get(url_of(row))

    assert "The lead is locked at Zoho. Unlock it there, then look again." in page.text
    conversion = row_of(row)
    assert page.links["Full history"] == (f"/admin/zoho_crm/leadconversion/{conversion.pk}/change/")
    lead = conversion.stored_lead()
    assert lead
    assert lead.email in page.html
    assert (
        f"Nothing happened yet with the lead {untouched.zoho_lead_id}."
        in browser.get(url_of(untouched)).text
    )
    assert "It has no id of a lead at Zoho." in browser.get(url_of(without)).text
    browser.get(f"{LIST}add/")
    assert browser.status == 200


@pytest.mark.slow
def test_what_was_read_is_for_those_who_may_see_payloads(
    browser_as: Callable[..., Browser], connection: Connection, enquiry: Callable[..., Enquiry]
) -> None:
    row = enquiry("several")
    preview.preview(connection_id=connection.pk, lead_id=row.zoho_lead_id)
    lead = row_of(row).stored_lead()
    assert lead

    stranger = browser_as(*HOST)
    assert "previewed" not in stranger.get(LIST).text
    assert "A person has to choose." not in stranger.get(url_of(row)).text

    viewer = browser_as(*HOST, "view_leadconversion")
    assert "previewed" in viewer.get(LIST).text
    page = viewer.get(url_of(row))
    assert "A person has to choose." in page.text
    assert lead.email not in page.html

    trusted = browser_as(*HOST, "view_leadconversion", "view_payload_leadconversion")
    assert lead.email in trusted.get(url_of(row)).html


def test_the_hosts_own_form_still_works(
    browser: Browser, connection: Connection, enquiry: Callable[..., Enquiry]
) -> None:
    row = enquiry("no_match")
    browser.get(url_of(row))

    browser.press("Save", name="Grace")

    row.refresh_from_db()
    assert row.name == "Grace"


def test_a_host_that_declares_its_fields_keeps_them(boss: User) -> None:
    class Declared(EnquiryAdmin):
        fields = ("name",)

    class Grouped(EnquiryAdmin):
        fieldsets = (("Who", {"fields": ("name", "email")}),)

    request: Any = HttpRequest()
    request.user = boss

    for kind, expected in ((Declared, [["name"]]), (Grouped, [["name", "email"]])):
        pages = kind(Enquiry, admin.site)
        sets = pages.get_fieldsets(request, Enquiry(name="Ada"))
        assert [options["fields"] for _title, options in sets[:-1]] == expected
        assert sets[-1][1]["fields"] == ("zoho_panel",)
