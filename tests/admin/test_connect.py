"""The wizard that connects an organisation, and what it says of each failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.admin.models import LogEntry
from django.test import override_settings

from tests import messages
from tests.admin.pages import Browser, Page
from tests.client.raw import RawServer, answering, whole
from zoho_crm.models import Connection, EnteredClient, from_now
from zoho_crm.services import work
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator

pytestmark = pytest.mark.django_db(transaction=True)

CONNECT = "/admin/zoho_crm/connection/connect/"
CODE_BUTTON = "Connect with this code"
CONSENT_BUTTON = "Continue at Zoho"
SITE = "http://testserver"


def choose(browser: Browser, how: str = "self", **answers: str) -> Page:
    """Do the first step."""
    browser.get(CONNECT)
    return browser.press("Next", how=how, **answers)


def paste(browser: Browser, code: str, **answers: str) -> Page:
    """Do the first three steps with a self client, whose id and secret are in the settings."""
    choose(browser, **answers)
    browser.press("Next")
    return browser.press(CODE_BUTTON, code=code)


def consent(browser: Browser, zoho: Simulator, **client: str) -> str:
    """Do the first three steps by web sign-in, and accept; return where Zoho sends the browser."""
    choose(browser, "web")
    browser.press("Next", **client)
    browser.press(CONSENT_BUTTON)
    return zoho.consent(browser.response["Location"]).removeprefix(SITE)


def error_at(page: Page, field: str) -> str:
    """Return the HTML of the errors of a form field."""
    start = page.html.find(f'id="id_{field}_error"')
    return page.html[start : page.html.find("</ul>", start)] if start >= 0 else ""


def change(settings: Any, **more: Any) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, **more}


def without_settings(settings: Any, *names: str) -> None:
    change(settings, **dict.fromkeys(names, ""))


def test_a_code_connects_and_the_result_is_tried(browser: Browser, zoho: Simulator) -> None:
    messages.take_all()

    page = paste(browser, zoho.grant_code())

    connection = Connection.objects.get()
    assert browser.url == f"/admin/zoho_crm/connection/{connection.pk}/result/"
    assert "Connected to Nordwind Trading." in page.text
    assert page.text.count("✓ yes") == 7
    assert connection.org_id == zoho.organisation.id
    assert LogEntry.objects.get().get_change_message() == "Connected by a code."
    assert messages.take_all()[0].kwargs == {"connection_id": connection.pk}


def test_the_last_step_names_the_connection(browser: Browser, zoho: Simulator) -> None:
    Connection.objects.create(name="Taken", org_id="1", data_center="us", is_default=True)
    paste(browser, zoho.grant_code())
    assert "Another connection has this name." in browser.press("Finish", name="Taken").text

    page = browser.press("Finish", name="Main office", is_default="on")

    connection = Connection.objects.get(org_id=zoho.organisation.id)
    assert "Main office is ready." in page.text
    assert (connection.name, connection.is_default) == ("Main office", True)


def test_consent_connects(browser: Browser, zoho: Simulator) -> None:
    page = browser.get(consent(browser, zoho))

    assert browser.url.endswith("/result/")
    assert "Connected to Nordwind Trading." in page.text


def test_the_second_step_says_what_to_register(browser: Browser, zoho: Simulator) -> None:
    page = choose(browser, "web")

    assert f"{SITE}/zoho/oauth/callback/" in page.text
    copied = [given["data-copy"] for given in page.attributes_of("span") if "data-copy" in given]
    assert copied[:2] == [f"{SITE}/", f"{SITE}/zoho/oauth/callback/"]
    assert "read, write and tag records; convert leads" in page.text


@pytest.mark.slow
@pytest.mark.parametrize("how", ["web", "self"])
def test_a_client_may_be_entered(
    how: str, browser: Browser, zoho: Simulator, settings: Any
) -> None:
    without_settings(settings, "CLIENT_ID", "CLIENT_SECRET")
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    page = choose(browser, how)
    assert "the settings of this site have none" in browser.press("Next").text

    if how == "web":
        page = browser.get(consent(browser, zoho, **client))
    else:
        browser.press("Next", **client)
        page = browser.press(CODE_BUTTON, code=zoho.grant_code())

    assert "Connected to Nordwind Trading." in page.text
    assert Connection.objects.get().tokens.get().reveal("client_secret").reveal() == CLIENT_SECRET
    assert not EnteredClient.objects.exists()
    browser.get(f"/admin/zoho_crm/connection/{Connection.objects.get().pk}/change/")
    browser.press("Connect again")
    again = browser.get(zoho.consent(browser.response["Location"]).removeprefix(SITE))
    assert "Connected to Nordwind Trading." in again.text


def test_the_secret_of_a_client_leaves_the_database_for_zoho_only(
    browser: Browser, zoho: Simulator
) -> None:
    choose(browser)
    pages = [browser.press("Next", client_id=CLIENT_ID, client_secret="quite-secret")]
    pages.append(browser.press(CODE_BUTTON, code=zoho.grant_code()))

    kept = EnteredClient.objects.values().get()
    shown = [page.html + page.url for page in pages] + [str(browser.client.cookies), str(kept)]
    assert not [text for text in shown if "quite-secret" in text]
    assert "quite-secret" not in str(dict(browser.client.session))
    assert "The client secret is wrong." in error_at(pages[-1], "code")


def test_a_client_is_kept_for_an_hour_and_for_who_entered_it(
    browser: Browser, browser_as: Callable[..., Browser], zoho: Simulator
) -> None:
    choose(browser)
    browser.press("Next", client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
    address = browser.url

    assert "enter it again" in browser_as("connect_connection").get(address).text
    assert browser.get(address).has_button(CODE_BUTTON)
    EnteredClient.objects.update(expires_at=from_now(-1))
    assert "enter it again" in browser.get(address).text


def test_a_client_that_was_never_used_is_deleted_when_somebody_enters_the_next(
    browser: Browser, zoho: Simulator
) -> None:
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    choose(browser)
    browser.press("Next", **client)
    forgotten = EnteredClient.objects.get()
    EnteredClient.objects.update(expires_at=from_now(-1))

    choose(browser)
    browser.press("Next", **client)

    assert EnteredClient.objects.get() != forgotten


def test_a_client_that_was_never_used_is_deleted_by_the_sweep(
    browser: Browser, zoho: Simulator
) -> None:
    choose(browser)
    browser.press("Next", client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
    work.sweep()
    assert EnteredClient.objects.exists()
    EnteredClient.objects.update(expires_at=from_now(-1))

    work.sweep()

    assert not EnteredClient.objects.exists()


def test_half_a_client_is_refused(browser: Browser, zoho: Simulator) -> None:
    choose(browser)

    without_secret = browser.press("Next", client_id="1000.X")
    without_id = browser.press("Next", client_id="", client_secret="x")

    assert "A client has both an ID and a secret." in error_at(without_secret, "client_secret")
    assert "A client has both an ID and a secret." in error_at(without_id, "client_id")


def test_scopes_that_were_not_granted_are_explained(browser: Browser, zoho: Simulator) -> None:
    scopes = "ZohoCRM.modules.leads.ALL,ZohoCRM.org.READ,ZohoCRM.users.READ"

    page = paste(browser, zoho.grant_code(scopes))

    assert "Without ZohoCRM.settings.ALL nobody can: read fields and layouts" in page.text
    assert page.text.count("✗ no") == 4
    assert page.has_button("Connect again")


def test_what_the_user_may_not_read_is_said_with_a_way_out(
    browser: Browser, zoho: Simulator
) -> None:
    zoho.organisation.denied.add("Crm_Implied_View_Deals")

    page = paste(browser, zoho.grant_code())

    assert page.text.count("✗ no") == 1
    assert "an administrator gives the profile of" in page.text


def test_an_expired_code_is_refused_at_the_code(browser: Browser, zoho: Simulator) -> None:
    code = zoho.grant_code(seconds=60)
    zoho.advance(61)

    page = paste(browser, code)

    assert "it has expired or was used before" in error_at(page, "code")
    assert code not in page.html
    assert not Connection.objects.exists()


@pytest.mark.slow
def test_a_code_works_once(browser: Browser, zoho: Simulator) -> None:
    code = zoho.grant_code()
    paste(browser, code)

    page = paste(browser, code)

    assert "it has expired or was used before" in error_at(page, "code")
    assert Connection.objects.count() == 1


def test_a_client_that_zoho_does_not_know_is_refused(browser: Browser, zoho: Simulator) -> None:
    choose(browser)
    browser.press("Next", client_id="1000.NOBODY", client_secret=CLIENT_SECRET)

    page = browser.press(CODE_BUTTON, code=zoho.grant_code())

    assert "does not know this client in the data center Local" in error_at(page, "code")


def test_a_wrong_data_center_is_refused_at_the_code(browser: Browser, zoho: Simulator) -> None:
    page = paste(browser, zoho.grant_code(), data_center="eu")

    assert "from another data center: choose the one" in error_at(page, "code")
    assert "only in the data center where it was made" in page.text
    assert not Connection.objects.exists()


def test_a_wrong_environment_is_refused(browser: Browser, zoho: Simulator) -> None:
    page = paste(browser, zoho.grant_code(), environment="sandbox")

    assert "not for sandbox" in error_at(page, "code")


def test_without_a_code_nothing_is_asked(browser: Browser, zoho: Simulator) -> None:
    page = paste(browser, "")

    assert "This field is required." in error_at(page, "code")


def test_zoho_names_the_data_center_that_the_account_lives_in(
    browser: Browser, zoho: Simulator
) -> None:
    back = urlsplit(consent(browser, zoho))
    query = {**parse_qs(back.query), "location": "eu"}

    answer = browser.client.get(back.path, query)
    page = browser.get(answer["Location"])

    assert "lives in the data center Europe, not in Local." in page.text
    switched = browser.get(page.links["Switch to Europe and try again"])
    assert ("data_center", "eu") in switched.form_with(CONSENT_BUTTON).values
    assert not Connection.objects.exists()


def test_a_consent_that_is_refused_leads_back_to_the_step(
    browser: Browser, zoho: Simulator
) -> None:
    choose(browser, "web")
    browser.press("Next")
    browser.press(CONSENT_BUTTON)

    page = browser.get(zoho.consent(browser.response["Location"], accept=False))

    assert "press “Accept” there" in page.text
    assert page.has_button(CONSENT_BUTTON)


def test_a_redirect_address_that_is_not_registered_is_shown_beside_the_one_of_the_browser(
    browser: Browser, zoho: Simulator, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "REDIRECT_URI": "http://localhost/zoho/callback/"}
    back = urlsplit(consent(browser, zoho))
    zoho.fail("exchange", "error_before", status=200, body={"error": "invalid_redirect_uri"})

    page = browser.get(f"/zoho/oauth/callback/?{back.query}")

    assert "sent http://localhost/zoho/callback/" in page.text
    assert f"came back to {SITE}/zoho/oauth/callback/" in page.text


@pytest.mark.slow
def test_an_answer_that_was_used_leads_back_to_the_step(browser: Browser, zoho: Simulator) -> None:
    back = consent(browser, zoho)
    browser.get(back)

    page = browser.get(back)

    assert "was used before" in page.text
    assert page.has_button(CONSENT_BUTTON)


def test_without_an_encryption_key_the_page_says_how_to_make_one(
    browser: Browser, zoho: Simulator, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": []}

    page = paste(browser, zoho.grant_code())

    assert "There is no encryption key yet" in page.text
    assert "make a key with: manage.py zoho_new_key" in page.text
    assert zoho.stats()["tokens"]["exchanged"] == 0


def test_an_outage_of_zoho_is_reported(browser: Browser, zoho: Simulator) -> None:
    zoho.fail("exchange", "error_before", status=503, times=9)

    page = paste(browser, zoho.grant_code())

    assert page.form_with(CODE_BUTTON)
    assert 'role="alert"' in page.html
    assert not Connection.objects.exists()


@pytest.mark.slow
def test_the_checks_stop_at_an_organisation_that_cannot_be_read(
    browser: Browser, zoho: Simulator
) -> None:
    paste(browser, zoho.grant_code())
    zoho.fail("org", "error_before", status=503, times=9)

    page = browser.get(browser.url)

    assert page.text.count("○ not tried") == 4


@override_settings(ROOT_URLCONF="tests.admin.admin_only")
def test_a_site_without_our_urls_is_told_to_include_them(browser: Browser) -> None:
    page = choose(browser, "web")

    assert "First include zoho_crm.urls" in page.text


@pytest.mark.slow
def test_a_permission_to_connect_is_enough(
    browser_as: Callable[..., Browser], zoho: Simulator
) -> None:
    connector = browser_as("connect_connection")
    paste(connector, zoho.grant_code())

    page = connector.press("Finish")

    assert connector.status == 200
    assert "Nordwind Trading is ready." in page.text


@pytest.mark.slow
def test_who_did_not_make_a_connection_may_look_at_the_result_but_not_rename_it(
    browser: Browser, browser_as: Callable[..., Browser], zoho: Simulator
) -> None:
    Connection.objects.create(name="Taken", org_id="1", data_center="us", is_default=True)
    paste(browser, zoho.grant_code())
    other, result = browser_as("connect_connection"), browser.url

    page = other.get(result)
    assert page.text.count("✓ yes") == 7
    assert not page.has_button("Finish")
    other.post(result, [("name", "Mine"), ("is_default", "on")])

    assert other.status == 403
    connection = Connection.objects.get(org_id=zoho.organisation.id)
    assert (connection.name, connection.is_default) == ("Nordwind Trading", False)
    assert browser_as("connect_connection", "change_connection").get(result).has_button("Finish")


def test_one_click_connects_to_the_simulator(browser: Browser, live_zoho: Simulator) -> None:
    browser.get("/admin/zoho_crm/connection/")

    page = browser.press("Add the simulator")

    assert "Connected to Nordwind Trading." in page.text
    assert Connection.objects.get().data_center == "local"


def test_the_simulator_is_offered_where_it_is_set_up_only(
    browser: Browser, zoho: Simulator, settings: Any
) -> None:
    assert "Simulator: no account is needed" in browser.get(CONNECT).text
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "LOCAL_URL": "", "DATA_CENTER": "us"}

    assert "Simulator" not in browser.get(CONNECT).text
    assert not browser.get("/admin/zoho_crm/connection/").has_button("Add the simulator")
    page = browser.post("/admin/zoho_crm/connection/add_simulator/")
    assert "No simulator is set up" in page.text


@pytest.mark.parametrize("step", ["choice", "client", "consent"])
def test_the_ids_of_a_step_are_different(step: str, browser: Browser, zoho: Simulator) -> None:
    answers = "how=self&data_center=local&environment=production"

    page = browser.get(f"{CONNECT}?step={step}&{answers}")

    assert len(page.ids) == len(set(page.ids))


def test_an_address_with_wrong_answers_shows_the_first_step(
    browser: Browser, zoho: Simulator
) -> None:
    page = browser.get(f"{CONNECT}?step=consent&how=self&data_center=mars&environment=production")

    assert "step 1 of 4" in page.text


# The redirect address

ASK = "Check whether it answers"


def test_the_address_of_the_page_itself_is_reached_by_its_browser(
    browser: Browser, settings: Any
) -> None:
    page = choose(browser, "web")

    assert "Your browser reaches it: this page is at the same address." in page.text
    assert not page.has_button(ASK)
    assert "reaches it" not in choose(browser, "self").text


def test_another_address_is_asked_when_a_person_wants_to_know(
    browser: Browser, zoho: Simulator, settings: Any
) -> None:
    with RawServer(answering(whole(b"", status="405 Method Not Allowed"))) as server:
        change(settings, REDIRECT_URI=f"{server.origin}/zoho/oauth/callback/")
        page = choose(browser, "web")
        assert "reaches it" not in page.text
        assert server.requests == []

        page = browser.press(ASK)

        assert "It answers." in page.text
        assert len(server.requests) == 1
        assert error_at(page, "client_id") == ""
        assert "step 2 of 4" in page.text

    page = browser.press(ASK)
    assert "It could not be reached from here, which need not be wrong" in page.text
    assert browser.press("Next").has_button(CONSENT_BUTTON)


def test_an_address_of_another_site_is_named(browser: Browser, settings: Any) -> None:
    with RawServer(answering(whole(b"", status="404 Not Found"))) as server:
        change(settings, REDIRECT_URI=f"{server.origin}/zoho/oauth/callback/")
        choose(browser, "web")

        assert "There is no page at this address (404)" in browser.press(ASK).text


def test_nothing_that_a_request_names_is_asked(browser: Browser, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    choose(browser, "web")
    with RawServer(answering(whole(b""))) as server:
        browser.client.defaults["HTTP_HOST"] = server.host
        page = browser.post(browser.url, [("ask", "1")])

        assert f"http://{server.host}/zoho/oauth/callback/" in page.text
        assert server.requests == []
