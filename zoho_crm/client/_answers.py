"""
The one judge of answers: the body decides, the HTTP status is asked only when the body is silent.

Zoho refuses inside 200 and 202, at the root of the body or in its first item.
https://www.zoho.com/crm/developer/docs/api/v8/status-codes.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from django.utils.translation import gettext as _
from requests import Response

from zoho_crm.exceptions import (
    AccessTokenRejectedError,
    AlreadyConvertedError,
    ClientRejectedError,
    CreditsExhaustedError,
    GrantRefusedError,
    PermissionDeniedError,
    RateLimitError,
    RequestRefusedError,
    ServerError,
    TokenThrottledError,
    TransportError,
    UnknownOutcomeError,
    ZohoError,
)
from zoho_crm.types import JsonObject

Value = TypeVar("Value")

CREDITS_HEADER = "X-API-CREDITS-REMAINING"
#: With fewer credits than the dearest of our single calls costs, waiting a moment does not help.
CONVERT_COST = 5

ERRORS_BY_CODE: Mapping[str, type[ZohoError]] = {
    "INVALID_TOKEN": AccessTokenRejectedError,
    "INVALID_OAUTHTOKEN": AccessTokenRejectedError,
    "AUTHENTICATION_FAILURE": AccessTokenRejectedError,
    "AUTHENTICATION_FAILED": AccessTokenRejectedError,
    "OAUTH_SCOPE_MISMATCH": PermissionDeniedError,
    "NO_PERMISSION": PermissionDeniedError,
    "AUTHORIZATION_FAILED": PermissionDeniedError,
    "FEATURE_NOT_SUPPORTED": PermissionDeniedError,
    "TOO_MANY_REQUESTS": RateLimitError,
    "RATE_LIMIT_EXCEEDED": RateLimitError,
    "429": RateLimitError,
    "ID_ALREADY_CONVERTED": AlreadyConvertedError,
    "INTERNAL_ERROR": ServerError,
    "INTERNAL_SERVER_ERROR": ServerError,
    # of the token endpoint: https://www.zoho.com/accounts/protocol/oauth/web-apps/access-token.html
    "invalid_code": GrantRefusedError,
    "invalid_grant": GrantRefusedError,
    "invalid_client": ClientRejectedError,
    "invalid_client_secret": ClientRejectedError,
    "invalid_redirect_uri": ClientRejectedError,
    "access_denied": TokenThrottledError,
    "Access Denied": TokenThrottledError,
}
ERRORS_BY_STATUS: Mapping[int, type[ZohoError]] = {
    401: AccessTokenRejectedError,
    429: RateLimitError,
}


def check_answer(response: Response, body: JsonObject, *, repeatable: bool) -> JsonObject:
    """
    Return the body of a good answer, ``{}`` for "nothing" (204), or raise what the answer means.

    ``repeatable`` says that asking twice does no harm; else an answer that does not tell whether
    the request was processed is an ``UnknownOutcomeError``.

    :raises ZohoError: whichever of its children the answer is
    """
    good = 200 <= response.status_code < 300  # a redirect is never followed, so it is no answer
    refusal = _refusal(body)
    if refusal or not good:
        raise _error(refusal or body, response, repeatable=repeatable)
    if response.status_code == 204:
        return {}
    if not body:
        message = f"HTTP {response.status_code} without a body"
        raise no_answer(message, repeatable=repeatable, http_status=response.status_code)
    return body


def parse_answer(parse: Callable[[JsonObject], Value], body: JsonObject) -> Value:
    """
    Return what ``parse`` makes of the body of a good answer.

    :raises ServerError: if the body has no form that we know
    """
    try:
        return parse(body)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        message = _("Zoho CRM gave an answer of an unknown form.")
        raise ServerError(message, code="unknown_form") from without_tracebacks(error)


def no_answer(message: str, *, repeatable: bool, http_status: int | None = None) -> ZohoError:
    """Return the error for a request that may have been processed, and whose answer is lost."""
    kind = TransportError if repeatable else UnknownOutcomeError
    return kind(message, http_status=http_status)


def credits_remaining(response: Response) -> int | None:
    """Return the credits that Zoho says are left; it does so only when half of them are used."""
    left = response.headers.get(CREDITS_HEADER, "")
    return int(left) if left.isascii() and left.isdigit() else None


def object_in(content: bytes) -> JsonObject:
    """Return the JSON object in the body of an answer, ``{}`` where there is none."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def without_tracebacks(error: BaseException) -> BaseException:
    """
    Return an error with its causes, but not with the variables of those who raised them.

    Error reporters show variables, and those hold signed requests, and tokens in answers.
    """
    cause: BaseException | None = error
    while cause is not None:
        cause.__traceback__ = None
        cause = cause.__cause__ or cause.__context__
    return error


def _refusal(body: JsonObject) -> JsonObject:
    # Only the token endpoint says "error", at the root; a record may have a field of that name.
    if isinstance(body.get("error"), str):
        return body
    return next((part for part in _parts(body) if _refuses(part)), {})


def _parts(body: JsonObject) -> Iterator[JsonObject]:
    yield body
    for value in body.values():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield value[0]


def _refuses(part: JsonObject) -> bool:
    return "code" in part and part.get("status") == "error"


def _error(body: JsonObject, response: Response, *, repeatable: bool) -> ZohoError:
    code, status = str(body.get("code") or body.get("error") or ""), response.status_code
    kind = ERRORS_BY_CODE.get(code) or ERRORS_BY_STATUS.get(status)
    if kind is None:
        kind = RequestRefusedError if body.get("code") and status < 500 else ServerError
    if kind is ServerError and not repeatable:
        kind = UnknownOutcomeError
    if kind is RateLimitError and _are_used_up(credits_remaining(response)):
        # Zoho's message is that of any 429: it does not say that waiting for a moment is no use.
        return CreditsExhaustedError(code=code, http_status=status, details=_details(body))
    message = storable(str(body.get("message") or "")) if code else f"HTTP {status}"
    return kind(message, code=storable(code), http_status=status, details=_details(body))


def storable(text: str) -> str:
    """Leave out what PostgreSQL does not store: NUL, and half of a character that was cut."""
    text = text.replace("\0", "")
    return text if text.isascii() else text.encode(errors="ignore").decode()


def _are_used_up(credits: int | None) -> bool:
    return credits is not None and credits < CONVERT_COST


def _details(refusal: JsonObject) -> JsonObject:
    details: Any = refusal.get("details")
    return _storable_parts(details) if isinstance(details, dict) else {}


def _storable_parts(value: Any) -> Any:
    if isinstance(value, dict):
        return {storable(name): _storable_parts(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_storable_parts(part) for part in value]
    return storable(value) if isinstance(value, str) else value
