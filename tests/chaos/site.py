"""A whole site for chaos: database, broker, Zoho, workers on hosts with wrong clocks, two beats."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from tests.chaos import machines
from tests.chaos.hosts import Program, beat, worker, wrong_clock
from tests.chaos.proxy import Proxy

QUEUE = "chaos"
#: Sends every message ten times.
PARROT = "tests.chaos.parrot"
#: In seconds, in the order that production has.
CONSTANTS: dict[str, Any] = {
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
SKEWS = (0, 600, -600, 0)


@dataclass(kw_only=True)
class Grounds:
    """Servers that a site runs on."""

    folder: Path
    database_url: str
    #: As workers reach it: through a door that may lose what is said.
    workers_database_url: str
    broker_url: str
    empty_broker: Callable[[], None]
    cluster: machines.Cluster | None = None
    redis: machines.Redis | None = None
    proxy: Proxy | None = None


@contextmanager
def grounds(folder: Path, database: str, broker: str, *, seed: int) -> Iterator[Grounds]:
    """Provide a database (``postgresql``, ``mariadb``, ``sqlite``) and a broker until the end."""
    with ExitStack() as stack:
        ground = Grounds(
            folder=folder,
            database_url="",
            workers_database_url="",
            broker_url="",
            empty_broker=lambda: None,
        )
        if database == "postgresql":
            ground.cluster = stack.enter_context(machines.postgresql(folder))
            ground.proxy = Proxy(ground.cluster.port, seed=seed)
            stack.callback(ground.proxy.close)
            ground.database_url = ground.cluster.url
            ground.workers_database_url = ground.cluster.url_by(ground.proxy.port)
        elif database == "mariadb":
            ground.database_url = stack.enter_context(machines.mariadb())
        else:
            ground.database_url = f"sqlite:///{folder / 'db.sqlite3'}"
        ground.workers_database_url = ground.workers_database_url or ground.database_url
        if broker == "redis":
            ground.redis = stack.enter_context(machines.redis(folder))
            ground.broker_url, ground.empty_broker = ground.redis.url, ground.redis.empty
        else:
            ground.broker_url, ground.empty_broker = stack.enter_context(machines.rabbitmq(QUEUE))
        yield ground


def environment(ground: Grounds, zoho: str, more: dict[str, Any]) -> dict[str, str]:
    """Return what every process of the site finds in its environment."""
    zoho_settings = {
        **CONSTANTS,
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
        "DATABASE_URL": ground.database_url,
        "CELERY_BROKER_URL": ground.broker_url,
        **{f"ZOHO_CRM_{name}": str(value) for name, value in zoho_settings.items()},
    }


def programs(
    ground: Grounds, given: dict[str, str], *, hosts: int
) -> tuple[list[Program], list[Program]]:
    """Return workers and beats, none running; one of each sends every message ten times."""
    theirs = {**given, "DATABASE_URL": ground.workers_database_url}
    if not ground.database_url.startswith("sqlite"):  # whose clock is that of its one host
        theirs |= {"LD_PRELOAD": str(wrong_clock(ground.folder))}
    workers = [
        worker(f"host{number}", QUEUE, {**theirs, "CHAOS_SKEW": str(skew)}, ground.folder)
        for number, skew in enumerate(SKEWS[:hosts])
    ]
    beats = [beat(f"beat{number}", theirs, ground.folder) for number in range(2)]
    workers[0].app = beats[0].app = PARROT
    return workers, beats
