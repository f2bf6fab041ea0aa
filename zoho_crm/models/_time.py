"""The one clock that decides: the database's, in UTC. A host's clock is only for display."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now
from django.db.models.sql.compiler import SQLCompiler


class DbNow(Now):
    """The present moment in the database, comparable with every stored instant."""

    #: All are equal; Django would find that out anew for each, at length.
    identity = ("the present moment",)

    def as_mysql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, Any]:
        # CURRENT_TIMESTAMP follows the zone of the session; what Django stores is UTC.
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **extra)


@lru_cache
def from_now(seconds: float) -> CombinedExpression:
    """Return the moment so many seconds from now, or ago, in the database."""
    return DbNow() + timedelta(seconds=seconds)
