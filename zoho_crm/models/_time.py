"""The one clock that decides: the database's, in UTC. A host's clock is only for display."""

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
    """The present moment in the database, comparable with every stored instant."""

    #: All are equal; Django would find that out anew for each, at length.
    identity = ("the present moment",)

    def as_mysql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, Any]:
        # CURRENT_TIMESTAMP follows the zone of the session; what Django stores is UTC.
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **extra)


@lru_cache
def from_now(seconds: float) -> Expression:
    """Return the moment so many seconds from now, or ago, in the database."""
    # SQLite writes a sum in another form, in which it is a little later than the moment itself.
    return DbNow() + timedelta(seconds=seconds) if seconds else DbNow()


def holds(*conditions: Q, **condition: Any) -> Case:
    """Return the boolean column that says whether all of this holds; what is null does not."""
    when = When(Q(*conditions, **condition), then=True)
    return Case(when, default=False, output_field=BooleanField())
