"""How many calls at a time: learnt from Zoho's answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

#: Calls at a time that Zoho's editions allow an organisation and client.
#: https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
CONCURRENCY_BY_EDITION: Mapping[str, int] = {
    "free": 5,
    "standard": 10,
    "starter": 10,
    "professional": 15,
    "enterprise": 20,
    "zohoone": 20,
    "ultimate": 25,
    "crmplus": 25,
}
#: Left to web requests and other programs; and Zoho takes at most ten conversions at a time.
LEFT_TO_OTHERS = 2
MOST = 10
UNKNOWN_EDITION = 10

#: Successes that raise a limit which was once met by one; what "too many" makes of it.
PATIENCE = 50
CUT = 0.7


def ceiling(setting: int, edition: str) -> int:
    """Return the most calls at a time: as set, or as the edition allows."""
    allowed = CONCURRENCY_BY_EDITION.get(edition.lower().replace(" ", ""), UNKNOWN_EDITION)
    return setting or max(1, min(MOST, allowed - LEFT_TO_OTHERS))


@dataclass(kw_only=True)
class Limit:
    """Rises quickly until Zoho first says "too many", then carefully."""

    value: float
    ceiling: int
    met: bool
    _last_cut: float = 0.0

    @property
    def now(self) -> int:
        """Calls that may be in flight."""
        return max(1, min(int(self.value), self.ceiling))

    def succeeded(self) -> None:
        """A call was answered."""
        step = 1 / PATIENCE if self.met else 1
        self.value = min(float(self.ceiling), self.value + step)

    def refused(self, *, started: float) -> None:
        """A call was too many; those that were under way at the last cut say nothing new."""
        self.met = True
        if started > self._last_cut:
            self.value = max(1.0, self.value * CUT)
            self._last_cut = time.monotonic()
