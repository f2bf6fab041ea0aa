"""
The authorization page, on which a user accepts or rejects a client.

`Authorization request <https://www.zoho.com/accounts/protocol/oauth/web-apps/authorization.html>`_
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from html import escape
from urllib.parse import quote, urlsplit

from zoho_crm.simulator.admission import is_scope
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.oauth.grants import Code, Consent
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.settings import CLIENT_ID
from zoho_crm.simulator.world import World, host_of, is_loopback

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2430; background: #f3f4f7; margin: 0; }
main { max-width: 34rem; margin: 10vh auto; padding: 2rem; background: #fff;
  border: 1px solid #d5d9e2; border-radius: 8px; }
h1 { font-size: 1.3rem; margin-top: 0; }
p, li, dd { overflow-wrap: anywhere; }
button { font: inherit; padding: .5rem 1.5rem; border: 1px solid #5a6275; border-radius: 4px;
  background: #fff; color: inherit; cursor: pointer; }
button:focus-visible { outline: 3px solid #8fb3ff; }
button[value=accept] { background: #14508c; border-color: #14508c; color: #fff; }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/oauth/v2/consent.css">
</head>
<body>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""

_QUESTION = """<p>The client <strong>{client}</strong> would like to access this information of
{user} in <strong>{organisation}</strong>:</p>
<ul>
{scopes}
</ul>
<p>You will be sent back to {redirect_uri}.</p>
<form method="post" action="/oauth/v2/consent">
<input type="hidden" name="request" value="{request}">
<button type="submit" name="decision" value="accept">Accept</button>
<button type="submit" name="decision" value="reject">Reject</button>
</form>
<p><small>This is the simulator: nothing here touches Zoho.</small></p>"""


class PageError(Exception):
    """Raised when Zoho shows an error page instead of redirecting to the client."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


def authorize(world: World, context: RequestContext) -> Answer:
    """``GET /oauth/v2/auth``: the page, or a redirect if the user has consented before."""
    query = context.query
    try:
        consent = _requested_consent(world, context)
    except PageError as error:
        return _page(error.text, "<p>Go back and try again.</p>", status=error.status)
    asked_before = world.organisation.current_user["id"] in world.grants.consents
    if asked_before and query.get("prompt") != "consent":
        return _grant(world, context, replace(consent, offline=False))
    return _consent_page(world, consent)


def _requested_consent(world: World, context: RequestContext) -> Consent:
    query = context.query
    if context.call.method != "GET":
        raise PageError("Not found")
    if not query.get("client_id") or not query.get("response_type"):
        raise PageError("Invalid response type")
    if query["client_id"] != CLIENT_ID:
        raise PageError("Invalid Client")
    if query["response_type"] != "code":
        raise PageError("An error occurred", 500)
    scopes = tuple(filter(None, query.get("scope", "").replace(" ", ",").split(",")))
    if not scopes or not all(map(is_scope, scopes)):
        raise PageError("Invalid OAuth scope")
    if not _is_registered_redirect(world, query.get("redirect_uri", "")):
        raise PageError("Invalid Redirect Uri")
    return _consent(query, scopes)


def _consent(query: Mapping[str, str], scopes: tuple[str, ...]) -> Consent:
    challenge = query.get("code_challenge", "")
    if challenge and query.get("code_challenge_method") != "S256":
        raise PageError("An error occurred")
    return Consent(
        redirect_uri=query["redirect_uri"],
        scopes=scopes,
        state=query.get("state", ""),
        offline=query.get("access_type") == "offline",
        challenge=challenge,
    )


def _is_registered_redirect(world: World, uri: str) -> bool:
    """Return whether a redirect URI is registered: any loopback one, and hosts in the settings."""
    if not uri.isascii() or not uri.isprintable():
        return False  # it becomes a header
    known = is_loopback(uri) or host_of(uri) in world.settings.redirect_hosts
    return known and uri.startswith(("http://", "https://")) and "#" not in uri


def _consent_page(world: World, consent: Consent) -> Answer:
    request = world.grants.add_pending_consent(consent)
    user = world.organisation.current_user
    content = _QUESTION.format(
        client=escape(CLIENT_ID),
        user=escape(f"{user['full_name']} ({user['email']})"),
        organisation=escape(world.organisation.name),
        scopes="\n".join(f"<li>{escape(scope)}</li>" for scope in consent.scopes),
        redirect_uri=escape(consent.redirect_uri),
        request=escape(request),
    )
    return _page("Let this client in?", content, redirect_uri=consent.redirect_uri)


def decide(world: World, context: RequestContext) -> Answer:
    """``POST /oauth/v2/consent``: redirect with a code or an error; each page works once."""
    form = context.call.form()
    consent = world.grants.pending_consents.pop(form.get("request", ""), None)
    if consent is None:
        return _page("An error occurred", "<p>This question was answered before.</p>", status=400)
    if form.get("decision") != "accept":
        return _redirect(consent, {"error": "access_denied"})
    world.grants.consents.add(world.organisation.current_user["id"])
    return _grant(world, context, consent)


def _grant(world: World, context: RequestContext, consent: Consent) -> Answer:
    """Redirect with a code; with an error after more than ten codes in a quota period."""
    quota_seconds = world.settings.token_quota_seconds
    if not world.grants.code_rate_limit.allow(context.now, seconds=quota_seconds):
        return _redirect(consent, {"error": "access_denied"})
    code = Code(
        user_id=world.organisation.current_user["id"],
        scopes=consent.scopes,
        expires_at=context.now + timedelta(seconds=world.settings.code_seconds),
        redirect_uri=consent.redirect_uri,
        offline=consent.offline,
        challenge=consent.challenge,
    )
    parameters = {
        "code": world.grants.add_code(code),
        "location": world.addresses.location,
        "accounts-server": world.addresses.accounts,
    }
    return _redirect(consent, parameters)


def _redirect(consent: Consent, parameters: Mapping[str, str]) -> Answer:
    """Redirect to the client; like Zoho's, the query ends in ``&``."""
    state = {"state": consent.state} if consent.state else {}
    pairs = {**state, **parameters}.items()
    query = "".join(f"{name}={quote(value, safe='')}&" for name, value in pairs)
    separator = "&" if urlsplit(consent.redirect_uri).query else "?"
    return Answer.redirect(f"{consent.redirect_uri}{separator}{query}")


def _page(title: str, content: str, *, status: int = 200, redirect_uri: str = "") -> Answer:
    answer = Answer.text(_PAGE.format(title=escape(title), content=content), status=status)
    policy = {
        "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action 'self' {_origin(redirect_uri)}".strip(),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return replace(answer, headers={**answer.headers, **policy})


def _origin(uri: str) -> str:
    """Return the origin for ``form-action``, which browsers also apply to the redirect."""
    parts = urlsplit(uri)
    if "[" in parts.netloc:  # a policy cannot name an IPv6 host
        return f"{parts.scheme}:"
    return f"{parts.scheme}://{parts.netloc}" if uri else ""


def style(world: World, context: RequestContext) -> Answer:
    """``GET /oauth/v2/consent.css``"""
    return Answer.text(_STYLE, kind="text/css")
