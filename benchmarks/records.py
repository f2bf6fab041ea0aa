"""
Measure what a call through ``client_for`` costs, beside ``requests`` and Zoho's SDK.

Run it from the root of the repository; ``DATABASE_URL`` chooses the database, and without the SDK
(``make sdk``) its rows are missing::

    .venv/bin/python benchmarks/records.py [--rounds 15] [--calls 20] [--rows 10000]

The ways take turns in each round, against one simulator in a process of its own, so that what else
the machine does is the same for all. CPU is that of this process alone: the median of the rounds,
and the median of what a round cost to what it cost the bare session in the same round. Then rows
are upserted with ``--latency`` seconds a call, of which the fastest round counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Any

import environment
import requests
from django.core.signals import request_finished, request_started
from recording_simulator import RemoteSimulator, remote_simulator

from zoho_crm.models import Connection
from zoho_crm.services.clients import client_for
from zoho_crm.services.connect import with_grant_code
from zoho_crm.services.tokens import access_token

try:
    from zohocrmsdk.src.com.zoho.crm.api import ParameterMap
    from zohocrmsdk.src.com.zoho.crm.api.record import (
        GetRecordsParam,
        RecordOperations,
    )

    from zoho_crm.contrib.sdk import sdk_session
except ImportError:
    ParameterMap = None

FIELDS = (
    "Last_Name,First_Name,Company,Email,Phone,Mobile,Lead_Source,Lead_Status,Owner,Created_Time,"
    "Modified_Time,Tag"
)
ROWS_PER_PAGE = 200
ROWS_PER_CALL = 100
UPSERT_ROUNDS = 5
#: Calls in flight that the app allows itself.
LIMIT = 10
#: The targets: CPU of a call to that of the bare session, and rate of rows to what calls allow: the
#: rate of threads that do nothing else, since the simulator takes its time beside the latency.
MAX_RATIOS = {"one record": 1.25, "page of 200": 1.5, "page of 200, typed": 2.0}
MIN_RATE = 0.9

#: A web request without a call. As Django closes its database connection at the end, the calls that
#: were counted are written on another one.
REQUEST = "a request that reads one row"

Way = Callable[[], object]


@dataclass
class Bare:
    """Calls as a project would write them that has nothing but ``requests``."""

    origin: str
    session: requests.Session

    def get(self, lead_id: str) -> Any:
        return self._read(f"/{lead_id}")

    def page(self) -> Any:
        return self._read("", fields=FIELDS, per_page=str(ROWS_PER_PAGE))

    def upsert(self, rows: list[dict[str, str]]) -> Any:
        body = {"data": rows, "duplicate_check_fields": ["Email"]}
        answer = self.session.post(f"{self.origin}/crm/v8/Contacts/upsert", json=body, timeout=30)
        return answer.json()

    def _read(self, path: str, **query: str) -> Any:
        url = f"{self.origin}/crm/v8/Leads{path}"
        answer = self.session.get(url, params=query, timeout=30)
        answer.raise_for_status()
        return answer.json()["data"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=20, help="of each way in a round")
    parser.add_argument("--rows", type=int, default=10_000, help="to upsert; 0: none")
    parser.add_argument("--latency", type=float, default=0.1, help="seconds of a call that upserts")
    given = parser.parse_args()
    with ExitStack() as stack:
        vendor = stack.enter_context(environment.new_database())
        zoho = stack.enter_context(remote_simulator(ROWS_PER_PAGE, latency=given.latency))
        environment.point_to(zoho.origin)
        connection = with_grant_code(code=zoho.grant_code, data_center="local")
        bare = Bare(zoho.origin, stack.enter_context(requests.Session()))
        token = access_token(connection_id=connection.pk).reveal()
        bare.session.headers["Authorization"] = f"Zoho-oauthtoken {token}"
        if ParameterMap is not None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            stack.enter_context(sdk_session(connection, resource_path=folder))
        print(f"on {vendor}; load of the machine: {os.getloadavg()[0]:.1f}", flush=True)
        results = [
            compare(f"{name}", ways, given.rounds, given.calls)
            for name, ways in reads(bare, connection, zoho.leads[0]).items()
        ]
        if given.rows:
            results.append(upsert(bare, connection, zoho, given.rows, given.latency))
    return 0 if all(results) else 1


def reads(bare: Bare, connection: Connection, lead_id: str) -> dict[str, dict[str, Way]]:
    """Return the ways of each kind of read; the first one is what others are compared with."""
    kept = client_for(connection).records("Leads")
    pages = {"fields": FIELDS.split(",")}
    one: dict[str, Way] = {
        "requests.Session": lambda: bare.get(lead_id),
        "client_for, kept": lambda: kept.get(lead_id),
        "client_for(connection)": lambda: client_for(connection).records("Leads").get(lead_id),
        "client_for()": lambda: client_for().records("Leads").get(lead_id),
        REQUEST: in_a_request(Connection.objects.count),
        f"{REQUEST}, and calls client_for()": in_a_request(
            lambda: (Connection.objects.count(), client_for().records("Leads").get(lead_id))
        ),
    }
    page: dict[str, Way] = {
        "requests.Session": bare.page,
        "client_for, kept": lambda: page_of(kept.list(**pages)),
        "client_for()": lambda: page_of(client_for().records("Leads").list(**pages)),
    }
    typed: dict[str, Way] = {
        "requests.Session": bare.page,
        "client_for()": lambda: page_of(client_for().records("Leads").list(**pages, typed=True)),
    }
    if ParameterMap is not None:
        one["Zoho's SDK"] = lambda: sdk_record(lead_id)
        page["Zoho's SDK"] = sdk_page
    title = f"page of {ROWS_PER_PAGE}"
    return {"one record": one, title: page, f"{title}, typed": typed}


def page_of(records: Iterator[Any]) -> list[Any]:
    """Return the first page of a list, of which no second one is read."""
    found = list(islice(records, ROWS_PER_PAGE))
    assert len(found) == ROWS_PER_PAGE
    return found


def in_a_request(way: Way) -> Way:
    """Return a way as it is in a view: Django says when its request begins and ends."""

    def request() -> None:
        request_started.send(sender=request)
        way()
        request_finished.send(sender=request)

    return request


def sdk_record(lead_id: str) -> Any:
    """Read a lead, and its name, with Zoho's SDK."""
    answer = RecordOperations("Leads").get_record(int(lead_id), ParameterMap())
    return answer.get_object().get_data()[0].get_key_value("Last_Name")


