"""Jobs of *mass convert*: when each lead is due, and the progress that a status call reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle
from typing import Any

#: The spellings of each status on Zoho's page and in the examples of its OpenAPI description.
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "scheduled": ("scheduled", "SCHEDULED", "Scheduled"),
    "in progress": ("in progress", "in_progress"),
    "completed": ("COMPLETED", "Completed", "completed"),
    "failed": ("failed", "FAILED", "Failed"),
}


class Spellings:
    """Cycles through the documented spellings of each status."""

    def __init__(self) -> None:
        self._forms = {status: cycle(forms) for status, forms in SPELLINGS.items()}

    def next(self, status: str) -> str:
        return next(self._forms[status])


@dataclass(kw_only=True)
class Job:
    """Leads that are converted one after another."""

    id: str
    due_times: tuple[datetime, ...]
    """The instants at which the leads are converted."""
    outcomes: dict[int, bool] = field(default_factory=dict)
    """Whether the nth lead was converted; leads that are not due yet are missing."""

    def progress(self, moment: datetime) -> Progress:
        """Return the progress at an instant; in the future it assumes that all leads convert."""
        seen = [number for number, due_at in enumerate(self.due_times) if due_at <= moment]
        converted = sum(self.outcomes.get(number, True) for number in seen)
        return Progress(total=len(self.due_times), done=len(seen), converted=converted)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The counts that a status call reports."""

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
