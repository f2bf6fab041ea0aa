"""The results of a run: why leads were not converted, what is done about a cause, and exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from zoho_crm import forms
from zoho_crm.admin._actions import MAX_SECONDS, MORE_THAN_SHOWN, number_of
from zoho_crm.admin._base import (
    EXPECTED_ERRORS,
    PagesAdmin,
    has_any_permission,
    readable_choices,
    signed_in_user,
)
from zoho_crm.admin._runs import may_see_source, redirect_with_success
from zoho_crm.exceptions import StaleDecisionError
from zoho_crm.matching import Policy
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services import mass_convert
from zoho_crm.services.display import seconds_text, status_badge
from zoho_crm.services.presentation import describe_error
from zoho_crm.services.run_outcomes import check_outcomes, outcomes_text
from zoho_crm.services.run_pace import credits_of_run, run_credits_text
from zoho_crm.services.run_results import (
    IN_DOUBT,
    TO_RETRY,
    CauseGroup,
    CauseKey,
    cause_groups,
    cause_rows,
    may_be_set_in_policy,
)
from zoho_crm.types import as_json

Status = LeadConversion.Status
#: Causes on the page of a run.
MAX_CAUSES = 50
NO_LEAD_LEFT = gettext_lazy("No lead is left with this cause.")
CSV = "text/csv; charset=utf-8"
JSON_LINES = "application/jsonl; charset=utf-8"


def results_context(run: MassConversion, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the template variables for the causes, and how long the run took."""
    has_finished = run.stage == MassConversion.Stage.FINISHED
    took = run.ended_at - run.started_at if run.ended_at and run.started_at else None
    return {
        "causes": [_cause(run, group) for group in cause_groups(run, limit=MAX_CAUSES)],
        "spent": run_credits_text(credits_of_run(run, counts)) if took else "",
        "took": seconds_text(max(1, int(took.total_seconds()))) if took and has_finished else "",
    }


def leads_url(run: MassConversion, **filters: str) -> str:
    """Return the URL of the list of a run's leads, filtered by these field values."""
    query = {"run": run.pk, **{f"{name}__exact": value for name, value in filters.items()}}
    return f"{reverse('admin:zoho_crm_leadconversion_changelist')}?{urlencode(query)}"


def _cause(run: MassConversion, group: CauseGroup) -> dict[str, Any]:
    key = group.key
    has_finished = run.stage == MassConversion.Stage.FINISHED
    return {
        "group": group,
        "key": key,
        # One value of a button: the table stands in the form of Django's page.
        "value": urlencode({**as_json(key), "count": group.count}),
        "query": urlencode({"cause": cause_value(key)}),
        "badge": status_badge(key.status, str(Status(key.status).label)),
        "count": group.count,
        "can_be_retried": group.can_be_retried and has_finished,
        "can_be_set": has_finished and may_be_set_in_policy(run, key),
    }


def cause_value(key: CauseKey) -> str:
    """Return a cause as the value of a parameter."""
    return urlencode(as_json(key))


def read_cause(value: str) -> CauseKey | None:
    """Return the cause that the value of a parameter names; ``None`` if it names none."""
    form = forms.CauseForm(QueryDict(value))
    return form.key if form.is_valid() else None


def _shown_cause(request: HttpRequest, run: MassConversion, these: Q) -> CauseKey:
    """
    Return the cause that a button names.

    :param these: which of its leads the button is about
    :raises StaleDecisionError: if it has no such lead, or more of them than the button showed
    """
    form = forms.CauseForm(QueryDict(request.POST.get("cause", "")))
    if not form.is_valid():
        raise StaleDecisionError
    count = cause_rows(run, form.key).filter(these).count()
    if not count:
        raise StaleDecisionError(str(NO_LEAD_LEFT), code="none_left")
    if count > (form.cleaned_data["count"] or 0):
        raise StaleDecisionError(str(MORE_THAN_SHOWN), code="more_than_shown")
    return form.key


