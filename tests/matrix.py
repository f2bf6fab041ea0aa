"""
Run the suite on every supported Python and Django: ``python -m tests.matrix [PYTEST ARGUMENTS]``.

The newest cell is run whole, counting the lines that are reached, the oldest one whole by ``make
test``; the others without the tests that are slow. One more cell shows the screens in a browser on
the newest Django; ``make test-browser`` shows them, and the journeys, on the oldest. The last line
names the outcome of each cell.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The cell of ``make test``.
OLDEST = "py311-django52"
NEWEST = "py313-django61"
WITH_COVERAGE = ("--cov",)
#: What is left seldom waits, and to collect it costs each worker as much as many tests.
WITHOUT_SLOW = ("--numprocesses", "2", "-m", "not slow and not long and not broker")
#: Needs Debian's Chromium besides the interpreter.
BROWSER = "browser-django61"
SCREENS = ("tests/browser/test_screens.py",)


def environment() -> dict[str, str]:
    """Return this process's environment, in which the interpreters that pyenv keeps are found."""
    kept = sorted(Path.home().glob(".pyenv/versions/3.*/bin"))
    return {**os.environ, "PATH": os.pathsep.join([os.environ["PATH"], *map(str, kept)])}


def tox(*arguments: str) -> list[str]:
    """Run tox, show what it prints, and return the lines."""
    command = [sys.executable, "-m", "tox", *arguments]
    lines: list[str] = []
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return lines


def outcome_of(cell: str, *arguments: str) -> str:
    """Return ``OK``, ``SKIP`` (there is no interpreter, or no browser) or ``FAIL``."""
    print(f"-- {cell}", flush=True)
    if cell == BROWSER and not shutil.which("chromium"):
        return "SKIP"
    said_at_its_end = re.compile(rf"\s*{re.escape(cell)}: (OK|SKIP|FAIL)\b")
    lines = tox("run", "-e", cell, "--", *arguments)
    found = [match[1] for line in lines if (match := said_at_its_end.match(line))]
    return found[-1] if found else "FAIL"


def arguments_of(cell: str) -> tuple[str, ...]:
    """Return what pytest is told in one cell."""
    return {NEWEST: WITH_COVERAGE, BROWSER: SCREENS}.get(cell, WITHOUT_SLOW)


def main(*arguments: str) -> int:
    listed = subprocess.run(
        [sys.executable, "-m", "tox", "list", "--no-desc", "-d", "-q"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    cells = [cell for cell in [*listed.stdout.split(), BROWSER] if cell != OLDEST]
    assert NEWEST in cells
    outcomes = {cell: outcome_of(cell, *arguments_of(cell), *arguments) for cell in cells}
    by_outcome = {
        outcome: [cell for cell in cells if outcomes[cell] == outcome]
        for outcome in ("OK", "FAIL", "SKIP")
    }
    passed, failed, skipped = (
        ", ".join(by_outcome[key]) or "none" for key in ("OK", "FAIL", "SKIP")
    )
    print(f"passed: {passed}; failed: {failed}; no interpreter or browser here: {skipped}")
    return bool(by_outcome["FAIL"] or not by_outcome["OK"])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
