"""A site of its own for each run: database, broker, Zoho, workers with wrong clocks, two beats."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
from cryptography.fernet import Fernet

from tests.chaos.programs import Program, beat, build_clock_library, running, worker
from tests.chaos.proxy import Proxy
from tests.chaos.report import Report
from tests.chaos.scenarios import Scenario
from tests.chaos.servers import PostgresqlServer, RedisServer, mariadb, postgresql, rabbitmq, redis
from zoho_crm.simulator import Server, Simulator, SimulatorSettings

QUEUE = "chaos"
LOG_FOLDER = Path(".run/chaos")
#: Seconds that each of Zoho's calls takes: so much that waits for a lease to run out, which no
#: machine can shorten, do not outweigh the work.
LATENCY_SECONDS = 0.1
#: Celery app that sends every message ten times.
MESSAGE_REPEATER = "tests.chaos.message_repeater"
#: Settings of ``ZOHO_CRM``: seconds where production has minutes, in the same order of size.
SETTINGS: dict[str, Any] = {
    "CONNECT_TIMEOUT": 0.5,
    "CALL_DEADLINE": 1,
    "LEASE": 2.5,
    "SLICE": 1,
    "REFRESH_LEASE": 1.5,
    "TOKEN_BACKOFF": 10,
    "SWEEP_INTERVAL": 0.5,
    "QUIET_PERIOD": 2,
    "READ_SPACING": 0.5,
    "MASS_QUIET_PERIOD": 3,
    "JOB_HORIZON": 4,
    "MAX_CONCURRENCY": 10,
    "MAX_ATTEMPTS": 5,
}
#: Seconds by which the clocks of the hosts are wrong.
CLOCK_SKEWS_SECONDS = (0, 600, -600, 0)


def run_scenario(name: str, scenario: Scenario, seed: int, time_limit: float) -> Report:
    """Build the site, run the scenario on it, and keep the logs if anything is wrong."""
    quota = {"token_quota_seconds": SETTINGS["TOKEN_BACKOFF"]}
    zoho = Simulator(SimulatorSettings(leads=0, latency=LATENCY_SECONDS, **quota))
    with (
        tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder,
        Server(zoho) as server,
        start_servers(Path(folder), scenario.database, scenario.broker, seed=seed) as servers,
    ):
        os.environ.update(environment(servers, server.origin, dict(scenario.settings)))
        os.environ.update(
            {**scenario.environment, "DJANGO_SETTINGS_MODULE": "testproject.settings"}
        )
        django.setup()
        from tests.chaos.outbox_run import OutboxRun
        from tests.chaos.run import ScenarioRun, prepare_site, wait_for_workers

        prepare_site(zoho)
        workers, beats = celery_programs(servers, dict(os.environ), hosts=scenario.hosts)
        with logs_kept_if_wrong(Path(folder), name) as reports, running([*workers, *beats]):
            report = (OutboxRun if scenario.pushes else ScenarioRun)(
                scenario=scenario,
                servers=servers,
                zoho=zoho,
                workers=workers,
                seed=seed,
                start_seconds=wait_for_workers(workers),
            ).run(time_limit=time_limit)
            reports.append(report)
        return report


@contextmanager
def logs_kept_if_wrong(folder: Path, name: str) -> Iterator[list[Report]]:
    """Keep the logs of all programs unless the block adds a report without problems."""
    reports: list[Report] = []
    try:
        yield reports
    finally:
        if not reports or reports[0].problems:
            kept = LOG_FOLDER / name
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept, ignore=all_but_logs)
            print(f"{name}: the logs of all programs are in {kept}", flush=True)


def all_but_logs(_folder: str, names: list[str]) -> list[str]:
    """Return what is left behind when logs are kept."""
    return [name for name in names if not name.endswith(".log")]


@dataclass(kw_only=True)
class SiteServers:
    """The servers that a site runs on, and their addresses."""

    folder: Path
    database_url: str
    #: Of the proxy that workers go through, if there is one.
    workers_database_url: str
    broker_url: str
    delete_messages: Callable[[], None]
    postgresql: PostgresqlServer | None = None
    redis: RedisServer | None = None
    proxy: Proxy | None = None


@contextmanager
def start_servers(folder: Path, database: str, broker: str, *, seed: int) -> Iterator[SiteServers]:
    """Run a database (``postgresql``, ``mariadb``, ``sqlite``) and a broker until the end."""
    with ExitStack() as stack:
        servers = SiteServers(
            folder=folder,
            database_url="",
            workers_database_url="",
            broker_url="",
            delete_messages=lambda: None,
        )
        if database == "postgresql":
            servers.postgresql = stack.enter_context(postgresql(folder))
            servers.proxy = Proxy(servers.postgresql.port, seed=seed)
            stack.callback(servers.proxy.close)
            servers.database_url = servers.postgresql.url
            servers.workers_database_url = servers.postgresql.url_at(servers.proxy.port)
        elif database == "mariadb":
            servers.database_url = stack.enter_context(mariadb())
        else:
            servers.database_url = f"sqlite:///{folder / 'db.sqlite3'}"
        servers.workers_database_url = servers.workers_database_url or servers.database_url
        if broker == "redis":
            servers.redis = stack.enter_context(redis(folder))
            servers.broker_url, servers.delete_messages = servers.redis.url, servers.redis.empty
        else:
            servers.broker_url, servers.delete_messages = stack.enter_context(rabbitmq(QUEUE))
        yield servers


def environment(servers: SiteServers, zoho: str, more: dict[str, Any]) -> dict[str, str]:
    """Return the environment of every process of the site."""
    zoho_settings = {
        **SETTINGS,
        "CLIENT_ID": "1000.SIMULATOR",
        "CLIENT_SECRET": "simulator-secret",
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "DATA_CENTER": "local",
        "LOCAL_URL": zoho,
        "QUEUE": QUEUE,
        **more,
    }
    return {
        **os.environ,
        "DEBUG": "0",
        "SECRET_KEY": "chaos",
        "DATABASE_URL": servers.database_url,
        "CELERY_BROKER_URL": servers.broker_url,
        **{f"ZOHO_CRM_{name}": str(value) for name, value in zoho_settings.items()},
    }


def celery_programs(
    servers: SiteServers, given: dict[str, str], *, hosts: int
) -> tuple[list[Program], list[Program]]:
    """Return the workers and beats, not started; one of each sends every message ten times."""
    theirs = {**given, "DATABASE_URL": servers.workers_database_url}
    if not servers.database_url.startswith("sqlite"):  # SQLite takes the time from its process
        theirs |= {"LD_PRELOAD": str(build_clock_library(servers.folder))}
    workers = [
        worker(f"host{number}", QUEUE, {**theirs, "CHAOS_SKEW": str(skew)}, servers.folder)
        for number, skew in enumerate(CLOCK_SKEWS_SECONDS[:hosts])
    ]
    beats = [beat(f"beat{number}", theirs, servers.folder) for number in range(2)]
    workers[0].app = beats[0].app = MESSAGE_REPEATER
    return workers, beats
