"""
The one judge of answers: the body decides, the HTTP status is asked only when the body is silent.

Zoho refuses inside 200 and 202, at the root of the body or in its first item.
https://www.zoho.com/crm/developer/docs/api/v8/status-codes.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

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

CREDITS_HEADER = "X-API-CREDITS-REMAINING"

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


def judge(response: Response, content: bytes, *, repeatable: bool) -> JsonObject:
    """
    Return the body of a good answer, ``{}`` for "nothing" (204), or raise what the answer means.

    ``repeatable`` says that asking twice does no harm; else an answer that does not tell whether
    the request was processed is an ``UnknownOutcomeError``.

    :raises ZohoError: whichever of its children the answer is
    """
    body = _object(content)
    refusal = _refusal(body)
    if refusal or not response.ok:
        raise _error(refusal, response, repeatable=repeatable)
    if response.status_code == 204:
        return {}
    if not body:
        message = f"HTTP {response.status_code} without a body"
        raise no_answer(message, repeatable=repeatable, http_status=response.status_code)
    return body


def no_answer(message: str, *, repeatable: bool, http_status: int | None = None) -> ZohoError:
    """Return the error for a request that may have been processed, and whose answer is lost."""
    kind = TransportError if repeatable else UnknownOutcomeError
    return kind(message, http_status=http_status)


def credits_remaining(response: Response) -> int | None:
    """Return the credits that Zoho says are left; it does so only when half of them are used."""
    left = response.headers.get(CREDITS_HEADER, "")
    return int(left) if left.isascii() and left.isdigit() else None


def _object(content: bytes) -> JsonObject:
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _refusal(body: JsonObject) -> JsonObject:
    return next((part for part in _parts(body) if _refuses(part)), {})


def _parts(body: JsonObject) -> Iterator[JsonObject]:
    yield body
    for value in body.values():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield value[0]


def _refuses(part: JsonObject) -> bool:
    return isinstance(part.get("error"), str) or ("code" in part and part.get("status") == "error")


def _error(refusal: JsonObject, response: Response, *, repeatable: bool) -> ZohoError:
    code, status = str(refusal.get("code") or refusal.get("error", "")), response.status_code
    kind = ERRORS_BY_CODE.get(code) or ERRORS_BY_STATUS.get(status)
    if kind is None:
        kind = RequestRefusedError if "code" in refusal and status < 500 else ServerError
    if kind is ServerError and not repeatable:
        kind = UnknownOutcomeError
    if kind is RateLimitError and credits_remaining(response) == 0:
        kind = CreditsExhaustedError
    return kind(_message(refusal, status), code=code, http_status=status, details=_details(refusal))


def _message(refusal: JsonObject, status: int) -> str:
    return str(refusal.get("message") or "") if refusal else f"HTTP {status}"


def _details(refusal: JsonObject) -> JsonObject:
    details: Any = refusal.get("details")
    return details if isinstance(details, dict) else {}
