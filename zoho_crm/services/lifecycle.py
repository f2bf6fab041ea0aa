"""
The status changes of one lead's row: one function for each event, from the row to a ``Move``.

Nothing here writes to the tables. A conversion is proved by two things only: Zoho's success
answer to our call, or a read that shows the lead converted. A call that may have been processed
makes the row ``UNKNOWN``, until enough reads, late enough and far enough apart, show the lead open.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias

from django.db.models import DateTimeField, Q, Value
from django.db.models.functions import Least
from django.utils.translation import gettext as _

from zoho_crm import client as zoho
from zoho_crm.conf import conf
from zoho_crm.exceptions import AlreadyConvertedError, PlanError, RequestRefusedError, ZohoError
from zoho_crm.matching import Preview, check_plan, propose
from zoho_crm.models import LeadConversion, OutboxRecord, from_now
from zoho_crm.models._database import DbNow
from zoho_crm.models._moves import Move
from zoho_crm.types import (
    ConversionPlan,
    Converted,
    JsonObject,
    Lead,
    Scheduled,
    as_json,
    json_text,
)

Values: TypeAlias = dict[str, Any]

Status = LeadConversion.Status
#: Statuses in which a row of no run, or of one that has ended, can be moved into a run.
MOVABLE = frozenset({Status.NEW, Status.PREVIEWED, Status.SKIPPED, Status.FAILED})
#: Rows that are read from Zoho again before they get a plan: their values were forgotten, or they
#: were closed while nobody knew whether they were converted.
TO_BE_READ_AGAIN = Q(lead_snapshot__isnull=True) | Q(status=Status.SKIPPED, in_doubt=True)
#: Reads in a row that found no lead and are repeated; the next one is believed.
NOT_FOUND_RETRIES = 3
#: Seconds before the first retry; each further one waits twice as long.
FIRST_RETRY_SECONDS = 2.0
#: Seconds until a single conversion that Zoho scheduled is read for the first time.
FIRST_SCHEDULED_READ_SECONDS = 10.0
#: The longest delay of a retry, in units of the setting ``READ_SPACING``.
MAX_RETRY_DELAY_IN_READ_SPACINGS = 5
MAX_RETRY_COUNT = 100
#: The length of the column ``matched_on``.
MAX_LISTED_LENGTH = 200
ALREADY_CONVERTED = "ID_ALREADY_CONVERTED"
#: Columns of a row that no worker acts on, and of a row without an error.
AT_REST: Values = {"due_at": None, "retry_count": 0}
NO_ERROR: Values = {"error_code": "", "error_message": "", "error_details": None}
#: Columns of a row that belongs to no mass conversion.
NO_RUN: Values = {
    **dict.fromkeys(("mass_conversion", "job", "follows")),
    **dict.fromkeys(("joins", "effect", "contact_key", "account_key", "similar_key"), ""),
    "grouping": LeadConversion.Grouping.DONE,
    "run_revision": 0,
}

#: Columns of a row whose retention period is over.
NO_PERSONAL_DATA: Values = {
    **dict.fromkeys(("lead_snapshot", "options_snapshot", "plan", "error_details")),
    **dict.fromkeys(("error_message", "contact_key", "account_key", "similar_key"), ""),
    **dict.fromkeys(("lead_owner_id", "matched_on"), ""),
}


def has_to_be_read_again(row: LeadConversion) -> bool:
    """Return whether ``TO_BE_READ_AGAIN`` is true of a row."""
    return row.lead_snapshot is None or (row.status == Status.SKIPPED and row.in_doubt)


def retry_delay(retry_count: int, first: float = FIRST_RETRY_SECONDS, growth: float = 2.0) -> float:
    """Return the seconds to wait after so many retries in a row; each multiplies them."""
    longest = MAX_RETRY_DELAY_IN_READ_SPACINGS * conf().READ_SPACING
    return min(first * growth ** min(retry_count, 20), longest)


def payload_hash(row: LeadConversion) -> str:
    """Return the SHA-256 of the request body of a row's plan; the journal keeps it."""
    return body_hash(zoho.convert_body(row.stored_plan() or ConversionPlan()))


def body_hash(body: JsonObject) -> str:
    """Return the SHA-256 of a request body as JSON with sorted keys and without white space."""
    return hashlib.sha256(json_text(body, sort_keys=True).encode()).hexdigest()


