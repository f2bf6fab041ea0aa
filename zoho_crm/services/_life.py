"""
What each thing that happens to a lead makes of its row: pure, from the row as seen to a move.

Only two things prove an outcome: Zoho's success answer to our call, or a read that shows the lead
converted. Everything else that may have been processed is ``UNKNOWN``, and stays in doubt until
enough reads, late and far enough apart, say that it was not.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias

from django.db.models import DateTimeField, Value
from django.db.models.functions import Least
from django.utils.translation import gettext as _

from zoho_crm.conf import conf
from zoho_crm.exceptions import AlreadyConvertedError, PlanError, RequestRefusedError, ZohoError
from zoho_crm.matching import Preview, check_plan, propose
from zoho_crm.models import DbNow, LeadConversion, Move, from_now
from zoho_crm.services._delays import FIRST_DELAY, SCHEDULED_DELAY, delay
from zoho_crm.services._errors import remembered, said
from zoho_crm.services._payload import payload_hash
from zoho_crm.types import ConversionPlan, Converted, JsonObject, Lead, Scheduled, as_json

Values: TypeAlias = dict[str, Any]

Status = LeadConversion.Status
#: Looks in a row that may find no lead before one is believed.
LOOKS_IN_VAIN = 3
ALREADY_CONVERTED = "ID_ALREADY_CONVERTED"
AT_REST: Values = {"due_at": None, "retry_count": 0}
NO_ERROR: Values = {"error_code": "", "error_message": ""}


# Before anything is sent


def previewed(row: LeadConversion, preview: Preview, *, by: str = "") -> Move:
    """The lead was read, and what it could become."""
    seen: Values = {
        "verdict": preview.verdict,
        "reason": preview.reason[:200],
        "lead_snapshot": as_json(preview.lead),
        "options_snapshot": as_json(preview.options),
        "previewed_at": DbNow(),
    }
    if preview.lead and preview.lead.converted:
        return read_converted(row, preview.lead.converted, by=by, **seen)
    values: Values = {**seen, **AT_REST, **NO_ERROR}
    if not _persons_plan_fits(row, preview):
        proposal = propose(preview.verdict, preview.options)
        values |= {"plan": as_json(proposal), "decided_by": None}
    details = {"verdict": preview.verdict, "reason": preview.reason}
    return Move(row=row, to=Status.PREVIEWED, by=by, values=values, details=details)


def _persons_plan_fits(row: LeadConversion, preview: Preview) -> bool:
    """Whether a person's decision outlives a new look; a machine never replaces one that does."""
    plan = row.planned() if row.decided_by_id else None
    if plan is None:
        return False
    try:
        check_plan(plan, preview.verdict, preview.options)
    except PlanError:
        return False
    return True


def renewed(row: LeadConversion, preview: Preview) -> Move:
    """An old preview was made again and says the same: the approval stands."""
    values: Values = {
        "lead_snapshot": as_json(preview.lead),
        "options_snapshot": as_json(preview.options),
    }
    values |= {"previewed_at": DbNow(), "due_at": DbNow(), "retry_count": 0}
    return Move(row=row, to=Status.READY, values=values, details={"renewed": True})


def approved(row: LeadConversion, plan: ConversionPlan, *, by: str = "", **who: Any) -> Move:
    """Somebody, or a policy, wants it sent exactly so."""
    wanted = as_json(plan)
    values: Values = {"approved_at": DbNow(), "due_at": DbNow(), **who}
    values |= {} if wanted == row.plan else {"plan": wanted}
    return Move(row=row, to=Status.READY, by=by, values=values, details={"plan": wanted})


def afresh(row: LeadConversion, *, by: str = "", **why: Any) -> Move:
    """It has to be looked at again, and decided again."""
    values: Values = {**NO_ERROR, "due_at": DbNow(), "approved_by": None, "approved_at": None}
    values |= {"retry_count": 0, "negative_reads": 0, "empty_reads": 0, "quiet_until": None}
    return Move(row=row, to=Status.NEW, by=by, values=values, details=why)


def reopened(row: LeadConversion, *, by: str = "", **why: Any) -> Move:
    """A person wants to try again what was at rest."""
    move = afresh(row, by=by, **why)
    nothing: Values = {"contact_id": "", "account_id": "", "deal_id": "", "converted_by": ""}
    nothing |= {"evidence": "", "finished_at": None, "announced_at": None, "attempts": 0}
    return Move(row=row, to=move.to, by=by, values={**move.values, **nothing}, details=move.details)


def put_off(row: LeadConversion, error: ZohoError, *, at_once: bool = False) -> Move:
    """A read did not come about; it will be tried again."""
    wait = 0.0 if at_once else delay(row.retry_count)
    values: Values = {"retry_count": min(row.retry_count + 1, 100), **_due(row, from_now(wait))}
    values |= {"empty_reads": 0} if row.status in (Status.NEW, Status.READY) else {}
    return Move(row=row, to=Status(row.status), values=values, details=said(error))


