"""Zoho's mass-convert jobs: what one does, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from zoho_crm.types._values import Deal, JsonObject


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a job does to each of its leads: everything is created, and nothing differs by lead."""

    #: Who gets the records: a job reassigns them all.
    owner_id: str
    deal: Deal | None = None
    #: Modules that get all tags of the lead.
    tags_to: tuple[str, ...] = ()
    attachments_to: str = ""

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the effect that ``as_json`` stored."""
        deal = stored["deal"] and Deal.from_json(stored["deal"])
        return cls(**{**stored, "deal": deal, "tags_to": tuple(stored["tags_to"])})


class JobStage(StrEnum):
    """How far a job is."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in progress"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class JobState:
    """What Zoho tells of a job: counts only, which need not add up, and no lead by name."""

    stage: JobStage
    total: int = 0
    converted: int = 0
    waiting: int = 0
    failed: int = 0

    @property
    def is_final(self) -> bool:
        """Whether Zoho will do no more."""
        return self.stage in {JobStage.COMPLETED, JobStage.FAILED}
