"""
Users and the organisation.

`Users <https://www.zoho.com/crm/developer/docs/api/v8/get-users.html>`_,
`organisation <https://www.zoho.com/crm/developer/docs/api/v8/get-org-data.html>`_
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zoho_crm.simulator import refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.clock import zoho_time
from zoho_crm.simulator.crm.paging import page_slice
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]


def _is_active(user: Json) -> bool:
    return bool(user["status"] == "active")


def _is_confirmed(user: Json) -> bool:
    return bool(user["confirm"])


def _is_admin(user: Json) -> bool:
    return bool(user["profile"]["name"] == "Administrator")


_TYPES: Mapping[str, Callable[[Json], bool]] = {
    "AllUsers": lambda user: True,
    "ActiveUsers": _is_active,
    "DeactiveUsers": lambda user: user["status"] == "inactive",
    "ConfirmedUsers": _is_confirmed,
    "NotConfirmedUsers": lambda user: not _is_confirmed(user),
    "DeletedUsers": lambda user: user["status"] == "deleted",
    "ActiveConfirmedUsers": lambda user: _is_active(user) and _is_confirmed(user),
    "AdminUsers": _is_admin,
    "ActiveConfirmedAdmins": lambda user: (
        _is_active(user) and _is_confirmed(user) and _is_admin(user)
    ),
}


def list_users(world: World, context: RequestContext) -> Answer:
    """``GET /users``"""
    shown, info = page_slice(context, _wanted(world, context))
    if not shown:
        return Answer.no_content()
    return Answer.json({"users": shown, "info": info})


def _wanted(world: World, context: RequestContext) -> list[Json]:
    users = world.organisation.users
    kind = context.query.get("type", "AllUsers")
    if kind == "CurrentUser" and context.access_token:
        return [user for user in users if user["id"] == context.access_token.user_id]
    if kind not in _TYPES:
        raise refusals.bad_param("type")
    ids = context.query.get("ids", "").split(",")
    return [user for user in users if _TYPES[kind](user) and (ids == [""] or user["id"] in ids)]


def get_user(world: World, context: RequestContext) -> Answer:
    """``GET /users/{id}``"""
    user = world.organisation.user(context.path["id"])
    return Answer.json({"users": [user]}) if user else Answer.no_content()


def organisation(world: World, context: RequestContext) -> Answer:
    """``GET /org``"""
    return Answer.json({"org": [_as_json(world.organisation, world.settings.environment)]})


def _as_json(own: Organisation, environment: str) -> Json:
    return {
        "id": own.id,
        "company_name": own.name,
        "domain_name": f"org{own.id[-9:]}",
        "type": environment,
        "primary_email": own.current_user["email"],
        "primary_zuid": own.current_user["zuid"],
        "zgid": own.id[-9:],
        "currency": "Euro - EUR",
        "iso_code": "EUR",
        "currency_symbol": "€",
        "time_zone": "Europe/Berlin",
        "country_code": "DE",
        "mc_status": False,
        "privacy_settings": False,
        "license_details": own.license_details,
        "hierarchy_preferences": {"type": "Role_Hierarchy"},
        "created_time": zoho_time(own.created_at),
        "street": "Am Speicher 4",
        "city": "Hamburg",
        "state": None,
        "zip": "20457",
        "country": "Germany",
        "phone": None,
        "website": f"https://{own.domain}",
    }
