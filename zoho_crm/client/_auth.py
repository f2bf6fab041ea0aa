"""
Signing: the header ``Authorization: Zoho-oauthtoken …``.

https://www.zoho.com/crm/developer/docs/api/v8/access-refresh.html
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from zoho_crm.types import Secret


class TokenAuth(AuthBase):
    """Signs with the one access token that it is given."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Zoho-oauthtoken {self._token.reveal()}"
        return request


class ZohoAuth(AuthBase):
    """Signs calls to known hosts; on 401 it renews the token and asks once more."""

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
        if urlsplit(request.url or "").netloc not in self._hosts:
            return request
        token = self._current()

        def ask_once_more(response: Response, **kwargs: Any) -> Response:
            # Zoho says 401 for a missing scope too; a new token would not have it either.
            if response.status_code != 401 or b"OAUTH_SCOPE_MISMATCH" in response.content:
                return response
            again = response.request.copy()
            again.hooks["response"].remove(ask_once_more)
            TokenAuth(self._renew(token))(again)
            answer: Response = response.connection.send(again, **kwargs)
            answer.history.append(response)
            answer.request = again
            return answer

        request.hooks["response"].append(ask_once_more)
        return TokenAuth(token)(request)
