"""
Issued codes and tokens, and the limits on them.

`Token validity <https://www.zoho.com/crm/developer/docs/api/v8/token-validity.html>`_
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

MAX_CALLS_PER_RATE_WINDOW = 10
ACCESS_TOKENS_PER_REFRESH_TOKEN = 15
REFRESH_TOKENS_PER_USER = 20


def new_secret() -> str:
    """Return a new code or token: ``1000.`` and two random parts."""
    return f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"


@dataclass(kw_only=True)
class Code:
    """A grant code, valid for one exchange."""

    user_id: str
    scopes: tuple[str, ...]
    expires_at: datetime
    redirect_uri: str = ""
    """Empty for a self client."""
    offline: bool = True
    """Whether the exchange yields a refresh token."""
    challenge: str = ""
    """PKCE S256, empty when the request had none."""


@dataclass(frozen=True, kw_only=True)
class Consent:
    """The access that a client has asked a user for."""

    redirect_uri: str
    scopes: tuple[str, ...]
    state: str
    offline: bool
    challenge: str


@dataclass(kw_only=True)
class RefreshToken:
    """A refresh token; revoking it revokes its access tokens."""

    value: str
    user_id: str
    scopes: tuple[str, ...]
    rate_limit: RateLimit


@dataclass(kw_only=True)
class AccessToken:
    """An access token, which signs API calls."""

    value: str
    user_id: str
    scopes: tuple[str, ...]
    expires_at: datetime
    refresh_token: str = ""


@dataclass
class RateLimit:
    """A fixed window: ten calls, counted from the first call after the last window."""

    started_at: datetime | None = None
    count: int = 0

    def allow(self, now: datetime, *, seconds: float) -> bool:
        """Count one more call and return True, or False if the window of ``seconds`` is full."""
        if self.started_at is None or now - self.started_at >= timedelta(seconds=seconds):
            self.started_at, self.count = now, 0
        if self.count >= MAX_CALLS_PER_RATE_WINDOW:
            return False
        self.count += 1
        return True


@dataclass
class Grants:
    """All codes and tokens of the client; dictionaries by value."""

    codes: dict[str, Code] = field(default_factory=dict)
    refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict)
    access_tokens: dict[str, AccessToken] = field(default_factory=dict)
    #: Ids of users who have consented; they are asked again only with ``prompt=consent``.
    consents: set[str] = field(default_factory=set)
    #: Authorization pages that were shown and not answered yet, by key.
    pending_consents: dict[str, Consent] = field(default_factory=dict)
    code_rate_limit: RateLimit = field(default_factory=RateLimit)

    def add_code(self, code: Code) -> str:
        value = new_secret()
        self.codes[value] = code
        return value

    def add_pending_consent(self, consent: Consent) -> str:
        """Store the question of an authorization page; return the key that its form sends."""
        key = secrets.token_hex(16)
        self.pending_consents[key] = consent
        return key

    def redeem_code(self, value: str, now: datetime) -> Code | None:
        """Remove a code and return it, or None if it is unknown or expired."""
        code = self.codes.pop(value, None)
        return code if code and code.expires_at > now else None

    def add_refresh_token(self, code: Code) -> RefreshToken:
        """Add a refresh token; the 21st of a user revokes the oldest one."""
        token = RefreshToken(
            value=new_secret(), user_id=code.user_id, scopes=code.scopes, rate_limit=RateLimit()
        )
        self.refresh_tokens[token.value] = token
        own = [each for each in self.refresh_tokens.values() if each.user_id == code.user_id]
        for oldest in own[:-REFRESH_TOKENS_PER_USER]:
            self.revoke(oldest.value)
        return token

    def add_access_token(
        self, source: Code | RefreshToken, refresh_token: str, expires_at: datetime
    ) -> AccessToken:
        """Add an access token; the 16th of a refresh token deletes the oldest one."""
        token = AccessToken(
            value=new_secret(),
            user_id=source.user_id,
            scopes=source.scopes,
            expires_at=expires_at,
            refresh_token=refresh_token,
        )
        self.access_tokens[token.value] = token
        if refresh_token:
            self._delete(self._access_tokens_of(refresh_token)[:-ACCESS_TOKENS_PER_REFRESH_TOKEN])
        return token

    def valid_access_token(self, access_token: str, now: datetime) -> AccessToken | None:
        token = self.access_tokens.get(access_token)
        return token if token and token.expires_at > now else None

    def revoke(self, value: str) -> bool:
        """Delete an access token, or a refresh token with its own; return whether it existed."""
        if value in self.refresh_tokens:
            del self.refresh_tokens[value]
            self._delete(self._access_tokens_of(value))
            return True
        return self.access_tokens.pop(value, None) is not None

    def _access_tokens_of(self, refresh_token: str) -> list[str]:
        tokens = self.access_tokens.values()
        return [token.value for token in tokens if token.refresh_token == refresh_token]

    def _delete(self, values: Iterable[str]) -> None:
        for value in values:
            del self.access_tokens[value]
