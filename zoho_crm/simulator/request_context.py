"""One call on its way through the simulator."""

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
    """One address of Zoho's, and what a call to it needs."""

    method: str
    path: str
    """With names in braces: ``/crm/v8/Leads/{id}``."""
    kind: str
    """What faults name it by."""
    handler: Handler
    scopes: tuple[str, ...] = ()
    """All of these are needed; ``ZohoCRM.modules.{module}.READ`` takes names from the path."""
    permission: str = ""
    """Which permission the user's profile has to have."""
    credits: int = 1
    heavy: bool = False
    """Whether it shares the sub-concurrency of ten."""
    public: bool = False
    """Whether it belongs to Zoho Accounts: no token, no credits, no concurrency."""


@dataclass(kw_only=True)
class RequestContext:
    """What handlers see: the call, where it went, who made it, and when it takes effect."""

    call: Call
    route: Route
    path: Mapping[str, str]
    kind: str
    now: datetime
    access_token: AccessToken | None = None
    seen_at: datetime | None = None
    """The moment whose state is shown, where that is not the present."""
    job_delay: timedelta = timedelta()
    """How long a job waits before it begins."""
    ledger_entries: tuple[ConvertCall, ...] = ()
    """What the ledger says about the call: one entry for each lead to be converted."""
    is_pending: bool = False
    """Whether something of it is still to happen when it has been answered."""

    @property
    def query(self) -> Mapping[str, str]:
        return self.call.query

    @cached_property
    def lead_ids(self) -> tuple[str, ...]:
        """The leads that the call names."""
        if self.path.get("module", "Leads") != "Leads":
            return ()
        if self.kind == "mass_convert":
            return _ids_in(self.call)
        named = self.path.get("id") or self.query.get("ids", "")
        return tuple(filter(None, named.split(",")))

    @property
    def body_without_ids(self) -> Any:
        """The body, without the ids that it may name."""
        body = self.call.json()
        if not isinstance(body, dict):
            return body
        return {name: value for name, value in body.items() if name != "ids"}

    def at(self, moment: datetime) -> RequestContext:
        """Return the same context, taking effect at another moment."""
        return replace(self, now=moment)


def _ids_in(call: Call) -> tuple[str, ...]:
    """Return the ids in the body, however good the body is; Zoho's own SDK writes numbers."""
    body = call.json()
    ids = body.get("ids") if isinstance(body, dict) else None
    named = ids if isinstance(ids, list) else []
    return tuple(str(each) for each in named if isinstance(each, (str, int)))
