"""
The state of everything in numbers, for the app's page: always the same number of queries.

Each number is of the connections for which a user may see what it counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Case, Count, Max, Q, QuerySet, Sum, When
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.models import (
    ApiUsage,
    Connection,
    LeadConversion,
    MassConversion,
    OutboxRecord,
    from_now,
)
from zoho_crm.services import heartbeat, tokens, usage, work
from zoho_crm.services.access import Access, Permissions
from zoho_crm.services.presentation import backoff_text, error_code_text
from zoho_crm.services.run_statistics import lead_count, status_counts
from zoho_crm.types import CountedText, ValueObject, ngettext_lazy

Status = LeadConversion.Status
#: Connections, runs and causes that are shown; the lists have all of them.
MAX_CONNECTIONS = 20
MAX_RUNS = 5
MAX_CAUSES = 6
DAYS = 30
HOURS = 24
#: Permissions of which one is needed to see connections, leads, runs and outgoing records here.
VIEW_CONNECTIONS = "view_connection"
VIEW_LEADS = "view_leadconversion"
VIEW_RUNS = "view_massconversion"
VIEW_RECORDS = "view_outboxrecord"
#: The sentence for a number of leads that wait, and how the list is filtered besides, by status.
WAITING_LEADS: Mapping[str, tuple[CountedText, dict[str, str]]] = {
    "PREVIEWED": (
        ngettext_lazy(
            "%(count)s previewed lead waits for a decision",
            "%(count)s previewed leads wait for a decision",
            "count",
        ),
        {"run": "none"},
    ),
    "NEEDS_REVIEW": (
        ngettext_lazy("%(count)s lead needs a person", "%(count)s leads need a person", "count"),
        {},
    ),
    "FAILED": (
        ngettext_lazy(
            "%(count)s lead was refused by Zoho", "%(count)s leads were refused by Zoho", "count"
        ),
        {},
    ),
    "UNKNOWN": (
        ngettext_lazy(
            "%(count)s outcome is unknown; it is being checked",
            "%(count)s outcomes are unknown; they are being checked",
            "count",
        ),
        {},
    ),
}

#: The sentence for a number of outgoing records that wait for a person, by status.
WAITING_RECORDS: Mapping[str, CountedText] = {
    OutboxRecord.Status.NEEDS_REVIEW: ngettext_lazy(
        "%(count)s outgoing record needs a person",
        "%(count)s outgoing records need a person",
        "count",
    ),
    OutboxRecord.Status.REFUSED: ngettext_lazy(
        "%(count)s outgoing record was refused",
        "%(count)s outgoing records were refused",
        "count",
    ),
}


class ConnectionState(ValueObject):
    """A connection, and the way out if it does not work; credits are estimates of 24 hours."""

    connection: Connection
    #: Status as a key of the badges, and its words.
    status: str
    label: str
    way_out: str
    credits_spent: int
    credits_allowed: int
    credits_reserved: int
    #: What the user may do with it.
    may: Permissions


class Heartbeat(ValueObject):
    """Whether the worker, or the sweep, is there; and the command that starts it if not."""

    is_missing: bool
    seen_at: datetime | None
    command: str


class Waiting(ValueObject):
    """A number of rows that wait for a person, and the filter of the list that has them."""

    text: str
    #: Name of the model.
    model: str
    query: dict[str, str]


class RunState(ValueObject):
    """A run with how many of its leads are converted and refused."""

    run: MassConversion
    converted: int
    refused: int
    total: int
    #: What the user may do with it.
    may: Permissions

    @property
    def percent(self) -> int:
        """The share of the leads that are converted."""
        return 100 * self.converted // self.total if self.total else 0


@dataclass(kw_only=True)
class Bar:
    """One interval of a chart: its begin, what it is called and its values, one for each series."""

    begin: datetime
    label: str
    values: list[int] = field(default_factory=list)


class FailureCause(ValueObject):
    """Why a number of leads was refused: an error code, with the words of one of them."""

    code: str
    count: int
    text: str


def connection_states(access: Access) -> list[ConnectionState]:
    """Return the first connections, the default one first, with their credits of 24 hours."""
    rows = Connection.objects.select_related("work").annotate(lacks_default=tokens.lacks_default())
    rows = access.limit(rows, VIEW_CONNECTIONS)
    connections = list(rows.order_by("-is_default", "name")[:MAX_CONNECTIONS])
    spent = dict(_usage_of_a_day(access).values_list("connection").annotate(Sum("credits")))
    return [_connection_state(each, spent.get(each.pk, 0), access) for each in connections]


def _connection_state(connection: Any, spent: int, access: Access) -> ConnectionState:
    label, way_out = str(connection.get_status_display()), ""
    backoff = getattr(connection, "work", None)
    if connection.status == Connection.Status.NEEDS_RECONNECT:
        way_out = _("Its runs wait and nothing is lost. Open it and press “Connect again”.")
    elif connection.lacks_default:
        label = _("needs a default user")
        way_out = _("Open it and make one of its users the default.")
    elif backoff and backoff.backoff_until and backoff.backoff_until > timezone.now():
        way_out = _("It waits and goes on by itself: %s") % backoff_text(backoff)
    return ConnectionState(
        connection=connection,
        status="NEEDS_RECONNECT" if connection.lacks_default else connection.status,
        label=label,
        way_out=way_out,
        credits_spent=spent,
        credits_allowed=usage.allowance(connection),
        credits_reserved=usage.reserve(connection),
        may=Permissions(access, connection),
    )


def heartbeats(states: Sequence[ConnectionState], access: Access) -> dict[str, Heartbeat]:
    """
    Return whether ``worker`` and ``sweep`` act on the connections that a user may see.

    :param states: the first of these connections
    """
    works = [getattr(each.connection, "work", None) for each in states]
    queues = [access.limit(rows, VIEW_CONNECTIONS) for rows in work.queues()]
    overdue = [heartbeat.missing_anywhere(rows) for rows in queues]
    unswept = access.limit(heartbeat.connections_without_sweep(), VIEW_CONNECTIONS)
    seen = [each.seen_at for each in works if each and each.seen_at]
    swept = [each.swept_at for each in works if each and each.swept_at]
    return {
        "worker": Heartbeat(
            is_missing=any(missing.worker for missing in overdue if missing),
            seen_at=max(seen, default=None),
            command=heartbeat.worker_command(),
        ),
        "sweep": Heartbeat(
            is_missing=unswept.exists(),
            seen_at=max(swept, default=None),
            command=heartbeat.BEAT_COMMAND,
        ),
    }


def _usage_of_a_day(access: Access) -> QuerySet[ApiUsage]:
    since = from_now(-usage.DAY_SECONDS)
    rows = ApiUsage.objects.filter(hour__gte=since).order_by()
    return access.limit(rows, VIEW_CONNECTIONS)


def credits_by_hour(access: Access) -> list[Bar]:
    """Return the estimated credits of the last 24 hours, hour by hour, the oldest first."""
    spent = dict(_usage_of_a_day(access).values_list("hour").annotate(Sum("credits")))
    this_hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    hours = [this_hour - timedelta(hours=number) for number in reversed(range(HOURS))]
    return [
        Bar(
            begin=hour,
            label=timezone.localtime(hour).strftime("%H:%M"),
            values=[spent.get(hour, 0)],
        )
        for hour in hours
    ]


def leads_that_wait(access: Access) -> list[Waiting]:
    """Return the leads that wait for a person, as sentences with their number; one query."""
    rows = access.limit(LeadConversion.objects.order_by(), VIEW_LEADS).values("status")
    alone = Count("pk", filter=Q(mass_conversion=None))
    counts = {
        # Those of a run are decided on its pages.
        row["status"]: row["alone"] if row["status"] == Status.PREVIEWED else row["all"]
        for row in rows.annotate(all=Count("pk"), alone=alone)
    }
    return [
        Waiting(
            text=text % {"count": counts[status]},
            model="leadconversion",
            query={"status__exact": status, **more},
        )
        for status, (text, more) in WAITING_LEADS.items()
        if counts.get(status)
    ]


def runs_that_wait(access: Access) -> list[Waiting]:
    """Return the runs that wait for a person, as sentences with their number; one query."""
    found = access.limit(MassConversion.objects.all(), VIEW_RUNS).aggregate(
        review=Count("pk", filter=Q(stage=MassConversion.Stage.REVIEW)),
        paused=Count("pk", filter=~Q(paused_reason="")),
    )
    in_review = ngettext(
        "%(count)s run waits for decisions", "%(count)s runs wait for decisions", found["review"]
    )
    paused = ngettext("%(count)s run is paused", "%(count)s runs are paused", found["paused"])
    each = (
        (in_review, found["review"], {"stage__exact": "REVIEW"}),
        (paused, found["paused"], {"paused": "yes"}),
    )
    return [
        Waiting(text=text % {"count": number}, model="massconversion", query=query)
        for text, number, query in each
        if number
    ]


def records_that_wait(access: Access) -> list[Waiting]:
    """Return the outgoing records that wait for a person; one query."""
    rows = OutboxRecord.objects.order_by().filter(status__in=WAITING_RECORDS)
    rows = access.limit(rows, VIEW_RECORDS)
    counts = dict(rows.values_list("status").annotate(Count("pk")))
    return [
        Waiting(
            text=text % {"count": counts[status]},
            model="outboxrecord",
            query={"status__exact": status},
        )
        for status, text in WAITING_RECORDS.items()
        if status in counts
    ]


def latest_runs(access: Access) -> list[RunState]:
    """Return the latest runs with their progress; two queries."""
    rows = access.limit(MassConversion.objects.select_related("connection"), VIEW_RUNS)
    runs = list(rows.order_by("-pk")[:MAX_RUNS])
    counts = status_counts(runs)
    return [
        RunState(
            run=run,
            converted=counts[run.pk][Status.CONVERTED],
            refused=counts[run.pk][Status.FAILED],
            total=lead_count(counts[run.pk]),
            may=Permissions(access, run),
        )
        for run in runs
    ]


def conversions_by_day(access: Access) -> list[Bar]:
    """Return how many leads we converted, and Zoho refused, on each of the last days; one query."""
    today = timezone.localdate()
    days = [_day(today - timedelta(days=number)) for number in reversed(range(DAYS))]
    # Not the database's own truncation to days, which SQLite calls Python for, row by row.
    ends = [When(finished_at__lt=end.begin, then=number) for number, end in enumerate(days[1:])]
    finished = LeadConversion.objects.filter(
        Q(status=Status.FAILED) | Q(converted_by=LeadConversion.By.US),
        status__in=(Status.FAILED, Status.CONVERTED),
        finished_at__gte=days[0].begin,
    )
    finished = access.limit(finished, VIEW_LEADS)
    groups = finished.order_by().values_list(Case(*ends, default=DAYS - 1), "status")
    counts: Counter[tuple[int, str]] = Counter()
    for number, status, count in groups.annotate(Count("pk")):
        counts[number, status] = count
    for number, day in enumerate(days):
        day.values = [counts[number, Status.CONVERTED], counts[number, Status.FAILED]]
    return days


def _day(day: date) -> Bar:
    begin = timezone.make_aware(datetime.combine(day, time.min))
    return Bar(begin=begin, label=day.isoformat())


def failure_causes(access: Access) -> list[FailureCause]:
    """Return why leads were refused, the most frequent cause first; one query."""
    failed = LeadConversion.objects.filter(status=Status.FAILED).order_by()
    failed = access.limit(failed, VIEW_LEADS)
    groups = failed.values("error_code").annotate(count=Count("pk"), example=Max("error_message"))
    return [
        FailureCause(
            code=group["error_code"],
            count=group["count"],
            text=error_code_text(group["error_code"], group["example"]),
        )
        for group in groups.order_by("-count", "error_code")[:MAX_CAUSES]
    ]
