"""Admin pages of mass conversions: list, state, and the actions on a run."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from zoho_crm import tasks
from zoho_crm.admin._base import (
    EMPTY_TEXT,
    has_any_permission,
    run_badge,
    signed_in_user,
    state_html,
    time_html,
)
from zoho_crm.admin._run_decisions import get_run_or_404
from zoho_crm.admin._run_prepare import RunPreparePages
from zoho_crm.admin._run_statistics import statistics_context
from zoho_crm.exceptions import StaleDecisionError
from zoho_crm.models import LeadConversion, MassConversion, with_users
from zoho_crm.services import mass_convert
from zoho_crm.services.presentation import describe_policy, pause_text, source_text
from zoho_crm.services.run_statistics import lead_count, status_counts
from zoho_crm.services.states import available_actions, describe_run

Status = LeadConversion.Status


class PausedFilter(admin.SimpleListFilter):
    """Filter mass conversions by whether they are paused."""

    title = gettext_lazy("paused")
    parameter_name = "paused"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", gettext_lazy("yes")), ("no", gettext_lazy("no"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "yes":
            return queryset.exclude(paused_reason="")
        return queryset.filter(paused_reason="") if self.value() == "no" else queryset


class RunChangeList(ChangeList):
    """A change list that counts the leads of all runs of a page in one query."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(*args, **kwargs)
        return rows.defer("policy", "active_owners")

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        runs = list(self.result_list)
        counts = status_counts(runs)
        for run in runs:
            run.status_counts = counts[run.pk]
        self.result_list = runs


