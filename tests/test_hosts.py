"""The web flow in projects other than ours: without the admin, messages or a log-in page."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client, override_settings
from django.urls import reverse

from testproject import settings as ours
from tests.admin.pages import Page
from zoho_crm import views
from zoho_crm.models import AuthorizationRequest, Connection
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db

ADMIN, MESSAGES = "django.contrib.admin", "django.contrib.messages"
LOG_IN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"


def without(values: list[str], *names: str) -> list[str]:
    return [value for value in values if not value.startswith(names)]


NO_ADMIN = {
    "ROOT_URLCONF": "tests.hosts.no_admin",
    "INSTALLED_APPS": without(ours.INSTALLED_APPS, ADMIN),
    "LOGIN_URL": "/accounts/login/",
}
HOSTS: dict[str, dict[str, Any]] = {
    "no admin": NO_ADMIN,
    "no messages": {
        **NO_ADMIN,
        "INSTALLED_APPS": without(ours.INSTALLED_APPS, ADMIN, MESSAGES),
        "MIDDLEWARE": without(ours.MIDDLEWARE, MESSAGES),
        "TEMPLATES": [{**ours.TEMPLATES[0], "OPTIONS": {}}],
    },
    "own log-in page": {**NO_ADMIN, "ROOT_URLCONF": "tests.hosts.own_log_in"},
    "admin of other models": {
        "ROOT_URLCONF": "tests.hosts.other_admin",
        "LOGIN_URL": "/accounts/login/",
    },
    "admin of another name": {"ROOT_URLCONF": "tests.hosts.renamed_admin"},
    "everybody logs in": {**NO_ADMIN, "MIDDLEWARE": [*ours.MIDDLEWARE, LOG_IN_REQUIRED]},
    "sessions in cookies": {
        **NO_ADMIN,
        "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
        "SESSION_SAVE_EVERY_REQUEST": True,
    },
}
#: Those whose admin shows nothing of the flow.
OWN_PAGES = sorted(HOSTS.keys() - {"admin of another name"})


@pytest.fixture(autouse=True)
def host(request: pytest.FixtureRequest, settings: Any) -> str:
    """Be the project that the test is parametrized with, else our own."""
    name: str = getattr(request, "param", "")
    for setting, value in HOSTS.get(name, {}).items():
        setattr(settings, setting, value)
    return name


@pytest.fixture
def pat(db: None, host: str) -> User:
    """May connect, and works in the admin where there is one."""
    user = User.objects.create_user("pat", is_staff=True)
    codenames = ("connect_connection", "view_connection")
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


@pytest.fixture
def browser(pat: User) -> Client:
    client = Client()
    client.force_login(pat)
    return client


def address(name: str) -> str:
    return reverse(f"zoho_crm:{name}")


def asked(browser: Client, **form: str) -> str:
    """Press *Connect*; return the address of Zoho's page."""
    return str(browser.post(address("connect"), form)["Location"])


def page_of(answer: Any) -> Page:
    return Page(answer.content.decode())


@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_an_organisation_is_connected_in_any_project(
    browser: Client, zoho: Simulator, host: str
) -> None:
    back = zoho.consent(asked(browser, name="Head office"))
    answer = browser.get(back, follow=True)

    assert (answer.status_code, Connection.objects.get().name) == (200, "Head office")
    assert "Connected to Head office." in page_of(answer).text
    assert "code=" not in answer.request["QUERY_STRING"]


@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_what_fails_is_explained_in_any_project(
    browser: Client, zoho: Simulator, host: str
) -> None:
    answer = browser.get(zoho.consent(asked(browser), accept=False), follow=True)

    assert "Not connected. Zoho reports that the consent was not given." in page_of(answer).text
    assert answer.status_code == (400 if host in OWN_PAGES else 200)


@pytest.mark.parametrize("host", OWN_PAGES, indirect=True)
def test_the_page_that_says_so_leads_to_another_try(
    browser: Client, zoho: Simulator, host: str
) -> None:
    failed = page_of(browser.get(address("callback")))
    form = page_of(browser.get(failed.links["Connect again"])).form_with("Continue at Zoho")
    answer = browser.post(form.action, dict(form.values))

    assert answer["Location"].startswith(zoho.origin)


@pytest.mark.parametrize("host", ["admin of another name"], indirect=True)
def test_where_the_admin_shows_connections_its_page_has_the_form(
    browser: Client, zoho: Simulator
) -> None:
    assert browser.get(address("connect"))["Location"] == "/office/zoho_crm/connection/connect/"


