"""What is done to a site at work, one thing after the other."""

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

from django.db import DatabaseError, OperationalError, connection

from tests.chaos.programs import Program, program_with_process
from tests.chaos.servers import PostgresqlServer, RedisServer
from tests.chaos.site import SETTINGS
from zoho_crm.models import Connection, ConnectionWork, MassConversion
from zoho_crm.services import mass_convert, work
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator

SLICE_SECONDS = SETTINGS["SLICE"]
#: Seconds that a worker is frozen: longer than its lease.
FREEZE_SECONDS = SETTINGS["LEASE"] + 1.5
#: Calls in a row that are one too many.
RATE_LIMIT_BURST_CALLS = 20
BROKER_OUTAGE_SECONDS = 20
#: Seconds that a person lets a run stand still.
RUN_PAUSE_SECONDS = 7


@dataclass(kw_only=True)
class Disruptions:
    """The cards, and what was truly done."""

    zoho: Simulator
    workers: list[Program]
    random: Random
    delete_messages: Callable[[], None]
    broker: RedisServer | None = None
    cluster: PostgresqlServer | None = None
    done: Counter[str] = field(default_factory=Counter)
    #: From when to when the run stood still because a person paused it.
    pauses: list[tuple[datetime, datetime]] = field(default_factory=list)
    _broker_outage: threading.Thread | None = None

    def apply(self, disruption: str) -> None:
        """Do what stands on a card."""
        getattr(self, disruption)()

    # Workers

    def kill_lease_holder(self) -> None:
        """End the host of the process that holds the lease, somewhere in its slice."""
        time.sleep(self.random.uniform(0, SLICE_SECONDS))
        program = self._wait_for_lease_holder()
        if program:
            program.kill()
            program.start()
            self.done["kill of the lease holder"] += 1

    def kill_any(self) -> None:
        program = self.random.choice(self.workers)
        program.kill()
        program.start()
        self.done["kill of any worker"] += 1

    def freeze_lease_holder(self) -> None:
        """Let the lease run out under the hands of its holder, who then goes on."""
        program = self._wait_for_lease_holder()
        if program:
            program.signal(signal.SIGSTOP)
            time.sleep(FREEZE_SECONDS)
            program.signal(signal.SIGCONT)
            self.done["freeze past the lease"] += 1

    def terminate_any(self) -> None:
        program = self.random.choice(self.workers)
        program.end()
        program.start()
        self.done["SIGTERM"] += 1

    def _wait_for_lease_holder(self, patience: float = 6) -> Program | None:
        end = time.monotonic() + patience
        while time.monotonic() < end:
            owner = current_lease_owner()
            program = (
                program_with_process(self.workers, int(owner.split(":")[1])) if owner else None
            )
            if program:
                return program
            time.sleep(0.02)
        return None

    # People

    def pause_run(self) -> None:
        """Let the run stand still for a while."""
        run_id = MassConversion.objects.get().pk
        if mass_convert.pause(run_id=run_id):
            begin = datetime.now(UTC)
            time.sleep(RUN_PAUSE_SECONDS)
            self.pauses.append((begin, datetime.now(UTC)))
            mass_convert.resume(run_id=run_id)
            self.done["pause"] += 1

    # Servers

    def empty_broker(self) -> None:
        if self._broker_outage:
            self._broker_outage.join()
        self.delete_messages()
        self.done["broker emptied"] += 1

    def suspend_broker(self) -> None:
        """Let the broker hang for a while, beside whatever else happens."""
        broker = self.broker
        assert broker

        def hang() -> None:
            broker.suspend()
            time.sleep(BROKER_OUTAGE_SECONDS)
            broker.resume()

        self._broker_outage = threading.Thread(target=hang, daemon=True)
        self._broker_outage.start()
        self.done["broker stopped for 20 s"] += 1

    def restart_database(self) -> None:
        assert self.cluster
        self.cluster.restart()
        connection.close()
        self.done["PostgreSQL restarted"] += 1

    # Zoho

    def lower_limit(self) -> None:
        self.zoho.tune(concurrency=5, sub_concurrency=4)
        self.done["limit lowered"] += 1

    def throttle(self) -> None:
        """Answer the next calls with "too many"."""
        self.zoho.fail("any", "throttle", times=RATE_LIMIT_BURST_CALLS)
        self.done["burst of 429"] += 1

    def exhaust_credits(self) -> None:
        """Let the credits run out for a moment; a person sees it, buys more and presses *Test*."""
        left = self.zoho.engine.settings.credits
        self.zoho.tune(credits=self.zoho.stats()["credits_used"])
        time.sleep(2)
        self.zoho.tune(credits=left)
        with contextlib.suppress(DatabaseError):
            for row in Connection.objects.all():
                work.end_backoff(connection_id=row.pk)
        self.done["credits ran out"] += 1

    def revoke_tokens(self) -> None:
        """Revoke all that was granted; a person sees it and connects again."""
        with self.zoho.engine.lock:
            for token in list(self.zoho.world.grants.refresh_tokens):
                self.zoho.world.grants.revoke(token)
        time.sleep(2)
        with_grant_code(code=self.zoho.grant_code(), data_center="local")
        self.done["tokens revoked"] += 1

    def expire_access_tokens(self) -> None:
        with self.zoho.engine.lock:
            self.zoho.world.grants.access_tokens.clear()
        self.done["access tokens invalid"] += 1


def current_lease_owner() -> str:
    """Return who holds the lease of the one connection, if anybody does."""
    try:
        return ConnectionWork.objects.values_list("lease_owner", flat=True).first() or ""
    except OperationalError:
        connection.close()
        return ""
