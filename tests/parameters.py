"""Parameters of tests that take long for many values."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest


def mostly_long(values: Iterable[Any], *, quick: Container[Any]) -> list[Any]:
    """Return the values as parameters; those that are not quick belong to ``make long``."""
    return [value if value in quick else long(value) for value in values]


def long(value: Any) -> Any:
    """Return a value, or a tuple of several, as parameters that belong to ``make long``."""
    values = value if isinstance(value, tuple) else (value,)
    return pytest.param(*values, marks=pytest.mark.long)
