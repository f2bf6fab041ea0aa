"""
Measure the throughput when Zoho's concurrency limit falls from ten calls to five, and how long
after its deadline a call ends whose answer arrives byte by byte.

Run it from the root of the repository; ``DATABASE_URL`` chooses the database::

    .venv/bin/python benchmarks/limits.py [--latency 0.2] [--seconds 30]

The limit falls while leads are being converted. After 30 seconds in which the app may adapt,
answers are counted: the share of 429 among them, and the rate of the others relative to the
maximum of five calls at a time. Then one answer arrives byte by byte, first its head, then its
body: the calling thread has to be free again one second after the deadline at the latest.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from contextlib import suppress

import environment
from django.conf import settings

from zoho_crm.exceptions import TransportError
from zoho_crm.models import Connection
from zoho_crm.services import convert, work
from zoho_crm.services.clients import client_for
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Answer, Call, Server, Simulator, SimulatorSettings

LIMIT_BEFORE, LIMIT_AFTER = 10, 5
WARM_UP_SECONDS = 10
ADAPTATION_SECONDS = 30
#: More leads than can be converted meanwhile.
LEADS = 2_500
MAX_REFUSED_SHARE = 0.02
MIN_RATE_SHARE = 0.8
DEADLINE_SECONDS = 2
MAX_LATE_SECONDS = 1


class CountingSimulator(Simulator):
    """Counts its answers by HTTP status."""

    def __init__(self, settings: SimulatorSettings) -> None:
        super().__init__(settings)
        self.answers: Counter[int] = Counter()

    def answer(self, call: Call) -> Answer:
        """Answer the call and count its status."""
        answer = super().answer(call)
        self.answers[answer.status] += 1
        return answer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--latency", type=float, default=0.2, help="seconds that each call takes")
    parser.add_argument("--seconds", type=float, default=30, help="for how long it is counted")
    given = parser.parse_args()
    with environment.new_database() as vendor:
        zoho = CountingSimulator(
            SimulatorSettings(leads=0, latency=given.latency, concurrency=LIMIT_BEFORE)
        )
        with Server(zoho) as server:
            environment.point_to(server.origin, MAX_CONCURRENCY=2 * LIMIT_BEFORE)
            connection = with_grant_code(code=zoho.grant_code(), data_center="local")
            for _ in range(LEADS):
                convert.request(connection_id=connection.pk, lead_id=zoho.add_lead()["id"])
            answers = count_answers(connection, zoho, given.seconds)
            late = max(measure_lateness(connection, zoho, part) for part in ("header", "body"))
    refused, others = answers[429], answers.total() - answers[429]
    share, rate = refused / answers.total(), others / given.seconds
    ideal = LIMIT_AFTER / given.latency
    fall = f"the limit fell from {LIMIT_BEFORE} to {LIMIT_AFTER}"
    print(f"{vendor}: {ADAPTATION_SECONDS} s after {fall}:")
    print(f"  429: {share:.1%} of {answers.total()} answers (at most {MAX_REFUSED_SHARE:.0%})")
    print(
        f"  {rate:.1f} calls/s, {rate / ideal:.0%} of {ideal:.1f} (at least {MIN_RATE_SHARE:.0%})"
    )
    print(f"  a slow answer ends {late:.2f} s after its deadline (at most {MAX_LATE_SECONDS} s)")
    is_fast = rate >= MIN_RATE_SHARE * ideal
    kept = share <= MAX_REFUSED_SHARE and is_fast and late <= MAX_LATE_SECONDS
    return 0 if kept else 1


def count_answers(connection: Connection, zoho: CountingSimulator, seconds: float) -> Counter[int]:
    """Work, lower the limit, and return the answers of the last ``seconds`` by HTTP status."""
    stop = threading.Event()
    counted: list[Counter[int]] = []

    def lower_and_count() -> None:
        time.sleep(WARM_UP_SECONDS)
        zoho.tune(concurrency=LIMIT_AFTER)
        time.sleep(ADAPTATION_SECONDS)
        before = Counter(zoho.answers)
        time.sleep(seconds)
        counted.append(Counter(zoho.answers) - before)
        stop.set()

    threading.Thread(target=lower_and_count).start()
    while not stop.is_set():
        wait = work.work(connection_id=connection.pk, stop=stop)
        assert wait is not None, "all leads were converted too soon"
        time.sleep(min(wait, 0.1))
    return counted[0]


def measure_lateness(connection: Connection, zoho: CountingSimulator, part: str) -> float:
    """Return how many seconds after its deadline a call ends whose answer never stops dripping."""
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CALL_DEADLINE": DEADLINE_SECONDS}
    zoho.fail("leads_list", "drip", body=part)
    client = client_for(connection)
    began = time.monotonic()
    with suppress(TransportError):
        client.leads.page()
    return time.monotonic() - began - DEADLINE_SECONDS


if __name__ == "__main__":
    sys.exit(main())