def error_columns(error: ZohoError) -> Values:
    """Return the columns of a row that hold an error: messages are Zoho's, or empty."""
    columns: Values = {"error_code": error.code[:60] or "REFUSED", "error_message": error.message}
    problems = error.problems
    if error.has_coded_message:  # the sentences of ours may have values
        problems = list(map(_without_message, problems))
    return {**columns, "error_details": problems}


def error_details(error: ZohoError) -> JsonObject:
    """Return what the journal keeps of an error: codes and field names, no personal data."""
    first, *more = [_without_message(problem) for problem in error.problems]
    several = {"errors": [first, *more]} if more else first
    return {"error": type(error).__name__, "code": error.code, **several}


def _without_message(problem: JsonObject) -> JsonObject:
    return {name: value for name, value in problem.items() if name != "message"}


def next_retry_count(row: LeadConversion | OutboxRecord) -> int:
    """Return the number of failed tries in a row after one more, as far as it is counted."""
    return min(row.retry_count + 1, MAX_RETRY_COUNT)


# Preview and approval


def previewed(row: LeadConversion, preview: Preview, *, by: str = "") -> Move:
    """Return the move that stores a preview with its proposed plan, or a conversion it shows."""
    columns: Values = {
        "verdict": preview.verdict,
        "reason": preview.reason[:200],
        **_read_columns(preview),
    }
    if preview.lead and preview.lead.converted:
        return read_converted(row, preview.lead.converted, by=by, **columns)
    values: Values = {**columns, **AT_REST, **NO_ERROR}
    if not _decided_plan_still_fits(row, preview):
        proposal = propose(preview.verdict, preview.options)
        values |= {"plan": as_json(proposal), "decided_by": None}
    details = {"verdict": preview.verdict, "reason": preview.reason}
    return Move(row=row, to=Status.PREVIEWED, by=by, values=values, details=details)


def _read_columns(preview: Preview) -> Values:
    """Return the columns that hold what was read for a preview, and what lists filter by of it."""
    lead, options = preview.lead, preview.options
    return {
        "lead_snapshot": as_json(lead),
        "options_snapshot": as_json(options),
        "lead_owner_id": lead.owner.id[:19] if lead and lead.owner else "",
        "matched_on": _listed(sorted(options.matched_fields())),
        "previewed_at": DbNow(),
    }


def _listed(names: list[str]) -> str:
    """Return names between commas, without the last ones if the column has no room for them."""
    while len(text := ",".join(["", *names, ""])) > MAX_LISTED_LENGTH:
        names = names[:-1]
    return text if names else ""


def _decided_plan_still_fits(row: LeadConversion, preview: Preview) -> bool:
    """Return whether a person decided this row's plan and it still fits; then it is kept."""
    plan = row.stored_plan() if row.decided_by_id else None
    if plan is None:
        return False
    try:
        check_plan(plan, preview.verdict, preview.options)
    except PlanError:
        return False
    return True


def preview_renewed(row: LeadConversion, preview: Preview) -> Move:
    """Return the move of an approved row whose outdated preview was renewed without a change."""
    values: Values = {**_read_columns(preview), "due_at": DbNow(), "retry_count": 0}
    return Move(row=row, to=Status.READY, values=values, details={"renewed": True})


def purged(row: LeadConversion) -> Move:
    """Return the move of a preview whose retention period is over: it has to be made again."""
    values: Values = {**NO_PERSONAL_DATA, "decided_by": None}
    return Move(row=row, to=Status.PREVIEWED, values=values, details={"why": "retention"})


def approved(row: LeadConversion, plan: ConversionPlan, *, by: str = "", **columns: Any) -> Move:
    """
    Return the move that makes a row READY to be sent with this plan.

    :param columns: further columns to set
    """
    wanted = as_json(plan)
    values: Values = {"approved_at": DbNow(), "due_at": DbNow(), **columns}
    values |= {} if wanted == row.plan else {"plan": wanted}
    return Move(row=row, to=Status.READY, by=by, values=values, details={"plan": wanted})


