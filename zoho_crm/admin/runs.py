"""Admin pages of mass conversions: list, state, numbers, and the pages and buttons of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from zoho_crm import tasks
from zoho_crm.admin._base import (
    EMPTY_TEXT,
    PagesAdmin,
    has_any_permission,
    readable_choices,
    signed_in_user,
    state_html,
    status_badge,
    time_html,
)
from zoho_crm.exceptions import PlanError, RequestRefusedError, StaleDecisionError
from zoho_crm.forms import PrepareForm, StartForm, VerdictForm
from zoho_crm.matching import CONVERTIBLE
from zoho_crm.models import Connection, LeadConversion, MassConversion, with_users
from zoho_crm.services import mass_convert
from zoho_crm.services.choices import Choices
from zoho_crm.services.presentation import (
    describe_policy,
    describe_start,
    pause_text,
    source_text,
)
from zoho_crm.services.run_statistics import (
    causes,
    duration_text,
    lead_count,
    left_out_lines,
    status_counts,
    verdict_counts,
)
from zoho_crm.services.states import available_actions, describe_run

Stage = MassConversion.Stage
Status = LeadConversion.Status
VERDICT_FIELD = LeadConversion._meta.get_field("verdict")
#: Rows of each table on the page of a run.
MAX_TABLE_ROWS = 50


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


class MassConversionAdmin(PagesAdmin):
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
            **_state_context(run, counts),
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
        post, get = ("POST",), ("GET",)
        return [
            self.url_pattern("prepare/", prepare_page, prepare),
            self.url_pattern("<int:pk>/decide/", decide_page, prepare),
            self.url_pattern("<int:pk>/start/", start_page, start),
            self.url_pattern("<int:pk>/pause/", pause_run, pause, methods=post),
            self.url_pattern("<int:pk>/resume/", resume_run, pause, methods=post),
            self.url_pattern("<int:pk>/retry/", retry_run, pause, methods=post),
            self.url_pattern("<int:pk>/cancel/", cancel_page, pause),
            self.url_pattern("<int:pk>/export/", export_run, "export_leadconversion", methods=get),
        ]

    def record_url(self, request: HttpRequest, row: Model) -> str:
        if not self.has_view_permission(request, row) and has_any_permission(
            request, "prepare_massconversion"
        ):
            return self.page_url("decide", row.pk)
        return super().record_url(request, row)

    @admin.display(description=gettext_lazy("mass conversion"), ordering="pk")
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
        "failures": _failures(run),
        "jobs": _jobs(run),
        **(estimate_context(run) if run.is_open else {}),
        "left_out": sum(count for _reason, count in left_out),
        "left_out_by_reason": left_out,
        "lines": run.lines.order_by("number")[:MAX_TABLE_ROWS] if left_out else [],
    }


def _leads_url(run: MassConversion, **filters: str) -> str:
    """Return the URL of the list of a run's leads, filtered by these field values."""
    query = {"run": run.pk, **{f"{name}__exact": value for name, value in filters.items()}}
    return f"{reverse('admin:zoho_crm_leadconversion_changelist')}?{urlencode(query)}"


def _by(
    run: MassConversion,
    counts: Mapping[str, int],
    field: str,
    choices: Iterable[tuple[str, Any]],
) -> list[dict[str, Any]]:
    """Return the number of leads for each value of a field that occurs, in the order of them."""
    return [
        {"label": str(label), "count": counts[value], "url": _leads_url(run, **{field: value})}
        for value, label in choices
        if counts.get(value)
    ]


def decision_counts(run: MassConversion) -> list[dict[str, Any]]:
    """Return how many leads of each verdict are decided, undecided and left out; one query."""
    return [
        {
            **each,
            "count": each["leads"],
            "url": _leads_url(run, verdict=each["verdict"]),
            "decided": each["to_be_sent"],
            "can_be_decided": each["verdict"] in CONVERTIBLE,
            "affected": each["to_be_sent"] + each["undecided"],
        }
        for each in verdict_counts(run)
        if each["verdict"]
    ]


