"""The panel of a simulator's connection: new data, faults and limits, and the log of its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from zoho_crm import tasks
from zoho_crm.admin._base import EXPECTED_ERRORS, PagesAdmin
from zoho_crm.admin._html import time_html
from zoho_crm.datacenters import LOCAL
from zoho_crm.forms import ResetForm
from zoho_crm.models import Connection
from zoho_crm.services import simulator
from zoho_crm.services.simulator import TROUBLES

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: Calls of the log that are shown.
MAX_CALLS = 30


def simulator_page(pages: PagesAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
    """Show the panel; on POST do what its button says."""
    if connection.data_center != LOCAL:
        raise Http404
    step = request.POST.get("do", "")
    form = ResetForm(request.POST if step == "reset" else None)
    if request.method == "POST" and (step != "reset" or form.is_valid()):
        try:
            done = _do(step, form, connection)
        except EXPECTED_ERRORS as error:
            messages.error(request, _("Not done. %s") % error)
        else:
            pages.log_change(request, connection, _log_of(step))
            messages.success(request, done)
        return redirect(pages.page_url("simulator", connection.pk))
    return _render(pages, request, connection, form)


def _do(step: str, form: ResetForm, connection: Connection) -> str:
    """Do what a button says; return what was done, in words."""
    if step == "reset":
        leads = simulator.reset(**form.cleaned_data)
        text = ngettext(
            "The simulator has a new organisation with %(count)s lead. This connection is to the "
            "former one: add the simulator again.",
            "The simulator has a new organisation with %(count)s leads. This connection is to the "
            "former one: add the simulator again.",
            leads,
        )
        return text % {"count": leads}
    if step in TROUBLES:
        simulator.make(TROUBLES[step])
        return _("The simulator will do this: %s") % TROUBLES[step].label
    simulator.heal(connection_id=connection.pk)
    tasks.wake(connection.pk)
    return _("The simulator has no more faults and limits.")


def _log_of(step: str) -> StrPromise:
    """Return what Django's history says of a button."""
    if step in TROUBLES:
        return TROUBLES[step].label
    if step == "reset":
        return gettext_lazy("Simulator reset.")
    return gettext_lazy("Faults and limits of the simulator removed.")


def _render(
    pages: PagesAdmin, request: HttpRequest, connection: Connection, form: ResetForm
) -> HttpResponse:
    problem, calls = "", []
    try:
        calls = simulator.latest_calls()[:MAX_CALLS]
    except EXPECTED_ERRORS as error:
        problem = str(error)
    return pages.render_page(
        request,
        "simulator.html",
        page_name=_("Simulator"),
        original=connection,
        form=form,
        troubles=[(name, trouble.label) for name, trouble in TROUBLES.items()],
        problem=problem,
        calls=[(time_html(call.at), call) for call in calls],
    )
