"""How commands show mass conversions: as rows for programs, as tables and text for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from zoho_crm.management._exits import wrong_use
from zoho_crm.management._output import Output, Row, printable
from zoho_crm.models import IN_PROGRESS, LeadConversion, MassConversion
from zoho_crm.services import mass_convert
from zoho_crm.services.presentation import pause_text, source_text
from zoho_crm.services.run_statistics import (
    COUNT_FILTERS,
    REFUSED,
    causes,
    duration_text,
    lead_count,
    left_out_lines,
    rows_of,
    verdict_counts,
)

Stage = MassConversion.Stage
Status = LeadConversion.Status
#: How many causes of failures are shown, the most frequent first.
MAX_CAUSES = 5

FIELDS = ("run", "stage", "paused_reason", "counts", "left_out", "estimate")


def _number(name: str) -> Callable[[Row], str]:
    return lambda row: f"{row[name]:,}" if row[name] else "–"


COLUMNS: Mapping[str, Callable[[Row], str]] = {
    "verdict": lambda row: row["label"] or _("not previewed yet"),
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
        message = _("There is no run %s. To see all: manage.py zoho_mass_convert list")
        raise wrong_use(message % number)
    return run


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
    output.show(verdict_counts(run), fields=(), columns=COLUMNS)
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
        yield message % {**words, "time": duration_text(cost.seconds)}


def _lines_left_out(run: MassConversion) -> Iterator[str]:
    reasons = ", ".join(f"{reason} ({number:,})" for reason, number in left_out_lines(run))
    if reasons:
        yield _("Lines of the source that were left out: %s.") % reasons


def _causes(run: MassConversion) -> Iterator[str]:
    """Yield a line for each of the most frequent causes of failures."""
    for each in causes(run, limit=MAX_CAUSES):
        code = f"{each.code}:" if each.code else ""
        cause = " ".join(filter(None, [code, printable(each.example, 200)]))
        words = {"number": f"{each.count:,}", "cause": cause}
        yield _("Not converted: %(number)s, %(cause)s") % words


def progress_text(run: MassConversion) -> str:
    """Return one sentence on the progress of a run."""
    counts = Counter(mass_convert.counts(run))
    numbers = {
        "all": lead_count(counts),
        "seen": lead_count(counts) - counts[Status.NEW],
        "converted": counts[Status.CONVERTED],
        "refused": sum(counts[status] for status in REFUSED),
        "unknown": counts[Status.UNKNOWN],
        "left": sum(counts[status] for status in IN_PROGRESS) + counts["decided"],
    }
    numbers["left"] -= numbers["unknown"]
    figures = {name: f"{number:,}" for name, number in numbers.items()}
    if run.stage in (Stage.STAGING, Stage.PREVIEWING, Stage.REVIEW):
        return _("Previewed %(seen)s of %(all)s leads.") % figures
    message = _(
        "%(converted)s converted, %(refused)s refused, %(unknown)s being checked, %(left)s left."
    )
    return message % figures
