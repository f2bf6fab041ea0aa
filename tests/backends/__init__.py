"""
Django's database backends, but for how tests empty the tables between them.

Content types and permissions stay, so that ``post_migrate`` need not write them again after each
of a thousand tests.
"""

from __future__ import annotations

from collections.abc import Iterable

KEPT_TABLES = frozenset({"django_content_type", "auth_permission"})


def emptied(tables: Iterable[str]) -> list[str]:
    """Return the tables that are emptied after a test."""
    return [table for table in tables if table not in KEPT_TABLES]
