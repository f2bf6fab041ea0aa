"""One call on its way through the simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from zoho_crm.simulator.calls import Answer, Call
from zoho_crm.simulator.ledger import ConvertCall
from zoho_crm.simulator.oauth.grants import AccessToken
from zoho_crm.simulator.world import World

Handler = Callable[[World, "Visit"], Answer]


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
class Visit:
    """What handlers see: the call, where it went, who made it, and when it takes effect."""

    call: Call
    route: Route
    path: Mapping[str, str]
    kind: str
    now: datetime
    session: AccessToken | None = None
    seen_at: datetime | None = None
    """The moment whose state a stale read shows."""
    entry: ConvertCall | None = None

    @property
    def query(self) -> Mapping[str, str]:
        return self.call.query

    @property
    def lead_ids(self) -> tuple[str, ...]:
        """The leads that the call names."""
        if self.path.get("module", "Leads") != "Leads":
            return ()
        named = self.path.get("id") or self.query.get("ids", "")
        return tuple(filter(None, named.split(",")))

    def at(self, moment: datetime) -> Visit:
        """Return the same visit, taking effect at another moment."""
        return replace(self, now=moment)
