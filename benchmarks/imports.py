"""
Measure what the app costs a process that has Django, Celery, ``requests`` and cryptography anyway.

Run it from the root of the repository::

    .venv/bin/python benchmarks/imports.py [--rounds 15]

Each measurement is a process of its own, and the projects take turns: CPU until Django is set up,
with the URLs of the admin and our own if there is an admin, and the peak of memory, the smallest of
the rounds, which other programs disturb least. Compiled files are written in a first round.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

#: The targets: CPU and MiB more than the project without the app.
MAX_SHARE = 0.15
MAX_MIB = 5
APP = "zoho_crm"
ADMIN = "django.contrib.admin"
OTHERS = [f"django.contrib.{name}" for name in ("auth", "contenttypes", "sessions", "messages")]

PROGRAM = """
import resource, sys, time
began = time.process_time()
import celery, cryptography.fernet, django, requests
from celery import Celery, Task, shared_task, signals
from django.conf import settings
settings.configure(
    INSTALLED_APPS=sys.argv[1].split(","),
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    ROOT_URLCONF="none", SECRET_KEY="none", USE_TZ=True,
)
django.setup()
if "django.contrib.admin" in settings.INSTALLED_APPS:
    from django.contrib import admin
    admin.site.urls
for name in sys.argv[2:]:
    __import__(name)
seconds = time.process_time() - began
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(sys.modules))
"""

#: Of each project its apps, and what it imports then.
PROJECTS = {
    "without the app, no admin": (OTHERS, []),
    "with the app, no admin": ([APP, *OTHERS], []),
    "with the app, no admin, and its tasks and shortcuts": (
        [APP, *OTHERS],
        [f"{APP}.tasks", f"{APP}.shortcuts"],
    ),
    "without the app": ([ADMIN, *OTHERS], []),
    "with the app": ([APP, ADMIN, *OTHERS], [f"{APP}.urls"]),
    "with the app, its tasks and shortcuts": (
        [APP, ADMIN, *OTHERS],
        [f"{APP}.urls", f"{APP}.tasks", f"{APP}.shortcuts"],
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    measured: dict[str, list[list[float]]] = {name: [] for name in PROJECTS}
    for number in range(-1, rounds):
        for name, (apps, modules) in PROJECTS.items():
            numbers = measure(apps, modules)
            if number >= 0:
                measured[name].append(numbers)
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    print("CPU in ms, peak of memory in MiB, modules; more than without the app")
    good, base = True, [0.0, 0.0]
    for name, seen in measured.items():
        seconds, mib, modules = map(min, zip(*seen, strict=True))
        if name.startswith("without"):
            base = [seconds, mib]
        share, more = seconds / base[0] - 1, mib - base[1]
        print(
            f"  {name}: {1000 * seconds:.0f}, {mib:.1f}, {modules:.0f}; {share:+.0%}, {more:+.1f}"
        )
        good = good and share <= MAX_SHARE and more <= MAX_MIB
    return 0 if good else 1


def measure(apps: list[str], modules: list[str]) -> list[float]:
    """Return seconds of CPU, MiB and number of modules of a process with these apps and modules."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    program = [sys.executable, "-c", PROGRAM, ",".join(apps), *modules]
    ended = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    return [float(number) for number in ended.stdout.split()]


if __name__ == "__main__":
    sys.exit(main())
