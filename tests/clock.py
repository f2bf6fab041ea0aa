"""Let time go on without waiting: at the simulated Zoho, and in the tables."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import F

from zoho_crm.models import (
    ConnectionWork,
    LeadConversion,
    LeadConversionEvent,
    MassConversion,
    MassConversionJob,
    Token,
)
from zoho_crm.simulator import Simulator

#: Every instant in them is moved back, so that none is nearer to another than it was.
MODELS: tuple[type[models.Model], ...] = (
    ConnectionWork,
    LeadConversion,
    LeadConversionEvent,
    MassConversion,
    MassConversionJob,
    Token,
)


def pass_time(zoho: Simulator, seconds: float) -> None:
    """Advance the clock of the simulator, and move the instants in the tables back by as much."""
    zoho.advance(seconds)
    for model in MODELS:
        moved_back = {name: F(name) - timedelta(seconds=seconds) for name in _instants(model)}
        model._default_manager.update(**moved_back)


def _instants(model: type[models.Model]) -> list[str]:
    fields = model._meta.concrete_fields
    return [field.name for field in fields if isinstance(field, models.DateTimeField)]