def may_still_be_found(row: LeadConversion) -> bool:
    """Whether a look that found no lead is to be repeated before that is believed."""
    return row.empty_reads < LOOKS_IN_VAIN


def looked_in_vain(row: LeadConversion) -> Move:
    """There seems to be no such lead, which an answer without content may say of any."""
    values: Values = {"empty_reads": row.empty_reads + 1, **_due(row, DbNow())}
    return Move(row=row, to=Status(row.status), values=values, details={"read": "nothing"})


def _due(row: LeadConversion, moment: Any) -> Values:
    """A row that waits for a job is not due by itself."""
    waits_for_job = row.status == Status.READY and row.effect and row.due_at is None
    return {} if waits_for_job else {"due_at": moment}


# Sending


def claimed(row: LeadConversion, sent: str | None = None) -> Move:
    """It is going to be sent: the intent, written before the call."""
    values: Values = {"attempts": row.attempts + 1, "due_at": from_now(conf().LEASE), **NO_ERROR}
    return Move(row=row, to=Status.RUNNING, values=values, payload_hash=sent or payload_hash(row))


def answered(row: LeadConversion, answer: Converted | Scheduled) -> Move:
    """Zoho answered our call."""
    if isinstance(answer, Converted):
        by_us = LeadConversion.By.US
        return _converted(row, answer, converted_by=by_us, evidence=LeadConversion.Evidence.ANSWER)
    values: Values = {"in_doubt": True, "retry_count": 0, "due_at": from_now(SCHEDULED_DELAY)}
    values |= {"quiet_until": from_now(conf().JOB_HORIZON)}
    return Move(row=row, to=Status.SCHEDULED, values=values, details={"job_id": answer.job_id})


def refused(row: LeadConversion, error: RequestRefusedError) -> Move:
    """Zoho refused our call; that is the end only if no earlier one may have been processed."""
    if row.in_doubt:
        return unknown(row, error, quiet=conf().QUIET_PERIOD, **remembered(error))
    values: Values = {**_failed(row), **remembered(error)}
    return Move(row=row, to=Status.FAILED, values=values, details=said(error))


def _failed(row: LeadConversion) -> Values:
    reason = "join_refused" if row.joins else row.reason
    return {**AT_REST, "finished_at": DbNow(), "reason": reason}


def already_converted(row: LeadConversion, error: AlreadyConvertedError) -> Move:
    """Zoho says that it was converted before: evidence to read what it became, never a failure."""
    evidence = {**remembered(error), "error_code": ALREADY_CONVERTED}
    return unknown(row, error, quiet=conf().QUIET_PERIOD, **evidence)


def not_processed(row: LeadConversion, error: ZohoError, *, at_once: bool = False) -> Move:
    """Our call was surely not processed: the attempt is given back."""
    wait = 0.0 if at_once else delay(row.retry_count)
    values: Values = {"attempts": row.attempts - 1, "retry_count": min(row.retry_count + 1, 100)}
    values |= {"due_at": from_now(wait)}
    return Move(row=row, to=Status.READY, values=values, details=said(error))


def lost(row: LeadConversion, error: ZohoError | None = None, *, in_flight: float = 0) -> Move:
    """No clear answer came; the call can have been in flight for so many seconds more."""
    return unknown(row, error, quiet=in_flight + conf().QUIET_PERIOD, in_doubt=True)


def orphaned(row: LeadConversion) -> Move:
    """The worker that sent it has not been heard of since its lease ended."""
    move = unknown(row, None, quiet=0, in_doubt=True, due_at=DbNow())
    assert row.due_at is not None
    mine = conf()
    quiet = mine.JOB_HORIZON + mine.MASS_QUIET_PERIOD if row.job_id else mine.QUIET_PERIOD
    quiet_until = row.due_at + timedelta(seconds=quiet)
    values: Values = {**move.values, "quiet_until": quiet_until}
    return Move(row=row, to=move.to, values=values, details={"orphan": True})


def broken(row: LeadConversion, error: BaseException) -> Move:
    """Our own code failed at this row: doubt if it may have been sent, else a person looks."""
    details = {"bug": type(error).__name__}
    if row.status == Status.RUNNING:
        return lost(row, in_flight=conf().CALL_DEADLINE)
    if row.status == Status.UNKNOWN and not row.is_conclusive:
        return replace(put_off(row, ZohoError()), details=details)  # till nothing can act any more
    if row.status == Status.SCHEDULED and row.quiet_until:
        until = row.quiet_until + timedelta(seconds=conf().MASS_QUIET_PERIOD)
        return unknown(row, None, quiet=0, quiet_until=until)
    why = _("An error in this program; its log says more.")
    return _for_a_person(row, "INTERNAL", why, details)


