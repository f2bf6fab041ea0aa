from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser

from tests.clock import pass_time
from tests.services.outbox import Push, run_until_nothing_is_due
from zoho_crm.models import Connection
from zoho_crm.services import work
from zoho_crm.shortcuts import push_record
from zoho_crm.simulator import Simulator


@pytest.fixture
def olga(db: None) -> AbstractBaseUser:
    return get_user_model().objects.create_user("olga")


@pytest.fixture
def later(zoho: Simulator) -> Callable[[float], None]:
    """Let so many seconds go by without waiting."""
    return partial(pass_time, zoho)


@pytest.fixture
def push(connection: Connection) -> Push:
    """Push a record, and wake no worker."""
    return partial(push_record, connection=connection, wake=False)


@pytest.fixture
def run(connection: Connection) -> Callable[[], float | None]:
    """Work the connection for one slice."""
    return lambda: work.work(connection_id=connection.pk)


@pytest.fixture
def run_to_the_end(connection: Connection, later: Callable[[float], None]) -> Callable[[], None]:
    """Work the connection until nothing is due any more, and let time pass between the slices."""
    return lambda: run_until_nothing_is_due(connection, later)
