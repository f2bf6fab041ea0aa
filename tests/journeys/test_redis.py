"""A site as in production: Redis, workers and beat in processes of their own, Zoho over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection as database

from testproject.celery import app
from testproject.demo.table import compared
from tests.journeys.waiting import wait_until, wait_until_at_rest
from zoho_crm import tasks
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.redis

ROOT = Path(__file__).resolve().parents[2]
LEADS = 30


@pytest.fixture
def queue(settings: Any, live_zoho: Simulator) -> Iterator[str]:
    """A queue that no other run listens to."""
    name = f"zoho-crm-{uuid.uuid4().hex}"
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "QUEUE": name, "SWEEP_INTERVAL": 1}
    yield name
    with app.connection_for_write() as broker:
        channel: Any = broker.default_channel
        channel.client.delete(name, *channel.client.scan_iter(f"_kombu.*{name}*"))


@pytest.fixture
def connection(transactional_db: None, live_zoho: Simulator) -> Connection:
    return with_grant_code(code=live_zoho.grant_code(), data_center="local")


@pytest.fixture
def processes(queue: str, transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[Path]:
    """Workers and beat, with the settings and the database of this test; their logs' folder."""
    environment = {**outside(), **as_environment(settings.ZOHO_CRM), "DATABASE_URL": database_url()}
    worker = ("worker", "--pool", "prefork", "--concurrency", "2", "--queues", queue)
    programs = {
        "beat": ("beat", "--schedule", str(tmp_path / "schedule"), "--pidfile", ""),
        "one": (*worker, "--hostname", f"one@{queue}"),
        "other": (*worker, "--hostname", f"other@{queue}"),
    }
    with ExitStack() as stack:
        for name, arguments in programs.items():
            log = tmp_path / f"{name}.log"
            stack.enter_context(celery(*arguments, log=log, environment=environment))
        yield tmp_path


def outside() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "PYTEST" not in name}


def as_environment(given: dict[str, Any]) -> dict[str, str]:
    lists = (list, tuple)
    return {
        f"ZOHO_CRM_{name}": ",".join(value) if isinstance(value, lists) else str(value)
        for name, value in given.items()
    }


def database_url() -> str:
    """The database that Django made for this test."""
    made = database.settings_dict
    if database.vendor == "sqlite":
        return f"sqlite:///{made['NAME']}"
    who = f"{quote(made['USER'], safe='')}:{quote(made['PASSWORD'], safe='')}"
    return f"{database.vendor}://{who}@{made['HOST']}:{made['PORT']}/{made['NAME']}"


@contextmanager
def celery(*arguments: str, log: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run one of Celery's programs until the block ends, then let it end what it began."""
    command = [sys.executable, "-m", "celery", "-A", "testproject", *arguments, "-l", "warning"]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)


def test_leads_are_converted_once_each_whatever_becomes_of_the_answers(
    live_zoho: Simulator, connection: Connection, queue: str, processes: Path
) -> None:
    assert app.conf.broker_url.startswith("redis://"), "set CELERY_BROKER_URL"
    lead_ids = [live_zoho.story("no_match") for _ in range(LEADS)]
    live_zoho.fail("convert", "close_after", times=6, share=0.3, seed=1)
    live_zoho.fail("convert", "close_before", times=6, share=0.3, seed=2)

    for lead_id in lead_ids:
        tasks.convert_lead.apply_async(kwargs={"lead_id": lead_id}, queue=queue)
    wait_until(lambda: LeadConversion.objects.count() == LEADS)
    wait_until_at_rest(connection)

    rows = LeadConversion.objects.all()
    assert Counter(row.status for row in rows) == {"CONVERTED": LEADS}
    assert compared(rows, live_zoho.ledger()) == dict.fromkeys(lead_ids, True)
    assert "ID_ALREADY_CONVERTED" not in {call["code"] for call in live_zoho.ledger()["calls"]}
    assert {row.evidence for row in rows} == {"answer", "read"}
    assert "Traceback" not in "".join(log.read_text() for log in processes.glob("*.log"))
