"""The app alone in a database: users, sessions and permissions are in another one."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connections, transaction
from django.test import Client
from django.urls import reverse

from testproject.models import Enquiry
from tests.admin.actions import choose_all
from tests.admin.conftest import sign_in
from tests.admin.pages import Browser
from tests.admin.test_runs_prepare import PREPARE_BUTTON
from tests.management.conftest import Run
from tests.management.conftest import durable_broker as durable_broker
from tests.management.conftest import run as run
from tests.mass.bench import CREATE, Bench
from tests.routers import OWN
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services import convert, mass_convert, preview, settle, work
from zoho_crm.shortcuts import push_record
from zoho_crm.simulator import Simulator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("migrated_alone"),
    pytest.mark.django_db(transaction=True, databases=["default", OWN]),
]

Status = LeadConversion.Status
LISTS = (
    "apiusage connection connectionevent leadconversion massconversion policy token".split()  # noqa: SIM905
)


def address(model: str, name: str, *args: object) -> str:
    return reverse(f"admin:zoho_crm_{model}_{name}", args=args)


@pytest.fixture
def browser(bench: Bench) -> Browser:
    return sign_in(bench.person)


@pytest.fixture
def row(bench: Bench) -> LeadConversion:
    """Preview a lead."""
    lead_id = bench.zoho.story("several")
    return preview.preview(connection_id=bench.connection.pk, lead_id=lead_id, by=bench.person)


def test_no_table_of_others_is_in_it(alone: None) -> None:
    found = connections[OWN].introspection.table_names()

    assert {name for name in found if not name.startswith("zoho_crm_")} == {"django_migrations"}


def test_a_lead_is_previewed_decided_approved_and_converted(
    bench: Bench, row: LeadConversion
) -> None:
    seen = {"conversion_id": row.pk, "plan": CREATE, "by": bench.person}

    decided = convert.decide(version=row.version, **seen)
    approved = convert.approve(version=decided.version, **seen)
    bench.until(lambda: bench.row(row.lead_id).status == Status.CONVERTED)

    assert decided.decided_by_id == approved.approved_by_id == bench.person.pk
    assert settle.settle(conversion_id=row.pk).status == Status.CONVERTED
    bench.check_against_simulator()


def test_a_run_is_converted_and_exported(bench: Bench) -> None:
    run = bench.finished([*bench.leads(3, Company="Same"), "rubbish"])

    assert bench.status_counts() == {Status.CONVERTED: 3}
    assert len(list(mass_convert.export(run_id=run.pk))) == 5
    bench.check_against_simulator()


def test_a_pushed_record_is_sent_and_stays_after_a_rollback_of_the_other_database(
    bench: Bench,
) -> None:
    with transaction.atomic(using="default"):
        row = push_record("create", "Contacts", {"Last_Name": "Frost"}, wake=False)
        transaction.set_rollback(True, using="default")
    with transaction.atomic(using=OWN):
        push_record("create", "Contacts", {"Last_Name": "Nobody"}, wake=False)
        transaction.set_rollback(True, using=OWN)

    work.work(connection_id=bench.connection.pk)

    row.refresh_from_db()
    (contact,) = bench.zoho.organisation.records["Contacts"].values()
    assert (row.status, row.record_id) == ("SENT", contact.id)
    assert contact["Last_Name"] == "Frost"


def test_an_administrator_connects_in_the_browser(alone: None, zoho: Simulator) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("pat"))

    back = zoho.consent(client.post(reverse("zoho_crm:connect"))["Location"])
    client.get(f"{urlsplit(back).path}?{urlsplit(back).query}")

    assert Connection.objects.get().events.get().by_id == User.objects.get().pk


def test_every_page_of_the_admin_opens(bench: Bench, browser: Browser, row: LeadConversion) -> None:
    convert.decide(conversion_id=row.pk, version=row.version, plan=CREATE, by=bench.person)
    run = bench.finished(bench.leads(1))
    browser.get(address("connection", "change", bench.connection.pk))
    browser.press("Test")

    for model in LISTS:
        browser.get(address(model, "changelist"))
    decide = browser.get(address("leadconversion", "decide", row.pk))
    connection = browser.get(address("connection", "change", bench.connection.pk))
    pages = [
        browser.get(address("leadconversion", "change", row.pk)),
        browser.get(address("massconversion", "change", run.pk)),
    ]

    assert decide.has_button("Show what will happen")
    assert "pat" in connection.text
    assert all("pat" in page.text for page in pages)


def test_a_lead_is_looked_up_and_a_run_prepared_in_the_browser(
    bench: Bench, browser: Browser
) -> None:
    browser.get(address("leadconversion", "preview"))
    browser.press("Preview", lead=bench.zoho.story("one_match"))
    browser.get(address("massconversion", "prepare"))
    browser.press(PREPARE_BUTTON, policy="careful", ids=bench.zoho.story("no_match"))

    assert LeadConversion.objects.count() == 2
    assert MassConversion.objects.get().created_by_id == bench.person.pk


def test_the_commands_work(run: Run, bench: Bench, durable_broker: None) -> None:
    lead_id = bench.zoho.story("no_match")

    for words in (
        ("zoho_preview", lead_id),
        ("zoho_convert", lead_id, "--execute"),
        ("zoho_status", "--test"),
        ("zoho_work", "--until-idle"),
        ("zoho_mass_convert", "list"),
        ("zoho_leads",),
        ("zoho_usage",),
        ("zoho_groups",),
        ("zoho_rotate_keys",),
        ("zoho_purge", "--execute"),
        ("zoho_doctor",),
    ):
        ran = run(*words)
        assert (ran.code, words) == (0, words), ran.out + ran.err

    group = Group.objects.get(name="Zoho managers")
    assert Permission.objects.filter(group=group, codename="run_massconversion").exists()


def test_a_user_who_decided_can_be_deleted(
    bench: Bench, browser: Browser, row: LeadConversion
) -> None:
    olga = User.objects.create_user("olga")
    convert.decide(conversion_id=row.pk, version=row.version, plan=CREATE, by=olga)
    browser.get(reverse("admin:auth_user_delete", args=[olga.pk]))

    browser.press("Yes, I’m sure")

    assert not User.objects.filter(username="olga").exists()
    assert bench.row(row.lead_id).decided_by_id is None


def test_a_hosts_list_shows_statuses_of_our_database(
    browser: Browser, bench: Bench, row: LeadConversion
) -> None:
    Enquiry.objects.create(name="Ada", zoho_lead_id=row.lead_id)

    page = browser.get("/admin/testproject/enquiry/")
    assert "previewed" in page.text
    page = browser.get(page.links["Ada"])
    assert "A person has to choose." in page.text
    choose_all(browser, "/admin/testproject/enquiry/", "zoho_convert")
    browser.press("Look at 1 lead")

    assert browser.url == address("leadconversion", "decide", row.pk)


def test_actions_of_lists_work(browser: Browser, bench: Bench, row: LeadConversion) -> None:
    LeadConversion.objects.create(connection=bench.connection, lead_id="4711", status="PREVIEWED")
    choose_all(browser, address("leadconversion", "changelist"), "leave_out")

    browser.press("Leave 2 leads out")

    assert {each.status for each in LeadConversion.objects.all()} == {"SKIPPED"}
