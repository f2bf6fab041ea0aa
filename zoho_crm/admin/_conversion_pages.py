"""What people do with a lead: look it up, decide, settle, close."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern
from django.utils.translation import gettext as _

from zoho_crm import tasks
from zoho_crm.admin._base import TROUBLE, person
from zoho_crm.admin._decision import Decision
from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.forms import CloseForm, LookUpForm
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services import convert, preview, records, settle
from zoho_crm.services.settle import IN_DOUBT
from zoho_crm.types import Lead

Status = LeadConversion.Status


class ConversionPages(Decision):
    """The pages of conversions that act."""

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
        found = records.find_leads(connection_id=connection.pk, email=text)
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


def _settled(before: str, row: LeadConversion) -> str:
    if before not in IN_DOUBT:
        return _("There is nothing to check: it is known what became of this lead.")
    if row.status == Status.CONVERTED:
        return _("Zoho shows the lead converted.")
    if row.status in IN_DOUBT:
        return _("Zoho shows the lead open, which proves nothing yet; we go on checking.")
    return _("It is settled: %s.") % row.get_status_display()
