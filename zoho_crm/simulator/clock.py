"""The simulator's clock, which can be advanced, and the formats of its instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

#: The time zone of all simulated users; Zoho answers in that of the calling user.
USER_ZONE = timezone(timedelta(hours=1))


class Clock:
    """The system time plus an offset."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)


def zoho_time(moment: datetime) -> str:
    """Format an instant as Zoho does: ISO 8601 in the user's zone, without fractions."""
    return moment.astimezone(USER_ZONE).isoformat(timespec="seconds")


def ledger_time(moment: datetime | None) -> str | None:
    """Format an instant as ISO 8601 in UTC with microseconds; None stays None."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds") if moment else None
