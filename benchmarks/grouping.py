"""
Measure how long a run takes to form its groups: after the preview, and after a decision.

Run it from the root of the repository; ``DATABASE_URL`` chooses the database::

    .venv/bin/python benchmarks/grouping.py [contact] [company] … [--rows 100000] [--groups 10000]

Each part is a run of its own. Its rows are written as if they had just been previewed; then the
steps of the run are taken as a worker takes them, and each is timed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import environment
from django.contrib.auth import get_user_model
from django.db import connection as database
from django.utils.timezone import localdate

from zoho_crm.matching import POLICIES, DecisionContext, Preview
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services import convert, mass_convert
from zoho_crm.services.mass_convert._decisions import previewed_in_run
from zoho_crm.services.mass_convert._steps import advance_runs
from zoho_crm.types import Lead, Verdict

#: Limits: seconds of one step, and of all steps until the run can be started.
MAX_STEP_SECONDS = 2.0
MAX_SECONDS = 30.0
PREVIEW_BATCH_ROWS = 1_000
#: Company and e-mail of a lead by the kind of groups: from its number, and that of its group.
KINDS: dict[str, Callable[[int, int], tuple[str, str]]] = {
    "contact": lambda number, group: (f"Company {number}", f"p{group}@firm.example"),
    "company": lambda number, group: (f"Company {group}", f"p{number}@firm.example"),
    "both": lambda number, group: (f"Company {group}", f"p{number // 2}@firm.example"),
    "similar": lambda number, group: (
        f"Company {group} {('Ltd', 'Inc')[number % 2]}",
        f"p{number}@firm.example",
    ),
    "one": lambda number, _group: ("Company", f"p{number}@firm.example"),
    "none": lambda number, _group: (f"Company {number}", f"p{number}@firm.example"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}; all if none is named")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--groups", type=int, default=10_000)
    given = parser.parse_args()
    results = []
    for kind in given.kinds or KINDS:
        with environment.new_database() as vendor:
            print(f"{kind} on {vendor}:", flush=True)
            results.append(measure(kind, given.rows, given.groups))
    return 0 if all(results) else 1


@dataclass
class Steps:
    """The durations of the steps of a run, in seconds."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def is_within_limits(self) -> bool:
        return max(self.wall) <= MAX_STEP_SECONDS and sum(self.wall) <= MAX_SECONDS

    def __str__(self) -> str:
        return (
            f"{sum(self.wall):.2f} s, CPU {sum(self.cpu):.2f} s, {len(self.wall)} steps,"
            f" the longest {max(self.wall):.2f} s, CPU {max(self.cpu):.2f} s"
        )


def measure(kind: str, rows: int, groups: int) -> bool:
    """Print the durations of the steps; return whether they are within the limits."""
    run = previewed_run(kind, rows, groups)
    first = take_steps(run)
    follow = run.rows.exclude(follows=None).count()
    print(f"  {rows} rows, of which {follow} follow another: {first}", flush=True)
    leader = run.rows.exclude(followers=None).order_by("pk").first() or run.rows.earliest("pk")
    person = get_user_model().objects.create_user("bench")
    convert.skip(conversion_id=leader.pk, version=leader.version, by=person)
    one = take_steps(run)
    print(f"  a leader was left out: {one}", flush=True)
    decided = mass_convert.decide(run_id=run.pk, verdict=Verdict.NO_MATCH, action="create")
    all_rows = take_steps(run)
    print(f"  {decided} rows were decided: {all_rows}", flush=True)
    return all(steps.is_within_limits for steps in (first, one, all_rows))


def previewed_run(kind: str, rows: int, groups: int) -> MassConversion:
    """Return a run whose rows were all previewed, with the plan of the policy *careful*."""
    connection = Connection.objects.create(
        name="Bench", data_center="us", environment="production", org_id="1"
    )
    ids = [f"{number:019}" for number in range(1, rows + 1)]
    policy, context = POLICIES["careful"], DecisionContext(today=localdate())
    run = mass_convert.prepare(connection_id=connection.pk, lead_ids=ids, policy=policy)
    for start in range(0, rows, PREVIEW_BATCH_ROWS):
        batch = run.rows.filter(lead_id__in=ids[start : start + PREVIEW_BATCH_ROWS])
        LeadConversion.objects.move(
            previewed_in_run(row, preview(kind, row, groups), policy, context)
            for row in batch.select_related("mass_conversion")
        )
    if database.vendor == "postgresql":
        with database.cursor() as cursor:
            cursor.execute("ANALYZE")  # as the server does by itself during a preview
    return run


def preview(kind: str, row: LeadConversion, groups: int) -> Preview:
    number = int(row.lead_id)
    company, email = KINDS[kind](number, number % groups)
    fields = {f"Field_{each}": f"a value of the lead {number}" for each in range(20)}
    lead = Lead(id=row.lead_id, name="A", company=company, email=email, fields=fields)
    return Preview(verdict=Verdict.NO_MATCH, lead=lead)


def take_steps(run: MassConversion) -> Steps:
    """Take the steps of a run until it waits for a person."""
    steps = Steps()
    is_due = True
    while is_due:
        wall, cpu = time.monotonic(), time.process_time()
        is_due = advance_runs(run.connection_id)[0].is_due
        steps.wall.append(time.monotonic() - wall)
        steps.cpu.append(time.process_time() - cpu)
    run.refresh_from_db()
    assert run.stage == MassConversion.Stage.REVIEW
    return steps


if __name__ == "__main__":
    sys.exit(main())
