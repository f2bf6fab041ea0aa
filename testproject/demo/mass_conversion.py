"""The demo's mass conversion: a few hundred leads, some of them of the same company."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator

from django.contrib.auth.models import User

from testproject.demo import simulator_client
from zoho_crm import shortcuts
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services import mass_convert
from zoho_crm.services.presentation import error_text
from zoho_crm.simulator import Simulator
from zoho_crm.types import Verdict

LEAD_COUNT = 240
#: Every sixth lead has the company of the lead before it; every sixtieth matches a contact.
GROUP_SIZE, MATCH_INTERVAL = 6, 60
#: Time limit for previewing or converting the run, on a slow machine too.
MAX_WAIT_SECONDS = 90

Stage = MassConversion.Stage
Status = LeadConversion.Status


def add_leads(simulator: Simulator) -> Iterator[str]:
    """Add leads to the simulator; yield their ids, one of them twice, and a line that is no id."""
    company, lead_id = "", ""
    for number in range(LEAD_COUNT):
        if number % MATCH_INTERVAL == 0:
            lead_id = simulator.story("one_match")
        elif number % GROUP_SIZE == 0:
            lead_id = simulator.add_lead(Company=company).id
        else:
            lead = simulator.add_lead()
            company, lead_id = lead["Company"], lead.id
        yield lead_id
    yield lead_id
    yield "Ada Lovelace"


def prepare(connection: Connection, simulator: Simulator, by: User) -> MassConversion:
    """Create a run of new leads and wait until Celery has previewed them."""
    run = shortcuts.prepare_mass_conversion(
        add_leads(simulator), policy="attach", name="Trade fair", connection=connection, user=by
    )
    return _wait_until(run, lambda run: run.stage == Stage.REVIEW and run.due_at is None)


def refuse_one(run: MassConversion, origin: str) -> None:
    """Make Zoho refuse the conversion of one of the leads that will be attached."""
    row = LeadConversion.objects.filter(mass_conversion=run, verdict=Verdict.ONE_MATCH).first()
    if row:
        simulator_client.refuse(origin, row.lead_id)


def convert(run: MassConversion, by: User) -> MassConversion:
    """Start the run with all its decided leads and wait until Celery has converted them."""
    run = shortcuts.start_mass_conversion(run, user=by)
    return _wait_until(run, lambda run: run.ended_at is not None or bool(run.paused_reason))


def _wait_until(run: MassConversion, condition: Callable[[MassConversion], bool]) -> MassConversion:
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while not condition(run) and time.monotonic() < deadline:
        time.sleep(0.1)
        run.refresh_from_db()
    return run


def preview_lines(run: MassConversion) -> Iterator[str]:
    """Yield lines on the preview: verdicts, lines left out, groups, estimate."""
    rows = LeadConversion.objects.filter(mass_conversion=run)
    verdicts = Counter(rows.values_list("verdict", flat=True))
    found = ", ".join(f"{verdict} {number}" for verdict, number in sorted(verdicts.items()))
    left_out = ", ".join(f"line {line.number} ({line.reason})" for line in run.lines.all())
    cost = mass_convert.estimate(run)
    yield f"Run {run}: {rows.count()} leads; left out: {left_out}"
    yield f"  found      {found}"
    yield f"  groups     {rows.exclude(follows=None).count()} join what another lead creates"
    yield f"  estimate   {cost.calls} calls, {cost.credits} credits, {cost.seconds} s"


def outcome_lines(run: MassConversion) -> Iterator[str]:
    """Yield lines on the outcome: statuses, jobs, each failure with its reason, the CSV."""
    rows = LeadConversion.objects.filter(mass_conversion=run)
    statuses = Counter(rows.values_list("status", flat=True))
    became = ", ".join(f"{status} {number}" for status, number in sorted(statuses.items()))
    jobs = [str(job.rows.count()) for job in run.jobs.order_by("pk")]
    yield f"  {run.stage.lower():<10} {became}"
    yield f"  jobs       {len(jobs)}, of {', '.join(jobs) or 'no'} leads; the others one by one"
    for row in rows.filter(status=Status.FAILED):
        yield f"  failure    {row.lead_id}: {row.error_code}, {error_text(row)}"
    yield from _csv_lines(run)


def _csv_lines(run: MassConversion) -> Iterator[str]:
    header, *lines = mass_convert.export(run_id=run.pk)
    failed = [line for line in lines if Status.FAILED in next(csv.reader([line]))]
    yield f"  CSV        {len(lines)} lines: {header.strip()}"
    yield from (f"             {line.strip()}" for line in failed[:1])
