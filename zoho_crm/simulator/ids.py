"""Record ids as Zoho makes them: 19 digits with a prefix common to the organisation."""

from __future__ import annotations

import secrets
from itertools import count


class Ids:
    """Generator of increasing ids of one organisation, with a random prefix of its own."""

    def __init__(self) -> None:
        self.prefix = str(secrets.randbelow(8_000_000) + 1_000_000)
        self._numbers = count(418_003, 2)

    def next(self) -> str:
        return f"{self.prefix}{next(self._numbers):012d}"


def is_id(text: object) -> bool:
    """Return whether the text has the form of an id: at most 19 digits."""
    return isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 19
