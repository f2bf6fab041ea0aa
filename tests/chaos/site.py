"""A whole site for chaos: database, broker, Zoho, workers on hosts with wrong clocks, two beats."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from tests.chaos.programs import Program, beat, build_clock_library, worker
from tests.chaos.proxy import Proxy
from tests.chaos.servers import PostgresqlServer, RedisServer, mariadb, postgresql, rabbitmq, redis

QUEUE = "chaos"
#: Sends every message ten times.
MESSAGE_REPEATER = "tests.chaos.message_repeater"
#: In seconds, in the order that production has.
SETTINGS: dict[str, Any] = {
    "CONNECT_TIMEOUT": 0.5,
    "CALL_DEADLINE": 1,
    "LEASE": 2.5,
    "SLICE": 1,
    "REFRESH_LEASE": 1.5,
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


@dataclass(kw_only=True)
class SiteServers:
    """Servers that a site runs on."""

    folder: Path
    database_url: str
    #: As workers reach it: through a door that may lose what is said.
    workers_database_url: str
    broker_url: str
    delete_messages: Callable[[], None]
    cluster: PostgresqlServer | None = None
    redis: RedisServer | None = None
    proxy: Proxy | None = None


@contextmanager
def start_servers(folder: Path, database: str, broker: str, *, seed: int) -> Iterator[SiteServers]:
    """Provide a database (``postgresql``, ``mariadb``, ``sqlite``) and a broker until the end."""
    with ExitStack() as stack:
        servers = SiteServers(
            folder=folder,
            database_url="",
            workers_database_url="",
            broker_url="",
            delete_messages=lambda: None,
        )
        if database == "postgresql":
            servers.cluster = stack.enter_context(postgresql(folder))
            servers.proxy = Proxy(servers.cluster.port, seed=seed)
            stack.callback(servers.proxy.close)
            servers.database_url = servers.cluster.url
            servers.workers_database_url = servers.cluster.url_at(servers.proxy.port)
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
    """Return what every process of the site finds in its environment."""
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
    """Return workers and beats, none running; one of each sends every message ten times."""
    theirs = {**given, "DATABASE_URL": servers.workers_database_url}
    if not servers.database_url.startswith("sqlite"):  # whose clock is that of its one host
        theirs |= {"LD_PRELOAD": str(build_clock_library(servers.folder))}
    workers = [
        worker(f"host{number}", QUEUE, {**theirs, "CHAOS_SKEW": str(skew)}, servers.folder)
        for number, skew in enumerate(CLOCK_SKEWS_SECONDS[:hosts])
    ]
    beats = [beat(f"beat{number}", theirs, servers.folder) for number in range(2)]
    workers[0].app = beats[0].app = MESSAGE_REPEATER
    return workers, beats
