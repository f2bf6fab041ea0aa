"""The page that prepares a run: which leads, by which policy, and what it will cost."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from zoho_crm import tasks
from zoho_crm.admin._base import (
    EXPECTED_ERRORS,
    PagesAdmin,
    chosen_connection,
    permitted_connections,
    readable_choices,
    signed_in_user,
)
from zoho_crm.conf import conf
from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.forms import PrepareForm
from zoho_crm.models import MassConversion
from zoho_crm.services import lead_browser, mass_convert
from zoho_crm.services.choices import Choices
from zoho_crm.services.presentation import describe_policy
from zoho_crm.services.run_pace import example_texts, prepare_texts

#: The button that only asks what a run would cost.
ESTIMATE = "estimate"
MAY_PREPARE = "prepare_massconversion"


def prepare_page(pages: PagesAdmin, request: HttpRequest) -> HttpResponse:
    """Ask for leads and a policy; on POST estimate what they cost, or create the run."""
    connections = permitted_connections(request, MAY_PREPARE)
    connection = chosen_connection(request, MAY_PREPARE)
    offered, problem = readable_choices(connection) if connection else (Choices(), "")
    if problem:
        problem = _("Zoho cannot be asked what may be chosen: %s") % problem
    estimates = example_texts(connection) if connection else []
    step = request.POST.get("step") if request.method == "POST" else "look"
    if step != "look":
        form = PrepareForm(request.POST, request.FILES, offered=offered, connections=connections)
        if problem:
            form.add_error("connection", problem)
        if step == ESTIMATE and form.is_valid():
            estimates = _estimates(form) or estimates
        elif form.is_valid() and (run := _prepare(pages, request, form, offered)):
            return redirect(pages.record_url(request, run))
    else:
        initial: dict[str, Any] = {**request.POST.dict(), "tags": request.POST.getlist("tags")}
        initial["connection"] = connection
        form = PrepareForm(initial=initial, offered=offered, connections=connections)
    return pages.render_page(
        request,
        "prepare.html",
        page_name=_("Prepare"),
        title=_("Prepare a run"),
        form=form,
        problem=problem,
        notices=offered.absence_texts(),
        has_connection=connection is not None,
        estimates=estimates,
        has_estimate=step == ESTIMATE,
        count_credits=conf().costs["count"],
        has_several=connections.count() > 1,
        policies=[(name, describe_policy(p, offered.names)) for name, p in form.policies.items()],
    )


def _estimates(form: PrepareForm) -> list[str]:
    """Return what a run of the leads in a form costs; none, with an error, if it is not known."""
    given = form.cleaned_data
    try:
        if given["open_leads"]:
            count = lead_browser.count_open_leads(given["connection"], given["filters"])
        else:
            count = len({*filter(None, form.lead_ids())})
    except EXPECTED_ERRORS as error:
        form.add_service_error(error)
        return []
    texts = prepare_texts(given["connection"], count)
    if given["file"]:
        texts.append(_("Choose the file once more: no page can keep it."))
    return texts


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
    pages.log_change(request, run, gettext_lazy("Prepared."))
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
