"""The worker of these tests: it works when a test says so, so that none has to wait."""

from __future__ import annotations

import time
from collections.abc import Callable

from zoho_crm.models import (
    Connection,
    LeadConversion,
    MassConversion,
    MassConversionJob,
)
from zoho_crm.models._database import DbNow
from zoho_crm.services import work

MAX_SECONDS = 120


def work_once() -> None:
    """Act on the rows that are due, of all connections, for one slice at most."""
    for connection in Connection.objects.filter(status=Connection.Status.ACTIVE):
        work.work(connection_id=connection.pk)


def work_until(condition: Callable[[], object]) -> None:
    """
    Work until a condition holds; runs and jobs at Zoho that wait for a moment are due at once.

    :raises TimeoutError: if it does not hold after two minutes
    """
    deadline = time.monotonic() + MAX_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        work_once()
        for model in (MassConversion, MassConversionJob):
            model.objects.filter(due_at__gt=DbNow()).update(due_at=DbNow())


def work_until_at_rest() -> None:
    """Work until no lead and no run is in progress."""
    runs = MassConversion.objects.filter(due_at__isnull=False)
    work_until(lambda: not runs.exists() and not LeadConversion.objects.unfinished().exists())


def work_until_stage(run: MassConversion, stage: str) -> MassConversion:
    """Work until a run is in a stage with nothing to do by itself; return it as it is then."""
    runs = MassConversion.objects.filter(pk=run.pk, stage=stage, due_at=None)
    work_until(runs.exists)
    return runs.get()
