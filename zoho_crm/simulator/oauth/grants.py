"""
Codes and tokens given out, and the limits on them.

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
    """Codes and tokens look alike: ``1000.`` and two random parts."""
    return f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"


@dataclass(kw_only=True)
class Code:
    """A grant token: good for one exchange."""

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
    """What a client has asked a person for."""

    redirect_uri: str
    scopes: tuple[str, ...]
    state: str
    offline: bool
    challenge: str


@dataclass(kw_only=True)
class RefreshToken:
    """A standing consent; revoking it kills its access tokens."""

    value: str
    user_id: str
    scopes: tuple[str, ...]
    rate_limit: RateLimit


@dataclass(kw_only=True)
class AccessToken:
    """What signs a call."""

    value: str
    user_id: str
    scopes: tuple[str, ...]
    expires_at: datetime
    refresh_token: str = ""


@dataclass
class RateLimit:
    """Ten in each window of ten minutes; a window begins with the first call after the last one."""

    started_at: datetime | None = None
    count: int = 0

    def allow(self, now: datetime, *, seconds: float) -> bool:
        """Count one more, unless the window of so many seconds is full."""
        if self.started_at is None or now - self.started_at >= timedelta(seconds=seconds):
            self.started_at, self.count = now, 0
        if self.count >= MAX_CALLS_PER_RATE_WINDOW:
            return False
        self.count += 1
        return True


@dataclass
class Grants:
    """All of the client's codes and tokens; plain dictionaries by value."""

    codes: dict[str, Code] = field(default_factory=dict)
    refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict)
    access_tokens: dict[str, AccessToken] = field(default_factory=dict)
    #: Users who have consented once: asked again only with ``prompt=consent``.
    consents: set[str] = field(default_factory=set)
    #: Pages that were shown and not answered yet.
    pending_consents: dict[str, Consent] = field(default_factory=dict)
    code_rate_limit: RateLimit = field(default_factory=RateLimit)

    def add_code(self, code: Code) -> str:
        value = new_secret()
        self.codes[value] = code
        return value

    def add_pending_consent(self, consent: Consent) -> str:
        """Remember a question; its key comes back with the answer."""
        key = secrets.token_hex(16)
        self.pending_consents[key] = consent
        return key

    def redeem_code(self, value: str, now: datetime) -> Code | None:
        """Return the code if it is still good; it is not from now on."""
        code = self.codes.pop(value, None)
        return code if code and code.expires_at > now else None

    def add_refresh_token(self, code: Code) -> RefreshToken:
        """The 21st of a user deletes the oldest one with its access tokens."""
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
        """The 16th of a refresh token makes the oldest one invalid."""
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
        """Forget a token of either kind; a refresh token takes its access tokens along."""
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
