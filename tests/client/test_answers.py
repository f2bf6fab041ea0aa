"""Every answer becomes a value or one of our errors."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.canned import Canned, client_of
from zoho_crm.client import ZohoClient
from zoho_crm.client._answers import object_in
from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    AlreadyConvertedError,
    AuthorizationError,
    CreditsExhaustedError,
    PermissionDeniedError,
    RateLimitError,
    RequestRefusedError,
    ServerError,
    TransientError,
    TransportError,
    UnknownOutcomeError,
    ZohoError,
)
from zoho_crm.types import ConversionPlan, Converted, Scheduled

WORDS = st.sampled_from(
    """
    data code status details message error info org users id Contacts Accounts Deals fields name
    INVALID_DATA SUCCESS SCHEDULED success TOO_MANY_REQUESTS INTERNAL_ERROR ID_ALREADY_CONVERTED
    """.split()  # noqa: SIM905
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | WORDS
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=20,
)
BODIES = st.binary(max_size=50) | JSON.map(json.dumps).map(str.encode)
STATUSES = st.sampled_from([200, 201, 202, 204, 207, 304, 307, 400, 401, 403, 404, 429, 500, 503])

#: What may be raised for a conversion only if Zoho said so, or if it was never asked.
SURE = (
    AccessTokenRejectedError,
    AlreadyConvertedError,
    CreditsExhaustedError,
    PermissionDeniedError,
    RateLimitError,
    RequestRefusedError,
)


def outcome(client: ZohoClient) -> object:
    try:
        return client.leads.convert("1", ConversionPlan())
    except ZohoError as error:
        return error


@pytest.mark.slow
@given(status=STATUSES, body=BODIES)
def test_any_answer_to_a_conversion_is_an_outcome_a_clear_no_or_doubt(
    status: int, body: bytes
) -> None:
    found = outcome(client_of(Canned(status, body)))

    assert isinstance(found, (Converted, Scheduled, UnknownOutcomeError, *SURE))
    if isinstance(found, Converted):
        assert found.contact_id
        assert 200 <= status < 300


@pytest.mark.slow
@given(status=st.sampled_from([200, 202, 400, 404, 500, 503]), body=st.binary(max_size=50))
def test_an_answer_that_is_no_json_is_doubt(status: int, body: bytes) -> None:
    assert isinstance(outcome(client_of(Canned(status, b"<" + body))), UnknownOutcomeError)


def ignore(seconds: float) -> None:
    """Wait for no time."""


@pytest.mark.slow
@given(status=STATUSES, body=BODIES)
def test_any_answer_to_an_upload_is_an_id_a_clear_no_or_doubt(status: int, body: bytes) -> None:
    attachments = client_of(Canned(status, body)).records("Contacts").record("1").attachments

    with contextlib.suppress(UnknownOutcomeError, TransportError, *SURE):
        assert attachments.upload(io.BytesIO(b"text"), name="a.txt").isdigit()


@pytest.mark.slow
@given(status=STATUSES, body=BODIES)
def test_any_answer_to_a_read_is_a_value_or_one_of_our_errors(status: int, body: bytes) -> None:
    client = client_of(Canned(status, body))
    reads: list[Any] = [
        client.organisation,
        client.current_user,
        client.users,
        client.contact_roles,
        client.mapped_lead_fields,
        lambda: client.metadata.layouts("Leads"),
        lambda: client.metadata.fields("Deals"),
        client.metadata.pipelines,
        client.leads.page,
        lambda: client.records("Contacts").get("1"),
        lambda: client.records("Contacts").get_many(["1"], fields=["Phone"]),
        lambda: list(client.records("Contacts").list(fields=["Phone"])),
        lambda: list(client.records("Contacts").search(email="jo@brandt.example")),
        client.records("Contacts").count,
        lambda: client.find_person("jo@brandt.example"),
        lambda: list(client.coql("select id from Leads where id is not null")),
        lambda: list(client.records("Contacts").record("1").notes()),
        lambda: list(client.records("Contacts").record("1").timeline()),
        lambda: list(client.records("Contacts").record("1").attachments.list()),
        lambda: client.records("Contacts").record("1").attachments.download("2", io.BytesIO()),
        lambda: list(client.changes("Contacts", fields=["Phone"])),
        lambda: list(client.bulk_read("Contacts", ["Phone"], wait=ignore)),
    ]

    # A read changes nothing, so that nothing about it is in doubt.
    for read in reads:
        with contextlib.suppress(
            AlreadyConvertedError, AuthorizationError, RequestRefusedError, TransientError
        ):
            read()


def test_a_body_of_a_hundred_thousand_brackets_is_no_answer() -> None:
    client = client_of(Canned(200, b"[" * 100_000))

    assert isinstance(outcome(client), UnknownOutcomeError)
    with pytest.raises(TransportError):
        client.leads.page()


@pytest.mark.parametrize("left", ["", "many", "-1", "１", "5", "9" * 30, "9" * 5000])
def test_credits_for_a_conversion_or_no_count_mean_too_many_at_a_time(left: str) -> None:
    body = b'{"code": "TOO_MANY_REQUESTS", "status": "error"}'
    headers = {"X-API-CREDITS-REMAINING": left.encode().decode("latin-1")}

    assert type(outcome(client_of(Canned(429, body, headers)))) is RateLimitError


@pytest.mark.parametrize("left", ["0", "4"])
def test_too_few_credits_for_a_conversion_is_the_end_of_the_day(left: str) -> None:
    body = b'{"code": 429, "error": "TOO_MANY_REQUESTS", "details": []}'

    found = outcome(client_of(Canned(429, body, {"x-api-credits-remaining": left})))

    assert type(found) is CreditsExhaustedError
    assert found.code == "429"


def test_details_that_are_no_object_are_none() -> None:
    body = b'{"code": "INVALID_DATA", "details": ["text"], "message": null, "status": "error"}'

    found = outcome(client_of(Canned(400, body)))

    assert isinstance(found, RequestRefusedError)
    assert found.details == {}
    assert str(found) == "Zoho CRM refused this: correct the lead or the choice."


def test_the_form_that_was_not_understood_is_known_by_its_code() -> None:
    with pytest.raises(ServerError) as caught:
        client_of(Canned(200, b'{"org": [{"company_name": "no id"}]}')).organisation()

    assert caught.value.code == "unknown_form"
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("left", ["9" * 16, "9" * 5000])
def test_a_figure_of_credits_that_no_organisation_has_is_none(left: str) -> None:
    client = client_of(Canned(200, b'{"users": []}', {"X-API-CREDITS-REMAINING": left}))

    assert client.users() == ()
    assert client.api.credits_remaining is None


@pytest.mark.parametrize("location", ["http://[", "http://a:b/", "//\x00", "\xff\xfe", "x" * 9000])
def test_a_redirect_to_no_address_is_an_answer_all_the_same(location: str) -> None:
    client = client_of(Canned(307, b"", {"Location": location}))

    assert isinstance(outcome(client), UnknownOutcomeError)
    with pytest.raises(ServerError):
        client.leads.page()


NESTED = 700


@pytest.mark.parametrize(
    "part",
    [b'{"details":' * NESTED + b"{}" + b"}" * NESTED, b"[" * NESTED + b"]" * NESTED],
    ids=["objects", "lists"],
)
@pytest.mark.parametrize("name", [b"code", b"message", b"details", b"status", b"data", b"other"])
def test_a_refusal_that_is_nested_deeply_is_a_refusal_or_doubt(name: bytes, part: bytes) -> None:
    body = b'{"code": "INVALID_DATA", "message": "no", "status": "error", "%b": %b}'

    found = outcome(client_of(Canned(400, body % (name, part))))

    assert isinstance(found, RequestRefusedError | UnknownOutcomeError)


def test_numbers_that_no_column_stores_are_none() -> None:
    numbers = b"[1, 1.5, 1e400, NaN, -Infinity, 9223372036854775807, 1%b, -1%b]"
    digits = b"0" * 5000
    body = b'{"code": "X", "message": "no", "status": "error", "details": {"n": %b}}'

    found = outcome(client_of(Canned(400, body % (numbers % (digits, digits)))))

    assert isinstance(found, RequestRefusedError)
    assert found.details == {"n": [1, 1.5, None, None, None, 2**63 - 1, None, None]}


@pytest.mark.parametrize("before", [0, 1, 32_767, 32_768, 40_000])
@pytest.mark.parametrize("part", ["x", '"', "\\", "ü", '\\"'])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_text_that_is_too_long_is_cut_wherever_it_is(
    before: int, part: str, ascii_only: bool
) -> None:
    texts = {"a": "y" * before, "b": part * 65_536, "c": "z"}
    texts["b"] = texts["b"][:65_536]
    content = json.dumps(texts, ensure_ascii=ascii_only).encode()
    fits = json.dumps({**texts, "b": texts["b"][1:]}, ensure_ascii=ascii_only).encode()

    assert object_in(content) == {**texts, "b": texts["b"][:65_535]}
    assert object_in(fits) == {**texts, "b": texts["b"][1:]}


@pytest.mark.parametrize(
    "container", [lambda part: [part], lambda part: {"x": part}], ids=["list", "object"]
)
def test_what_is_nested_too_deeply_is_empty(container: Callable[[Any], Any]) -> None:
    deepest: Any = {"x": 1}
    for _level in range(18):
        deepest = container(deepest)

    assert object_in(json.dumps({"a": deepest}).encode()) == {"a": deepest}
    found = str(object_in(json.dumps({"a": container(deepest)}).encode()))
    assert found == str({"a": container(deepest)}).replace("{'x': 1}", "{}")
