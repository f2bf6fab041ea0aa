"""Jobs of *mass convert*: when each lead has its due_at, and how far a job says it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle
from typing import Any

#: One status as Zoho's page and the examples of its OpenAPI description write it.
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "scheduled": ("scheduled", "SCHEDULED", "Scheduled"),
    "in progress": ("in progress", "in_progress"),
    "completed": ("COMPLETED", "Completed", "completed"),
    "failed": ("failed", "FAILED", "Failed"),
}


class Spellings:
    """Writes every status in all its ways, one after the other."""

    def __init__(self) -> None:
        self._forms = {status: cycle(forms) for status, forms in SPELLINGS.items()}

    def next(self, status: str) -> str:
        return next(self._forms[status])


@dataclass(kw_only=True)
class Job:
    """Some leads that are converted one by one."""

    id: str
    due_times: tuple[datetime, ...]
    """When the nth lead has its due_at."""
    outcomes: dict[int, bool] = field(default_factory=dict)
    """Whether the nth lead was converted, once it had its due_at."""

    def progress(self, moment: datetime) -> Progress:
        """Return how the job stood then, or will stand if the rest goes well."""
        seen = [number for number, due_at in enumerate(self.due_times) if due_at <= moment]
        converted = sum(self.outcomes.get(number, True) for number in seen)
        return Progress(total=len(self.due_times), done=len(seen), converted=converted)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a job is: counts only, no leads."""

    total: int
    done: int
    converted: int

    @property
    def status(self) -> str:
        if self.done < self.total:
            return "in progress" if self.done else "scheduled"
        return "completed" if self.converted else "failed"

    def as_json(self, status: str) -> dict[str, Any]:
        return {
            "Status": status,
            "Total_Count": self.total,
            "Converted_Count": self.converted,
            "Not_Converted_Count": self.total - self.done,
            "Failed_Count": self.done - self.converted,
        }
