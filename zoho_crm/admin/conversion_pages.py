"""Pages of one lead conversion: preview, decide, settle and close."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import tasks
from zoho_crm.admin._base import (
    EXPECTED_ERRORS,
    PagesAdmin,
    has_any_permission,
    permissions_in,
    permitted_connections,
    readable_choices,
    signed_in_user,
)
from zoho_crm.admin._comparison import compare
from zoho_crm.admin._conversions import (
    can_preview_again,
    may_decide,
    shown_values,
    state_context,
)
from zoho_crm.admin._html import record_html, state_html, time_html
from zoho_crm.exceptions import AuthorizationError, RequestRefusedError, StaleDecisionError
from zoho_crm.forms import CloseForm, ConversionForm, LookUpForm, VersionForm
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services import convert, leads, mass_convert, preview, settle
from zoho_crm.services.choices import Choices
from zoho_crm.services.presentation import (
    describe_error,
    explain_plan,
    further_matches_texts,
)
from zoho_crm.services.settle import IN_DOUBT
from zoho_crm.services.states import (
    can_be_decided,
    can_be_skipped,
    describe_conversion,
    is_in_review,
)
from zoho_crm.types import Lead

Status = LeadConversion.Status
#: Leads with one e-mail address that are offered.
MAX_FOUND_LEADS = 100
#: One of these is needed to see the decision about a lead outside of a run under review.
SINGLE_LEAD_PERMISSIONS = ("preview_leadconversion", "approve_leadconversion")
EMPTY_VALUES: tuple[Any, ...] = (None, "", False, [])


# Preview, settle, close


def preview_page(pages: PagesAdmin, request: HttpRequest) -> HttpResponse:
    """Preview a lead by its id or e-mail address; ask which if several have the address."""
    connections = permitted_connections(request, "preview_leadconversion")
    form = LookUpForm(request.POST or None, connections=connections)
    found: tuple[Lead, ...] = ()
    lost: Connection | None = None
    try:
        found = _find_leads(form) if form.is_valid() else ()
        if len(found) == 1:
            connection, by = form.cleaned_data["connection"], signed_in_user(request)
            row = preview.preview(connection_id=connection.pk, lead_id=found[0].id, by=by)
            pages.log_change(request, row, gettext_lazy("Previewed."))
            return redirect(pages.page_url("decide", row.pk))
    except EXPECTED_ERRORS as error:
        lost = form.cleaned_data["connection"] if isinstance(error, AuthorizationError) else None
        form.add_error(None, describe_error(error))
    return pages.render_page(
        request,
        "preview.html",
        page_name=_("Preview a conversion"),
        form=form,
        lost=lost,
        may=permissions_in(request, lost),
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
        pages.log_change(request, row, gettext_lazy("Settled by hand."))
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
    text = _("Lead %(lead)s is closed.") % {"lead": row.lead_name}
    return pages.redirect_with_success(request, row, text, log=gettext_lazy("Closed."))


# Decide


def decide_page(pages: PagesAdmin, request: HttpRequest, row: LeadConversion) -> HttpResponse:
    """Show the form, its confirmation, or the state of a lead that cannot be decided."""
    if not has_any_permission(request, *SINGLE_LEAD_PERMISSIONS, of=row) and not is_in_review(row):
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
            self.request,
            template,
            page_name=page_name,
            title=title,
            original=self.row,
            record_name=self.row.lead_name,
            **context,
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
            lead_values=shown_values(lead),
            comparisons=[
                compare(
                    form["contact"],
                    _("Contacts that match"),
                    lead,
                    options.contacts,
                    partial(record_html, row.connection, "Contacts"),
                ),
                compare(
                    form["account"],
                    _("Accounts that match"),
                    lead,
                    options.accounts,
                    partial(record_html, row.connection, "Accounts"),
                ),
            ],
            further_matches=further_matches_texts(options),
            no_deal_reason=problem,
            may_decide=may_decide(self.request, row),
            can_preview_again=can_preview_again(row),
        )

    def save_or_approve(self, form: ConversionForm, step: str) -> HttpResponse:
        service = convert.decide if step == "save" else convert.approve
        text, log = _("Lead %(lead)s is being converted."), gettext_lazy("Approved.")
        if self.run:
            service = mass_convert.decide_one
            text = _("The decision is saved; it is sent with run %(run)s.")
            log = gettext_lazy("Decided.")
        elif step == "save":
            text, log = _("The decision is saved; nothing was sent."), gettext_lazy("Decided.")
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
        text %= {"lead": self.row.lead_name, "run": self.run}
        return self.pages.redirect_with_success(self.request, self.row, text, log=log)

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
        text = _("Lead %(lead)s is left out.") % {"lead": row.lead_name}
        log = gettext_lazy("Left out.")
        return self.pages.redirect_with_success(self.request, row, text, log=log)

    def back(self, error: RequestRefusedError) -> HttpResponse:
        """Redirect to the decision, which shows the error."""
        here = self.pages.page_url("decide", self.row.pk)
        return self.pages.redirect_with_warning(self.request, self.row, str(error), to=here)


def available_choices(connection: Connection) -> tuple[Choices, str]:
    """Return what a conversion may choose from, and why no deal is possible (empty if one is)."""
    offered, problem = readable_choices(connection)
    if not problem and not offered.pipelines:
        problem = offered.absence_text("pipelines")
    return offered, problem
