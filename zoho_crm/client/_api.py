"""One origin of Zoho: send, bound, judge."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import requests
from requests.auth import AuthBase

from zoho_crm.client._answers import (
    check_answer,
    credits_remaining,
    no_answer,
    object_in,
    parse_answer,
    without_tracebacks,
)
from zoho_crm.client._transport import Limits, sending_only_if, surely_not_sent
from zoho_crm.exceptions import TransportError
from zoho_crm.types import JsonObject

Value = TypeVar("Value")

TOO_MANY = 429
#: What costs more than other calls: https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
EXPENSIVE_ACTIONS = frozenset({"convert", "mass_convert"})


def always() -> bool:
    """Whether a call may be sent that nobody restricts."""
    return True


def ignore_call(kind: str, refused: bool) -> None:
    """Take no note of a call."""


def kind_of(method: str, path: str) -> str:
    """Return the kind of a call, as credits are counted."""
    action = path.rpartition("/")[2]
    return action if method == "POST" and action in EXPENSIVE_ACTIONS else "other"


@dataclass(kw_only=True)
class Api:
    """Calls to one origin, each with a deadline; safe to share between threads."""

    origin: str
    session: requests.Session
    auth: AuthBase | None = None
    limits: Limits = Limits()
    #: Told of every answer: the kind of call, and whether Zoho refused it as one too many.
    on_call: Callable[[str, bool], object] = ignore_call
    #: What Zoho said last of the organisation's credits.
    credits_remaining: int | None = None
    _credits_told: float = 0.0

    def call(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool = True,
        may_send: Callable[[], bool] = always,
        auth: AuthBase | None = None,
        **parts: Any,
    ) -> JsonObject:
        """
        Send one request and return the body of its answer.

        :param may_send: asked before the call, and again when a connection to send it on stands
        :param auth: instead of this object's own
        :param parts: what ``requests`` takes: ``params``, ``json``, ``data``, ``headers``
        :raises TransientError: if it was surely not processed, or may be repeated
        :raises UnknownOutcomeError: if it is not ``repeatable`` and may have been processed
        """
        if not may_send():
            raise TransportError(f"{method} {path}: too late to be sent")
        sent = time.monotonic()
        end = sent + self.limits.deadline
        parts["auth"] = auth or self.auth
        try:
            with sending_only_if(lambda: time.monotonic() < end and may_send()):
                response, body = self._exchange(method, path, parts)
        except requests.RequestException as error:
            certain = repeatable or surely_not_sent(error)
            message = f"{method} {path}: {type(error).__name__}"
            raise no_answer(message, repeatable=certain) from without_tracebacks(error)
        self._note_credits(credits_remaining(response), sent=sent)
        self.on_call(kind_of(method, path), response.status_code == TOO_MANY)
        return check_answer(response, body, repeatable=repeatable)

    def read(self, path: str, parse: Callable[[JsonObject], Value], **query: str) -> Value:
        """
        Return what ``parse`` makes of the answer to a GET.

        :raises ServerError: if the answer has no form that we know
        :raises ZohoError: as ``call``
        """
        return parse_answer(parse, self.call("GET", path, params=query))

    def _note_credits(self, remaining: int | None, *, sent: float) -> None:
        """Keep the newest figure: of calls that were under way together, the smallest."""
        if remaining is None:
            return
        known = self.credits_remaining
        if known is None or remaining < known or sent > self._credits_told:
            self.credits_remaining, self._credits_told = remaining, time.monotonic()

    def _exchange(
        self, method: str, path: str, parts: dict[str, Any]
    ) -> tuple[requests.Response, JsonObject]:
        headers = {**self.session.headers, **(parts.pop("headers", None) or {})}
        # The session has nothing else to add: no cookies, no proxies, no defaults.
        request = requests.Request(method, self.origin + path, headers=headers, **parts).prepare()
        with self.session.send(
            request,
            timeout=cast(Any, self.limits.timeout()),
            allow_redirects=False,
            stream=True,
        ) as response:
            return response, object_in(self._bounded(response))

    def _bounded(self, response: requests.Response) -> bytes:
        content = bytearray()
        for chunk in response.iter_content(64 * 1024):
            content += chunk
            if len(content) > self.limits.size:
                raise requests.exceptions.ContentDecodingError("the answer is too large")
        return bytes(content)