def unknown(row: LeadConversion, error: ZohoError | None, *, quiet: float, **values: Any) -> Move:
    """Nobody knows whether it was processed; reads say so, after so many quiet seconds."""
    start: Values = {"negative_reads": 0, "empty_reads": 0, "retry_count": 0}
    start |= {"due_at": from_now(FIRST_DELAY), "quiet_until": from_now(quiet)}
    details = said(error) if error else {}
    return Move(row=row, to=Status.UNKNOWN, values={**start, **values}, details=details)


# Settling


def read(row: LeadConversion, lead: Lead | None, *, is_conclusive: bool) -> Move:
    """
    The lead was read back.

    ``is_conclusive``: the read began after the quiet period and far enough from the last one.
    """
    if lead is None:
        return _empty_read(row, is_over=is_conclusive)
    if lead.converted:
        return read_converted(row, lead.converted)
    if row.status == Status.SCHEDULED:
        return _still_scheduled(row, is_over=is_conclusive)
    return _negative_read(row) if is_conclusive else _early_read(row)


def read_converted(row: LeadConversion, became: Converted, *, by: str = "", **seen: Any) -> Move:
    """A read shows the lead converted: by us if some send of ours may have been processed."""
    who = LeadConversion.By.US if row.in_doubt else LeadConversion.By.ELSEWHERE
    evidence = LeadConversion.Evidence.READ
    return _converted(row, became, by=by, converted_by=who, evidence=evidence, **seen)


def _converted(row: LeadConversion, became: Converted, *, by: str = "", **values: Any) -> Move:
    values |= {**as_json(became), **AT_REST, **NO_ERROR, "finished_at": DbNow()}
    details = {**as_json(became), "by": values["converted_by"], "evidence": values["evidence"]}
    return Move(row=row, to=Status.CONVERTED, by=by, values=values, details=details)


def _empty_read(row: LeadConversion, *, is_over: bool) -> Move:
    """Nothing was found, which says nothing; only the time of such reading is counted."""
    mine = conf()
    if row.status == Status.SCHEDULED:
        return _still_scheduled(row, is_over=is_over)
    if (row.empty_reads + 1) * mine.READ_SPACING >= mine.UNKNOWN_HORIZON:
        return _for_a_person(row, "UNREADABLE", _("The lead can no longer be read."))
    values: Values = {"empty_reads": row.empty_reads + 1, "retry_count": 0}
    values |= {"due_at": from_now(mine.READ_SPACING)}
    return Move(row=row, to=Status.UNKNOWN, values=values, details={"read": "nothing"})


def _early_read(row: LeadConversion) -> Move:
    values: Values = {"due_at": row.quiet_until, "retry_count": 0}
    if row.job_id:  # a job may take hours: what it did is found out on the way
        wait = from_now(delay(row.retry_count, SCHEDULED_DELAY))
        values = {"due_at": Least(wait, Value(row.quiet_until, DateTimeField()))}
        values |= {"retry_count": min(row.retry_count + 1, 100)}
    return Move(row=row, to=Status.UNKNOWN, values=values, details={"read": "open", "early": True})


def _still_scheduled(row: LeadConversion, *, is_over: bool) -> Move:
    if is_over:
        return unknown(row, None, quiet=conf().MASS_QUIET_PERIOD)
    values: Values = {"retry_count": min(row.retry_count + 1, 100)}
    values |= {"due_at": from_now(delay(row.retry_count + 1, SCHEDULED_DELAY))}
    return Move(row=row, to=Status.SCHEDULED, values=values, details={"read": "open"})


def _negative_read(row: LeadConversion) -> Move:
    mine, details = conf(), {"read": "open"}
    count: Values = {"negative_reads": row.negative_reads + 1, "retry_count": 0}
    if row.negative_reads + 1 < mine.NEGATIVE_READS:
        count |= {"due_at": from_now(mine.READ_SPACING)}
        return Move(row=row, to=Status.UNKNOWN, values=count, details=details)
    if row.error_code == ALREADY_CONVERTED:
        message = _("Zoho says that this lead was converted, but shows it open.")
        return _for_a_person(row, row.error_code, message, details)
    if row.error_code:
        count |= _failed(row)
        return Move(row=row, to=Status.FAILED, values=count, details=details)
    if row.attempts >= mine.MAX_ATTEMPTS:
        message = _("It was sent several times, and each time no answer came.")
        return _for_a_person(row, "MAX_ATTEMPTS", message, details)
    count |= {"due_at": DbNow(), "quiet_until": None}
    return Move(row=row, to=Status.READY, values=count, details=details)


def _for_a_person(
    row: LeadConversion, code: str, message: str, details: JsonObject | None = None
) -> Move:
    values: Values = {**AT_REST, "error_code": code, "error_message": message}
    return Move(
        row=row, to=Status.NEEDS_REVIEW, values=values, details={**(details or {}), "why": code}
    )
