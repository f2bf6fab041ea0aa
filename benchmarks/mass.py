"""
Measure what a run costs: the app's own CPU time for each lead by either route, and the staging of
a million ids.

Run it from the root of the repository; ``DATABASE_URL`` chooses the database::

    .venv/bin/python benchmarks/mass.py [single] [mass] [staging] [--leads 5000] [--ids 1000000]

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
from dataclasses import dataclass, replace

import environment
import requests
from recording_simulator import RemoteSimulator, remote_simulator

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
PARTS = (*ROUTES, "staging")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--leads", type=int, default=5_000)
    parser.add_argument("--ids", type=int, default=1_000_000)
    given = parser.parse_args()
    results = []
    for part in given.parts or PARTS:
        with environment.new_database() as vendor:
            print(f"{part} on {vendor}:", flush=True)
            if part == "staging":
                results.append(measure_staging(given.ids))
            else:
                results.append(measure_route(part, given.leads))
    return 0 if all(results) else 1


# Routes


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


def measure_route(route: str, leads: int) -> bool:
    """Print what a run of so many leads costs; return whether it is within the limit."""
    with remote_simulator(leads) as zoho:
        environment.point_to(zoho.origin)
        connection = with_grant_code(code=zoho.grant_code, data_center="local")
        before = len(zoho.calls())
        with Stopwatch() as preview:
            run = preview_run(connection, zoho, ROUTES[route])
        with Stopwatch() as convert:
            convert_run(run)
        calls = zoho.calls()[before:]
        converted = zoho.converted()
        bare = replay(calls, zoho, tokens.access_token(connection_id=connection.pk).reveal())
    rows = LeadConversion.objects.filter(status=LeadConversion.Status.CONVERTED)
    assert (rows.count(), converted) == (leads, leads)
    cpu_preview, cpu_convert = preview.timing.cpu, convert.timing.cpu
    whole = cpu_preview + cpu_convert
    own = 1000 * (whole - bare.cpu) / leads
    wall = preview.timing.wall + convert.timing.wall
    print(f"  {leads} leads, {len(calls)} calls, {wall:.1f} s, {leads / wall:.0f} leads/s")
    print(
        f"  CPU: {whole:.2f} s (preview {cpu_preview:.2f}, convert {cpu_convert:.2f}),"
        f" the same calls bare {bare.cpu:.2f} s"
    )
    print(f"  own CPU per lead: {own:.2f} ms (at most {MAX_CPU_MS[route]})")
    return own <= MAX_CPU_MS[route]


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
