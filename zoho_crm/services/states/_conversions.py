"""The state of a lead's conversion: what happened, why, what to do next, what is possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.matching import CONVERTIBLE
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services.presentation import error_text, event_text, reason_text
from zoho_crm.services.states._blockers import find_blockers, next_try
from zoho_crm.services.states._sentences import StateText, Text, sentence
from zoho_crm.types import Verdict

Status = LeadConversion.Status
#: Previewed, approved, taken back and previewed again.
FIRST_VERSION_AFTER_APPROVAL = 4


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
    if row.is_in_run and not is_in_review(row):
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
    return [*sentences, next_try(row)]


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
    if row.is_in_run:
        return [*sentences, *_in_run(row)]
    sentences.append(_changed_since_approval(row))
    if row.decided_by:
        sentences.append(_("%s has decided how; nothing is sent yet.") % row.decided_by)
    elif row.plan is None:
        sentences.append(_("A person has to choose."))
    else:
        sentences.append(_("Nothing is sent before somebody agrees."))
    return sentences


def _changed_since_approval(row: LeadConversion) -> str:
    """Return what changed at Zoho between an approval and this preview; empty if nothing did."""
    if row.version < FIRST_VERSION_AFTER_APPROVAL:
        return ""
    event = row.events.filter(version=row.version - 1, from_status=Status.READY).first()
    return event_text(event) if event else ""


def _in_run(row: LeadConversion) -> list[Text]:
    run = row.mass_conversion
    if row.plan is None:
        return [
            _("A person has to choose."),
            _("It is in run %s, and stays as it is until somebody decides.") % run,
        ]
    by = _("%s has decided how.") % row.decided_by if row.decided_by else _("The policy decided.")
    return [
        by,
        _("It joins what the lead %s becomes.") % row.follows.lead_id if row.follows else "",
        _("It is sent with run %s, when somebody starts that.") % run,
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
        next_try(row) if row.retry_count else "",
    ]


def _running(row: LeadConversion) -> list[Text]:
    return [_("The conversion is being sent at this moment.")]


def _scheduled(row: LeadConversion) -> list[Text]:
    return [
        _("Zoho has taken the conversion on and does it later. We look until it is done."),
        _("Do not convert it by hand."),
        next_try(row),
    ]


def _unknown(row: LeadConversion) -> list[Text]:
    return [unknown_text(), next_try(row)]


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
        sentence(ours if by_us else theirs, row.finished_at, row.get_evidence_display()),
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
    if row.is_in_run:
        return [who, _("It is in run %s.") % row.mass_conversion]
    if row.reason == "cancelled":
        who = _("This lead was left out: run %s was cancelled.")
        who %= row.mass_conversion
    event = row.events.filter(to_status=Status.SKIPPED).order_by("-version").first()
    note = event.details.get("note") if event else None
    return [who, _("Note: %s") % note if note else "", _("Look again to take it up once more.")]


def _needs_review(row: LeadConversion) -> list[Text]:
    if row.error_code == "INTERNAL" and not row.attempts and not row.in_doubt:
        nothing_sent = _("Nothing was sent for it; look again.")
        return [error_text(row), nothing_sent]
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
