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

from tests.chaos.hosts import Program, program_of
from tests.chaos.machines import Cluster, Redis
from tests.chaos.site import CONSTANTS
from zoho_crm.models import Connection, ConnectionWork, MassConversion
from zoho_crm.services import mass_convert, work
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator

SLICE = CONSTANTS["SLICE"]
#: Seconds that a worker is frozen: longer than its lease.
FROZEN = CONSTANTS["LEASE"] + 1.5
#: Calls in a row that are one too many.
BURST = 20
BROKER_DOWN = 20
#: Seconds that a person lets a run stand still.
PAUSE = 7


@dataclass(kw_only=True)
class Deck:
    """The cards, and what was truly done."""

    zoho: Simulator
    workers: list[Program]
    random: Random
    empty_broker: Callable[[], None]
    broker: Redis | None = None
    cluster: Cluster | None = None
    done: Counter[str] = field(default_factory=Counter)
    #: From when to when the run stood still because a person paused it.
    pauses: list[tuple[datetime, datetime]] = field(default_factory=list)
    _down: threading.Thread | None = None

    def play(self, card: str) -> None:
        """Do what stands on a card."""
        getattr(self, card)()

    # Workers

    def kill_holder(self) -> None:
        """End the host of the process that holds the lease, somewhere in its slice."""
        time.sleep(self.random.uniform(0, SLICE))
        program = self._holder()
        if program:
            program.kill()
            program.start()
            self.done["kill of the lease holder"] += 1

    def kill_any(self) -> None:
        program = self.random.choice(self.workers)
        program.kill()
        program.start()
        self.done["kill of any worker"] += 1

    def freeze_holder(self) -> None:
        """Let the lease run out under the hands of its holder, who then goes on."""
        program = self._holder()
        if program:
            program.signal(signal.SIGSTOP)
            time.sleep(FROZEN)
            program.signal(signal.SIGCONT)
            self.done["freeze past the lease"] += 1

    def end_any(self) -> None:
        program = self.random.choice(self.workers)
        program.end()
        program.start()
        self.done["SIGTERM"] += 1

    def _holder(self, patience: float = 6) -> Program | None:
        end = time.monotonic() + patience
        while time.monotonic() < end:
            owner = owner_now()
            program = program_of(self.workers, int(owner.split(":")[1])) if owner else None
            if program:
                return program
            time.sleep(0.02)
        return None

    # People

    def pause(self) -> None:
        """Let the run stand still for a while."""
        run_id = MassConversion.objects.get().pk
        if mass_convert.pause(run_id=run_id):
            begin = datetime.now(UTC)
            time.sleep(PAUSE)
            self.pauses.append((begin, datetime.now(UTC)))
            mass_convert.resume(run_id=run_id)
            self.done["pause"] += 1

    # Servers

    def lose_messages(self) -> None:
        if self._down:
            self._down.join()
        self.empty_broker()
        self.done["broker emptied"] += 1

    def stop_broker(self) -> None:
        """Let the broker hang for a while, beside whatever else happens."""
        broker = self.broker
        assert broker

        def hang() -> None:
            broker.freeze()
            time.sleep(BROKER_DOWN)
            broker.thaw()

        self._down = threading.Thread(target=hang, daemon=True)
        self._down.start()
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
        self.zoho.fail("any", "throttle", times=BURST)
        self.done["burst of 429"] += 1

    def use_up_credits(self) -> None:
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


def owner_now() -> str:
    """Return who holds the lease of the one connection, if anybody does."""
    try:
        return ConnectionWork.objects.values_list("lease_owner", flat=True).first() or ""
    except OperationalError:
        connection.close()
        return ""
