"""A person previews one lead, chooses what it becomes and converts it."""

from __future__ import annotations

from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.browser.browsers import Window
from tests.browser.pages import link_to, step_button, submit, success, tab_to, warning
from tests.browser.worker import work_until_at_rest
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.simulator import Simulator

LIST = reverse("admin:zoho_crm_leadconversion_changelist")
PREVIEW = reverse("admin:zoho_crm_leadconversion_preview")


def convert_calls(zoho: Simulator, lead_id: str) -> int:
    """Return how often Zoho was asked to convert a lead."""
    return sum(call["lead_id"] == lead_id for call in zoho.ledger()["calls"])


def preview(page: Page, lead_id: str) -> None:
    """Preview a lead; its page to decide is open then."""
    page.goto(PREVIEW)
    page.locator("[name=lead]").fill(lead_id)
    submit(page)
    expect(step_button(page, "look")).to_be_visible()


def choose(page: Page) -> None:
    """Choose the first contact and account that can be chosen, and look at what will happen."""
    for field in ("contact", "account"):
        page.locator(f"input[name={field}]:enabled").first.check()
    step_button(page, "look").click()
    expect(step_button(page, "convert")).to_be_visible()


def test_a_lead_is_converted_by_mouse(page: Page, connection: Connection, zoho: Simulator) -> None:
    lead_id = zoho.story("several")
    page.goto(LIST)
    page.locator(f"#content a[href*='{PREVIEW}']").first.click()
    page.locator("[name=lead]").fill(lead_id)
    submit(page)
    choose(page)
    step_button(page, "convert").click()
    expect(success(page)).to_be_visible()

    work_until_at_rest()

    page.reload()
    (made,) = zoho.conversions_of(lead_id)
    expect(page.locator("#content")).to_contain_text(made["contact_id"])
    row = LeadConversion.objects.get()
    assert (row.status, row.contact_id) == ("CONVERTED", made["contact_id"])
    assert convert_calls(zoho, lead_id) == 1


def test_the_matches_of_a_page_are_checked_and_one_lead_is_decided(
    page: Page, connection: Connection, zoho: Simulator
) -> None:
    lead_ids = [zoho.story("several"), zoho.story("no_match")]
    page.goto(reverse("admin:zoho_crm_zoholead_changelist"))
    page.locator("[name=action][value=check_matches]").click()
    submit(page)
    expect(success(page)).to_be_visible()
    expect(page.locator("[name=action][value=check_matches]")).to_have_count(0)

    work_until_at_rest()

    assert LeadConversion.objects.filter(lead_id__in=lead_ids, status="PREVIEWED").count() == 2
    page.reload()
    row = LeadConversion.objects.get(lead_id=lead_ids[0])
    link = page.locator(f"td a[href$='/{row.pk}/decide/']")
    expect(link).to_have_count(1)
    link.click()
    expect(step_button(page, "look")).to_be_visible()


def test_a_lead_is_converted_by_keyboard_alone(
    page: Page, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("several")
    page.goto(LIST)
    tab_to(page, page.locator(f"#content a[href*='{PREVIEW}']").first)
    page.keyboard.press("Enter")
    tab_to(page, page.locator("[name=lead]"))
    page.keyboard.type(lead_id)
    page.keyboard.press("Enter")
    expect(step_button(page, "look")).to_be_visible()
    for field in ("contact", "account"):
        offered = page.locator(f"input[name={field}]:enabled")
        tab_to(page, page.locator(f"input[name={field}]:checked").or_(offered).first)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        expect(page.locator(f"input[name={field}]:checked")).to_have_count(1)
    tab_to(page, step_button(page, "look"))
    page.keyboard.press("Space")
    tab_to(page, step_button(page, "convert"))
    page.keyboard.press("Enter")
    expect(success(page)).to_be_visible()

    work_until_at_rest()

    assert len(zoho.conversions_of(lead_id)) == 1
    assert LeadConversion.objects.get().status == "CONVERTED"


def test_two_tabs_and_a_double_click_convert_once(
    window: Window, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("one_match")
    first, second = window.tab(), window.tab()
    preview(first, lead_id)
    second.goto(first.url)
    choose(first)
    choose(second)

    step_button(first, "convert").dblclick()
    expect(success(first).or_(warning(first)).first).to_be_visible()
    step_button(second, "convert").click()

    expect(warning(second)).to_be_visible()
    work_until_at_rest()
    assert len(zoho.conversions_of(lead_id)) == 1
    assert convert_calls(zoho, lead_id) == 1
    assert LeadConversion.objects.get().status == "CONVERTED"


def test_a_lead_that_changed_meanwhile_is_shown_again_and_not_converted(
    page: Page, connection: Connection, zoho: Simulator
) -> None:
    lead_id = zoho.story("one_match")
    preview(page, lead_id)
    choose(page)
    zoho.change(zoho.records["Leads"][lead_id], Company="Renamed Meanwhile GmbH")
    step_button(page, "convert").click()
    expect(success(page)).to_be_visible()

    work_until_at_rest()

    page.reload()
    link_to(page, "decide").click()
    expect(page.locator(".zoho-state")).to_contain_text("Company")
    expect(page.locator("#content")).to_contain_text("Renamed Meanwhile GmbH")
    expect(step_button(page, "look")).to_be_visible()
    assert not zoho.ledger()["conversions"]
    assert convert_calls(zoho, lead_id) == 0
    assert LeadConversion.objects.get().status == "PREVIEWED"
