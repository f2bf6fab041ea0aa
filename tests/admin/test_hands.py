"""What every page has at hand: who before which number, links, times, the bar, empty lists."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.admin.pages import Browser, Page
from zoho_crm.conf import conf
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services import preview, usage
from zoho_crm.services.scope_texts import purpose_of
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

BASE = "/admin/zoho_crm"
LIST = f"{BASE}/leadconversion/"
LISTS = (
    *("connection", "token", "leadconversion", "massconversion", "outboxrecord"),
    *("connectionevent", "apiusage"),
)


@pytest.fixture
def row(connection: Connection, zoho: Simulator) -> LeadConversion:
    lead = zoho.add_lead(
        First_Name="Ada", Last_Name="Lovelace", Company="Acme GmbH", Email="ada@acme.example"
    )
    return preview.preview(connection_id=connection.pk, lead_id=lead.id)


def column_labels(page: Page) -> list[str]:
    """Return the headings of the cells of the first row of a list."""
    cells = [given for tag, given in page.tags if tag in ("td", "th") and "data-label" in given]
    return [given["data-label"] for given in cells]


def test_a_list_of_leads_names_people_first_and_numbers_last(
    browser: Browser, row: LeadConversion
) -> None:
    page = browser.get(LIST)

    labels = column_labels(page)
    assert labels[:3] == ["Name", "Company", "Status"]
    assert labels[-1] == "Lead"
    assert page.links["Ada Lovelace"].startswith(f"{LIST}{row.pk}/change/")
    assert "ada@acme.example" in page.text


def test_who_may_not_see_names_gets_the_id_and_no_one_s_data(
    browser_as: Callable[..., Browser], row: LeadConversion
) -> None:
    browser = browser_as("view_leadconversion")

    pages = [browser.get(LIST), browser.get(f"{LIST}{row.pk}/change/")]

    for page in pages:
        assert row.lead_id in page.html
        assert not any(word in page.html for word in ("Lovelace", "Acme GmbH", "ada@acme.example"))


def test_an_id_is_linked_to_zoho_and_can_be_copied(browser: Browser, row: LeadConversion) -> None:
    Connection.objects.update(data_center="eu", domain_name="acme")

    for url in (LIST, f"{LIST}{row.pk}/change/"):
        page = browser.get(url)
        links = [given for given in page.attributes_of("a") if given.get("target") == "_blank"]
        assert [link["href"] for link in links] == [
            f"https://crm.zoho.eu/crm/acme/tab/Leads/{row.lead_id}"
        ]
        assert "noopener" in links[0]["rel"]
        assert f'data-copy="{row.lead_id}"' in page.html


def test_an_id_of_the_simulator_is_plain_text(browser: Browser, row: LeadConversion) -> None:
    page = browser.get(LIST)

    assert row.lead_id[-8:] in page.text
    assert not any("tab/Leads" in href for href in page.links.values())


def test_the_page_of_a_lead_has_one_value_a_line_and_no_empty_ones(
    browser: Browser, row: LeadConversion
) -> None:
    page = browser.get(f"{LIST}{row.pk}/change/")

    assert "form-multiline" not in page.html
    assert "field-deal_record" not in page.html
    assert "Lead conversion: Ada Lovelace" in page.text


def test_a_time_says_how_long_ago_and_has_the_exact_moment(
    browser: Browser, row: LeadConversion
) -> None:
    page = browser.get(f"{LIST}{row.pk}/change/")

    times = page.attributes_of("time")
    assert all(given["title"] == given["datetime"] for given in times)
    assert "ago" in page.text or "just now" in page.text


@pytest.mark.parametrize(
    ("values", "kind", "text"),
    [
        ({}, "simulator", "Simulator: nothing here touches Zoho"),
        ({"data_center": "eu"}, "production", "Production: Acme Inc"),
        ({"data_center": "eu", "environment": "sandbox"}, "sandbox", "Sandbox: Acme Inc"),
    ],
)
def test_a_bar_on_every_page_says_which_zoho_it_is_about(
    browser: Browser, row: LeadConversion, values: dict[str, str], kind: str, text: str
) -> None:
    Connection.objects.update(org_name="Acme Inc", **values)
    lead = f"leadconversion/{row.pk}"
    addresses = [
        *(f"{name}/" for name in LISTS),
        *(f"{lead}/change/", f"{lead}/decide/", f"{lead}/history/"),
        *("leadconversion/preview/", "policy/", "policy/add/", "connection/connect/"),
        f"connection/{row.connection_id}/change/",
    ]

    for address in addresses:
        page = browser.get(f"{BASE}/{address}")
        assert page.html.count(f'class="zoho-bar zoho-bar-{kind}"') == 1, address
        assert text in page.text


def test_a_list_that_is_filtered_by_a_connection_is_about_that_one(
    browser: Browser, connection: Connection
) -> None:
    Connection.objects.create(
        name="Acme", org_name="Acme Inc", org_id="1", data_center="eu", environment="production"
    )

    both, one = browser.get(LIST), browser.get(f"{LIST}?connection__id__exact={connection.pk}")

    assert "Production: Acme Inc" in both.text
    assert "nothing here touches Zoho" not in both.text
    assert "Production: Acme Inc" not in one.text
    assert "Simulator: nothing here touches Zoho" in one.text


@pytest.mark.parametrize("name", [*LISTS, "policy"])
def test_an_empty_list_says_what_to_do_next(browser: Browser, db: None, name: str) -> None:
    page = browser.get(f"{BASE}/{name}/")
    start = page.html.index('<p class="zoho-empty">')
    text = page.html[start : page.html.index("</p>", start)]

    assert len(text) > 60
    assert 'id="result_list"' not in page.html


def test_a_search_without_a_hit_offers_the_whole_list(
    browser: Browser, row: LeadConversion
) -> None:
    page = browser.get(f"{LIST}?q=99")

    assert "Nothing matches this search and these filters." in page.text
    assert page.links["Show all"] == "?"


def test_the_cells_that_one_chooses_from_name_their_column(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    row = preview.preview(connection_id=connection.pk, lead_id=zoho.story("several"))

    page = browser.get(f"{LIST}{row.pk}/decide/")

    cells = [given for tag, given in page.tags if tag == "td" and given]
    assert cells
    assert all(given.get("data-label") for given in cells)


def test_the_page_of_a_connection_says_what_each_scope_is_for_and_shows_the_limits(
    browser: Browser, connection: Connection
) -> None:
    page = browser.get(f"{BASE}/connection/{connection.pk}/change/")

    assert all(purpose_of(scope) for scope in conf().SCOPES)
    assert all(purpose_of(scope) in page.text for scope in conf().SCOPES)
    assert f"of {usage.allowance(connection):,}" in page.text
    assert "work waits when only these are left" in page.text
    listed = browser.get(page.links["All events of this connection"])
    assert "connection event" in listed.text
