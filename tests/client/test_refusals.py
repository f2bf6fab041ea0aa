"""Zoho's refusals and failures, sorted by who can put them right, over both transports."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.conftest import Transport
from zoho_crm.client import ZohoClient
from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    AlreadyConvertedError,
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
from zoho_crm.types import ConversionPlan

Json = dict[str, Any]

FIELD = {"api_name": "Closing_Date", "json_path": "$.data[0].Deals.Closing_Date"}


def problem(code: object, message: str = "", details: object = None) -> Json:
    return {"code": code, "details": details or {}, "message": message, "status": "error"}


def item(code: object, message: str = "", details: object = None) -> Json:
    return {"data": [problem(code, message, details)]}


def raised_by_convert(transport: Transport, status: int, body: object) -> ZohoError:
    """Return the error that a conversion raises if Zoho gives this answer and does nothing."""
    lead_id = transport.simulator.story("no_match")
    client = transport.client()
    transport.simulator.fail("convert", "error_before", status=status, body=body)
    with pytest.raises(ZohoError) as caught:
        client.leads.convert(lead_id, ConversionPlan())
    return caught.value


def raised_by_read(transport: Transport, status: int, body: object) -> ZohoError:
    """Return the error that a read raises if Zoho gives this answer."""
    client = transport.client()
    transport.simulator.fail("leads_list", "error_before", status=status, body=body)
    with pytest.raises(ZohoError) as caught:
        client.leads.get_many(["1"])
    return caught.value


#: HTTP status, body, what it is to a conversion: Zoho's pages and samples, with and without data[].
REFUSALS: list[tuple[int, Json, type[ZohoError]]] = [
    (400, problem("ID_ALREADY_CONVERTED", "id already converted"), AlreadyConvertedError),
    (202, item("ID_ALREADY_CONVERTED", "id already converted"), AlreadyConvertedError),
    (400, problem("INVALID_DATA", "invalid data", {"resource_path_index": 1}), RequestRefusedError),
    (400, problem("INVALID_DATA", "body"), RequestRefusedError),
    (400, item("INVALID_DATA", "invalid data", FIELD), RequestRefusedError),
    (200, item("INVALID_DATA", "invalid data", FIELD), RequestRefusedError),
    (202, item("INVALID_DATA", "Non Subordinate User Found"), RequestRefusedError),
    (202, problem("INVALID_DATA", "invalid data", FIELD), RequestRefusedError),
    (400, item("MANDATORY_NOT_FOUND", "required field not found", FIELD), RequestRefusedError),
    (202, item("MANDATORY_NOT_FOUND", "required field not found", FIELD), RequestRefusedError),
    (400, item("MAPPING_MISMATCH", "Pipeline doesn't contain the Stage"), RequestRefusedError),
    (400, item("DUPLICATE_DATA", "duplicate data"), RequestRefusedError),
    (400, problem("DUPLICATE_DATA", "duplicate data"), RequestRefusedError),
    (400, problem("RECORD_LOCKED", "the record is locked"), RequestRefusedError),
    (400, item("RECORD_LOCKED", "the record is locked"), RequestRefusedError),
    (400, problem("NOT_APPROVED", "record not approved"), RequestRefusedError),
    (400, item("NOT_REVIEWED", "record in review"), RequestRefusedError),
    (400, item("CANNOT_PERFORM_ACTION"), RequestRefusedError),
    (400, problem("NOT_ALLOWED"), RequestRefusedError),
    (400, problem("REQUIRED_PARAM_MISSING"), RequestRefusedError),
    (400, problem("INVALID_REQUEST_METHOD"), RequestRefusedError),
    (400, problem("INVALID_MODULE"), RequestRefusedError),
    (400, problem("LIMIT_EXCEEDED"), RequestRefusedError),
    (404, problem("INVALID_URL_PATTERN"), RequestRefusedError),
    (400, problem("UNABLE_TO_PARSE_DATA_TYPE"), RequestRefusedError),
    (400, problem("LICENSE_LIMIT_EXCEEDED"), RequestRefusedError),
    (400, problem("A_CODE_OF_TOMORROW", "who knows"), RequestRefusedError),
    (202, item("A_CODE_OF_TOMORROW", "who knows"), RequestRefusedError),
    (400, {"code": "INVALID_DATA", "message": "without a status"}, RequestRefusedError),
    (401, problem("AUTHENTICATION_FAILURE", "Authentication failed"), AccessTokenRejectedError),
    (401, problem("INVALID_TOKEN", "invalid oauth token"), AccessTokenRejectedError),
    (401, problem("INVALID_OAUTHTOKEN"), AccessTokenRejectedError),
    (401, problem("AUTHENTICATION_FAILED"), AccessTokenRejectedError),
    (401, problem("A_CODE_OF_TOMORROW"), AccessTokenRejectedError),
    (401, {"code": "INVALID_TOKEN"}, AccessTokenRejectedError),
    (401, {}, AccessTokenRejectedError),
    (401, problem("OAUTH_SCOPE_MISMATCH", "Unauthorized"), PermissionDeniedError),
    (401, {"code": "OAUTH_SCOPE_MISMATCH"}, PermissionDeniedError),
    (403, problem("NO_PERMISSION", "permission denied"), PermissionDeniedError),
    (400, problem("AUTHORIZATION_FAILED"), PermissionDeniedError),
    (403, problem("FEATURE_NOT_SUPPORTED"), PermissionDeniedError),
    (429, problem("TOO_MANY_REQUESTS", "too many requests"), RateLimitError),
    (429, problem("RATE_LIMIT_EXCEEDED", "Too many requests."), RateLimitError),
    (
        429,
        {"code": 429, "error": "TOO_MANY_REQUESTS", "error_info": "past 24 hours", "details": []},
        RateLimitError,
    ),
    (429, {}, RateLimitError),
]


@pytest.mark.parametrize(("status", "body", "kind"), REFUSALS, ids=str)
def test_a_refusal_means_the_same_to_a_conversion_and_to_a_read(
    in_process: Transport, status: int, body: Json, kind: type[ZohoError]
) -> None:
    by_convert = raised_by_convert(in_process, status, body)
    by_read = raised_by_read(in_process, status, body)

    assert type(by_convert) is type(by_read) is kind
    assert by_convert.http_status == by_read.http_status == status


@pytest.mark.parametrize(
    "body", [problem("INVALID_DATA", "no", FIELD), item("INVALID_DATA", "no", FIELD)]
)
def test_what_zoho_says_is_kept(transport: Transport, body: Json) -> None:
    error = raised_by_convert(transport, 400, body)

    assert isinstance(error, RequestRefusedError)
    assert (str(error), error.code, error.http_status) == ("no", "INVALID_DATA", 400)
    assert error.details == FIELD
    assert (error.field, error.path) == ("Closing_Date", "$.data[0].Deals.Closing_Date")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (202, item("INVALID_DATA", "inside 202"), RequestRefusedError),
        (400, problem("ID_ALREADY_CONVERTED"), AlreadyConvertedError),
        (401, problem("INVALID_TOKEN"), AccessTokenRejectedError),
        (403, problem("NO_PERMISSION"), PermissionDeniedError),
        (429, problem("TOO_MANY_REQUESTS"), RateLimitError),
        (500, problem("INTERNAL_ERROR"), UnknownOutcomeError),
        (502, "<html>Bad Gateway</html>", UnknownOutcomeError),
    ],
    ids=str,
)
def test_both_doors_tell_a_refusal_from_trouble(
    transport: Transport, status: int, body: object, kind: type[ZohoError]
) -> None:
    assert type(raised_by_convert(transport, status, body)) is kind


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, problem("INTERNAL_ERROR", "Internal Server Error")),
        (500, problem("INTERNAL_SERVER_ERROR")),
        (500, item("INTERNAL_ERROR")),
        (200, item("INTERNAL_ERROR")),
        (500, problem("A_CODE_OF_TOMORROW")),
        (500, {}),
        (500, {"data": [{"code": "SUCCESS", "details": {}, "status": "success"}]}),
        (502, "<html><h1>502</h1></html>"),
        (503, "<html><h1>503</h1></html>"),
        (504, ""),
        (400, ""),
        (400, "<html>Bad Request</html>"),
        (403, "<html>a proxy's page</html>"),
        (404, ""),
        (400, '{"code": "INVALID_DA'),
        (400, [1]),
        (307, {"data": [{"code": "SUCCESS"}]}),
        (302, ""),
        (304, ""),
    ],
    ids=str,
)
def test_an_answer_that_does_not_say_no_is_trouble_for_a_read_and_doubt_for_a_conversion(
    in_process: Transport, status: int, body: object
) -> None:
    by_convert = raised_by_convert(in_process, status, body)
    by_read = raised_by_read(in_process, status, body)

    assert type(by_convert) is UnknownOutcomeError
    assert type(by_read) is ServerError
    assert by_convert.http_status == by_read.http_status == status


@pytest.mark.parametrize("body", ["", "<html>", "{}", "[]", '{"data": [', "null"])
def test_a_read_without_an_object_in_the_body_has_no_answer(
    in_process: Transport, body: str
) -> None:
    error = raised_by_read(in_process, 200, body)

    assert type(error) is TransportError
    assert error.http_status == 200


def test_204_is_nothing_and_no_error(transport: Transport, crm: ZohoClient) -> None:
    transport.simulator.fail("leads_list", "empty", times=2)

    assert crm.leads.get_many(["1"]) == {}
    assert crm.leads.page().leads == ()


def test_204_to_a_conversion_is_doubt(transport: Transport, crm: ZohoClient) -> None:
    lead_id = transport.simulator.story("no_match")
    transport.simulator.fail("convert", "empty")

    with pytest.raises(UnknownOutcomeError):
        crm.leads.convert(lead_id, ConversionPlan())


@pytest.mark.parametrize("on", ["leads_list", "options", "users", "org", "metadata"])
def test_a_truncated_answer_to_a_read_may_be_asked_for_again(
    transport: Transport, crm: ZohoClient, on: str
) -> None:
    lead_id = transport.simulator.story("one_match")
    calls = {
        "leads_list": lambda: crm.leads.get_many([lead_id]),
        "options": lambda: crm.leads.options(lead_id),
        "users": crm.users,
        "org": crm.organisation,
        "metadata": crm.mapped_lead_fields,
    }
    transport.simulator.fail(on, "truncate")

    with pytest.raises(TransientError):
        calls[on]()

    assert calls[on]()


def test_a_day_without_credits_is_told_from_a_busy_moment(
    transport: Transport, crm: ZohoClient
) -> None:
    transport.simulator.world.credits.allowed = 1
    crm.leads.page()

    with pytest.raises(CreditsExhaustedError) as caught:
        crm.leads.page()

    assert caught.value.http_status == 429
    assert crm.api.credits_remaining == 0


def test_a_missing_scope_is_the_administrators(transport: Transport) -> None:
    client = transport.client("ZohoCRM.users.READ")

    with pytest.raises(PermissionDeniedError) as caught:
        client.organisation()

    assert caught.value.code == "OAUTH_SCOPE_MISMATCH"


def test_an_expired_token_has_to_be_renewed(transport: Transport, crm: ZohoClient) -> None:
    transport.simulator.advance(3601)

    with pytest.raises(AccessTokenRejectedError):
        crm.organisation()


def test_the_message_of_a_refusal_without_words_is_our_own(in_process: Transport) -> None:
    error = raised_by_convert(in_process, 403, problem("NO_PERMISSION"))

    assert str(error) == "The user of this connection lacks a scope or a permission."


def test_what_a_refusal_says_can_be_stored_by_every_database(
    in_process: Transport,
) -> None:
    body = {**problem("INVALID_DATA"), "message": "a\0b", "details": {"api_name": ["c\0"]}}

    error = raised_by_convert(in_process, 400, body)

    assert (str(error), error.details) == ("a\ufffdb", {"api_name": ["c\ufffd"]})


# Every error of an answer

DUPLICATE = {
    "api_name": "Email",
    "duplicate_record": {
        "Owner": {"name": "Mara Lind", "id": "9"},
        "module": {"api_name": "Contacts", "id": "8"},
        "id": "7",
    },
    "json_path": "$.data[0].Contacts.Email",
    "id": "7",
}


def test_each_of_several_errors_is_kept_with_its_details(transport: Transport) -> None:
    both = [
        problem("DUPLICATE_DATA", "duplicate data", DUPLICATE),
        problem("INVALID_DATA", "no", FIELD),
    ]
    listed = problem("MULTIPLE_OR_MULTI_ERRORS", "Multiple errors", {"errors": both})

    for body in ({"data": [listed]}, {"data": both}):
        error = raised_by_convert(transport, 400, body)

        assert isinstance(error, RequestRefusedError)
        assert error.problems == [
            {
                "code": "DUPLICATE_DATA",
                "message": "duplicate data",
                "api_name": "Email",
                "json_path": "$.data[0].Contacts.Email",
                "module": "Contacts",
                "id": "7",
            },
            {"code": "INVALID_DATA", "message": "no", **FIELD},
        ]


def test_fields_are_named_wherever_zoho_names_them(transport: Transport) -> None:
    details = {"expected_fields": [{"api_name": "id"}, {"api_name": "api_name"}, "odd"]}

    error = raised_by_convert(transport, 400, item("EXPECTED_FIELD_MISSING", "one field", details))

    assert error.problems[0]["api_name"] == "id, api_name"


def test_what_is_kept_of_an_error_is_bounded_and_holds_no_record(transport: Transport) -> None:
    odd = {"supported_values": ["x" * 201] * 21, "api_name": {"a": 1}, "maximum_length": 120}
    many = problem("X", "m", {"errors": [problem("INVALID_DATA", "m\0", odd)] * 21})

    problems = raised_by_convert(transport, 400, {"data": [many]}).problems

    assert len(problems) == 20
    assert problems[0].keys() == {"code", "message", "supported_values", "maximum_length"}
    assert problems[0]["supported_values"] == ["x" * 200] * 20
