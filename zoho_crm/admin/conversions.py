"""Admin pages of lead conversions: list, history of one lead, preview, decide, settle and close."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.db.models.fields.json import KT
from django.forms import BoundField
from django.forms.boundfield import BoundWidget
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import tasks
from zoho_crm.admin._base import (
    EMPTY_TEXT,
    EXPECTED_ERRORS,
    PagesAdmin,
    has_any_permission,
    readable_choices,
    signed_in_user,
    state_html,
    status_badge,
    time_html,
)
from zoho_crm.exceptions import RequestRefusedError, StaleDecisionError
from zoho_crm.forms import NEW_RECORD, CloseForm, ConversionForm, LookUpForm, VersionForm
from zoho_crm.models import Connection, LeadConversion, MassConversion, with_users
from zoho_crm.services import convert, leads, mass_convert, preview, settle
from zoho_crm.services.choices import Choices
from zoho_crm.services.presentation import (
    describe_error,
    error_text,
    event_text,
    explain_plan,
    field_label,
    further_matches_texts,
    request_body,
    unusable_reason,
)
from zoho_crm.services.preview import PREVIEWABLE, REOPENABLE, is_in_run
from zoho_crm.services.settle import IN_DOUBT
from zoho_crm.services.states import (
    can_be_decided,
    can_be_skipped,
    describe_conversion,
    is_in_review,
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
#: One of these is needed to see the decision about a lead outside of a run under review.
SINGLE_LEAD_PERMISSIONS = ("preview_leadconversion", "approve_leadconversion")
EMPTY_VALUES: tuple[Any, ...] = (None, "", False, [])
#: The field of a lead that corresponds to a field of a match, where the names differ.
LEAD_FIELD_BY_MATCH_FIELD = {
    "Title": "Designation",
    "Employees": "No_of_Employees",
    "Billing_City": "City",
}
#: Columns that are shown first, in this order.
LEADING_COLUMNS = ("Full_Name", "Account_Name", "Email", "Phone", "Website")


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


class LeadConversionAdmin(PagesAdmin):
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
        context |= state_context(request, row) | events_context(row)
        if has_any_permission(request, "view_payload_leadconversion"):
            context |= payload_context(row)
        return super().render_change_form(request, context, *args, **kwargs)

    def url_patterns(self) -> list[URLPattern]:
        may_preview, may_approve = "preview_leadconversion", "approve_leadconversion"
        # In a run under review the decisions are made by those who may prepare runs.
        may_prepare = "prepare_massconversion"
        may_resolve, post = "resolve_leadconversion", ("POST",)
        return [
            self.url_pattern("preview/", preview_page, may_preview),
            self.url_pattern(
                "<int:pk>/decide/", decide_page, may_preview, may_approve, may_prepare
            ),
            self.url_pattern("<int:pk>/settle/", settle_now, may_resolve, methods=post),
            self.url_pattern("<int:pk>/close/", close_page, may_resolve),
        ]

    def record_url(self, request: HttpRequest, row: Model) -> str:
        if self.has_view_permission(request, row):
            return self.page_url("change", row.pk)
        return self.page_url("decide", row.pk)

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def badge(self, row: LeadConversion) -> SafeString:
        return status_badge(row.status, row.get_status_display())

    @admin.display(description=gettext_lazy("message"))
    def error(self, row: LeadConversion) -> str:
        return error_text(row) or EMPTY_TEXT

    @admin.display(description=gettext_lazy("name"))
    def name(self, row: Any) -> str:
        return row.snapshot_name or EMPTY_TEXT


# The page of one lead


def state_context(request: HttpRequest, row: LeadConversion) -> dict[str, Any]:
    """Return the template variables for the state of a row and its possible actions."""
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


# Preview, settle, close


def preview_page(pages: PagesAdmin, request: HttpRequest) -> HttpResponse:
    """Preview a lead by its id or e-mail address; ask which if several have the address."""
    form = LookUpForm(request.POST or None)
    found: tuple[Lead, ...] = ()
    try:
        found = _find_leads(form) if form.is_valid() else ()
        if len(found) == 1:
            connection, by = form.cleaned_data["connection"], signed_in_user(request)
            row = preview.preview(connection_id=connection.pk, lead_id=found[0].id, by=by)
            pages.log_change(request, row, _("Previewed."))
            return redirect(pages.page_url("decide", row.pk))
    except EXPECTED_ERRORS as error:
        form.add_error(None, describe_error(error))
    return pages.render_page(
        request,
        "preview.html",
        page_name=_("Preview a conversion"),
        form=form,
        found=found[:MAX_FOUND_LEADS],
        further_count=len(found[MAX_FOUND_LEADS:]),
    )


def _find_leads(form: LookUpForm) -> tuple[Lead, ...]:
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


def settle_now(pages: PagesAdmin, request: HttpRequest, row: LeadConversion) -> HttpResponse:
    """Settle a conversion with an unknown outcome now, by reading the lead."""
    before = row.status
    try:
        row = settle.settle(conversion_id=row.pk)
    except EXPECTED_ERRORS as error:
        messages.error(request, _("Zoho could not be asked. %s") % describe_error(error))
    else:
        pages.log_change(request, row, _("Settled by hand."))
        tasks.wake(row.connection_id)
        messages.info(request, _settle_message(before, row))
    return redirect(pages.record_url(request, row))


def _settle_message(before: str, row: LeadConversion) -> str:
    if before not in IN_DOUBT:
        return _("There is nothing to check: it is known what became of this lead.")
    if row.status == Status.CONVERTED:
        return _("Zoho shows the lead converted.")
    if row.status in IN_DOUBT:
        return _("Zoho shows the lead open, which proves nothing yet; we go on checking.")
    return _("It is settled: %s.") % row.get_status_display()


def close_page(pages: PagesAdmin, request: HttpRequest, row: LeadConversion) -> HttpResponse:
    """Show the form that closes a conversion that needs a person; on POST close it."""
    can_close = row.status == Status.NEEDS_REVIEW
    form = CloseForm(request.POST or None, initial={"version": row.version})
    if not (form.is_valid() and can_close):
        context = {"original": row, "form": form, "can_close": can_close}
        page_name = _("Close without converting")
        return pages.render_page(request, "close.html", page_name=page_name, **context)
    try:
        convert.skip(conversion_id=row.pk, by=signed_in_user(request), **form.cleaned_data)
    except RequestRefusedError as error:
        return pages.redirect_with_warning(request, row, str(error))
    return redirect_with_name(pages, request, row, _("Lead %(lead)s is closed."))


# Decide


def decide_page(pages: PagesAdmin, request: HttpRequest, row: LeadConversion) -> HttpResponse:
    """Show the form, its confirmation, or the state of a lead that cannot be decided."""
    if not has_any_permission(request, *SINGLE_LEAD_PERMISSIONS) and not is_in_review(row):
        raise PermissionDenied
    page = DecisionPage(pages, request, row)
    if request.method == "POST":
        return page.post()
    if can_be_decided(row):
        return page.show_form()
    return page.render("state.html", _("Convert"), **state_context(request, row))


class DecisionPage:
    """A decision about one lead: the form, then a confirmation of what will happen."""

    def __init__(self, pages: PagesAdmin, request: HttpRequest, row: LeadConversion) -> None:
        self.pages, self.request, self.row = pages, request, row
        #: The run under review that the lead is in.
        self.run = row.mass_conversion if is_in_review(row) else None
        self.lead = row.stored_lead() or Lead(id=row.lead_id)
        self.options = row.stored_options()

    def render(self, template: str, page_name: str, **context: Any) -> HttpResponse:
        title = _("Convert lead: %s") % self.row.lead_name
        context = {"row": self.row, "lead": self.lead, **context}
        return self.pages.render_page(
            self.request, template, page_name=page_name, title=title, original=self.row, **context
        )

    def post(self) -> HttpResponse:
        """Do the step that a button names; without one, show what will happen."""
        row, step = self.row, self.request.POST.get("step", "")
        if not may_decide(self.request, row):
            raise PermissionDenied
        if VersionForm(self.request.POST).seen_version != row.version:
            return self.back(StaleDecisionError())
        if step == "skip" and can_be_skipped(row):
            return self.skip()
        if not can_be_decided(row):
            return self.back(StaleDecisionError())
        offered, problem = available_choices(row.connection)
        form = ConversionForm(self.request.POST, row=row, lead=self.lead, offered=offered)
        if not form.is_valid() or step == "edit":
            return self.show_form(form, problem)
        if step in ("convert", "save"):
            return self.save_or_approve(form, step)
        return self.render(
            "confirm.html",
            _("What will happen"),
            sentences=explain_plan(form.plan(), self.lead, self.options, offered.names),
            chosen=[field for field in form if field.value() not in EMPTY_VALUES],
            run=self.run,
        )

    def show_form(self, form: ConversionForm | None = None, problem: str = "") -> HttpResponse:
        row, lead, options = self.row, self.lead, self.options
        if form is None:
            offered, problem = available_choices(row.connection)
            form = ConversionForm(row=row, lead=lead, offered=offered)
        return self.render(
            "decide.html",
            _("Convert"),
            state=state_html(describe_conversion(row)),
            read_at=time_html(row.previewed_at),
            form=form,
            lead_values=_values(lead),
            comparisons=[
                compare(form["contact"], _("Contacts that match"), lead, options.contacts),
                compare(form["account"], _("Accounts that match"), lead, options.accounts),
            ],
            further_matches=further_matches_texts(options),
            no_deal_reason=problem,
            may_decide=may_decide(self.request, row),
        )

    def save_or_approve(self, form: ConversionForm, step: str) -> HttpResponse:
        service = convert.decide if step == "save" else convert.approve
        text = _("Lead %(lead)s is being converted.")
        if self.run:
            service = mass_convert.decide_one
            text = _("The decision is saved; it is sent with the mass conversion %(run)s.")
        elif step == "save":
            text = _("The decision is saved; nothing was sent.")
        try:
            service(
                conversion_id=self.row.pk,
                version=form.cleaned_data["version"],
                plan=form.plan(),
                by=signed_in_user(self.request),
            )
        except RequestRefusedError as error:
            return self.back(error)
        if self.run or step == "convert":
            tasks.wake(self.row.connection_id)
        return redirect_with_name(self.pages, self.request, self.row, text, run=self.run)

    def skip(self) -> HttpResponse:
        row, by = self.row, signed_in_user(self.request)
        try:
            if self.run:
                mass_convert.decide_one(conversion_id=row.pk, version=row.version, plan=None, by=by)
                tasks.wake(row.connection_id)
            else:
                convert.skip(conversion_id=row.pk, version=row.version, by=by)
        except RequestRefusedError as error:
            return self.back(error)
        return redirect_with_name(self.pages, self.request, row, _("Lead %(lead)s is left out."))

    def back(self, error: RequestRefusedError) -> HttpResponse:
        """Redirect to the decision, which shows the error."""
        here = self.pages.page_url("decide", self.row.pk)
        return self.pages.redirect_with_warning(self.request, self.row, str(error), to=here)


def redirect_with_name(
    pages: PagesAdmin, request: HttpRequest, row: LeadConversion, text: str, **values: Any
) -> HttpResponse:
    """Log and show a text; a lead that it names is an id in the log, which is kept for ever."""
    log, shown = (text % {**values, "lead": each} for each in (row.lead_id, row.lead_name))
    return pages.redirect_with_success(request, row, shown, log=log)


def may_decide(request: HttpRequest, row: LeadConversion) -> bool:
    """Return whether the user may decide about this lead, as part of a run or on its own."""
    return has_any_permission(
        request, "prepare_massconversion" if is_in_review(row) else "approve_leadconversion"
    )


def available_choices(connection: Connection) -> tuple[Choices, str]:
    """Return what a conversion may choose from, and why no deal is possible (empty if one is)."""
    offered, problem = readable_choices(connection)
    if not problem and not offered.pipelines:
        problem = offered.absence_text("pipelines")
    return offered, problem


# The lead beside its matches


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One value of a match, compared to the lead's value."""

    value: str
    #: ``matched``, ``same``, ``differs`` or empty.
    result: str = ""

    @property
    def symbol(self) -> str:
        """Return the sign for the result; empty if the values were not compared."""
        return {"matched": "=", "same": "=", "differs": "≠"}.get(self.result, "")

    @property
    def result_text(self) -> str:
        """Return the result in words, for screen readers."""
        texts = {"matched": _("matched"), "same": _("the same"), "differs": _("differs")}
        return texts.get(self.result, "")


