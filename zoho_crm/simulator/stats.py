"""Counters of calls, and the limits on credits and concurrency."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from zoho_crm.simulator.calls import Answer, Call

CREDIT_WINDOW = timedelta(hours=24)
#: Calls that the log keeps.
MAX_LOGGED_CALLS = 100


@dataclass(frozen=True, kw_only=True)
class LoggedCall:
    """One call of the log; the status of an answer that was not delivered is None."""

    at: datetime
    method: str
    path: str
    status: int | None


@dataclass
class Stats:
    """Counters for tests; no decision depends on them."""

    calls: Counter[tuple[str, str, int | None]] = field(default_factory=Counter)
    peak: dict[str, int] = field(default_factory=lambda: {"all": 0, "convert": 0})
    tokens: dict[str, int] = field(
        default_factory=lambda: {"exchanged": 0, "refreshed": 0, "refused": 0}
    )
    #: The latest calls, oldest first.
    log: deque[LoggedCall] = field(default_factory=lambda: deque(maxlen=MAX_LOGGED_CALLS))

    def count(self, call: Call, path: str, answer: Answer, now: datetime) -> None:
        """Count and log a call; the status of an answer that is not delivered is None."""
        status = answer.status if answer.is_delivered else None
        self.calls[call.method, path, status] += 1
        self.log.append(LoggedCall(at=now, method=call.method, path=call.path, status=status))

    def log_as_json(self) -> list[dict[str, Any]]:
        """Return the latest calls in the shape of ``GET /_simulator/calls``, newest first."""
        return [{**asdict(each), "at": each.at.isoformat()} for each in reversed(self.log)]

    def as_json(self, credits_used: int) -> dict[str, Any]:
        """Return the counters in the shape of ``GET /_simulator/stats``."""
        calls = [
            {"method": method, "path": path, "status": status, "count": count}
            for (method, path, status), count in self.calls.items()
        ]
        return {
            "calls": calls,
            "peak": dict(self.peak),
            "tokens": dict(self.tokens),
            "credits_used": credits_used,
        }


@dataclass
class Credits:
    """API credits spent in the last 24 hours, summed by minute."""

    allowed: int
    _total: int = 0
    _minutes: deque[list[int]] = field(default_factory=deque)

    def used(self, now: datetime) -> int:
        forgotten = int((now - CREDIT_WINDOW).timestamp() // 60)
        while self._minutes and self._minutes[0][0] <= forgotten:
            self._total -= self._minutes.popleft()[1]
        return self._total

    def spend(self, cost: int, now: datetime) -> bool:
        """Spend credits and return True, or return False if fewer are left."""
        if self.used(now) + cost > self.allowed:
            return False
        minute = int(now.timestamp() // 60)
        if not self._minutes or self._minutes[-1][0] < minute:
            self._minutes.append([minute, 0])
        self._minutes[-1][1] += cost
        self._total += cost
        return True

    def headers(self, now: datetime) -> dict[str, str]:
        """Return ``X-API-CREDITS-REMAINING`` once half of the credits are used, else no headers."""
        used = self.used(now)
        shown = used * 2 >= self.allowed
        return {"X-API-CREDITS-REMAINING": str(self.allowed - used)} if shown else {}


@dataclass
class Slots:
    """Calls in progress, all and heavy ones, and their limits."""

    limit: int
    heavy_limit: int
    all: int = 0
    heavy: int = 0
    convert: int = 0

    def acquire(self, *, heavy: bool, convert: bool, stats: Stats) -> bool:
        """Take a slot and return True, or return False if all are taken."""
        if self.all >= self.limit or (heavy and self.heavy >= self.heavy_limit):
            return False
        self._add(1, heavy=heavy, convert=convert)
        stats.peak["all"] = max(stats.peak["all"], self.all)
        stats.peak["convert"] = max(stats.peak["convert"], self.convert)
        return True

    def release(self, *, heavy: bool, convert: bool) -> None:
        self._add(-1, heavy=heavy, convert=convert)

    def _add(self, step: int, *, heavy: bool, convert: bool) -> None:
        self.all += step
        self.heavy += step * heavy
        self.convert += step * convert
