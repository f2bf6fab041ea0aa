"""The routes of Zoho Accounts, and the router for these and those of the CRM."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

from zoho_crm.simulator import refusals
from zoho_crm.simulator.calls import Call
from zoho_crm.simulator.crm.routes import ROUTES as CRM_ROUTES
from zoho_crm.simulator.ids import is_id
from zoho_crm.simulator.oauth import consent, endpoints
from zoho_crm.simulator.request_context import Handler, Route

_VERSION = re.compile(r"/crm/v([2-7](\.1)?)/")


def _accounts(method: str, path: str, kind: str, handler: Handler) -> Route:
    return Route(method=method, path=path, kind=kind, handler=handler, public=True)


#: The kind of a call to the token endpoint depends on its body: exchange or refresh.
OAUTH_ROUTES = (
    _accounts("*", "/oauth/v2/auth", "authorize", consent.authorize),
    _accounts("POST", "/oauth/v2/consent", "authorize", consent.decide),
    _accounts("GET", "/oauth/v2/consent.css", "authorize", consent.style),
    _accounts("*", "/oauth/v2/token", "token", endpoints.token),
    _accounts("POST", "/oauth/v2/token/revoke", "revoke", endpoints.revoke),
    _accounts("POST", "/oauth/v2/revoke/token", "revoke", endpoints.revoke_as_client),
    _accounts("GET", "/oauth/serverinfo", "serverinfo", endpoints.server_info),
)


class Router:
    """Finds the first route whose path matches, segment by segment."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_length: dict[int, dict[str, dict[str, Route]]] = defaultdict(dict)
        for route in routes:
            length = len(route.path.split("/"))
            self._by_length[length].setdefault(route.path, {})[route.method] = route

    def find(self, call: Call) -> tuple[Route, dict[str, str]]:
        """
        Return the route of a call and its path parameters.

        :raises RefusedError: for a path or a method that does not exist
        """
        parts = call.path.split("/")
        for template, by_method in self._by_length.get(len(parts), {}).items():
            names = _fit(template.split("/"), parts)
            if names is not None:
                return _by_method(by_method, call.method), names
        raise refusals.wrong_version() if _VERSION.match(call.path) else refusals.unknown_url()


def _by_method(routes: Mapping[str, Route], method: str) -> Route:
    route = routes.get(method) or routes.get("*")
    if route is None:
        raise refusals.wrong_method()
    return route


def _fit(template: list[str], parts: list[str]) -> dict[str, str] | None:
    """
    Return the path parameters, or None if the path does not fit.

    The name of a related list is free, so only an id before it tells that it is one.
    """
    names: dict[str, str] = {}
    for wanted, part in zip(template, parts, strict=True):
        if wanted.startswith("{"):
            names[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return names if "list" not in names or is_id(names["id"]) else None


@lru_cache(maxsize=1024)
def without_ids(path: str) -> str:
    """Return a path without a route with its ids replaced by ``{id}``, for counting."""
    return re.sub(r"\d{6,}", "{id}", path)


ROUTER = Router((*OAUTH_ROUTES, *CRM_ROUTES))
