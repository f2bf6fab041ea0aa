"""Play one scenario to its end, and say what was found."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection

from tests.chaos.checker import RATE_LIMIT_CODES, check
from tests.chaos.disruptions import Disruptions
from tests.chaos.evidence import evidence
from tests.chaos.fault_profile import order_faults
from tests.chaos.programs import Program
from tests.chaos.scenarios import Scenario
from tests.chaos.site import SETTINGS, SiteServers
from zoho_crm.matching import POLICIES
from zoho_crm.models import (
    IN_PROGRESS,
    Connection,
    LeadConversion,
    MassConversion,
    MassConversionJob,
)
from zoho_crm.services import convert, mass_convert
from zoho_crm.services.connect import with_grant_code
from zoho_crm.services.presentation import pause_text
from zoho_crm.simulator import Simulator
from zoho_crm.simulator.faults import Fault

Result = TypeVar("Result")

LEAD_CASES = ("no_match", "no_match", "one_match", "account_only")
#: Every so many leads of a mass conversion are locked after its start.
LOCKED_LEAD_INTERVAL = 10
#: Seconds after which a pause has to hold.
MAX_SECONDS_TO_LAST_SEND = 5
#: Leads come in so many lots, one with each card.
LOTS = 20


@dataclass(kw_only=True)
class Report:
    """What was done, what was seen, and what is wrong."""

    seconds: float = 0.0
    done: Counter[str] = field(default_factory=Counter)
    figures: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class ScenarioRun:
    """A site at work, and what is done to it."""

    scenario: Scenario
    servers: SiteServers
    zoho: Simulator
    workers: list[Program]
    seed: int
    _max_open_jobs: int = 0
    #: Orders to lose the answer to a job.
    _job_answer_faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.disruptions = Disruptions(
            zoho=self.zoho,
            workers=self.workers,
            random=self.random,
            delete_messages=self.servers.delete_messages,
            broker=self.servers.redis,
            cluster=self.servers.cluster,
        )

    def run(self) -> Report:
        """Ask for all conversions while the cards are played, and wait until all is at rest."""
        began = time.monotonic()
        end = began + self.scenario.seconds
        if self.servers.proxy:
            self.servers.proxy.cut(self.scenario.cut_commit_share)
        run = self._start_mass_conversion() if self.scenario.is_mass else None
        leads = [] if run else self._leads()
        self._break_one_plan(leads)
        order_faults(
            self.zoho,
            seed=self.seed,
            late_share=self.scenario.late_share,
            late_seconds=self.scenario.late_seconds,
        )
        disruptions = self._shuffled_disruptions()
        lots = [leads[number::LOTS] for number in range(LOTS)]
        for disruption in disruptions:
            self._request_conversions(lots.pop() if lots else [])
            self.disruptions.apply(disruption)
            self._sleep(1.5)
        self._request_conversions([lead_id for lot in lots for lead_id in lot])
        while not self._is_finished(run) and time.monotonic() < end:
            self._sleep(0.3)
        return self._report(time.monotonic() - began, run)

    # What is asked of the site

    def _leads(self) -> list[str]:
        cases = (LEAD_CASES[number % len(LEAD_CASES)] for number in range(self.scenario.leads))
        return [self.zoho.story(case) for case in cases]

    def _request_conversions(self, leads: list[str]) -> None:
        for lead_id in leads:
            retry_on_database_error(
                lambda lead_id=lead_id: convert.request(
                    connection_id=only_connection().pk, lead_id=lead_id, policy="attach"
                )
            )

    def _break_one_plan(self, leads: list[str]) -> None:
        """Leave in one row what our own code cannot read."""
        if leads:
            row = convert.request(connection_id=only_connection().pk, lead_id=leads[0])
            person = User.objects.create_user("pat")
            broken = {"decided_by": person, "plan": {"nonsense": 1}}
            LeadConversion.objects.filter(pk=row.pk).update(**broken)

    def _start_mass_conversion(self) -> MassConversion:
        leads = [self.zoho.add_lead()["id"] for _ in range(self.scenario.leads)]
        run = mass_convert.prepare(
            connection_id=only_connection().pk, lead_ids=leads, policy=POLICIES["careful"]
        )
        while run.stage != MassConversion.Stage.REVIEW or run.due_at:
            time.sleep(0.2)
            run.refresh_from_db()
        count = mass_convert.decided_count(run)
        mass_convert.start(run_id=run.pk, revision=run.revision, count=count)
        for lead_id in leads[::LOCKED_LEAD_INTERVAL]:
            self.zoho.change(self.zoho.records["Leads"][lead_id], Locked__s=True)
        for number in range(self.scenario.lost_job_answers):
            seed = self.seed + number
            order = {"share": self.scenario.job_answer_loss_share, "times": 1, "seed": seed}
            loss = self.zoho.fail("mass_convert", "close_after", **order)
            self._job_answer_faults.append(loss)
        return run

    # What is done to it

    def _shuffled_disruptions(self) -> list[str]:
        names = [name for name, times in self.scenario.disruptions.items() for _ in range(times)]
        self.random.shuffle(names)
        return names

    def _sleep(self, seconds: float) -> None:
        """Wait, and count the jobs that are open meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.1)
            if self.scenario.is_mass:
                jobs = retry_on_database_error(
                    MassConversionJob.objects.filter(ended_at=None).count
                )
                self._max_open_jobs = max(self._max_open_jobs, jobs)

    def _is_finished(self, run: MassConversion | None) -> bool:
        moving = LeadConversion.objects.filter(status__in=IN_PROGRESS)
        if retry_on_database_error(moving.exists):
            return False
        if run is None:
            return True
        retry_on_database_error(run.refresh_from_db)
        return run.ended_at is not None or bool(run.paused_reason)

    # What came of it

    def _report(self, seconds: float, run: MassConversion | None) -> Report:
        for program in self.workers:
            program.kill()  # nothing may move while it is looked at
        report = Report(seconds=seconds, done=self.disruptions.done)
        if self.servers.proxy:
            self.servers.proxy.cut(0)
            report.done["connections cut at COMMIT"] = self.servers.proxy.cuts
        found = evidence(
            self.zoho,
            max_concurrency=SETTINGS["MAX_CONCURRENCY"],
            call_deadline=SETTINGS["CALL_DEADLINE"],
        )
        report.figures = self._figures(found.ledger)
        breaches = check(found)
        if self.scenario.expects_breaches:
            seen = Counter(breach.promise for breach in breaches)
            report.figures["breaches"] = dict(seen)
            is_blind = seen.keys().isdisjoint({"no blind resend", "exactly once"})
            report.problems = ["The checker found nothing: is it blind?"] if is_blind else []
        else:
            report.problems = [*map(str, breaches), *self._unmet_requirements(report, run)]
        return report

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
            figures["answers to jobs lost"] = sum(
                loss.times == 0 for loss in self._job_answer_faults
            )
        return figures

    def _last_send(self, calls: list[dict[str, Any]]) -> float:
        """Return how many seconds after a pause something was still sent."""
        sent = [datetime.fromisoformat(call["received_at"]) for call in calls]
        late = [
            at - begin for begin, end in self.disruptions.pauses for at in sent if begin < at < end
        ]
        return round(max(late, default=timedelta()).total_seconds(), 2)

    def _unmet_requirements(self, report: Report, run: MassConversion | None) -> Iterator[str]:
        moving = LeadConversion.objects.filter(status__in=(*IN_PROGRESS, "PREVIEWED"))
        for row in moving:
            last = list(row.events.order_by("-version").values_list("to_status", "details")[:3])
            yield f"lead {row.lead_id} is not at rest after {report.seconds:.0f} s: {last}"
        if report.figures["convert calls a lead"] > self.scenario.max_calls_per_lead:
            yield f"{report.figures['convert calls a lead']} convert calls a lead"
        of_holder = report.done["kill of the lease holder"]
        kills = of_holder + report.done["kill of any worker"]
        if kills < self.scenario.kills or of_holder < self.scenario.lease_holder_kills:
            yield f"only {kills} kills, {of_holder} of them of the lease holder"
        if report.figures.get("answers to jobs lost", 0) < self.scenario.lost_job_answers:
            yield f"only {report.figures['answers to jobs lost']} answers to jobs were lost"
        if run and not self.disruptions.pauses:
            yield "the run was never paused"
        if (
            report.figures.get("seconds to the last send after a pause", 0)
            > MAX_SECONDS_TO_LAST_SEND
        ):
            yield "a pause did not hold"
        if self._max_open_jobs > 2:
            yield f"{self._max_open_jobs} jobs were open"
        if run and run.paused_reason:
            yield f"The run stands still: {pause_text(run)}"
        for row in LeadConversion.objects.filter(status="FAILED", error_code=""):
            yield f"lead {row.lead_id} failed without a code"


def retry_on_database_error(what: Callable[[], Result]) -> Result:
    """Do it, however often the database goes away meanwhile."""
    for _attempt in range(100):
        try:
            return what()
        except DatabaseError:
            connection.close()
            time.sleep(0.2)
    return what()


def only_connection() -> Connection:
    return retry_on_database_error(Connection.objects.get)


def prepare_site(zoho: Simulator) -> None:
    """Make the tables, and connect the site to its Zoho."""
    call_command("migrate", verbosity=0)
    with_grant_code(code=zoho.grant_code(), data_center="local")
