"""One origin of Zoho: send, bound, judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import requests
from requests.auth import AuthBase

from zoho_crm.client._answers import credits_remaining, judge, no_answer
from zoho_crm.client._transport import Limits, surely_not_sent
from zoho_crm.exceptions import TransportError
from zoho_crm.types import JsonObject


def always() -> bool:
    """Whether a call may be sent that nobody restricts."""
    return True


@dataclass(kw_only=True)
class Api:
    """Calls to one origin, each with a deadline; safe to share between threads."""

    origin: str
    session: requests.Session
    auth: AuthBase | None = None
    limits: Limits = Limits()
    #: What Zoho said last of the organisation's credits.
    credits_remaining: int | None = None

    def call(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool = True,
        may_send: Callable[[], bool] = always,
        **parts: Any,
    ) -> JsonObject:
        """
        Send one request and return the body of its answer.

        :param parts: what ``requests`` takes: ``params``, ``json``, ``data``, ``headers``
        :raises TransientError: if it was surely not processed, or may be repeated
        :raises UnknownOutcomeError: if it is not ``repeatable`` and may have been processed
        """
        if not may_send():
            raise TransportError(f"{method} {path}: too late to be sent")
        try:
            response, content = self._exchange(method, path, parts)
        except requests.RequestException as error:
            certain = repeatable or surely_not_sent(error)
            raise no_answer(
                f"{method} {path}: {type(error).__name__}", repeatable=certain
            ) from error
        remaining = credits_remaining(response)
        if remaining is not None:
            self.credits_remaining = remaining
        return judge(response, content, repeatable=repeatable)

    def _exchange(
        self, method: str, path: str, parts: dict[str, Any]
    ) -> tuple[requests.Response, bytes]:
        with self.session.request(
            method,
            self.origin + path,
            auth=self.auth,
            timeout=cast(Any, self.limits.timeout()),
            allow_redirects=False,
            stream=True,
            **parts,
        ) as response:
            return response, self._bounded(response)

    def _bounded(self, response: requests.Response) -> bytes:
        content = bytearray()
        for chunk in response.iter_content(64 * 1024):
            content += chunk
            if len(content) > self.limits.size:
                raise requests.exceptions.ContentDecodingError("the answer is too large")
        return bytes(content)
