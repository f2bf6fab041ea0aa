"""
Authentication of requests: the header ``Authorization: Zoho-oauthtoken …``.

https://www.zoho.com/crm/developer/docs/api/v8/access-refresh.html
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from zoho_crm.datacenters import LOOPBACK
from zoho_crm.types import Secret


class TokenAuth(AuthBase):
    """Signs requests with one access token."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Zoho-oauthtoken {self._token.reveal()}"
        return request


class ZohoAuth(AuthBase):
    """
    Signs requests to known hosts, over TLS or on this machine.

    If the answer is HTTP 401, the access token is refreshed and the request is sent once more.

    :param current: returns the access token
    :param renew: returns a new access token, given the one that was rejected
    :param hosts: the hosts (``host[:port]``) that may get the token
    """

    def __init__(
        self,
        *,
        current: Callable[[], Secret],
        renew: Callable[[Secret], Secret],
        hosts: Collection[str],
    ) -> None:
        self._current = current
        self._renew = renew
        self._hosts = frozenset(hosts)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if not self._may_sign(request.url):
            return request
        token = self._current()
        request.hooks["response"].append(partial(self._retry_with_new_token, token))
        return TokenAuth(token)(request)

    def _may_sign(self, url: str | None) -> bool:
        parts = urlsplit(url or "")
        is_private = parts.scheme == "https" or parts.hostname in LOOPBACK
        return is_private and parts.netloc in self._hosts

    def _retry_with_new_token(self, token: Secret, response: Response, **kwargs: Any) -> Response:
        # After a redirect this hook is called for the answer of the other host too.
        if response.status_code != 401 or not self._may_sign(response.request.url):
            return response
        # Zoho answers 401 for a missing scope too, which a new token would lack as well.
        if b"OAUTH_SCOPE_MISMATCH" in response.content:
            return response
        retry = TokenAuth(self._renew(token))(response.request.copy())
        answer: Response = response.connection.send(retry, **kwargs)
        answer.history.append(response)
        answer.request = retry
        return answer
