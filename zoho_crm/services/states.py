"""
States of conversions and runs, in sentences: what happened, why, what to do next, what is possible.

A sentence that names an instant or a command of the shell has them as values, so that each user
interface shows them in its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from zoho_crm.matching import CONVERTIBLE
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services import heartbeat, tokens
from zoho_crm.services.presentation import backoff_text, error_text, pause_text, reason_text
from zoho_crm.services.preview import is_in_run
from zoho_crm.services.run_statistics import lead_count
from zoho_crm.types import Verdict

Stage = MassConversion.Stage
Status = LeadConversion.Status
Counts: TypeAlias = Mapping[str, int]


class ShellCommand(str):
    """A command that a person types into a shell."""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A sentence with ``{}`` for each of its values: instants, commands of the shell, texts."""

    text: str
    values: tuple[Any, ...]


Text: TypeAlias = str | Sentence


@dataclass(frozen=True, kw_only=True)
class StateText:
    """The description of a conversion or of a run."""

    sentences: list[Any]
    #: ``good``, ``warn``, ``bad`` or ``neutral``.
    tone: str = "neutral"


def _sentence(text: str, *values: Any) -> Sentence:
    return Sentence(text=text, values=values)


# Conversions


def describe_conversion(row: LeadConversion) -> StateText:
    """Return the description of a row; fetch its connection with its work state first."""
    tone, describe = CONVERSIONS[row.status]
    this_row = LeadConversion.objects.workable().filter(pk=row.pk)
    blockers = find_blockers(row.connection, this_row) if row.due_at else []
    sentences = [sentence for sentence in [*describe(row), *blockers] if sentence]
    return StateText(sentences=sentences, tone=tone)


def is_in_review(row: LeadConversion) -> bool:
    """Return whether the row belongs to a mass conversion that waits for decisions."""
    run = row.mass_conversion
    return run is not None and run.stage == MassConversion.Stage.REVIEW


def can_be_decided(row: LeadConversion) -> bool:
    """Return whether the row can be decided; in a run under review also if it is SKIPPED."""
    if row.verdict not in CONVERTIBLE or row.lead_snapshot is None:
        return False
    if is_in_run(row) and not is_in_review(row):
        return False
    return row.status == Status.PREVIEWED or (is_in_review(row) and row.status == Status.SKIPPED)


def can_be_skipped(row: LeadConversion) -> bool:
    """Return whether a person may skip the row."""
    return row.status in (Status.PREVIEWED, Status.READY)


def _new(row: LeadConversion) -> list[Text]:
    sentences: list[Text] = [
        _("This lead waits to be read from Zoho; the worker does it by itself.")
    ]
    if row.retry_count:
        sentences.append(_("Zoho could not be asked yet; it will be tried again."))
    return [*sentences, _next_try(row)]


def _previewed(row: LeadConversion) -> list[Text]:
    verdict = Verdict(row.verdict)
    if verdict == Verdict.NOT_FOUND:
        return [
            _("Zoho has no such lead: it was deleted, or it belongs to another organisation."),
            _("Check the id and the connection, then look again."),
        ]
    if verdict == Verdict.NOT_CONVERTIBLE:
        return _not_convertible(row)
    if row.lead_snapshot is None:
        return [_("What was read is deleted after a while. Look again to preview the lead anew.")]
    sentences: list[Text] = [reason_text(row)]
    if is_in_run(row):
        return [*sentences, *_in_run(row)]
    if row.decided_by:
        sentences.append(_("%s has decided how; nothing is sent yet.") % row.decided_by)
    elif row.plan is None:
        sentences.append(_("A person has to choose."))
    else:
        sentences.append(_("Nothing is sent before somebody agrees."))
    return sentences


def _in_run(row: LeadConversion) -> list[Text]:
    run = row.mass_conversion
    if row.plan is None:
        return [
            _("A person has to choose."),
            _("It is in the mass conversion %s and stays as it is until then.") % run,
        ]
    by = _("%s has decided how.") % row.decided_by if row.decided_by else _("The policy decided.")
    return [
        by,
        _("It joins what the lead %s becomes.") % row.follows.lead_id if row.follows else "",
        _("It is sent with the mass conversion %s, when somebody starts that.") % run,
    ]


#: What to do about a lead that Zoho would not convert, by the row's reason.
ADVICE_BY_REASON = {
    "locked": gettext_lazy("Unlock it there, then look again."),
    "in_merge": gettext_lazy("Wait until that is done at Zoho, then look again."),
    "approval": gettext_lazy("Have it approved there, then look again."),
    "review": gettext_lazy("Have the review finished there, then look again."),
}


def _not_convertible(row: LeadConversion) -> list[Text]:
    default = _("Put that right at Zoho, then look again.")
    return [reason_text(row), str(ADVICE_BY_REASON.get(row.reason, default))]


def _ready(row: LeadConversion) -> list[Text]:
    by = row.approved_by
    approved = _("%s has approved it.") % by if by else _("The policy has approved it.")
    return [
        approved,
        _("The lead is read once more, and sent if it is still what was shown."),
        _next_try(row) if row.retry_count else "",
    ]


def _running(row: LeadConversion) -> list[Text]:
    return [_("The conversion is being sent at this moment.")]


def _scheduled(row: LeadConversion) -> list[Text]:
    return [
        _("Zoho has taken the conversion on and does it later. We look until it is done."),
        _("Do not convert it by hand."),
        _next_try(row),
    ]


def _unknown(row: LeadConversion) -> list[Text]:
    return [unknown_text(), _next_try(row)]


