"""
Nothing lost: proof under kills and faults, by machines.

Each scenario runs a whole site: database, broker, a simulated Zoho, several prefork workers on
hosts with wrong clocks, and two beats. While leads are converted, hosts are killed and frozen,
servers emptied, stopped and restarted, and a fifth of Zoho's calls meet trouble. Then a checker
compares the simulator's ledger with rows and journal::

    python -m tests.chaos [--short] [--seed N] [SCENARIO …]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import django

from tests.chaos.hosts import running
from tests.chaos.scenarios import SCENARIOS, SHORT, Scenario
from tests.chaos.site import environment, grounds, programs
from zoho_crm.simulator import Server, Simulator, SimulatorSettings

if TYPE_CHECKING:
    from tests.chaos.run import Report

#: Seconds that each of Zoho's calls takes.
LATENCY = 0.01
ONE = "--one"
LOGS = Path(".run/chaos")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--short", action="store_true", help="smaller ones, in three minutes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(ONE, action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    known = SHORT if given.short else SCENARIOS
    if given.one:
        return play(given.scenarios[0], known[given.scenarios[0]], given.seed)
    failed = [name for name in given.scenarios or known if not was_fine(name, given)]
    print(f"Chaos: {'all is well' if not failed else 'failed: ' + ', '.join(failed)}")
    return 1 if failed else 0


def was_fine(name: str, given: argparse.Namespace) -> bool:
    """Play a scenario in a process of its own: Django has one database for life."""
    options = ["--seed", str(given.seed), *(["--short"] if given.short else [])]
    command = [sys.executable, "-m", "tests.chaos", ONE, name, *options]
    return subprocess.run(command, check=False).returncode == 0


def no_data(_folder: str, names: list[str]) -> list[str]:
    """Say what is left behind when logs are kept."""
    return [name for name in names if not name.endswith(".log")]


def play(name: str, scenario: Scenario, seed: int) -> int:
    """Build the site, play the scenario, and print what was found."""
    zoho = Simulator(SimulatorSettings(leads=0, latency=LATENCY))
    with (
        tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as place,
        Server(zoho) as server,
        grounds(Path(place), scenario.database, scenario.broker, seed=seed) as ground,
    ):
        given = environment(ground, server.origin, dict(scenario.settings))
        os.environ.update({**given, **scenario.environment})
        os.environ["DJANGO_SETTINGS_MODULE"] = "testproject.settings"
        django.setup()
        from tests.chaos.run import Chaos, set_up

        set_up(zoho)
        workers, beats = programs(ground, dict(os.environ), hosts=scenario.hosts)
        with running([*workers, *beats]):
            chaos = Chaos(scenario=scenario, ground=ground, zoho=zoho, workers=workers, seed=seed)
            report = chaos.run()
        print(f"{name}: {scenario.leads} leads in {report.seconds:.0f} s")
        tell(report)
        if report.wrong:
            kept = shutil.copytree(place, LOGS / name, ignore=no_data, dirs_exist_ok=True)
            print(f"  the logs of all programs are in {kept}")
        return 1 if report.wrong else 0


def tell(report: Report) -> None:
    """Print what was done, what was seen, and what is wrong."""
    for what, times in sorted(report.done.items()):
        print(f"  {times:>5} × {what}")
    for name, figure in report.figures.items():
        print(f"  {name}: {figure}")
    for what in report.wrong[:20]:
        print(f"  WRONG {what}")
    print(f"  {len(report.wrong)} wrong", flush=True)


if __name__ == "__main__":
    sys.exit(main())
