"""``manage.py zoho_status``: show the status of each connection, its token and its leads."""

from __future__ import annotations

from datetime import datetime
from itertools import chain
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from zoho_crm.management._command import ZohoCommand, add_user_argument, named_connection
from zoho_crm.management._exits import ExitCode, Problems, wrong_use
from zoho_crm.management._output import Row, Style
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, OutboxRecord, Token, holds
from zoho_crm.models._database import DbNow
from zoho_crm.services import connect, doctor, tokens
from zoho_crm.services.doctor import Finding
from zoho_crm.services.presentation import coded_text

Status = LeadConversion.Status
Outbox = OutboxRecord.Status
#: Statuses of pushed records that a worker, or a person, has to act on.
IN_WORK = (Outbox.PENDING, Outbox.RUNNING, Outbox.UNKNOWN)
NEED_PERSON = (Outbox.REFUSED, Outbox.NEEDS_REVIEW)

FIELDS = (
    "connection",
    "status",
    "org_id",
    "data_center",
    "environment",
    "token_expires_at",
    "token_generation",
    "due",
    "unknown",
    "needs_review",
    "outbox_waiting",
    "outbox_needs_person",
    "is_default",
    "needs_default_user",
    "waits_until",
    "waits_because",
    "worker_seen_at",
    "sweep_seen_at",
    "missed",
    "test",
)
COLUMNS = {
    "connection": lambda row: row["connection"] + (" *" if row["is_default"] else ""),
    "status": lambda row: row["shown"],
    "place": lambda row: f"{row['data_center']} {row['environment']}",
    "organisation": lambda row: row["org_id"],
    "access token": lambda row: _token(row),
    "due": lambda row: str(row["due"]),
    "unknown": lambda row: str(row["unknown"]),
    "needs review": lambda row: str(row["needs_review"]),
    "outbox": lambda row: str(row["outbox_waiting"]),
    "refused": lambda row: str(row["outbox_needs_person"]),
    "": lambda row: row["test"] or row["waits_because"] or _missing_text(row["missed"]),
}


class Command(ZohoCommand):
    help = gettext_noop("Show every connection: its status, its token, and how much waits on it.")

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--connection", metavar="NAME", help=_("only this one"))
        parser.add_argument("--test", action="store_true", help=_("ask Zoho whether it works"))
        add_user_argument(parser, _("with --test: ask as this user (default: the default one)"))

    def handle(
        self,
        *args: Any,
        connection: str | None,
        test: bool,
        user: str | None,
        **options: Any,
    ) -> None:
        if user is not None and not test:
            raise wrong_use(_("--user needs --test."))
        chosen = Connection.objects.order_by("name")
        if connection is not None:
            chosen = chosen.filter(pk=named_connection(connection).pk)
        tests = {each.pk: _test(each, user) for each in chosen} if test else {}
        missed = {each.pk: list(doctor.worker_findings(each)) for each in chosen}
        rows = [
            _row(each, missed[each.pk], tests.get(each.pk, "")) for each in _with_figures(chosen)
        ]
        output = self.open_output(options)
        output.show(rows, fields=FIELDS, columns=COLUMNS, styles=self._styles)
        if not rows:
            self.hint(_("There is no connection yet. Connect with: manage.py zoho_connect"))
        for row in rows:
            if count := row["outbox_needs_person"]:
                text = ngettext(
                    "“%(connection)s”: %(count)s pushed record was refused or needs a decision.",
                    "“%(connection)s”: %(count)s pushed records were refused or need a decision.",
                    count,
                )
                self.hint(text % {"connection": row["connection"], "count": count})
        for finding in chain(*missed.values()):
            self.hint(f"{finding.message} {finding.fix}")
        _report(rows)

    def _styles(self, row: Row) -> dict[str, Style]:
        is_well = not (_exit_code(row) or row["missed"])
        return {"status": self.style.SUCCESS if is_well else self.style.WARNING}


def _test(connection: Connection, user: str | None) -> str:
    if connection.status == Connection.Status.DISABLED:
        return ""
    return connect.check_connection(connection_id=connection.pk, user=user)


