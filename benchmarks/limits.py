"""
How fast leads are converted when Zoho's limit falls from ten calls at a time to five, and when a
call ends whose answer drips in.

Run it from the root of the repository; ``DATABASE_URL`` chooses the database::

    .venv/bin/python benchmarks/limits.py [--latency 0.2] [--seconds 30]

The limit falls in the middle of the work. After 30 seconds in which the app may adapt, answers are
counted: the share of 429 among them, and the rest as a part of what five calls at a time allow.
Then Zoho lets one answer drip, first in its head, then in its body: the calling thread has to be
free again by the deadline and a second.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from contextlib import suppress

import surroundings
from django.conf import settings

from zoho_crm.exceptions import TransportError
from zoho_crm.models import Connection
from zoho_crm.services import convert, tokens, work
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Answer, Call, Server, Simulator, SimulatorSettings

BEFORE, AFTER = 10, 5
WARM_UP = 10
ADAPTATION = 30
#: Leads that are surely enough.
LEADS = 2_500
MOST_REFUSED = 0.02
LEAST_RATE = 0.8
DEADLINE = 2
MOST_LATE = 1


class Counting(Simulator):
    """Counts its answers to calls of the CRM."""

    def __init__(self, settings: SimulatorSettings) -> None:
        super().__init__(settings)
        self.answers: Counter[int] = Counter()

    def answer(self, call: Call) -> Answer:
        """Answer as any simulator."""
        answer = super().answer(call)
        self.answers[answer.status] += 1
        return answer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--latency", type=float, default=0.2, help="seconds that each call takes")
    parser.add_argument("--seconds", type=float, default=30, help="for how long it is counted")
    given = parser.parse_args()
    with surroundings.new_database() as vendor:
        zoho = Counting(SimulatorSettings(leads=0, latency=given.latency, concurrency=BEFORE))
        with Server(zoho) as server:
            surroundings.point_to(server.origin, MAX_CONCURRENCY=2 * BEFORE)
            connection = with_grant_code(code=zoho.grant_code(), data_center="local")
            for _ in range(LEADS):
                convert.request(connection_id=connection.pk, lead_id=zoho.add_lead()["id"])
            answers = at_work(connection, zoho, given.seconds)
            late = max(lateness(connection, zoho, part) for part in ("header", "body"))
    refused, others = answers[429], answers.total() - answers[429]
    share, rate = refused / answers.total(), others / given.seconds
    ideal = AFTER / given.latency
    print(f"{vendor}: after the limit fell from {BEFORE} to {AFTER}, and {ADAPTATION} s:")
    print(f"  429: {share:.1%} of {answers.total()} answers (at most {MOST_REFUSED:.0%})")
    print(f"  {rate:.1f} calls/s, {rate / ideal:.0%} of {ideal:.1f} (at least {LEAST_RATE:.0%})")
    print(f"  a drip ends {late:.2f} s after the deadline of {DEADLINE} s (at most {MOST_LATE} s)")
    kept = share <= MOST_REFUSED and rate >= LEAST_RATE * ideal and late <= MOST_LATE
    return 0 if kept else 1


def at_work(connection: Connection, zoho: Counting, seconds: float) -> Counter[int]:
    """Work, let the limit fall, and return the answers of the last seconds."""
    stop = threading.Event()
    counted: list[Counter[int]] = []

    def watch() -> None:
        time.sleep(WARM_UP)
        zoho.tune(concurrency=AFTER)
        time.sleep(ADAPTATION)
        before = Counter(zoho.answers)
        time.sleep(seconds)
        counted.append(Counter(zoho.answers) - before)
        stop.set()

    threading.Thread(target=watch).start()
    while not stop.is_set():
        wait = work.work(connection_id=connection.pk, stop=stop)
        assert wait is not None, "all leads were converted too soon"
        time.sleep(min(wait, 0.1))
    return counted[0]


def lateness(connection: Connection, zoho: Counting, part: str) -> float:
    """Return how many seconds after its deadline a call ends whose answer drips for ever."""
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CALL_DEADLINE": DEADLINE}
    zoho.fail("leads_list", "drip", body=part)
    client = tokens.client_for(connection)
    began = time.monotonic()
    with suppress(TransportError):
        client.leads.page()
    return time.monotonic() - began - DEADLINE


if __name__ == "__main__":
    sys.exit(main())
