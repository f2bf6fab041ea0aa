"""Routes, and the context of one call that their handlers get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from zoho_crm.simulator.calls import Answer, Call
from zoho_crm.simulator.ledger import ConvertCall
from zoho_crm.simulator.oauth.grants import AccessToken
from zoho_crm.simulator.world import World

Handler = Callable[[World, "RequestContext"], Answer]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One path of Zoho's API, and what a call to it requires and costs."""

    method: str
    path: str
    """With parameters in braces: ``/crm/v8/Leads/{id}``."""
    kind: str
    """The name that faults use."""
    handler: Handler
    scopes: tuple[str, ...] = ()
    """All are required; path parameters are filled in: ``ZohoCRM.modules.{module}.READ``."""
    permission: str = ""
    """The permission that the user's profile must have."""
    credits: int = 1
    heavy: bool = False
    """Whether it counts against the sub-concurrency limit of ten."""
    public: bool = False
    """Whether it belongs to Zoho Accounts: no token, no credits, no concurrency."""


@dataclass(kw_only=True)
class RequestContext:
    """One call with its route, path parameters, access token and the instant of its effect."""

    call: Call
    route: Route
    path: Mapping[str, str]
    kind: str
    now: datetime
    access_token: AccessToken | None = None
    seen_at: datetime | None = None
    """The instant whose state a read shows, if not the present."""
    job_delay: timedelta = timedelta()
    """The delay before a job begins."""
    ledger_entries: tuple[ConvertCall, ...] = ()
    """One entry for each lead that the call asks to convert."""
    is_pending: bool = False
    """Whether an effect is outstanding after the answer."""

    @property
    def query(self) -> Mapping[str, str]:
        return self.call.query

    @cached_property
    def lead_ids(self) -> tuple[str, ...]:
        """Return the lead ids that the call names in its path, query or body."""
        if self.path.get("module", "Leads") != "Leads":
            return ()
        if self.kind == "mass_convert":
            return _ids_in(self.call)
        named = self.path.get("id") or self.query.get("ids", "")
        return tuple(filter(None, named.split(",")))

    @property
    def body_without_ids(self) -> Any:
        """Return the JSON body without the key ``ids``."""
        body = self.call.json()
        if not isinstance(body, dict):
            return body
        return {name: value for name, value in body.items() if name != "ids"}

    def at(self, moment: datetime) -> RequestContext:
        """Return a copy with another instant of effect."""
        return replace(self, now=moment)


def _ids_in(call: Call) -> tuple[str, ...]:
    """Return the ids in a body that may be invalid; Zoho's own SDK sends numbers."""
    body = call.json()
    ids = body.get("ids") if isinstance(body, dict) else None
    named = ids if isinstance(ids, list) else []
    return tuple(str(each) for each in named if isinstance(each, (str, int)))