def reset_to_new(row: LeadConversion, *, by: str = "", **details: Any) -> Move:
    """
    Return the move that queues a row for a new preview and decision.

    :param details: for the journal, why
    """
    values: Values = {**NO_ERROR, "due_at": DbNow(), "approved_by": None, "approved_at": None}
    values |= {"retry_count": 0, "negative_reads": 0, "empty_reads": 0, "quiet_until": None}
    return Move(row=row, to=Status.NEW, by=by, values=values, details=details)


def reopened(row: LeadConversion, *, by: str = "", **details: Any) -> Move:
    """Return the move that queues a finished row for a new preview and clears its outcome."""
    move = reset_to_new(row, by=by, **details)
    no_outcome: Values = {"contact_id": "", "account_id": "", "deal_id": "", "converted_by": ""}
    no_outcome |= {"evidence": "", "finished_at": None, "attempts": 0}
    no_outcome |= {"announced_at": None, "signal_lease_until": None}
    return Move(
        row=row, to=move.to, by=by, values={**move.values, **no_outcome}, details=move.details
    )


def check_not_in_run(row: LeadConversion) -> None:
    """
    Raise an error if a row belongs to a mass conversion that has not ended.

    :raises RequestRefusedError: with the code ``in_run``
    """
    if row.is_in_run:
        message = _("This lead is in run %s; decide it there, or cancel that first.")
        raise RequestRefusedError(message % row.mass_conversion, code="in_run")


def detached_from_run(move: Move) -> Move:
    """
    Return the move with columns that take the row out of its mass conversion.

    :raises RequestRefusedError: if that has not ended
    """
    check_not_in_run(move.row)
    return replace(move, values={**move.values, **NO_RUN})


def postponed(row: LeadConversion, error: ZohoError, *, at_once: bool = False) -> Move:
    """Return the move after a failed read: the row is due again after the retry delay, or now."""
    wait = 0.0 if at_once else retry_delay(row.retry_count)
    values: Values = {"retry_count": next_retry_count(row), **_due_column(row, from_now(wait))}
    values |= {"empty_reads": 0} if row.status in (Status.NEW, Status.READY) else {}
    return Move(row=row, to=Status(row.status), values=values, details=error_details(error))


def may_appear_later(row: LeadConversion) -> bool:
    """Return whether a read that did not find the lead is to be repeated before it is believed."""
    return row.empty_reads < NOT_FOUND_RETRIES


def not_found_yet(row: LeadConversion) -> Move:
    """Return the move after a read that did not find the lead: it is read again after a delay."""
    due = _due_column(row, from_now(retry_delay(row.empty_reads)))
    values: Values = {"empty_reads": row.empty_reads + 1, **due}
    return Move(row=row, to=Status(row.status), values=values, details={"read": "nothing"})


def found_again(row: LeadConversion) -> Move:
    """
    Return the move after a read that found a lead which the reads before did not find.

    Only reads in a row prove that there is no such lead, so these do not count any more.
    """
    values: Values = {"empty_reads": 0, **_due_column(row, DbNow())}
    return Move(row=row, to=Status(row.status), values=values, details={"read": "found"})


def _due_column(row: LeadConversion, moment: Any) -> Values:
    """Return the column ``due_at``; none for a row that waits for a job, which makes it due."""
    waits_for_job = row.status == Status.READY and row.effect and row.due_at is None
    return {} if waits_for_job else {"due_at": moment}


# Sending


def claimed(row: LeadConversion, sent: str | None = None) -> Move:
    """
    Return the move that claims a row for sending, to be written before the call.

    :param sent: SHA-256 of the request body, if it is not that of the row's own plan
    """
    values: Values = {"attempts": row.attempts + 1, "due_at": from_now(conf().LEASE), **NO_ERROR}
    return Move(row=row, to=Status.RUNNING, values=values, payload_hash=sent or payload_hash(row))


def answered(row: LeadConversion, answer: Converted | Scheduled) -> Move:
    """Return the move for Zoho's success answer: converted now, or scheduled as a job."""
    if isinstance(answer, Converted):
        by_us = LeadConversion.By.US
        return _converted(row, answer, converted_by=by_us, evidence=LeadConversion.Evidence.ANSWER)
    values: Values = {
        "in_doubt": True,
        "retry_count": 0,
        "due_at": from_now(FIRST_SCHEDULED_READ_SECONDS),
    }
    values |= {"quiet_until": from_now(conf().JOB_HORIZON)}
    return Move(row=row, to=Status.SCHEDULED, values=values, details={"job_id": answer.job_id})


