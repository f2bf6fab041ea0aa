"""
Measure what a run costs: the app's own CPU time for each lead by either route, and the staging of
a million ids.

Run it from the root of the repository; ``DATABASE_URL`` chooses the database::

    .venv/bin/python benchmarks/mass.py [single] [mass] [staging] [--leads 5000] [--ids 1000000]

Several numbers of leads are measured one after the other, and the speed of the last is compared
with that of the first. For how well Zoho's two jobs are used, let Zoho take its time::

    .venv/bin/python benchmarks/mass.py mass --leads 1000 16000 --latency 0.1 --job-seconds 0.001

*Own* is the CPU time of this process from staging the first id to the end of the run, less what a
bare ``requests.Session`` takes for the same calls: the simulator, a process of its own, records
them, and they are replayed with other leads of the same kind.
"""

from __future__ import annotations

import argparse
import re
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from math import inf

import environment
import requests
from recording_simulator import RemoteSimulator, remote_simulator

from zoho_crm.client import MAX_LEADS_PER_JOB
from zoho_crm.matching import POLICIES, Policy
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services import mass_convert, tokens, work
from zoho_crm.services.connect import with_grant_code
from zoho_crm.services.presentation import pause_text

#: The policy that makes leads go by each route; a notification can only be sent singly.
ROUTES = {
    "single": replace(POLICIES["careful"], notify_new_owner=True),
    "mass": POLICIES["careful"],
}
#: Limits: own CPU time for each lead, and growth of memory while ids are staged.
MAX_CPU_MS = {"single": 2.5, "mass": 1.5}
MAX_GROWTH_MIB = 60
#: What a long run may be slower than a short one; what part of the speed has to be reached that two
#: jobs at a time allow.
MAX_SLOWDOWN = 0.1
MIN_USE_OF_JOBS = 0.8
JOBS_AT_A_TIME = 2
#: Calls for each job that follow one another: read the leads, post, poll, read the leads back.
CALLS_PER_JOB = 4
PARTS = (*ROUTES, "staging")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--leads", type=int, nargs="+", default=[5_000])
    parser.add_argument("--latency", type=float, default=0.0, help="seconds of each call")
    parser.add_argument("--job-seconds", type=float, default=0.0, help="of a job, for each lead")
    parser.add_argument("--ids", type=int, default=1_000_000)
    given = parser.parse_args()
    results = []
    pace = Pace(latency=given.latency, job_seconds_per_lead=given.job_seconds)
    for part in given.parts or PARTS:
        if part == "staging":
            with environment.new_database() as vendor:
                print(f"{part} on {vendor}:", flush=True)
                results.append(measure_staging(given.ids))
        else:
            results += measure_route(part, given.leads, pace)
    return 0 if all(results) else 1


# Routes


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long the simulator takes while leads are converted, in seconds."""

    latency: float
    job_seconds_per_lead: float

    def leads_per_second(self) -> float:
        """Return what two jobs at a time allow."""
        job = MAX_LEADS_PER_JOB * self.job_seconds_per_lead + CALLS_PER_JOB * self.latency
        return JOBS_AT_A_TIME * MAX_LEADS_PER_JOB / job if job else inf


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Durations in seconds."""

    cpu: float
    wall: float


class Stopwatch:
    """Measures CPU time and wall-clock time of a block."""

    def __enter__(self) -> Stopwatch:
        self._cpu, self._wall = time.process_time(), time.monotonic()
        return self

    def __exit__(self, *_error: object) -> None:
        cpu, wall = time.process_time() - self._cpu, time.monotonic() - self._wall
        self.timing = Timing(cpu=cpu, wall=wall)


def measure_route(route: str, numbers: list[int], pace: Pace) -> list[bool]:
    """Print what runs of so many leads cost; return which of the targets are met."""
    results, speeds = [], []
    for leads in numbers:
        with environment.new_database() as vendor:
            print(f"{route} on {vendor}:", flush=True)
            is_cheap, speed = measure_run(route, leads, pace)
        results.append(is_cheap)
        speeds.append(speed)
    if len(speeds) > 1:
        print(f"  {speeds[-1] / speeds[0]:.0%} of the speed of the first (at least 90 %)")
        results.append(speeds[-1] >= (1 - MAX_SLOWDOWN) * speeds[0])
    if route == "mass" and pace.leads_per_second() < inf:
        use = speeds[-1] / pace.leads_per_second()
        print(f"  {use:.0%} of the {pace.leads_per_second():.0f} leads/s that two jobs allow")
        results.append(use >= MIN_USE_OF_JOBS)
    return results


