"""A test bench for runs: prepare them, work them in this process, compare with the simulator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any, cast

from django.contrib.auth.models import User

from tests.clock import pass_time
from zoho_crm.matching import POLICIES, Policy
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services import mass_convert, work
from zoho_crm.simulator import Simulator
from zoho_crm.types import ConversionPlan

Stage = MassConversion.Stage
#: Calls of ``work`` after which every run of these tests is where it should be.
MAX_SLICES = 200
#: Zoho's answer when it refuses to convert one lead.
REFUSAL = {
    "data": [
        {
            "code": "MANDATORY_NOT_FOUND",
            "details": {"api_name": "Last_Name", "json_path": "$.data[0]"},
            "message": "required field not found",
            "status": "error",
        }
    ]
}


@dataclass(frozen=True)
class StopCondition:
    """A stop event that is set when a condition is true; the worker's loop checks it each time."""

    is_set: Callable[[], bool]


@dataclass(kw_only=True)
class Bench:
    """One connection, its simulated Zoho, and a person who decides."""

    connection: Connection
    zoho: Simulator
    person: User
    policy: Policy = field(default_factory=lambda: POLICIES["careful"])

    # Steps of a run

    def leads(self, number: int, **values: Any) -> list[str]:
        return [self.zoho.add_lead(**values).id for _lead in range(number)]

    def prepare(self, lead_ids: Iterable[str], **more: Any) -> MassConversion:
        given = {"policy": self.policy, "by": self.person, **more}
        return mass_convert.prepare(connection_id=self.connection.pk, lead_ids=lead_ids, **given)

    def reviewed(self, lead_ids: Iterable[str], **more: Any) -> MassConversion:
        """Return a prepared run that is waiting for decisions."""
        run = self.prepare(lead_ids, **more)
        self.until_settled(run)
        assert run.stage == Stage.REVIEW
        return run

    def started(self, lead_ids: Iterable[str], **more: Any) -> MassConversion:
        return self.start(self.reviewed(lead_ids, **more))

    def finished(self, lead_ids: Iterable[str], **more: Any) -> MassConversion:
        run = self.started(lead_ids, **more)
        self.until_ended(run)
        return run

    def start(self, run: MassConversion) -> MassConversion:
        run.refresh_from_db()
        return mass_convert.start(
            run_id=run.pk,
            revision=run.revision,
            count=mass_convert.decided_count(run),
            by=self.person,
        )

    # Work

    def work(self, is_stopped: Callable[[], bool] = lambda: False) -> float | None:
        """Work for one slice, which begins no more calls once it is stopped."""
        stop = cast(Event, StopCondition(is_stopped))
        return work.work(connection_id=self.connection.pk, stop=stop)

    def work_until(self, enough: Callable[[], bool]) -> None:
        """Work like ``until``, but begin no more calls from the moment at which it is enough."""
        self.until(enough, lambda: self.work(enough))

    def until(
        self, arrived: Callable[[], bool], work_slice: Callable[[], float | None] | None = None
    ) -> None:
        """Work until the condition is true; the clock is advanced while nothing is due."""
        work_slice = work_slice or self.work
        for _slice in range(MAX_SLICES):
            if arrived():
                return
            wait = work_slice()
            pass_time(self.zoho, wait or 0.0)
        raise AssertionError(self.status_counts())

    def until_settled(self, run: MassConversion) -> None:
        """Work until the run is waiting for a person."""
        self.until(lambda: self.refreshed(run).due_at is None)

    def until_ended(self, run: MassConversion) -> None:
        self.until(lambda: self.refreshed(run).ended_at is not None)

    # Reading

    def refreshed(self, run: MassConversion) -> MassConversion:
        run.refresh_from_db()
        return run

    def row(self, lead_id: str) -> LeadConversion:
        return LeadConversion.objects.get(lead_id=lead_id)

    def status_counts(self) -> dict[str, int]:
        """Return how many rows have each status."""
        return dict(Counter(LeadConversion.objects.values_list("status", flat=True)))

    def sent(self) -> list[str]:
        """Return the ids of the leads that the simulator converted, in order."""
        return [each["lead_id"] for each in self.zoho.ledger()["conversions"]]

    def routes(self) -> dict[str, int]:
        return dict(Counter(each["via"] for each in self.zoho.ledger()["conversions"]))

    def requested(self) -> list[str]:
        """Return the ids of the leads that the simulator was asked to convert, in order."""
        return [each["lead_id"] for each in self.zoho.ledger()["calls"]]

    def duplicates(self, module: str, name: str) -> list[str]:
        """Return the values that more than one record of the simulator has."""
        values = Counter(record[name] for record in self.zoho.records[module].values())
        return [value for value, number in values.items() if value and number > 1]

    def check_against_simulator(self) -> None:
        """Check that the rows say what the simulator did, and that no lead was converted twice."""
        sent = Counter(self.sent())
        rows = LeadConversion.objects.filter(
            status=LeadConversion.Status.CONVERTED, converted_by=LeadConversion.By.US
        )
        assert sent == Counter(rows.values_list("lead_id", flat=True))
        ledger = {each["lead_id"]: each for each in self.zoho.ledger()["conversions"]}
        for row in rows:
            found = ledger[row.lead_id]
            assert (row.contact_id, row.account_id) == (found["contact_id"], found["account_id"])

    # Faults

    def refuse(self, *lead_ids: str) -> None:
        """Make the simulator refuse single conversions of these leads, until faults are cleared."""
        for lead_id in lead_ids:
            self.zoho.fail(
                "convert", "error_before", lead_id=lead_id, times=None, status=400, body=REFUSAL
            )


def policy(**rules: Any) -> Policy:
    return replace(POLICIES["careful"], name="mine", **rules)


CREATE = ConversionPlan()
