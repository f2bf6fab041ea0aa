"""How long to wait before something is tried again."""

from __future__ import annotations

from zoho_crm.conf import conf

FIRST_DELAY = 2.0
#: A single conversion that Zoho scheduled is read first after so many seconds.
SCHEDULED_DELAY = 10.0
#: No delay is longer than so many times the time between two reads of a lead in doubt.
LONGEST_DELAY = 5


def delay(retry_count: int, first: float = FIRST_DELAY) -> float:
    """Return how many seconds to wait after so many tries in a row that came to nothing."""
    return min(first * 2.0 ** min(retry_count, 20), LONGEST_DELAY * conf().READ_SPACING)
