"""Admin pages of lead conversions: list, history of one lead, preview, settle and close."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import tasks
from zoho_crm.admin._base import (
    EMPTY_TEXT,
    EXPECTED_ERRORS,
    conversion_badge,
    has_any_permission,
    signed_in_user,
    state_html,
    time_html,
)
from zoho_crm.admin._decision import DecisionPages, may_decide
from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.forms import CloseForm, LookUpForm
from zoho_crm.models import Connection, LeadConversion, MassConversion, with_users
from zoho_crm.services import convert, leads, preview, settle
from zoho_crm.services.presentation import (
    describe_error,
    error_text,
    event_text,
    field_label,
    further_matches_texts,
    request_body,
)
from zoho_crm.services.preview import PREVIEWABLE, REOPENABLE, is_in_run
from zoho_crm.services.settle import IN_DOUBT
from zoho_crm.services.states import (
    can_be_decided,
    can_be_skipped,
    describe_conversion,
)
from zoho_crm.types import Lead, Match, json_text

Status = LeadConversion.Status
#: Events on the page of a conversion.
MAX_EVENTS = 100
#: Leads with one e-mail address that are offered.
MAX_FOUND_LEADS = 100
#: One of these is needed to see the names of leads in the list.
LEAD_NAME_PERMISSIONS = (
    "view_payload_leadconversion",
    "preview_leadconversion",
    "approve_leadconversion",
)
#: Choices of a filter; leads of older runs are reached from the page of their run.
MAX_FILTER_CHOICES = 10
NO_RUN = "none"


class RunFilter(admin.SimpleListFilter):
    """Filter conversions by their mass conversion, or by having none."""

    title = gettext_lazy("mass conversion")
    parameter_name = "run"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        latest = MassConversion.objects.only("name").order_by("-pk")[:MAX_FILTER_CHOICES]
        offered = {str(run.pk): str(run) for run in latest}
        chosen = self.value()
        if chosen and chosen.isdecimal() and chosen not in offered:
            offered[chosen] = f"#{chosen}"
        return [*offered.items(), (NO_RUN, gettext_lazy("in none"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if not chosen:
            return queryset
        if chosen == NO_RUN:
            return queryset.filter(mass_conversion=None)
        known = chosen.isascii() and chosen.isdecimal() and len(chosen) < 19
        return queryset.filter(mass_conversion_id=int(chosen)) if known else queryset.none()


class ErrorCodeFilter(admin.SimpleListFilter):
    """Filter the conversions of a run by their error code."""

    title = gettext_lazy("cause")
    parameter_name = "error_code__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        run_id = request.GET.get(RunFilter.parameter_name, "")
        if not (run_id.isascii() and run_id.isdecimal() and len(run_id) < 19):
            return []
        refused = LeadConversion.objects.filter(
            mass_conversion_id=int(run_id), status=LeadConversion.Status.FAILED
        )
        codes = refused.order_by("error_code").values_list("error_code", flat=True).distinct()
        return [(code, code) for code in codes[:MAX_FILTER_CHOICES]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return queryset if chosen is None else queryset.filter(error_code=chosen)


class ConversionChangeList(ChangeList):
    """A change list that reads only the name out of the snapshot of a lead."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(*args, **kwargs)
        rows = rows.annotate(snapshot_name=KT("lead_snapshot__name"))
        rows = rows.select_related(None).prefetch_related(None)
        return rows.select_related("connection").defer("lead_snapshot", "options_snapshot", "plan")


