"""A person presses each action of each list once, on one site, and it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.contrib import admin
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from tests.browser.browsers import Window
from tests.browser.pages import step_button, submit, success
from tests.browser.seeded import Site, seeded_site
from tests.browser.worker import work_once
from zoho_crm.models import Connection, LeadConversion, MassConversion, OutboxRecord, Token

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture(scope="module")
def site(django_db_setup: None, django_db_blocker: Any) -> Iterator[Site]:
    with django_db_blocker.unblock(), seeded_site() as seeded:
        yield seeded


@pytest.fixture
def transactional_db(site: Site) -> None:
    """Keep the tables as they are seeded; this name lets pytest-django make them."""


@pytest.fixture
def window(browser: Browser, address: str, site: Site) -> Iterator[Window]:
    opened = Window(browser, address, site.boss)
    yield opened
    opened.close()
    assert not opened.complaints


#: Filters that leave the rows that are ticked on the first page of a list.
FILTERS = {LeadConversion: "?run=none"}


def choose(page: Page, action: str, model: type[Any], *rows: Any) -> None:
    """Tick rows of a list, or choose all that match if none is named, and press its button."""
    url = reverse(f"admin:zoho_crm_{model._meta.model_name}_changelist")
    page.goto(url + FILTERS.get(model, ""))
    for row in rows:
        page.locator(f"input[name=_selected_action][value='{row.pk}']").check()
    if not rows:
        page.locator("select[name=scope]").select_option("matching")
    page.locator("select[name=action]").select_option(action)
    page.locator("button[name=index]").click()


def confirm(page: Page) -> None:
    """Press the button of the page that says what will happen; it is done."""
    submit(page)
    expect(success(page)).to_be_visible()


def look(page: Page) -> None:
    """Press that button; whatever is found out is said."""
    submit(page)
    expect(page.locator(".messagelist li").first).to_be_visible()


def download(page: Page, name: str) -> None:
    with page.expect_download() as begun:
        submit(page)
    assert begun.value.suggested_filename == name


def decide(page: Page) -> None:
    """Decide about the only lead that was chosen."""
    step_button(page, "look").click()
    step_button(page, "convert").click()
    expect(success(page)).to_be_visible()


#: A list, the action, the rows that are ticked (all if none), and what is done on its page.
Press = tuple[type[Any], str, list[Any], Callable[[Page], None]]


def presses(site: Site) -> list[Press]:
    leads, runs, pushes = site.leads, site.runs, site.pushes
    default = Token.objects.get(connection=site.connection, is_default=True)
    return [
        (LeadConversion, "preview_again", [leads["several"], leads["disagree"]], confirm),
        (LeadConversion, "convert", [leads["one_match"]], decide),
        (LeadConversion, "leave_out", [leads["account_only"]], confirm),
        (LeadConversion, "find_out", [leads["in doubt"]], look),
        (LeadConversion, "prepare", [leads["no_match"], leads["refused"]], confirm),
        (LeadConversion, "export", [], partial(download, name="lead-conversions.csv")),
        (MassConversion, "resume", [runs["paused"]], confirm),
        (MassConversion, "pause", [runs["paused"]], confirm),
        (MassConversion, "cancel", [runs["paused"], runs["to be started"]], confirm),
        (MassConversion, "retry", [runs["finished"]], confirm),
        (MassConversion, "export", [], partial(download, name="runs.csv")),
        (OutboxRecord, "send_again", [pushes["refused"]], confirm),
        (OutboxRecord, "leave_out", [pushes["known"]], confirm),
        (OutboxRecord, "export", [], partial(download, name="outbox.csv")),
        (Token, "make_default", [site.token], confirm),
        (Token, "disconnect", [default], confirm),
        (Connection, "test", [site.connection], confirm),
        (Connection, "renew", [site.connection], confirm),
        (Connection, "make_default", [Connection.objects.get(is_default=False)], confirm),
        (Connection, "disconnect", [site.connection], confirm),
    ]


def test_each_action_of_each_list_is_pressed_and_done(
    subtests: pytest.Subtests, site: Site, window: Window
) -> None:
    page, pressed = window.tab(), set()
    for model, action, rows, act in presses(site):
        pressed.add((model, action))
        with subtests.test(f"{model._meta.model_name} {action}"):
            choose(page, action, model, *rows)
            act(page)
        work_once()

    assert pressed == {
        (model, action.name)
        for model, pages in admin.site._registry.items()
        for action in getattr(pages, "list_actions", ())
        # The lead browser has buttons of its own; ``test_runs`` presses them.
        if model._meta.app_label == "zoho_crm" and not model._meta.proxy
    }