@dataclass(frozen=True, kw_only=True)
class MatchOption:
    """One radio button: a match, or a new record."""

    radio: SafeString
    for_id: str
    label: str
    #: Empty for a new record.
    record_id: str
    cells: list[Cell]
    #: Labels of the fields that matched, with commas.
    matched_on: str = ""
    #: Why the match cannot be chosen; empty if it can.
    unusable_reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The lead and its matches as the table of one radio group."""

    field: BoundField
    caption: str
    columns: list[str]
    lead_values: list[str]
    options: list[MatchOption]

    @property
    def column_count(self) -> int:
        """Return the number of columns, with those of the choice and of the matched fields."""
        return len(self.columns) + 2


def compare(field: BoundField, caption: str, lead: Lead, matches: tuple[Match, ...]) -> Comparison:
    """Return the lead's values and those of its matches, as options of a radio group."""
    names = _columns(matches)
    widgets = {str(widget.data["value"]): widget for widget in field.subwidgets}
    options = [(widgets[match.id], match) for match in matches]
    return Comparison(
        field=field,
        caption=caption,
        columns=[field_label(name) for name in names],
        lead_values=[lead_value(lead, name) for name in names],
        options=[
            *(_option(widget, match, names, lead) for widget, match in options),
            _option(widgets[NEW_RECORD], None, names, lead),
        ],
    )


