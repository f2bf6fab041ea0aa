"""HTTP calls to one origin: send the request, limit time and size, check the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from math import ceil
from typing import Any, TypeVar, cast

import requests
from requests.auth import AuthBase

from zoho_crm.client._answers import (
    check_answer,
    credits_remaining,
    item_answers,
    no_answer,
    object_in,
    parse_answer,
)
from zoho_crm.client._transport import (
    Limits,
    Pace,
    ZohoAuth,
    describe_error,
    may_be_sent,
    one_request,
    surely_not_sent,
)
from zoho_crm.exceptions import ServerError, TransportError, UnknownOutcomeError, ZohoError
from zoho_crm.types import ApiCall, HiddenVariables, JsonObject, json_text

Value = TypeVar("Value")

#: Calls that cost more credits, by the end of their address:
#: https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
EXPENSIVE_CALLS: Mapping[tuple[str, str], str] = {
    ("POST", "/actions/convert"): "convert",
    ("POST", "/actions/mass_convert"): "mass_convert",
    ("GET", "/actions/count"): "count",
    ("POST", "/bulk/v8/read"): "bulk_read",
}
#: Records in a call that cost the credits of its kind once, by the list in the body that has them.
RECORDS_PER_COST: Mapping[str, int] = {"data": 10, "ids": 50}


def may_have_arrived(error: ZohoError) -> bool:
    """Return whether Zoho may have processed the request of an error, though it may be repeated."""
    if isinstance(error, TransportError):
        cause = error.__cause__
        is_lost = isinstance(cause, requests.RequestException) and not surely_not_sent(cause)
        return is_lost or error.http_status is not None
    return isinstance(error, ServerError | UnknownOutcomeError)


def always() -> bool:
    """Return ``True``: the default of ``may_send`` and ``before_change``."""
    return True


def ignore_call(call: ApiCall) -> None:
    """Do nothing: the default of ``on_call``."""


def counted(method: str, path: str, body: Any, *, was_refused: bool) -> ApiCall:
    """Return a call as its use is counted."""
    for (verb, end), kind in EXPENSIVE_CALLS.items():
        if verb == method and path.endswith(end):
            return ApiCall(kind, was_refused=was_refused)
    for name, size in RECORDS_PER_COST.items():
        if records := body.get(name) if isinstance(body, dict) else None:
            kind = "write" if name == "data" else "other"
            return ApiCall(kind, was_refused=was_refused, units=ceil(len(records) / size))
    return ApiCall("other", was_refused=was_refused)


@dataclass(kw_only=True)
class Api:
    """Calls to one origin, each with a deadline; may be shared between threads."""

    origin: str
    session: requests.Session
    auth: AuthBase | None = None
    limits: Limits = Limits()
    #: Called before every request that may change something at Zoho; an error stops it.
    before_change: Callable[[], object] = always
    #: Called with every call that was answered.
    on_call: Callable[[ApiCall], object] = ignore_call
    #: The number of calls that one write may have in flight.
    concurrency: int = 1
    #: The organisation's remaining credits in the newest answer that had them.
    credits_remaining: int | None = None
    _credits_noted_at: float = 0.0

    @property
    def host(self) -> str:
        """The host of the origin, with its port if it has one."""
        return self.origin.partition("://")[2]

    def for_another_thread(self, on_call: Callable[[ApiCall], object]) -> Api:
        """Return a copy for one call, which is signed with the access token of now."""
        auth = self.auth.now() if isinstance(self.auth, ZohoAuth) else self.auth
        return replace(self, auth=auth, before_change=always, on_call=on_call)

    def call(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool = True,
        may_send: Callable[[], bool] = always,
        auth: AuthBase | None = None,
        secrets: Collection[str] = (),
        is_read: bool = False,
        **parts: Any,
    ) -> JsonObject:
        """
        Send one request and return the body of its answer.

        :param repeatable: whether the request may be sent twice
        :param is_read: whether it changes nothing at Zoho, though it is no GET request
        :param may_send: called first, and again when connected; if ``False``, nothing is sent
        :param auth: used instead of this object's own
        :param secrets: names of the answer's values that are secrets: a text becomes a ``Secret``
        :param parts: arguments of ``requests``: ``params``, ``json``, ``data``, ``headers``
        :raises TransientError: if it was certainly not processed, or is ``repeatable``
        :raises UnknownOutcomeError: if it is not ``repeatable`` and may have been processed
        """
        response, body = self._send(
            method,
            path,
            repeatable=repeatable,
            may_send=may_send,
            auth=auth,
            secrets=secrets,
            is_read=is_read,
            **parts,
        )
        return check_answer(response, body, repeatable=repeatable)

    def call_items(
        self, method: str, path: str, *, number: int, repeatable: bool, **parts: Any
    ) -> list[JsonObject | ZohoError]:
        """
        Send one request about several items, and return the result or the error of each.

        :param number: of items in the request
        :param repeatable: as in ``call``, and so are the errors
        """
        response, body = self._send(method, path, repeatable=repeatable, **parts)
        return item_answers(response, body, number=number, repeatable=repeatable)

    def transfer(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool,
        pace: Pace,
        save: Callable[[requests.Response], object] | None = None,
        **parts: Any,
    ) -> tuple[requests.Response, JsonObject]:
        """
        Send one request with a file in it or in its answer, and return the answer, unchecked.

        :param pace: how long it may last, instead of the deadline
        :param save: reads the body of an answer with HTTP 200, for which ``{}`` is returned
        :param parts: as in ``call``, and so are the errors
        """
        return self._send(method, path, repeatable=repeatable, pace=pace, save=save, **parts)

    def _send(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool,
        may_send: Callable[[], bool] = always,
        auth: AuthBase | None = None,
        secrets: Collection[str] = (),
        is_read: bool = False,
        **parts: Any,
    ) -> tuple[requests.Response, JsonObject]:
        """Send one request, and return its answer with the object in the body."""
        if method != "GET" and not is_read:
            self.before_change()
        if not (may_send() and may_be_sent()):
            raise TransportError(f"{method} {self.host}{path}: too late to be sent")
        body = parts.get("json")
        sent = time.monotonic()
        end = sent + self.limits.deadline
        parts["auth"] = auth or self.auth
        try:
            with one_request(lambda: time.monotonic() < end and may_send(), parts.get("pace")):
                response, answer = self._exchange(method, path, secrets, **parts)
        except requests.RequestException as error:
            certain = repeatable or surely_not_sent(error)
            message = f"{method} {self.host}{path}: {describe_error(error)}"
            raise no_answer(message, repeatable=certain) from error
        self._note_credits(credits_remaining(response), sent=sent)
        was_too_many = response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        self.on_call(counted(method, path, body, was_refused=was_too_many))
        return response, answer

    def read(self, path: str, parse: Callable[[JsonObject], Value], **query: str) -> Value:
        """
        Send a GET request, and return the value that ``parse`` makes of the answer.

        :raises ServerError: if the answer does not have the documented form
        :raises ZohoError: as ``call``
        """
        return parse_answer(parse, self.call("GET", path, params=query))

    def _note_credits(self, remaining: int | None, *, sent: float) -> None:
        """Keep the newest number of credits; of calls in flight together, the smallest."""
        if remaining is None:
            return
        known = self.credits_remaining
        if known is None or remaining < known or sent > self._credits_noted_at:
            self.credits_remaining, self._credits_noted_at = remaining, time.monotonic()

    def _exchange(
        self,
        method: str,
        path: str,
        secrets: Collection[str],
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        pace: Pace | None = None,
        save: Callable[[requests.Response], object] | None = None,
        **parts: Any,
    ) -> tuple[requests.Response, JsonObject]:
        """Send one request; return its answer and the object in it, ``{}`` if the body is saved."""
        timeout = pace.timeout(self.limits.connect) if pace else self.limits.timeout()
        sent = {**self.session.headers, **(headers or {})}
        if json is not None:  # requests would refuse a decimal
            parts["data"] = json_text(json).encode()
            sent["Content-Type"] = "application/json"
        # From here to the socket and back, the request and the answer are in plain.
        with HiddenVariables():
            # Not session.prepare_request: the session has nothing to add but its headers.
            request = requests.Request(method, self.origin + path, headers=sent, **parts)
            with self.session.send(
                request.prepare(),
                timeout=cast(Any, timeout),
                allow_redirects=False,
                stream=True,
            ) as response:
                if save and response.status_code == HTTPStatus.OK:
                    save(response)
                    return response, {}
                return response, object_in(self._content(response), secrets)

    def _content(self, response: requests.Response) -> bytes:
        """Read the body of an answer, up to the largest size."""
        content = bytearray()
        for chunk in response.iter_content(64 * 1024):
            content += chunk
            if len(content) > self.limits.size:
                raise requests.exceptions.ContentDecodingError("the answer is too large")
        return bytes(content)
