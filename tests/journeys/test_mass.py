"""Five thousand leads of every kind in one run, worked by a command's loop on any database."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from tests.journeys import fair
from zoho_crm.models import Connection, MassConversion
from zoho_crm.services import work
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.slow

PATIENCE = 600


@pytest.fixture
def connection(transactional_db: None, zoho: Simulator) -> Connection:
    return with_grant_code(code=zoho.grant_code(), data_center="local")


def work_until(run: MassConversion, is_there: Callable[[MassConversion], bool]) -> None:
    end = time.monotonic() + PATIENCE
    run.refresh_from_db()
    while not is_there(run):
        assert time.monotonic() < end, run.stage
        assert not run.paused_reason
        wait = work.work(connection_id=run.connection_id)
        time.sleep(min(0.1 if wait is None else wait, 0.5))
        run.refresh_from_db()


@pytest.mark.parametrize("number", [300, pytest.param(5_000, marks=pytest.mark.long)])
def test_leads_of_every_kind_are_converted_once_each_and_all_are_accounted_for(
    connection: Connection, zoho: Simulator, number: int
) -> None:
    pat = User.objects.create_user("pat")
    leads = fair.visitors(zoho, number)

    run = fair.prepare(connection, leads, pat)
    work_until(run, lambda run: run.stage == "REVIEW" and run.due_at is None)
    fair.decide(run, pat)
    work_until(run, lambda run: run.stage == "REVIEW" and run.due_at is None)
    were_there = fair.start(run, zoho, pat)
    work_until(run, lambda run: run.ended_at is not None)

    fair.check(run, zoho, leads, were_there)
