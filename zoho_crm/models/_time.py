"""The database's clock, in UTC: every comparison of times uses it. Host clocks are for display."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Case, Q, When
from django.db.models.expressions import Expression
from django.db.models.functions import Now
from django.db.models.sql.compiler import SQLCompiler


class DbNow(Now):
    """The current time of the database, comparable with every stored time."""

    #: All instances are equal; Django's own ``identity`` is computed slowly for each instance.
    identity = ("the present moment",)

    def as_mysql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, Any]:
        # CURRENT_TIMESTAMP is in the time zone of the session; Django stores UTC.
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **extra)


@lru_cache
def from_now(seconds: float) -> Expression:
    """Return the time in so many seconds, or so many seconds ago, by the database's clock."""
    # SQLite formats a sum in another way, which compares as a little later than the same time.
    return DbNow() + timedelta(seconds=seconds) if seconds else DbNow()


def holds(*conditions: Q, **condition: Any) -> Case:
    """Return a boolean expression for ``annotate``: whether all conditions hold; NULL is false."""
    when = When(Q(*conditions, **condition), then=True)
    return Case(when, default=False, output_field=BooleanField())
