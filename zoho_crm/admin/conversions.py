"""The list of lead conversions, and the page of one with its journal."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.db.models.fields.json import KT
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from zoho_crm.admin._actions import ActionsMixin
from zoho_crm.admin._base import (
    BY_CONNECTION,
    LEAD_NAME_PERMISSIONS,
    PagesAdmin,
    access_in,
    has_any_permission,
    permitted_connections,
)
from zoho_crm.admin._conversions import shown_values, state_context
from zoho_crm.admin._html import (
    EMPTY_TEXT,
    one_above_the_other,
    person_html,
    record_html,
    time_html,
)
from zoho_crm.admin.conversion_actions import CONVERSION_ACTIONS
from zoho_crm.admin.conversion_filters import ErrorCodeFilter, FinishedFilter, RunFilter
from zoho_crm.models import LeadConversion, with_users
from zoho_crm.services.display import status_badge
from zoho_crm.services.presentation import (
    error_text,
    event_text,
    event_values,
    further_matches_texts,
    request_body,
)
from zoho_crm.types import json_text

#: Events on the page of a conversion.
MAX_EVENTS = 100
#: What the list shows of the snapshot of a lead.
LISTED_VALUES = ("name", "company", "email")


class ConversionChangeList(ChangeList):
    """A change list that reads only who a lead is out of its snapshot."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(*args, **kwargs)
        rows = rows.annotate(
            **{f"snapshot_{each}": KT(f"lead_snapshot__{each}") for each in LISTED_VALUES}
        )
        rows = rows.select_related(None).prefetch_related(None)
        return rows.select_related("connection").defer("lead_snapshot", "options_snapshot", "plan")

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        for row in rows:
            if not may_see_names(request, row):
                for each in LISTED_VALUES:
                    setattr(row, f"snapshot_{each}", None)
        self.result_list = rows


