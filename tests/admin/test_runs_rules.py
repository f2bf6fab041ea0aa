"""Rules that hold for every page, for the pages of mass conversions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.db import connections
from django.test import Client
from django.urls import resolve

from tests.admin.pages import Browser, check_mark_up, check_tables
from tests.admin.runs import prepare_run, run_in_review, start_run, work_until_waiting
from zoho_crm.models import Connection, Policy
from zoho_crm.services import mass_convert
from zoho_crm.simulator import Simulator
from zoho_crm.types import as_json

pytestmark = pytest.mark.django_db(transaction=True)

ADMIN = "/admin/zoho_crm"
#: The permission that opens a page, by page.
PERMISSION_BY_PAGE = {
    "massconversion/prepare/": "prepare_massconversion",
    "massconversion/{run}/decide/": "prepare_massconversion",
    "massconversion/{run}/start/": "run_massconversion",
    "massconversion/{run}/pause/": "pause_massconversion",
    "massconversion/{run}/resume/": "pause_massconversion",
    "massconversion/{run}/retry/": "pause_massconversion",
    "massconversion/{run}/cancel/": "pause_massconversion",
    "massconversion/{run}/export/": "export_leadconversion",
    "massconversion/{run}/export_json/": "export_leadconversion",
}
POST_ONLY = ("pause", "resume", "retry")
#: The page of a run (or the list) and the permission that adds a button or link to it.
PERMISSION_BY_BUTTON = {
    "Prepare a run": ("", "prepare_massconversion"),
    "Decide…": ("{run}/change/", "prepare_massconversion"),
    "Start…": ("{run}/change/", "run_massconversion"),
    "Pause": ("{new}/change/", "pause_massconversion"),
    "Resume": ("{paused}/change/", "pause_massconversion"),
    "Retry": ("{done}/change/", "pause_massconversion"),
    "Cancel…": ("{run}/change/", "pause_massconversion"),
    "Results as CSV": ("{run}/change/", "export_leadconversion"),
    "Results as JSON": ("{run}/change/", "export_leadconversion"),
}
PAGES = [
    "apiusage/",
    "leadconversion/?run={run}",
    "leadconversion/{lead}/decide/",
    "massconversion/",
    "massconversion/prepare/",
    "massconversion/{run}/cancel/",
    "massconversion/{run}/change/",
    "massconversion/{run}/decide/",
    "massconversion/{run}/start/",
    "massconversion/{done}/change/",
    "massconversion/{done}/start/",
    "massconversion/{new}/decide/",
    "policy/",
    "policy/add/",
    "policy/{policy}/change/",
]


@pytest.fixture
def url_of(connection: Connection, zoho: Simulator) -> Callable[[str], str]:
    """Return a function that fills the ids of existing rows into a path."""
    done = work_until_waiting(start_run(run_in_review(connection, zoho, "no_match", "several")))
    run = run_in_review(connection, zoho, "no_match", "several", "locked", more=("<b>4711</b>",))
    paused = prepare_run(connection, zoho, "no_match")
    mass_convert.pause(run_id=paused.pk, by=None, reason="<script>")  # type: ignore[arg-type]
    new = prepare_run(connection, zoho, "no_match")
    rules = as_json(run.rules)
    numbers = {
        "run": run.pk,
        "done": done.pk,
        "new": new.pk,
        "paused": paused.pk,
        "lead": run.rows.order_by("pk")[0].pk,
        "policy": Policy.objects.create(name="Fairs <i>", rules=rules).pk,
    }
    return lambda address: f"{ADMIN}/{address.format(**numbers)}"


def test_a_page_is_closed_without_its_permission(
    subtests: pytest.Subtests, browser_as: Callable[..., Browser], url_of: Callable[[str], str]
) -> None:
    for address in PERMISSION_BY_PAGE:
        with subtests.test(address):
            ours = Permission.objects.filter(content_type__app_label="zoho_crm")
            codenames = set(ours.values_list("codename", flat=True))
            browser = browser_as(*codenames - {PERMISSION_BY_PAGE[address]})

            browser.get(url_of(address))
            asked = browser.status
            browser.post(url_of(address))

            assert (asked, browser.status) == (403, 403)


def test_a_page_is_open_with_its_permission_alone(
    subtests: pytest.Subtests, browser_as: Callable[..., Browser], url_of: Callable[[str], str]
) -> None:
    for address in PERMISSION_BY_PAGE:
        with subtests.test(address):
            response = browser_as(PERMISSION_BY_PAGE[address]).client.get(url_of(address))

            is_post_only = any(f"/{word}/" in address for word in POST_ONLY)
            assert response.status_code == (405 if is_post_only else 200)


def test_who_is_not_signed_in_is_asked_to(
    subtests: pytest.Subtests, url_of: Callable[[str], str], client: Client
) -> None:
    for address in PERMISSION_BY_PAGE:
        with subtests.test(address):
            response = client.get(url_of(address))

            assert response.status_code == 302
            assert response["Location"].startswith("/admin/login/")


def test_a_forged_post_is_refused(
    subtests: pytest.Subtests, browser: Browser, url_of: Callable[[str], str]
) -> None:
    for address in [address for address in PERMISSION_BY_PAGE if "export" not in address]:
        with subtests.test(address):
            response = browser.client.post(url_of(address), {"csrfmiddlewaretoken": "forged"})

            assert response.status_code == 403


def test_pages_stay_outside_transactions_and_caches(
    subtests: pytest.Subtests, browser: Browser, url_of: Callable[[str], str]
) -> None:
    for address in PERMISSION_BY_PAGE:
        with subtests.test(address):
            view = resolve(url_of(address)).func

            response = browser.client.get(url_of(address))

            assert view._non_atomic_requests == set(connections)
            assert "no-cache" in response["Cache-Control"]


def test_a_button_is_there_with_its_permission_only(
    subtests: pytest.Subtests, browser_as: Callable[..., Browser], url_of: Callable[[str], str]
) -> None:
    for button in PERMISSION_BY_BUTTON:
        with subtests.test(button):
            name, permission = PERMISSION_BY_BUTTON[button]
            address = url_of(f"massconversion/{name}")

            without = browser_as("view_massconversion").get(address)
            page = browser_as("view_massconversion", permission).get(address)

            assert not without.has_button(button)
            assert button not in without.links
            assert page.has_button(button) or button in page.links


def test_lists_of_leads_are_linked_for_those_who_may_see_them(
    browser_as: Callable[..., Browser], url_of: Callable[[str], str]
) -> None:
    address = url_of("massconversion/{run}/change/")

    without = browser_as("view_massconversion").get(address)
    page = browser_as("view_massconversion", "view_leadconversion").get(address)

    assert "?run=" not in without.html
    assert "?run=" in page.html


def test_the_mark_up_of_a_page_is_valid(
    subtests: pytest.Subtests, browser: Browser, url_of: Callable[[str], str]
) -> None:
    for address in PAGES:
        with subtests.test(address):
            page = browser.get(url_of(address))

            assert browser.status == 200
            check_mark_up(page)
            labelled = {given.get("for") for given in page.attributes_of("label")}
            entries = [*page.attributes_of("select"), *page.attributes_of("textarea")]
            assert {given["id"] for given in entries if "id" in given} <= labelled


def test_our_tables_have_captions_and_headings_and_scroll_by_themselves(
    subtests: pytest.Subtests, browser: Browser, url_of: Callable[[str], str]
) -> None:
    for address in [address for address in PAGES if "{" in address and "?" not in address]:
        with subtests.test(address):
            check_tables(browser.get(url_of(address)).html)


def test_what_was_pasted_is_shown_as_text(browser: Browser, url_of: Callable[[str], str]) -> None:
    for address in ("massconversion/", "massconversion/{run}/change/", "policy/"):
        html = browser.get(url_of(address)).html
        assert "<b>4711</b>" not in html
        assert "<i>" not in html
        assert "stands still: <script>" not in html