def measure_run(route: str, leads: int, pace: Pace) -> tuple[bool, float]:
    """Print what a run costs; return whether it is within the limit, and its leads per second."""
    with remote_simulator(leads, **asdict(pace)) as zoho:
        environment.point_to(zoho.origin)
        connection = with_grant_code(code=zoho.grant_code, data_center="local")
        before = len(zoho.calls())
        with Stopwatch() as preview:
            run = preview_run(connection, zoho, ROUTES[route])
        zoho.answer_slowly()
        with Stopwatch() as convert:
            convert_run(run)
        zoho.answer_at_once()
        calls = zoho.calls()[before:]
        converted = zoho.converted()
        bare = replay(calls, zoho, tokens.access_token(connection_id=connection.pk).reveal())
    rows = LeadConversion.objects.filter(status=LeadConversion.Status.CONVERTED)
    assert (rows.count(), converted) == (leads, leads)
    cpu_preview, cpu_convert = preview.timing.cpu, convert.timing.cpu
    whole = cpu_preview + cpu_convert
    own = 1000 * (whole - bare.cpu) / leads
    wall, speed = preview.timing.wall + convert.timing.wall, leads / convert.timing.wall
    print(f"  {leads} leads, {len(calls)} calls, {wall:.1f} s, {leads / wall:.0f} leads/s")
    print(f"  converting them: {convert.timing.wall:.1f} s, {speed:.1f} leads/s")
    print(
        f"  CPU: {whole:.2f} s (preview {cpu_preview:.2f}, convert {cpu_convert:.2f}),"
        f" the same calls bare {bare.cpu:.2f} s"
    )
    print(f"  own CPU per lead: {own:.2f} ms (at most {MAX_CPU_MS[route]})")
    return own <= MAX_CPU_MS[route], speed


def preview_run(connection: Connection, zoho: RemoteSimulator, policy: Policy) -> MassConversion:
    """Create a run of all leads, work until it waits to be started, and return it."""
    run = mass_convert.prepare(connection_id=connection.pk, lead_ids=zoho.leads, policy=policy)
    while run.stage != MassConversion.Stage.REVIEW:
        sleep(work.work(connection_id=connection.pk))
        run.refresh_from_db()
    return run


def convert_run(run: MassConversion) -> None:
    """Start the run, and work until it has ended."""
    count = mass_convert.decided_count(run)
    mass_convert.start(run_id=run.pk, revision=run.revision, count=count)
    while run.ended_at is None:
        assert not run.paused_reason, pause_text(run)
        sleep(work.work(connection_id=run.connection_id))
        run.refresh_from_db()


def sleep(wait: float | None) -> None:
    time.sleep(wait or 0.0)


def replay(calls: list[tuple[str, str, bytes]], zoho: RemoteSimulator, token: str) -> Timing:
    """Make the same calls with a bare session, each lead replaced by one for the replay."""
    replacements = dict(zip(zoho.leads, zoho.replay_leads, strict=True))
    headers = {"Authorization": f"Zoho-oauthtoken {token}", "Content-Type": "application/json"}

    def replace_lead(found: re.Match[str]) -> str:
        return replacements.get(found[0], found[0])

    def replace_leads(text: str) -> str:
        return re.sub(r"\d{19}", replace_lead, text)

    prepared = [
        (method, zoho.origin + replace_leads(target), replace_leads(body.decode()).encode())
        for method, target, body in calls
    ]
    job_id = ""
    with requests.Session() as session, Stopwatch() as stopwatch:
        session.trust_env = False
        for method, url, data in prepared:
            if "job_id=" in url:
                url = f"{url.partition('job_id=')[0]}job_id={job_id}"
            answer = session.request(method, url, data=data, headers=headers)
            answer.raise_for_status()
            if method == "POST" and "/mass_convert?" in url:
                job_id = answer.json()["details"]["job_id"]
    return stopwatch.timing


# Staging


def measure_staging(ids: int) -> bool:
    """Print speed and memory growth of staging ids; return whether it is within the limit."""
    connection = Connection.objects.create(
        name="Bench", data_center="us", environment="production", org_id="1"
    )
    mass_convert.prepare(
        connection_id=connection.pk, lead_ids=lead_ids(1, 2_000), policy=POLICIES["careful"]
    )
    before = peak_memory()
    with Stopwatch() as stopwatch:
        run = mass_convert.prepare(
            connection_id=connection.pk, lead_ids=lead_ids(10**7, ids), policy=POLICIES["careful"]
        )
    peak = peak_memory()
    growth, wall = peak - before, stopwatch.timing.wall
    assert LeadConversion.objects.filter(mass_conversion=run).count() == ids
    print(f"  {ids} ids, {wall:.1f} s, {ids / wall:.0f} rows/s")
    print(
        f"  peak memory: {peak:.0f} MiB, {growth:.1f} more than before (at most {MAX_GROWTH_MIB})"
    )
    return growth < MAX_GROWTH_MIB


def lead_ids(first: int, number: int) -> Iterator[str]:
    return (f"{each:019}" for each in range(first, first + number))


def peak_memory() -> float:
    """Return the peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