def unknown_text() -> str:
    """Return what to say of a conversion whose outcome is unknown."""
    return _(
        "We sent the conversion but got no answer. We are checking; do not convert it by hand."
    )


def _converted(row: LeadConversion) -> list[Text]:
    by_us = row.converted_by == LeadConversion.By.US
    ours, theirs = (
        _("It was converted by us, {} (known from {})."),
        _("It was converted elsewhere, {} (known from {})."),
    )
    return [
        _sentence(ours if by_us else theirs, row.finished_at, row.get_evidence_display()),
        *_record_sentences(row),
        _("Decided by %s.") % row.decided_by if row.decided_by else "",
        _("Approved by %s.") % row.approved_by if row.approved_by else "",
    ]


def _record_sentences(row: LeadConversion) -> list[Text]:
    ids = {
        _("It became the contact %s."): row.contact_id,
        _("Its account is %s."): row.account_id,
        _("Its deal is %s."): row.deal_id,
    }
    return [sentence % record_id for sentence, record_id in ids.items() if record_id]


def _failed(row: LeadConversion) -> list[Text]:
    refusal = _("Zoho refused the conversion: %(message)s (%(code)s).")
    return [
        refusal % {"message": error_text(row), "code": row.error_code},
        _("The lead is still open. Correct the lead or the choice, then look again."),
    ]


def _skipped(row: LeadConversion) -> list[Text]:
    by = row.decided_by
    who = _("%s left this lead out.") % by if by else _("This lead was left out.")
    if is_in_run(row):
        return [who, _("It is in the mass conversion %s.") % row.mass_conversion]
    if row.reason == "cancelled":
        who = _("This lead was left out: the mass conversion %s was cancelled.")
        who %= row.mass_conversion
    event = row.events.filter(to_status=Status.SKIPPED).order_by("-version").first()
    note = event.details.get("note") if event else None
    return [who, _("Note: %s") % note if note else "", _("Look again to take it up once more.")]


def _needs_review(row: LeadConversion) -> list[Text]:
    return [
        error_text(row),
        _(
            "The outcome cannot be found out automatically. Look at the lead in Zoho, then look "
            "again here, or close it with a note."
        ),
    ]


CONVERSIONS: Mapping[str, tuple[str, Callable[[LeadConversion], list[Text]]]] = {
    Status.NEW: ("neutral", _new),
    Status.PREVIEWED: ("neutral", _previewed),
    Status.READY: ("neutral", _ready),
    Status.RUNNING: ("neutral", _running),
    Status.SCHEDULED: ("warn", _scheduled),
    Status.UNKNOWN: ("warn", _unknown),
    Status.CONVERTED: ("good", _converted),
    Status.FAILED: ("bad", _failed),
    Status.SKIPPED: ("neutral", _skipped),
    Status.NEEDS_REVIEW: ("warn", _needs_review),
}


def _next_try(row: LeadConversion) -> Text:
    return _sentence(_("Next try: {}"), row.due_at) if row.due_at else ""


# Runs


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
    retryable = counts.get(Status.FAILED, 0) + counts.get(Status.PREVIEWED, 0)
    return {
        "can_decide": in_review,
        "can_start": in_review,
        "can_pause": is_running and not run.paused_reason,
        "can_resume": run.is_open and bool(run.paused_reason),
        "can_cancel": run.is_open,
        "can_retry": run.stage == Stage.FINISHED and retryable > 0,
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


RUNS: Mapping[str, tuple[str, Callable[[MassConversion, Counts], list[Text]]]] = {
    Stage.STAGING: ("neutral", _staging),
    Stage.PREVIEWING: ("neutral", _previewing),
    Stage.REVIEW: ("warn", _review),
    Stage.CONVERTING: ("neutral", _converting),
    Stage.FINISHED: ("good", _finished),
    Stage.CANCELLED: ("neutral", _cancelled),
}


# What keeps due rows from being worked on


def find_blockers(connection: Connection, rows: QuerySet[Any]) -> list[Text]:
    """
    Return why these rows are not worked on now, as sentences; empty if nothing blocks them.

    :param rows: of this connection, without those of paused runs
    """
    if connection.status != Connection.Status.ACTIVE:
        text = _("The connection %s has to be connected again first.")
        if tokens.needs_default(connection.pk):
            text = _("The connection %s needs a default user first: choose one among its tokens.")
        return [text % connection]
    work = getattr(connection, "work", None)
    if work and work.backoff_until and work.backoff_until > timezone.now():
        text = _("The connection waits until {}: {}")
        return [_sentence(text, work.backoff_until, backoff_text(work))]
    return list(_missing_worker_texts(heartbeat.missing_workers(rows)))


def _missing_worker_texts(missing: heartbeat.MissingWorkers | None) -> Iterator[Text]:
    if missing is None:
        return
    if missing.worker:
        at, command = missing.worker_seen_at, heartbeat.worker_command()
        since = _("No worker has been seen since {} on this connection. Start one: {}")
        never = _("No worker has been seen yet. Start one: {}")
        yield _seen_text(since if at else never, at, command)
    if missing.sweep:
        at = missing.sweep_seen_at
        since = _(
            "No sweep, which wakes the workers, has been seen since {} on this connection."
            " Start beat: {}"
        )
        never = _("No sweep, which wakes the workers, has been seen yet. Start beat: {}")
        yield _seen_text(since if at else never, at, heartbeat.BEAT_COMMAND)


def _seen_text(text: str, at: datetime | None, command: str) -> Sentence:
    return _sentence(text, *([at] if at else []), ShellCommand(command))
