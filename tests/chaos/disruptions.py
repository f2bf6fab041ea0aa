"""What is done to a site at work: kills, outages of its servers, and limits of Zoho's."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import TypeVar

from django.db import DatabaseError, connection

from tests.chaos.programs import Program, program_with_process
from tests.chaos.servers import PostgresqlServer, RedisServer
from tests.chaos.site import SETTINGS
from zoho_crm.exceptions import ZohoError
from zoho_crm.models import Connection, ConnectionWork, MassConversion
from zoho_crm.models._database import DbNow
from zoho_crm.services import mass_convert, work
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator

Result = TypeVar("Result")

SLICE_SECONDS = SETTINGS["SLICE"]
#: Seconds that a worker is frozen: longer than its lease.
FREEZE_SECONDS = SETTINGS["LEASE"] + 1.5
RATE_LIMIT_BURST_CALLS = 20
BROKER_OUTAGE_SECONDS = 20
RUN_PAUSE_SECONDS = 7
#: Seconds that are waited for a process that holds the lease.
HOLDER_TIMEOUT_SECONDS = 6
#: Seconds until a person acts although the site has not noticed anything.
PERSON_TIMEOUT_SECONDS = 30


@dataclass(kw_only=True)
class Disruptions:
    """
    Disrupts one site, and counts how often each disruption took place.

    Each method but ``apply`` is a disruption; it returns whether it took place.
    """

    zoho: Simulator
    workers: list[Program]
    random: Random
    delete_messages: Callable[[], None]
    redis: RedisServer | None = None
    postgresql: PostgresqlServer | None = None
    done: Counter[str] = field(default_factory=Counter)
    #: When each pause of the mass conversion began and ended.
    pauses: list[tuple[datetime, datetime]] = field(default_factory=list)
    _broker_outage: threading.Thread | None = None

    def apply(self, name: str) -> bool:
        """Disrupt the site in the way of that name; return whether that could be done."""
        took_place: bool = getattr(self, name)()
        self.done[name] += took_place
        return took_place

    # Workers

    def kill_lease_holder(self) -> bool:
        """Kill the host of the process that holds the lease, at any moment of its slice."""
        time.sleep(self.random.uniform(0, SLICE_SECONDS))
        program = self._wait_for_lease_holder()
        if program:
            program.kill()
            program.start()
        return program is not None

    def kill_any_worker(self) -> bool:
        program = self.random.choice(self.workers)
        program.kill()
        program.start()
        return True

    def freeze_lease_holder(self) -> bool:
        """Stop the host of the process that holds the lease until that is over, then continue."""
        program = self._wait_for_lease_holder()
        if program:
            program.signal(signal.SIGSTOP)
            time.sleep(FREEZE_SECONDS)
            program.signal(signal.SIGCONT)
        return program is not None

    def terminate_any_worker(self) -> bool:
        """End a worker by SIGTERM, as a deployment does."""
        program = self.random.choice(self.workers)
        program.terminate()
        program.start()
        return True

    def _wait_for_lease_holder(self) -> Program | None:
        end = time.monotonic() + HOLDER_TIMEOUT_SECONDS
        while time.monotonic() < end:
            owner = lease_owner()
            pid = int(owner.split(":")[1]) if owner else 0
            program = program_with_process(self.workers, pid) if pid else None
            if program:
                return program
            time.sleep(0.02)
        return None

    # People

    def pause_run(self) -> bool:
        """Pause the mass conversion, and resume it some seconds later."""
        run_id = MassConversion.objects.get().pk
        if not mass_convert.pause(run_id=run_id):
            return False
        begin = datetime.now(UTC)
        time.sleep(RUN_PAUSE_SECONDS)
        self.pauses.append((begin, datetime.now(UTC)))
        mass_convert.resume(run_id=run_id)
        return True

    # Servers

    def empty_broker(self) -> bool:
        """Delete all messages."""
        if self._broker_outage:
            self._broker_outage.join()
        self.delete_messages()
        return True

    def suspend_broker(self) -> bool:
        """Let Redis hang for some seconds, while other disruptions go on."""
        redis = self.redis
        assert redis

        def hang() -> None:
            redis.suspend()
            time.sleep(BROKER_OUTAGE_SECONDS)
            redis.resume()

        self._broker_outage = threading.Thread(target=hang, daemon=True)
        self._broker_outage.start()
        return True

    def restart_database(self) -> bool:
        """Let PostgreSQL crash, and start it again."""
        assert self.postgresql
        self.postgresql.restart()
        connection.close()
        return True

    # Zoho

    def lower_limit(self) -> bool:
        """Allow half as many calls at a time."""
        self.zoho.tune(concurrency=5, sub_concurrency=4)
        return True

    def throttle_calls(self) -> bool:
        """Answer the next calls with 429, or "Access Denied" to a request for a token."""
        self.zoho.fail("any", "throttle", times=RATE_LIMIT_BURST_CALLS)
        return True

    def exhaust_credits(self) -> bool:
        """Take the credits away until the site backs off; then buy more, and press *Test*."""
        before = self.zoho.engine.settings.credits
        self.zoho.tune(credits=self.zoho.stats()["credits_used"])
        limited = ConnectionWork.objects.filter(backoff_kind=ConnectionWork.BackoffKind.LIMIT)
        is_noticed = wait_until(limited.filter(backoff_until__gt=DbNow()).exists)
        self.zoho.tune(credits=before)
        retry_on_database_error(lambda: work.end_backoff(connection_id=Connection.objects.get().pk))
        return is_noticed

    def revoke_tokens(self) -> bool:
        """Revoke all tokens until the site knows that it has to be connected; then connect it."""
        with self.zoho.engine.lock:
            for token in list(self.zoho.world.grants.refresh_tokens):
                self.zoho.world.grants.revoke(token)
        lost = Connection.objects.filter(status=Connection.Status.NEEDS_RECONNECT)
        is_noticed = wait_until(lost.exists)
        connect(self.zoho)
        return is_noticed

    def expire_access_tokens(self) -> bool:
        with self.zoho.engine.lock:
            self.zoho.world.grants.access_tokens.clear()
        return True


def connect(zoho: Simulator) -> None:
    """Connect the site to Zoho; what a fault refuses is tried again."""
    for _attempt in range(2 * RATE_LIMIT_BURST_CALLS):
        with contextlib.suppress(ZohoError):
            with_grant_code(code=zoho.grant_code(), data_center="local")
            return
        time.sleep(0.1)
    with_grant_code(code=zoho.grant_code(), data_center="local")


def lease_owner() -> str:
    """Return who holds the lease of the one connection; empty if nobody does, or none can tell."""
    try:
        return ConnectionWork.objects.values_list("lease_owner", flat=True).first() or ""
    except DatabaseError:
        connection.close()
        return ""


def wait_until(is_so: Callable[[], bool]) -> bool:
    """Return whether it became so before a person loses patience."""
    end = time.monotonic() + PERSON_TIMEOUT_SECONDS
    while time.monotonic() < end:
        if retry_on_database_error(is_so):
            return True
        time.sleep(0.05)
    return False


def retry_on_database_error(query: Callable[[], Result]) -> Result:
    """
    Return the result of a query, repeated while the database does not answer.

    :raises DatabaseError: if it does not for twenty seconds
    """
    for _attempt in range(100):
        try:
            return query()
        except DatabaseError:
            connection.close()
            time.sleep(0.2)
    return query()
