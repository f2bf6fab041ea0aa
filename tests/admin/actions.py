"""Helpers for tests of the actions of lists."""

from __future__ import annotations

from typing import Any

from tests.admin.pages import Browser, Page

ADMIN = "/admin/zoho_crm"


def action_names(page: Page) -> list[str]:
    """Return the names of the actions that a list offers."""
    start = page.html.find('<select name="action"')
    if start < 0:
        return []
    options = Page("<form>" + page.html[start : page.html.find("</select>", start)])
    return [given["value"] for given in options.attributes_of("option") if given.get("value")]


def choose(browser: Browser, url: str, action: str, *rows: Any, **more: str) -> Page:
    """Tick rows of a list, or none, and press its button: the page of the action opens."""
    browser.get(url)
    ticked = [("_selected_action", str(row.pk)) for row in rows]
    values = [("action", action), ("index", "0"), *ticked, *more.items()]
    return browser.post(url, values)


def choose_all(browser: Browser, url: str, action: str) -> Page:
    """Choose all rows that match the filter of a list, without a tick."""
    return choose(browser, url, action, scope="matching")