def refused(row: LeadConversion, error: RequestRefusedError) -> Move:
    """Return the move for a refusal: FAILED, or UNKNOWN if an earlier call may have converted."""
    if row.in_doubt:
        return outcome_unknown(row, error, quiet=conf().QUIET_PERIOD, **error_columns(error))
    values: Values = {**_failed(row), **error_columns(error)}
    return Move(row=row, to=Status.FAILED, values=values, details=error_details(error))


def _failed(row: LeadConversion) -> Values:
    reason = "join_refused" if row.joins else row.reason
    return {**AT_REST, "finished_at": DbNow(), "reason": reason}


def already_converted(row: LeadConversion, error: AlreadyConvertedError) -> Move:
    """Return the move for Zoho's answer "already converted": a read has to show its records."""
    evidence = {**error_columns(error), "error_code": ALREADY_CONVERTED}
    return outcome_unknown(row, error, quiet=conf().QUIET_PERIOD, **evidence)


def not_processed(row: LeadConversion, error: ZohoError, *, at_once: bool = False) -> Move:
    """Return the move for a call that was certainly not processed: READY, without the attempt."""
    wait = 0.0 if at_once else retry_delay(row.retry_count)
    values: Values = {"attempts": row.attempts - 1, "retry_count": next_retry_count(row)}
    values |= {"due_at": from_now(wait)}
    return Move(row=row, to=Status.READY, values=values, details=error_details(error))


def answer_lost(
    row: LeadConversion, error: ZohoError | None = None, *, in_flight: float = 0
) -> Move:
    """
    Return the move for a call whose answer was lost or unclear.

    :param in_flight: seconds that the call can still be in flight
    """
    return outcome_unknown(row, error, quiet=in_flight + conf().QUIET_PERIOD, in_doubt=True)


def orphaned(row: LeadConversion) -> Move:
    """Return the move of a RUNNING row whose worker's lease has ended without an answer."""
    move = outcome_unknown(row, None, quiet=0, in_doubt=True, due_at=DbNow())
    assert row.due_at is not None
    quiet_until = row.due_at + timedelta(seconds=_seconds_to_take_effect(row))
    values: Values = {**move.values, "quiet_until": quiet_until}
    return Move(row=row, to=move.to, values=values, details={"orphan": True})


def _seconds_to_take_effect(row: LeadConversion) -> float:
    """Return for how long a call may take effect after nobody waits for it: longer in a job."""
    config = conf()
    return config.JOB_HORIZON + config.MASS_QUIET_PERIOD if row.job_id else config.QUIET_PERIOD


def internal_error(row: LeadConversion, error: BaseException) -> Move:
    """Return the move after an error in our code: UNKNOWN if it may have been sent, else review."""
    details = {"bug": type(error).__name__}
    if row.status == Status.RUNNING:
        quiet = conf().CALL_DEADLINE + _seconds_to_take_effect(row)
        return outcome_unknown(row, None, quiet=quiet, in_doubt=True)
    if row.status == Status.UNKNOWN and not row.is_conclusive:
        # An earlier call may still take effect: a person has to wait for that, too.
        return replace(postponed(row, ZohoError()), details=details)
    if row.status == Status.SCHEDULED and row.quiet_until:
        until = row.quiet_until + timedelta(seconds=conf().MASS_QUIET_PERIOD)
        return outcome_unknown(row, None, quiet=0, quiet_until=until)
    return _needs_review(row, "INTERNAL", details)


def outcome_unknown(
    row: LeadConversion, error: ZohoError | None, *, quiet: float, **values: Any
) -> Move:
    """
    Return the move of a row whose call may have been processed: reads have to settle it.

    :param quiet: seconds until a read may count as "not converted"
    """
    start: Values = {"negative_reads": 0, "empty_reads": 0, "retry_count": 0}
    start |= {"due_at": from_now(FIRST_RETRY_SECONDS), "quiet_until": from_now(quiet)}
    details = error_details(error) if error else {}
    return Move(row=row, to=Status.UNKNOWN, values={**start, **values}, details=details)


# Settling