def _option(widget: BoundWidget, match: Match | None, names: list[str], lead: Lead) -> MatchOption:
    return MatchOption(
        radio=widget.tag(),
        for_id=str(widget.id_for_label),
        label=str(widget.choice_label),
        record_id=match.id if match else "",
        cells=[_cell(match, name, lead) for name in names] if match else [],
        matched_on=", ".join(map(field_label, match.matched_on)) if match else "",
        unusable_reason=unusable_reason(match) if match else "",
    )


def lead_value(lead: Lead, name: str) -> str:
    """Return the lead's value that corresponds to a field of a match."""
    own = {"Full_Name": lead.name, "Account_Name": lead.company, "Email": lead.email}
    return own.get(name) or lead.fields.get(LEAD_FIELD_BY_MATCH_FIELD.get(name, name), "")


def _columns(matches: tuple[Match, ...]) -> list[str]:
    found = {name for match in matches for name, value in match.fields.items() if value}
    return [name for name in LEADING_COLUMNS if name in found] + sorted(
        found - set(LEADING_COLUMNS)
    )


def _cell(match: Match, name: str, lead: Lead) -> Cell:
    value, theirs = match.fields.get(name, ""), lead_value(lead, name)
    if name in match.matched_on:
        return Cell(value=value, result="matched")
    if not value or not theirs:
        return Cell(value=value)
    return Cell(value=value, result="same" if _is_same_text(value, theirs) else "differs")


def _is_same_text(one: str, other: str) -> bool:
    return one.casefold().split() == other.casefold().split()
