"""
Zoho Accounts: codes into tokens, and new access tokens.

https://www.zoho.com/accounts/protocol/oauth/web-server-applications.html
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from requests import PreparedRequest
from requests.auth import AuthBase

from zoho_crm.client._answers import parse_answer
from zoho_crm.client._api import Api
from zoho_crm.exceptions import (
    ConnectionLostError,
    GrantRefusedError,
    ServerError,
    ZohoError,
)
from zoho_crm.types import JsonObject, Secret, TokenGrant

#: Seconds that an access token lives, where Zoho says nothing that can be believed.
DEFAULT_LIFETIME_SECONDS = 3600
MAX_LIFETIME_SECONDS = 86_400


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A client registered at Zoho."""

    client_id: str
    client_secret: Secret

    def form(self) -> dict[str, str | Secret]:
        """Return them as the token endpoint wants them."""
        return {"client_id": self.client_id, "client_secret": self.client_secret}


class SecretForm(AuthBase):
    """Signs a request by a form with secrets, which no variable on the way there shows."""

    def __init__(self, fields: Mapping[str, str | Secret]) -> None:
        self._fields = fields

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.prepare_body({name: _plain(value) for name, value in self._fields.items()}, None)
        return request


def _plain(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


@dataclass(frozen=True, kw_only=True)
class AccountsClient:
    """The accounts server of one data center, as one client."""

    api: Api
    credentials: Credentials

    def authorization_url(
        self, *, scopes: tuple[str, ...], redirect_uri: str, state: str, code_challenge: str = ""
    ) -> str:
        """Return where a browser asks the user for consent; offline, so that it can be renewed."""
        query = {
            "response_type": "code",
            "client_id": self.credentials.client_id,
            "scope": ",".join(scopes),
            "redirect_uri": redirect_uri,
            "access_type": "offline",
            "prompt": "consent",
            "state": state,
        }
        if code_challenge:
            query |= {"code_challenge": code_challenge, "code_challenge_method": "S256"}
        return f"{self.api.origin}/oauth/v2/auth?{urlencode(query)}"

    def exchange(self, code: Secret, *, redirect_uri: str = "", verifier: str = "") -> TokenGrant:
        """
        Turn a code, which works once and for a minute, into tokens.

        :param redirect_uri: as it was in the authorization request; empty for a self client
        :raises GrantRefusedError: if the code is expired, used, or of another client or data center
        :raises ClientRejectedError: if the client or the data center is wrong
        """
        form = {"redirect_uri": redirect_uri, "code_verifier": verifier}
        given = {name: value for name, value in form.items() if value}
        return self._token("authorization_code", code=code, **given)

    def refresh(self, refresh_token: Secret) -> TokenGrant:
        """
        Get a new access token; the refresh token stays what it is.

        :raises ConnectionLostError: if the refresh token was revoked
        :raises TokenThrottledError: if Zoho gave out ten within ten minutes
        """
        try:
            return self._token("refresh_token", refresh_token=refresh_token)
        except GrantRefusedError as error:
            raise ConnectionLostError(code=error.code, http_status=error.http_status) from error

    def revoke(self, refresh_token: Secret) -> None:
        """
        Take a consent back, with all its access tokens; one that is gone already is fine.

        https://www.zoho.com/crm/developer/docs/api/v8/revoke-tokens.html
        """
        form = SecretForm({"token": refresh_token})
        try:
            self.api.call("POST", "/oauth/v2/token/revoke", auth=form)
        except ZohoError as error:
            if error.http_status not in {200, 400}:
                raise

    def _token(self, grant_type: str, **form: str | Secret) -> TokenGrant:
        form = {"grant_type": grant_type, **form, **self.credentials.form()}
        signed = SecretForm(form)
        grant = parse_answer(_grant, self.api.call("POST", "/oauth/v2/token", auth=signed))
        if not grant.access_token:
            raise ServerError(code="no_access_token")
        return grant


def _grant(body: JsonObject) -> TokenGrant:
    return TokenGrant(
        access_token=Secret(str(body.get("access_token") or "")),
        refresh_token=Secret(str(body.get("refresh_token") or "")),
        api_domain=str(body.get("api_domain") or ""),
        expires_in=_seconds(body),
        scopes=tuple(str(body.get("scope") or "").replace(",", " ").split()),
    )


def _seconds(body: JsonObject) -> float:
    """Clients registered long ago get milliseconds, and ``expires_in_sec`` beside them."""
    given: Any = body.get("expires_in_sec") or body.get("expires_in")
    with contextlib.suppress(TypeError, ValueError):
        seconds = float(given)
        if 0 < seconds <= MAX_LIFETIME_SECONDS:
            return seconds
    return DEFAULT_LIFETIME_SECONDS