class LeadConversionAdmin(DecisionPages):
    list_filter = ("status", "verdict", RunFilter, ErrorCodeFilter, "connection")
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
                    ("error_code", "error"),
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
    readonly_fields: ClassVar = ("badge", "error", "created_at")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ConversionChangeList

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        name = ("name",) if has_any_permission(request, *LEAD_NAME_PERMISSIONS) else ()
        return ("lead_id", *name, "connection", "badge", "verdict", "contact_id", "finished_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LeadConversion]:
        rows: QuerySet[LeadConversion] = super().get_queryset(request)
        rows = rows.select_related("connection__work", "mass_conversion", "follows")
        return with_users(rows, "decided_by", "approved_by")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row: LeadConversion = kwargs["obj"]
        context |= self.state_context(request, row) | events_context(row)
        if has_any_permission(request, "view_payload_leadconversion"):
            context |= payload_context(row)
        return super().render_change_form(request, context, *args, **kwargs)

    def state_context(self, request: HttpRequest, row: LeadConversion) -> dict[str, Any]:
        return {
            "row": row,
            "state": state_html(describe_conversion(row)),
            "can_decide": can_be_decided(row),
            "may_decide": may_decide(request, row),
            "can_preview_again": row.status in PREVIEWABLE | REOPENABLE and not is_in_run(row),
            "can_skip": can_be_skipped(row),
            "can_settle": row.status in IN_DOUBT,
            "is_in_progress": not row.is_at_rest,
            "can_close": row.status == LeadConversion.Status.NEEDS_REVIEW,
        }

    def url_patterns(self) -> list[URLPattern]:
        may_preview, may_approve = "preview_leadconversion", "approve_leadconversion"
        # In a run under review the decisions are made by those who may prepare runs.
        may_prepare = "prepare_massconversion"
        may_resolve, post = "resolve_leadconversion", ("POST",)
        return [
            self.url_pattern("preview/", self.preview_view, may_preview),
            self.url_pattern(
                "<int:pk>/decide/", self.decide_view, may_preview, may_approve, may_prepare
            ),
            self.url_pattern("<int:pk>/settle/", self.settle_view, may_resolve, methods=post),
            self.url_pattern("<int:pk>/close/", self.close_view, may_resolve),
        ]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Preview a lead by its id or e-mail address; ask which if several have the address."""
        form = LookUpForm(request.POST or None)
        found: tuple[Lead, ...] = ()
        try:
            found = self._find_leads(form) if form.is_valid() else ()
            if len(found) == 1:
                return self._preview(request, form.cleaned_data["connection"], found[0].id)
        except EXPECTED_ERRORS as error:
            form.add_error(None, describe_error(error))
        return self.render_page(
            request,
            "preview.html",
            page_name=_("Preview a conversion"),
            form=form,
            found=found[:MAX_FOUND_LEADS],
            further_count=len(found[MAX_FOUND_LEADS:]),
        )

    def _find_leads(self, form: LookUpForm) -> tuple[Lead, ...]:
        connection, text = form.cleaned_data["connection"], form.cleaned_data["lead"]
        if not form.by_email:
            return (Lead(id=text),)
        found = leads.find_leads(connection_id=connection.pk, email=text)
        if not found:
            message = _(
                "Zoho finds no open lead with this address; "
                "one that was made in the last minutes may be missing."
            )
            form.add_error("lead", message)
        return found

    def _preview(self, request: HttpRequest, connection: Connection, lead_id: str) -> HttpResponse:
        row = preview.preview(
            connection_id=connection.pk, lead_id=lead_id, by=signed_in_user(request)
        )
        self.log_change(request, row, _("Previewed."))
        return redirect(self.page_url("decide", row.pk))

    def settle_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Settle a conversion with an unknown outcome now, by reading the lead."""
        row = get_object_or_404(LeadConversion, pk=pk)
        before = row.status
        try:
            row = settle.settle(conversion_id=pk)
        except EXPECTED_ERRORS as error:
            messages.error(request, _("Zoho could not be asked. %s") % describe_error(error))
        else:
            self.log_change(request, row, _("Settled by hand."))
            tasks.wake(row.connection_id)
            messages.info(request, _settle_message(before, row))
        return redirect(self.record_url(request, row))

    def close_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the form that closes a conversion that needs a person; on POST close it."""
        row = get_object_or_404(LeadConversion, pk=pk)
        form = CloseForm(request.POST or None, initial={"version": row.version})
        if form.is_valid() and row.status == Status.NEEDS_REVIEW:
            return self._close_with_note(request, row, form)
        page_name = _("Close without converting")
        can_close = row.status == Status.NEEDS_REVIEW
        context = {"original": row, "form": form, "can_close": can_close}
        return self.render_page(request, "close.html", page_name=page_name, **context)

    def _close_with_note(
        self, request: HttpRequest, row: LeadConversion, form: CloseForm
    ) -> HttpResponse:
        try:
            convert.skip(conversion_id=row.pk, by=signed_in_user(request), **form.cleaned_data)
        except RequestRefusedError as error:
            messages.warning(request, str(error))
            return redirect(self.record_url(request, row))
        return self._redirect_with_success(request, row, _("Lead %(lead)s is closed."))

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def badge(self, row: LeadConversion) -> SafeString:
        return conversion_badge(row)

    @admin.display(description=gettext_lazy("message"))
    def error(self, row: LeadConversion) -> str:
        return error_text(row) or EMPTY_TEXT

    @admin.display(description=gettext_lazy("name"))
    def name(self, row: Any) -> str:
        return row.snapshot_name or EMPTY_TEXT


def events_context(row: LeadConversion) -> dict[str, Any]:
    """Return the latest events of a row, newest first, and whether there are older ones."""
    events = list(row.events.order_by("-version")[: MAX_EVENTS + 1])
    shown = [(event, time_html(event.at), event_text(event)) for event in events[:MAX_EVENTS]]
    return {"events": shown, "has_older_events": len(events) > MAX_EVENTS}


def payload_context(row: LeadConversion) -> dict[str, Any]:
    """Return what was read and sent, for users who may see payloads."""
    lead, plan, options = row.stored_lead(), row.stored_plan(), row.stored_options()
    return {
        "may_see_payload": True,
        "lead": lead,
        "lead_values": _values(lead) if lead else [],
        "matches": [(match, _values(match)) for match in options.contacts + options.accounts],
        "further_matches": further_matches_texts(options),
        "refusal": error_text(row, with_values=True),
        "request_sent": json_text(request_body(plan), line="\n") if plan else "",
    }


def _values(record: Lead | Match) -> list[tuple[str, str]]:
    return [(field_label(name), value) for name, value in record.fields.items() if value]


def _settle_message(before: str, row: LeadConversion) -> str:
    if before not in IN_DOUBT:
        return _("There is nothing to check: it is known what became of this lead.")
    if row.status == Status.CONVERTED:
        return _("Zoho shows the lead converted.")
    if row.status in IN_DOUBT:
        return _("Zoho shows the lead open, which proves nothing yet; we go on checking.")
    return _("It is settled: %s.") % row.get_status_display()
