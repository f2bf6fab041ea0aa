"""A person prepares a run of many leads, decides, starts it, watches it and takes the results."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.browser.pages import button_to, link_to, step_button, submit, success, tab_to
from tests.browser.worker import work_once, work_until, work_until_at_rest, work_until_stage
from zoho_crm.models import Connection, LeadConversion, MassConversion, Token
from zoho_crm.services.lead_browser import LEADS_PER_PAGE
from zoho_crm.simulator import Simulator

BROWSER = reverse("admin:zoho_crm_zoholead_changelist")
PREPARE = reverse("admin:zoho_crm_massconversion_prepare")
Stage = MassConversion.Stage
LEADS = 300
FEW_LEADS = 30


def prepare(page: Page, lead_ids: list[str]) -> MassConversion:
    """Paste ids of leads into the form, and let the worker preview them."""
    page.goto(PREPARE)
    page.locator("[name=ids]").fill("\n".join(lead_ids))
    step_button(page, "prepare").click()
    expect(success(page)).to_be_visible()
    return work_until_stage(run_now(), Stage.REVIEW)


def start(page: Page, count: int) -> None:
    """Type the number of leads and start the run whose page to decide or to look is open."""
    link_to(page, "start").click()
    page.locator("[name=count]").fill(str(count))
    submit(page)
    expect(success(page)).to_be_visible()


def run_now() -> MassConversion:
    return MassConversion.objects.get()


def open_run(page: Page, run: MassConversion) -> None:
    page.goto(reverse("admin:zoho_crm_massconversion_change", args=[run.pk]))


def exported(page: Page, run: MassConversion, folder: Path) -> list[dict[str, str]]:
    """Take the results of a run from its page."""
    open_run(page, run)
    with page.expect_download() as download:
        link_to(page, "export").click()
    download.value.save_as(folder / "results.csv")
    with (folder / "results.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def converted() -> int:
    return LeadConversion.objects.filter(status="CONVERTED").count()


def check_each_converted_once(zoho: Simulator, lead_ids: list[str]) -> None:
    done = [each["lead_id"] for each in zoho.ledger()["conversions"]]
    assert sorted(done) == sorted(lead_ids)


def run_under_way(page: Page, zoho: Simulator, settings: Any) -> list[str]:
    """Start a run and let the worker convert its first leads; return the ids of all its leads."""
    lead_ids = [zoho.story("no_match") for _ in range(FEW_LEADS)]
    open_run(page, prepare(page, lead_ids))
    start(page, FEW_LEADS)
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "SLICE": 0.2}
    zoho.tune(latency=0.1)
    while not converted():
        work_once()
    zoho.tune(latency=0)
    assert converted() < FEW_LEADS
    return lead_ids


def test_a_run_of_300_leads_from_their_ids_to_the_results(
    page: Page, connection: Connection, zoho: Simulator, tmp_path: Path
) -> None:
    cases = ["one_match", *["no_match"] * 29]
    lead_ids = [zoho.story(cases[number % len(cases)]) for number in range(LEADS)]
    run = prepare(page, lead_ids)
    open_run(page, run)
    link_to(page, "decide").click()
    page.locator(".zoho-tabs a[href='?verdict=ONE_MATCH']").click()
    page.locator("[name=action]").select_option("attach")
    page.locator("[name=scope]").select_option("matching")
    page.locator(".zoho-decide-bar button:not([name])").click()
    submit(page)
    expect(success(page)).to_be_visible()
    work_until_stage(run, Stage.REVIEW)
    start(page, LEADS)

    work_until_at_rest()

    assert run_now().stage == Stage.FINISHED
    results = exported(page, run, tmp_path)
    assert sorted(row["lead_id"] for row in results) == sorted(lead_ids)
    assert {row["status"] for row in results} == {"CONVERTED"}
    check_each_converted_once(zoho, lead_ids)


def test_a_run_is_reviewed_by_keyboard_alone(
    page: Page, connection: Connection, zoho: Simulator
) -> None:
    run = prepare(page, [zoho.story(case) for case in ("several", "no_match", "no_match")])
    several, first, second = LeadConversion.objects.order_by("pk")
    page.goto(reverse("admin:zoho_crm_massconversion_decide", args=[run.pk]))

    page.keyboard.press("j")
    page.keyboard.press("2")
    expect(page.locator(f"[data-lead='{several.pk}'] button[name=one]").first).to_be_visible()
    page.keyboard.press("2")
    expect(success(page)).to_be_visible()
    summary = page.locator(f"#lead-{several.pk}")
    expect(summary).to_be_focused()
    several.refresh_from_db()
    assert several.plan["contact_id"] == several.stored_options().contacts[1].id

    for key in "jxjx":
        page.keyboard.press(key)
    assert page.locator("input[name=row]:checked").count() == 2
    page.keyboard.press("o")
    expect(page.locator(f"[data-lead='{second.pk}'] button[name=one]").first).to_be_visible()
    page.keyboard.press("?")
    expect(page.locator("#zoho-keys-on")).to_be_visible()
    tab_to(page, page.locator("[name=action]"))
    page.keyboard.press("l")
    tab_to(page, page.locator(".zoho-decide-bar button:not([name])"))
    page.keyboard.press("Enter")
    expect(success(page)).to_be_visible()
    statuses = dict(LeadConversion.objects.values_list("pk", "status"))
    assert [statuses[row.pk] for row in (first, second)] == ["SKIPPED", "SKIPPED"]


def test_a_run_of_300_leads_from_the_lead_browser_to_the_results(
    page: Page, connection: Connection, zoho: Simulator, tmp_path: Path
) -> None:
    zoho.tune(search_lag=0)
    fair = {"Lead_Source": "Trade Show"}
    lead_ids = [zoho.add_lead(**fair).id for _number in range(LEADS)]
    zoho.add_lead(Lead_Source="Partner")
    page.goto(reverse("admin:zoho_crm_connection_change", args=[connection.pk]))
    page.locator(f"#content a[href^='{BROWSER}']").click()
    page.locator("[name=source]").select_option("Trade Show")
    page.locator(".zoho-filter [type=submit]").click()
    expect(page.locator(".zoho-leads tbody tr")).to_have_count(LEADS_PER_PAGE)
    page.locator("[name=action][value=prepare_matching]").click()
    expect(page.locator("#content")).to_contain_text(f"{LEADS} open leads")
    page.locator("[name=name]").fill("Trade fair")
    submit(page)
    expect(success(page)).to_be_visible()

    run = work_until_stage(run_now(), Stage.REVIEW)
    assert run.name == "Trade fair"
    open_run(page, run)
    start(page, LEADS)
    work_until_at_rest()

    assert run_now().stage == Stage.FINISHED
    results = exported(page, run, tmp_path)
    assert sorted(row["lead_id"] for row in results) == sorted(lead_ids)
    assert {row["status"] for row in results} == {"CONVERTED"}
    check_each_converted_once(zoho, lead_ids)


def test_ticked_leads_become_a_run_by_keyboard_alone(
    page: Page, connection: Connection, zoho: Simulator
) -> None:
    leads = [zoho.add_lead(Last_Name=f"Byron {number}") for number in range(3)]
    page.goto(BROWSER)
    for lead in leads[:2]:
        tab_to(page, page.locator(f"input[type=checkbox][value='{lead.id}']"))
        page.keyboard.press("Space")
    tab_to(page, page.locator("[name=action][value=prepare]"))
    page.keyboard.press("Enter")
    tab_to(page, page.locator("#content .submit-row [type=submit]"))
    page.keyboard.press("Enter")
    expect(success(page)).to_be_visible()

    taken = set(run_now().rows.values_list("lead_id", flat=True))
    assert taken == {lead.id for lead in leads[:2]}


def test_a_run_is_paused_and_resumed_while_it_runs(
    page: Page, connection: Connection, zoho: Simulator, settings: Any
) -> None:
    lead_ids = run_under_way(page, zoho, settings)
    open_run(page, run_now())
    expect(page).to_have_title(re.compile(r"^\d+ % – "))

    button_to(page, "pause").click()
    expect(button_to(page, "resume")).to_be_visible()
    work_until(lambda: not LeadConversion.objects.filter(status="RUNNING").exists())
    before = converted()
    work_once()
    assert converted() == before < FEW_LEADS

    button_to(page, "resume").click()
    expect(button_to(page, "pause")).to_be_visible()
    work_until_at_rest()
    assert run_now().stage == Stage.FINISHED
    check_each_converted_once(zoho, lead_ids)


def test_the_leads_of_one_cause_are_tried_again(
    page: Page, connection: Connection, zoho: Simulator
) -> None:
    lead_ids = [zoho.story("no_match") for _ in range(3)]
    run = prepare(page, lead_ids)
    for lead_id, code in zip(lead_ids, ("INVALID_DATA", "MANDATORY_NOT_FOUND"), strict=False):
        problem = {"code": code, "details": {}, "message": "refused", "status": "error"}
        zoho.fail("convert", "error_before", lead_id=lead_id, status=400, body={"data": [problem]})
    open_run(page, run)
    start(page, 3)
    work_until_stage(run, Stage.FINISHED)
    open_run(page, run)

    page.locator("button[name=cause][value*=INVALID_DATA][formaction$='/retry/']").click()
    expect(success(page)).to_be_visible()
    work_until_stage(run, Stage.REVIEW)
    open_run(page, run)
    start(page, 1)
    work_until_stage(run, Stage.FINISHED)

    statuses = dict(LeadConversion.objects.values_list("lead_id", "status"))
    assert [statuses[lead_id] for lead_id in lead_ids] == ["CONVERTED", "FAILED", "CONVERTED"]
    open_run(page, run)
    expect(page.locator("button[name=cause][formaction$='/retry/']")).to_have_count(1)


def test_a_run_goes_on_when_a_person_connects_again_after_the_token_was_revoked(
    page: Page, connection: Connection, zoho: Simulator, settings: Any
) -> None:
    lead_ids = run_under_way(page, zoho, settings)
    zoho.world.grants.revoke(Token.objects.get().reveal("refresh_token").reveal())
    work_until(lambda: Connection.objects.get().status == Connection.Status.NEEDS_RECONNECT)
    before = converted()
    work_once()
    assert converted() == before < FEW_LEADS

    page.goto(reverse("admin:zoho_crm_connection_change", args=[connection.pk]))
    again = page.locator("form", has=page.locator("[name=connection]")).locator("button")
    again.click()
    page.get_by_role("button", name="Accept").click()
    expect(success(page)).to_be_visible()

    work_until_at_rest()
    assert run_now().stage == Stage.FINISHED
    check_each_converted_once(zoho, lead_ids)
