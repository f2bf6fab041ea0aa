from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser

from tests.clock import pass_time
from zoho_crm.simulator import Simulator


@pytest.fixture
def olga(db: None) -> AbstractBaseUser:
    return get_user_model().objects.create_user("olga")


@pytest.fixture
def later(zoho: Simulator) -> Callable[[float], None]:
    """Let so many seconds go by without waiting."""
    return partial(pass_time, zoho)
