"""An administrator connects the site to Zoho in the browser; and all that can go wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from zoho_crm.models import AuthorizationRequest, Connection, ConnectionEvent, Token, from_now
from zoho_crm.simulator import Simulator

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

CONNECT = reverse("zoho_crm:connect")
HOME = reverse("admin:zoho_crm_connection_changelist")
CODES_OF_OTHERS = "1000.0123456789abcdef.0123456789abcdef"


@pytest.fixture
def pat(employ: Callable[..., User]) -> User:
    return employ("pat", "connect_connection", "view_connection")


@pytest.fixture
def browser(pat: User, sit_down: Callable[[User], Client]) -> Client:
    return sit_down(pat)


def ask(browser: Client, **form: Any) -> str:
    """Press *Connect*; return the address of Zoho's page."""
    return str(browser.post(CONNECT, form)["Location"])


def go(browser: Client, address: str) -> tuple[str, str]:
    """Follow Zoho back to the site; return where that leads to, and what is said."""
    answer = browser.get(address)
    said = " ".join(map(str, get_messages(answer.wsgi_request)))
    return answer["Location"], said


def exchanges(zoho: Simulator) -> int:
    return int(zoho.stats()["tokens"]["exchanged"])


def test_pressing_connect_and_accept_connects_the_organisation(
    browser: Client, zoho: Simulator, pat: User
) -> None:
    back = zoho.consent(ask(browser, name="Head office"))

    leads_to, said = go(browser, back)

    connection = Connection.objects.get()
    assert (leads_to, said) == (HOME, "Connected to Head office.")
    assert connection.org_id == zoho.organisation.id
    assert (connection.data_center, connection.environment) == ("local", "production")
    assert connection.is_default
    assert connection.events.get().kind == ConnectionEvent.Kind.CONNECTED
    assert connection.events.get().by == pat


def test_zoho_is_asked_for_lasting_consent_with_a_proof(browser: Client, zoho: Simulator) -> None:
    address = urlsplit(ask(browser))

    query = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert f"{address.scheme}://{address.netloc}" == zoho.origin
    assert query["redirect_uri"] == "http://testserver/zoho/oauth/callback/"
    assert (query["access_type"], query["prompt"]) == ("offline", "consent")
    assert query["code_challenge_method"] == "S256"


def test_neither_the_state_nor_a_secret_is_stored_as_it_is(
    browser: Client, zoho: Simulator
) -> None:
    address = ask(browser)
    state = parse_qs(urlsplit(address).query)["state"][0]
    go(browser, zoho.consent(address))

    (access,), (refresh,) = zoho.world.grants.access_tokens, zoho.world.grants.refresh_tokens
    stored = [*AuthorizationRequest.objects.values(), *Token.objects.values()]
    assert not [s for s in (state, access, refresh, "simulator-secret") if s in str(stored)]


def test_the_person_comes_back_to_where_they_were(browser: Client, zoho: Simulator) -> None:
    back = zoho.consent(ask(browser, next="/admin/?from=here"))

    assert go(browser, back)[0] == "/admin/?from=here"


