"""Decide about one lead: see it beside its matches, choose, read what will happen, agree."""

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
from django.utils.translation import gettext_lazy

from zoho_crm import tasks
from zoho_crm.admin._base import TROUBLE, PagesAdmin, may, person, when
from zoho_crm.admin._states import can_be_decided, can_be_left_out, is_in_review, state_of
from zoho_crm.exceptions import RequestRefusedError, StaleDecisionError
from zoho_crm.forms import NEW, ConversionForm, VersionForm, why_unusable
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services import convert, mass_convert
from zoho_crm.services.choices import Choices, choices
from zoho_crm.services.presentation import explain_plan
from zoho_crm.types import Lead, Match

Status = LeadConversion.Status
#: Who may see what can be decided about a lead that no run decides.
SINGLY = ("preview_leadconversion", "approve_leadconversion")
EMPTY: tuple[Any, ...] = (None, "", False, [])
#: Names of fields that people know by other words.
LABELS = {
    "Full_Name": gettext_lazy("Name"),
    "Email": gettext_lazy("E-mail"),
    "Account_Name": gettext_lazy("Account"),
    "Designation": gettext_lazy("Title"),
}
#: Which field of a lead stands beside a match's, where the names differ.
LEAD_FIELDS = {"Title": "Designation", "Employees": "No_of_Employees", "Billing_City": "City"}
#: Shown first, in this order.
FIRST = ("Full_Name", "Account_Name", "Email", "Phone", "Website")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One value of a match, and how it stands to the lead's."""

    value: str
    #: ``matched``, ``same``, ``differs`` or empty.
    stands: str = ""

    @property
    def symbol(self) -> str:
        """A sign that goes with the word."""
        return {"matched": "=", "same": "=", "differs": "≠"}.get(self.stands, "")

    @property
    def word(self) -> str:
        """How it stands to the lead's value, for those who do not see the sign."""
        words = {"matched": _("matched"), "same": _("the same"), "differs": _("differs")}
        return words.get(self.stands, "")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One choice of a radio group."""

    radio: SafeString
    for_id: str
    label: str
    #: Empty for "none of these".
    record_id: str
    cells: list[Cell]
    #: Labels of the fields that it was found by.
    matched_on: str = ""
    #: Why it cannot be chosen.
    why_not: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The table of one radio group."""

    field: BoundField
    caption: str
    columns: list[str]
    lead: list[str]
    lines: list[Line]

    @property
    def width(self) -> int:
        """Cells of a line."""
        return len(self.columns) + 2


