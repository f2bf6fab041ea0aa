"""How commands show mass conversions: as rows for programs, as tables and text for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.management._exits import wrong_use
from zoho_crm.management._output import Output, Row, printable
from zoho_crm.models import (
    IN_PROGRESS,
    REFUSED_FIELD,
    LeadConversion,
    MassConversion,
    MassConversionLine,
)
from zoho_crm.services import mass_convert
from zoho_crm.services.presentation import error_code_text, pause_text, source_text
from zoho_crm.types import Verdict

Stage = MassConversion.Stage
Status = LeadConversion.Status
#: Statuses of leads that were not converted and need a person.
REFUSED = (Status.FAILED, Status.NEEDS_REVIEW)
#: How many causes of failures are shown, the most frequent first.
MAX_CAUSES = 5

FIELDS = ("run", "stage", "paused_reason", "counts", "left_out", "estimate")
#: Columns of the table, and the filter for the leads that each counts.
COUNT_FILTERS: Mapping[str, Q] = {
    "leads": Q(),
    "to_be_sent": Q(status=Status.PREVIEWED, plan__isnull=False),
    "undecided": Q(status=Status.PREVIEWED, plan__isnull=True),
    "left_out": Q(status=Status.SKIPPED),
    "in_progress": Q(status__in=IN_PROGRESS),
    "converted": Q(status=Status.CONVERTED),
    "refused": Q(status__in=REFUSED),
}


def _number(name: str) -> Callable[[Row], str]:
    return lambda row: f"{row[name]:,}" if row[name] else "–"


COLUMNS: Mapping[str, Callable[[Row], str]] = {
    "verdict": lambda row: str(row["shown"]),
    **{name.replace("_", " "): _number(name) for name in COUNT_FILTERS},
}

LIST_FIELDS = ("run", "name", "connection", "stage", "paused_reason", "source", "created_at")
LIST_COLUMNS = {
    "run": lambda row: str(row["run"]),
    "name": lambda row: row["name"],
    "connection": lambda row: row["connection"],
    "stage": lambda row: row["shown"],
    "leads from": lambda row: row["source"],
    "created": lambda row: row["created"],
    "": lambda row: row["paused_reason"],
}


def get_run(number: int) -> MassConversion:
    """
    Return the run with this primary key.

    :raises CommandError: if there is no such run
    """
    run = MassConversion.objects.select_related("connection").filter(pk=number).first()
    if run is None:
        message = _("There is no mass conversion %s. To see all: manage.py zoho_mass_convert list")
        raise wrong_use(message % number)
    return run


def rows_of(run: MassConversion) -> QuerySet[LeadConversion]:
    """Return the rows of a run's leads."""
    rows: QuerySet[LeadConversion] = LeadConversion.objects.filter(mass_conversion=run)
    return rows


def run_row(run: MassConversion) -> dict[str, Any]:
    """Return a run's progress as the values for ``FIELDS``."""
    return {
        "run": run.pk,
        "stage": run.stage,
        "paused_reason": pause_text(run),
        "counts": mass_convert.counts(run),
        "left_out": run.lines.count(),
        "estimate": asdict(mass_convert.estimate(run)),
    }


def list_row(run: MassConversion) -> Row:
    """Return a run as the values for ``LIST_FIELDS`` and ``LIST_COLUMNS``."""
    return {
        "run": run.pk,
        "name": run.name,
        "connection": run.connection.name,
        "stage": run.stage,
        "paused_reason": pause_text(run),
        "source": source_text(run),
        "created_at": run.created_at.isoformat(),
        "shown": run.get_stage_display(),
        "created": date_format(timezone.localtime(run.created_at), "SHORT_DATETIME_FORMAT"),
    }


def show_run(run: MassConversion, output: Output) -> None:
    """Write the progress of a run."""
    if not output.is_table:
        output.show([run_row(run)], fields=FIELDS, columns={})
        return
    for line in _heading(run):
        output.write_line(line)
    output.show(_verdicts(run), fields=(), columns=COLUMNS)
    for line in _remarks(run):
        output.write_line(line)


