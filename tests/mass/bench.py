"""Runs in the hands of a test: prepared, worked in this process, and counted in the simulator."""

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
#: Slices of work in which every run of these tests arrives where it should.
MAX_SLICES = 200
#: Zoho's refusal of one lead, for as long as it stands.
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
class Watcher:
    """A stop signal that looks for itself; the worker's loop asks it in every turn."""

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
        """Return a run that waits for decisions."""
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

    def work(self) -> float | None:
        return work.work(connection_id=self.connection.pk)

    def work_until(self, enough: Callable[[], bool]) -> bool:
        """Work a slice in which nothing more is begun once it is enough; whether it is."""
        work.work(connection_id=self.connection.pk, stop=cast(Event, Watcher(enough)))
        return enough()

    def until(self, arrived: Callable[[], bool]) -> None:
        """Work until it is so; the time in which there is nothing to do goes by at once."""
        for _slice in range(MAX_SLICES):
            if arrived():
                return
            wait = self.work()
            pass_time(self.zoho, wait or 0.0)
        raise AssertionError(self.standing())

    def until_settled(self, run: MassConversion) -> None:
        """Work until the run waits for people."""
        self.until(lambda: self.fresh(run).due_at is None)

    def until_ended(self, run: MassConversion) -> None:
        self.until(lambda: self.fresh(run).ended_at is not None)

    # Looking

    def fresh(self, run: MassConversion) -> MassConversion:
        run.refresh_from_db()
        return run

    def row(self, lead_id: str) -> LeadConversion:
        return LeadConversion.objects.get(lead_id=lead_id)

    def standing(self) -> dict[str, int]:
        """Return how many rows have each status."""
        return dict(Counter(LeadConversion.objects.values_list("status", flat=True)))

    def sent(self) -> list[str]:
        """Return the leads that the simulator converted, in that order."""
        return [each["lead_id"] for each in self.zoho.ledger()["conversions"]]

    def routes(self) -> dict[str, int]:
        return dict(Counter(each["via"] for each in self.zoho.ledger()["conversions"]))

    def asked(self) -> list[str]:
        """Return the leads that Zoho was asked to convert, in any way, whether it did or not."""
        return [each["lead_id"] for each in self.zoho.ledger()["calls"]]

    def doubles(self, module: str, name: str) -> list[str]:
        """Return the values that more than one record of the simulator has."""
        values = Counter(record[name] for record in self.zoho.records[module].values())
        return [value for value, number in values.items() if value and number > 1]

    def check_books(self) -> None:
        """Make sure that the rows say what the simulator did, and nothing was done twice."""
        sent = Counter(self.sent())
        rows = LeadConversion.objects.filter(
            status=LeadConversion.Status.CONVERTED, converted_by=LeadConversion.By.US
        )
        assert sent == Counter(rows.values_list("lead_id", flat=True))
        ledger = {each["lead_id"]: each for each in self.zoho.ledger()["conversions"]}
        for row in rows:
            found = ledger[row.lead_id]
            assert (row.contact_id, row.account_id) == (found["contact_id"], found["account_id"])

    # What goes wrong

    def refuse(self, *lead_ids: str) -> None:
        """Let Zoho refuse to convert these leads singly, until it is healed."""
        for lead_id in lead_ids:
            self.zoho.fail(
                "convert", "error_before", lead_id=lead_id, times=None, status=400, body=REFUSAL
            )


def policy(**rules: Any) -> Policy:
    return replace(POLICIES["careful"], name="mine", **rules)


CREATE = ConversionPlan()