def read_back(row: LeadConversion, lead: Lead | None, *, is_conclusive: bool) -> Move:
    """
    Return the move after reading the lead of a row that is UNKNOWN or SCHEDULED.

    :param is_conclusive: whether the read began after the quiet period and when it was due
    """
    if lead is None:
        return _empty_read(row, is_over=is_conclusive)
    if lead.converted:
        return read_converted(row, lead.converted)
    if row.status == Status.SCHEDULED:
        return _still_scheduled(row, is_over=is_conclusive)
    return _negative_read(row) if is_conclusive else _early_read(row)


def read_converted(
    row: LeadConversion, outcome: Converted, *, by: str = "", **columns: Any
) -> Move:
    """Return the move for a lead that a read shows converted: by us if the row is in doubt."""
    converted_by = LeadConversion.By.US if row.in_doubt else LeadConversion.By.ELSEWHERE
    evidence = LeadConversion.Evidence.READ
    return _converted(row, outcome, by=by, converted_by=converted_by, evidence=evidence, **columns)


def _converted(row: LeadConversion, outcome: Converted, *, by: str = "", **values: Any) -> Move:
    values |= {**as_json(outcome), **AT_REST, **NO_ERROR, "finished_at": DbNow()}
    details = {**as_json(outcome), "by": values["converted_by"], "evidence": values["evidence"]}
    return Move(row=row, to=Status.CONVERTED, by=by, values=values, details=details)


def _empty_read(row: LeadConversion, *, is_over: bool) -> Move:
    """Return the move after a read that did not find the lead, which proves nothing."""
    settings = conf()
    if row.status == Status.SCHEDULED:
        return _still_scheduled(row, is_over=is_over)
    if (row.empty_reads + 1) * settings.READ_SPACING >= settings.UNKNOWN_HORIZON:
        return _needs_review(row, "UNREADABLE")
    values: Values = {"empty_reads": row.empty_reads + 1, "retry_count": 0}
    values |= {"due_at": from_now(settings.READ_SPACING)}
    return Move(row=row, to=Status.UNKNOWN, values=values, details={"read": "nothing"})


def _early_read(row: LeadConversion) -> Move:
    values: Values = {"due_at": row.quiet_until, "retry_count": 0}
    if row.job_id:  # a job may take hours: its rows are also read before the quiet period ends
        wait = from_now(retry_delay(row.retry_count, FIRST_SCHEDULED_READ_SECONDS))
        values = {"due_at": Least(wait, Value(row.quiet_until, DateTimeField()))}
        values |= {"retry_count": next_retry_count(row)}
    return Move(row=row, to=Status.UNKNOWN, values=values, details={"read": "open", "early": True})


def _still_scheduled(row: LeadConversion, *, is_over: bool) -> Move:
    if is_over:
        return outcome_unknown(row, None, quiet=conf().MASS_QUIET_PERIOD)
    values: Values = {"retry_count": next_retry_count(row)}
    values |= {"due_at": from_now(retry_delay(row.retry_count + 1, FIRST_SCHEDULED_READ_SECONDS))}
    return Move(row=row, to=Status.SCHEDULED, values=values, details={"read": "open"})


def _negative_read(row: LeadConversion) -> Move:
    settings, details = conf(), {"read": "open"}
    count: Values = {"negative_reads": row.negative_reads + 1, "retry_count": 0}
    if row.negative_reads + 1 < settings.NEGATIVE_READS:
        count |= {"due_at": from_now(settings.READ_SPACING)}
        return Move(row=row, to=Status.UNKNOWN, values=count, details=details)
    if row.error_code == ALREADY_CONVERTED:
        return _needs_review(row, row.error_code, details)
    if row.error_code:
        count |= _failed(row)
        return Move(row=row, to=Status.FAILED, values=count, details=details)
    if row.attempts >= settings.MAX_ATTEMPTS:
        return _needs_review(row, "MAX_ATTEMPTS", details)
    count |= {"due_at": DbNow(), "quiet_until": None}
    return Move(row=row, to=Status.READY, values=count, details=details)


def _needs_review(row: LeadConversion, code: str, details: JsonObject | None = None) -> Move:
    values: Values = {**AT_REST, **NO_ERROR, "error_code": code}
    return Move(
        row=row, to=Status.NEEDS_REVIEW, values=values, details={**(details or {}), "why": code}
    )
