"""The actions of the list of lead conversions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import forms, tasks
from zoho_crm.admin._action_kinds import ExportAction, ListAction, SetAction
from zoho_crm.admin._actions import ActionPage
from zoho_crm.admin._base import (
    access_in,
    has_any_permission,
    readable_choices,
    signed_in_user,
)
from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services import bulk, mass_convert
from zoho_crm.services.choices import Choices
from zoho_crm.services.exports import csv_of_conversions
from zoho_crm.services.obstacles import (
    PREVIEW_OBSTACLES,
    RUN_OBSTACLES,
    SETTLE_OBSTACLES,
    Obstacles,
    skip_obstacles,
)
from zoho_crm.services.run_pace import prepare_texts
from zoho_crm.types import CodedText, CountedText, ngettext_lazy

MAY_APPROVE, MAY_PREPARE = "approve_leadconversion", "prepare_massconversion"


PREPARE_NOTES = (
    gettext_lazy("They are read from Zoho anew, and decided as the policy says."),
    gettext_lazy("Nothing is converted before somebody has looked at the result and starts it."),
)


class RunAction(ListAction):
    """An action that prepares a run of the chosen leads, and opens its review."""

    name: str = "prepare"
    label: Any = gettext_lazy("Prepare a run of these")
    permissions: tuple[str, ...] = (MAY_PREPARE,)
    obstacles: Obstacles | Callable[[HttpRequest], Obstacles] = RUN_OBSTACLES
    will: CountedText | str = ngettext_lazy(
        "A run of %(count)s lead is prepared, and its review opened.",
        "A run of %(count)s leads is prepared, and its review opened.",
        "count",
    )
    notes: Sequence[Any] = PREPARE_NOTES
    button: CountedText | str = ngettext_lazy(
        "Prepare a run of %(count)s lead", "Prepare a run of %(count)s leads", "count"
    )
    done: Any = ngettext_lazy(
        "%(count)s lead is taken in and is previewed now; nothing is converted yet.",
        "%(count)s leads are taken in and are previewed now; nothing is converted yet.",
        "count",
    )

    def refusal(self, page: ActionPage) -> str:
        if not page.count or page.connection_id:
            return ""
        return _(
            "These leads are of several connections, and a run is of one: filter the list by a "
            "connection first."
        )

    def form(self, page: ActionPage) -> forms.RunOfSelectionForm | None:
        if not (page.count and page.connection_id):
            return None
        if page.request.method != "POST":
            return forms.RunOfSelectionForm(offered=Choices())
        connection = Connection.objects.get(pk=page.connection_id)
        offered, problem = readable_choices(connection)
        form = forms.RunOfSelectionForm(page.request.POST, offered=offered)
        if problem:
            text = _("Zoho cannot be asked what may be chosen: %s")
            form.add_error(None, text % problem)
        return form

    def facts(self, page: ActionPage) -> list[str]:
        """Return what the run will cost; nothing if no run is prepared of these leads."""
        connection = Connection.objects.filter(pk=page.connection_id or 0).first()
        if connection is None or self.form(page) is None:
            return []
        return prepare_texts(connection, page.count)

    def perform(self, page: ActionPage) -> HttpResponseBase:
        form = self.form(page)
        assert form is not None
        assert form.is_valid()
        try:
            run = self.prepared_run(page, form)
        except RequestRefusedError as error:
            messages.error(page.request, str(error))
            return redirect(page.pages.back_url(page.selection))
        tasks.wake(run.connection_id)
        return self.open_run(page, run)

    def open_run(self, page: ActionPage, run: MassConversion) -> HttpResponseBase:
        """Say what was prepared, and open its review."""
        page.log(run.rows.count())
        messages.success(page.request, self.done % {"count": run.rows.count()})
        admin_name = page.pages.admin_site.name
        url = "admin:zoho_crm_massconversion_decide"
        return redirect(reverse(url, args=[run.pk], current_app=admin_name))

    def prepared_run(self, page: ActionPage, form: forms.RunOfSelectionForm) -> MassConversion:
        """Create the run with the policy of the form."""
        return mass_convert.prepare(
            connection_id=page.connection_id or 0,
            lead_ids=self.lead_ids(page),
            policy=form.chosen_policy,
            active_owners=form.offered.active_owners,
            name=form.cleaned_data["name"],
            source=CodedText(code="selection"),
            by=page.by,
        )

    def lead_ids(self, page: ActionPage) -> Iterator[str]:
        """Yield the ids of the leads that can be taken into a run."""
        leads = LeadConversion.objects.order_by("pk").values_list("lead_id", flat=True)
        for ids in page.all_id_batches():
            yield from leads.filter(pk__in=ids)


def preview_by_worker(page: ActionPage, batches: Iterable[Sequence[str]]) -> HttpResponseBase:
    """Let the worker preview the leads with the ids of each set, known or not, and say so."""
    done = sum(
        bulk.preview_leads(connection_id=page.connection_id or 0, lead_ids=lead_ids, by=page.by)
        for lead_ids in batches
    )
    tasks.wake(page.connection_id or 0)
    page.log(done)
    return page.report(done, [])


def _preview_again(request: HttpRequest, ids: list[Any]) -> int:
    return bulk.preview_again(ids=ids, by=signed_in_user(request))


def _leave_out(request: HttpRequest, ids: list[Any]) -> int:
    return bulk.skip(ids=ids, obstacles=_skip_obstacles(request), by=signed_in_user(request))


def _settle(request: HttpRequest, ids: list[Any]) -> int:
    return bulk.settle(ids=ids)


def _skip_obstacles(request: HttpRequest) -> Obstacles:
    access = access_in(request)
    return skip_obstacles(
        single_in=access.connection_ids(MAY_APPROVE), in_runs_of=access.connection_ids(MAY_PREPARE)
    )


PREVIEW_AGAIN = SetAction(
    name="preview_again",
    label=gettext_lazy("Preview again"),
    permissions=("preview_leadconversion",),
    obstacles=PREVIEW_OBSTACLES,
    will=ngettext_lazy(
        "The worker reads %(count)s lead from Zoho anew, with what matches it.",
        "The worker reads %(count)s leads from Zoho anew, with what matches them.",
        "count",
    ),
    notes=(
        gettext_lazy("Nothing is converted by that."),
        gettext_lazy("A decision that somebody made is kept if it still fits."),
    ),
    button=ngettext_lazy("Preview %(count)s lead again", "Preview %(count)s leads again", "count"),
    done=ngettext_lazy(
        "%(count)s lead is previewed anew; the worker does it by itself.",
        "%(count)s leads are previewed anew; the worker does it by itself.",
        "count",
    ),
    act=_preview_again,
)

CONVERT = RunAction(
    name="convert",
    label=gettext_lazy("Convert…"),
    permissions=(MAY_APPROVE,),
    permissions_for_several=(MAY_PREPARE,),
    only_one=gettext_lazy(
        "Several leads are converted together, as a run, which somebody else has to prepare: you "
        "may convert one at a time."
    ),
    page_of_one="decide",
    notes=(gettext_lazy("Several leads are converted together, as a run."), *PREPARE_NOTES),
)

LEAVE_OUT = SetAction(
    name="leave_out",
    label=gettext_lazy("Leave out"),
    permissions=(MAY_APPROVE, MAY_PREPARE),
    obstacles=_skip_obstacles,
    will=ngettext_lazy(
        "%(count)s lead is left out: nothing is sent for it, and it stays as it is at Zoho.",
        "%(count)s leads are left out: nothing is sent for them, and they stay as they are at "
        "Zoho.",
        "count",
    ),
    notes=(gettext_lazy("A lead that is left out can be previewed again later."),),
    button=ngettext_lazy("Leave %(count)s lead out", "Leave %(count)s leads out", "count"),
    done=ngettext_lazy("%(count)s lead is left out.", "%(count)s leads are left out.", "count"),
    act=_leave_out,
)

FIND_OUT = SetAction(
    name="find_out",
    label=gettext_lazy("Find out what happened"),
    permissions=("resolve_leadconversion",),
    obstacles=SETTLE_OBSTACLES,
    will=ngettext_lazy(
        "%(count)s lead is read from Zoho now, to see whether it was converted.",
        "%(count)s leads are read from Zoho now, to see whether they were converted.",
        "count",
    ),
    notes=(
        gettext_lazy("One call reads a hundred leads. Nothing is sent."),
        gettext_lazy(
            "Soon after a conversion was sent, a lead that is still open proves nothing; the "
            "worker goes on checking by itself."
        ),
    ),
    button=ngettext_lazy("Check %(count)s lead", "Check %(count)s leads", "count"),
    done=ngettext_lazy(
        "It is known now what became of %(count)s lead.",
        "It is known now what became of %(count)s leads.",
        "count",
    ),
    nothing_done=gettext_lazy(
        "It is not known yet what became of them: Zoho shows them open, which proves nothing so "
        "soon. The worker goes on checking by itself."
    ),
    act=_settle,
    batch=bulk.LEADS_PER_READ,
)

PREPARE = RunAction()


def _conversion_lines(page: ActionPage) -> Iterator[str]:
    def may_see_values(row: LeadConversion) -> bool:
        return has_any_permission(page.request, "view_payload_leadconversion", of=row)

    return csv_of_conversions(page.all_id_batches(), may_see_values=may_see_values)


EXPORT = ExportAction(
    name="export",
    label=gettext_lazy("Export as CSV"),
    permissions=("export_leadconversion",),
    will=ngettext_lazy(
        "%(count)s lead is written to a CSV file, with its result.",
        "%(count)s leads are written to a CSV file, with their results.",
        "count",
    ),
    notes=(gettext_lazy("The file has names of people: keep it as you keep other personal data."),),
    button=ngettext_lazy("Export %(count)s lead", "Export %(count)s leads", "count"),
    lines=_conversion_lines,
    file_name="lead-conversions.csv",
)

CONVERSION_ACTIONS = (PREVIEW_AGAIN, CONVERT, LEAVE_OUT, FIND_OUT, PREPARE, EXPORT)
