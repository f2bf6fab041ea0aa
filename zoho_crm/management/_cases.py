"""Leads that a command was asked to convert: looked at, decided, sent, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from zoho_crm.exceptions import PlanError, RequestRefusedError, ZohoError
from zoho_crm.management._conversions import standstill
from zoho_crm.management._exits import ExitCode, code_of, explained
from zoho_crm.management._plans import Wish, plan_for
from zoho_crm.matching import CONVERTIBLE
from zoho_crm.models import IN_PROGRESS, LeadConversion
from zoho_crm.services import convert
from zoho_crm.services.preview import preview
from zoho_crm.types import ConversionPlan, as_json

Status = LeadConversion.Status
#: Statuses that ``zoho_convert`` waits for; UNKNOWN takes too long.
AWAITED = tuple(status for status in IN_PROGRESS if status != Status.UNKNOWN)
#: Where looking at one lead failed so, looking at the next is no use.
HOPELESS = (ExitCode.NEEDS_PERSON, ExitCode.LIMIT)

FIELDS = (
    "lead_id",
    "status",
    "verdict",
    "executed",
    "plan",
    "contact_id",
    "account_id",
    "deal_id",
    "by",
    "evidence",
    "error_code",
    "message",
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One lead: its row, the plan that it would get, and what stands in the way."""

    lead_id: str
    row: LeadConversion | None = None
    plan: ConversionPlan | None = None
    #: Whether it is, or was, on its way to Zoho.
    executed: bool = False
    code: ExitCode = ExitCode.OK
    error_code: str = ""
    message: str = ""

    @property
    def is_under_way(self) -> bool:
        """Whether somebody still has to work it."""
        return self.row is not None and self.row.status in IN_PROGRESS

    def as_line(self) -> dict[str, Any]:
        """Return what programs, and the columns of a table, get."""
        row = self.row or LeadConversion(lead_id=self.lead_id)
        return {
            "lead_id": self.lead_id,
            "status": row.status,
            "verdict": row.verdict,
            "executed": self.executed,
            "plan": as_json(self.plan),
            "contact_id": row.contact_id or None,
            "account_id": row.account_id or None,
            "deal_id": row.deal_id or None,
            "by": row.converted_by or None,
            "evidence": row.evidence or None,
            "error_code": row.error_code or self.error_code or None,
            "message": self.message or row.error_message,
        }


def looked_at(connection_id: int, lead_ids: Iterable[str], wish: Wish) -> list[Case]:
    """Preview leads and say what each would get; one that cannot be looked at says why."""
    cases: list[Case] = []
    hopeless: Case | None = None
    for lead_id in lead_ids:
        case = replace(hopeless, lead_id=lead_id) if hopeless else None
        cases.append(case or _looked_at(connection_id, lead_id, wish))
        if cases[-1].code in HOPELESS and cases[-1].plan is None:
            hopeless = replace(cases[-1], row=None)
    return cases


def _looked_at(connection_id: int, lead_id: str, wish: Wish) -> Case:
    try:
        row = preview(connection_id=connection_id, lead_id=lead_id)
    except ZohoError as error:
        known = LeadConversion.objects.filter(connection_id=connection_id, lead_id=lead_id)
        code = code_of(error)
        return Case(
            lead_id=lead_id,
            row=known.first(),
            code=code,
            error_code=error.code,
            message=explained(error),
        )
    return _decided(Case(lead_id=lead_id, row=row), row, wish)


def _decided(case: Case, row: LeadConversion, wish: Wish) -> Case:
    if row.status != Status.PREVIEWED:
        return settled(replace(case, plan=row.planned(), executed=case.is_under_way))
    try:
        return replace(case, plan=plan_for(row, wish))
    except PlanError as error:
        message = str(error) if row.verdict in CONVERTIBLE else standstill(row)
        return replace(case, code=ExitCode.SOME_FAILED, error_code=error.code, message=message)


def approved(case: Case) -> Case:
    """Have a lead sent as planned, if it has a plan and was not sent before."""
    row, plan = case.row, case.plan
    if row is None or plan is None or row.status != Status.PREVIEWED:
        return case
    try:
        row = convert.approve(conversion_id=row.pk, version=row.version, plan=plan)
    except RequestRefusedError as error:
        code = ExitCode.SOME_FAILED
        return replace(case, code=code, error_code=error.code, message=str(error))
    return replace(case, row=row, executed=True)


def rows_of(cases: Iterable[Case]) -> QuerySet[LeadConversion]:
    """Return the rows that were to be sent, and are not at rest or in doubt."""
    pks = [case.row.pk for case in cases if case.row and case.executed]
    rows: QuerySet[LeadConversion] = LeadConversion.objects.filter(pk__in=pks, status__in=AWAITED)
    return rows


def refreshed(case: Case) -> Case:
    """Read what became of a lead."""
    if case.row is None or not case.executed:
        return case
    case.row.refresh_from_db()
    return settled(case)


def settled(case: Case) -> Case:
    """Say what the status of a row that was to be sent means for whoever asked for it."""
    meaning = {
        Status.UNKNOWN: (
            ExitCode.UNKNOWN,
            _("It was sent, and no answer came. It is being checked: do not convert it by hand."),
        ),
        Status.PREVIEWED: (
            ExitCode.SOME_FAILED,
            _("It was changed at Zoho meanwhile, and was not sent. Look at it again."),
        ),
        Status.FAILED: (ExitCode.SOME_FAILED, ""),
        Status.SKIPPED: (ExitCode.SOME_FAILED, _("Somebody left it out meanwhile.")),
        Status.NEEDS_REVIEW: (ExitCode.SOME_FAILED, ""),
    }
    status = Status(case.row.status) if case.row else Status.NEW
    code, message = meaning.get(status, (ExitCode.OK, ""))
    return replace(case, code=code, message=message)
