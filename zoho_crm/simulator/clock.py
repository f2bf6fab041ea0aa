"""The simulator's own time: it can be moved on, and it writes instants the way Zoho does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

#: Zoho answers in the time zone of the calling user; every simulated user lives here.
USER_ZONE = timezone(timedelta(hours=1))


class Clock:
    """The time of day plus what has been added to it."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)


def zoho_time(moment: datetime) -> str:
    """``2027-02-01T09:00:00+01:00``: ISO 8601 in the user's zone, no fractions."""
    return moment.astimezone(USER_ZONE).isoformat(timespec="seconds")


def ledger_time(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with microseconds, or None."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds") if moment else None
