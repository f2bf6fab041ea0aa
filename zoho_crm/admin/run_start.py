"""The page that starts a run: what is sent, what it costs, and the number to type in."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from zoho_crm.admin._base import (
    LEAD_NAME_PERMISSIONS,
    PagesAdmin,
    has_any_permission,
    signed_in_user,
)
from zoho_crm.admin._runs import estimate_context, redirect_with_success, state_context
from zoho_crm.exceptions import PlanError, StaleDecisionError
from zoho_crm.forms import StartForm
from zoho_crm.models import MassConversion
from zoho_crm.services import mass_convert
from zoho_crm.services.mass_convert import routes_of
from zoho_crm.services.presentation import describe_policy, describe_start
from zoho_crm.services.run_pace import credits_texts, retention_text
from zoho_crm.services.run_start import find_differences, kept_text, routes_text

Stage = MassConversion.Stage


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
            text %= form.cleaned_data
            log = gettext_lazy("Started.")
            return redirect_with_success(pages, request, run, text, log=log)
    return _show_start(pages, request, run, form)


def _show_start(
    pages: PagesAdmin, request: HttpRequest, run: MassConversion, form: StartForm
) -> HttpResponse:
    counts = mass_convert.counts(run)
    in_review, estimate = run.stage == Stage.REVIEW, estimate_context(run)
    differences = find_differences(run) if in_review else None
    sees_names = has_any_permission(request, *LEAD_NAME_PERMISSIONS, of=run)
    return pages.render_page(
        request,
        "start.html",
        page_name=_("Start"),
        title=_("Start: %s") % run,
        form=form,
        count=counts["decided"],
        can_be_started=in_review and run.due_at is None and counts["decided"] > 0,
        sentences=[*describe_start(run), routes_text(routes_of(run))] if in_review else [],
        differences=differences,
        differing=[
            (row.lead_name if sees_names else row.lead_id, fields)
            for row, fields in (differences.first if differences else [])
        ],
        kept=kept_text(counts["decided"]),
        policy=describe_policy(run.rules),
        **estimate,
        credits_left=credits_texts(run.connection, estimate["estimate"].credits),
        retention=retention_text(),
        **state_context(run, counts),
    )
