"""What became of the leads of a run that were not converted: by cause, with what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.db.models import Count, Max, Q, QuerySet, TextField, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy

from zoho_crm.models import REFUSED_FIELD, LeadConversion, MassConversion
from zoho_crm.services.plans import TEMPLATE_FIELDS
from zoho_crm.services.presentation import error_code_text, reason_text
from zoho_crm.services.run_statistics import rows_of
from zoho_crm.types import ValueObject, Verdict

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

Status = LeadConversion.Status
#: Statuses of leads that a retry previews again; of the others the outcome is not known yet.
RETRYABLE = (Status.FAILED, Status.PREVIEWED)
#: Statuses of leads that are shown by cause.
CAUSE_STATUSES = (*RETRYABLE, Status.UNKNOWN, Status.NEEDS_REVIEW)
#: Those of which it is not known whether they were converted.
IN_DOUBT = (Status.UNKNOWN, Status.NEEDS_REVIEW)
#: Codes of refusals that another value of the field may end.
VALUE_CODES = ("MANDATORY_NOT_FOUND", "INVALID_DATA", "MAPPING_MISMATCH")
#: The rows of a finished run that a retry previews again.
TO_RETRY = Q(status=Status.FAILED) | Q(status=Status.PREVIEWED, plan__isnull=True)
#: What to do about refused leads, by the code of Zoho's error.
ADVICE_BY_CODE: Mapping[str, StrPromise] = {
    "MANDATORY_NOT_FOUND": gettext_lazy(
        "Fill in the field at Zoho, or choose a value for it in the review, then retry."
    ),
    "INVALID_DATA": gettext_lazy(
        "Correct the value at Zoho, or choose another one in the review, then retry."
    ),
    "MAPPING_MISMATCH": gettext_lazy(
        "Zoho does not offer this value: choose another one in the review, then retry."
    ),
    "DUPLICATE_DATA": gettext_lazy(
        "Another record has this value: let the lead join that record in the review, then retry."
    ),
    "NO_PERMISSION": gettext_lazy(
        "An administrator of Zoho CRM gives the user of the connection this permission; then retry."
    ),
}
#: What to do about leads, by their status.
ADVICE_BY_STATUS: Mapping[str, StrPromise] = {
    Status.FAILED: gettext_lazy("Put that right at Zoho, then retry."),
    Status.PREVIEWED: gettext_lazy("Retry reads them anew; then they can be decided."),
    Status.UNKNOWN: gettext_lazy("The worker goes on checking; do not convert them by hand."),
    Status.NEEDS_REVIEW: gettext_lazy(
        "Look at each in Zoho, then look again here, or close it with a note."
    ),
}


class CauseKey(ValueObject):
    """Which leads of a run have the same cause."""

    status: str
    #: The code of the error; of previewed leads the reason.
    code: str = ""
    #: The API name of the field that was refused; of previewed leads the verdict.
    detail: str = ""


class CauseGroup(ValueObject):
    """Leads of a run with the same cause."""

    key: CauseKey
    count: int
    #: What happened, and what to do.
    text: str
    advice: str

    @property
    def can_be_retried(self) -> bool:
        """Whether these leads may be previewed again once the run has finished."""
        return self.key.status in RETRYABLE

    @property
    def can_be_checked(self) -> bool:
        """Whether Zoho can be asked what became of these leads."""
        return self.key.status in IN_DOUBT


def may_be_set_in_policy(run: MassConversion, key: CauseKey) -> bool:
    """Return whether these leads were refused for a field of the deal that the policy fills in."""
    is_value = key.status == Status.FAILED and key.code in VALUE_CODES
    return is_value and run.rules.deal is not None and key.detail in TEMPLATE_FIELDS.values()


def cause_groups(run: MassConversion, *, limit: int) -> list[CauseGroup]:
    """Return why leads were not converted, the most frequent cause first; two queries."""
    groups = [*_error_groups(run, limit), *_undecided_groups(run, limit)]
    return sorted(groups, key=lambda group: (group.key.status != Status.FAILED, -group.count))


def cause_rows(run: MassConversion, key: CauseKey) -> QuerySet[LeadConversion]:
    """Return the rows of a run's leads that have a cause."""
    rows = rows_of(run).filter(status=key.status)
    if key.status == Status.PREVIEWED:
        return rows.filter(plan__isnull=True, reason=key.code, verdict=key.detail)
    # Compared as it is grouped, even if Zoho names no field, or null.
    field = Coalesce(REFUSED_FIELD, Value(""), output_field=TextField())
    return rows.filter(error_code=key.code).annotate(field=field).filter(field=key.detail)


def _error_groups(run: MassConversion, limit: int) -> list[CauseGroup]:
    statuses = (Status.FAILED, Status.UNKNOWN, Status.NEEDS_REVIEW)
    rows = rows_of(run).filter(status__in=statuses).order_by().annotate(field=REFUSED_FIELD)
    groups = rows.values_list("status", "error_code", "field").annotate(
        number=Count("pk"), example=Max("error_message")
    )
    found = []
    for status, code, field, count, example in groups.order_by("-number")[:limit]:
        text = error_code_text(code, example, [{"api_name": field}])
        advice = ADVICE_BY_CODE.get(code) if status == Status.FAILED else None
        found.append(
            CauseGroup(
                key=CauseKey(status=status, code=code, detail=field or ""),
                count=count,
                text=text or str(Status(status).label),
                advice=str(advice or ADVICE_BY_STATUS[status]),
            )
        )
    return found


def _undecided_groups(run: MassConversion, limit: int) -> list[CauseGroup]:
    if run.stage != MassConversion.Stage.FINISHED:
        return []
    rows = rows_of(run).filter(status=Status.PREVIEWED, plan__isnull=True).order_by()
    groups = rows.values_list("reason", "verdict").annotate(number=Count("pk"))
    found = []
    for reason, verdict, count in groups.order_by("-number")[:limit]:
        like = LeadConversion(reason=reason, verdict=verdict)
        at_zoho = verdict == Verdict.NOT_CONVERTIBLE or reason == "unusable"
        found.append(
            CauseGroup(
                key=CauseKey(status=Status.PREVIEWED, code=reason, detail=verdict),
                count=count,
                text=reason_text(like) or like.get_verdict_display(),
                advice=str(ADVICE_BY_STATUS[Status.FAILED if at_zoho else Status.PREVIEWED]),
            )
        )
    return found
