"""The rules for every page, at the pages of mass conversions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import resolve

from tests.admin.pages import Page, Visitor
from tests.admin.runs import in_review, started, take_in, work_off
from zoho_crm.models import Connection, Policy
from zoho_crm.services import mass_convert
from zoho_crm.simulator import Simulator
from zoho_crm.types import as_json

pytestmark = pytest.mark.django_db(transaction=True)

ADMIN = "/admin/zoho_crm"
#: Which permission opens which page, by what they post with if anything.
DOORS = {
    "massconversion/prepare/": "prepare_massconversion",
    "massconversion/{run}/decide/": "prepare_massconversion",
    "massconversion/{run}/start/": "run_massconversion",
    "massconversion/{run}/pause/": "pause_massconversion",
    "massconversion/{run}/resume/": "pause_massconversion",
    "massconversion/{run}/retry/": "pause_massconversion",
    "massconversion/{run}/cancel/": "pause_massconversion",
    "massconversion/{run}/export/": "export_leadconversion",
}
POST_ONLY = ("pause", "resume", "retry")
#: Buttons and links that a permission brings to the page of a run, or to the list.
SIGHTS = {
    "Prepare a mass conversion": ("", "prepare_massconversion"),
    "Decide…": ("{run}/change/", "prepare_massconversion"),
    "Start…": ("{run}/change/", "run_massconversion"),
    "Pause": ("{new}/change/", "pause_massconversion"),
    "Resume": ("{paused}/change/", "pause_massconversion"),
    "Try again": ("{done}/change/", "pause_massconversion"),
    "Cancel…": ("{run}/change/", "pause_massconversion"),
    "Results as CSV": ("{run}/change/", "export_leadconversion"),
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
def there(connection: Connection, zoho: Simulator) -> Callable[[str], str]:
    """Fill the numbers of real rows into an address."""
    done = work_off(started(in_review(connection, zoho, "no_match", "several")))
    run = in_review(connection, zoho, "no_match", "several", "locked", more=("<b>4711</b>",))
    paused = take_in(connection, zoho, "no_match")
    mass_convert.pause(run_id=paused.pk, by=None, reason="<script>")  # type: ignore[arg-type]
    new = take_in(connection, zoho, "no_match")
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


@pytest.mark.parametrize("address", DOORS)
def test_a_page_is_closed_without_its_permission(
    address: str, visit_as: Callable[..., Visitor], there: Callable[[str], str]
) -> None:
    ours = Permission.objects.filter(content_type__app_label="zoho_crm")
    codenames = set(ours.values_list("codename", flat=True))
    visitor = visit_as(*codenames - {DOORS[address]})

    visitor.get(there(address))
    asked = visitor.status
    visitor.post(there(address))

    assert (asked, visitor.status) == (403, 403)


@pytest.mark.parametrize("address", DOORS)
def test_a_page_is_open_with_its_permission_alone(
    address: str, visit_as: Callable[..., Visitor], there: Callable[[str], str]
) -> None:
    response = visit_as(DOORS[address]).client.get(there(address))

    is_post_only = any(f"/{word}/" in address for word in POST_ONLY)
    assert response.status_code == (405 if is_post_only else 200)


@pytest.mark.parametrize("address", DOORS)
def test_who_is_not_signed_in_is_asked_to(
    address: str, there: Callable[[str], str], client: Client
) -> None:
    response = client.get(there(address))

    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("address", [address for address in DOORS if "export" not in address])
def test_a_forged_press_is_refused(
    address: str, visit: Visitor, there: Callable[[str], str]
) -> None:
    response = visit.client.post(there(address), {"csrfmiddlewaretoken": "forged"})

    assert response.status_code == 403


@pytest.mark.parametrize("address", DOORS)
def test_pages_stay_outside_transactions_and_caches(
    address: str, visit: Visitor, there: Callable[[str], str]
) -> None:
    view = resolve(there(address)).func

    response = visit.client.get(there(address))

    assert view._non_atomic_requests == {"default"}
    assert "no-cache" in response["Cache-Control"]


@pytest.mark.parametrize("sight", SIGHTS)
def test_a_button_is_there_with_its_permission_only(
    sight: str, visit_as: Callable[..., Visitor], there: Callable[[str], str]
) -> None:
    name, permission = SIGHTS[sight]
    address = there(f"massconversion/{name}")

    without = visit_as("view_massconversion").get(address)
    page = visit_as("view_massconversion", permission).get(address)

    assert not without.has_button(sight)
    assert sight not in without.links
    assert page.has_button(sight) or sight in page.links


def test_lists_of_leads_are_linked_for_those_who_may_see_them(
    visit_as: Callable[..., Visitor], there: Callable[[str], str]
) -> None:
    address = there("massconversion/{run}/change/")

    without = visit_as("view_massconversion").get(address)
    page = visit_as("view_massconversion", "view_leadconversion").get(address)

    assert "?run=" not in without.html
    assert "?run=" in page.html


@pytest.mark.parametrize("address", PAGES)
def test_a_page_is_well_made(address: str, visit: Visitor, there: Callable[[str], str]) -> None:
    page = visit.get(there(address))

    assert visit.status == 200
    assert len(page.attributes_of("h1")) == 1
    assert len(page.ids) == len(set(page.ids))
    assert not [given for _tag, given in page.tags if "style" in given]
    assert not [given for _tag, given in page.tags for name in given if name.startswith("on")]
    assert all(given.get("src") for given in page.attributes_of("script"))
    assert page.html.count('class="breadcrumbs"') == 1
    labelled = {given.get("for") for given in page.attributes_of("label")}
    entries = [*page.attributes_of("select"), *page.attributes_of("textarea")]
    assert {given["id"] for given in entries if "id" in given} <= labelled


@pytest.mark.parametrize(
    "address", [address for address in PAGES if "{" in address and "?" not in address]
)
def test_our_tables_have_captions_and_headings_and_scroll_by_themselves(
    address: str, visit: Visitor, there: Callable[[str], str]
) -> None:
    html = visit.get(there(address)).html
    page = Page(html[html.index("<main") :])

    tables = page.attributes_of("table")
    assert len(page.attributes_of("caption")) == len(tables)
    assert page.html.count('class="zoho-scroll" role="region" tabindex="0"') == len(tables)
    assert all(given.get("scope") for given in page.attributes_of("th"))


def test_what_was_pasted_is_shown_as_text(visit: Visitor, there: Callable[[str], str]) -> None:
    for address in ("massconversion/", "massconversion/{run}/change/", "policy/"):
        html = visit.get(there(address)).html
        assert "<b>4711</b>" not in html
        assert "<i>" not in html
        assert "stands still: <script>" not in html