class LeadConversionAdmin(ActionsMixin, PagesAdmin):
    list_actions = CONVERSION_ACTIONS
    empty_list_text = gettext_lazy(
        "No lead has been looked at yet. Press “Preview a lead”; nothing is converted by that."
    )
    list_filter = (
        "status",
        "verdict",
        RunFilter,
        ErrorCodeFilter,
        FinishedFilter,
        "converted_by",
        BY_CONNECTION,
    )
    search_fields = ("^lead_id",)
    ordering = ("-pk",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "company",
                    "email",
                    "badge",
                    "verdict",
                    "mass_conversion",
                    "connection",
                    "lead_record",
                )
            },
        ),
        (
            gettext_lazy("Outcome"),
            {
                "fields": (
                    "contact_record",
                    "account_record",
                    "deal_record",
                    "converted_by",
                    "evidence",
                    "finished",
                    "error",
                    "error_code",
                )
            },
        ),
        (
            gettext_lazy("Who and when"),
            {
                "fields": (
                    "decided_by",
                    "approved_by",
                    "policy",
                    "previewed",
                    "approved",
                    "due",
                    "attempts",
                    "version",
                    "created",
                )
            },
        ),
    )
    columns: ClassVar = {
        "contact_record": "contact_id",
        "account_record": "account_id",
        "deal_record": "deal_id",
        "finished": "finished_at",
        "error": "error_code",
        "previewed": "previewed_at",
        "approved": "approved_at",
        "due": "due_at",
    }
    optional_columns = frozenset(
        {
            *{"verdict", "mass_conversion", "contact_id", "account_id", "deal_id", "converted_by"},
            *{"evidence", "finished_at", "error_code", "decided_by", "approved_by", "policy"},
            *{"previewed_at", "approved_at", "due_at"},
        }
    )
    readonly_fields: ClassVar = (
        "company",
        "email",
        "badge",
        "lead_record",
        "contact_record",
        "account_record",
        "deal_record",
        "finished",
        "error",
        "previewed",
        "approved",
        "due",
        "created",
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ConversionChangeList

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        # Beside the filters there is room for a few columns, so some have two values.
        has_several = permitted_connections(request, *self.view_permissions).count() > 1
        lead = "lead_and_connection" if has_several else "lead_short"
        facts = ("badge_and_verdict", "finished", "contact_short")
        if may_see_names(request):
            return ("name", "company_and_email", *facts, lead)
        return ("lead_id", *facts, *(("connection",) if lead != "lead_short" else ()))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fieldsets without what this row lacks, or this user may not see."""
        hidden = () if may_see_names(request, obj) else ("company", "email")
        fieldsets = super().get_fieldsets(request, obj)
        for _name, options in fieldsets:
            options["fields"] = [each for each in options["fields"] if each not in hidden]
        return fieldsets

    def all_rows(self, request: HttpRequest) -> QuerySet[LeadConversion]:
        rows: QuerySet[LeadConversion] = super().all_rows(request)
        rows = rows.select_related("connection__work", "mass_conversion", "follows")
        return with_users(rows, "decided_by", "approved_by")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row: LeadConversion = kwargs["obj"]
        context |= state_context(request, row) | events_context(row)
        if may_see_names(request, row):
            context["record_name"] = row.lead_name
        if has_any_permission(request, "view_payload_leadconversion", of=row):
            context |= payload_context(row)
        return super().render_change_form(request, context, *args, **kwargs)

    def url_patterns(self) -> list[URLPattern]:
        may_preview, may_approve = "preview_leadconversion", "approve_leadconversion"
        # In a run under review the decisions are made by those who may prepare runs.
        may_prepare = "prepare_massconversion"
        may_resolve, post = "resolve_leadconversion", ("POST",)
        return [
            self.url_pattern("preview/", "conversion_pages.preview_page", may_preview),
            self.url_pattern(
                "<int:pk>/decide/",
                "conversion_pages.decide_page",
                *(may_preview, may_approve, may_prepare),
            ),
            self.url_pattern(
                "<int:pk>/settle/", "conversion_pages.settle_now", may_resolve, methods=post
            ),
            self.url_pattern("<int:pk>/close/", "conversion_pages.close_page", may_resolve),
        ]

    def record_url(self, request: HttpRequest, row: Model) -> str:
        if self.has_view_permission(request, row):
            return self.page_url("change", row.pk)
        return self.page_url("decide", row.pk)

    def journal_link(self, request: HttpRequest, row: Any) -> tuple[str, str] | None:
        return self.events_link(row)

    def row_name(self, request: HttpRequest, row: LeadConversion) -> str:
        is_shown = row.lead_name != row.lead_id and may_see_names(request, row)
        return f"{row.lead_name} ({row.lead_id})" if is_shown else row.lead_id

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def badge(self, row: LeadConversion) -> SafeString:
        return status_badge(row.status, row.get_status_display())

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def badge_and_verdict(self, row: LeadConversion) -> SafeString:
        return one_above_the_other(self.badge(row), row.get_verdict_display())

    @admin.display(description=gettext_lazy("message"))
    def error(self, row: LeadConversion) -> str:
        return error_text(row) or EMPTY_TEXT

    @admin.display(description=gettext_lazy("name"))
    def name(self, row: Any) -> str:
        return person_html(row.snapshot_name or row.lead_id)

    @admin.display(description=gettext_lazy("company"))
    def company(self, row: Any) -> str:
        return person_html(_read(row, "company"))

    @admin.display(description=gettext_lazy("e-mail"))
    def email(self, row: Any) -> str:
        return person_html(_read(row, "email"))

    @admin.display(description=gettext_lazy("company"))
    def company_and_email(self, row: Any) -> SafeString:
        return one_above_the_other(self.company(row), self.email(row))

    @admin.display(description=gettext_lazy("lead"), ordering="lead_id")
    def lead_and_connection(self, row: LeadConversion) -> SafeString:
        return one_above_the_other(self.lead_short(row), person_html(str(row.connection)))

    @admin.display(description=gettext_lazy("lead"))
    def lead_record(self, row: LeadConversion) -> SafeString | str:
        return record_html(row.connection, "Leads", row.lead_id)

    @admin.display(description=gettext_lazy("lead"), ordering="lead_id")
    def lead_short(self, row: LeadConversion) -> SafeString | str:
        return record_html(row.connection, "Leads", row.lead_id, is_short=True)

    @admin.display(description=gettext_lazy("contact"))
    def contact_short(self, row: LeadConversion) -> SafeString | str:
        return record_html(row.connection, "Contacts", row.contact_id, is_short=True)

    @admin.display(description=gettext_lazy("contact"))
    def contact_record(self, row: LeadConversion) -> SafeString | str:
        return record_html(row.connection, "Contacts", row.contact_id)

    @admin.display(description=gettext_lazy("account"))
    def account_record(self, row: LeadConversion) -> SafeString | str:
        return record_html(row.connection, "Accounts", row.account_id)

    @admin.display(description=gettext_lazy("deal"))
    def deal_record(self, row: LeadConversion) -> SafeString | str:
        return record_html(row.connection, "Deals", row.deal_id)

    @admin.display(description=gettext_lazy("finished"), ordering="finished_at")
    def finished(self, row: LeadConversion) -> SafeString | str:
        return time_html(row.finished_at)

    @admin.display(description=gettext_lazy("previewed"))
    def previewed(self, row: LeadConversion) -> SafeString | str:
        return time_html(row.previewed_at)

    @admin.display(description=gettext_lazy("approved"))
    def approved(self, row: LeadConversion) -> SafeString | str:
        return time_html(row.approved_at)

    @admin.display(description=gettext_lazy("next step"))
    def due(self, row: LeadConversion) -> SafeString | str:
        return time_html(row.due_at)

    @admin.display(description=gettext_lazy("created"))
    def created(self, row: LeadConversion) -> SafeString | str:
        return time_html(row.created_at)


def may_see_names(request: HttpRequest, row: LeadConversion | None = None) -> bool:
    """Return whether the user may see who a lead is; without one, who any of them are."""
    if row is None:
        return access_in(request).somewhere(*LEAD_NAME_PERMISSIONS)
    return has_any_permission(request, *LEAD_NAME_PERMISSIONS, of=row)


def _read(row: Any, name: str) -> str:
    """Return what the preview read of a lead, from the list's annotation or the snapshot."""
    if hasattr(row, f"snapshot_{name}"):
        return getattr(row, f"snapshot_{name}") or EMPTY_TEXT
    return (row.lead_snapshot or {}).get(name) or EMPTY_TEXT


# The page of one lead


def events_context(row: LeadConversion) -> dict[str, Any]:
    """Return the latest events of a row, newest first, and whether there are older ones."""
    events = list(row.events.order_by("-version")[: MAX_EVENTS + 1])
    shown = [
        (event, time_html(event.at), event_text(event), event_values(event.details))
        for event in events[:MAX_EVENTS]
    ]
    return {"events": shown, "has_older_events": len(events) > MAX_EVENTS}


def payload_context(row: LeadConversion) -> dict[str, Any]:
    """Return what was read and sent, for users who may see payloads."""
    lead, plan, options = row.stored_lead(), row.stored_plan(), row.stored_options()
    return {
        "may_see_payload": True,
        "lead": lead,
        "lead_values": shown_values(lead) if lead else [],
        "matches": [(match, shown_values(match)) for match in options.contacts + options.accounts],
        "further_matches": further_matches_texts(options),
        "refusal": error_text(row, with_values=True),
        "request_sent": json_text(request_body(plan), line="\n") if plan else "",
    }