class MassConversionAdmin(RunPreparePages):
    list_display = (
        "title",
        "badge",
        "progress",
        "refused",
        "in_doubt",
        "pause",
        "connection",
        "created",
    )
    list_filter = ("stage", PausedFilter, "connection")
    list_select_related = ("connection",)
    search_fields = (
        "name",
        *(f"source_details__{name}" for name in ("file", "filters", "text")),
    )
    ordering = ("-pk",)
    fieldsets = (
        (
            None,
            {"fields": (("name", "connection"), ("badge", "leads_from"), "pause")},
        ),
        (
            gettext_lazy("Who and when"),
            {"fields": (("created_by", "created"), ("started_by", "started"), "ended")},
        ),
    )
    readonly_fields: ClassVar = ("badge", "leads_from", "pause", "created", "started", "ended")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return RunChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[MassConversion]:
        runs: QuerySet[MassConversion] = super().get_queryset(request)
        return with_users(runs.select_related("connection__work"), "created_by", "started_by")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        run: MassConversion = kwargs["obj"]
        counts = mass_convert.counts(run)
        context |= {
            "run": run,
            "state": state_html(describe_run(run, counts)),
            **available_actions(run, counts),
            **statistics_context(run, counts),
            "policy_name": run.rules.name,
            "policy": describe_policy(run.rules),
            "may_see_lines": has_any_permission(
                request, "prepare_massconversion", "view_payload_leadconversion"
            ),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def url_patterns(self) -> list[URLPattern]:
        prepare, start, pause = (f"{word}_massconversion" for word in ("prepare", "run", "pause"))
        post = ("POST",)
        return [
            self.url_pattern("prepare/", self.prepare_view, prepare),
            self.url_pattern("<int:pk>/decide/", self.decide_view, prepare),
            self.url_pattern("<int:pk>/start/", self.start_view, start),
            self.url_pattern("<int:pk>/pause/", self.pause_view, pause, methods=post),
            self.url_pattern("<int:pk>/resume/", self.resume_view, pause, methods=post),
            self.url_pattern("<int:pk>/retry/", self.retry_view, pause, methods=post),
            self.url_pattern("<int:pk>/cancel/", self.cancel_view, pause),
            self.url_pattern(
                "<int:pk>/export/", self.export_view, "export_leadconversion", methods=("GET",)
            ),
        ]

    def pause_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Pause a run: no further lead is started."""
        run = get_run_or_404(pk)
        if mass_convert.pause(run_id=pk, by=signed_in_user(request)):
            return self._redirect_with_success(
                request, run, _("Paused; what was sent already is settled.")
            )
        return self._redirect_with_warning(
            request, run, _("It is not running, so it was not paused.")
        )

    def resume_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Resume a paused run."""
        run = get_run_or_404(pk)
        if mass_convert.resume(run_id=pk):
            return self._redirect_with_success(
                request, run, _("Resumed; the first leads are sent one by one.")
            )
        return self._redirect_with_warning(request, run, _("It was not paused."))

    def retry_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Preview the failed and undecided leads of a finished run again."""
        run = get_run_or_404(pk)
        try:
            count = mass_convert.retry(run_id=pk, by=signed_in_user(request))
        except StaleDecisionError as error:
            return self._redirect_with_warning(request, run, str(error))
        text = ngettext(
            "%(count)s lead is previewed again; it is sent when somebody starts this once more.",
            "%(count)s leads are previewed again; they are sent when somebody starts this "
            "once more.",
            count,
        )
        return self._redirect_with_success(request, run, text % {"count": count})

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what is left out; on POST cancel the run."""
        run = get_run_or_404(pk)
        if request.method == "POST" and mass_convert.cancel(run_id=pk):
            return self._redirect_with_success(
                request, run, _("Cancelled; what was not sent is left out.")
            )
        if request.method == "POST" or not run.is_open:
            return self._redirect_with_warning(request, run, _("It is over already."))
        counts = mass_convert.counts(run)
        unsent = (Status.NEW, Status.PREVIEWED, Status.READY)
        sent = (Status.RUNNING, Status.SCHEDULED, Status.UNKNOWN)
        return self.render_page(
            request,
            "cancel.html",
            page_name=_("Cancel"),
            title=_("Cancel: %s") % run,
            original=run,
            state=state_html(describe_run(run, counts)),
            unsent=sum(counts.get(status, 0) for status in unsent),
            sent=sum(counts.get(status, 0) for status in sent),
            converted=counts.get(Status.CONVERTED, 0),
            back=self.record_url(request, run),
        )

    def export_view(self, request: HttpRequest, pk: int) -> StreamingHttpResponse:
        """Stream the results as CSV."""
        run = get_run_or_404(pk)
        self.log_change(request, run, _("Exported."))
        lines = mass_convert.export(run_id=pk)
        response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="mass-conversion-{pk}.csv"'
        return response

    def _redirect_with_success(
        self, request: HttpRequest, run: MassConversion, message: str
    ) -> HttpResponse:
        self.log_change(request, run, message)
        tasks.wake(run.connection_id)
        messages.success(request, message)
        return redirect(self.record_url(request, run))

    def _redirect_with_warning(
        self, request: HttpRequest, run: MassConversion, message: str
    ) -> HttpResponse:
        messages.warning(request, message)
        return redirect(self.record_url(request, run))

    @admin.display(description=gettext_lazy("mass conversion"), ordering="pk")
    def title(self, run: MassConversion) -> str:
        return str(run)

    @admin.display(description=gettext_lazy("stage"), ordering="stage")
    def badge(self, run: MassConversion) -> SafeString:
        return run_badge(run)

    @admin.display(description=gettext_lazy("source"))
    def leads_from(self, run: MassConversion) -> str:
        return source_text(run) or EMPTY_TEXT

    @admin.display(description=gettext_lazy("paused"), ordering="paused_reason")
    def pause(self, run: MassConversion) -> str:
        return pause_text(run) or EMPTY_TEXT

    @admin.display(description=gettext_lazy("converted"))
    def progress(self, run: Any) -> str:
        parts = {
            "converted": run.status_counts[Status.CONVERTED],
            "all": lead_count(run.status_counts),
        }
        return _("%(converted)s of %(all)s") % parts

    @admin.display(description=gettext_lazy("refused"))
    def refused(self, run: Any) -> str:
        return str(run.status_counts[Status.FAILED] or EMPTY_TEXT)

    @admin.display(description=gettext_lazy("in doubt"))
    def in_doubt(self, run: Any) -> str:
        return str(
            run.status_counts[Status.UNKNOWN] + run.status_counts[Status.NEEDS_REVIEW] or EMPTY_TEXT
        )

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, run: MassConversion) -> SafeString | str:
        return time_html(run.created_at)

    @admin.display(description=gettext_lazy("started"))
    def started(self, run: MassConversion) -> SafeString | str:
        return time_html(run.started_at)

    @admin.display(description=gettext_lazy("ended"))
    def ended(self, run: MassConversion) -> SafeString | str:
        return time_html(run.ended_at)
