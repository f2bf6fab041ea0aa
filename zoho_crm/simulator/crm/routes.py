"""The addresses of Zoho CRM v8 that answer here, with what each of them needs and costs."""

from __future__ import annotations

from zoho_crm.simulator.crm import conversion, matching, reading, users
from zoho_crm.simulator.visits import Handler, Route

BASE = "/crm/v8"


def _route(
    method: str,
    path: str,
    kind: str,
    handler: Handler,
    *scopes: str,
    cost: int = 1,
    heavy: bool = False,
) -> Route:
    return Route(
        method=method,
        path=BASE + path,
        kind=kind,
        handler=handler,
        scopes=scopes,
        credits=cost,
        heavy=heavy,
    )


ROUTES = (
    _route("GET", "/users", "users", users.list_users, "ZohoCRM.users.READ"),
    _route("GET", "/users/{id}", "users", users.get_user, "ZohoCRM.users.READ"),
    _route("GET", "/org", "org", users.organisation, "ZohoCRM.org.READ"),
    _route(
        "GET",
        "/Leads/{id}/__conversion_options",
        "options",
        matching.options,
        "ZohoCRM.modules.leads.READ",
    ),
    _route(
        "POST",
        "/Leads/{id}/actions/convert",
        "convert",
        conversion.convert,
        "ZohoCRM.modules.leads.CREATE",
        cost=5,
        heavy=True,
    ),
    _route("GET", "/Leads", "leads_list", reading.get_many, "ZohoCRM.modules.leads.READ"),
    _route("GET", "/Leads/{id}", "leads_get", reading.get_one, "ZohoCRM.modules.leads.READ"),
    _route("GET", "/{module}", "records", reading.get_many, "ZohoCRM.modules.{module}.READ"),
    _route("GET", "/{module}/{id}", "records", reading.get_one, "ZohoCRM.modules.{module}.READ"),
)
