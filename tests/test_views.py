"""The two views of the web flow by themselves; `journeys/test_connecting.py` goes all the way."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection as database
from django.test import Client, RequestFactory
from django.urls import reverse

from tests import messages
from zoho_crm import views
from zoho_crm.models import AuthorizationRequest, Connection
from zoho_crm.simulator import Simulator

CONNECT = reverse("zoho_crm:connect")
CALLBACK = reverse("zoho_crm:callback")
HOME = reverse("admin:zoho_crm_connection_changelist")


def said(answer: Any) -> str:
    return " ".join(map(str, get_messages(answer.wsgi_request)))


def query_of(answer: Any) -> dict[str, str]:
    pairs = parse_qs(urlsplit(answer["Location"]).query)
    return {name: values[0] for name, values in pairs.items()}


@pytest.mark.parametrize("place", ["/admin/", "/reports/?page=2", "/ü/"])
def test_the_place_to_come_back_to_is_remembered(
    admin_client: Client, zoho: Simulator, place: str
) -> None:
    admin_client.post(CONNECT, {"next": place})

    assert AuthorizationRequest.objects.get().next_path == place


@pytest.mark.parametrize(
    "place",
    [
        "",
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "javascript:alert(1)",
        "reports/",
        "/\r\nSet-Cookie: a=b",
        "/\x00",
        "/" + "x" * 500,
    ],
)
def test_a_place_on_another_site_or_that_is_none_is_not(
    admin_client: Client, zoho: Simulator, place: str
) -> None:
    admin_client.post(CONNECT, {"next": place})

    assert AuthorizationRequest.objects.get().next_path == HOME


def test_what_the_form_does_not_say_is_taken_from_the_settings(
    admin_client: Client, zoho: Simulator, settings: Any
) -> None:
    settings.ZOHO_CRM |= {"DATA_CENTER": "eu", "ENVIRONMENT": "sandbox"}

    answer = admin_client.post(CONNECT)

    request = AuthorizationRequest.objects.get()
    assert (request.data_center, request.environment) == ("eu", "sandbox")
    assert answer["Location"].startswith("https://accounts.zoho.eu/oauth/v2/auth?")


def test_what_the_form_says_goes_before_the_settings(admin_client: Client, zoho: Simulator) -> None:
    form = {"data_center": "jp", "environment": "developer", "name": "Tokyo"}

    answer = admin_client.post(CONNECT, form)

    request = AuthorizationRequest.objects.get()
    assert (request.environment, request.name) == ("developer", "Tokyo")
    assert answer["Location"].startswith("https://accounts.zoho.jp/oauth/v2/auth?")


@pytest.mark.parametrize(
    ("form", "complaint"),
    [
        ({"data_center": "mars"}, "Data center: Select a valid choice."),
        ({"environment": "playground"}, "Environment: Select a valid choice."),
        ({"name": "x" * 101}, "Name: Ensure this value has at most 100 characters"),
        ({"connection": "4711"}, "Select a valid choice."),
    ],
)
def test_a_wrong_form_is_refused_with_a_sentence(
    admin_client: Client, zoho: Simulator, form: dict[str, str], complaint: str
) -> None:
    answer = admin_client.post(CONNECT, {"next": "/admin/", **form})

    assert answer["Location"] == "/admin/"
    assert complaint in said(answer)
    assert not AuthorizationRequest.objects.exists()


def test_a_data_center_of_the_settings_that_does_not_exist_is_named(
    admin_client: Client, zoho: Simulator, settings: Any
) -> None:
    settings.ZOHO_CRM |= {"DATA_CENTER": "mars"}

    assert "There is no data center “mars”" in said(admin_client.post(CONNECT))


def test_zoho_sends_the_browser_back_to_the_address_of_the_settings(
    admin_client: Client, zoho: Simulator, settings: Any
) -> None:
    registered = "http://localhost:8000/zoho/oauth/callback/"
    settings.ZOHO_CRM |= {"REDIRECT_URI": registered}

    answer = admin_client.post(CONNECT)
    back = zoho.consent(answer["Location"])
    admin_client.get(CALLBACK, parse_qs(urlsplit(back).query))

    assert query_of(answer)["redirect_uri"] == registered
    assert Connection.objects.exists()


def test_without_pkce_no_proof_is_asked_for(
    admin_client: Client, zoho: Simulator, settings: Any
) -> None:
    settings.ZOHO_CRM |= {"PKCE": False}

    answer = admin_client.post(CONNECT)
    admin_client.get(zoho.consent(answer["Location"]))

    assert "code_challenge" not in query_of(answer)
    assert Connection.objects.exists()


def test_who_is_known_without_a_session_gets_one(admin_user: User, zoho: Simulator) -> None:
    request: Any = RequestFactory().post(CONNECT)
    request.user, request.session = admin_user, SessionStore()
    request._dont_enforce_csrf_checks = True

    answer = views.start(request)

    assert answer["Location"].startswith(zoho.origin)
    assert request.session.modified


def test_zoho_is_never_asked_inside_the_transaction_of_a_request(
    admin_client: Client, zoho: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(database.settings_dict, "ATOMIC_REQUESTS", True)

    admin_client.get(zoho.consent(admin_client.post(CONNECT)["Location"]))

    assert Connection.objects.exists()


def test_the_callback_can_only_be_got(admin_client: Client, zoho: Simulator) -> None:
    assert admin_client.post(CALLBACK).status_code == 405


def test_a_callback_that_says_nothing_is_refused(admin_client: Client, zoho: Simulator) -> None:
    answer = admin_client.get(CALLBACK)

    assert answer["Location"] == HOME
    assert said(answer).startswith("Not connected. ")


def test_what_waited_for_the_connection_is_worked_once_it_is_back(
    admin_client: Client, zoho: Simulator, django_capture_on_commit_callbacks: Any
) -> None:
    back = zoho.consent(admin_client.post(CONNECT)["Location"])
    messages.take_all()

    with django_capture_on_commit_callbacks(execute=True):
        admin_client.get(back)

    connection = Connection.objects.get()
    awake = ("work_connection", {"connection_id": connection.pk})
    assert [(message.task, message.kwargs) for message in messages.take_all()] == [awake]
