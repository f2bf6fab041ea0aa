"""Checks before a CRM call is processed: host, token, scope, permission, concurrency, credits."""

from __future__ import annotations

import re
from math import ceil

from zoho_crm.simulator import refusals
from zoho_crm.simulator.oauth.grants import AccessToken
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

ITEMS_PER_CREDIT = 10
TAGGED_RECORDS_PER_CREDIT = 50
#: ``limit n`` or ``limit m, n`` at the end of a query.
_LIMIT = re.compile(r"limit\s+(\d{1,9})(?:\s*,\s*(\d{1,9}))?[^']*$", re.IGNORECASE)
_ITEM_KINDS = ("insert", "update", "upsert")
API_ACCESS = "Crm_Implied_Api_Access"
#: The operations that include each one: https://www.zoho.com/crm/developer/docs/api/v8/scopes.html
_CONTAINED_IN = {
    "READ": ("READ", "ALL"),
    "CREATE": ("CREATE", "WRITE", "ALL"),
    "UPDATE": ("UPDATE", "WRITE", "ALL"),
    "DELETE": ("DELETE", "ALL"),
}


def admit(world: World, context: RequestContext) -> None:
    """
    Check a CRM call, take a concurrency slot for it and spend its credits.

    :raises RefusedError: 400, 401, 403 or 429; then no slot is held
    """
    if not world.is_api(context.call.origin):
        raise refusals.wrong_host()
    context.access_token = authenticate(world, context)
    for scope in context.route.scopes:
        if not granted(scope.format_map(_lower(context)), context.access_token.scopes):
            raise refusals.missing_scope()
    for permission in (API_ACCESS, context.route.permission.format_map(context.path)):
        if permission in world.organisation.denied:
            raise refusals.no_permission(permission)
    if not _acquire_slot(world, context):
        raise refusals.too_many_requests()
    if not world.credits.spend(cost(context), context.now):
        release(world, context)
        raise refusals.too_many_requests()


def release(world: World, context: RequestContext) -> None:
    """Return the concurrency slot of a call."""
    world.slots.release(heavy=is_heavy(context), convert=context.kind == "convert")


def _acquire_slot(world: World, context: RequestContext) -> bool:
    convert = context.kind == "convert"
    return world.slots.acquire(heavy=is_heavy(context), convert=convert, stats=world.stats)


def authenticate(world: World, context: RequestContext) -> AccessToken:
    """
    Return the access token that signs the call; the scheme ``Bearer`` is refused.

    :raises RefusedError: 401
    """
    header = context.call.headers.get("authorization")
    if not header:
        raise refusals.no_authorization()
    scheme, _, value = header.partition(" ")
    token = world.grants.valid_access_token(value, context.now)
    if scheme != "Zoho-oauthtoken" or token is None:
        raise refusals.bad_token()
    return token


def is_heavy(context: RequestContext) -> bool:
    """
    Return whether the call counts against the sub-concurrency limit of ten.

    https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
    """
    if context.route.kind == "list":
        return bool({"sort_by", "cvid"} & context.query.keys())
    return context.route.heavy or _items_in(context) > ITEMS_PER_CREDIT


def cost(context: RequestContext) -> int:
    """
    Return the credits of a call.

    5 for a conversion, 3 for a list by custom view, 1 for each ten records of an insert or update,
    1 for each fifty that get tags, 1 to 3 for a query by its ``limit``.
    """
    if context.route.kind == "coql":
        return _credits_of_rows(context)
    if context.route.kind == "tags":
        return max(1, ceil(_length_of(context, "ids") / TAGGED_RECORDS_PER_CREDIT))
    if context.route.kind == "list" and "cvid" in context.query:
        return 3
    return max(context.route.credits, ceil(_items_in(context) / ITEMS_PER_CREDIT))


def _items_in(context: RequestContext) -> int:
    return _length_of(context, "data") if context.route.kind in _ITEM_KINDS else 0


def _credits_of_rows(context: RequestContext) -> int:
    body = context.call.json()
    text = str(body.get("select_query")) if isinstance(body, dict) else ""
    found = _LIMIT.search(text)
    rows = int(found[2] or found[1]) if found else 0
    return 1 if rows <= 200 else 2 if rows <= 1_000 else 3


def _length_of(context: RequestContext, name: str) -> int:
    """Return the length of a list in the body, 0 if there is none."""
    body = context.call.json()
    items = body.get(name) if isinstance(body, dict) else None
    return len(items) if isinstance(items, list) else 0


def granted(needed: str, scopes: tuple[str, ...]) -> bool:
    """Return whether one of the scopes covers the needed one; letter case does not matter."""
    return any(_covers(scope.casefold(), needed.casefold()) for scope in scopes)


def _covers(scope: str, needed: str) -> bool:
    group, _, operation = scope.rpartition(".")
    wanted_group, _, wanted = needed.rpartition(".")
    inside = wanted_group == group or wanted_group.startswith(f"{group}.")
    return inside and operation.upper() in _CONTAINED_IN[wanted.upper()]


_SCOPE = re.compile(r"[A-Za-z]+(\.[A-Za-z_]+)+")


def is_scope(text: str) -> bool:
    """Return whether the text has the form of a scope: ``service.group[.module].operation``."""
    return _SCOPE.fullmatch(text) is not None


def _lower(context: RequestContext) -> dict[str, str]:
    return {name: value.lower() for name, value in context.path.items()}
