"""Checks of the heartbeats: whether workers and sweeps are running, and how to start them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Max
from django.utils.translation import gettext as _

from zoho_crm.models import Connection, ConnectionWork
from zoho_crm.services import heartbeat
from zoho_crm.services.doctor._findings import Check, Finding, fail, local_time, ok, warn


def workers() -> Iterator[Finding]:
    """Check that a worker is running where work is due, and that sweeps are running."""
    active = Connection.objects.filter(status=Connection.Status.ACTIVE).order_by("name")
    found = [finding for connection in active for finding in worker_findings(connection)]
    yield from found
    failed = {finding.check for finding in found}
    last = ConnectionWork.objects.aggregate(worker=Max("seen_at"), sweep=Max("swept_at"))
    if Check.WORKER not in failed:
        yield _last_worker(last["worker"])
    if Check.SWEEP not in failed:
        yield _last_sweep(last["sweep"])


def worker_findings(connection: Connection) -> Iterator[Finding]:
    """Yield findings for the worker or the sweeps that are missing while work waits."""
    missing = heartbeat.missing_workers_of(connection)
    if missing and missing.worker:
        at = missing.worker_seen_at
        since = _("Work waits on %(connection)s, and no worker has been seen since %(at)s.")
        never = _("Work waits on %(connection)s, and no worker has been seen yet.")
        values = {"connection": connection, "at": local_time(at)}
        yield fail(Check.WORKER, (since if at else never) % values, _start_worker_fix())
    if missing and missing.sweep:
        at = missing.sweep_seen_at
        since = _("Work waits on %(connection)s, and no sweep has been seen since %(at)s.")
        never = _("Work waits on %(connection)s, and no sweep has been seen yet.")
        values = {"connection": connection, "at": local_time(at)}
        yield fail(Check.SWEEP, (since if at else never) % values, _start_beat_fix())


def _last_worker(seen_at: datetime | None) -> Finding:
    if seen_at is None:
        return ok(Check.WORKER, _("no work is waiting for one; none has run yet"))
    return ok(
        Check.WORKER, _("no work is waiting for one; the last one ran at %s") % local_time(seen_at)
    )


def _last_sweep(seen_at: datetime | None) -> Finding:
    """Return whether sweeps are running: they include every connection, even without due work."""
    if heartbeat.connections_without_sweep().exists():
        since = _("No sweep has been seen since %s; work whose message is lost would wait.")
        never = _("No sweep has been seen yet; work whose message is lost would wait.")
        return warn(
            Check.SWEEP, since % local_time(seen_at) if seen_at else never, _start_beat_fix()
        )
    if seen_at is None:
        return ok(Check.SWEEP, _("no sweep was due yet"))
    return ok(Check.SWEEP, _("the last one ran at %s") % local_time(seen_at))


def _start_worker_fix() -> str:
    fix = _("Start one: %s (without a broker: manage.py zoho_work --loop 15)")
    return fix % heartbeat.worker_command()


def _start_beat_fix() -> str:
    fix = _(
        "Start beat, with zoho_crm.schedules.BEAT_SCHEDULE: %s"
        " (without a broker: manage.py zoho_work --loop 15)"
    )
    return fix % heartbeat.BEAT_COMMAND
