"""Run one scenario on a site that is up, and report what was found."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command

from testproject.celery import app
from tests.chaos.checker import RATE_LIMIT_CODES, Event, Row, RunRecords, check
from tests.chaos.disruptions import Disruptions, connect, retry_on_database_error
from tests.chaos.fault_profile import order_faults
from tests.chaos.kill_schedule import KillSchedule
from tests.chaos.programs import Program
from tests.chaos.report import Report
from tests.chaos.scenarios import Scenario
from tests.chaos.site import QUEUE, SETTINGS, SiteServers
from zoho_crm.matching import POLICIES
from zoho_crm.models import (
    IN_PROGRESS,
    Connection,
    LeadConversion,
    LeadConversionEvent,
    MassConversion,
    MassConversionJob,
)
from zoho_crm.services import convert, mass_convert
from zoho_crm.services.presentation import pause_text
from zoho_crm.simulator import Simulator
from zoho_crm.simulator.faults import Fault

LEAD_CASES = ("no_match", "no_match", "one_match", "account_only")
#: Every so many leads of a mass conversion are locked after its start.
LOCKED_LEAD_INTERVAL = 10
#: Seconds after which a pause has to hold.
MAX_SECONDS_TO_LAST_SEND = 5
MAX_OPEN_JOBS = 2
#: Without progress the next disruption comes after so many times the start of the workers.
STARTS_BETWEEN_DISRUPTIONS = 2
POLL_SECONDS = 0.1
WORKER_START_TIMEOUT_SECONDS = 120
NOT_AT_REST = (*IN_PROGRESS, LeadConversion.Status.PREVIEWED)


def prepare_site(zoho: Simulator) -> None:
    """Make the tables, and connect the site to its Zoho."""
    call_command("migrate", verbosity=0)
    connect(zoho)


def wait_for_workers(workers: list[Program]) -> float:
    """
    Wait until all workers answer; return the seconds that took.

    :raises TimeoutError: if one does not answer in time
    """
    began = time.monotonic()
    missing = {f"{worker.name}@{QUEUE}" for worker in workers}
    while time.monotonic() < began + WORKER_START_TIMEOUT_SECONDS:
        with app.connection_for_write() as connection:
            replies = app.control.ping(
                destination=list(missing), timeout=0.5, limit=len(missing), connection=connection
            )
        missing -= {name for reply in replies or [] for name in reply}
        if not missing:
            return time.monotonic() - began
    raise TimeoutError(f"no answer from {missing}")


@dataclass(kw_only=True)
class DisruptedRun:
    """Asks a site for work in batches, while it is disrupted."""

    scenario: Scenario
    servers: SiteServers
    zoho: Simulator
    workers: list[Program]
    seed: int
    #: Seconds until all workers were up.
    start_seconds: float

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.connection_id = Connection.objects.get().pk
        self.disruptions = Disruptions(
            zoho=self.zoho,
            workers=self.workers,
            random=self.random,
            delete_messages=self.servers.delete_messages,
            redis=self.servers.redis,
            postgresql=self.servers.postgresql,
        )

    def request(self, batch: list[Any]) -> None:
        """Ask for the work of a batch."""
        raise NotImplementedError

    def count_at_rest(self) -> int:
        """Return how much of the work is done."""
        raise NotImplementedError

    def is_finished(self) -> bool:
        """Return whether nothing that was asked for is still to be done."""
        raise NotImplementedError

    def poll(self) -> None:
        """Look at what goes on meanwhile."""

    def go_on(self, batches: list[list[Any]], schedule: KillSchedule, end: float) -> None:
        """Ask for the first batch, then for one with each disruption, until all is done."""
        began = time.monotonic()
        self.request(batches.pop(0))
        while time.monotonic() < end:
            if disruption := schedule.take(at_rest=self.count_at_rest()):
                self._log(began, disruption)
                self.request(batches.pop(0) if batches else [])
                if not self.disruptions.apply(disruption):
                    schedule.put_back(disruption)
                schedule.wait(at_rest=self.count_at_rest())
            elif not batches and self.is_finished():
                break
            self.poll()
            time.sleep(POLL_SECONDS)

    def schedule(self, total: int) -> KillSchedule:
        """Return when what happens, in a run with so much to be done."""
        names = [name for name, times in self.scenario.disruptions.items() for _ in range(times)]
        self.random.shuffle(names)
        # Leads of a job come to rest all at once: later there may be nothing left to pause.
        names.sort(key=lambda name: name != "pause_run")
        return KillSchedule(
            names, leads=total, max_seconds=STARTS_BETWEEN_DISRUPTIONS * self.start_seconds
        )

    def unmet_requirements(self, report: Report, pending: list[str]) -> Iterator[str]:
        """Yield what is wrong with the time that it took, and with the disruptions."""
        if report.seconds > report.time_limit:
            yield f"it took longer than {report.time_limit:.1f} s"
        done = report.done
        of_holder = done["kill_lease_holder"]
        kills = of_holder + done["kill_any_worker"]
        if kills < self.scenario.kills or of_holder < self.scenario.lease_holder_kills:
            yield f"only {kills} kills, {of_holder} of them of the lease holder"
        if others := [name for name in pending if name != "kill_lease_holder"]:
            yield f"these did not take place: {', '.join(others)}"

    def _log(self, began: float, disruption: str) -> None:
        """Write down when a disruption began, and how much was done."""
        seconds, at_rest = time.monotonic() - began, self.count_at_rest()
        with (self.servers.folder / "disruptions.log").open("a") as log:
            log.write(f"{seconds:6.1f} s, {at_rest} at rest: {disruption}\n")


@dataclass(kw_only=True)
class ScenarioRun(DisruptedRun):
    """Converts the leads of a scenario while its site is disrupted."""

    _max_open_jobs: int = 0
    #: Orders to lose the answer to a job.
    _job_answer_faults: list[Fault] = field(default_factory=list)
    _run: MassConversion | None = None

    def run(self, *, time_limit: float) -> Report:
        """Convert all leads; give up when so many seconds are over."""
        began = time.monotonic()
        end = began + time_limit
        leads = self._add_leads()
        if self.scenario.is_mass:
            self._run = self._start_mass_conversion(leads, end)
        if self.scenario.has_faults:
            self._order_faults(leads)
        schedule = self.schedule(len(leads))
        batches = self._batches([] if self._run else leads, len(schedule.pending) // 2)
        self.go_on(batches, schedule, end)
        report = Report(
            seconds=time.monotonic() - began,
            time_limit=time_limit,
            start_seconds=self.start_seconds,
            done=self.disruptions.done,
        )
        self._check(report, list(schedule.pending))
        return report

    # Leads

    def _add_leads(self) -> list[str]:
        if self.scenario.is_mass:
            return [self.zoho.add_lead()["id"] for _ in range(self.scenario.leads)]
        cases = (LEAD_CASES[number % len(LEAD_CASES)] for number in range(self.scenario.leads))
        return [self.zoho.story(case) for case in cases]

    def _batches(self, leads: list[str], number: int) -> list[list[str]]:
        """Divide the leads into so many batches: one is requested first, then one a disruption."""
        number = max(1, number)
        return [leads[first::number] for first in range(number)]

    def request(self, batch: list[str]) -> None:
        for lead_id in batch:
            request = partial(convert.request, lead_id=lead_id, policy="attach")
            retry_on_database_error(partial(request, connection_id=self.connection_id))

    def _start_mass_conversion(self, leads: list[str], end: float) -> MassConversion:
        """
        Start a mass conversion of these leads once it was previewed, and lock some of them.

        :raises TimeoutError: if it is not previewed by then
        """
        run = mass_convert.prepare(
            connection_id=self.connection_id, lead_ids=leads, policy=POLICIES["careful"]
        )
        while run.stage != MassConversion.Stage.REVIEW or run.due_at:
            if time.monotonic() > end:
                raise TimeoutError("the run is still being previewed")
            time.sleep(POLL_SECONDS)
            run.refresh_from_db()
        count = mass_convert.decided_count(run)
        mass_convert.start(run_id=run.pk, revision=run.revision, count=count)
        for lead_id in leads[::LOCKED_LEAD_INTERVAL]:
            self.zoho.change(self.zoho.records["Leads"][lead_id], Locked__s=True)
        return run

    def count_at_rest(self) -> int:
        return retry_on_database_error(LeadConversion.objects.exclude(status__in=NOT_AT_REST).count)

    def is_finished(self) -> bool:
        run = self._run
        unfinished = LeadConversion.objects.filter(status__in=IN_PROGRESS)
        if retry_on_database_error(unfinished.exists):
            return False
        if run is None:
            return True
        retry_on_database_error(run.refresh_from_db)
        return run.ended_at is not None or bool(run.paused_reason)

    # Faults

    def _order_faults(self, leads: list[str]) -> None:
        """Order the faults of Zoho and of the way to the database, and break a row of our own."""
        if self.servers.proxy:
            self.servers.proxy.cut(self.scenario.cut_commit_share)
        if not self.scenario.is_mass:
            self._break_plan(leads[0])
        for number in range(self.scenario.lost_job_answers):
            share, seed = self.scenario.job_answer_loss_share, self.seed + number
            fault = self.zoho.fail("mass_convert", "close_after", share=share, times=1, seed=seed)
            self._job_answer_faults.append(fault)
        order_faults(
            self.zoho,
            seed=self.seed,
            late_share=self.scenario.late_share,
            late_seconds=self.scenario.late_seconds,
        )

    def _break_plan(self, lead_id: str) -> None:
        """Request a conversion with a plan that our own code cannot read."""
        row = convert.request(connection_id=self.connection_id, lead_id=lead_id)
        person = User.objects.create_user("pat")
        broken = {"decided_by": person, "plan": {"nonsense": 1}}
        LeadConversion.objects.filter(pk=row.pk).update(**broken)

    def poll(self) -> None:
        """Count the jobs of Zoho that are open."""
        if self.scenario.is_mass:
            jobs = retry_on_database_error(MassConversionJob.objects.filter(ended_at=None).count)
            self._max_open_jobs = max(self._max_open_jobs, jobs)

    # Findings

    def _check(self, report: Report, pending: list[str]) -> None:
        """Add to the report what was measured, and what is wrong."""
        for program in self.workers:
            program.kill()  # the rows must not change while they are checked
        if self.servers.proxy:
            self.servers.proxy.cut(0)
            report.done["connections cut at COMMIT"] = self.servers.proxy.cuts
        records = collect_records(self.zoho)
        report.figures = self._figures(records.ledger)
        violations = check(records)
        if self.scenario.expects_violations:
            found = Counter(violation.guarantee for violation in violations)
            report.figures["violations"] = dict(found)
            if found.keys().isdisjoint({"no blind resend", "exactly once"}):
                report.problems = ["The checker found no lead that was sent twice."]
        else:
            missed = self.unmet_requirements(report, pending)
            report.problems = [*map(str, violations), *missed]

    def _figures(self, ledger: dict[str, Any]) -> dict[str, Any]:
        rows = LeadConversion.objects
        statuses = Counter(rows.values_list("status", flat=True))
        calls = [call for call in ledger["calls"] if call["code"] not in RATE_LIMIT_CODES]
        figures = {
            "rows": dict(statuses),
            "read back": rows.filter(status="CONVERTED", evidence="read").count(),
            "convert calls a lead": round(len(calls) / max(1, self.scenario.leads), 3),
        }
        if self.scenario.is_mass:
            figures["jobs"] = MassConversionJob.objects.count()
            figures["jobs open at most"] = self._max_open_jobs
            figures["seconds to the last send after a pause"] = self._last_send(calls)
            lost = sum(fault.times == 0 for fault in self._job_answer_faults)
            figures["answers to jobs lost"] = lost
        return figures

    def _last_send(self, calls: list[dict[str, Any]]) -> float:
        """Return the seconds after a pause until the last request that was still sent."""
        sent = [datetime.fromisoformat(call["received_at"]) for call in calls]
        pauses = self.disruptions.pauses
        late = [at - begin for begin, end in pauses for at in sent if begin < at < end]
        return round(max(late, default=timedelta()).total_seconds(), 2)

    def unmet_requirements(self, report: Report, pending: list[str]) -> Iterator[str]:
        yield from super().unmet_requirements(report, pending)
        yield from self._rows_not_at_rest()
        figures, run = report.figures, self._run
        if figures["convert calls a lead"] > self.scenario.max_calls_per_lead:
            yield f"{figures['convert calls a lead']} convert calls a lead"
        if figures.get("answers to jobs lost", 0) < self.scenario.lost_job_answers:
            yield f"only {figures['answers to jobs lost']} answers to jobs were lost"
        if figures.get("seconds to the last send after a pause", 0) > MAX_SECONDS_TO_LAST_SEND:
            yield "a pause did not hold"
        if self._max_open_jobs > MAX_OPEN_JOBS:
            yield f"{self._max_open_jobs} jobs were open"
        if run and run.paused_reason:
            yield f"The run is paused: {pause_text(run)}"
        for row in LeadConversion.objects.filter(status="FAILED", error_code=""):
            yield f"lead {row.lead_id} failed without a code"

    def _rows_not_at_rest(self) -> Iterator[str]:
        at_rest = self.count_at_rest()
        if at_rest < self.scenario.leads:
            yield f"only {at_rest} of {self.scenario.leads} leads are at rest"
        for row in LeadConversion.objects.filter(status__in=NOT_AT_REST):
            events = row.events.order_by("version").values_list("at", "to_status", "details")
            journal = "; ".join(f"{at:%T.%f} {to} {details}" for at, to, details in events)
            yield f"lead {row.lead_id} is not at rest: {journal}"


def collect_records(zoho: Simulator) -> RunRecords:
    """Return the ledger of the simulator, and the rows and events of the site."""
    columns = ("lead_id", "status", "version", "converted_by", "error_code")
    ids = ("contact_id", "account_id", "deal_id")
    rows = [
        Row(
            lead_id=row["lead_id"],
            status=row["status"],
            version=row["version"],
            by=row["converted_by"],
            ids=(row["contact_id"], row["account_id"], row["deal_id"]),
            error_code=row["error_code"],
        )
        for row in LeadConversion.objects.values(*columns, *ids)
    ]
    events = [
        Event(
            lead_id=event["conversion__lead_id"],
            version=event["version"],
            from_status=event["from_status"],
            to_status=event["to_status"],
            at=event["at"],
            payload_hash=event["payload_hash"],
        )
        for event in LeadConversionEvent.objects.values(
            "conversion__lead_id", "version", "from_status", "to_status", "at", "payload_hash"
        )
    ]
    return RunRecords(
        ledger=zoho.ledger(),
        rows=rows,
        events=events,
        max_concurrency=SETTINGS["MAX_CONCURRENCY"],
        call_deadline=SETTINGS["CALL_DEADLINE"],
    )
