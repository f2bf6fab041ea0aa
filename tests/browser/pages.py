"""What people do on pages, whatever the texts there say."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

ADMIN = "/admin/zoho_crm/"
MAX_TABS = 200
IS_FOCUSED = "element => element === document.activeElement"


def success(page: Page) -> Locator:
    """Return the messages that say that something was done."""
    return page.locator(".messagelist .success")


def warning(page: Page) -> Locator:
    """Return the messages that say that something was not done, or in part."""
    return page.locator(".messagelist .warning, .messagelist .error")


def step_button(page: Page, value: str) -> Locator:
    """Return the button of a form that does this step."""
    return page.locator(f"button[name=step][value={value}]")


def button_to(page: Page, name: str) -> Locator:
    """Return the button that posts to this page of a record."""
    return page.locator(f"form[action$='/{name}/'] button[type=submit]")


def link_to(page: Page, name: str) -> Locator:
    """Return the link to this page of a record."""
    return page.locator(f"#content a[href$='/{name}/']").first


def submit(page: Page) -> None:
    """Press the main button of the page's last form."""
    page.locator("#content .submit-row").last.locator("input, button").first.click()


def tab_to(page: Page, target: Locator) -> None:
    """
    Press the tab key until the target has the focus.

    :raises LookupError: if it never does
    """
    expect(target).to_be_visible()
    for _ in range(MAX_TABS):
        page.keyboard.press("Tab")
        if target.evaluate(IS_FOCUSED):
            return
    raise LookupError(f"No tab key reaches {target}")