def _with_figures(connections: QuerySet[Connection]) -> QuerySet[Connection]:
    token = Token.objects.filter(connection=OuterRef("pk"), is_default=True)
    figures: dict[str, Any] = {
        "lacks_default": tokens.lacks_default(),
        "token_expires_at": Subquery(token.values("expires_at")[:1]),
        "token_generation": Subquery(token.values("generation")[:1]),
        "due": Count("conversions", filter=Q(conversions__due_at__lte=DbNow())),
        "unknown": Count("conversions", filter=Q(conversions__status=Status.UNKNOWN)),
        "needs_review": Count("conversions", filter=Q(conversions__status=Status.NEEDS_REVIEW)),
        "outbox_waiting": _outbox_count(*IN_WORK),
        "outbox_needs_person": _outbox_count(*NEED_PERSON),
        "is_backing_off": holds(work__backoff_until__gt=DbNow()),
        "backoff_until": F("work__backoff_until"),
        "backoff_reason": F("work__backoff_reason"),
        "backoff_details": F("work__backoff_details"),
        "backoff_kind": F("work__backoff_kind"),
        "worker_seen_at": F("work__seen_at"),
        "sweep_seen_at": F("work__swept_at"),
    }
    return connections.annotate(**figures)


def _outbox_count(*statuses: str) -> Any:
    """Return the number of pushed records in these statuses; a join would multiply the others."""
    rows = OutboxRecord.objects.filter(connection=OuterRef("pk"), status__in=statuses)
    count = rows.order_by().values("connection").annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(count), 0)


def _row(connection: Any, missed: list[Finding], test: str) -> dict[str, Any]:
    waits = connection.is_backing_off and connection.status == Connection.Status.ACTIVE
    why = coded_text(connection.backoff_reason, connection.backoff_details) if waits else ""
    row = {
        "connection": connection.name,
        "status": connection.status,
        "org_id": connection.org_id,
        "data_center": connection.data_center,
        "environment": connection.environment,
        "token_expires_at": _iso(connection.token_expires_at),
        "token_generation": connection.token_generation,
        "due": connection.due,
        "unknown": connection.unknown,
        "needs_review": connection.needs_review,
        "outbox_waiting": connection.outbox_waiting,
        "outbox_needs_person": connection.outbox_needs_person,
        "is_default": connection.is_default,
        "needs_default_user": connection.lacks_default,
        "waits_until": _iso(connection.backoff_until) if waits else None,
        "waits_because": why,
        "worker_seen_at": _iso(connection.worker_seen_at),
        "sweep_seen_at": _iso(connection.sweep_seen_at),
        "missed": [finding.check for finding in missed],
        "test": test,
    }
    shown = connection.get_status_display()
    if connection.lacks_default:
        shown = _("needs a default user")
    elif waits:
        shown = _("waits until %s") % _time(connection.backoff_until)
    kind = connection.backoff_kind if waits else ""
    return {**row, "shown": shown, "kind": kind}


def _missing_text(missed: list[str]) -> str:
    return _("not seen: %s") % ", ".join(missed) if missed else ""


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _time(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "TIME_FORMAT")


def _token(row: Row) -> str:
    expires_at = row["token_expires_at"]
    if expires_at is None or row["status"] != Connection.Status.ACTIVE:
        return "–"
    moment = datetime.fromisoformat(expires_at)
    # An expired access token is no problem: it is renewed when it is needed.
    return _("renewed when needed") if moment <= timezone.now() else _("until %s") % _time(moment)


def _exit_code(row: Row) -> ExitCode:
    needs_person = (
        row["status"] == Connection.Status.NEEDS_RECONNECT
        or row["needs_default_user"]
        or row["kind"] == ConnectionWork.BackoffKind.PERSON
    )
    if needs_person:
        return ExitCode.NEEDS_PERSON
    return ExitCode.ERROR if row["test"] else ExitCode.OK


def _report(rows: list[dict[str, Any]]) -> None:
    problems = Problems()
    for row in rows:
        code = _exit_code(row)
        if code == ExitCode.NEEDS_PERSON:
            message = _("“%s” needs a person. Connect again: manage.py zoho_connect")
            if row["needs_default_user"]:
                message = _(
                    "“%s” needs a default user: choose one in the admin, or with "
                    "manage.py zoho_connect --make-default EMAIL --execute"
                )
            elif row["status"] == Connection.Status.ACTIVE:
                message = _("“%s” needs a person: a scope or a permission is missing at Zoho.")
            problems.add(code, message % row["connection"])
        elif code:
            problems.add(code, _("“%s” did not pass the test.") % row["connection"])
    problems.finish()
