"""The whole state of a simulator, from one reset to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from urllib.parse import urlsplit

from zoho_crm.simulator.bulk_jobs import BulkJob
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
    """The data center and origins of the simulator; by default ``local`` at one loopback origin."""

    location: str = "local"
    accounts: str = "http://127.0.0.1:1"
    api: str = "http://127.0.0.1:1"


def host_of(url: str) -> str:
    """Return the host name in a URL, empty if there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_loopback(origin: str) -> bool:
    host = host_of(origin)
    return host in LOOPBACK or host.startswith("127.")


@dataclass(order=True)
class ScheduledEvent:
    """An action that is due at an instant of the simulator's clock."""

    at: datetime
    number: int
    action: Callable[[datetime], None] = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class PagePosition:
    """Where the page of a ``page_token`` starts."""

    index: int
    """Index of the first record that is not on an earlier page."""
    page: int
    bound_to: tuple[str, ...]
    expires_at: datetime


class World:
    """One organisation, its tokens, ledger, counters, limits, jobs and scheduled events."""

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
        #: ``{"lead_id", "case"}`` of every lead that was added by case.
        self.stories: list[dict[str, str]] = []
        #: Positions by ``page_token``.
        self.page_tokens: dict[str, PagePosition] = {}
        #: Mass convert jobs by id, kept for ever: Zoho documents no expiry.
        self.jobs: dict[str, Job] = {}
        #: Bulk read jobs by id, and the instants of the downloads of the last minute.
        self.bulk_jobs: dict[str, BulkJob] = {}
        self.bulk_downloads: list[datetime] = []
        self.spellings = Spellings()
        self._events: list[ScheduledEvent] = []
        self._numbers = count()

    def tune(self, settings: SimulatorSettings) -> None:
        """Apply other settings from now on."""
        self.settings = settings
        self.credits.allowed = settings.credits
        self.slots.limit = settings.concurrency
        self.slots.heavy_limit = settings.sub_concurrency

    def schedule(self, at: datetime, action: Callable[[datetime], None]) -> None:
        """Schedule an action; it runs at the first access at or after that instant."""
        heappush(self._events, ScheduledEvent(at, next(self._numbers), action))

    def run_due_events(self) -> datetime:
        """Run every due event in order, each with the instant it was due; return now."""
        now = self.clock.now()
        while self._events and self._events[0].at <= now:
            due = heappop(self._events)
            due.action(due.at)
        return now

    def is_accounts_server(self, origin: str) -> bool:
        """Return whether the origin is the accounts server of this data center."""
        return not origin or is_loopback(origin) or origin == self.addresses.accounts

    def is_api(self, origin: str) -> bool:
        return not origin or is_loopback(origin) or origin == self.addresses.api
