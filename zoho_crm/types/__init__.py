"""The values that travel between the layers: frozen, with our names, without JSON or answers."""

from __future__ import annotations

from zoho_crm.types._jobs import Effect, JobStage, JobState
from zoho_crm.types._values import (
    ConversionOptions,
    ConversionPlan,
    Converted,
    Deal,
    DealField,
    Environment,
    JsonObject,
    Lead,
    Match,
    Organisation,
    Pipeline,
    Reference,
    Scheduled,
    Secret,
    Stage,
    TokenGrant,
    User,
    Verdict,
    as_json,
    is_record_id,
)

__all__ = [
    "ConversionOptions",
    "ConversionPlan",
    "Converted",
    "Deal",
    "DealField",
    "Effect",
    "Environment",
    "JobStage",
    "JobState",
    "JsonObject",
    "Lead",
    "Match",
    "Organisation",
    "Pipeline",
    "Reference",
    "Scheduled",
    "Secret",
    "Stage",
    "TokenGrant",
    "User",
    "Verdict",
    "as_json",
    "is_record_id",
]