def _failures(run: MassConversion) -> list[dict[str, Any]]:
    """Return the number of refused leads of each error code and field, the most frequent first."""
    status = Status.FAILED
    return [
        {
            "label": cause.code,
            "count": cause.count,
            "example": cause.example,
            "url": _leads_url(run, status=status, error_code=cause.code),
        }
        for cause in causes(run, statuses=(status,), limit=MAX_TABLE_ROWS)
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


def estimate_context(run: MassConversion) -> dict[str, Any]:
    """Return the estimate of what is left to do, and its duration in words."""
    estimate = mass_convert.estimate(run)
    return {"estimate": estimate, "duration": duration_text(estimate.seconds)}


# Prepare


def prepare_page(pages: PagesAdmin, request: HttpRequest) -> HttpResponse:
    """Ask for leads and a policy; on POST create the run and store its leads."""
    connection = _chosen_connection(request)
    offered, problem = readable_choices(connection) if connection else (Choices(), "")
    if problem:
        problem = _("Zoho cannot be asked what may be chosen: %s") % problem
    if request.method == "POST" and request.POST.get("step") != "look":
        form = PrepareForm(request.POST, request.FILES, offered=offered)
        if problem:
            form.add_error("connection", problem)
        if form.is_valid() and (run := _prepare(pages, request, form, offered)):
            return redirect(pages.record_url(request, run))
    else:
        initial: dict[str, Any] = {**request.POST.dict(), "tags": request.POST.getlist("tags")}
        initial["connection"] = connection
        form = PrepareForm(initial=initial, offered=offered)
    return pages.render_page(
        request,
        "prepare.html",
        page_name=_("Prepare"),
        title=_("Prepare a mass conversion"),
        form=form,
        problem=problem,
        notices=offered.absence_texts(),
        has_connection=connection is not None,
        has_several=Connection.objects.count() > 1,
        policies=[(name, describe_policy(p, offered.names)) for name, p in form.policies.items()],
    )


def _prepare(
    pages: PagesAdmin, request: HttpRequest, form: PrepareForm, offered: Choices
) -> MassConversion | None:
    given = form.cleaned_data
    arguments: dict[str, Any] = {
        "connection_id": given["connection"].pk,
        "policy": form.chosen_policy,
        "active_owners": offered.active_owners,
        "name": given["name"],
        "by": signed_in_user(request),
    }
    try:
        if given["open_leads"]:
            run = mass_convert.prepare_open_leads(filters=given["filters"], **arguments)
        else:
            lead_ids, source = form.lead_ids(), form.source()
            run = mass_convert.prepare(lead_ids=lead_ids, source=source, **arguments)
    except RequestRefusedError as error:
        form.add_service_error(error)
        return None
    tasks.wake(run.connection_id)
    pages.log_change(request, run, _("Prepared."))
    _report_prepared(request, run)
    return run


def _report_prepared(request: HttpRequest, run: MassConversion) -> None:
    if run.filters is not None:
        text = _("The open leads are being taken in and previewed; nothing is converted yet.")
        messages.success(request, text)
        return
    row_count, line_count = run.rows.count(), run.lines.count()
    text = ngettext(
        "%(count)s lead is taken in and is previewed now; nothing is converted yet.",
        "%(count)s leads are taken in and are previewed now; nothing is converted yet.",
        row_count,
    )
    messages.success(request, text % {"count": row_count})
    if line_count:
        text = ngettext(
            "%(count)s line was left out; the reason stands on the page of the run.",
            "%(count)s lines were left out; the reasons stand on the page of the run.",
            line_count,
        )
        messages.warning(request, text % {"count": line_count})


def _chosen_connection(request: HttpRequest) -> Connection | None:
    """Return the chosen connection, by default the default one; ``None`` if there is none."""
    chosen = request.POST.get("connection") or request.GET.get("connection") or ""
    known = Connection.objects.order_by("-is_default", "name")
    if chosen.isascii() and chosen.isdecimal() and len(chosen) < 19:
        return known.filter(pk=int(chosen)).first() or known.first()
    return known.first()


# Decide, start


def decide_page(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Show the decisions by verdict; on POST decide all leads of one verdict."""
    if request.method == "POST":
        return _decide(pages, request, run)
    verdicts = [(each, _verdict_form(run, each)) for each in decision_counts(run)]
    return pages.render_page(
        request,
        "decide.html",
        page_name=_("Decide"),
        title=_("Decide: %s") % run,
        verdicts=verdicts,
        in_review=run.stage == Stage.REVIEW,
        **_state_context(run, mass_convert.counts(run)),
    )


def _decide(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    form, here = VerdictForm(request.POST), pages.page_url("decide", run.pk)
    if not form.is_valid():
        messages.error(request, _("Please choose a decision."))
        return redirect(here)
    given = {name: form.cleaned_data[name] for name in ("verdict", "action")}
    try:
        if form.cleaned_data["revision"] != run.revision:
            raise StaleDecisionError
        count = mass_convert.decide(run_id=run.pk, by=signed_in_user(request), **given)
    except RequestRefusedError as error:
        return pages.redirect_with_warning(request, run, str(error), to=here)
    text = ngettext(
        "%(count)s lead is decided; nothing is sent yet.",
        "%(count)s leads are decided; nothing is sent yet.",
        count,
    )
    return _redirect_with_success(pages, request, run, text % {"count": count}, to=here)


def _verdict_form(run: MassConversion, verdict: Mapping[str, Any]) -> VerdictForm | None:
    is_open = run.stage == Stage.REVIEW and verdict["can_be_decided"]
    if not is_open or not verdict["affected"]:
        return None
    return VerdictForm.for_verdict(verdict["verdict"], run.revision)


def start_page(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Show what a start does; on POST start, if the number of leads is typed in correctly."""
    form = StartForm.for_run(run.revision, request.POST or None)
    if form.is_valid():
        try:
            mass_convert.start(run_id=run.pk, by=signed_in_user(request), **form.cleaned_data)
        except PlanError as error:
            form.add_service_error(error)
        except StaleDecisionError as error:
            here = pages.page_url("start", run.pk)
            return pages.redirect_with_warning(request, run, str(error), to=here)
        else:
            text = ngettext(
                "Started: %(count)s lead is being converted.",
                "Started: %(count)s leads are being converted.",
                form.cleaned_data["count"],
            )
            return _redirect_with_success(pages, request, run, text % form.cleaned_data)
    return _show_start(pages, request, run, form)


def _show_start(
    pages: PagesAdmin, request: HttpRequest, run: MassConversion, form: StartForm
) -> HttpResponse:
    counts = mass_convert.counts(run)
    in_review = run.stage == Stage.REVIEW
    return pages.render_page(
        request,
        "start.html",
        page_name=_("Start"),
        title=_("Start: %s") % run,
        form=form,
        count=counts["decided"],
        can_be_started=in_review and run.due_at is None and counts["decided"] > 0,
        sentences=describe_start(run) if in_review else [],
        policy=describe_policy(run.rules),
        **estimate_context(run),
        **_state_context(run, counts),
    )


def _state_context(run: MassConversion, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the template variables for the state of a run and its possible actions."""
    return {
        "original": run,
        "run": run,
        "state": state_html(describe_run(run, counts)),
        **available_actions(run, counts),
    }


# Buttons and pages of one run


def pause_run(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Pause a run: no further lead is started."""
    if mass_convert.pause(run_id=run.pk, by=signed_in_user(request)):
        text = _("Paused; what was sent already is settled.")
        return _redirect_with_success(pages, request, run, text)
    text = _("It is not running, so it was not paused.")
    return pages.redirect_with_warning(request, run, text)


def resume_run(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Resume a paused run."""
    if mass_convert.resume(run_id=run.pk):
        text = _("Resumed; the first leads are sent one by one.")
        return _redirect_with_success(pages, request, run, text)
    return pages.redirect_with_warning(request, run, _("It was not paused."))


def retry_run(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Preview the failed and undecided leads of a finished run again."""
    try:
        count = mass_convert.retry(run_id=run.pk, by=signed_in_user(request))
    except StaleDecisionError as error:
        return pages.redirect_with_warning(request, run, str(error))
    text = ngettext(
        "%(count)s lead is previewed again; it is sent when somebody starts this once more.",
        "%(count)s leads are previewed again; they are sent when somebody starts this once more.",
        count,
    )
    return _redirect_with_success(pages, request, run, text % {"count": count})


def cancel_page(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Show what is left out; on POST cancel the run."""
    if request.method == "POST" and mass_convert.cancel(run_id=run.pk):
        text = _("Cancelled; what was not sent is left out.")
        return _redirect_with_success(pages, request, run, text)
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


def export_run(
    pages: PagesAdmin, request: HttpRequest, run: MassConversion
) -> StreamingHttpResponse:
    """Stream the results as CSV."""
    pages.log_change(request, run, _("Exported."))
    lines = mass_convert.export(run_id=run.pk)
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="mass-conversion-{run.pk}.csv"'
    return response


def _redirect_with_success(
    pages: PagesAdmin, request: HttpRequest, run: MassConversion, text: str, *, to: str = ""
) -> HttpResponse:
    tasks.wake(run.connection_id)
    return pages.redirect_with_success(request, run, text, to=to)
