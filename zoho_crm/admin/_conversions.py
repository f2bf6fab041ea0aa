"""Conversions: the list, and the whole story of one lead."""

from __future__ import annotations

import json
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
from zoho_crm.admin._base import NOTHING, TROUBLE, conversion_badge, may, person, when
from zoho_crm.admin._decision import Decision, label_of, may_decide
from zoho_crm.admin._states import can_be_decided, can_be_left_out, is_held, state_of
from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.forms import CloseForm, LookUpForm
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services import convert, leads, preview, settle
from zoho_crm.services.presentation import request_body
from zoho_crm.services.preview import PREVIEWABLE, REOPENABLE
from zoho_crm.services.settle import IN_DOUBT
from zoho_crm.types import Lead, Match

Status = LeadConversion.Status
#: Steps of the journal that the page of a lead shows.
STEPS = 100
#: Who may see whose lead it is.
MAY_SEE_NAMES = ("view_payload_leadconversion", "preview_leadconversion", "approve_leadconversion")
#: Mass conversions that are offered; others are reached from their own page.
MOST = 10
SINGLY = "none"


class RunFilter(admin.SimpleListFilter):
    """The leads of one mass conversion, or those of none."""

    title = gettext_lazy("mass conversion")
    parameter_name = "run"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        latest = MassConversion.objects.only("name").order_by("-pk")[:MOST]
        offered = {str(run.pk): str(run) for run in latest}
        chosen = self.value()
        if chosen and chosen.isdecimal() and chosen not in offered:
            offered[chosen] = f"#{chosen}"
        return [*offered.items(), (SINGLY, gettext_lazy("in none"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if not chosen:
            return queryset
        if chosen == SINGLY:
            return queryset.filter(mass_conversion=None)
        known = chosen.isascii() and chosen.isdecimal() and len(chosen) < 19
        return queryset.filter(mass_conversion_id=int(chosen)) if known else queryset.none()


class CauseFilter(admin.SimpleListFilter):
    """The leads of a mass conversion that were refused for the same cause."""

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
        return [(code, code) for code in codes[:MOST]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return queryset if chosen is None else queryset.filter(error_code=chosen)


class ConversionList(ChangeList):
    """Reads the lead's name out of its before-image, and leaves the rest of that in the table."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(*args, **kwargs)
        rows = rows.annotate(person=KT("lead_snapshot__name")).select_related(None)
        return rows.select_related("connection").defer("lead_snapshot", "options_snapshot", "plan")


class LeadConversionAdmin(Decision):
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
            "to_look_again": row.status in PREVIEWABLE | REOPENABLE and not is_held(row),
            "to_leave_out": can_be_left_out(row),
            "to_settle": row.status in IN_DOUBT,
            "to_follow": not row.is_at_rest,
            "to_close": row.status == LeadConversion.Status.NEEDS_REVIEW,
        }

    def pages(self) -> list[URLPattern]:
        look, approve = "preview_leadconversion", "approve_leadconversion"
        # In a run that waits for decisions these are a matter of those who prepare it.
        decide = "prepare_massconversion"
        resolve, post = "resolve_leadconversion", ("POST",)
        return [
            self.page("preview/", self.preview_view, look),
            self.page("<int:pk>/decide/", self.decide_view, look, approve, decide),
            self.page("<int:pk>/settle/", self.settle_view, resolve, methods=post),
            self.page("<int:pk>/close/", self.close_view, resolve),
        ]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Look a lead up by its id or e-mail address, and see what it could become."""
        form = LookUpForm(request.POST or None)
        found: tuple[Lead, ...] = ()
        try:
            found = self._found(form) if form.is_valid() else ()
            if len(found) == 1:
                return self._previewed(request, form.cleaned_data["connection"], found[0].id)
        except TROUBLE as error:
            form.add_error(None, str(error))
        here = _("Preview a conversion")
        return self.show(request, "preview.html", here=here, form=form, found=found)

    def _found(self, form: LookUpForm) -> tuple[Lead, ...]:
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

    def _previewed(
        self, request: HttpRequest, connection: Connection, lead_id: str
    ) -> HttpResponse:
        row = preview.preview(connection_id=connection.pk, lead_id=lead_id, by=person(request))
        self.log_change(request, row, _("Previewed."))
        return redirect(self.address("decide", row.pk))

    def settle_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Read a lead in doubt back now."""
        row = get_object_or_404(LeadConversion, pk=pk)
        before = row.status
        try:
            row = settle.settle(conversion_id=pk)
        except TROUBLE as error:
            messages.error(request, _("Zoho could not be asked. %s") % error)
        else:
            self.log_change(request, row, _("Settled by hand."))
            tasks.wake(row.connection_id)
            messages.info(request, _settled(before, row))
        return redirect(self.home_of(request, row))

    def close_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Close a lead that needs a person, with a note."""
        row = get_object_or_404(LeadConversion, pk=pk)
        form = CloseForm(request.POST or None, initial={"version": row.version})
        if form.is_valid() and row.status == Status.NEEDS_REVIEW:
            return self._close(request, row, form)
        here = _("Close without converting")
        to_close = row.status == Status.NEEDS_REVIEW
        context = {"original": row, "form": form, "to_close": to_close}
        return self.show(request, "close.html", here=here, **context)

    def _close(self, request: HttpRequest, row: LeadConversion, form: CloseForm) -> HttpResponse:
        try:
            convert.skip(conversion_id=row.pk, by=person(request), **form.cleaned_data)
        except RequestRefusedError as error:
            messages.warning(request, str(error))
            return redirect(self.home_of(request, row))
        return self._done(request, row, _("Lead %s is closed.") % row.lead_name)

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
        "request_sent": json.dumps(request_body(plan), indent=2) if plan else "",
    }


def _values(record: Lead | Match) -> list[tuple[str, str]]:
    return [(label_of(name), value) for name, value in record.fields.items() if value]


def _settled(before: str, row: LeadConversion) -> str:
    if before not in IN_DOUBT:
        return _("There is nothing to check: it is known what became of this lead.")
    if row.status == Status.CONVERTED:
        return _("Zoho shows the lead converted.")
    if row.status in IN_DOUBT:
        return _("Zoho shows the lead open, which proves nothing yet; we go on checking.")
    return _("It is settled: %s.") % row.get_status_display()
