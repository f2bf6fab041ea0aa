"""The leads of a run with what became of each, on the page of the run."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Q
from django.db.models.fields.json import KT
from django.http import HttpRequest
from django.utils.translation import gettext as _

from zoho_crm.admin._base import LEAD_NAME_PERMISSIONS, has_any_permission
from zoho_crm.admin._html import record_html
from zoho_crm.admin.run_results import cause_value, read_cause
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services.display import status_badge
from zoho_crm.services.run_results import CauseKey, cause_rows
from zoho_crm.services.run_statistics import rows_of

Stage = MassConversion.Stage
Status = LeadConversion.Status
ROWS_PER_PAGE = 50
#: Stages in which leads have results; before, the review lists them.
STAGES = (Stage.CONVERTING, Stage.FINISHED, Stage.CANCELLED)


def leads_context(request: HttpRequest, run: MassConversion) -> dict[str, Any]:
    """Return the template variables of the table of leads: a page of all, or of a cause."""
    if run.stage not in STAGES or not has_any_permission(request, "view_leadconversion", of=run):
        return {}
    cause = read_cause(request.GET.get("cause", ""))
    rows = cause_rows(run, cause) if cause else rows_of(run)
    # Only the keys of the pages before are read, which an index has.
    keys = rows.order_by("pk").values_list("pk", flat=True)
    shown = Paginator(keys, ROWS_PER_PAGE).get_page(request.GET.get("p"))
    sees_names = has_any_permission(request, *LEAD_NAME_PERMISSIONS, of=run)
    return {
        "leads": shown,
        "lead_rows": [_line(run, row, sees_names=sees_names) for row in _read(list(shown))],
        "is_of_cause": cause is not None,
        "previous": _query(cause, shown.previous_page_number()) if shown.has_previous() else "",
        "next": _query(cause, shown.next_page_number()) if shown.has_next() else "",
    }


def _read(pks: list[int]) -> Any:
    """Return rows without what is large, but with the name of the lead and the records it joins."""
    facts: dict[str, Any] = {
        "name": KT("lead_snapshot__name"),
        "has_plan": Q(plan__isnull=False),
        "joined_contact": KT("plan__contact_id"),
        "joined_account": KT("plan__account_id"),
    }
    rows = LeadConversion.objects.filter(pk__in=pks).order_by("pk").annotate(**facts)
    return rows.defer("lead_snapshot", "options_snapshot", "plan", "error_details")


def _query(cause: CauseKey | None, page: int) -> str:
    query = {"p": str(page)} | ({"cause": cause_value(cause)} if cause else {})
    return f"?{urlencode(query)}#leads"


def _line(run: MassConversion, row: Any, *, sees_names: bool) -> dict[str, Any]:
    records = (("Contacts", row.contact_id), ("Accounts", row.account_id), ("Deals", row.deal_id))
    return {
        "row": row,
        "name": (row.name if sees_names else "") or row.lead_id,
        "badge": status_badge(row.status, row.get_status_display()),
        "result": _result_text(row),
        "records": [
            record_html(run.connection, module, record_id, is_short=True)
            for module, record_id in records
        ],
        "lead": record_html(run.connection, "Leads", row.lead_id, is_short=True),
    }


def _result_text(row: Any) -> str:
    """Return how a lead was converted, or the code of why not; nothing if that was purged."""
    if row.status != Status.CONVERTED:
        return str(row.error_code)
    if row.converted_by != LeadConversion.By.US:
        return _("elsewhere")
    if not row.has_plan:
        return ""
    if row.joined_contact:
        return _("joined a contact")
    return _("joined an account") if row.joined_account else _("new")
