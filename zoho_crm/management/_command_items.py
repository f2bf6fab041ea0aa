"""The leads of one ``zoho_convert`` call: preview, plan, approval and outcome of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from zoho_crm.exceptions import PlanError, RequestRefusedError
from zoho_crm.management._conversions import explain_no_plan
from zoho_crm.management._exits import ExitCode, error_text, exit_code_of
from zoho_crm.management._plans import PlanOptions, undecided_text
from zoho_crm.matching import CONVERTIBLE
from zoho_crm.models import IN_PROGRESS, LeadConversion
from zoho_crm.services import convert, presentation
from zoho_crm.services.plans import plan_for
from zoho_crm.services.states import unknown_text
from zoho_crm.services.work.preview_leads import LeadPreview, preview_leads
from zoho_crm.types import ConversionPlan, as_json

Status = LeadConversion.Status
#: Statuses that ``zoho_convert`` waits for; UNKNOWN takes too long.
AWAITED = tuple(status for status in IN_PROGRESS if status != Status.UNKNOWN)
#: Exit codes of errors of the connection: every further lead would fail in the same way.
CONNECTION_ERRORS = (ExitCode.NEEDS_PERSON, ExitCode.LIMIT)

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
class CommandItem:
    """One lead of a command: its row, its plan, and the exit code and message of its outcome."""

    lead_id: str
    row: LeadConversion | None = None
    plan: ConversionPlan | None = None
    #: Whether this command had it sent, or found it in progress.
    executed: bool = False
    code: ExitCode = ExitCode.OK
    error_code: str = ""
    message: str = ""

    @property
    def is_in_progress(self) -> bool:
        """Return whether the row still has to be worked."""
        return self.row is not None and self.row.status in IN_PROGRESS

    def as_row(self) -> dict[str, Any]:
        """Return the values for ``FIELDS``; an empty id or code is ``None``."""
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
            "message": self.message or presentation.error_text(row, with_values=True),
        }


def preview_items(
    connection_id: int, lead_ids: Sequence[str], plan_options: PlanOptions
) -> list[CommandItem]:
    """Preview leads and return their items in the same order, each with its plan or its error."""
    items: list[CommandItem] = []
    with closing(preview_leads(connection_id=connection_id, lead_ids=lead_ids)) as previews:
        for lead_id, found in previews:
            items.append(_preview_item(connection_id, lead_id, found, plan_options))
            if items[-1].code in CONNECTION_ERRORS and items[-1].plan is None:
                break
    more = lead_ids[len(items) :]
    return [*items, *(replace(items[-1], row=None, lead_id=lead_id) for lead_id in more)]


def _preview_item(
    connection_id: int, lead_id: str, found: LeadPreview, plan_options: PlanOptions
) -> CommandItem:
    if isinstance(found, LeadConversion):
        return _with_plan(CommandItem(lead_id=lead_id, row=found), found, plan_options)
    known = LeadConversion.objects.filter(connection_id=connection_id, lead_id=lead_id)
    return CommandItem(
        lead_id=lead_id,
        row=known.first(),
        code=exit_code_of(found),
        error_code=found.code,
        message=error_text(found),
    )


def _with_plan(item: CommandItem, row: LeadConversion, plan_options: PlanOptions) -> CommandItem:
    if row.status != Status.PREVIEWED:
        return with_outcome(replace(item, plan=row.stored_plan(), executed=item.is_in_progress))
    try:
        return replace(item, plan=plan_for(row, plan_options.policy, plan_options.common))
    except PlanError as error:
        is_convertible = row.verdict in CONVERTIBLE
        message = undecided_text(row, error) if is_convertible else explain_no_plan(row)
        return replace(item, code=ExitCode.SOME_FAILED, error_code=error.code, message=message)


def approve_item(item: CommandItem) -> CommandItem:
    """Approve the plan of a previewed lead; return the item unchanged if it has no plan."""
    row, plan = item.row, item.plan
    if row is None or plan is None or row.status != Status.PREVIEWED:
        return item
    try:
        row = convert.approve(conversion_id=row.pk, version=row.version, plan=plan)
    except RequestRefusedError as error:
        code = ExitCode.SOME_FAILED
        return replace(item, code=code, error_code=error.code, message=str(error))
    return replace(item, row=row, executed=True)


def awaited_rows(items: Iterable[CommandItem]) -> QuerySet[LeadConversion]:
    """Return the rows of executed items that still have to be sent, or wait for Zoho's answer."""
    pks = [item.row.pk for item in items if item.row and item.executed]
    rows: QuerySet[LeadConversion] = LeadConversion.objects.filter(pk__in=pks, status__in=AWAITED)
    return rows


def refresh_item(item: CommandItem) -> CommandItem:
    """Read the row of an executed item again and return the item with its outcome."""
    if item.row is None or not item.executed:
        return item
    item.row.refresh_from_db()
    return with_outcome(item)


def with_outcome(item: CommandItem) -> CommandItem:
    """Return the item with the exit code and the message that its row's status stands for."""
    meaning = {
        Status.UNKNOWN: (ExitCode.UNKNOWN, unknown_text()),
        Status.PREVIEWED: (
            ExitCode.SOME_FAILED,
            _("It was changed at Zoho meanwhile, and was not sent. Preview it again."),
        ),
        Status.FAILED: (ExitCode.SOME_FAILED, ""),
        Status.SKIPPED: (ExitCode.SOME_FAILED, _("It was skipped meanwhile.")),
        Status.NEEDS_REVIEW: (ExitCode.SOME_FAILED, ""),
    }
    status = Status(item.row.status) if item.row else Status.NEW
    code, message = meaning.get(status, (ExitCode.OK, ""))
    return replace(item, code=code, message=message)
