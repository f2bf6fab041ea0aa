"""
Zoho Accounts: codes into tokens, and new access tokens.

https://www.zoho.com/accounts/protocol/oauth/web-server-applications.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from zoho_crm.client._api import Api
from zoho_crm.exceptions import (
    ConnectionLostError,
    GrantRefusedError,
    ServerError,
    ZohoError,
)
from zoho_crm.types import Secret, TokenGrant


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A client registered at Zoho."""

    client_id: str
    client_secret: Secret

    def form(self) -> dict[str, str]:
        """Return them as the token endpoint wants them."""
        return {"client_id": self.client_id, "client_secret": self.client_secret.reveal()}


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
        form = {"grant_type": "authorization_code", "code": code.reveal()}
        form |= {"redirect_uri": redirect_uri} if redirect_uri else {}
        form |= {"code_verifier": verifier} if verifier else {}
        return self._token(form)

    def refresh(self, refresh_token: Secret) -> TokenGrant:
        """
        Get a new access token; the refresh token stays what it is.

        :raises ConnectionLostError: if the refresh token was revoked
        :raises TokenThrottledError: if Zoho gave out ten within ten minutes
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}
        try:
            return self._token(form)
        except GrantRefusedError as error:
            raise ConnectionLostError(code=error.code, http_status=error.http_status) from error

    def revoke(self, refresh_token: Secret) -> None:
        """
        Take a consent back, with all its access tokens; one that is gone already is fine.

        https://www.zoho.com/crm/developer/docs/api/v8/revoke-tokens.html
        """
        form = {"token": refresh_token.reveal()}
        try:
            self.api.call("POST", "/oauth/v2/token/revoke", data=form)
        except ZohoError as error:
            if error.http_status not in {200, 400}:
                raise

    def _token(self, form: dict[str, str]) -> TokenGrant:
        body = self.api.call("POST", "/oauth/v2/token", data={**form, **self.credentials.form()})
        if not body.get("access_token"):
            raise ServerError(code="no_access_token")
        return TokenGrant(
            access_token=Secret(body["access_token"]),
            refresh_token=Secret(body.get("refresh_token", "")),
            api_domain=str(body.get("api_domain", "")),
            expires_in=_seconds(body),
            scopes=tuple(str(body.get("scope", "")).replace(",", " ").split()),
        )


def _seconds(body: Mapping[str, Any]) -> float:
    """Clients registered long ago get milliseconds, and ``expires_in_sec`` beside them."""
    given = body.get("expires_in_sec") or body.get("expires_in") or 3600
    return float(given)
