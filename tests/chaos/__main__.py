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

from tests.chaos.programs import running
from tests.chaos.scenarios import SCENARIOS, SHORT, Scenario
from tests.chaos.site import celery_programs, environment, start_servers
from zoho_crm.simulator import Server, Simulator, SimulatorSettings

if TYPE_CHECKING:
    from tests.chaos.run import Report

#: Seconds that each of Zoho's calls takes.
LATENCY_SECONDS = 0.01
SINGLE_OPTION = "--one"
LOG_FOLDER = Path(".run/chaos")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--short", action="store_true", help="smaller ones, in three minutes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(SINGLE_OPTION, action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    known = SHORT if given.short else SCENARIOS
    if given.one:
        return play(given.scenarios[0], known[given.scenarios[0]], given.seed)
    failed = [name for name in given.scenarios or known if not is_passed(name, given)]
    print(f"Chaos: {'all is well' if not failed else 'failed: ' + ', '.join(failed)}")
    return 1 if failed else 0


def is_passed(name: str, given: argparse.Namespace) -> bool:
    """Play a scenario in a process of its own: Django has one database for life."""
    options = ["--seed", str(given.seed), *(["--short"] if given.short else [])]
    command = [sys.executable, "-m", "tests.chaos", SINGLE_OPTION, name, *options]
    return subprocess.run(command, check=False).returncode == 0


def all_but_logs(_folder: str, names: list[str]) -> list[str]:
    """Say what is left behind when logs are kept."""
    return [name for name in names if not name.endswith(".log")]


def play(name: str, scenario: Scenario, seed: int) -> int:
    """Build the site, play the scenario, and print what was found."""
    zoho = Simulator(SimulatorSettings(leads=0, latency=LATENCY_SECONDS))
    with (
        tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as place,
        Server(zoho) as server,
        start_servers(Path(place), scenario.database, scenario.broker, seed=seed) as servers,
    ):
        given = environment(servers, server.origin, dict(scenario.settings))
        os.environ.update({**given, **scenario.environment})
        os.environ["DJANGO_SETTINGS_MODULE"] = "testproject.settings"
        django.setup()
        from tests.chaos.run import ScenarioRun, prepare_site

        prepare_site(zoho)
        workers, beats = celery_programs(servers, dict(os.environ), hosts=scenario.hosts)
        with running([*workers, *beats]):
            scenario_run = ScenarioRun(
                scenario=scenario, servers=servers, zoho=zoho, workers=workers, seed=seed
            )
            report = scenario_run.run()
        print(f"{name}: {scenario.leads} leads in {report.seconds:.0f} s")
        print_report(report)
        if report.problems:
            kept = shutil.copytree(
                place, LOG_FOLDER / name, ignore=all_but_logs, dirs_exist_ok=True
            )
            print(f"  the logs of all programs are in {kept}")
        return 1 if report.problems else 0


def print_report(report: Report) -> None:
    """Print what was done, what was seen, and what is wrong."""
    for what, times in sorted(report.done.items()):
        print(f"  {times:>5} × {what}")
    for name, figure in report.figures.items():
        print(f"  {name}: {figure}")
    for what in report.problems[:20]:
        print(f"  WRONG {what}")
    print(f"  {len(report.problems)} wrong", flush=True)


if __name__ == "__main__":
    sys.exit(main())