def test_connecting_again_keeps_the_connection_and_says_so(
    browser: Client, zoho: Simulator
) -> None:
    go(browser, zoho.consent(ask(browser)))
    connection = Connection.objects.get()
    Connection.objects.update(status=Connection.Status.NEEDS_RECONNECT)

    go(browser, zoho.consent(ask(browser, connection=connection.pk)))

    connection.refresh_from_db()
    assert connection.status == Connection.Status.ACTIVE
    kinds = list(connection.events.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["connected", "reconnected"]


def test_connecting_again_must_come_back_with_the_same_organisation(
    browser: Client, zoho: Simulator
) -> None:
    go(browser, zoho.consent(ask(browser)))
    connection = Connection.objects.get()
    zoho.reset()

    _leads_to, said = go(browser, zoho.consent(ask(browser, connection=connection.pk)))

    assert "another organisation" in said
    assert Connection.objects.get() == connection


def test_a_consent_that_is_denied_connects_nothing(browser: Client, zoho: Simulator) -> None:
    back = zoho.consent(ask(browser), accept=False)

    leads_to, said = go(browser, back)

    assert leads_to == HOME
    assert "the consent was not given" in said
    assert not Connection.objects.exists()


def test_a_callback_that_nobody_asked_for_is_refused(browser: Client, zoho: Simulator) -> None:
    query = {"code": CODES_OF_OTHERS, "location": "local", "accounts-server": zoho.origin}
    forged = reverse("zoho_crm:callback", query={"state": "forged", **query})

    _leads_to, said = go(browser, forged)

    assert "was used before or was started in another session" in said
    assert exchanges(zoho) == 0


def test_a_callback_works_once(browser: Client, zoho: Simulator) -> None:
    back = zoho.consent(ask(browser))
    go(browser, back)

    _leads_to, said = go(browser, back)

    assert "was used before or was started in another session" in said
    assert exchanges(zoho) == 1
    assert Connection.objects.get().status == Connection.Status.ACTIVE


@pytest.mark.parametrize(
    "forged",
    [
        "https://accounts.zoho.example",
        "https://accounts.zoho.com.evil.example",
        "https://accounts.zoho.eu@evil.example",
        "http://accounts.zoho.eu",
        "//evil.example",
    ],
)
def test_the_secret_is_sent_to_no_server_that_is_not_zohos(
    browser: Client, zoho: Simulator, forged: str
) -> None:
    back = zoho.consent(ask(browser))
    path, query = urlsplit(back).path, parse_qs(urlsplit(back).query)
    query["accounts-server"] = [forged]

    answer = browser.get(path, query)

    assert "Not connected." in " ".join(map(str, get_messages(answer.wsgi_request)))
    assert zoho.stats()["tokens"] == {"exchanged": 0, "refreshed": 0, "refused": 0}
    assert not Connection.objects.exists()


def test_a_server_and_a_location_that_disagree_are_refused(
    browser: Client, zoho: Simulator
) -> None:
    back = zoho.consent(ask(browser))
    path, query = urlsplit(back).path, parse_qs(urlsplit(back).query)
    query["location"] = ["eu"]

    browser.get(path, query)

    assert exchanges(zoho) == 0
    assert not Connection.objects.exists()


def test_a_callback_that_says_something_twice_is_refused(browser: Client, zoho: Simulator) -> None:
    back = zoho.consent(ask(browser))

    _leads_to, said = go(browser, f"{back}code={CODES_OF_OTHERS}")

    assert "says something twice" in said
    assert exchanges(zoho) == 0


def test_the_answer_counts_in_the_session_that_asked_only(
    browser: Client, zoho: Simulator, pat: User, sit_down: Callable[[User], Client]
) -> None:
    back = zoho.consent(ask(browser))

    _leads_to, said = go(sit_down(pat), back)

    assert "was used before or was started in another session" in said
    assert not Connection.objects.exists()


def test_nobody_takes_up_the_consent_of_somebody_else(
    browser: Client, zoho: Simulator, employ: Callable[..., User]
) -> None:
    back = zoho.consent(ask(browser))
    browser.force_login(employ("mallory", "connect_connection", "view_connection"))

    _leads_to, said = go(browser, back)

    assert "was used before or was started in another session" in said
    assert not Connection.objects.exists()


def test_a_question_is_good_for_ten_minutes(browser: Client, zoho: Simulator) -> None:
    back = zoho.consent(ask(browser))
    AuthorizationRequest.objects.update(expires_at=from_now(-1))

    _leads_to, said = go(browser, back)

    assert "was used before or was started in another session" in said
    assert exchanges(zoho) == 0


def test_a_code_that_zoho_no_longer_knows_connects_nothing(
    browser: Client, zoho: Simulator
) -> None:
    back = zoho.consent(ask(browser))
    zoho.advance(600)

    _leads_to, said = go(browser, back)

    assert said.startswith("Not connected. Zoho did not accept the code")
    assert not Connection.objects.exists()


def test_a_wrong_client_secret_is_said_to_be_wrong(
    browser: Client, zoho: Simulator, settings: Any
) -> None:
    back = zoho.consent(ask(browser))
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CLIENT_SECRET": "mistyped"}

    _leads_to, said = go(browser, back)

    assert "The client secret is wrong. Copy it again" in said


def test_zoho_being_down_connects_nothing_and_says_so(browser: Client, zoho: Simulator) -> None:
    back = zoho.consent(ask(browser))
    zoho.fail("exchange", "error_before", status=503)

    _leads_to, said = go(browser, back)

    assert said.startswith("Not connected. ")
    assert not Connection.objects.exists()


@pytest.mark.parametrize("missing", ["CLIENT_ID", "CLIENT_SECRET", "ENCRYPTION_KEYS"])
def test_without_its_settings_nobody_is_sent_to_zoho(
    browser: Client, zoho: Simulator, settings: Any, missing: str
) -> None:
    del settings.ZOHO_CRM[missing]

    answer = browser.post(CONNECT)

    assert answer["Location"] == HOME
    assert missing in " ".join(map(str, get_messages(answer.wsgi_request)))


def test_a_key_that_is_lost_on_the_way_connects_nothing(
    browser: Client, zoho: Simulator, settings: Any
) -> None:
    back = zoho.consent(ask(browser))
    del settings.ZOHO_CRM["ENCRYPTION_KEYS"]

    _leads_to, said = go(browser, back)

    assert said.startswith("Not connected. ")
    assert exchanges(zoho) == 0


def test_connecting_takes_a_permission_of_its_own(
    zoho: Simulator, employ: Callable[..., User], sit_down: Callable[[User], Client]
) -> None:
    browser = sit_down(employ("kim", "view_connection", "change_connection"))

    assert browser.post(CONNECT).status_code == 403
    assert browser.get(reverse("zoho_crm:callback")).status_code == 403
    assert not AuthorizationRequest.objects.exists()


def test_a_permission_that_is_taken_away_on_the_way_is_gone(
    browser: Client, zoho: Simulator, pat: User
) -> None:
    back = zoho.consent(ask(browser))
    pat.user_permissions.clear()

    assert browser.get(back).status_code == 403
    assert exchanges(zoho) == 0


def test_who_is_not_logged_in_has_to_log_in(zoho: Simulator, db: None) -> None:
    answer = Client().post(CONNECT)

    assert answer["Location"] == f"{reverse('admin:login')}?next={CONNECT}"
    assert not AuthorizationRequest.objects.exists()


def test_a_link_connects_nothing(browser: Client, zoho: Simulator) -> None:
    assert browser.get(CONNECT)["Location"] == f"{HOME}connect/"
    assert not AuthorizationRequest.objects.exists()


def test_another_site_connects_nothing(
    zoho: Simulator, pat: User, sit_down: Callable[..., Client]
) -> None:
    browser = sit_down(pat, enforce_csrf_checks=True)

    assert browser.post(CONNECT).status_code == 403
    assert not AuthorizationRequest.objects.exists()


def test_two_tabs_ask_two_questions_and_both_are_answered(browser: Client, zoho: Simulator) -> None:
    first, second = ask(browser), ask(browser)

    go(browser, zoho.consent(second))
    go(browser, zoho.consent(first))

    connection = Connection.objects.get()
    assert connection.tokens.count() == 1
    assert connection.events.count() == 2