class Decision(PagesAdmin):
    """The page of a decision, in two steps: choose, then agree to what will happen."""

    def decide_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the choice, what would come of it, or why there is none."""
        rows = LeadConversion.objects.select_related(
            "connection__work", "decided_by", "approved_by", "mass_conversion", "follows"
        )
        row = get_object_or_404(rows, pk=pk)
        if not may(request, *SINGLY) and not is_in_review(row):
            raise PermissionDenied
        if request.method == "POST":
            return self._posted(request, row)
        if can_be_decided(row):
            return self._ask(request, row)
        return self.show(
            request,
            "state.html",
            here=_("Convert"),
            original=row,
            title=title_of(row),
            **self.state_context(request, row),
        )

    def state_context(self, request: HttpRequest, row: LeadConversion) -> dict[str, Any]:
        """Return what the templates need to tell how a row stands, and to offer what helps."""
        raise NotImplementedError

    def _posted(self, request: HttpRequest, row: LeadConversion) -> HttpResponse:
        if not may_decide(request, row):
            raise PermissionDenied
        step = request.POST.get("step", "")
        if VersionForm(request.POST).seen != row.version:
            return self._look_again(request, row, StaleDecisionError())
        if step == "skip" and can_be_left_out(row):
            return self._leave_out(request, row)
        if not can_be_decided(row):
            return self._look_again(request, row, StaleDecisionError())
        offered, trouble = offer(row.connection)
        form = ConversionForm(request.POST, row=row, lead=lead_of(row), offered=offered)
        if not form.is_valid() or step == "edit":
            return self._ask(request, row, form, trouble)
        if step in ("convert", "save"):
            return self._agreed(request, row, form, step)
        return self._confirm(request, row, form, offered)

    def _ask(
        self,
        request: HttpRequest,
        row: LeadConversion,
        form: ConversionForm | None = None,
        trouble: str = "",
    ) -> HttpResponse:
        lead, options = lead_of(row), row.options_seen()
        if form is None:
            offered, trouble = offer(row.connection)
            form = ConversionForm(row=row, lead=lead, offered=offered)
        return self.show(
            request,
            "decide.html",
            here=_("Convert"),
            title=title_of(row),
            original=row,
            row=row,
            state=state_of(row),
            read_at=when(row.previewed_at),
            form=form,
            lead=lead,
            lead_values=[(label_of(n), value) for n, value in lead.fields.items() if value],
            comparisons=[
                compare(form["contact"], _("Contacts that match"), lead, options.contacts),
                compare(form["account"], _("Accounts that match"), lead, options.accounts),
            ],
            no_deal_because=trouble,
            may_decide=may_decide(request, row),
        )

    def _confirm(
        self, request: HttpRequest, row: LeadConversion, form: ConversionForm, offered: Choices
    ) -> HttpResponse:
        lead, options = lead_of(row), row.options_seen()
        return self.show(
            request,
            "confirm.html",
            here=_("What will happen"),
            title=title_of(row),
            original=row,
            row=row,
            lead=lead,
            sentences=explain_plan(form.plan(), lead, options, offered.names),
            chosen=[field for field in form if field.value() not in EMPTY],
            run=row.mass_conversion if is_in_review(row) else None,
        )

    def _agreed(
        self, request: HttpRequest, row: LeadConversion, form: ConversionForm, step: str
    ) -> HttpResponse:
        decided: dict[str, Any] = {
            "conversion_id": row.pk,
            "version": form.cleaned_data["version"],
            "plan": form.plan(),
            "by": person(request),
        }
        run = row.mass_conversion if is_in_review(row) else None
        try:
            if run:
                mass_convert.decide_one(**decided)
            elif step == "save":
                convert.decide(**decided)
            else:
                convert.approve(**decided)
        except RequestRefusedError as error:
            return self._look_again(request, row, error)
        if run:
            tasks.wake(row.connection_id)
            text = _("The decision is saved; it is sent with the mass conversion %s.")
            return self._done(request, row, text % run)
        if step == "save":
            return self._done(request, row, _("The decision is saved; nothing was sent."))
        tasks.wake(row.connection_id)
        return self._done(request, row, _("Lead %s is being converted.") % row.lead_name)

    def _leave_out(self, request: HttpRequest, row: LeadConversion) -> HttpResponse:
        left_out: dict[str, Any] = {"conversion_id": row.pk, "version": row.version}
        try:
            if is_in_review(row):
                mass_convert.decide_one(plan=None, by=person(request), **left_out)
                tasks.wake(row.connection_id)
            else:
                convert.skip(by=person(request), **left_out)
        except RequestRefusedError as error:
            return self._look_again(request, row, error)
        return self._done(request, row, _("Lead %s is left out.") % row.lead_name)

    def _done(self, request: HttpRequest, row: LeadConversion, message: str) -> HttpResponse:
        self.log_change(request, row, message)
        messages.success(request, message)
        return redirect(self.home_of(request, row))

    def _look_again(
        self, request: HttpRequest, row: LeadConversion, error: RequestRefusedError
    ) -> HttpResponse:
        messages.warning(request, str(error))
        return redirect(self.address("decide", row.pk))

    def home_of(self, request: HttpRequest, row: Model) -> str:
        if self.has_view_permission(request, row):
            return self.address("change", row.pk)
        return self.address("decide", row.pk)


def may_decide(request: HttpRequest, row: LeadConversion) -> bool:
    """Whether the person may decide about this lead: within a run, or on its own."""
    return may(request, "prepare_massconversion" if is_in_review(row) else "approve_leadconversion")


def offer(connection: Connection) -> tuple[Choices, str]:
    """Return what a conversion may choose from, and why there can be no deal, if so."""
    try:
        offered = choices(connection)
    except TROUBLE as error:
        return Choices(), str(error)
    if not offered.pipelines:
        return offered, _("This connection may not read the pipelines and stages of deals.")
    return offered, ""


def title_of(row: LeadConversion) -> str:
    """Return the heading of the pages of one lead."""
    return _("Convert lead: %s") % row.lead_name


def lead_of(row: LeadConversion) -> Lead:
    """Return the lead of a row that can be decided."""
    return row.lead_seen() or Lead(id=row.lead_id)


def compare(field: BoundField, caption: str, lead: Lead, matches: tuple[Match, ...]) -> Comparison:
    """Return the table for the choice among these matches."""
    names = _columns(matches)
    widgets = {str(widget.data["value"]): widget for widget in field.subwidgets}
    chosen = [(widgets[match.id], match) for match in matches]
    return Comparison(
        field=field,
        caption=caption,
        columns=[label_of(name) for name in names],
        lead=[of_lead(lead, name) for name in names],
        lines=[
            *(_line(widget, match, names, lead) for widget, match in chosen),
            _line(widgets[NEW], None, names, lead),
        ],
    )


def _line(widget: BoundWidget, match: Match | None, names: list[str], lead: Lead) -> Line:
    return Line(
        radio=widget.tag(),
        for_id=str(widget.id_for_label),
        label=str(widget.choice_label),
        record_id=match.id if match else "",
        cells=[_cell(match, name, lead) for name in names] if match else [],
        matched_on=", ".join(map(label_of, match.matched_on)) if match else "",
        why_not=why_unusable(match) if match else "",
    )


def label_of(name: str) -> str:
    """Return what people call a field."""
    return str(LABELS.get(name) or name.replace("_", " "))


def of_lead(lead: Lead, name: str) -> str:
    """Return the lead's value beside a match's field."""
    own = {"Full_Name": lead.name, "Account_Name": lead.company, "Email": lead.email}
    return own.get(name) or lead.fields.get(LEAD_FIELDS.get(name, name), "")


def _columns(matches: tuple[Match, ...]) -> list[str]:
    found = {name for match in matches for name, value in match.fields.items() if value}
    return [name for name in FIRST if name in found] + sorted(found - set(FIRST))


def _cell(match: Match, name: str, lead: Lead) -> Cell:
    value, theirs = match.fields.get(name, ""), of_lead(lead, name)
    if name in match.matched_on:
        return Cell(value=value, stands="matched")
    if not value or not theirs:
        return Cell(value=value)
    return Cell(value=value, stands="same" if _same(value, theirs) else "differs")


def _same(one: str, other: str) -> bool:
    return one.casefold().split() == other.casefold().split()