@pytest.mark.parametrize("host", OWN_PAGES, indirect=True)
def test_pages_have_one_heading_and_nothing_inline(
    browser: Client, zoho: Simulator, host: str
) -> None:
    answers = [
        browser.get(address("connect")),
        browser.get(address("callback")),
        Client().get(address("callback")),
        browser.get(zoho.consent(asked(browser)), follow=True),
    ]

    for page in map(page_of, answers):
        assert len(page.attributes_of("h1")) == len(page.attributes_of("main")) == 1
        assert not page.attributes_of("script") + page.attributes_of("style")
        assert not [given for _tag, given in page.tags if "style" in given]
        assert len(page.ids) == len(set(page.ids))


@pytest.mark.parametrize("host", ["no messages"], indirect=True)
def test_the_place_to_come_back_to_comes_before_our_page(browser: Client, zoho: Simulator) -> None:
    back = zoho.consent(asked(browser, next="/orders/"))

    assert browser.get(back)["Location"] == "/orders/"


@pytest.mark.parametrize(
    ("host", "leads_to"),
    [
        ("no admin", ""),
        ("everybody logs in", ""),
        ("admin of other models", "/office/login/"),
        ("own log-in page", "/accounts/login/"),
    ],
    indirect=["host"],
)
def test_who_is_not_signed_in_is_sent_to_a_page_that_exists(
    zoho: Simulator, host: str, leads_to: str
) -> None:
    begun = Client().post(address("connect"))
    back = Client().get(address("callback"), {"state": "s", "code": "1000.the-code"})
    links = page_of(back).links

    if leads_to:
        expected = f"{leads_to}?next=/crm/oauth/connect/"
        assert (begun["Location"], links) == (expected, {"Sign in and connect again": expected})
    else:
        assert begun.status_code == 403
        assert "Sign in to this site first." in page_of(begun).text
        assert links == {}


@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_without_a_session_the_callback_says_what_happened_and_passes_no_code_on(
    zoho: Simulator, browser: Client, host: str
) -> None:
    back = zoho.consent(asked(browser))
    browser.logout()
    answer = browser.get(back)

    [code] = parse_qs(urlsplit(back).query)["code"]
    assert answer.status_code == 403
    assert "the session has ended. Sign in, then connect again." in page_of(answer).text
    assert code not in answer.content.decode() + str(answer.headers)
    assert not Connection.objects.exists()


@override_settings(SESSION_COOKIE_SAMESITE="Strict")
def test_a_cookie_that_is_kept_back_is_sent_when_the_user_continues(
    browser: Client, zoho: Simulator
) -> None:
    back = zoho.consent(asked(browser))

    # The browser comes from Zoho's site, then from ours.
    page = page_of(Client().get(back))
    answer = browser.get(back)

    assert 'SESSION_COOKIE_SAMESITE = "Strict"' in page.text
    assert page.links["Continue"] == ""
    assert answer.status_code == 302
    assert Connection.objects.exists()


def test_a_parameter_that_is_given_twice_spends_the_state(browser: Client, zoho: Simulator) -> None:
    back = zoho.consent(asked(browser))

    browser.get(f"{back}&code=1000.another")
    browser.get(back)

    assert AuthorizationRequest.objects.get().used_at is not None
    assert zoho.stats()["tokens"]["exchanged"] == 0
    assert not Connection.objects.exists()


def test_a_state_that_is_given_twice_spends_those_of_this_session_only(
    browser: Client, admin_client: Client, zoho: Simulator
) -> None:
    mine, theirs = (zoho.consent(asked(client)) for client in (browser, admin_client))
    [other] = parse_qs(urlsplit(theirs).query)["state"]

    browser.get(f"{mine}&state={other}")
    admin_client.get(theirs)

    assert AuthorizationRequest.objects.filter(used_at=None).count() == 0
    assert Connection.objects.get().events.get().by.username == "admin"


def answers_of_the_flow(browser: Client, zoho: Simulator, pat: User) -> dict[str, Any]:
    connect, callback = address("connect"), address("callback")
    checked = Client(enforce_csrf_checks=True)
    checked.force_login(pat)
    kim = Client()
    kim.force_login(User.objects.create_user("kim"))
    return {
        "form": browser.get(connect),
        "refused form": browser.post(connect, {"data_center": "mars"}),
        "to Zoho": browser.post(connect),
        "connected": (made := browser.get(zoho.consent(asked(browser)))),
        "shown": browser.get(made["Location"]),
        "failed": browser.get(callback),
        "twice": browser.get(f"{callback}?code=1&code=2"),
        "wrong method": browser.post(callback),
        "forged form": checked.post(connect),
        "no permission": kim.get(callback),
        "no permission to begin": kim.post(connect),
        "nobody": Client().get(callback),
        "nobody begins": Client().post(connect),
    }


