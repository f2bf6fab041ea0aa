"""The database's clock as the search sees it: instants are seconds from now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Value
from django.db.models.expressions import CombinedExpression

from zoho_crm.models._database import DbNow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def instant(seconds: int | None) -> datetime | None:
    """Return what a column holds for a moment so many seconds from now."""
    return None if seconds is None else NOW + timedelta(seconds=seconds)


def evaluated(value: Any) -> Any:
    """Return what the database would store, with instants as seconds from now."""
    if isinstance(value, DbNow):
        return 0
    if isinstance(value, CombinedExpression):
        assert value.connector == CombinedExpression.ADD
        return evaluated(value.lhs) + evaluated(value.rhs)
    if isinstance(value, Value):
        return evaluated(value.value)
    if isinstance(value, datetime):
        return evaluated(value - NOW)
    if isinstance(value, timedelta):
        return round(value.total_seconds())
    return value
