"""HTTP calls to one origin: send the request, limit time and size, check the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus
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
    describe_error,
    sending_only_if,
    surely_not_sent,
)
from zoho_crm.exceptions import TransportError, ZohoError
from zoho_crm.types import HiddenVariables, JsonObject, json_text

Value = TypeVar("Value")

#: Calls that cost more credits: https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
EXPENSIVE_ACTIONS = frozenset({"convert", "mass_convert"})


def always() -> bool:
    """Return ``True``: the default of ``may_send`` and ``before_change``."""
    return True


def ignore_call(kind: str, refused: bool) -> None:
    """Do nothing: the default of ``on_call``."""


def kind_of(method: str, path: str) -> str:
    """Return the kind of a call: a key of the setting ``CREDIT_COSTS``."""
    action = path.rpartition("/")[2]
    return action if method == "POST" and action in EXPENSIVE_ACTIONS else "other"


@dataclass(kw_only=True)
class Api:
    """Calls to one origin, each with a deadline; may be shared between threads."""

    origin: str
    session: requests.Session
    auth: AuthBase | None = None
    limits: Limits = Limits()
    #: Called before every request that may change something at Zoho; an error stops it.
    before_change: Callable[[], object] = always
    #: Called with every answer: the kind of call, and whether Zoho refused it as one too many.
    on_call: Callable[[str, bool], object] = ignore_call
    #: The organisation's remaining credits in the newest answer that had them.
    credits_remaining: int | None = None
    _credits_noted_at: float = 0.0

    @property
    def host(self) -> str:
        """The host of the origin, with its port if it has one."""
        return self.origin.partition("://")[2]

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
        if not may_send():
            raise TransportError(f"{method} {self.host}{path}: too late to be sent")
        sent = time.monotonic()
        end = sent + self.limits.deadline
        parts["auth"] = auth or self.auth
        try:
            with sending_only_if(lambda: time.monotonic() < end and may_send()):
                response, body = self._exchange(method, path, parts, secrets)
        except requests.RequestException as error:
            certain = repeatable or surely_not_sent(error)
            message = f"{method} {self.host}{path}: {describe_error(error)}"
            raise no_answer(message, repeatable=certain) from error
        self._note_credits(credits_remaining(response), sent=sent)
        was_too_many = response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        self.on_call(kind_of(method, path), was_too_many)
        return response, body

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
        self, method: str, path: str, parts: dict[str, Any], secrets: Collection[str]
    ) -> tuple[requests.Response, JsonObject]:
        headers = {**self.session.headers, **(parts.pop("headers", None) or {})}
        if "json" in parts:  # requests would refuse a decimal
            parts["data"] = json_text(parts.pop("json")).encode()
            headers["Content-Type"] = "application/json"
        # From here to the socket and back, the request and the answer are in plain.
        with HiddenVariables():
            # Not session.prepare_request: the session has nothing to add but its headers.
            request = requests.Request(method, self.origin + path, headers=headers, **parts)
            with self.session.send(
                request.prepare(),
                timeout=cast(Any, self.limits.timeout()),
                allow_redirects=False,
                stream=True,
            ) as response:
                return response, object_in(self._content(response), secrets)

    def _content(self, response: requests.Response) -> bytes:
        """Read the body of an answer, up to the largest size."""
        content = bytearray()
        for chunk in response.iter_content(64 * 1024):
            content += chunk
            if len(content) > self.limits.size:
                raise requests.exceptions.ContentDecodingError("the answer is too large")
        return bytes(content)
