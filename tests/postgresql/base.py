"""
Django's backend for PostgreSQL, but for how tests empty the tables between them.

Django truncates them all, which makes a new file for each table and index: a quarter of a second,
for fifteen hundred tests. There is next to nothing in them, so here it is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.postgresql.operations import DatabaseOperations


class EmptyingOperations(DatabaseOperations):
    def sql_flush(self, style: Any, tables: Iterable[str], **_options: Any) -> list[str]:
        """Return statements for one transaction, at whose end foreign keys are looked at."""
        return [f"DELETE FROM {self.quote_name(table)};" for table in tables]


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = EmptyingOperations
