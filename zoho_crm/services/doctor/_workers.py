"""Whether workers and sweeps come by, and how to start them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from zoho_crm.models import Connection, ConnectionWork
from zoho_crm.services import heartbeat
from zoho_crm.services.doctor._findings import Finding, fail, ok, warn

WORKER, SWEEP = "worker", "sweep"


def workers() -> Iterator[Finding]:
    """Whether somebody works what is due, and sweeps find what no message woke."""
    active = Connection.objects.filter(status=Connection.Status.ACTIVE).order_by("name")
    found = [finding for connection in active for finding in worker_findings(connection)]
    yield from found
    complaints = {finding.check for finding in found}
    last = ConnectionWork.objects.aggregate(worker=Max("seen_at"), sweep=Max("swept_at"))
    if WORKER not in complaints:
        yield _at_work(last["worker"])
    if SWEEP not in complaints:
        yield _swept(last["sweep"])


def worker_findings(connection: Connection) -> Iterator[Finding]:
    """Yield who did not come by for what waits on a connection."""
    missing = heartbeat.missing_workers_of(connection)
    if missing and missing.worker:
        at = missing.worker_seen_at
        since = _("Work waits on %(connection)s, and no worker has been seen since %(at)s.")
        never = _("Work waits on %(connection)s, and no worker has been seen yet.")
        facts = {"connection": connection, "at": _told(at)}
        yield fail(WORKER, (since if at else never) % facts, _start_a_worker())
    if missing and missing.sweep:
        at = missing.sweep_seen_at
        since = _("Work waits on %(connection)s, and no sweep has been seen since %(at)s.")
        never = _("Work waits on %(connection)s, and no sweep has been seen yet.")
        facts = {"connection": connection, "at": _told(at)}
        yield fail(SWEEP, (since if at else never) % facts, _start_beat())


def _at_work(seen_at: datetime | None) -> Finding:
    if seen_at is None:
        return ok(WORKER, _("nobody is missed; nothing has been worked yet"))
    return ok(WORKER, _("nobody is missed; somebody worked last at %s") % _told(seen_at))


def _swept(seen_at: datetime | None) -> Finding:
    """Return whether sweeps come by: they do so everywhere, even if nothing waits."""
    if heartbeat.connections_without_sweep().exists():
        since = _("No sweep has been seen since %s; what no message wakes would wait.")
        never = _("No sweep has been seen yet; what no message wakes would wait.")
        return warn(SWEEP, since % _told(seen_at) if seen_at else never, _start_beat())
    if seen_at is None:
        return ok(SWEEP, _("none was to be expected yet"))
    return ok(SWEEP, _("the last one came by at %s") % _told(seen_at))


def _start_a_worker() -> str:
    fix = _("Start one: %s (without a broker: manage.py zoho_work --loop 15)")
    return fix % heartbeat.worker_command()


def _start_beat() -> str:
    fix = _(
        "Start beat, with zoho_crm.schedules.BEAT_SCHEDULE: %s"
        " (without a broker: manage.py zoho_work --loop 15)"
    )
    return fix % heartbeat.BEAT_COMMAND


def _told(moment: datetime | None) -> str:
    return timezone.localtime(moment).isoformat(sep=" ", timespec="seconds") if moment else ""
