"""
The environment of benchmarks; importing it sets up Django, so import it before the app.

A new database is created beside the one of ``DATABASE_URL``, as for tests, and removed at the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import django
from cryptography.fernet import Fernet
from django.conf import settings
from django.db import connection as database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testproject.settings")
os.environ.setdefault("DEBUG", "0")  # in debug mode Django keeps every query
django.setup()


@contextmanager
def new_database() -> Iterator[str]:
    """Create an empty database, yield its vendor, and remove it."""
    name = settings.DATABASES["default"]["NAME"]
    database.creation.create_test_db(verbosity=0)
    try:
        yield database.vendor
    finally:
        database.creation.destroy_test_db(name, verbosity=0)


def point_to(origin: str, **more: object) -> None:
    """Let the app call the simulator at this origin."""
    settings.ZOHO_CRM = {
        **settings.ZOHO_CRM,
        "CLIENT_ID": "1000.SIMULATOR",
        "CLIENT_SECRET": "simulator-secret",
        "ENCRYPTION_KEYS": [Fernet.generate_key().decode()],
        "LOCAL_URL": origin,
        **more,
    }