@pytest.mark.parametrize(
    "host", ["no messages", "own log-in page", "everybody logs in"], indirect=True
)
def test_no_answer_is_cached_or_sent_on_as_a_referrer(
    browser: Client, zoho: Simulator, pat: User, host: str
) -> None:
    answers = answers_of_the_flow(browser, zoho, pat)

    assert {name for name, a in answers.items() if "no-store" not in a["Cache-Control"]} == set()
    assert {name for name, a in answers.items() if a["Referrer-Policy"] != "no-referrer"} == set()
    assert [answers[name].status_code for name in ("wrong method", "forged form", "nobody")] == [
        405,
        403,
        403,
    ]


NOT_ENCRYPTED = "SECURE_PROXY_SSL_HEADER"
HAS_LANGUAGE = "i18n_patterns"
BEHIND_TLS = {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}


def page_to_register(browser: Client, **options: Any) -> str:
    """Return the text of the page with the redirect address: in the admin it is the second step."""
    answer: Any = browser.get(address("connect"), follow=True, **options)
    if answer.redirect_chain:
        query = "step=client&how=web&data_center=local&environment=production"
        answer = browser.get(f"{answer.request['PATH_INFO']}?{query}", **options)
    return page_of(answer).text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (BEHIND_TLS, []),
        ({}, [NOT_ENCRYPTED]),
        ({**BEHIND_TLS, "ROOT_URLCONF": "tests.hosts.languages"}, [HAS_LANGUAGE]),
        ({"ROOT_URLCONF": "tests.hosts.languages"}, [NOT_ENCRYPTED, HAS_LANGUAGE]),
        (NO_ADMIN, [NOT_ENCRYPTED]),
    ],
)
def test_an_address_that_should_not_be_registered_is_explained(
    browser: Client, zoho: Simulator, changes: Any, expected: list[str]
) -> None:
    headers = {"x-forwarded-proto": "https"}
    with override_settings(**changes):
        text = page_to_register(browser, headers=headers)

    scheme = "http" if NOT_ENCRYPTED in expected else "https"
    assert re.search(rf"\b{scheme}://testserver(:80)?/\S*oauth/callback/", text)
    assert [word for word in (NOT_ENCRYPTED, HAS_LANGUAGE) if word in text] == expected
    assert text.count("ZOHO_CRM['REDIRECT_URI']") == len(expected)


@override_settings(ROOT_URLCONF="tests.hosts.languages")
def test_an_address_of_the_settings_is_as_it_should_be(
    browser: Client, zoho: Simulator, settings: Any
) -> None:
    registered = "https://crm.example/zoho/oauth/callback/"
    settings.ZOHO_CRM |= {"REDIRECT_URI": registered}

    text = page_to_register(browser)

    assert registered in text
    assert not [word for word in (NOT_ENCRYPTED, HAS_LANGUAGE) if word in text]


def test_this_machine_needs_no_encryption(browser: Client, zoho: Simulator) -> None:
    text = page_to_register(browser, headers={"host": "localhost:8000"})

    assert "http://localhost:8000/" in text
    assert NOT_ENCRYPTED not in text


@pytest.mark.slow
def test_a_project_with_little_more_than_users_and_sessions_connects() -> None:
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.hosts.bare"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert answer.returncode == 0, answer.stderr
    assert "Connected to Nordwind Trading." in answer.stdout


ODD_PARAMETERS = [
    "%00",
    "%ED%A0%80",
    "%FF",
    "x" * 50_000,
    "http://[",
    "//",
    "%0D%0Aa:b",
    "us%00",
    "%",
]


@pytest.mark.slow
@pytest.mark.parametrize("host", ["no messages"], indirect=True)
@pytest.mark.parametrize("name", views.CALLBACK_PARAMETERS)
def test_an_odd_parameter_of_the_callback_is_refused(
    browser: Client, zoho: Simulator, name: str
) -> None:
    for value in ODD_PARAMETERS:
        query = parse_qs(urlsplit(zoho.consent(asked(browser))).query)
        others = urlencode({key: values[0] for key, values in query.items() if key != name})

        answer = browser.get(f"{address('callback')}?{others}&{name}={value}")

        assert answer.status_code == 400, value
        assert "Not connected." in page_of(answer).text
    assert zoho.stats()["tokens"]["exchanged"] == 0
