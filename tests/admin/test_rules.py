"""Rules that hold for every page: permissions, CSRF, transactions, mark-up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from django.template.loader import render_to_string
from django.urls import resolve

from tests.admin.pages import Browser, Page, check_mark_up, check_tables
from tests.services.test_users import add_user
from zoho_crm.models import (
    Connection,
    LeadConversion,
    MassConversion,
    MassConversionJob,
    OutboxRecord,
    Token,
)
from zoho_crm.services import preview
from zoho_crm.services.display import BADGES
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

ADMIN = "/admin/zoho_crm"
#: Pages that may call Zoho.
OWN_PAGES = [
    "connection/connect/",
    "connection/add_simulator/",
    "connection/{connection}/result/",
    "connection/{connection}/simulator/",
    "connection/{connection}/test/",
    "connection/{connection}/refresh/",
    "connection/{connection}/disconnect/",
    "connection/{connection}/forget/",
    "leadconversion/preview/",
    "leadconversion/{lead}/decide/",
    "leadconversion/{lead}/settle/",
    "leadconversion/{lead}/close/",
    "token/{token}/default/",
    "token/{token}/disconnect/",
]
#: The model and the button (or link) that a permission adds to the model's page.
BUTTONS_BY_PERMISSION = {
    "refresh_connection": ("connection", "Test"),
    "connect_connection": ("connection", "Connect again"),
    "disconnect_connection": ("connection", "Disconnect…"),
    "preview_leadconversion": ("leadconversion", "Look again"),
    "approve_leadconversion": ("leadconversion", "Decide…"),
}
PAGES = [
    "connection/",
    "connection/connect/",
    "connection/connect/?step=client&how=web&data_center=local&environment=production",
    "connection/connect/?step=consent&how=web&data_center=local&environment=production",
    "connection/{connection}/result/",
    "connection/{connection}/simulator/",
    "connection/{connection}/change/",
    "connection/{connection}/disconnect/",
    "connection/{connection}/forget/",
    "connectionevent/",
    "leadconversion/",
    "leadconversion/preview/",
    "leadconversion/{lead}/change/",
    "leadconversion/{lead}/decide/",
    "leadconversion/{lead}/close/",
    "leadconversion/{blocked}/decide/",
    "token/",
    "token/{token}/change/",
    "token/{token}/default/",
    "token/{token}/disconnect/",
    "token/{other}/default/",
    "token/{other}/disconnect/",
]


@pytest.fixture
def url_of(connection: Connection, zoho: Simulator) -> Callable[[str], str]:
    """Return a function that fills the ids of existing rows into a path."""
    rows = {
        name: preview.preview(connection_id=connection.pk, lead_id=zoho.story(case)).pk
        for name, case in (("lead", "several"), ("blocked", "locked"))
    }
    numbers = {"connection": connection.pk, "token": connection.tokens.get().pk, **rows}
    numbers["other"] = add_user(zoho).pk
    return lambda address: f"{ADMIN}/{address.format(**numbers)}"


def test_every_status_has_a_badge() -> None:
    statuses: tuple[Any, ...] = (
        *(Connection.Status, Token.Status, LeadConversion.Status),
        *(MassConversion.Stage, MassConversionJob.Status, OutboxRecord.Status),
    )

    assert {status for choices in statuses for status in choices.values} == BADGES.keys()


def test_a_button_is_there_with_its_permission_only(
    subtests: pytest.Subtests, browser_as: Callable[..., Browser], url_of: Callable[[str], str]
) -> None:
    for permission in BUTTONS_BY_PERMISSION:
        with subtests.test(permission):
            model, button = BUTTONS_BY_PERMISSION[permission]
            number = "lead" if model == "leadconversion" else model
            address = url_of(f"{model}/{{{number}}}/change/")

            without = browser_as(f"view_{model}").get(address)
            page = browser_as(f"view_{model}", permission).get(address)

            assert not without.has_button(button)
            assert button not in without.links
            assert page.has_button(button) or button in page.links


def test_pages_that_may_talk_to_zoho_stay_outside_transactions_and_caches(
    subtests: pytest.Subtests, browser: Browser, url_of: Callable[[str], str]
) -> None:
    for address in OWN_PAGES:
        with subtests.test(address):
            view = resolve(url_of(address)).func

            response = browser.client.get(url_of(address))

            assert view._non_atomic_requests == set(connections)
            assert "no-cache" in response["Cache-Control"]


@pytest.fixture
def atomic_requests() -> Iterator[None]:
    """Set ATOMIC_REQUESTS, as a host project may."""
    connections.settings["default"]["ATOMIC_REQUESTS"] = True
    connections["default"].settings_dict["ATOMIC_REQUESTS"] = True
    yield
    connections.settings["default"]["ATOMIC_REQUESTS"] = False
    connections["default"].settings_dict["ATOMIC_REQUESTS"] = False


def test_a_host_with_atomic_requests_can_do_it_all(
    atomic_requests: None, browser: Browser, zoho: Simulator
) -> None:
    browser.get(f"{ADMIN}/connection/connect/")
    browser.press("Next", how="self")
    browser.press("Next")
    browser.press("Connect with this code", code=zoho.grant_code())
    connection = Connection.objects.get()
    browser.get(f"{ADMIN}/connection/{connection.pk}/change/")
    page = browser.press("Test")
    assert "works." in page.text
    page = browser.press("Renew the access token")
    assert "The access token was renewed." in page.text
    browser.get(f"{ADMIN}/leadconversion/preview/")
    browser.press("Preview", lead=zoho.story("one_match"))
    browser.press("Show what will happen")
    browser.press("Convert this lead")
    assert LeadConversion.objects.get().status == "READY"
    browser.get(f"{ADMIN}/connection/{connection.pk}/disconnect/")

    page = browser.press("Disconnect")

    assert "is disconnected" in page.text


def test_the_mark_up_of_a_page_is_valid(
    subtests: pytest.Subtests, browser: Browser, url_of: Callable[[str], str]
) -> None:
    for address in PAGES:
        with subtests.test(address):
            page = browser.get(url_of(address))

            assert browser.status == 200
            check_mark_up(page)


def test_our_tables_have_captions_and_headings_and_scroll_by_themselves(
    subtests: pytest.Subtests, browser: Browser, url_of: Callable[[str], str]
) -> None:
    for address in [address for address in PAGES if "{" in address and "token" not in address]:
        with subtests.test(address):
            check_tables(browser.get(url_of(address)).html)


def test_radio_buttons_stand_in_a_group_with_a_legend(
    browser: Browser, url_of: Callable[[str], str]
) -> None:
    page = browser.get(url_of("leadconversion/{lead}/decide/"))

    radios = [given for given in page.attributes_of("input") if given.get("type") == "radio"]
    labelled = {given.get("for") for given in page.attributes_of("label")}
    assert len(radios) >= 4
    assert {given["id"] for given in radios} <= labelled
    assert page.html.index("<legend>Contact</legend>") < page.html.index('type="radio"')


@pytest.mark.parametrize(("as_list", "element"), [(True, "ol"), (False, "div")])
def test_breadcrumbs_know_both_kinds_of_mark_up(as_list: bool, element: str) -> None:
    context: dict[str, Any] = {
        "as_list": as_list,
        "app": "Zoho CRM",
        "app_label": "zoho_crm",
        "links": [("/admin/zoho_crm/connection/", "Connections"), ("", "<Main> office")],
        "page_name": "Disconnect",
    }

    page = Page(render_to_string("admin/zoho_crm/breadcrumbs.html", context))

    assert page.attributes_of(element)[0]["class"] == "breadcrumbs"
    assert page.links["Connections"] == "/admin/zoho_crm/connection/"
    assert "<Main> office" in page.text
    assert page.text.endswith("Disconnect")
