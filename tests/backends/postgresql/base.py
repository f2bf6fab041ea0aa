from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.postgresql.operations import DatabaseOperations

from tests.backends import emptied


class EmptyingOperations(DatabaseOperations):
    def sql_flush(self, style: Any, tables: Iterable[str], **_options: Any) -> list[str]:
        """
        Return statements for one transaction, at whose end foreign keys are looked at.

        Django truncates the tables, which makes a new file for each table and index: a quarter of
        a second. There is next to nothing in them, so here it is deleted.
        """
        return [f"DELETE FROM {self.quote_name(table)};" for table in emptied(tables)]


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = EmptyingOperations

    def get_connection_params(self) -> dict[str, Any]:
        """Let no test wait for the disk: what it writes need not survive the machine."""
        given = super().get_connection_params()
        options = f"{given.get('options', '')} -c synchronous_commit=off"
        return {**given, "options": options.strip()}
