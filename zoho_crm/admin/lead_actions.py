"""What is done to leads of the lead browser: check what matches them, or prepare a run of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import forms
from zoho_crm.admin._action_kinds import ListAction
from zoho_crm.admin._actions import MAX_NAMES, ActionPage, number_of, query_of
from zoho_crm.admin._base import EXPECTED_ERRORS, has_any_permission
from zoho_crm.admin.conversion_actions import (
    PREPARE_NOTES,
    RunAction,
    preview_by_worker,
)
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services import lead_browser, mass_convert
from zoho_crm.services.choices import Choices, choices
from zoho_crm.services.obstacles import PREVIEW_OBSTACLES, count_by_obstacle, without_obstacles
from zoho_crm.types import ngettext_lazy

#: Who may preview leads reads them from Zoho, and sees who they are.
MAY_BROWSE = "preview_leadconversion"


class LeadsPage(ActionPage):
    """The page of an action on leads at Zoho: on those of a page, ticked or not, or of a filter."""

    #: Why the leads of a filter cannot be counted.
    problem = ""

    def respond(self) -> HttpResponseBase:
        if not has_any_permission(self.request, MAY_BROWSE, of=self.connection):
            raise PermissionDenied
        return super().respond()

    @cached_property
    def connection(self) -> Connection:
        return Connection.objects.get(pk=self.connection_id or 0)

    @cached_property
    def rows(self) -> QuerySet[LeadConversion]:
        """Our rows of the ticked leads that are known here."""
        return LeadConversion.objects.filter(
            connection_id=self.connection_id or 0, lead_id__in=self.selection.ids or []
        )

    @cached_property
    def counts(self) -> tuple[int, list[Any]]:
        if self.selection.ids is None:
            return self._about(), []
        left_out = count_by_obstacle(self.rows, self.obstacles)[1]
        known = sum(number for _obstacle, number in left_out)
        return len(self.selection.ids) - known, left_out

    def _about(self) -> int:
        """Return about how many leads fit the filter; on POST as many as were shown then."""
        if not self.filter_form.is_valid():
            self.problem = _("This filter cannot be used: go back to the list and correct it.")
            return 0
        if self.request.method == "POST":
            return number_of(self.request.POST.get("count"))
        try:
            return lead_browser.count_open_leads(self.connection, self.filter_form.filters())
        except EXPECTED_ERRORS as error:
            self.problem = lead_browser.problem_text(error)
            return 0

    @cached_property
    def filter_form(self) -> forms.LeadFilterForm:
        """The filter as it was when it was chosen, with the names of the users if known."""
        try:
            offered = choices(self.connection, with_deal=False)
        except EXPECTED_ERRORS:
            offered = Choices()
        query = query_of(self.selection.filters)
        query.pop("columns", None)
        return forms.LeadFilterForm(query, offered=offered)

    def lead_ids(self) -> Iterator[str]:
        """Yield the ids of the ticked leads that can be taken into a run."""
        fit = without_obstacles(self.rows, self.obstacles).values_list("lead_id", flat=True)
        blocked = set(self.rows.values_list("lead_id", flat=True)) - set(fit)
        return (each for each in self.selection.ids or [] if each not in blocked)

    def names(self) -> list[str]:
        """Return the names of the first leads as Zoho has them now; their ids if it is silent."""
        first = list(self.lead_ids())[:MAX_NAMES]
        try:
            found = lead_browser.names_of(self.connection, first) if first else {}
        except EXPECTED_ERRORS:
            found = {}
        return [found.get(lead_id) or lead_id for lead_id in first]

    def notes(self) -> list[str]:
        """Return the filter in words, and what else is to be known; asked only if leads fit it."""
        words = self.filter_form.words() if self.selection.ids is None else []
        costs = self.action is CHECK_MATCHES
        return [*words, *([lead_browser.cost_text(self.count)] if costs else []), *super().notes()]


class CheckMatches(ListAction):
    """Lets the worker preview the leads of a page, which fills the column of their matches."""

    def perform(self, page: ActionPage) -> HttpResponseBase:
        assert isinstance(page, LeadsPage)
        return preview_by_worker(page, [list(page.lead_ids())])


class TickedRun(RunAction):
    """Prepares a run of the ticked leads, and opens its review."""

    def lead_ids(self, page: ActionPage) -> Iterator[str]:
        assert isinstance(page, LeadsPage)
        return page.lead_ids()


class MatchingRun(RunAction):
    """Prepares a run of all open leads that fit a filter, which the worker reads."""

    def refusal(self, page: ActionPage) -> str:
        assert isinstance(page, LeadsPage)
        return "" if page.count else page.problem

    def prepared_run(self, page: ActionPage, form: forms.RunOfSelectionForm) -> MassConversion:
        assert isinstance(page, LeadsPage)
        return mass_convert.prepare_open_leads(
            connection_id=page.connection.pk,
            filters=page.filter_form.filters(),
            policy=form.chosen_policy,
            active_owners=form.offered.active_owners,
            owner_names=form.offered.names,
            name=form.cleaned_data["name"],
            by=page.by,
        )

    def open_run(self, page: ActionPage, run: MassConversion) -> HttpResponseBase:
        page.log(page.count)
        messages.success(page.request, str(self.done))
        may_view = has_any_permission(page.request, "view_massconversion", of=run)
        name = "change" if may_view else "decide"
        url = f"admin:zoho_crm_massconversion_{name}"
        return redirect(reverse(url, args=[run.pk], current_app=page.pages.admin_site.name))


CHECK_MATCHES = CheckMatches(
    name="check_matches",
    label=gettext_lazy("Check matches on this page"),
    permissions=(MAY_BROWSE,),
    obstacles=PREVIEW_OBSTACLES,
    will=ngettext_lazy(
        "The worker reads %(count)s lead from Zoho, with the contacts and accounts that match it.",
        "The worker reads %(count)s leads from Zoho, with the contacts and accounts that match "
        "them.",
        "count",
    ),
    notes=(gettext_lazy("Nothing is converted by that."),),
    button=ngettext_lazy(
        "Check the matches of %(count)s lead", "Check the matches of %(count)s leads", "count"
    ),
    done=ngettext_lazy(
        "The matches of %(count)s lead are being read; press “Refresh” in a moment to see them.",
        "The matches of %(count)s leads are being read; press “Refresh” in a moment to see them.",
        "count",
    ),
)

PREPARE_TICKED = TickedRun()

PREPARE_MATCHING = MatchingRun(
    name="prepare_matching",
    label=gettext_lazy("Prepare a run of this filter"),
    obstacles=(),
    will=ngettext_lazy(
        "A run of about %(count)s open lead is prepared: of those that fit when they are read.",
        "A run of about %(count)s open leads is prepared: of those that fit when they are read.",
        "count",
    ),
    notes=(
        gettext_lazy("Zoho has counted them; its number lags behind changes by minutes."),
        gettext_lazy("The worker reads the open leads page by page, 200 for one credit."),
        gettext_lazy("Those that are in another run, or on their way, are left out."),
        *PREPARE_NOTES,
    ),
    button=ngettext_lazy(
        "Prepare a run of about %(count)s lead",
        "Prepare a run of about %(count)s leads",
        "count",
    ),
    done=gettext_lazy("The open leads are being taken in and previewed; nothing is converted yet."),
)
