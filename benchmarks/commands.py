"""
Measure how long the commands ``zoho_preview`` and ``zoho_convert`` take for many leads.

Run it from the root of the repository; ``DATABASE_URL`` chooses the database::

    .venv/bin/python benchmarks/commands.py [--leads 400] [--latency 0.1]

The simulator, a process of its own, takes that long for each call. What Zoho allows is the time of
the calls for each lead, ten at a time: one for its conversion options, and one that converts it.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time

import environment
from django.core.management import call_command
from recording_simulator import RemoteSimulator, remote_simulator

from zoho_crm.models import LeadConversion
from zoho_crm.services.connect import with_grant_code
from zoho_crm.services.usage import MAX_CONCURRENT_CONVERSIONS

#: Each command with the calls of each lead.
COMMANDS = {
    ("zoho_preview",): 1,
    ("zoho_convert", "--execute"): 2,
}
#: Seconds for 400 leads at 100 ms.
MAX_SECONDS = 12.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--leads", type=int, default=400)
    parser.add_argument("--latency", type=float, default=0.1, help="seconds of each call")
    given = parser.parse_args()
    results = []
    for words in COMMANDS:
        with (
            environment.new_database() as vendor,
            remote_simulator(given.leads, latency=given.latency) as zoho,
        ):
            print(f"{' '.join(words)} on {vendor}:", flush=True)
            environment.point_to(zoho.origin)
            with_grant_code(code=zoho.grant_code, data_center="local")
            results.append(measure(words, zoho, given.latency))
    return 0 if all(results) else 1


def measure(words: tuple[str, ...], zoho: RemoteSimulator, latency: float) -> bool:
    """Print how long a command takes for all leads; return whether it is within the limit."""
    before = len(zoho.calls())
    zoho.answer_slowly()
    began, cpu = time.monotonic(), time.process_time()
    call_command(
        *words, "-", "--format=json", stdin=io.StringIO("\n".join(zoho.leads)), stdout=io.StringIO()
    )
    wall, cpu = time.monotonic() - began, time.process_time() - cpu
    zoho.answer_at_once()
    leads, calls = len(zoho.leads), len(zoho.calls()) - before
    statuses = (LeadConversion.Status.PREVIEWED, LeadConversion.Status.CONVERTED)
    assert LeadConversion.objects.filter(status__in=statuses).count() == leads
    assert zoho.converted() == ("--execute" in words) * leads
    allowed = COMMANDS[words] * leads * latency / MAX_CONCURRENT_CONVERSIONS
    print(f"  {leads} leads, {calls} calls of {latency} s: {wall:.1f} s (at most {MAX_SECONDS})")
    print(f"  allowed by the concurrency limit: {allowed:.1f} s; CPU {cpu:.1f} s")
    print(f"  load of the machine: {os.getloadavg()[0]:.1f}")
    return wall <= MAX_SECONDS


if __name__ == "__main__":
    sys.exit(main())
