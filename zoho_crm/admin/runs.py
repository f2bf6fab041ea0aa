"""Admin pages of mass conversions: list, state, numbers, and the pages and buttons of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.admin._actions import ActionsMixin
from zoho_crm.admin._base import (
    BY_CONNECTION,
    PagesAdmin,
    access_in,
    has_any_permission,
    permissions_in,
    signed_in_user,
)
from zoho_crm.admin._html import EMPTY_TEXT, state_html, time_html
from zoho_crm.admin._runs import (
    SOURCE_PERMISSIONS,
    estimate_context,
    may_see_source,
    redirect_with_success,
    state_context,
)
from zoho_crm.admin.run_actions import RUN_ACTIONS
from zoho_crm.admin.run_leads import leads_context
from zoho_crm.admin.run_results import (
    check,
    export_before,
    export_changes,
    export_json,
    export_run,
    leads_url,
    leave_out,
    results_context,
    retry_run,
    set_in_policy,
)
from zoho_crm.models import LeadConversion, MassConversion, with_users
from zoho_crm.services import mass_convert
from zoho_crm.services.display import status_badge
from zoho_crm.services.presentation import describe_policy, pause_text, source_text
from zoho_crm.services.run_pace import describe_pace, run_pace
from zoho_crm.services.run_statistics import (
    lead_count,
    left_out_lines,
    progress,
    status_counts,
)
from zoho_crm.services.states import describe_run

Stage = MassConversion.Stage
Status = LeadConversion.Status
VERDICT_FIELD = LeadConversion._meta.get_field("verdict")
#: Rows of each table on the page of a run.
MAX_TABLE_ROWS = 50
#: The look-up of the filters of a run in words.
FILTERS = "source_details__filters"


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


class MassConversionAdmin(ActionsMixin, PagesAdmin):
    list_actions = RUN_ACTIONS
    empty_list_text = gettext_lazy(
        "No run yet. Press “Prepare a run”; nothing is converted by that."
    )
    optional_columns = frozenset(
        {"name", "paused_reason", "created_by", "started_by", "started_at", "ended_at"}
    )
    columns: ClassVar = {"pause": "paused_reason", "started": "started_at", "ended": "ended_at"}
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
    list_filter = ("stage", PausedFilter, BY_CONNECTION)
    list_select_related = ("connection",)
    search_fields = ("name", FILTERS, *(f"source_details__{name}" for name in ("file", "text")))
    ordering = ("-pk",)

    class Media:
        js: ClassVar = ["zoho_crm/progress.js"]

    fieldsets = (
        (
            None,
            {"fields": ("name", "badge", "pause", "leads_from", "connection")},
        ),
        (
            gettext_lazy("Who and when"),
            {"fields": ("created_by", "created", "started_by", "started", "ended")},
        ),
    )
    readonly_fields: ClassVar = ("badge", "leads_from", "pause", "created", "started", "ended")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return RunChangeList

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        access = access_in(request)
        hidden = () if access.wherever(self.view_permissions, SOURCE_PERMISSIONS) else (FILTERS,)
        return [each for each in self.search_fields if each not in hidden]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fieldsets without the filters of a run for who may not see values of leads."""
        is_hidden = obj and obj.filters and not may_see_source(request, obj)
        fieldsets = super().get_fieldsets(request, obj)
        for _name, options in fieldsets if is_hidden else ():
            options["fields"] = [each for each in options["fields"] if each != "leads_from"]
        return fieldsets

    def all_rows(self, request: HttpRequest) -> QuerySet[MassConversion]:
        runs: QuerySet[MassConversion] = super().all_rows(request)
        return with_users(runs.select_related("connection__work"), "created_by", "started_by")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        run: MassConversion = kwargs["obj"]
        counts = mass_convert.counts(run)
        context |= {
            **state_context(run, counts),
            **progress_context(run, counts),
            **statistics_context(run, counts),
            **leads_context(request, run),
            "policy_name": run.rules.name,
            "policy": describe_policy(run.rules),
            "may_see_lines": may_see_source(request, run),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def url_patterns(self) -> list[URLPattern]:
        prepare, start, pause = (f"{word}_massconversion" for word in ("prepare", "run", "pause"))
        export, resolve = "export_leadconversion", "resolve_leadconversion"
        post, get = ("POST",), ("GET",)
        return [
            self.url_pattern("prepare/", "run_prepare.prepare_page", prepare),
            self.url_pattern("<int:pk>/decide/", "run_review.review_page", prepare),
            self.url_pattern("<int:pk>/decide_all/", "run_decisions.decide_all_page", prepare),
            self.url_pattern(
                "<int:pk>/progress/", progress_part, "view_massconversion", methods=get
            ),
            self.url_pattern("<int:pk>/start/", "run_start.start_page", start),
            self.url_pattern("<int:pk>/pause/", pause_run, pause, methods=post),
            self.url_pattern("<int:pk>/resume/", resume_run, pause, methods=post),
            self.url_pattern("<int:pk>/retry/", retry_run, pause, methods=post),
            self.url_pattern("<int:pk>/leave_out/", leave_out, prepare, methods=post),
            self.url_pattern("<int:pk>/check/", check, resolve, methods=post),
            self.url_pattern("<int:pk>/set_in_policy/", set_in_policy, pause),
            self.url_pattern("<int:pk>/cancel/", cancel_page, pause),
            self.url_pattern("<int:pk>/export/", export_run, export, methods=get),
            self.url_pattern(
                "<int:pk>/export_review/", "run_review.export_review", export, methods=get
            ),
            self.url_pattern("<int:pk>/export_json/", export_json, export, methods=get),
            self.url_pattern("<int:pk>/export_changes/", export_changes, export, methods=get),
            self.url_pattern("<int:pk>/export_before/", export_before, export, methods=get),
        ]

    def journal_link(self, request: HttpRequest, row: Any) -> tuple[str, str] | None:
        if not has_any_permission(request, "view_leadconversion", of=row):
            return None
        text = _("The leads of this run, each with every event of it")
        return self.list_url_of("leadconversion", run=row.pk), text

    def record_url(self, request: HttpRequest, row: Model) -> str:
        if not self.has_view_permission(request, row) and has_any_permission(
            request, "prepare_massconversion", of=row
        ):
            return self.page_url("decide", row.pk)
        return super().record_url(request, row)

    @admin.display(description=gettext_lazy("run"), ordering="pk")
    def title(self, run: MassConversion) -> str:
        return str(run)

    @admin.display(description=gettext_lazy("stage"), ordering="stage")
    def badge(self, run: MassConversion) -> SafeString:
        return status_badge(run.stage, run.get_stage_display())

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


# Numbers


def statistics_context(run: MassConversion, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the template variables of the tables on a run's page."""
    left_out = left_out_lines(run)
    return {
        "by_status": _by(run, counts, "status", Status.choices),
        "by_verdict": _by(run, counts, "verdict", VERDICT_FIELD.flatchoices),
        **results_context(run, counts),
        "jobs": _jobs(run),
        **(estimate_context(run) if run.is_open else {}),
        "left_out": sum(count for _reason, count in left_out),
        "left_out_by_reason": left_out,
        "lines": run.lines.order_by("number")[:MAX_TABLE_ROWS] if left_out else [],
    }


def progress_context(run: MassConversion, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the template variables of the part of a run's page that is kept up to date."""
    found = progress(run, counts)
    pace = run_pace(run, found, counts)
    labels = dict(Status.choices)
    return {
        "progress": found,
        "pace": describe_pace(pace) if pace else [],
        "newest": pace.newest if pace else None,
        "outcomes": [
            {
                "badge": status_badge(status, str(labels[Status(status)])),
                "count": count,
                "url": leads_url(run, status=status),
            }
            for status, count in found.outcomes.items()
        ],
        "updated": time_html(timezone.now()),
    }


def progress_part(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Show the progress of a run without a page around it, for the script that asks for it."""
    counts = mass_convert.counts(run)
    context = {**state_context(run, counts), **progress_context(run, counts)}
    context["may"] = permissions_in(request, run)
    return render(request, "admin/zoho_crm/massconversion/progress.html", context)


def _by(
    run: MassConversion,
    counts: Mapping[str, int],
    field: str,
    choices: Iterable[tuple[str, Any]],
) -> list[dict[str, Any]]:
    """Return the number of leads for each value of a field that occurs, in the order of them."""
    return [
        {"label": str(label), "count": counts[value], "url": leads_url(run, **{field: value})}
        for value, label in choices
        if counts.get(value)
    ]


def _jobs(run: MassConversion) -> list[dict[str, Any]]:
    """Return the latest Zoho jobs of a run, newest first, with Zoho's own counts if it gave any."""
    rows = run.jobs.annotate(leads=Count("rows")).order_by("-pk")[:MAX_TABLE_ROWS]
    return [
        {
            "job": job,
            "badge": status_badge(job.status, job.get_status_display()),
            "posted": time_html(job.posted_at),
            "ended": time_html(job.ended_at),
            "leads": job.leads,
            "counts": job.counts or {},
        }
        for job in rows
    ]


# Buttons and pages of one run


def pause_run(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Pause a run: no further lead is started."""
    if mass_convert.pause(run_id=run.pk, by=signed_in_user(request)):
        text = _("Paused; what was sent already is settled.")
        return redirect_with_success(pages, request, run, text, log=gettext_lazy("Paused."))
    text = _("It is not running, so it was not paused.")
    return pages.redirect_with_warning(request, run, text)


def resume_run(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Resume a paused run."""
    if mass_convert.resume(run_id=run.pk):
        text = _("Resumed; the first leads are sent one by one.")
        return redirect_with_success(pages, request, run, text, log=gettext_lazy("Resumed."))
    return pages.redirect_with_warning(request, run, _("It was not paused."))


def cancel_page(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Show what is left out; on POST cancel the run."""
    if request.method == "POST" and mass_convert.cancel(run_id=run.pk):
        text = _("Cancelled; what was not sent is left out.")
        return redirect_with_success(pages, request, run, text, log=gettext_lazy("Cancelled."))
    if request.method == "POST" or not run.is_open:
        return pages.redirect_with_warning(request, run, _("It is over already."))
    counts = mass_convert.counts(run)
    unsent = (Status.NEW, Status.PREVIEWED, Status.READY)
    sent = (Status.RUNNING, Status.SCHEDULED, Status.UNKNOWN)
    return pages.render_page(
        request,
        "cancel.html",
        page_name=_("Cancel"),
        title=_("Cancel: %s") % run,
        original=run,
        state=state_html(describe_run(run, counts)),
        unsent=sum(counts.get(status, 0) for status in unsent),
        sent=sum(counts.get(status, 0) for status in sent),
        converted=counts.get(Status.CONVERTED, 0),
        back=pages.record_url(request, run),
    )
