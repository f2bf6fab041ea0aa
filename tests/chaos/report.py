"""What a run of a scenario tells."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Report:
    """What was done to a site, what was measured, and which requirements were not met."""

    #: Seconds until every lead was at rest, or the run was given up; how long that may take.
    seconds: float = 0.0
    time_limit: float = 0.0
    #: Seconds until all workers answered after they were started together.
    start_seconds: float = 0.0
    done: Counter[str] = field(default_factory=Counter)
    figures: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def print(self) -> None:
        for what, times in sorted(self.done.items()):
            print(f"  {times:>5} × {what}")
        for name, figure in self.figures.items():
            print(f"  {name}: {figure}")
        for problem in self.problems[:20]:
            print(f"  WRONG {problem}")
        print(f"  {len(self.problems)} wrong", flush=True)
