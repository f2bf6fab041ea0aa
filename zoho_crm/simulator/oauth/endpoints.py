"""
The token endpoint, revocation and the list of servers.

`Access token <https://www.zoho.com/accounts/protocol/oauth/web-apps/access-token.html>`_,
`refresh <https://www.zoho.com/accounts/protocol/oauth/web-apps/access-token-expiry.html>`_,
`revoke <https://www.zoho.com/accounts/protocol/oauth/revoke-refresh-token.html>`_.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from zoho_crm.simulator.calls import Answer, Call
from zoho_crm.simulator.oauth.grants import AccessToken, Code
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.settings import CLIENT_ID, CLIENT_SECRET
from zoho_crm.simulator.world import World

THROTTLED = {
    "error_description": "You have made too many requests continuously. "
    "Please try again after some time.",
    "error": "Access Denied",
    "status": "failure",
}


class TokenRefusedError(Exception):
    """Raised to refuse a token request, with HTTP 200 as Zoho Accounts does."""


def parameters(call: Call) -> dict[str, str]:
    """Return the parameters of the query, the form and Basic authentication."""
    return {**call.query, **call.form(), **_basic(call.headers.get("authorization", ""))}


def _basic(header: str) -> dict[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return {}
    return {"client_id": client_id, "client_secret": secret}


def grant_kind(call: Call) -> str:
    """Return ``refresh`` or ``exchange``, which share one path."""
    return "refresh" if parameters(call).get("grant_type") == "refresh_token" else "exchange"


def token(world: World, context: RequestContext) -> Answer:
    """``POST /oauth/v2/token``: exchange a code, or refresh."""
    given = parameters(context.call)
    if context.call.method != "POST" or not given.get("grant_type"):
        return Answer.text("<h1>400 Bad Request</h1>", status=400)
    try:
        _check_client(given)
        answer = _GRANTS.get(given["grant_type"], _unknown_grant)(world, context, given)
    except TokenRefusedError as refusal:
        world.stats.tokens["refused"] += 1
        error = str(refusal)
        return Answer.json(THROTTLED if error == THROTTLED["error"] else {"error": error})
    return Answer.json(answer)


def _check_client(given: Mapping[str, str]) -> None:
    if given.get("client_id") != CLIENT_ID:
        raise TokenRefusedError("invalid_client")
    if given.get("client_secret") != CLIENT_SECRET:
        raise TokenRefusedError("invalid_client_secret")


def _unknown_grant(
    world: World, context: RequestContext, given: Mapping[str, str]
) -> dict[str, Any]:
    raise TokenRefusedError("invalid_client")


def _exchange(world: World, context: RequestContext, given: Mapping[str, str]) -> dict[str, Any]:
    code = world.grants.redeem_code(given.get("code", ""), context.now)
    if code is None or not world.is_accounts_server(context.call.origin):
        raise TokenRefusedError("invalid_code")
    _check_redirect(code, given)
    refresh_token = world.grants.add_refresh_token(code).value if code.offline else ""
    access = _access_token(world, context, code, refresh_token)
    world.stats.tokens["exchanged"] += 1
    kept = {"refresh_token": refresh_token} if refresh_token else {}
    return {"access_token": access.value, **kept, **_terms(world, access)}


def _check_redirect(code: Code, given: Mapping[str, str]) -> None:
    if code.redirect_uri and given.get("redirect_uri") != code.redirect_uri:
        raise TokenRefusedError("invalid_redirect_uri")
    if code.challenge and s256(given.get("code_verifier", "")) != code.challenge:
        raise TokenRefusedError("invalid_code")


def s256(verifier: str) -> str:
    """Return the PKCE challenge of a verifier."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _refresh(world: World, context: RequestContext, given: Mapping[str, str]) -> dict[str, Any]:
    known = world.grants.refresh_tokens.get(given.get("refresh_token", ""))
    if known is None or not world.is_accounts_server(context.call.origin):
        raise TokenRefusedError("invalid_code")
    if not known.rate_limit.allow(context.now, seconds=world.settings.token_quota_seconds):
        raise TokenRefusedError(THROTTLED["error"])
    expires_at = context.now + timedelta(seconds=world.settings.token_seconds)
    access = world.grants.add_access_token(known, known.value, expires_at)
    world.stats.tokens["refreshed"] += 1
    return {"access_token": access.value, **_terms(world, access)}


def _access_token(
    world: World, context: RequestContext, code: Code, refresh_token: str
) -> AccessToken:
    expires_at = context.now + timedelta(seconds=world.settings.token_seconds)
    return world.grants.add_access_token(code, refresh_token, expires_at)


def _terms(world: World, access: AccessToken) -> dict[str, Any]:
    seconds = int(world.settings.token_seconds)
    legacy = {"expires_in_sec": seconds, "expires_in": seconds * 1000}
    return {
        "scope": " ".join(access.scopes),
        "api_domain": world.addresses.api,
        "token_type": "Bearer",
        **(legacy if world.settings.legacy_expires_in else {"expires_in": seconds}),
    }


_GRANTS = {"authorization_code": _exchange, "refresh_token": _refresh}


def revoke(world: World, context: RequestContext) -> Answer:
    """``POST /oauth/v2/token/revoke?token=…``, as documented by Zoho CRM."""
    if world.grants.revoke(parameters(context.call).get("token", "")):
        return Answer.json({"status": "success"})
    return Answer.json({"error": "invalid_token"}, status=400)


def revoke_as_client(world: World, context: RequestContext) -> Answer:
    """``POST /oauth/v2/revoke/token`` with Basic authentication, as documented by Zoho Accounts."""
    given = parameters(context.call)
    tokens: dict[str, Mapping[str, object]] = {
        "refresh_token": world.grants.refresh_tokens,
        "access_token": world.grants.access_tokens,
    }
    kind = given.get("token_type", "refresh_token")
    known_client = (given.get("client_id"), given.get("client_secret")) == (
        CLIENT_ID,
        CLIENT_SECRET,
    )
    if not known_client or given.get("token", "") not in tokens.get(kind, {}):
        return Answer.json({"error": "invalid_token"}, status=400)
    world.grants.revoke(given["token"])
    return Answer.text("", kind="text/plain")


def server_info(world: World, context: RequestContext) -> Answer:
    """``GET /oauth/serverinfo``: https://www.zoho.com/accounts/protocol/oauth/multi-dc.html"""
    locations = {world.addresses.location: world.addresses.accounts}
    return Answer.json({"result": "success", "locations": locations})
