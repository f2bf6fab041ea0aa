"""The pages that decide all leads of a verdict, and that start a mass conversion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm import tasks
from zoho_crm.admin import _run_statistics
from zoho_crm.admin._base import CustomPagesAdmin, has_any_permission, signed_in_user, state_html
from zoho_crm.exceptions import PlanError, RequestRefusedError, StaleDecisionError
from zoho_crm.forms import StartForm, VerdictForm
from zoho_crm.models import MassConversion
from zoho_crm.services import mass_convert
from zoho_crm.services.presentation import describe_policy, describe_start
from zoho_crm.services.states import available_actions, describe_run


class RunDecisionPages(CustomPagesAdmin):
    """The decision page and the start page of a mass conversion."""

    def decide_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the decisions by verdict; on POST decide all leads of one verdict."""
        run = get_run_or_404(pk)
        if request.method == "POST":
            return self._decide(request, run)
        counts = mass_convert.counts(run)
        in_review = run.stage == MassConversion.Stage.REVIEW
        return self.render_page(
            request,
            "decide.html",
            page_name=_("Decide"),
            title=_("Decide: %s") % run,
            original=run,
            run=run,
            state=state_html(describe_run(run, counts)),
            verdicts=[
                (verdict, _verdict_form(run, verdict))
                for verdict in _run_statistics.decision_counts(run)
            ],
            in_review=in_review,
            **available_actions(run, counts),
        )

    def _decide(self, request: HttpRequest, run: MassConversion) -> HttpResponse:
        form = VerdictForm(request.POST)
        if not form.is_valid():
            messages.error(request, _("Please choose a decision."))
            return redirect(self.page_url("decide", run.pk))
        try:
            if form.cleaned_data["revision"] != run.revision:
                raise StaleDecisionError
            decided = mass_convert.decide(
                run_id=run.pk,
                verdict=form.cleaned_data["verdict"],
                action=form.cleaned_data["action"],
                by=signed_in_user(request),
            )
        except RequestRefusedError as error:
            messages.warning(request, str(error))
        else:
            self._report_decided(request, run, decided)
        return redirect(self.page_url("decide", run.pk))

    def _report_decided(self, request: HttpRequest, run: MassConversion, count: int) -> None:
        text = ngettext(
            "%(count)s lead is decided; nothing is sent yet.",
            "%(count)s leads are decided; nothing is sent yet.",
            count,
        )
        self.log_change(request, run, text % {"count": count})
        tasks.wake(run.connection_id)
        messages.success(request, text % {"count": count})

    def start_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what a start does; on POST start, if the number of leads is typed in correctly."""
        run = get_run_or_404(pk)
        form = StartForm.for_run(run.revision, request.POST or None)
        if form.is_valid():
            return self._start(request, run, form)
        return self._show_start_page(request, run, form)

    def _show_start_page(
        self, request: HttpRequest, run: MassConversion, form: StartForm
    ) -> HttpResponse:
        counts = mass_convert.counts(run)
        in_review = run.stage == MassConversion.Stage.REVIEW
        return self.render_page(
            request,
            "start.html",
            page_name=_("Start"),
            title=_("Start: %s") % run,
            original=run,
            run=run,
            state=state_html(describe_run(run, counts)),
            form=form,
            count=counts["decided"],
            can_be_started=in_review and run.due_at is None and counts["decided"] > 0,
            sentences=describe_start(run) if in_review else [],
            policy=describe_policy(run.rules),
            **_run_statistics.estimate_context(run),
            **available_actions(run, counts),
        )

    def _start(self, request: HttpRequest, run: MassConversion, form: StartForm) -> HttpResponse:
        try:
            mass_convert.start(run_id=run.pk, by=signed_in_user(request), **form.cleaned_data)
        except PlanError as error:
            form.add_service_error(error)
            return self._show_start_page(request, run, form)
        except StaleDecisionError as error:
            messages.warning(request, str(error))
            return redirect(self.page_url("start", run.pk))
        text = ngettext(
            "Started: %(count)s lead is being converted.",
            "Started: %(count)s leads are being converted.",
            form.cleaned_data["count"],
        )
        self.log_change(request, run, text % form.cleaned_data)
        tasks.wake(run.connection_id)
        messages.success(request, text % form.cleaned_data)
        return redirect(self.record_url(request, run))

    def record_url(self, request: HttpRequest, row: Model) -> str:
        if not self.has_view_permission(request, row) and has_any_permission(
            request, "prepare_massconversion"
        ):
            return self.page_url("decide", row.pk)
        return super().record_url(request, row)


def get_run_or_404(pk: int) -> MassConversion:
    """Return a run with its connection and the connection's work state, or raise ``Http404``."""
    return get_object_or_404(MassConversion.objects.select_related("connection__work"), pk=pk)


def _verdict_form(run: MassConversion, verdict: Mapping[str, Any]) -> VerdictForm | None:
    is_open = run.stage == MassConversion.Stage.REVIEW and verdict["can_be_decided"]
    if not is_open or not verdict["affected"]:
        return None
    return VerdictForm.for_verdict(verdict["verdict"], run.revision)
