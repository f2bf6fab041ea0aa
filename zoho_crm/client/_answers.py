"""
Zoho's answers: which are errors, and of which class.

The body decides, and the HTTP status only where the body says nothing, because Zoho refuses with
HTTP 200 and 202 too, at the root of the body or in its first item.
https://www.zoho.com/crm/developer/docs/api/v8/status-codes.html
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, TypeVar

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
from zoho_crm.types import HiddenVariables, JsonObject, Reference, Secret, is_record_id, storable

Value = TypeVar("Value")

CREDITS_HEADER = "X-API-CREDITS-REMAINING"
#: Credits of the most expensive single call: with fewer left, "too many calls" is no matter of
#: seconds.
CONVERT_CREDITS = 5
#: Nesting of objects and lists in an answer; what is deeper is emptied. Zoho's own is about 10, and
#: MariaDB reads 32 levels of a column.
MAX_DEPTH = 20
#: Characters of the longest text that is read; Zoho's longest field has 50,000.
MAX_TEXT_LENGTH = 65_535
#: Characters that are read of an error's code and of its message.
MAX_CODE_LENGTH = 60
MAX_MESSAGE_LENGTH = 2_000
#: Characters of the longest whole number that is read: 19 digits, as of an id, and a sign.
MAX_NUMBER_LENGTH = 20
#: Characters that are read of the name of a user or a field.
MAX_NAME_LENGTH = 255
#: Digits of the largest number of credits, and of other things, that is read.
MAX_CREDITS_DIGITS = 15
MAX_COUNT_DIGITS = 9

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
    Return the body of a successful answer, or raise the error that it is.

    It is ``{}`` for HTTP 204, and for HTTP 304 where the request asked for what is new.

    :param repeatable: whether the request may be sent twice; if not, an answer that does not tell
        whether it was processed is an ``UnknownOutcomeError``
    :raises ZohoError: of the class that fits the answer
    """
    is_success = 200 <= response.status_code < 300  # redirects are not followed, so they are errors
    if _has_nothing_new(response):
        return {}
    refusals = _refusals(body)
    if refusals or not is_success:
        raise _error(refusals or [body], response, repeatable=repeatable)
    if response.status_code == 204:
        return {}
    if not body:
        message = f"HTTP {response.status_code} without a body"
        raise no_answer(message, repeatable=repeatable, http_status=response.status_code)
    return body


def item_answers(
    response: Response, body: JsonObject, *, number: int, repeatable: bool
) -> list[JsonObject | ZohoError]:
    """
    Return the results of a request about several items, in its order; a refused one as its error.

    :param number: of items in the request
    :param repeatable: as in ``check_answer``
    :raises ZohoError: if Zoho refused the request as a whole, or did not answer about each item
    """
    items = _objects(body.get("data")) if not _is_refusal(body) else []
    if len(items) == number and all(_is_refusal(item) or _is_success(item) for item in items):
        status = response.status_code
        return [
            _item_error(item, status, repeatable) if _is_refusal(item) else item for item in items
        ]
    if all(map(_is_refusal, items)):
        check_answer(response, body, repeatable=repeatable)
    raise unknown_form(repeatable=repeatable)


def _has_nothing_new(response: Response) -> bool:
    """Return whether an answer says that nothing was changed since a time that was asked for."""
    asked = response.request.headers if response.request is not None else {}
    return response.status_code == 304 and "If-Modified-Since" in asked


def unknown_form(*, repeatable: bool) -> ZohoError:
    """Return the error for an answer of success that does not have the documented form."""
    return (ServerError if repeatable else UnknownOutcomeError)(code="unknown_form")


def parse_answer(parse: Callable[[JsonObject], Value], body: JsonObject) -> Value:
    """
    Return the value that ``parse`` makes of the body of a successful answer.

    :raises ServerError: if the body does not have the documented form
    """
    try:
        with HiddenVariables():
            return parse(body)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ServerError(code="unknown_form") from error


def no_answer(message: str, *, repeatable: bool, http_status: int | None = None) -> ZohoError:
    """Return the error for a request that may have been processed, but whose answer was lost."""
    kind = TransportError if repeatable else UnknownOutcomeError
    return kind(message, http_status=http_status)