def retry_run(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Preview the failed and undecided leads of a finished run again, all or those of a cause."""
    try:
        cause = _shown_cause(request, run, TO_RETRY) if "cause" in request.POST else None
    except StaleDecisionError as error:
        return pages.redirect_with_warning(request, run, str(error))
    return _retry(pages, request, run, cause)


def _retry(
    pages: PagesAdmin,
    request: HttpRequest,
    run: MassConversion,
    cause: CauseKey | None,
    policy: Policy | None = None,
) -> HttpResponse:
    by = signed_in_user(request)
    try:
        count = mass_convert.retry(run_id=run.pk, by=by, cause=cause, policy=policy)
    except StaleDecisionError as error:
        return pages.redirect_with_warning(request, run, str(error))
    if not count:
        return pages.redirect_with_warning(request, run, _("No lead is left to be retried."))
    text = ngettext(
        "%(count)s lead is previewed again; it is sent when somebody starts this once more.",
        "%(count)s leads are previewed again; they are sent when somebody starts this once more.",
        count,
    )
    text %= {"count": count}
    return redirect_with_success(pages, request, run, text, log=gettext_lazy("Retried."))


def leave_out(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Leave out the leads of a cause."""
    try:
        cause = _shown_cause(request, run, TO_RETRY)
        count = mass_convert.leave_out(run_id=run.pk, cause=cause, by=signed_in_user(request))
    except StaleDecisionError as error:
        return pages.redirect_with_warning(request, run, str(error))
    text = ngettext(
        "%(count)s lead is left out, and stays as it is at Zoho.",
        "%(count)s leads are left out, and stay as they are at Zoho.",
        count,
    )
    text %= {"count": count}
    return pages.redirect_with_success(request, run, text, log=gettext_lazy("Left out."))


def check(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Ask Zoho what became of the leads of a cause whose outcome is not known."""
    try:
        cause = _shown_cause(request, run, Q(status__in=IN_DOUBT))
        found, left = check_outcomes(run_id=run.pk, cause=cause, seconds=MAX_SECONDS)
    except StaleDecisionError as error:
        return pages.redirect_with_warning(request, run, str(error))
    except EXPECTED_ERRORS as error:
        text = _("Zoho could not be asked: %s") % describe_error(error)
        return pages.redirect_with_warning(request, run, text)
    if left > 0:
        text = ngettext(
            "%(count)s lead was not checked: that takes longer than one request may.",
            "%(count)s leads were not checked: that takes longer than one request may.",
            left,
        )
        messages.warning(request, text % {"count": left})
    text, log = outcomes_text(found), gettext_lazy("Checked at Zoho.")
    return redirect_with_success(pages, request, run, text, log=log)


def set_in_policy(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Show what the policy of a run says about a refused field; on POST set that, and retry."""
    if not has_any_permission(request, "prepare_massconversion", of=run):
        raise PermissionDenied
    cause = read_cause(request.GET.get("cause", ""))
    has_finished = run.stage == MassConversion.Stage.FINISHED
    if cause is None or not has_finished or not may_be_set_in_policy(run, cause):
        return pages.redirect_with_warning(request, run, str(StaleDecisionError()))
    count = cause_rows(run, cause).filter(TO_RETRY).count()
    if not count:
        return pages.redirect_with_warning(request, run, str(NO_LEAD_LEFT))
    offered, problem = readable_choices(run.connection)
    form = forms.PolicyFieldForm(
        request.POST or None, policy=run.rules, api_name=cause.detail, offered=offered
    )
    if problem:
        problem = _("Zoho cannot be asked what may be chosen: %s") % problem
    if not problem and form.is_valid():
        if count <= number_of(request.POST.get("count")):
            return _retry(pages, request, run, cause, form.chosen_policy)
        messages.warning(request, str(MORE_THAN_SHOWN))
    return pages.render_page(
        request,
        "set_in_policy.html",
        page_name=_("Set in policy"),
        title=_("Set in the policy: %s") % run,
        original=run,
        run=run,
        form=form,
        problem=problem,
        count=count,
        back=pages.record_url(request, run),
    )


# Exports


def export_run(
    pages: PagesAdmin, request: HttpRequest, run: MassConversion
) -> StreamingHttpResponse:
    """Stream the results as CSV."""
    lines = mass_convert.export(run_id=run.pk, with_values=may_see_source(request, run))
    return stream_export(pages, request, run, lines, "{}.csv", CSV)


def export_json(
    pages: PagesAdmin, request: HttpRequest, run: MassConversion
) -> StreamingHttpResponse:
    """Stream the results as JSON, one object a line."""
    lines = mass_convert.export_json(run_id=run.pk, with_values=may_see_source(request, run))
    return stream_export(pages, request, run, lines, "{}.jsonl", JSON_LINES)


def export_before(
    pages: PagesAdmin, request: HttpRequest, run: MassConversion
) -> StreamingHttpResponse:
    """Stream what was read of the leads before, to those who may see it, as JSON."""
    _check_may_see_payload(request, run)
    decided_only = request.GET.get("decided") == "1"
    lines = mass_convert.export_before(run_id=run.pk, decided_only=decided_only)
    return stream_export(pages, request, run, lines, "{}-before.jsonl", JSON_LINES)


def export_changes(
    pages: PagesAdmin, request: HttpRequest, run: MassConversion
) -> StreamingHttpResponse:
    """Stream the values that existing records had before, to those who may see what was read."""
    _check_may_see_payload(request, run)
    lines = mass_convert.export_changes(run_id=run.pk)
    return stream_export(pages, request, run, lines, "{}-changes.csv", CSV)


def _check_may_see_payload(request: HttpRequest, run: MassConversion) -> None:
    if not has_any_permission(request, "view_payload_leadconversion", of=run):
        raise PermissionDenied


def stream_export(
    pages: PagesAdmin,
    request: HttpRequest,
    run: MassConversion,
    lines: Iterator[str],
    name: str,
    content_type: str,
) -> StreamingHttpResponse:
    """Stream lines of a run as a file; ``{}`` in its name becomes the run."""
    pages.log_change(request, run, gettext_lazy("Exported."))
    response = StreamingHttpResponse(lines, content_type=content_type)
    file_name = name.format(f"mass-conversion-{run.pk}")
    response["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return response