def _heading(run: MassConversion) -> Iterator[str]:
    yield f"{printable(str(run))}: {run.get_stage_display()}"
    if run.paused_reason:
        yield _("It is paused. %s") % pause_text(run)
    words = {
        "connection": run.connection,
        "policy": run.rules.name,
        "source": printable(source_text(run)),
    }
    yield _("%(connection)s, policy “%(policy)s”, leads from: %(source)s") % words


def _verdicts(run: MassConversion) -> list[Row]:
    figures: dict[str, Any] = {
        name: Count("pk", filter=rows) for name, rows in COUNT_FILTERS.items()
    }
    figures["leads"] = Count("pk")
    names = dict(Verdict.__members__)
    groups = rows_of(run).order_by("verdict").values("verdict").annotate(**figures)
    labels = dict(LeadConversion._meta.get_field("verdict").flatchoices)
    order = ["", *names]
    return [
        {**group, "shown": labels.get(group["verdict"]) or _("not previewed yet")}
        for group in sorted(groups, key=lambda group: order.index(group["verdict"]))
    ]


def _remarks(run: MassConversion) -> Iterator[str]:
    following = rows_of(run).filter(COUNT_FILTERS["to_be_sent"]).exclude(follows=None).count()
    if following:
        yield _("Of those to be sent, %s join what another lead of this run creates.") % following
    yield from _lines_left_out(run)
    yield from _causes(run)
    cost = mass_convert.estimate(run)
    if cost.calls:
        message = _("Remaining, estimated: %(calls)s calls, %(credits)s credits, %(time)s.")
        words = {"calls": f"{cost.calls:,}", "credits": f"{cost.credits:,}"}
        yield message % {**words, "time": _duration(cost.seconds)}


def _lines_left_out(run: MassConversion) -> Iterator[str]:
    reasons = run.lines.order_by("reason").values_list("reason").annotate(Count("pk"))
    labels = dict(MassConversionLine.Reason.choices)
    causes = ", ".join(f"{labels[reason]} ({number:,})" for reason, number in reasons)
    if causes:
        yield _("Lines of the source that were left out: %s.") % causes


def _causes(run: MassConversion) -> Iterator[str]:
    """Yield a line for each of the most frequent causes of failures."""
    causes = rows_of(run).filter(COUNT_FILTERS["refused"]).annotate(field=REFUSED_FIELD)
    counted = causes.values("error_code", "error_message", "field").annotate(number=Count("pk"))
    for group in counted.order_by("-number", "error_code")[:MAX_CAUSES]:
        code, field = group["error_code"], group["field"]
        text = error_code_text(code, group["error_message"], [{"api_name": field}])
        cause = " ".join(filter(None, [f"{code}:" if code else "", printable(text, 200)]))
        words = {"number": f"{group['number']:,}", "cause": cause}
        yield _("Not converted: %(number)s, %(cause)s") % words


def _duration(seconds: int) -> str:
    if seconds < 60:
        return ngettext("%s second", "%s seconds", seconds) % seconds
    minutes = round(seconds / 60)
    return ngettext("%s minute", "%s minutes", minutes) % f"{minutes:,}"


def progress_text(run: MassConversion) -> str:
    """Return one sentence on the progress of a run."""
    numbers = rows_of(run).aggregate(
        **{name: Count("pk", filter=rows) for name, rows in COUNT_FILTERS.items() if rows},
        all=Count("pk"),
        new=Count("pk", filter=Q(status=Status.NEW)),
        unknown=Count("pk", filter=Q(status=Status.UNKNOWN)),
    )
    figures = {name: f"{number:,}" for name, number in numbers.items()}
    if run.stage in (Stage.STAGING, Stage.PREVIEWING, Stage.REVIEW):
        figures["seen"] = f"{numbers['all'] - numbers['new']:,}"
        return _("Previewed %(seen)s of %(all)s leads.") % figures
    figures["left"] = f"{numbers['in_progress'] - numbers['unknown'] + numbers['to_be_sent']:,}"
    message = _(
        "%(converted)s converted, %(refused)s refused, %(unknown)s being checked, %(left)s left."
    )
    return message % figures
