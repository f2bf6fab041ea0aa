"""The page that prepares a mass conversion. Nothing is converted by it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zoho_crm import tasks
from zoho_crm.admin._base import EXPECTED_ERRORS, signed_in_user
from zoho_crm.admin._run_decisions import RunDecisionPages
from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.forms import PrepareForm
from zoho_crm.models import Connection, MassConversion
from zoho_crm.services import mass_convert
from zoho_crm.services.choices import Choices, choices
from zoho_crm.services.presentation import describe_error, describe_policy


class RunPreparePages(RunDecisionPages):
    """The page that prepares a mass conversion."""

    def prepare_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for leads and a policy; on POST create the run and store its leads."""
        connection = _chosen_connection(request)
        offered, problem = _available_choices(connection)
        if request.method == "POST" and request.POST.get("step") != "look":
            form = PrepareForm(request.POST, request.FILES, offered=offered)
            if problem:
                form.add_error("connection", problem)
            if form.is_valid() and (run := self._prepare(request, form, offered)):
                return redirect(self.record_url(request, run))
        else:
            initial: dict[str, Any] = {**request.POST.dict(), "tags": request.POST.getlist("tags")}
            initial["connection"] = connection
            form = PrepareForm(initial=initial, offered=offered)
        return self.render_page(
            request,
            "prepare.html",
            page_name=_("Prepare"),
            title=_("Prepare a mass conversion"),
            form=form,
            problem=problem,
            notices=offered.absence_texts(),
            has_connection=connection is not None,
            has_several=Connection.objects.count() > 1,
            policies=[
                (name, describe_policy(p, offered.names)) for name, p in form.policies.items()
            ],
        )

    def _prepare(
        self, request: HttpRequest, form: PrepareForm, offered: Choices
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
        self.log_change(request, run, _("Prepared."))
        self._report_prepared(request, run)
        return run

    def _report_prepared(self, request: HttpRequest, run: MassConversion) -> None:
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


def _available_choices(connection: Connection | None) -> tuple[Choices, str]:
    """Return what a policy may choose from, and why Zoho cannot be asked (empty if it can)."""
    if connection is None:
        return Choices(), ""
    try:
        return choices(connection), ""
    except EXPECTED_ERRORS as error:
        return Choices(), _("Zoho cannot be asked what may be chosen: %s") % describe_error(error)
