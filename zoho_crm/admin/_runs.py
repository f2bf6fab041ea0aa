"""Mass conversions: the list, and how one of them stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.admin import _run_statistics
from zoho_crm.admin._base import NOTHING, may, run_badge, when
from zoho_crm.admin._policy_words import in_words
from zoho_crm.admin._run_filters import PausedFilter
from zoho_crm.admin._run_pages import RunPages
from zoho_crm.admin._run_states import may_be_done, size_of, state_of_run
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services import mass_convert

Status = LeadConversion.Status


class RunList(ChangeList):
    """Counts the leads of all the runs of a page at once."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(*args, **kwargs)
        return rows.defer("policy", "active_owners")

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        runs = list(self.result_list)
        standings = _run_statistics.standings(runs)
        for run in runs:
            run.standing = standings[run.pk]
        self.result_list = runs


class MassConversionAdmin(RunPages):
    list_display = (
        "title",
        "badge",
        "progress",
        "refused",
        "doubtful",
        "paused_reason",
        "connection",
        "created",
    )
    list_filter = ("stage", PausedFilter, "connection")
    list_select_related = ("connection",)
    search_fields = ("name", "source")
    ordering = ("-pk",)
    fieldsets = (
        (
            None,
            {"fields": (("name", "connection"), ("badge", "source"), "paused_reason")},
        ),
        (
            gettext_lazy("Who and when"),
            {"fields": (("created_by", "created"), ("started_by", "started"), "ended")},
        ),
    )
    readonly_fields: ClassVar = ("badge", "created", "started", "ended")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return RunList

    def get_queryset(self, request: HttpRequest) -> QuerySet[MassConversion]:
        runs: QuerySet[MassConversion] = super().get_queryset(request)
        return runs.select_related("connection__work", "created_by", "started_by")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        run: MassConversion = kwargs["obj"]
        counts = mass_convert.counts(run)
        context |= {
            "run": run,
            "state": state_of_run(run, counts),
            **may_be_done(run, counts),
            **figures(run, counts),
            "policy_name": run.rules.name,
            "policy": in_words(run.rules),
            "may_see_lines": may(request, "prepare_massconversion", "view_payload_leadconversion"),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description=gettext_lazy("mass conversion"), ordering="pk")
    def title(self, run: MassConversion) -> str:
        return str(run)

    @admin.display(description=gettext_lazy("stage"), ordering="stage")
    def badge(self, run: MassConversion) -> SafeString:
        return run_badge(run)

    @admin.display(description=gettext_lazy("converted"))
    def progress(self, run: Any) -> str:
        of = {"converted": run.standing[Status.CONVERTED], "all": size_of(run.standing)}
        return _("%(converted)s of %(all)s") % of

    @admin.display(description=gettext_lazy("refused"))
    def refused(self, run: Any) -> str:
        return str(run.standing[Status.FAILED] or NOTHING)

    @admin.display(description=gettext_lazy("in doubt"))
    def doubtful(self, run: Any) -> str:
        return str(run.standing[Status.UNKNOWN] + run.standing[Status.NEEDS_REVIEW] or NOTHING)

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, run: MassConversion) -> SafeString | str:
        return when(run.created_at)

    @admin.display(description=gettext_lazy("started"))
    def started(self, run: MassConversion) -> SafeString | str:
        return when(run.started_at)

    @admin.display(description=gettext_lazy("ended"))
    def ended(self, run: MassConversion) -> SafeString | str:
        return when(run.ended_at)


def figures(run: MassConversion, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the tables of a run's page."""
    return {
        "by_status": _run_statistics.by_status(run, counts),
        "by_verdict": _run_statistics.by_verdict(run, counts),
        "failures": _run_statistics.failures(run),
        "jobs": _run_statistics.jobs(run),
        **(_run_statistics.estimated(run) if run.is_open else {}),
        **_run_statistics.left_out(run),
    }
