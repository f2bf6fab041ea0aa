"""How fast a run goes, and what it costs: estimates for people who prepare or watch it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.conf import conf
from zoho_crm.models import Connection, LeadConversion, MassConversion, from_now
from zoho_crm.services import mass_convert, usage
from zoho_crm.services.display import grouped
from zoho_crm.services.run_statistics import Progress, duration_text, lead_count, rows_of
from zoho_crm.types import ValueObject, Verdict

Status = LeadConversion.Status
#: Statuses of leads that were sent, or converted elsewhere.
SENT = (
    *(Status.RUNNING, Status.SCHEDULED, Status.UNKNOWN),
    *(Status.CONVERTED, Status.FAILED, Status.NEEDS_REVIEW),
)
#: Seconds in which the leads are counted that the rate is estimated from.
WINDOW_SECONDS = 120
HOUR_SECONDS = 3600
#: Leads an hour from which the rate is given by the minute.
MIN_PER_HOUR_IN_MINUTES = 120
#: Leads that the estimate before a run is for.
EXAMPLE_LEADS = 1000
#: Seconds after its start in which a run has no rate yet.
MIN_SECONDS = 5


class Pace(ValueObject):
    """How fast a run goes; a rate of 0 means that it is not known."""

    per_hour: int
    left: int
    #: Estimated credits that the run's own calls cost, and all calls of its connection in 24 hours.
    credits_of_run: int
    credits_spent: int
    credits_allowed: int
    #: Calls that Zoho refused as too many since the hour in which the run was started.
    refusals: int
    #: Calls that are sent at a time at most.
    limit: int
    #: The lead that was converted last.
    newest: LeadConversion | None


def run_pace(run: MassConversion, progress: Progress, counts: Mapping[str, int]) -> Pace | None:
    """Return how fast a run goes; ``None`` if it does not go. At most seven queries."""
    stage = MassConversion.Stage
    if run.stage not in (stage.PREVIEWING, stage.CONVERTING) or run.paused_reason:
        return None
    is_converting = run.stage == stage.CONVERTING
    since = run.counted_from or run.created_at
    began = (run.started_at if is_converting else None) or run.created_at
    column = "finished_at" if is_converting else "previewed_at"
    sent: dict[str, Any] = {"attempts__gt": 0} if is_converting else {}
    rows = rows_of(run).filter(**{f"{column}__gt": since}, **sent)
    seconds = (timezone.now() - since) / timedelta(seconds=1)
    count = rows.filter(**{f"{column}__gte": from_now(-WINDOW_SECONDS)}).count()
    if count:
        seconds = min(WINDOW_SECONDS, seconds)
    else:  # slower than a lead in that time
        count = rows.count()
    work = getattr(run.connection, "work", None)
    converted = rows_of(run).filter(status=LeadConversion.Status.CONVERTED, attempts__gt=0)
    return Pace(
        per_hour=round(count * HOUR_SECONDS / seconds) if seconds >= MIN_SECONDS else 0,
        left=progress.total - progress.done,
        credits_of_run=credits_of_run(run, counts),
        credits_spent=usage.spent(run.connection_id),
        credits_allowed=usage.allowance(run.connection),
        refusals=usage.refused_since(run.connection_id, began),
        limit=int(work.limit) if work else 0,
        newest=converted.order_by("-finished_at", "-pk").first() if is_converting else None,
    )


def credits_of_run(run: MassConversion, counts: Mapping[str, int]) -> int:
    """
    Return about how many credits the calls of a run cost, by what happened to its leads.

    Calls are counted by hour, kind and connection, not by run. Each lead counts once here, however
    often it was sent or retried. Two queries, which read no lead.

    :param counts: of its leads by status and verdict
    """
    previewed = lead_count(counts) - counts.get(Status.NEW, 0)
    sent = sum(counts.get(status, 0) for status in SENT) - counts.get(Verdict.ALREADY_CONVERTED, 0)
    in_jobs = LeadConversion.objects.filter(job__mass_conversion=run).count()
    routes = mass_convert.Routes(
        jobs=run.jobs.count(), in_jobs=in_jobs, singly=max(0, sent - in_jobs)
    )
    return mass_convert.estimate_of(to_preview=previewed, routes=routes).credits


def run_credits_text(credits: int) -> str:
    """Return how many credits a run has used, as a sentence."""
    text = ngettext(
        "This run has used about %(count)s credit, by what happened to its leads.",
        "This run has used about %(count)s credits, by what happened to its leads.",
        credits,
    )
    return text % {"count": grouped(credits)}


def credits_texts(connection: Connection, least: int, most: int | None = None) -> list[str]:
    """
    Return what is left of the credits of 24 hours, and what happens if more are needed.

    :param least: credits that are needed at least, and ``most`` at most, if that is more
    """
    left = usage.credits_left(connection)
    text = _("About %(left)s credits are left for 24 hours (an estimate).")
    texts = [text % {"left": grouped(left)}]
    if least > left:
        texts.append(_("▲ That is not enough: the run then waits, and goes on by itself."))
    elif (most or 0) > left:
        texts.append(_("▲ That may not be enough: the run then waits, and goes on by itself."))
    return texts


def example_texts(connection: Connection) -> list[str]:
    """Return what a run of some leads costs while it is not known how many there will be."""
    text, _least, _most = _prepare_text(EXAMPLE_LEADS)
    return [text, *credits_texts(connection, 0)]


def prepare_texts(connection: Connection, leads: int) -> list[str]:
    """Return what a run of so many leads costs, and how long it takes, before there is one."""
    text, least, most = _prepare_text(leads)
    return [text, *credits_texts(connection, least, most)]


def _prepare_text(leads: int) -> tuple[str, int, int]:
    """Return the estimate for a new run as a sentence, and its credits at least and at most."""
    preview = mass_convert.estimate_of(to_preview=leads)
    singly = mass_convert.estimate_of(routes=mass_convert.Routes(singly=leads))
    by_jobs = mass_convert.estimate_of(routes=mass_convert.routes_for(leads, [leads]))
    least, most = grouped(by_jobs.credits), grouped(singly.credits)
    facts = {
        "count": grouped(leads),
        "preview": grouped(preview.credits),
        "preview_time": duration_text(preview.seconds),
        "send": _("%(least)s to %(most)s") % {"least": least, "most": most},
        "send_time": duration_text(max(singly.seconds, by_jobs.seconds)),
    }
    if by_jobs.credits >= singly.credits:
        facts["send"] = most
    text = ngettext(
        "Estimate: %(count)s lead takes about %(preview)s credits and %(preview_time)s to preview, "
        "and about %(send)s credits and %(send_time)s to convert.",
        "Estimate: %(count)s leads take about %(preview)s credits and %(preview_time)s to preview, "
        "and about %(send)s credits and %(send_time)s to convert.",
        leads,
    )
    return text % facts, preview.credits + by_jobs.credits, preview.credits + singly.credits


def retention_text() -> str:
    """Return for how long what was read for the previews is kept."""
    days = conf().RETENTION_DAYS
    text = ngettext(
        "Zoho cannot undo this; what was read of the leads and their matches is kept here for "
        "%(count)s day.",
        "Zoho cannot undo this; what was read of the leads and their matches is kept here for "
        "%(count)s days.",
        days,
    )
    return text % {"count": grouped(days)}


def describe_pace(pace: Pace) -> list[str]:
    """Return the rate, the time left, the limit and the credits, as sentences."""
    return list(_pace_texts(pace))


def _rate_text(per_hour: int, left: int) -> str:
    """Return the rate and the time left as a sentence; the rate of slow runs is by the hour."""
    values = {"time": duration_text(round(left * HOUR_SECONDS / per_hour))}
    if per_hour < MIN_PER_HOUR_IN_MINUTES:
        text = ngettext(
            "About %(count)s lead an hour, about %(time)s left (estimates).",
            "About %(count)s leads an hour, about %(time)s left (estimates).",
            per_hour,
        )
        return text % {"count": per_hour, **values}
    per_minute = round(per_hour / 60)
    text = ngettext(
        "About %(count)s lead a minute, about %(time)s left (estimates).",
        "About %(count)s leads a minute, about %(time)s left (estimates).",
        per_minute,
    )
    return text % {"count": grouped(per_minute), **values}


def _pace_texts(pace: Pace) -> Iterator[str]:
    if pace.per_hour:
        yield _rate_text(pace.per_hour, pace.left)
    else:
        yield _("It is too early to say how fast it goes.")
    if pace.refusals:
        slower = ngettext(
            "Since the start Zoho has asked %(count)s time to be sent fewer calls at once; "
            "at most %(limit)s are sent now.",
            "Since the start Zoho has asked %(count)s times to be sent fewer calls at once; "
            "at most %(limit)s are sent now.",
            pace.refusals,
        )
        yield slower % {"count": grouped(pace.refusals), "limit": pace.limit}
    yield run_credits_text(pace.credits_of_run)
    spent, allowed = grouped(pace.credits_spent), grouped(pace.credits_allowed)
    text = _("All calls of this connection in 24 hours: about %(spent)s of %(allowed)s credits.")
    yield text % {"spent": spent, "allowed": allowed}
