"""The example runs, and prints what its README says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / "examples" / "official_sdk"


def test_the_example_prints_what_its_readme_shows() -> None:
    program = [sys.executable, str(EXAMPLE / "program.py")]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"program.py\n{done.stdout}```" in (EXAMPLE / "README.md").read_text(encoding="utf-8")
