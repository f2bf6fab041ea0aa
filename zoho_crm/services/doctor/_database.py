"""Checks of the database: its tables, SQLite's options, and its clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from django.utils.translation import gettext as _

from zoho_crm.models import database
from zoho_crm.models._database import DbNow
from zoho_crm.services.doctor._findings import Check, Finding, fail, ok, warn

APP = "zoho_crm"
#: Seconds by which the clocks of this host and of the database may differ.
MAX_CLOCK_DRIFT_SECONDS = 5


def tables() -> Iterator[Finding]:
    """Check that the database answers and that all migrations of this app were run."""
    check, connection = Check.DATABASE, connections[database()]
    try:
        executor = MigrationExecutor(connection)
        wanted = [node for node in executor.loader.graph.leaf_nodes() if node[0] == APP]
        missing = executor.migration_plan(wanted)
    except DatabaseError as error:
        yield fail(check, str(error), _("Start it, and see DATABASES in the settings."))
        return
    if missing:
        names = ", ".join(str(migration) for migration, _backwards in missing)
        yield fail(check, _("Not migrated: %s") % names, _("Run: manage.py migrate"))
    else:
        yield ok(check, f"{connection.vendor}, {connection.settings_dict['NAME']}")


def database_options() -> Iterator[Finding]:
    """Check that SQLite is opened with options with which several processes can write."""
    check, connection = Check.DATABASE_OPTIONS, connections[database()]
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        journal = str(cursor.fetchone()[0]).upper()
    mode = str(connection.settings_dict["OPTIONS"].get("transaction_mode") or "DEFERRED").upper()
    if journal in {"WAL", "MEMORY"} and mode in {"IMMEDIATE", "EXCLUSIVE"}:
        yield ok(check, f"journal_mode {journal}, transaction_mode {mode}")
        return
    fix = _(
        "OPTIONS = {'transaction_mode': 'IMMEDIATE', 'timeout': 20,"
        " 'init_command': 'PRAGMA journal_mode = WAL'}"
    )
    message = _("journal_mode %(journal)s, transaction_mode %(mode)s: expect “database is locked”")
    yield warn(check, message % {"journal": journal, "mode": mode}, fix)


def clock(max_drift: float = MAX_CLOCK_DRIFT_SECONDS) -> Iterator[Finding]:
    """Check that the clocks of this host and of the database agree; the app uses the latter."""
    recorder = MigrationRecorder(connections[database()])
    database_now: datetime | None = (
        recorder.migration_qs.annotate(now=DbNow()).values_list("now", flat=True).first()
    )
    drift = abs((timezone.now() - (database_now or timezone.now())).total_seconds())
    if drift <= max_drift:
        yield ok(Check.CLOCK, _("this host and the database agree"))
    else:
        message = _("The clocks of this host and of the database differ by %d s.") % drift
        yield warn(Check.CLOCK, message, _("Synchronise both with NTP."))
