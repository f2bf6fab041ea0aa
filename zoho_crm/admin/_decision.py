"""The page that decides about one lead, with the lead compared to its matches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.forms import BoundField
from django.forms.boundfield import BoundWidget
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from zoho_crm import tasks
from zoho_crm.admin._base import (
    EXPECTED_ERRORS,
    CustomPagesAdmin,
    has_any_permission,
    signed_in_user,
    state_html,
    time_html,
)
from zoho_crm.exceptions import RequestRefusedError, StaleDecisionError
from zoho_crm.forms import NEW_RECORD, ConversionForm, VersionForm
from zoho_crm.models import Connection, LeadConversion, with_users
from zoho_crm.services import convert, mass_convert
from zoho_crm.services.choices import Choices
from zoho_crm.services.choices import choices as read_choices
from zoho_crm.services.presentation import (
    describe_error,
    explain_plan,
    field_label,
    further_matches_texts,
    unusable_reason,
)
from zoho_crm.services.states import (
    can_be_decided,
    can_be_skipped,
    describe_conversion,
    is_in_review,
)
from zoho_crm.types import Lead, Match

Status = LeadConversion.Status
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


class DecisionPages(CustomPagesAdmin):
    """The pages of a decision: the form, then a confirmation of what will happen."""

    def decide_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the form, its confirmation, or the state of a lead that cannot be decided."""
        rows = LeadConversion.objects.select_related(
            "connection__work", "mass_conversion", "follows"
        )
        row = get_object_or_404(with_users(rows, "decided_by", "approved_by"), pk=pk)
        if not has_any_permission(request, *SINGLE_LEAD_PERMISSIONS) and not is_in_review(row):
            raise PermissionDenied
        if request.method == "POST":
            return self._handle_post(request, row)
        if can_be_decided(row):
            return self._show_form(request, row)
        return self.render_page(
            request,
            "state.html",
            page_name=_("Convert"),
            original=row,
            title=page_title(row),
            **self.state_context(request, row),
        )

    def state_context(self, request: HttpRequest, row: LeadConversion) -> dict[str, Any]:
        """Return the template variables for the state of a row and its possible actions."""
        raise NotImplementedError

    def _handle_post(self, request: HttpRequest, row: LeadConversion) -> HttpResponse:
        if not may_decide(request, row):
            raise PermissionDenied
        step = request.POST.get("step", "")
        if VersionForm(request.POST).seen_version != row.version:
            return self._redirect_to_decision(request, row, StaleDecisionError())
        if step == "skip" and can_be_skipped(row):
            return self._skip(request, row)
        if not can_be_decided(row):
            return self._redirect_to_decision(request, row, StaleDecisionError())
        offered, problem = available_choices(row.connection)
        form = ConversionForm(request.POST, row=row, lead=lead_to_decide(row), offered=offered)
        if not form.is_valid() or step == "edit":
            return self._show_form(request, row, form, problem)
        if step in ("convert", "save"):
            return self._save_or_approve(request, row, form, step)
        return self._show_confirmation(request, row, form, offered)

    def _show_form(
        self,
        request: HttpRequest,
        row: LeadConversion,
        form: ConversionForm | None = None,
        problem: str = "",
    ) -> HttpResponse:
        lead, options = lead_to_decide(row), row.stored_options()
        if form is None:
            offered, problem = available_choices(row.connection)
            form = ConversionForm(row=row, lead=lead, offered=offered)
        return self.render_page(
            request,
            "decide.html",
            page_name=_("Convert"),
            title=page_title(row),
            original=row,
            row=row,
            state=state_html(describe_conversion(row)),
            read_at=time_html(row.previewed_at),
            form=form,
            lead=lead,
            lead_values=[(field_label(n), value) for n, value in lead.fields.items() if value],
            comparisons=[
                compare(form["contact"], _("Contacts that match"), lead, options.contacts),
                compare(form["account"], _("Accounts that match"), lead, options.accounts),
            ],
            further_matches=further_matches_texts(options),
            no_deal_reason=problem,
            may_decide=may_decide(request, row),
        )

    def _show_confirmation(
        self, request: HttpRequest, row: LeadConversion, form: ConversionForm, offered: Choices
    ) -> HttpResponse:
        lead, options = lead_to_decide(row), row.stored_options()
        return self.render_page(
            request,
            "confirm.html",
            page_name=_("What will happen"),
            title=page_title(row),
            original=row,
            row=row,
            lead=lead,
            sentences=explain_plan(form.plan(), lead, options, offered.names),
            chosen=[field for field in form if field.value() not in EMPTY_VALUES],
            run=row.mass_conversion if is_in_review(row) else None,
        )

    def _save_or_approve(
        self, request: HttpRequest, row: LeadConversion, form: ConversionForm, step: str
    ) -> HttpResponse:
        arguments: dict[str, Any] = {
            "conversion_id": row.pk,
            "version": form.cleaned_data["version"],
            "plan": form.plan(),
            "by": signed_in_user(request),
        }
        run = row.mass_conversion if is_in_review(row) else None
        try:
            if run:
                mass_convert.decide_one(**arguments)
            elif step == "save":
                convert.decide(**arguments)
            else:
                convert.approve(**arguments)
        except RequestRefusedError as error:
            return self._redirect_to_decision(request, row, error)
        if run:
            tasks.wake(row.connection_id)
            text = _("The decision is saved; it is sent with the mass conversion %(run)s.")
            return self._redirect_with_success(request, row, text, run=run)
        if step == "save":
            return self._redirect_with_success(
                request, row, _("The decision is saved; nothing was sent.")
            )
        tasks.wake(row.connection_id)
        return self._redirect_with_success(request, row, _("Lead %(lead)s is being converted."))

    def _skip(self, request: HttpRequest, row: LeadConversion) -> HttpResponse:
        arguments: dict[str, Any] = {"conversion_id": row.pk, "version": row.version}
        try:
            if is_in_review(row):
                mass_convert.decide_one(plan=None, by=signed_in_user(request), **arguments)
                tasks.wake(row.connection_id)
            else:
                convert.skip(by=signed_in_user(request), **arguments)
        except RequestRefusedError as error:
            return self._redirect_to_decision(request, row, error)
        return self._redirect_with_success(request, row, _("Lead %(lead)s is left out."))

    def _redirect_with_success(
        self, request: HttpRequest, row: LeadConversion, text: str, **values: Any
    ) -> HttpResponse:
        """Log and show a text; a lead that it names is an id in the log, which is kept for ever."""
        self.log_change(request, row, text % {**values, "lead": row.lead_id})
        messages.success(request, text % {**values, "lead": row.lead_name})
        return redirect(self.record_url(request, row))

    def _redirect_to_decision(
        self, request: HttpRequest, row: LeadConversion, error: RequestRefusedError
    ) -> HttpResponse:
        messages.warning(request, str(error))
        return redirect(self.page_url("decide", row.pk))

    def record_url(self, request: HttpRequest, row: Model) -> str:
        if self.has_view_permission(request, row):
            return self.page_url("change", row.pk)
        return self.page_url("decide", row.pk)


def may_decide(request: HttpRequest, row: LeadConversion) -> bool:
    """Return whether the user may decide about this lead, as part of a run or on its own."""
    return has_any_permission(
        request, "prepare_massconversion" if is_in_review(row) else "approve_leadconversion"
    )


def available_choices(connection: Connection) -> tuple[Choices, str]:
    """Return what a conversion may choose from, and why no deal is possible (empty if one is)."""
    try:
        offered = read_choices(connection)
    except EXPECTED_ERRORS as error:
        return Choices(), describe_error(error)
    return offered, "" if offered.pipelines else offered.absence_text("pipelines")


def page_title(row: LeadConversion) -> str:
    """Return the title of the decision pages of a lead."""
    return _("Convert lead: %s") % row.lead_name


def lead_to_decide(row: LeadConversion) -> Lead:
    """Return the lead as it was read for the preview; without a snapshot only its id."""
    return row.stored_lead() or Lead(id=row.lead_id)


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
