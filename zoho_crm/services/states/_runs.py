"""The state of a run: what happens, what a person has to do, what is possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services.presentation import pause_text
from zoho_crm.services.run_results import TO_RETRY
from zoho_crm.services.run_statistics import lead_count
from zoho_crm.services.states._blockers import find_blockers
from zoho_crm.services.states._sentences import StateText, Text

Stage = MassConversion.Stage
Status = LeadConversion.Status
Counts: TypeAlias = Mapping[str, int]


def describe_run(run: MassConversion, counts: Counts) -> StateText:
    """Return the description of a run; fetch its connection with its work state first."""
    tone, describe = RUNS[run.stage]
    this_run = MassConversion.objects.filter(pk=run.pk)
    blockers = find_blockers(run.connection, this_run) if run.due_at else []
    sentences = [
        sentence for sentence in [*describe(run, counts), *_pause(run), *blockers] if sentence
    ]
    return StateText(sentences=sentences, tone="warn" if run.paused_reason else tone)


def available_actions(run: MassConversion, counts: Counts) -> dict[str, bool]:
    """Return which actions the stage of a run allows, as template variables."""
    in_review = run.stage == Stage.REVIEW
    is_running = run.stage in (Stage.PREVIEWING, Stage.CONVERTING)
    has_finished = run.stage == Stage.FINISHED
    return {
        "can_decide": in_review,
        "can_start": in_review and counts["decided"] > 0,
        "can_pause": is_running and not run.paused_reason,
        "can_resume": run.is_open and bool(run.paused_reason),
        "can_cancel": run.is_open,
        "can_retry": has_finished and run.rows.filter(TO_RETRY).exists(),
    }


def _pause(run: MassConversion) -> list[Text]:
    if not run.paused_reason:
        return []
    return [
        _("It stands still: %s") % pause_text(run),
        _("What was sent already is settled meanwhile. Look at the causes, then resume or cancel."),
    ]


def _staging(run: MassConversion, counts: Counts) -> list[Text]:
    if run.filters is not None:
        text = ngettext(
            "%(count)s open lead was read, and %(taken)s taken in; the worker goes on by itself.",
            "%(count)s open leads were read, and %(taken)s taken in; the worker goes on by itself.",
            run.seen,
        )
        return [text % {"count": run.seen, "taken": lead_count(counts)}]
    return [
        _("The leads are being taken in from their source."),
        _("If that was interrupted, cancel this run and prepare it anew."),
    ]


def _previewing(run: MassConversion, counts: Counts) -> list[Text]:
    left = counts.get(Status.NEW, 0)
    text = ngettext(
        "%(count)s lead is still to be read from Zoho; the worker does it by itself.",
        "%(count)s leads are still to be read from Zoho; the worker does it by itself.",
        left,
    )
    return [text % {"count": left}, _("Nothing is converted before somebody starts it.")]


def _review(run: MassConversion, counts: Counts) -> list[Text]:
    decided = counts["decided"]
    left = counts.get(Status.PREVIEWED, 0) - decided
    ready = ngettext(
        "%(count)s lead is decided; it is sent when somebody starts this.",
        "%(count)s leads are decided; they are sent when somebody starts this.",
        decided,
    )
    undecided = ngettext(
        "%(count)s lead has no decision and stays as it is.",
        "%(count)s leads have no decision and stay as they are.",
        left,
    )
    return [
        ready % {"count": decided} if decided else _("No lead is decided: nothing can be started."),
        undecided % {"count": left} if left else "",
        _read_again(counts.get(Status.NEW, 0)),
        _("The last decisions are still being taken in.") if run.due_at else "",
    ]


def _read_again(count: int) -> str:
    text = ngettext(
        "%(count)s lead is being read from Zoho again; it can be started after that.",
        "%(count)s leads are being read from Zoho again; it can be started after that.",
        count,
    )
    return text % {"count": count} if count else ""


def _converting(run: MassConversion, counts: Counts) -> list[Text]:
    return [_progress(counts), _("Closing this page changes nothing; the worker goes on.")]


def _finished(run: MassConversion, counts: Counts) -> list[Text]:
    # Other runs may have taken leads of it since it ended.
    now = dict(run.rows.order_by().values_list("status").annotate(Count("pk")))
    failed = now.get(Status.FAILED, 0)
    refused = ngettext(
        "%(count)s lead was refused: see why, put that right, then retry.",
        "%(count)s leads were refused: see why, put that right, then retry.",
        failed,
    )
    gone = lead_count(counts) - lead_count(now)
    elsewhere = ngettext(
        "%(count)s lead was taken up elsewhere since: in another run, or by itself.",
        "%(count)s leads were taken up elsewhere since: in other runs, or by themselves.",
        gone,
    )
    return [
        _progress(counts),
        refused % {"count": failed} if failed else "",
        _unconverted(now),
        elsewhere % {"count": gone} if gone > 0 else "",
    ]


def _cancelled(run: MassConversion, counts: Counts) -> list[Text]:
    if not lead_count(counts):
        return [_("There is not one lead in its source.")]
    if run.ended_at is None:
        left = _("What was not sent yet is left out; what is under way is still being settled.")
        return [_progress(counts), left]
    return [_progress(counts), _("It was cancelled; what had not been sent was left out.")]


def _unconverted(counts: Counts) -> str:
    left = counts.get(Status.PREVIEWED, 0) + counts.get(Status.SKIPPED, 0)
    text = ngettext(
        "%(count)s lead stays as it was: undecided, left out, or it cannot be converted.",
        "%(count)s leads stay as they were: undecided, left out, or they cannot be converted.",
        left,
    )
    return text % {"count": left} if left else ""


def _progress(counts: Counts) -> str:
    size = lead_count(counts)
    text = ngettext(
        "%(converted)s of %(count)s lead is converted.",
        "%(converted)s of %(count)s leads are converted.",
        size,
    )
    return text % {"converted": counts.get(Status.CONVERTED, 0), "count": size}


RUNS: Mapping[str, tuple[str, Callable[[MassConversion, Counts], list[Text]]]] = {
    Stage.STAGING: ("neutral", _staging),
    Stage.PREVIEWING: ("neutral", _previewing),
    Stage.REVIEW: ("warn", _review),
    Stage.CONVERTING: ("neutral", _converting),
    Stage.FINISHED: ("good", _finished),
    Stage.CANCELLED: ("neutral", _cancelled),
}
