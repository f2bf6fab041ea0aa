"""
Zoho Accounts: exchange a code for tokens, refresh an access token, revoke a refresh token.

https://www.zoho.com/accounts/protocol/oauth/web-server-applications.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from requests import PreparedRequest
from requests.auth import AuthBase

from zoho_crm.client._answers import parse_answer, text_of
from zoho_crm.client._api import Api
from zoho_crm.exceptions import (
    ConnectionLostError,
    GrantRefusedError,
    ServerError,
    ZohoError,
)
from zoho_crm.types import HiddenVariables, JsonObject, Secret, TokenGrant, ValueObject

#: Lifetime of an access token if the answer has none, or one that is not plausible.
DEFAULT_LIFETIME_SECONDS = 3600
MAX_LIFETIME_SECONDS = 86_400
#: A token: it is sent in a header, so it has no blanks, line ends or letters beyond ASCII.
TOKEN = re.compile(r"[!-~]{1,2000}", re.ASCII)
#: Characters of the scopes in an answer that are read.
MAX_SCOPES_LENGTH = 10_000
#: The values of an answer that are secrets.
TOKENS = ("access_token", "refresh_token")


class Credentials(ValueObject):
    """A client registered at Zoho."""

    client_id: str
    client_secret: Secret

    def form(self) -> dict[str, str | Secret]:
        """Return the fields of a form for the token endpoint."""
        return {"client_id": self.client_id, "client_secret": self.client_secret}


class SecretForm(AuthBase):
    """Adds a form with secrets to a request, so that no variable elsewhere holds them in plain."""

    def __init__(self, fields: Mapping[str, str | Secret]) -> None:
        self._fields = fields

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.prepare_body({name: _text(value) for name, value in self._fields.items()}, None)
        return request


def _text(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


class AccountsClient(ValueObject):
    """Calls to the accounts server of one data center with one client's credentials."""

    api: Api
    credentials: Credentials

    def authorization_url(
        self,
        *,
        scopes: tuple[str, ...],
        redirect_uri: str,
        state: Secret,
        code_challenge: str = "",
    ) -> str:
        """Return the URL of the consent page, for offline access: with a refresh token."""
        query = {
            "response_type": "code",
            "client_id": self.credentials.client_id,
            "scope": ",".join(scopes),
            "redirect_uri": redirect_uri,
            "access_type": "offline",
            "prompt": "consent",
        }
        if code_challenge:
            query |= {"code_challenge": code_challenge, "code_challenge_method": "S256"}
        page = f"{self.api.origin}/oauth/v2/auth?{urlencode(query)}"
        with HiddenVariables():
            return f"{page}&state={quote(state.reveal())}"

    def exchange(
        self, code: Secret, *, redirect_uri: str = "", verifier: Secret | None = None
    ) -> TokenGrant:
        """
        Exchange a code, which is valid once and for a minute, for tokens.

        A token that the answer lacks, or that cannot be one, is empty in the grant: the code is
        used up, and the caller can still revoke the other token.

        :param redirect_uri: the one of the authorization request; empty for a self client
        :param verifier: PKCE's code verifier; none or empty without PKCE
        :raises GrantRefusedError: if the code is expired, used, or of another client or data center
        :raises ClientRejectedError: if the client or the data center is wrong
        """
        form = {"redirect_uri": redirect_uri, "code_verifier": verifier}
        given = {name: value for name, value in form.items() if value}
        return self._request_tokens("authorization_code", code=code, **given)

    def refresh(self, refresh_token: Secret) -> TokenGrant:
        """
        Return a new access token; the refresh token stays the same.

        :raises ConnectionLostError: if the refresh token was revoked
        :raises TokenThrottledError: if Zoho gave out ten access tokens within ten minutes
        :raises ServerError: if the answer has no access token, or one that cannot be one
        """
        try:
            grant = self._request_tokens("refresh_token", refresh_token=refresh_token)
        except GrantRefusedError as error:
            raise ConnectionLostError(code=error.code, http_status=error.http_status) from error
        if not grant.access_token:
            raise ServerError(code="no_access_token")
        return grant

    def revoke(self, refresh_token: Secret) -> None:
        """
        Revoke a refresh token with its access tokens; one that was revoked already is no error.

        https://www.zoho.com/crm/developer/docs/api/v8/revoke-tokens.html
        """
        form = SecretForm({"token": refresh_token})
        try:
            self.api.call("POST", "/oauth/v2/token/revoke", auth=form)
        except ZohoError as error:
            if error.http_status not in {200, 400}:
                raise

    def _request_tokens(self, grant_type: str, **form: str | Secret) -> TokenGrant:
        form = {"grant_type": grant_type, **form, **self.credentials.form()}
        signed = SecretForm(form)
        body = self.api.call("POST", "/oauth/v2/token", auth=signed, secrets=TOKENS)
        return parse_answer(_grant, body)


def _grant(body: JsonObject) -> TokenGrant:
    return TokenGrant(
        access_token=_token(body.get("access_token")),
        refresh_token=_token(body.get("refresh_token")),
        api_domain=str(body.get("api_domain") or ""),
        expires_in=_seconds(body),
        scopes=tuple(text_of(body.get("scope"), MAX_SCOPES_LENGTH).replace(",", " ").split()),
    )


def _token(value: Any) -> Secret:
    """Return a token of an answer; empty if the value cannot be one."""
    return value if isinstance(value, Secret) and TOKEN.fullmatch(value.reveal()) else Secret("")


def _seconds(body: JsonObject) -> float:
    """Return the lifetime in seconds: old clients get milliseconds, besides ``expires_in_sec``."""
    given: Any = body.get("expires_in_sec") or body.get("expires_in")
    try:
        seconds = 0 if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        seconds = 0
    return seconds if 0 < seconds <= MAX_LIFETIME_SECONDS else DEFAULT_LIFETIME_SECONDS
