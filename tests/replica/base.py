"""A database backend that fails as soon as a query is made for it: a replica may be behind."""

from __future__ import annotations

from typing import Any

from django.db.backends.dummy import base


class ReplicaOperations(base.DatabaseOperations):
    def quote_name(self, name: str) -> Any:
        raise AssertionError(f"{name} is read from a replica")


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = ReplicaOperations
