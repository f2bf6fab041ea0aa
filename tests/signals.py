"""What a host project is told of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.dispatch import Signal


@contextmanager
def heard(signal: Signal, argument: str) -> Iterator[list[Any]]:
    """Yield what a signal is sent with, one by one as it comes."""
    found: list[Any] = []

    def listen(**sent: Any) -> None:
        found.append(sent[argument])

    signal.connect(listen)
    try:
        yield found
    finally:
        signal.disconnect(listen)