def credits_remaining(response: Response) -> int | None:
    """Return the remaining credits; ``None`` if more than half are left: Zoho does not say then."""
    remaining = response.headers.get(CREDITS_HEADER, "")
    is_number = remaining.isascii() and remaining.isdigit()
    return int(remaining) if is_number and len(remaining) <= MAX_CREDITS_DIGITS else None


def object_in(content: bytes, secrets: Collection[str] = ()) -> JsonObject:
    """
    Return the JSON object in the body of an answer, ``{}`` if it is none.

    Numbers that no column can store are ``None`` in it, what is nested too deeply is empty, and its
    texts are those that every database stores: no others get past this function.

    :param secrets: names of values that are secrets: a text becomes a ``Secret``, others ``None``
    """
    try:
        body = json.loads(
            content,
            object_hook=partial(_hide, secrets) if secrets else None,
            parse_int=_whole_number,
            parse_float=_number,
            parse_constant=_no_number,
        )
    except (ValueError, RecursionError):
        return {}
    if not isinstance(body, dict):
        return {}
    # Nearly all answers may stay as they are, which is found out faster than they are written anew.
    may_stay = _has_plain_texts(content) and _has_short_texts(content) and _is_shallow(body)
    return body if may_stay else _storable_value(body, MAX_DEPTH)


def text_of(value: Any, length: int | None = None) -> str:
    """Return a text in an answer, cut to a length; empty if the value is not a text."""
    return value[:length].strip() if isinstance(value, str) else ""


def count_of(value: Any) -> int:
    """Return a number of things in an answer; 0 if the value is none, or too large for a column."""
    text = str(value) if isinstance(value, str | int) else ""
    is_number = text.isascii() and text.isdigit()
    return int(text) if is_number and len(text) <= MAX_COUNT_DIGITS else 0


def id_of(value: Any) -> str:
    """
    Return the id of a record in an answer.

    :raises ValueError: if it is none, so that ``parse_answer`` refuses the answer
    """
    text = str(value) if isinstance(value, int) else value
    if not isinstance(text, str) or not is_record_id(text):
        raise ValueError("no id of a record")
    return text


def time_of(value: Any) -> datetime | None:
    """Return a time in an answer, with its zone; ``None`` if the value is none."""
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return time if time.utcoffset() is not None else None


def id_or_empty(value: Any) -> str:
    """Return the id of a record in an answer; empty if it is none."""
    return str(value) if is_record_id(str(value)) else ""


def user_of(value: JsonObject) -> Reference:
    """Return the user in an answer."""
    name = text_of(value.get("name"), MAX_NAME_LENGTH)
    return Reference(id=id_or_empty(value.get("id")), name=name)


def _hide(secrets: Collection[str], values: JsonObject) -> JsonObject:
    """Return the values of a JSON object, with a ``Secret``, or ``None``, for these names."""
    hidden = {
        name: Secret(values[name]) if isinstance(values[name], str) else None
        for name in secrets
        if name in values
    }
    return {**values, **hidden}


def _whole_number(digits: str) -> int | None:
    return int(digits) if len(digits) <= MAX_NUMBER_LENGTH else None


