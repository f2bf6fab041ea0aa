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
