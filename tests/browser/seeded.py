"""A site with something on every screen: leads and runs of each kind, users, policies, errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client, override_settings
from django.utils import timezone

from tests.admin.actions import choose_all
from tests.admin.pages import Browser as TestBrowser
from tests.admin.runs import reload, start_run
from tests.browser.worker import work_once, work_until_at_rest, work_until_stage
from tests.services.test_users import add_user
from zoho_crm.contrib.pytest import new_simulator, settings_for
from zoho_crm.matching import POLICIES, DealTemplate, Policy
from zoho_crm.models import (
    ApiUsage,
    Connection,
    ConnectionEvent,
    LeadConversion,
    MassConversion,
    OutboxRecord,
    Token,
)
from zoho_crm.models import Policy as SavedPolicy
from zoho_crm.services import convert, mass_convert, outbox
from zoho_crm.services.connect import with_grant_code
from zoho_crm.services.preview import preview
from zoho_crm.simulator import Server, Simulator
from zoho_crm.types import ConversionPlan, as_json

Stage = MassConversion.Stage
#: What Zoho says when a lead lacks something.
REFUSAL = {
    "code": "MANDATORY_NOT_FOUND",
    "details": {"api_name": "Last_Name", "json_path": "$.data[0].Contacts.Last_Name"},
    "message": "required field not found",
    "status": "error",
}
REFUSED: dict[str, Any] = {"status": 400, "body": {"data": [REFUSAL]}}
STAGE = {"api_name": "Stage", "json_path": "$.data[0].Deals.Stage"}
NO_STAGE: dict[str, Any] = {"status": 400, "body": {"data": [{**REFUSAL, "details": STAGE}]}}


@dataclass
class Site:
    """What a screen needs to know of the site."""

    zoho: Simulator
    boss: User
    connection: Connection
    #: One that needs to be connected again.
    other: Connection
    token: Token
    policy: SavedPolicy
    event: ConnectionEvent
    usage: ApiUsage = field(init=False)
    #: By their name here: the case of the simulator, or what became of it.
    leads: dict[str, LeadConversion] = field(default_factory=dict)
    runs: dict[str, MassConversion] = field(default_factory=dict)
    pushes: dict[str, OutboxRecord] = field(default_factory=dict)


@contextmanager
def seeded_site() -> Iterator[Site]:
    """Fill the tables; empty them at the end."""
    simulator = new_simulator()
    cache.clear()
    with Server(simulator), override_settings(ZOHO_CRM=settings_for(simulator)):
        try:
            site = _connected(simulator)
            _add_leads(site)
            _add_runs(site)
            _add_pushes(site)
            site.runs["under way"] = _under_way(site)
            for case in ("no_match", "several"):
                simulator.story(case)  # nobody has looked at these leads
            site.usage = ApiUsage.objects.earliest("pk")
            yield site
        finally:
            simulator.heal()
            call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)


def _connected(zoho: Simulator) -> Site:
    boss = User.objects.create_superuser("boss", password="secret")
    connection = with_grant_code(code=zoho.grant_code(), data_center="local", by=boss)
    token = add_user(zoho)
    other = Connection.objects.create(
        name="Südwind Handel",
        org_id="600",
        org_name="Südwind Handel GmbH",
        data_center="eu",
        environment="production",
        status=Connection.Status.NEEDS_RECONNECT,
    )
    rules = as_json(POLICIES["attach"])
    policy = SavedPolicy.objects.create(name="trade fairs", rules=rules)
    return Site(
        zoho=zoho,
        boss=boss,
        connection=connection,
        other=other,
        token=token,
        policy=policy,
        event=connection.events.earliest("pk"),
    )


def _preview(site: Site, case: str, **lead: Any) -> LeadConversion:
    zoho = site.zoho
    lead_id = zoho.add_lead(**lead).id if lead else zoho.story(case)
    return preview(connection_id=site.connection.pk, lead_id=lead_id, by=site.boss)


def _add_leads(site: Site) -> None:
    cases = ("no_match", "one_match", "account_only", "several", "disagree", "unapproved")
    for case in (*cases, "locked", "converted", "deleted", "hostile"):
        site.leads[case] = _preview(site, case)
    site.leads["done"] = _approve(site, _preview(site, "no_match"))
    work_until_at_rest()
    site.zoho.fail("convert", "error_before", **REFUSED)
    site.leads["refused"] = _approve(site, _preview(site, "no_match"))
    work_until_at_rest()
    site.zoho.fail("convert", "close_before")
    site.leads["in doubt"] = _approve(site, _preview(site, "no_match"))
    work_once()
    puzzling = _preview(site, "no_match")
    LeadConversion.objects.filter(pk=puzzling.pk).update(status="NEEDS_REVIEW", due_at=None)
    site.leads["needs a person"] = puzzling


def _approve(site: Site, row: LeadConversion) -> LeadConversion:
    plan = ConversionPlan()
    return convert.approve(conversion_id=row.pk, version=row.version, plan=plan, by=site.boss)


def _add_runs(site: Site) -> None:
    matched = ("no_match", "one_match", "several", "no_match", "locked", "no_match")
    run = site.runs["to be decided"] = _in_review(site, "To be decided", *matched)
    last = LeadConversion.objects.filter(mass_conversion=run).order_by("-pk").values("pk")[:1]
    LeadConversion.objects.filter(pk=last.get()["pk"]).update(
        status="NEEDS_REVIEW", verdict="", plan=None, error_code="INTERNAL"
    )
    cases = ("one_match", *["no_match"] * 3)
    site.runs["to be started"] = _in_review(
        site, "To be started", *cases, policy=POLICIES["attach"]
    )
    site.runs["finished"] = _finished(site)
    site.runs["paused"] = _paused(site)
    cancelled = _in_review(site, "Cancelled", "no_match", "one_match")
    mass_convert.cancel(run_id=cancelled.pk)
    work_once()
    site.runs["cancelled"] = cancelled


def _in_review(
    site: Site, name: str, *cases: str, policy: Policy = POLICIES["careful"]
) -> MassConversion:
    lead_ids = [site.zoho.story(case) for case in cases]
    run = mass_convert.prepare(
        connection_id=site.connection.pk,
        lead_ids=[*lead_ids, lead_ids[0], "no id"],
        policy=policy,
        name=name,
        by=site.boss,
    )
    return work_until_stage(run, Stage.REVIEW)


def _finished(site: Site) -> MassConversion:
    deal = DealTemplate(name="Fair", stage="Qualification", pipeline="Standard (Standard)")
    policy = replace(POLICIES["careful"], deal=deal)
    cases = [*["no_match"] * 48, *["one_match"] * 3]
    run = _in_review(site, "Trade fair", *cases, policy=policy)
    lead, other, third, *_rest = LeadConversion.objects.filter(
        mass_conversion=run, verdict="NO_MATCH"
    ).order_by("pk")
    for row in (lead, other):
        site.zoho.fail("convert", "error_before", lead_id=row.lead_id, **REFUSED)
    site.zoho.fail("convert", "error_before", lead_id=third.lead_id, **NO_STAGE)
    start_run(run, by=site.boss)
    return work_until_stage(run, Stage.FINISHED)


def _paused(site: Site) -> MassConversion:
    run = _in_review(site, "Spring campaign", *["no_match"] * 6)
    start_run(run, by=site.boss)
    mass_convert.pause(run_id=run.pk, by=site.boss)
    return reload(run)


def _under_way(site: Site) -> MassConversion:
    """Return a run of which some leads are converted; no worker goes on with it."""
    run = start_run(_in_review(site, "Newsletter", *["no_match"] * 5), by=site.boss)
    rows = LeadConversion.objects.filter(mass_conversion=run)
    some = list(rows.order_by("pk").values_list("pk", flat=True)[:2])
    done = {"status": "CONVERTED", "converted_by": "us", "attempts": 1}
    LeadConversion.objects.filter(pk__in=some).update(**done, finished_at=timezone.now())
    earlier = timezone.now() - timedelta(seconds=40)
    MassConversion.objects.filter(pk=run.pk).update(counted_from=earlier)
    return reload(run)


def _add_pushes(site: Site) -> None:
    known = {"Last_Name": "Frost", "Email": "frost@nordwind.example"}
    site.zoho.organisation.add("Contacts", known)
    pushes = {
        "sent": ("create", "Contacts", {"Last_Name": "Byron", "Phone": "100"}),
        "refused": ("create", "Leads", {"Last_Name": "Byron", "Nonsense": "none"}),
        "known": ("upsert", "Leads", {**known, "Company": "Nordwind GmbH"}),
    }
    for name, (action, module, values) in pushes.items():
        key = f"enquiry:{name}"
        site.pushes[name] = outbox.push(site.connection.pk, action, module, values, key=key)
    work_once()


def action_page(site: Site, list_url: str, action: str) -> str:
    """Choose all rows of a list for an action; return the URL of the page that opens."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(site.boss)
    choosing = TestBrowser(client)
    choose_all(choosing, list_url, action)
    return choosing.url
