from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import F

from zoho_crm.models import ConnectionWork, LeadConversion, Token
from zoho_crm.simulator import Simulator


@pytest.fixture
def olga(db: None) -> AbstractBaseUser:
    return get_user_model().objects.create_user("olga")


@pytest.fixture
def later(zoho: Simulator) -> Callable[[float], None]:
    """Let time go on without waiting: at Zoho, and for what is due in the tables."""

    def go_on(seconds: float) -> None:
        zoho.advance(seconds)
        for model, names in INSTANTS.items():
            model.objects.update(**{name: F(name) - timedelta(seconds=seconds) for name in names})

    return go_on


INSTANTS: dict[type[Any], tuple[str, ...]] = {
    LeadConversion: ("due_at", "quiet_until", "previewed_at"),
    ConnectionWork: ("lease_until", "backoff_until", "swept_at"),
    Token: ("throttled_until",),
}
