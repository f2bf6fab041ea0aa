"""Everything that one simulator knows, from one reset to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from urllib.parse import urlsplit

from zoho_crm.simulator.clock import Clock
from zoho_crm.simulator.jobs import Job, Spellings
from zoho_crm.simulator.ledger import Ledger
from zoho_crm.simulator.oauth.grants import Grants
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.settings import SimulatorSettings
from zoho_crm.simulator.stats import Credits, Slots, Stats

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where this Zoho lives; by default at one loopback origin, data center ``local``."""

    location: str = "local"
    accounts: str = "http://127.0.0.1:1"
    api: str = "http://127.0.0.1:1"


def host_of(url: str) -> str:
    """Return the host name in a URL, empty when there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_loopback(origin: str) -> bool:
    host = host_of(origin)
    return host in LOOPBACK or host.startswith("127.")


@dataclass(order=True)
class ScheduledEvent:
    """Something that happens at a moment of the simulator's clock."""

    at: datetime
    number: int
    action: Callable[[datetime], None] = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class PagePosition:
    """Where the page after a ``page_token`` starts."""

    index: int
    """Of the first record that is not on an earlier page."""
    page: int
    bound_to: tuple[str, ...]
    expires_at: datetime


class World:
    """One organisation, its tokens, and the books kept about both."""

    def __init__(self, settings: SimulatorSettings, clock: Clock, addresses: Addresses) -> None:
        self.settings = settings
        self.clock = clock
        self.addresses = addresses
        self.organisation = Organisation(clock)
        self.grants = Grants()
        self.ledger = Ledger()
        self.stats = Stats()
        self.credits = Credits(settings.credits)
        self.slots = Slots(settings.concurrency, settings.sub_concurrency)
        #: Lead id and case of every lead that has a story.
        self.stories: list[dict[str, str]] = []
        #: By ``page_token``.
        self.page_tokens: dict[str, PagePosition] = {}
        #: Mass conversions by id; Zoho does not say how long a job can be asked about.
        self.jobs: dict[str, Job] = {}
        self.spellings = Spellings()
        self._events: list[ScheduledEvent] = []
        self._numbers = count()

    def tune(self, settings: SimulatorSettings) -> None:
        """Go by other settings from now on."""
        self.settings = settings
        self.credits.allowed = settings.credits
        self.slots.limit = settings.concurrency
        self.slots.heavy_limit = settings.sub_concurrency

    def schedule(self, at: datetime, action: Callable[[datetime], None]) -> None:
        """Let something action at that moment, or when anybody looks for the first time after."""
        heappush(self._events, ScheduledEvent(at, next(self._numbers), action))

    def run_due_events(self) -> datetime:
        """Let everything action that is due, in its order and at its own moment; return now."""
        now = self.clock.now()
        while self._events and self._events[0].at <= now:
            due = heappop(self._events)
            due.action(due.at)
        return now

    def is_accounts_server(self, origin: str) -> bool:
        """Codes and refresh tokens are unknown in other data centers."""
        return not origin or is_loopback(origin) or origin == self.addresses.accounts

    def is_api(self, origin: str) -> bool:
        return not origin or is_loopback(origin) or origin == self.addresses.api
