"""Routers of host projects: one with a replica, one with our tables in a database of their own."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

OURS = "zoho_crm"
#: The aliases of the replica, and of our own database where there is one.
REPLICA, OWN = "replica", "crm"


class ReplicaRouter:
    """Reads our tables from a replica, which fails: our code must not read where a router says."""

    def db_for_read(self, model: type[Model], **_hints: Any) -> str | None:
        return REPLICA if model._meta.app_label == OURS else None


class OwnDatabaseRouter:
    """Keeps our tables, and nothing else, in the database ``crm``."""

    def db_for_write(self, model: type[Model], **_hints: Any) -> str | None:
        return OWN if model._meta.app_label == OURS else None

    def allow_migrate(self, db: str, app_label: str, **_hints: Any) -> bool | None:
        return (app_label == OURS) == (db == OWN)
