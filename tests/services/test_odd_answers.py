"""
Answers of Zoho with odd values, while connecting and refreshing.

Whatever Zoho says, an organisation is connected with what could be used, or nothing is: then the
consent, which is used up, is taken back, and the error says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.parameters import long, mostly_long
from zoho_crm.exceptions import ServerError, TransientError, ZohoError
from zoho_crm.models import Connection, LeadConversion, Token
from zoho_crm.services import clients, convert, tokens, work
from zoho_crm.services.connect import check_connection, with_grant_code
from zoho_crm.simulator import Simulator
from zoho_crm.types import Secret, is_record_id

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

DEEP = 700
#: JSON values, as they are in an answer.
ODD_VALUES = {
    "null": "null",
    "true": "true",
    "zero": "0",
    "negative": "-1",
    "huge": "1" + "0" * 30,
    "4,000 digits": "9" * 4000,
    "5,000 digits": "9" * 5000,
    "fraction": "0.5",
    "too large a fraction": "1e400",
    "infinity": "Infinity",
    "not a number": "NaN",
    "empty text": '""',
    "NUL inside": r'"1000.a\u0000b"',
    "surrogate inside": r'"1000.a\udfffb"',
    "line end": r'"1000.a\r\nX-Other: b"',
    "trailing line end": r'"1000.a\n"',
    "letters beyond ASCII": r'"1000.\u00fc"',
    "digits in a text": '"' + "9" * 5000 + '"',
    "long text": '"' + "x" * 100_000 + '"',
    "list": "[]",
    "list of null": "[null]",
    "object": "{}",
    "object with an id": '{"id": "4150868000000225001"}',
    "deep list": "[" * DEEP + "]" * DEEP,
    "deep object": '{"a":' * DEEP + "1" + "}" * DEEP,
}
TOKEN_FIELDS = (
    "access_token",
    "refresh_token",
    "api_domain",
    "expires_in",
    "expires_in_sec",
    "scope",
    "other",
)
#: Paths in the answers that are read with the new token.
READ_FIELDS = (
    ("org", "org"),
    ("org", "org.0"),
    ("org", "org.0.id"),
    ("org", "org.0.company_name"),
    ("org", "org.0.type"),
    ("org", "org.0.license_details"),
    ("org", "org.0.license_details.paid_type"),
    ("org", "org.0.license_details.users_license_purchased"),
    ("users", "users"),
    ("users", "users.0"),
    ("users", "users.0.id"),
    ("users", "users.0.full_name"),
    ("users", "users.0.email"),
    ("metadata", "fields"),
    ("metadata", "fields.0.api_name"),
)
#: One of each kind: the others take long, and belong to ``make long``.
QUICK_FIELDS = [
    ("exchange", "refresh_token"),
    ("exchange", "expires_in"),
    ("org", "org.0.id"),
    ("users", "users.0.full_name"),
]


@pytest.fixture
def zoho(zoho: Simulator) -> Simulator:
    """A simulator that gives any number of tokens."""
    zoho.tune(token_quota_seconds=0)
    return zoho


def result_of(call: Callable[[], Any]) -> Any:
    """Return what a call returns, or the error of Zoho that it raises."""
    try:
        return call()
    except ZohoError as error:
        return error


def forget() -> None:
    """Delete what is connected."""
    for connection in Connection.objects.all():
        connection.events.all().delete()
        connection.tokens.all().delete()
        connection.delete()


def check_connecting(zoho: Simulator, on: str, path: str, value: str) -> None:
    """Connect while an answer has this JSON text at a path; check what is stored and revoked."""
    zoho.fail(on, "amend", body={path: value})

    result = result_of(lambda: with_grant_code(code=zoho.grant_code(), data_center="local"))

    if isinstance(result, Connection):
        result.refresh_from_db()
        assert is_record_id(result.org_id)
        assert clients.client_for(result).organisation().id == zoho.organisation.id
    elif path == "refresh_token":
        assert zoho.world.grants.access_tokens == {}
        assert "Zoho still has the consent. To end it," in str(result)
    else:
        assert zoho.world.grants.refresh_tokens == {}
        assert "The consent was taken back at Zoho." in str(result)
    assert Connection.objects.count() == Token.objects.count() == isinstance(result, Connection)
    forget()
    zoho.world.grants.refresh_tokens.clear()
    zoho.world.grants.access_tokens.clear()
    zoho.heal()


@pytest.mark.parametrize(
    ("on", "path"),
    mostly_long([*(("exchange", name) for name in TOKEN_FIELDS), *READ_FIELDS], quick=QUICK_FIELDS),
)
def test_an_odd_answer_connects_or_takes_the_consent_back(
    zoho: Simulator, on: str, path: str, subtests: Any
) -> None:
    for name, value in ODD_VALUES.items():
        with subtests.test(name):
            check_connecting(zoho, on, path, value)


@pytest.mark.parametrize("path", ["access_token", long("api_domain"), "expires_in", long("scope")])
def test_a_refresh_with_an_odd_answer_changes_nothing_or_works(
    connection: Connection, zoho: Simulator, path: str, subtests: Any
) -> None:
    for name, value in ODD_VALUES.items():
        with subtests.test(name):
            check_refresh(connection, zoho, path, value)


def check_refresh(connection: Connection, zoho: Simulator, path: str, value: str) -> None:
    Token.objects.update(expires_at=None, throttled_until=None)
    before = Token.objects.values().get()
    zoho.fail("refresh", "amend", body={path: value})

    result = result_of(lambda: tokens.access_token(connection_id=connection.pk))

    if isinstance(result, Secret):
        assert result.reveal() in zoho.world.grants.access_tokens
    else:
        assert isinstance(result, TransientError)
        assert Token.objects.values().get() == before
    assert clients.client_for(connection).organisation().id == connection.org_id
    zoho.heal()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("value", ["null", r'"1000.a\r\nX-Other: b"', long('"ü"'), long("[]")])
def test_a_refresh_with_an_odd_answer_costs_no_lead(
    connection: Connection, zoho: Simulator, value: str, later: Callable[[float], None]
) -> None:
    row = convert.request(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    Token.objects.update(expires_at=None)
    zoho.fail("refresh", "amend", body={"access_token": value}, times=3)

    for _turn in range(20):
        for connection_id in work.sweep():
            work.work(connection_id=connection_id)
        later(30)

    row.refresh_from_db()
    assert (row.status, row.retry_count) == (LeadConversion.Status.CONVERTED, 0)
    assert Connection.objects.get().status == Connection.Status.ACTIVE


@pytest.mark.parametrize("value", ["null", "{}", "[]", '""', "1" * 20, "true", "-1", "1.5"])
def test_what_is_no_id_is_no_organisation(zoho: Simulator, value: str) -> None:
    zoho.fail("org", "amend", body={"org.0.id": value})

    with pytest.raises(ServerError, match="unknown form. The consent was taken back at Zoho."):
        with_grant_code(code=zoho.grant_code(), data_center="local")


def test_a_consent_that_cannot_be_taken_back_is_explained(zoho: Simulator) -> None:
    zoho.fail("org", "amend", body={"org.0.id": "null"})
    zoho.fail("revoke", "error_before", status=503)

    with pytest.raises(ServerError, match="Zoho still has the consent. To end it, sign in at"):
        with_grant_code(code=zoho.grant_code(), data_center="local")


def test_an_error_of_our_own_leaves_no_consent_behind(zoho: Simulator, settings: Any) -> None:
    settings.ZOHO_CRM |= {"TRANSPORT": "tests.services.transports.failing_organisations"}

    with pytest.raises(ZeroDivisionError):
        with_grant_code(code=zoho.grant_code(), data_center="local")

    assert zoho.world.grants.refresh_tokens == {}


def test_the_callback_explains_an_odd_answer(admin_client: Client, zoho: Simulator) -> None:
    zoho.fail("org", "amend", body={"org.0.id": "null"})
    back = zoho.consent(admin_client.post(reverse("zoho_crm:connect"))["Location"])

    answer = admin_client.get(back, follow=True)

    assert "unknown form. The consent was taken back at Zoho." in answer.content.decode()
    assert zoho.world.grants.refresh_tokens == {}


def test_a_test_of_a_connection_reports_an_odd_answer(
    connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("org", "amend", body={"org.0.id": "[]"})

    assert "unknown form" in check_connection(connection_id=connection.pk)
