"""What cannot be tested on a database in memory."""

from __future__ import annotations

import pytest
from django.db import connection as database


def skip_in_memory() -> None:
    """
    Skip a test with several threads or processes on SQLite in memory.

    Such a database is of one connection, which has one transaction at a time.
    """
    if database.vendor == "sqlite" and database.is_in_memory_db():
        pytest.skip("threads and processes share no database in memory")
