"""The state of a mass conversion in sentences, and which actions are possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm.admin._blockers import Text, find_blockers
from zoho_crm.admin._conversion_states import StateText
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services.presentation import pause_text

Stage = MassConversion.Stage
Status = LeadConversion.Status
Counts: TypeAlias = Mapping[str, int]


def describe_run(run: MassConversion, counts: Counts) -> StateText:
    """Return the description of a run; fetch its connection with its work state first."""
    tone, describe = DESCRIPTIONS[run.stage]
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
    retryable = counts.get(Status.FAILED, 0) + counts.get(Status.PREVIEWED, 0)
    return {
        "can_decide": in_review,
        "can_start": in_review,
        "can_pause": is_running and not run.paused_reason,
        "can_resume": run.is_open and bool(run.paused_reason),
        "can_cancel": run.is_open,
        "can_retry": run.stage == Stage.FINISHED and retryable > 0,
    }


def lead_count(counts: Counts) -> int:
    """Return the number of leads of a run, from its counts by status."""
    return sum(counts.get(status, 0) for status in Status)


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
        _("If that was interrupted, cancel this mass conversion and prepare it anew."),
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
        ready % {"count": decided},
        undecided % {"count": left} if left else "",
        _("The last decisions are still being taken in.") if run.due_at else "",
    ]


def _converting(run: MassConversion, counts: Counts) -> list[Text]:
    return [_progress(counts), _("Closing this page changes nothing; the worker goes on.")]


def _finished(run: MassConversion, counts: Counts) -> list[Text]:
    failed = counts.get(Status.FAILED, 0)
    text = ngettext(
        "%(count)s lead was refused: see why, put that right, then try again.",
        "%(count)s leads were refused: see why, put that right, then try again.",
        failed,
    )
    refused = text % {"count": failed} if failed else ""
    return [_progress(counts), refused, _unconverted(counts)]


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


DESCRIPTIONS: Mapping[str, tuple[str, Callable[[MassConversion, Counts], list[Text]]]] = {
    Stage.STAGING: ("neutral", _staging),
    Stage.PREVIEWING: ("neutral", _previewing),
    Stage.REVIEW: ("warn", _review),
    Stage.CONVERTING: ("neutral", _converting),
    Stage.FINISHED: ("good", _finished),
    Stage.CANCELLED: ("neutral", _cancelled),
}
