"""Conversions: the list, and the whole story of one lead."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from zoho_crm.admin._base import NOTHING, conversion_badge, may, when
from zoho_crm.admin._comparison import label_of
from zoho_crm.admin._conversion_pages import ConversionPages
from zoho_crm.admin._decision import may_decide
from zoho_crm.admin._run_filters import CauseFilter, RunFilter
from zoho_crm.admin._states import can_be_decided, can_be_left_out, is_held, state_of
from zoho_crm.models import LeadConversion
from zoho_crm.services.preview import AT_HAND, REOPENABLE
from zoho_crm.services.sentences import request_of
from zoho_crm.services.settle import IN_DOUBT
from zoho_crm.types import Lead, Match

#: Steps of the journal that the page of a lead shows.
STEPS = 100
#: Who may see whose lead it is.
MAY_SEE_NAMES = ("view_payload_leadconversion", "preview_leadconversion", "approve_leadconversion")


class ConversionList(ChangeList):
    """Reads the lead's name out of its before-image, and leaves the rest of that in the table."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(*args, **kwargs)
        rows = rows.annotate(person=KT("lead_snapshot__name")).select_related(None)
        return rows.select_related("connection").defer("lead_snapshot", "options_snapshot", "plan")


class LeadConversionAdmin(ConversionPages):
    list_filter = ("status", "verdict", RunFilter, CauseFilter, "connection")
    search_fields = ("^lead_id",)
    ordering = ("-pk",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("lead_id", "connection", "mass_conversion"),
                    ("badge", "verdict", "reason"),
                )
            },
        ),
        (
            gettext_lazy("Outcome"),
            {
                "fields": (
                    ("contact_id", "account_id", "deal_id"),
                    ("converted_by", "evidence", "finished_at"),
                    ("error_code", "error_message"),
                )
            },
        ),
        (
            gettext_lazy("Who and when"),
            {
                "fields": (
                    ("decided_by", "approved_by", "policy"),
                    ("previewed_at", "approved_at", "due_at"),
                    ("attempts", "version", "created_at"),
                )
            },
        ),
    )
    readonly_fields: ClassVar = ("badge", "created_at")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ConversionList

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        name = ("name",) if may(request, *MAY_SEE_NAMES) else ()
        return ("lead_id", *name, "connection", "badge", "verdict", "contact_id", "finished_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LeadConversion]:
        rows: QuerySet[LeadConversion] = super().get_queryset(request)
        return rows.select_related(
            "connection__work", "decided_by", "approved_by", "mass_conversion", "follows"
        )

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row: LeadConversion = kwargs["obj"]
        context |= self.state_context(request, row) | journal(row)
        context |= seen(row) if may(request, "view_payload_leadconversion") else {}
        return super().render_change_form(request, context, *args, **kwargs)

    def state_context(self, request: HttpRequest, row: LeadConversion) -> dict[str, Any]:
        return {
            "row": row,
            "state": state_of(row),
            "to_decide": can_be_decided(row),
            "may_decide": may_decide(request, row),
            "to_look_again": row.status in AT_HAND | REOPENABLE and not is_held(row),
            "to_leave_out": can_be_left_out(row),
            "to_settle": row.status in IN_DOUBT,
            "to_follow": not row.is_at_rest,
            "to_close": row.status == LeadConversion.Status.NEEDS_REVIEW,
        }

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def badge(self, row: LeadConversion) -> SafeString:
        return conversion_badge(row)

    @admin.display(description=gettext_lazy("name"))
    def name(self, row: Any) -> str:
        return row.person or NOTHING


def journal(row: LeadConversion) -> dict[str, Any]:
    """Return the latest steps of a row, newest first, and whether there are older ones."""
    steps = list(row.events.order_by("-version")[: STEPS + 1])
    shown = [(step, when(step.at)) for step in steps[:STEPS]]
    return {"steps": shown, "has_older_steps": len(steps) > STEPS}


def seen(row: LeadConversion) -> dict[str, Any]:
    """Return what was read and sent, for those who may see it."""
    lead, plan, options = row.lead_seen(), row.planned(), row.options_seen()
    return {
        "may_see_payload": True,
        "lead": lead,
        "lead_values": _values(lead) if lead else [],
        "matches": [(match, _values(match)) for match in options.contacts + options.accounts],
        "request_sent": json.dumps(request_of(plan), indent=2) if plan else "",
    }


def _values(record: Lead | Match) -> list[tuple[str, str]]:
    return [(label_of(name), value) for name, value in record.fields.items() if value]
