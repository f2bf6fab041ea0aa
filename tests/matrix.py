"""
Run the suite on every supported Python and Django: ``python -m tests.matrix [PYTEST ARGUMENTS]``.

The newest cell is run whole, like the oldest one by ``make test``; the others without the tests
that are slow. The last line names the cells that this machine has no interpreter for.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The cell of ``make test``.
OLDEST = "py311-django52"
NEWEST = "py313-django61"
WITHOUT_SLOW = ("-m", "not slow and not long and not broker")
#: What tox says of each cell at its end.
OUTCOME = re.compile(r"^\s*(?P<cell>py\S+): (?P<outcome>OK|SKIP|FAIL)\b")


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
    """Return ``OK``, ``SKIP`` (there is no interpreter) or ``FAIL``."""
    print(f"-- {cell}", flush=True)
    found = [
        match for line in tox("run", "-e", cell, "--", *arguments) if (match := OUTCOME.match(line))
    ]
    return found[-1]["outcome"] if found else "FAIL"


def main(*arguments: str) -> int:
    listed = subprocess.run(
        [sys.executable, "-m", "tox", "list", "--no-desc", "-q"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    cells = [cell for cell in listed.stdout.split() if cell != OLDEST]
    assert NEWEST in cells
    outcomes = {
        cell: outcome_of(cell, *(() if cell == NEWEST else WITHOUT_SLOW), *arguments)
        for cell in cells
    }
    by_outcome = {
        outcome: [cell for cell in cells if outcomes[cell] == outcome]
        for outcome in ("OK", "FAIL", "SKIP")
    }
    passed, failed, skipped = (
        ", ".join(by_outcome[key]) or "none" for key in ("OK", "FAIL", "SKIP")
    )
    print(f"passed: {passed}; failed: {failed}; no interpreter here: {skipped}")
    return bool(by_outcome["FAIL"] or not by_outcome["OK"])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
