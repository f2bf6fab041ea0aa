"""Values that no answer of Zoho's should have, and that some database cannot store."""

from __future__ import annotations

from typing import Any


def nested(levels: int) -> Any:
    """Return lists in lists."""
    value: Any = "x"
    for _level in range(levels):
        value = [value]
    return value


ODD_VALUES: dict[str, Any] = {
    "surrogate": "1\ud800",
    "nul": "1\0",
    "both": "\udfff\0\ud800",
    "long": "9" * 70_000,
    "twenty digits": 10**19,
    "many digits": 10**4000,
    "infinite": float("inf"),
    "no number": float("nan"),
    "false": False,
    "negative": -1,
    "list": ["\ud800", 7],
    "object": {"\0": "\ud800", "id": "\0", "name": {}},
    "deep": nested(60),
}
