"""
Measure how many calls a second the simulator answers, with wrk.

Run it from the root of the repository; it needs the program ``wrk`` (``apt-get install wrk``)::

    python benchmarks/simulator.py [--seconds 10]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

#: With this rate, reading a hundred thousand leads takes less than a minute.
TARGET_RATE = 2_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    seconds = parser.parse_args().seconds
    with running_simulator() as origin:
        token = access_token(origin)
        lead_id = get(f"{origin}/_simulator/story")[0]["lead_id"]
        lead = f"{origin}/crm/v8/Leads/{lead_id}"
        rate = measure("one lead", lead, token, seconds)
        measure("its conversion options", f"{lead}/__conversion_options", token, seconds)
        leads = f"{origin}/crm/v8/Leads?{urlencode({'fields': 'Last_Name,Email'})}"
        measure("a page of leads", leads, token, seconds)
    print(f"target for one lead: {TARGET_RATE} requests/s")
    return 0 if rate >= TARGET_RATE else 1


@contextmanager
def running_simulator() -> Iterator[str]:
    """Run the command ``zoho_simulator`` in a process of its own; yield its origin."""
    # wrk keeps 50 calls in flight; the concurrency limit must not refuse any of them
    arguments = ("--port", "0", "--concurrency", "1000")
    command = (sys.executable, "manage.py", "zoho_simulator", *arguments)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().split()[-1]
        process.terminate()


def access_token(origin: str) -> str:
    made = get(f"{origin}/_simulator/grant-codes", json.dumps({}).encode())
    names = ("code", "client_id", "client_secret")
    form = {"grant_type": "authorization_code", **{name: made[name] for name in names}}
    granted = get(f"{origin}/oauth/v2/token", urlencode(form).encode())
    return str(granted["access_token"])


def get(url: str, body: bytes | None = None) -> Any:
    with urlopen(Request(url, data=body)) as answer:
        return json.load(answer)


def measure(name: str, url: str, token: str, seconds: int) -> float:
    """Print and return the requests per second of one wrk thread with 50 connections."""
    header = f"Authorization: Zoho-oauthtoken {token}"
    command = ("wrk", "-t1", "-c50", f"-d{seconds}s", "--latency", "-H", header, url)
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line.split() for line in shown.splitlines()]
    rate = next(float(words[1]) for words in lines if words[:1] == ["Requests/sec:"])
    median = next(words[1] for words in lines if words[:1] == ["50%"])
    p99 = next(words[1] for words in lines if words[:1] == ["99%"])
    refused = [" ".join(words) for words in lines if words[:1] == ["Non-2xx"]]
    print(f"{name:24} {rate:8.0f} requests/s   p50 {median}   p99 {p99}  {' '.join(refused)}")
    return rate


if __name__ == "__main__":
    sys.exit(main())
