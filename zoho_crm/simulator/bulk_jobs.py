"""Bulk read jobs: their state over time, and their result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

Json = dict[str, Any]


@dataclass(kw_only=True)
class BulkJob:
    """One job; its rows are those of the instant of its creation."""

    id: str
    query: Json
    created_at: datetime
    seconds: float
    """How long the job takes."""
    start: int
    """The index of its first record among all that its query finds."""
    content: bytes = b""
    count: int = 0
    more: bool = False

    @property
    def next_token(self) -> str | None:
        """Return the token with which another job continues; None at the end."""
        return f"{self.id}-next" if self.more else None

    def state(self, now: datetime) -> str:
        """Return the state at an instant: a quarter of the time it is queued."""
        passed = (now - self.created_at).total_seconds()
        if passed >= self.seconds:
            return "COMPLETED"
        return "QUEUED" if passed < self.seconds / 4 else "IN PROGRESS"

    def result(self, rows: int) -> Json:
        """Return the result of a job that is done, of at most that many rows."""
        token = {"next_page_token": self.next_token} if self.more else {}
        return {
            "page": self.start // rows + 1,
            "per_page": rows,
            "count": self.count,
            "download_url": f"/crm/bulk/v8/read/{self.id}/result",
            "more_records": self.more,
            **token,
        }