def _number(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _no_number(name: str) -> None:
    """Return ``None`` for ``NaN`` and ``Infinity``, which JSON does not have but Python reads."""


def _has_plain_texts(content: bytes) -> bool:
    """Return whether the texts of a body certainly are without NUL and lone surrogates."""
    if b"\0" in content or b"\xed" in content:  # it may be in UTF-16, or have half of a pair
        return False
    return b"\\u" not in content or not any(escape in content for escape in _ODD_ESCAPES)


#: How NUL, and the halves of a surrogate pair, are escaped in JSON.
_ODD_ESCAPES = (b"\\u0000", b"\\ud", b"\\uD")


def _has_short_texts(content: bytes) -> bool:
    """
    Return whether the texts of a body certainly are not too long.

    A text that is has one of these blocks in it, where each quotation mark is escaped.
    """
    starts = range(0, len(content) - BLOCK_BYTES + 1, BLOCK_BYTES)
    return all(_UNESCAPED_QUOTE.search(content, at, at + BLOCK_BYTES) for at in starts)


#: Half of the bytes of the longest text, so that one that is longer has a whole block in it.
BLOCK_BYTES = (MAX_TEXT_LENGTH + 1) // 2
_UNESCAPED_QUOTE = re.compile(rb'[^\\]"')


def _is_shallow(body: JsonObject) -> bool:
    """Return whether nothing is nested too deeply."""
    level: list[Any] = [body]
    for _depth in range(MAX_DEPTH):
        parts = [each.values() if type(each) is dict else each for each in level]
        level = [part for part in chain.from_iterable(parts) if type(part) in _CONTAINERS]
        if not level:
            return True
    return False


#: Of JSON, so that a value is of one of these types, and of none derived from them.
_CONTAINERS = frozenset({dict, list})


def _storable_value(value: Any, depth: int) -> Any:
    """Return a value of JSON with texts that every database stores; empty below this depth."""
    if isinstance(value, str):
        return storable(value, MAX_TEXT_LENGTH)
    if not isinstance(value, dict | list):
        return value
    if depth == 0:
        return type(value)()
    if isinstance(value, list):
        return [_storable_value(part, depth - 1) for part in value]
    return {
        storable(name, MAX_TEXT_LENGTH): _storable_value(part, depth - 1)
        for name, part in value.items()
    }


def _refusals(body: JsonObject) -> list[JsonObject]:
    """Return the errors in a body: the body itself, or the items of a list that begins with one."""
    # Only the token endpoint has "error", at the root; elsewhere it can be a field of a record.
    if isinstance(body.get("error"), str) or _is_refusal(body):
        return [body]
    lists = (value for value in body.values() if isinstance(value, list))
    refused = (items for items in lists if items and _is_refusal(items[0]))
    return [item for item in next(refused, []) if _is_refusal(item)]


def _objects(value: Any) -> list[JsonObject]:
    """Return the items of a list in an answer, of which one that is no object is empty."""
    items = value if isinstance(value, list) else []
    return [item if isinstance(item, dict) else {} for item in items]


def _is_success(item: JsonObject) -> bool:
    return item.get("code") == "SUCCESS"


def _is_refusal(part: Any) -> bool:
    return isinstance(part, dict) and "code" in part and part.get("status") == "error"


def _error(refusals: list[JsonObject], response: Response, *, repeatable: bool) -> ZohoError:
    """Return the error of the class of the first refusal, with the details of all of them."""
    body, details = refusals[0], _details(refusals[0])
    if len(refusals) > 1:
        details = {**details, "errors": refusals}
    code, status = _code(body), response.status_code
    kind = _kind(body, status, repeatable=repeatable)
    if kind is RateLimitError and _are_used_up(credits_remaining(response)):
        # Zoho's message is not used: it is the same for every 429.
        return CreditsExhaustedError(code=code, http_status=status, details=details)
    return kind(_message(body, status), code=code, http_status=status, details=details)


def _item_error(refusal: JsonObject, status: int, repeatable: bool) -> ZohoError:
    """Return the error for one item of a request; the HTTP status is that of all items."""
    kind = _kind(refusal, status, repeatable=repeatable)
    message, details = _message(refusal, status), _details(refusal)
    return kind(message, code=_code(refusal), http_status=status, details=details)


def _kind(refusal: JsonObject, status: int, *, repeatable: bool) -> type[ZohoError]:
    kind = ERRORS_BY_CODE.get(_code(refusal)) or ERRORS_BY_STATUS.get(status)
    if kind is None:
        kind = RequestRefusedError if refusal.get("code") and status < 500 else ServerError
    return UnknownOutcomeError if kind is ServerError and not repeatable else kind


def _message(refusal: JsonObject, status: int) -> str:
    text = text_of(refusal.get("message"), MAX_MESSAGE_LENGTH)
    return text if _code(refusal) else f"HTTP {status}"


def _code(body: JsonObject) -> str:
    code: Any = body.get("code") or body.get("error")
    return str(code)[:MAX_CODE_LENGTH] if isinstance(code, str | int) else ""


def _are_used_up(credits: int | None) -> bool:
    return credits is not None and credits < CONVERT_CREDITS


def _details(refusal: JsonObject) -> JsonObject:
    details: Any = refusal.get("details")
    return details if isinstance(details, dict) else {}
