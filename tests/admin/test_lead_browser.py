"""The lead browser: leads read live from Zoho, and the way from there to a preview or a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.admin.pages import Browser, Page, check_mark_up, check_tables
from tests.admin.runs import work_until_waiting
from zoho_crm.models import Connection, LeadConversion, MassConversion, Selection, Token
from zoho_crm.services import preview, work
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

BASE = "/admin/zoho_crm"
LIST = f"{BASE}/zoholead/"
TICKED = "Prepare a run of the ticked leads"
FILTER = "Prepare a run of this filter"
CHECK = "Check matches on this page"
ADA = {"First_Name": "Ada", "Last_Name": "Lovelace", "Company": "Acme GmbH"}
BYRON = {"First_Name": "George", "Last_Name": "Byron", "Company": "Nordwind"}
CONTACTED = {"Lead_Status": "Contacted"}
HOPPER = {"First_Name": "Grace", "Last_Name": "Hopper", "Company": "Adabas"}


@pytest.fixture
def leads(connection: Connection, zoho: Simulator) -> dict[str, str]:
    """Return the ids of three open leads by their last name; Zoho finds them at once."""
    zoho.tune(search_lag=0)
    values: list[dict[str, Any]] = [
        {
            **ADA,
            "Email": "ada@acme.example",
            "Lead_Status": "Contacted",
            "Lead_Source": "Trade Show",
        },
        {**BYRON, "Email": "byron@nordwind.example", "Lead_Status": "Contacted"},
        {**HOPPER, "Email": "grace@navy.example", "Lead_Status": "Not Contacted"},
    ]
    return {each["Last_Name"]: zoho.add_lead(**each).id for each in values}


def names(page: Page) -> list[str]:
    """Return the names of the leads that a page lists and offers to preview."""
    buttons = [given for given in page.attributes_of("button") if given.get("name") == "lead"]
    return [given["aria-label"].removeprefix("Preview ") for given in buttons]


def calls(zoho: Simulator) -> int:
    """Return how many calls have reached Zoho."""
    return sum(int(each["count"]) for each in zoho.stats()["calls"])


def run_of(page: Page) -> MassConversion:
    return MassConversion.objects.get(pk=int(page.url.split("/")[-3]))


def test_a_page_shows_people_first_and_what_it_costs(
    browser: Browser, leads: dict[str, str]
) -> None:
    page = browser.get(LIST)

    assert names(page) == ["Grace Hopper", "George Byron", "Ada Lovelace"]
    labels = [given["data-label"] for given in page.attributes_of("td") if "data-label" in given]
    assert labels[:2] == ["Company", "Email"]
    assert labels[4:6] == ["Matches", "Here"]
    assert f'data-copy="{leads["Hopper"]}"' in page.html
    for text in ("Read live from", "1 credit a page", "as of", "Simulator: nothing here"):
        assert text in page.text
    check_mark_up(page)
    check_tables(page.html)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("text=ada", ["Grace Hopper", "Ada Lovelace"]),  # of Adabas
        ("text=ada+love", ["Ada Lovelace"]),
        ("text=GRACE@navy", ["Grace Hopper"]),
        ("status=Contacted", ["George Byron", "Ada Lovelace"]),
        ("status=Contacted&source=Trade+Show", ["Ada Lovelace"]),
        ("created_until=2020-01-01", []),
        ("created_from=2020-01-01&text=byron", ["George Byron"]),
        ("view=converted", []),
        ("page=2", []),
    ],
)
def test_what_a_filter_shows_is_what_a_run_of_it_takes_in(
    browser: Browser, connection: Connection, leads: dict[str, str], query: str, found: list[str]
) -> None:
    page = browser.get(f"{LIST}?{query}")

    assert names(page) == found
    assert bool(found) or "Show all leads" in page.links
    if found:
        page = browser.press(FILTER)
        assert f"A run of about {len(found)} open lead" in page.text
        (button,) = page.forms[-1].buttons
        run = run_of(browser.press(button, policy="careful"))
        work_until_waiting(run)
        wanted = {leads[name.split()[1]] for name in found}
        assert set(run.rows.values_list("lead_id", flat=True)) == wanted


@pytest.mark.slow
def test_an_owner_is_chosen_by_name_and_named_by_the_run(
    browser: Browser, leads: dict[str, str], zoho: Simulator
) -> None:
    user = zoho.add_user(full_name="Kim Kowalski")
    zoho.change(zoho.records["Leads"][leads["Byron"]], Owner={"id": user["id"]})

    page = browser.get(f"{LIST}?owner={user['id']}")
    assert names(page) == ["George Byron"]
    browser.press(FILTER)
    assert "Owner: Kim Kowalski" in browser.page.text
    run = run_of(browser.press("Prepare a run of about 1 lead", policy="careful"))

    work_until_waiting(run)
    assert run.source_details == {"filters": "Owner=Kim Kowalski"}
    assert [row.lead_id for row in run.rows.all()] == [leads["Byron"]]


@pytest.mark.slow
def test_a_page_is_one_call_and_the_same_number_of_queries(
    browser: Browser, connection: Connection, leads: dict[str, str], zoho: Simulator
) -> None:
    def look() -> tuple[int, int]:
        before = calls(zoho)
        with CaptureQueriesContext(database) as queries:
            browser.get(LIST)
        return len(queries), calls(zoho) - before

    browser.get(LIST)  # names and choices are kept from now on
    few = look()
    for _number in range(60):
        zoho.add_lead()
    for lead_id in leads.values():
        preview.preview(connection_id=connection.pk, lead_id=lead_id)

    assert look() == few
    assert few[1] == 1
    assert len(names(browser.page)) == 50
    assert len(names(browser.get(LIST + browser.page.links["Older leads"]))) == 13


def test_what_became_of_a_lead_here_is_a_link(
    browser: Browser, connection: Connection, leads: dict[str, str], zoho: Simulator
) -> None:
    row = preview.preview(connection_id=connection.pk, lead_id=leads["Byron"])
    zoho.story("converted")

    page = browser.get(LIST)
    assert page.links["◇ previewed"] == f"{BASE}/leadconversion/{row.pk}/change/"

    page = browser.get(f"{LIST}?view=converted")
    assert "converted elsewhere" in page.text
    assert not page.has_button(TICKED)


@pytest.mark.slow
def test_a_lead_is_previewed_from_its_line(browser: Browser, leads: dict[str, str]) -> None:
    page = browser.get(LIST)
    (button,) = [
        given for given in page.attributes_of("button") if given.get("value") == leads["Byron"]
    ]
    connection_id = dict(page.forms[-1].values)["connection"]

    browser.post(button["formaction"], [("connection", connection_id), ("lead", button["value"])])

    row = LeadConversion.objects.get()
    assert row.lead_id == leads["Byron"]
    assert browser.url == f"{BASE}/leadconversion/{row.pk}/decide/"


@pytest.mark.slow
def test_a_run_of_the_ticked_leads_names_them_and_leaves_out_what_cannot_be_taken(
    browser: Browser, connection: Connection, leads: dict[str, str]
) -> None:
    row = preview.preview(connection_id=connection.pk, lead_id=leads["Byron"])
    LeadConversion.objects.filter(pk=row.pk).update(status="CONVERTED", converted_by="us")

    browser.get(f"{LIST}?text=&status=Contacted")
    page = browser.press(TICKED, _selected_action=[leads["Lovelace"], leads["Byron"], "no id"])

    assert "A run of 1 lead is prepared" in page.text
    assert "1 lead is converted already." in page.text
    assert "Ada Lovelace, Acme GmbH" in page.text
    selection = Selection.objects.get()
    assert selection.ids == [leads["Lovelace"], leads["Byron"]]
    browser.press("Prepare a run of 1 lead", policy="careful", name="Fair")
    run = MassConversion.objects.get(name="Fair")
    assert browser.url == f"{BASE}/massconversion/{run.pk}/decide/"
    assert [each.lead_id for each in run.rows.all()] == [leads["Lovelace"]]


def matches(page: Page) -> list[str]:
    """Return the column of the matches of a page."""
    return re.findall(r'<td data-label="Matches"><div>(.*?)</div>', page.html)


def test_the_matches_of_a_page_are_read_by_the_worker_and_then_listed(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    zoho.tune(search_lag=0)
    no_match, one, several = (zoho.story(case) for case in ("no_match", "one_match", "several"))
    known = preview.preview(connection_id=connection.pk, lead_id=one)
    zoho.add_lead()
    page = browser.get(f"{LIST}?text=&page=1")
    assert "3 leads of this page were not looked at yet. That costs about 4 credits" in page.text

    page = browser.press(CHECK)
    assert "The worker reads 3 leads from Zoho" in page.text
    assert "That costs about 4 credits of the API." in page.text
    page = browser.press("Check the matches of 3 leads")

    query = parse_qs(urlsplit(browser.url).query, keep_blank_values=True)
    assert query == {"text": [""], "page": ["1"], "connection": [str(connection.pk)]}
    assert "The matches of 3 leads are being read" in page.text
    assert "All leads of this page were looked at, or are being read." in page.text
    assert not page.has_button(CHECK)
    before = calls(zoho)
    work.work(connection_id=connection.pk)
    assert calls(zoho) - before == 4

    rows = {row.lead_id: row for row in LeadConversion.objects.all()}
    assert rows[one].version == known.version
    links = [
        f'<a href="{BASE}/leadconversion/{rows[lead_id].pk}/decide/">{text}</a>'
        for lead_id, text in (
            (several, "2 contacts, 1 account"),
            (one, "1 contact, 1 account"),
            (no_match, "no match"),
        )
    ]
    assert matches(browser.get(LIST))[1:] == links


def test_only_leads_that_were_not_previewed_are_checked(
    browser: Browser, connection: Connection, leads: dict[str, str]
) -> None:
    browser.get(LIST)
    preview.preview(connection_id=connection.pk, lead_id=leads["Byron"])
    LeadConversion.objects.update(status="CONVERTED", converted_by="us", due_at=None)

    page = browser.press(CHECK)
    assert "The worker reads 2 leads from Zoho" in page.text
    assert "1 lead is converted already." in page.text
    browser.press("Check the matches of 2 leads")

    due = LeadConversion.objects.exclude(due_at=None).values_list("lead_id", flat=True)
    assert set(due) == {leads["Lovelace"], leads["Hopper"]}


def test_no_page_is_checked_that_names_no_lead(browser: Browser, leads: dict[str, str]) -> None:
    for to_check in ("", "x,,1' OR 1", "9" * 30):
        values = [("action", "check_matches"), ("index", "0"), ("to_check", to_check)]

        assert "Nothing is chosen" in browser.post(LIST, values).text

    assert not LeadConversion.objects.exists()
    assert not browser.get(f"{LIST}?view=converted").has_button(CHECK)


@pytest.mark.slow
def test_nothing_ticked_is_said(browser: Browser, leads: dict[str, str]) -> None:
    browser.get(LIST)

    assert "Nothing is chosen" in browser.press(TICKED).text
    assert not Selection.objects.exists()


@pytest.mark.slow
def test_a_filter_that_cannot_be_read_never_becomes_a_run_of_all_leads(
    browser: Browser, leads: dict[str, str]
) -> None:
    for query in ("created_from=2026-02-30", "created_from=2026-02-01&created_until=2026-01-01"):
        values = [("action", "prepare_matching"), ("index", "0")]
        page = browser.post(f"{LIST}?{query}", values)
        assert "This filter cannot be used" in page.text

        browser.post(browser.url, [("count", "3"), ("policy", "careful")])
        assert not MassConversion.objects.exists()


def test_a_filter_is_kept_as_every_database_stores_it(
    browser: Browser, leads: dict[str, str]
) -> None:
    values = [("action", "prepare_matching"), ("index", "0")]

    page = browser.post(f"{LIST}?text=a%00&x%00=1", values)

    assert browser.status == 200
    kept = Selection.objects.get().filters
    assert (kept["text"], kept["x\ufffd"]) == (["a\ufffd"], ["1"])
    assert not page.has_button("Prepare a run of about 3 leads")


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ({"status": 403, "body": {"code": "NO_PERMISSION"}}, "An administrator of Zoho CRM has to"),
        ({"status": 429, "body": {"code": "TOO_MANY_REQUESTS"}}, "press “Refresh” in a minute"),
        ({"status": 500}, "press “Refresh” in a minute"),
        ({"status": 400, "body": {"code": "INVALID_QUERY"}}, "Change the filter"),
    ],
)
def test_an_error_of_zoho_is_a_sentence_with_what_to_do(
    browser: Browser, leads: dict[str, str], zoho: Simulator, fault: dict[str, Any], advice: str
) -> None:
    browser.get(LIST)
    body = {"message": "no", "status": "error", "details": {}, **fault.pop("body", {})}
    zoho.fail("search", "error_before", times=9, body=body, **fault)

    page = browser.get(f"{LIST}?status=Contacted")

    assert browser.status == 200
    assert f"The leads cannot be read now. {page.text.split('read now. ')[1]}" in page.text
    assert advice in page.text
    assert page.links["Refresh"] == f"{LIST}?status=Contacted"
    assert page.has_button("Show")
    check_mark_up(page)


def test_a_lost_connection_says_where_to_connect_again(
    browser: Browser, connection: Connection, leads: dict[str, str]
) -> None:
    Connection.objects.update(status="NEEDS_RECONNECT")
    Token.objects.update(status="NEEDS_RECONNECT", expires_at=timezone.now())

    page = browser.get(LIST)

    assert "press “Connect again”" in page.text
    assert page.links["Open the connection"] == f"{BASE}/connection/{connection.pk}/change/"


@pytest.mark.slow
def test_each_permission_alone_opens_only_its_own_buttons(
    browser_as: Callable[..., Browser], leads: dict[str, str]
) -> None:
    viewer = browser_as("view_leadconversion", "view_massconversion", "view_connection")
    viewer.get(LIST)
    assert viewer.status == 403
    assert "Leads at Zoho" not in viewer.get(f"{BASE}/").text

    one = browser_as("preview_leadconversion")
    page = one.get(LIST)
    assert names(page)
    assert not page.has_button(TICKED)
    assert "The worker reads 3 leads" in one.press(CHECK).text
    values = [("action", "prepare"), ("index", "0"), ("_selected_action", leads["Byron"])]
    one.post(LIST, values)
    assert one.status == 403

    assert "Leads at Zoho" in one.get(f"{BASE}/").text

    runs = browser_as("prepare_massconversion")
    runs.get(LIST)
    assert runs.status == 403

    both = browser_as("preview_leadconversion", "prepare_massconversion")
    assert both.get(LIST).has_button(TICKED)
    assert "A run of 1 lead" in both.press(TICKED, _selected_action=leads["Byron"]).text


def test_one_of_several_connections_is_chosen(
    browser: Browser, connection: Connection, leads: dict[str, str]
) -> None:
    other = Connection.objects.create(
        name="Südwind", org_id="600", data_center="eu", environment="production"
    )

    page = browser.get(f"{LIST}?connection={other.pk}")

    assert page.html.count("zoho-bar zoho-bar-") == 1
    assert "Production: Südwind" in page.text
    assert names(page) == []
    assert names(browser.get(f"{LIST}?connection={connection.pk}"))


def test_columns_are_chosen_and_a_wrong_filter_is_said(
    browser: Browser, leads: dict[str, str]
) -> None:
    page = browser.get(f"{LIST}?columns=Phone&columns=City")
    labels = [given["data-label"] for given in page.attributes_of("td") if "data-label" in given]
    assert labels[:4] == ["Phone", "City", "Matches", "Here"]

    page = browser.get(f"{LIST}?created_from=2026-02-01&created_until=2026-01-01&columns=Phone")
    assert "This day is before the first one." in page.text
    assert not names(page)


def test_without_a_connection_the_page_says_what_to_do(browser: Browser, db: None) -> None:
    page = browser.get(LIST)

    assert page.links["Connect to Zoho"] == f"{BASE}/connection/connect/"


@pytest.mark.slow
def test_the_browser_is_reached_from_each_place_where_one_looks_for_it(
    browser: Browser, connection: Connection
) -> None:
    places = (
        *("", "leadconversion/", "massconversion/"),
        f"connection/{connection.pk}/change/",
    )
    for place in places:
        links = browser.get(f"{BASE}/{place}").links
        assert any(href.startswith(LIST) for href in links.values()), place
