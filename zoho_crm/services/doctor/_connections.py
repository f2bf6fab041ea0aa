"""The connections: their secrets, their state, and whether somebody works what is due."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import BooleanField, Case, Count, Max, Q, When
from django.utils import timezone
from django.utils.translation import gettext as _

from zoho_crm import crypto
from zoho_crm.conf import conf
from zoho_crm.models import Connection, ConnectionWork, DbNow, Token, from_now
from zoho_crm.services import connect, keys
from zoho_crm.services.doctor._finding import Finding, fail, ok, warn


def secrets() -> Iterator[Finding]:
    """Whether every stored secret can be read, and with which keys."""
    if not conf().ENCRYPTION_KEYS:
        fix = _("Make one with: manage.py zoho_new_key")
        yield fail("encryption keys", _("There is none: nothing can be connected."), fix)
        return
    problems = keys.unreadable()
    for problem, names in problems.items():
        fix = _("Put the key back into ENCRYPTION_KEYS, or connect again: manage.py zoho_connect")
        message = f"{problem} ({', '.join(names)})"
        yield fail("encryption keys", message, fix, is_connection=True)
    counts = keys.census()
    if not problems:
        shown = ", ".join(f"{key_id}: {number}" for key_id, number in counts.items())
        yield ok("encryption keys", _("every ciphertext can be read (%s)") % shown)
    older = [crypto.key_id(key) for key in conf().ENCRYPTION_KEYS[1:]]
    if any(counts[key_id] for key_id in older):
        message = _("Some secrets are encrypted with an older key.")
        yield warn("encryption keys", message, _("Run: manage.py zoho_rotate_keys"))


def connections() -> Iterator[Finding]:
    """How each connection is, and whether it was granted what the features need."""
    cooling = Case(
        When(work__cooling_until__gt=DbNow(), then=True),
        default=False,
        output_field=BooleanField(),
    )
    found = Connection.objects.annotate(is_cooling=cooling).select_related("work").order_by("name")
    if not found:
        fix = _("Connect with: manage.py zoho_connect")
        yield warn("connections", _("There is none yet."), fix)
    for connection in found:
        yield _state(connection, is_cooling=connection.is_cooling)
        token = Token.objects.filter(connection=connection, is_default=True).first()
        missing = connect.missing_scopes(token.scopes) if token else []
        if missing:
            message = _("not granted: %s") % ", ".join(missing)
            fix = _("Connect again with these scopes, or take them out of SCOPES.")
            yield warn(f"scopes of {connection}", message, fix)


def _state(connection: Connection, *, is_cooling: bool) -> Finding:
    check = f"connection {connection}"
    if connection.status == Connection.Status.DISABLED:
        return ok(check, _("disabled"))
    if connection.status == Connection.Status.NEEDS_RECONNECT:
        message = _("Zoho no longer accepts it; its leads wait.")
        fix = _("Connect again: manage.py zoho_connect")
        return fail(check, message, fix, is_connection=True)
    if not is_cooling:
        return ok(check, _("works"))
    why = connection.work.cooling_reason
    if connection.work.cooling_kind == ConnectionWork.Cooling.PERSON:
        fix = _("Put it right at Zoho, then: manage.py zoho_status --test")
        return fail(check, why, fix, is_connection=True)
    return warn(check, _("waits: %s") % why, _("It tries again by itself."))


def worker() -> Iterator[Finding]:
    """Whether somebody works what is due."""
    neglected = Q(conversions__due_at__lte=from_now(-2 * conf().SWEEP_INTERVAL))
    states = (
        Connection.objects.filter(status=Connection.Status.ACTIVE)
        .exclude(work__lease_until__gt=DbNow())
        .exclude(work__cooling_until__gt=DbNow())
        .annotate(waiting=Count("conversions", filter=neglected))
        .filter(waiting__gt=0)
        .order_by("name")
    )
    for state in states:
        message = _("%(count)s leads of %(connection)s are due, and nobody works them.")
        facts = {"count": state.waiting, "connection": state}
        fix = _("Start a Celery worker and beat, or: manage.py zoho_work --loop 15")
        yield fail("worker", message % facts, fix)
    if states:
        return
    seen = ConnectionWork.objects.aggregate(at=Max("seen_at"))["at"]
    if seen is None:
        yield ok("worker", _("nothing waits, and nothing has been worked yet"))
    else:
        moment = timezone.localtime(seen).isoformat(sep=" ", timespec="seconds")
        yield ok("worker", _("nothing waits; somebody worked last at %s") % moment)