def sdk_page() -> Any:
    """Read a page of leads with Zoho's SDK."""
    parameters = ParameterMap()
    parameters.add(GetRecordsParam.fields, FIELDS)
    parameters.add(GetRecordsParam.per_page, ROWS_PER_PAGE)
    found = RecordOperations("Leads").get_records(parameters).get_object().get_data()
    assert len(found) == ROWS_PER_PAGE
    return found


# Measuring


def compare(name: str, ways: Mapping[str, Way], rounds: int, calls: int) -> bool:
    """Print what a call costs in each way; return whether ours are within the target."""
    measured: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for number in range(-1, rounds):
        for way, function in ways.items():
            seen = measure(function, calls)
            if number >= 0:  # before, nothing was imported and connected
                measured[way].append(seen)
    print(f"{name}: CPU and wall of a call in ms, CPU to that of the first")
    (first, *_), good = measured, True
    for way, seen in measured.items():
        cpu, wall = (1000 * statistics.median(times) for times in zip(*seen, strict=True))
        pairs = zip(seen, measured[first], strict=True)
        ratio = statistics.median(mine[0] / bare[0] for mine, bare in pairs)
        print(f"  {way}: {cpu:.2f}, {wall:.2f}, {ratio:.2f} x", flush=True)
        is_compared = way != "Zoho's SDK" and not way.startswith(REQUEST)
        good = good and (not is_compared or ratio <= MAX_RATIOS[name])
    return good


def measure(function: Way, calls: int) -> tuple[float, float]:
    """Return the seconds of CPU and the seconds that a call took, on average."""
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(calls):
        function()
    return (time.process_time() - cpu) / calls, (time.perf_counter() - began) / calls


def upsert(
    bare: Bare, connection: Connection, zoho: RemoteSimulator, rows: int, latency: float
) -> bool:
    """Print how fast contacts are upserted; return whether as fast as the calls allow."""
    zoho.answer_slowly()
    allowed = rows / ROWS_PER_CALL * latency / LIMIT
    contacts = client_for(connection).records("Contacts")

    def ours() -> None:
        written = contacts.upsert(people(rows, "ours"), duplicate_check_fields=["Email"])
        assert len([each for each in written if each.error is None]) == rows

    def with_requests() -> None:
        every = [*people(rows, "bare")]
        chunks = [every[at : at + ROWS_PER_CALL] for at in range(0, rows, ROWS_PER_CALL)]
        with ThreadPoolExecutor(LIMIT) as pool:
            assert sum(len(answer["data"]) for answer in pool.map(bare.upsert, chunks)) == rows

    ways: dict[str, Way] = {"requests.Session": with_requests, "client_for()": ours}
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(-1, UPSERT_ROUNDS):
        for name, function in ways.items():
            seen = measure(function, 1)
            if number >= 0:  # before, the rows are created, and fields are read
                measured[name].append(seen)
    print(f"upsert of {rows} rows, {latency} s a call, {LIMIT} calls at a time: {allowed:.2f} s")
    best = {name: min(wall for _, wall in seen) for name, seen in measured.items()}
    for name, function in ways.items():
        cpu = min(seen[0] for seen in measured[name])
        tracemalloc.start()
        function()
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        print(f"  {name}: {best[name]:.2f} s, CPU {cpu:.2f} s, peak of memory {peak:.1f} MiB")
    share = best["requests.Session"] / best["client_for()"]
    print(f"  {share:.0%} of the rate of as many threads with a bare session", flush=True)
    zoho.answer_at_once()
    return share >= MIN_RATE


def people(number: int, name: str) -> Iterator[dict[str, str]]:
    """Yield as many contacts."""
    for each in range(number):
        yield {
            "Last_Name": f"Person {each}",
            "Email": f"{name}{each}@nordwind.example",
            "Phone": f"+49 30 {each}",
            "Description": "An enquiry from the form on the front page. " * 4,
        }


if __name__ == "__main__":
    sys.exit(main())
