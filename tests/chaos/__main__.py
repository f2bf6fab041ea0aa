"""
Prove under kills and faults that no lead is lost, and none is converted twice.

Each scenario runs a whole site: database, broker, a simulated Zoho, several prefork workers on
hosts with wrong clocks, and two beats. First it converts the leads undisturbed, which tells how
fast this machine is. Then a new site converts as many while hosts are killed and frozen, servers
emptied, stopped and restarted, and a fifth of Zoho's calls meet faults; that may take six times as
long. After each run a checker compares the simulator's ledger with rows and journal::

    python -m tests.chaos [--short] [--seed N] [SCENARIO …]
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor

from tests.chaos.report import Report
from tests.chaos.scenarios import SCENARIOS, SHORT_SCENARIOS, Scenario
from tests.chaos.site import run_scenario

#: How many times as long as undisturbed a scenario may take.
MAX_SLOWDOWN = 6
#: Seconds after which a run is given up that nothing is to be compared with.
TIME_LIMIT_SECONDS = 900


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--short", action="store_true", help="smaller ones, in about five minutes")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    known = SHORT_SCENARIOS if given.short else SCENARIOS
    if unknown := set(given.scenarios) - known.keys():
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    names = given.scenarios or list(known)
    failed = [name for name in names if not passes(name, known[name], given.seed)]
    print(f"Chaos: {'all is well' if not failed else 'failed: ' + ', '.join(failed)}")
    return 1 if failed else 0


def passes(name: str, scenario: Scenario, seed: int) -> bool:
    """Run a scenario undisturbed, then as it is, and print both; return whether all is well."""
    if scenario.expects_violations:
        report = run_apart(name, scenario, seed, TIME_LIMIT_SECONDS)
        tell(f"{name}: {scenario.size}", report)
        return report is not None and not report.problems
    title = f"{name}, undisturbed"
    calm = run_apart(title, scenario.undisturbed(), seed, TIME_LIMIT_SECONDS)
    tell(f"{title}: {scenario.size}", calm)
    if calm is None or calm.problems:
        return False
    report = run_apart(name, scenario, seed, MAX_SLOWDOWN * calm.seconds)
    tell(f"{name}: {scenario.size}", report, calm)
    return report is not None and not report.problems


def run_apart(name: str, scenario: Scenario, seed: int, time_limit: float) -> Report | None:
    """
    Run a scenario in a process of its own, since Django has one database for life.

    Return ``None`` if the process failed, after its error was printed.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as executor:
        future = executor.submit(run_scenario, name, scenario, seed, time_limit)
        if error := future.exception():
            traceback.print_exception(error)
            return None
        return future.result()


def tell(title: str, report: Report | None, calm: Report | None = None) -> None:
    """Print what a run found, and how its time compares to that of the undisturbed run."""
    if report is None:
        print(f"{title}: the run failed", flush=True)
        return
    times = f"{report.seconds:.1f} s (start of the workers: {report.start_seconds:.1f} s)"
    if calm:
        slowdown = report.seconds / calm.seconds
        times += f", {slowdown:.1f} × the {calm.seconds:.1f} s undisturbed, at most {MAX_SLOWDOWN}"
    print(f"{title} in {times}")
    report.print()


if __name__ == "__main__":
    sys.exit(main())
