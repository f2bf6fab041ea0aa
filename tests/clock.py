"""Let time go on without waiting: at the simulated Zoho, and in the tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from django.db import models
from django.db.models import F

from zoho_crm.models import (
    ConnectionWork,
    LeadConversion,
    LeadConversionEvent,
    MassConversion,
    MassConversionJob,
    OutboxRecord,
    OutboxRecordEvent,
    Token,
    connections_at_hand,
    tokens_at_hand,
)
from zoho_crm.services.usage import counted_calls
from zoho_crm.simulator import Simulator

#: Every instant in them is moved back, so that none is nearer to another than it was.
MODELS: tuple[type[models.Model], ...] = (
    ConnectionWork,
    LeadConversion,
    LeadConversionEvent,
    MassConversion,
    MassConversionJob,
    OutboxRecord,
    OutboxRecordEvent,
    Token,
)


def pass_time(zoho: Simulator, seconds: float) -> None:
    """Advance the clock of the simulator, and move the instants in the tables back by as much."""
    zoho.advance(seconds)
    for model in MODELS:
        moved_back = {name: F(name) - timedelta(seconds=seconds) for name in _instants(model)}
        model._default_manager.update(**moved_back)


def age(seconds: float) -> None:
    """Let what this process has at hand, and its counted calls, become so much older."""
    counted_calls._since -= seconds
    counted_calls._taken -= seconds
    for at_hand in (tokens_at_hand, connections_at_hand):
        for place, kept in at_hand._kept.items():
            at_hand._kept[place] = replace(kept, until=kept.until - seconds)


def _instants(model: type[models.Model]) -> list[str]:
    fields = model._meta.concrete_fields
    return [field.name for field in fields if isinstance(field, models.DateTimeField)]
