from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.backends.sqlite3.operations import DatabaseOperations

from tests.backends import emptied


class EmptyingOperations(DatabaseOperations):
    def sql_flush(self, style: Any, tables: Iterable[str], **options: Any) -> list[str]:
        return super().sql_flush(style, emptied(tables), **options)


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = EmptyingOperations

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Let no test wait for the disk: what it writes need not survive the machine."""
        connection = super().get_new_connection(conn_params)
        connection.execute("PRAGMA synchronous = OFF")
        return connection
