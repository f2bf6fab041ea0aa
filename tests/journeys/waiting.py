"""Patience, but not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable

from zoho_crm.models import Connection, LeadConversion

PATIENCE = 60


def wait_until(condition: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    """
    Wait until something is so.

    :raises TimeoutError: if it does not become so
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


def wait_until_at_rest(connection: Connection) -> None:
    """
    Wait until no lead of a connection is on its way.

    :raises TimeoutError: if some still are
    """
    rows = LeadConversion.objects.filter(connection=connection)
    wait_until(lambda: not rows.unfinished().exists())
