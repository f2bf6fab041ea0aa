"""What people do with a mass conversion: prepare, decide, start, hold, cancel, retry, export."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm import tasks
from zoho_crm.admin._base import person
from zoho_crm.admin._run_decisions import run_or_404
from zoho_crm.admin._run_prepare import RunPreparation
from zoho_crm.admin._run_states import state_of_run
from zoho_crm.exceptions import StaleDecisionError
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services import mass_convert

Status = LeadConversion.Status


class RunPages(RunPreparation):
    """The pages of mass conversions that act."""

    def pages(self) -> list[URLPattern]:
        prepare, start, hold = (f"{word}_massconversion" for word in ("prepare", "run", "pause"))
        post = ("POST",)
        return [
            self.page("prepare/", self.prepare_view, prepare),
            self.page("<int:pk>/decide/", self.decide_view, prepare),
            self.page("<int:pk>/start/", self.start_view, start),
            self.page("<int:pk>/pause/", self.pause_view, hold, methods=post),
            self.page("<int:pk>/resume/", self.resume_view, hold, methods=post),
            self.page("<int:pk>/retry/", self.retry_view, hold, methods=post),
            self.page("<int:pk>/cancel/", self.cancel_view, hold),
            self.page(
                "<int:pk>/export/", self.export_view, "export_leadconversion", methods=("GET",)
            ),
        ]

    def pause_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let no lead begin any more."""
        run = run_or_404(pk)
        if mass_convert.pause(run_id=pk, by=person(request)):
            return self._done(request, run, _("Paused; what was sent already is settled."))
        return self._nothing_done(request, run, _("It is not going on, so it was not paused."))

    def resume_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let it go on."""
        run = run_or_404(pk)
        if mass_convert.resume(run_id=pk):
            return self._done(request, run, _("It goes on; the first leads go one by one."))
        return self._nothing_done(request, run, _("It was not paused."))

    def retry_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Preview again what failed or was left undecided."""
        run = run_or_404(pk)
        try:
            count = mass_convert.retry(run_id=pk, by=person(request))
        except StaleDecisionError as error:
            return self._nothing_done(request, run, str(error))
        text = ngettext(
            "%(count)s lead is previewed again; it is sent when somebody starts this once more.",
            "%(count)s leads are previewed again; they are sent when somebody starts this "
            "once more.",
            count,
        )
        return self._done(request, run, text % {"count": count})

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Say what is left out, then leave it out."""
        run = run_or_404(pk)
        if request.method == "POST" and mass_convert.cancel(run_id=pk):
            return self._done(request, run, _("Cancelled; what was not sent is left out."))
        if request.method == "POST" or not run.is_open:
            return self._nothing_done(request, run, _("It is over already."))
        counts = mass_convert.counts(run)
        unsent = (Status.NEW, Status.PREVIEWED, Status.READY)
        sent = (Status.RUNNING, Status.SCHEDULED, Status.UNKNOWN)
        return self.show(
            request,
            "cancel.html",
            here=_("Cancel"),
            title=_("Cancel: %s") % run,
            original=run,
            state=state_of_run(run, counts),
            unsent=sum(counts.get(status, 0) for status in unsent),
            sent=sum(counts.get(status, 0) for status in sent),
            converted=counts.get(Status.CONVERTED, 0),
            back=self.home_of(request, run),
        )

    def export_view(self, request: HttpRequest, pk: int) -> StreamingHttpResponse:
        """Send the results as CSV, line by line."""
        run = run_or_404(pk)
        self.log_change(request, run, _("Exported."))
        lines = mass_convert.export(run_id=pk)
        response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="mass-conversion-{pk}.csv"'
        return response

    def _done(self, request: HttpRequest, run: MassConversion, message: str) -> HttpResponse:
        self.log_change(request, run, message)
        tasks.wake(run.connection_id)
        messages.success(request, message)
        return redirect(self.home_of(request, run))

    def _nothing_done(
        self, request: HttpRequest, run: MassConversion, message: str
    ) -> HttpResponse:
        messages.warning(request, message)
        return redirect(self.home_of(request, run))
