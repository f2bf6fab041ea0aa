"""
What a run costs: our own CPU time for each lead, by either route; and taking in a million ids.

Run it from the root of the repository; ``DATABASE_URL`` chooses the database::

    .venv/bin/python benchmarks/mass.py [single] [mass] [staging] [--leads 5000] [--ids 1000000]

*Own* is the CPU time of this process, from the first id taken in to the end of the run, less what a
bare ``requests.Session`` takes for the very same calls: the simulator, a process of its own, keeps
their list, and they are made once more, about other leads that are just like the first.
"""

from __future__ import annotations

import argparse
import re
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import requests
import surroundings
from listening import Zoho, zoho_with

from zoho_crm.matching import POLICIES, Policy
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services import mass_convert, tokens, work
from zoho_crm.services.connect import with_grant_code

#: Which leads go how: of a job, or singly because somebody is to be notified.
ROUTES = {
    "single": replace(POLICIES["careful"], notify_new_owner=True),
    "mass": POLICIES["careful"],
}
#: Milliseconds of own CPU time for each lead; mebibytes of growth while ids are taken in.
MOST_CPU = {"single": 2.5, "mass": 1.5}
MOST_GROWTH = 60
PARTS = (*ROUTES, "staging")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--leads", type=int, default=5_000)
    parser.add_argument("--ids", type=int, default=1_000_000)
    given = parser.parse_args()
    results = []
    for part in given.parts or PARTS:
        with surroundings.new_database() as vendor:
            print(f"{part} on {vendor}:", flush=True)
            if part == "staging":
                results.append(measure_staging(given.ids))
            else:
                results.append(measure_route(part, given.leads))
    return 0 if all(results) else 1


# A route


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Seconds."""

    cpu: float
    wall: float


class Watch:
    """Measures a block."""

    def __enter__(self) -> Watch:
        self._cpu, self._wall = time.process_time(), time.monotonic()
        return self

    def __exit__(self, *_error: object) -> None:
        self.spent = Spent(cpu=time.process_time() - self._cpu, wall=time.monotonic() - self._wall)


def measure_route(route: str, leads: int) -> bool:
    """Print what a run of so many leads costs; whether that is little enough."""
    with zoho_with(leads) as zoho:
        surroundings.point_to(zoho.origin)
        connection = with_grant_code(code=zoho.grant_code, data_center="local")
        before = len(zoho.calls())
        with Watch() as preview:
            run = previewed(connection, zoho, ROUTES[route])
        with Watch() as convert:
            finish(run)
        calls = zoho.calls()[before:]
        converted = zoho.converted()
        bare = repeat(calls, zoho, tokens.access_token(connection_id=connection.pk).reveal())
    rows = LeadConversion.objects.filter(status=LeadConversion.Status.CONVERTED)
    assert (rows.count(), converted) == (leads, leads)
    whole = preview.spent.cpu + convert.spent.cpu
    own = 1000 * (whole - bare.cpu) / leads
    wall = preview.spent.wall + convert.spent.wall
    print(f"  {leads} leads, {len(calls)} calls, {wall:.1f} s, {leads / wall:.0f} leads/s")
    print(
        f"  CPU: {whole:.2f} s (preview {preview.spent.cpu:.2f}, convert {convert.spent.cpu:.2f}),"
        f" the same calls bare {bare.cpu:.2f} s"
    )
    print(f"  own CPU per lead: {own:.2f} ms (at most {MOST_CPU[route]})")
    return own <= MOST_CPU[route]


def previewed(connection: Connection, zoho: Zoho, policy: Policy) -> MassConversion:
    """Return a run of the leads that waits to be started."""
    run = mass_convert.prepare(connection_id=connection.pk, lead_ids=zoho.leads, policy=policy)
    while run.stage != MassConversion.Stage.REVIEW:
        rest(work.work(connection_id=connection.pk))
        run.refresh_from_db()
    return run


def finish(run: MassConversion) -> None:
    """Start the run, and work until it has ended."""
    count = mass_convert.decided_count(run)
    mass_convert.start(run_id=run.pk, revision=run.revision, count=count)
    while run.ended_at is None:
        assert not run.paused_reason, run.paused_reason
        rest(work.work(connection_id=run.connection_id))
        run.refresh_from_db()


def rest(wait: float | None) -> None:
    time.sleep(wait or 0.0)


def repeat(calls: list[tuple[str, str, bytes]], zoho: Zoho, token: str) -> Spent:
    """Make the same calls about the twins of the leads, with nothing around them."""
    twin_of = dict(zip(zoho.leads, zoho.twins, strict=True))
    headers = {"Authorization": f"Zoho-oauthtoken {token}", "Content-Type": "application/json"}

    def twin(found: re.Match[str]) -> str:
        return twin_of.get(found[0], found[0])

    def about_twins(text: str) -> str:
        return re.sub(r"\d{19}", twin, text)

    prepared = [
        (method, zoho.origin + about_twins(target), about_twins(body.decode()).encode())
        for method, target, body in calls
    ]
    job_id = ""
    with requests.Session() as session, Watch() as watch:
        session.trust_env = False
        for method, url, data in prepared:
            if "job_id=" in url:
                url = f"{url.partition('job_id=')[0]}job_id={job_id}"
            answer = session.request(method, url, data=data, headers=headers)
            answer.raise_for_status()
            if method == "POST" and "/mass_convert?" in url:
                job_id = answer.json()["details"]["job_id"]
    return watch.spent


# Taking ids in


def measure_staging(ids: int) -> bool:
    """Print how fast ids become rows and how much memory that takes; whether it is little."""
    connection = Connection.objects.create(
        name="Bench", data_center="us", environment="production", org_id="1"
    )
    mass_convert.prepare(
        connection_id=connection.pk, lead_ids=lines(1, 2_000), policy=POLICIES["careful"]
    )
    before = peak()
    with Watch() as watch:
        run = mass_convert.prepare(
            connection_id=connection.pk, lead_ids=lines(10**7, ids), policy=POLICIES["careful"]
        )
    growth = peak() - before
    assert LeadConversion.objects.filter(mass_conversion=run).count() == ids
    print(f"  {ids} ids, {watch.spent.wall:.1f} s, {ids / watch.spent.wall:.0f} rows/s")
    print(f"  peak memory: {peak():.0f} MiB, {growth:.1f} more than before (at most {MOST_GROWTH})")
    return growth < MOST_GROWTH


def lines(first: int, number: int) -> Iterator[str]:
    return (f"{each:019}" for each in range(first, first + number))


def peak() -> float:
    """Return the most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
