"""The lead browser: leads as Zoho has them now, from which one is previewed or a run prepared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from zoho_crm import forms
from zoho_crm.admin._action_kinds import ListAction
from zoho_crm.admin._actions import (
    ActionsMixin,
    action_url,
    check_permission,
    filters_in,
    number_of,
    posted_action,
)
from zoho_crm.admin._base import (
    EXPECTED_ERRORS,
    PagesAdmin,
    access_in,
    chosen_connection,
    has_any_permission,
    permissions_in,
    permitted_connections,
    signed_in_user,
)
from zoho_crm.admin._html import (
    EMPTY_TEXT,
    moment_html,
    person_html,
    record_html,
    time_html,
)
from zoho_crm.admin.conversion_actions import MAY_PREPARE
from zoho_crm.admin.lead_actions import (
    CHECK_MATCHES,
    MAY_BROWSE,
    PREPARE_MATCHING,
    PREPARE_TICKED,
    LeadsPage,
)
from zoho_crm.conf import conf
from zoho_crm.exceptions import PermissionDeniedError, RequestRefusedError
from zoho_crm.models import Connection, LeadConversion, non_atomic_requests
from zoho_crm.services import lead_browser
from zoho_crm.services.choices import Choices, choices
from zoho_crm.services.display import status_badge
from zoho_crm.services.lead_browser import BrowsedPage, LeadField
from zoho_crm.services.leads import field_value
from zoho_crm.services.presentation import describe_error
from zoho_crm.services.selections import select
from zoho_crm.types import Lead, ValueObject, is_record_id

PAGE = "page"
#: Letters of a value that a cell shows.
MAX_CELL_LENGTH = 100


class ZohoLeadAdmin(ActionsMixin, PagesAdmin):
    """The list of leads at Zoho; it has no table, so it has nothing but this list."""

    list_actions = (CHECK_MATCHES, PREPARE_TICKED, PREPARE_MATCHING)
    action_page = LeadsPage

    class Media:
        js: ClassVar = ["zoho_crm/tick_all.js"]

    def get_urls(self) -> list[Any]:
        view = require_http_methods(["GET", "POST"])(self.changelist_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        listed = path("", non_atomic_requests(self.admin_site.admin_view(view)), name=name)
        return [listed, *self.action_urls()]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_in(request).somewhere(MAY_BROWSE)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        connection = chosen_connection(request, MAY_BROWSE)
        if action := posted_action(self, request):
            return self._begin(request, action, connection)
        return LeadBrowser(self, request, connection).respond()

    def _begin(
        self, request: HttpRequest, action: ListAction, connection: Connection | None
    ) -> HttpResponse:
        """Store which leads were chosen, and go on to the page of the action."""
        check_permission(self, request, action, several=False)
        ids = _chosen_ids(request, action)
        if connection is None or ids == []:
            text = _("Nothing is chosen: tick some leads, or prepare a run of the whole filter.")
            messages.warning(request, text)
            return redirect(request.get_full_path())
        if not action.permits(request, several=True, of=connection):
            raise PermissionDenied
        selection = select(
            user=signed_in_user(request),
            of=self.opts.label_lower,
            ids=ids,
            filters={**filters_in(request), "connection": [str(connection.pk)]},
            connection_id=connection.pk,
        )
        return redirect(action_url(self, action, selection))


def _chosen_ids(request: HttpRequest, action: ListAction) -> list[str] | None:
    """Return the leads that an action is for; ``None`` for all that fit the filter."""
    if action is PREPARE_MATCHING:
        return None
    of_page = request.POST.get("to_check", "").split(",")
    ids = of_page if action is CHECK_MATCHES else request.POST.getlist(ACTION_CHECKBOX_NAME)
    return list(dict.fromkeys(filter(is_record_id, ids)))[: lead_browser.LEADS_PER_PAGE]


# The list


class Cell(ValueObject):
    """The value of a column."""

    label: str
    html: SafeString | str


class LeadLine(ValueObject):
    """A line of the list."""

    lead_id: str
    name: str
    #: The id, to be copied, with a link to Zoho.
    record: SafeString | str
    cells: Sequence[Cell]


class LeadBrowser:
    """One look at a page of leads."""

    def __init__(
        self, pages: ZohoLeadAdmin, request: HttpRequest, connection: Connection | None
    ) -> None:
        self.pages, self.request, self.connection = pages, request, connection
        self.number = min(max(1, number_of(request.GET.get(PAGE))), lead_browser.MAX_PAGES)
        #: Why the page cannot be read, with what to do; and what else could not be read.
        self.problem = ""
        self.notices: list[str] = []
        self.types: Mapping[str, str] = {}

    def respond(self) -> TemplateResponse:
        """Read the page from Zoho and show it; if that fails, show why, with the same filter."""
        form = self._form() if self.connection else None
        shown = self._read(form) if form and form.is_valid() and not self.problem else None
        context = {
            "about": self.connection,
            "connections": permitted_connections(self.request, MAY_BROWSE),
            "may": permissions_in(self.request, self.connection),
            "form": form,
            "problem": self.problem,
            "notices": self.notices,
            "page_credits": conf().costs["other"],
            "count_credits": conf().costs["count"],
            **(self._page_context(form, shown) if form and shown else {}),
        }
        name = {"kind": _("Leads at Zoho"), "name": self.connection}
        title = _("%(kind)s: %(name)s") % name if self.connection else name["kind"]
        return self.pages.render_page(
            self.request,
            "browse.html",
            page_name=str(self.connection or _("No connection")),
            title=title,
            **context,
        )

    def _form(self) -> forms.LeadFilterForm:
        """Return the filter, with what can be chosen as far as it can be read; it is cached."""
        assert self.connection is not None
        offered, fields = Choices(), tuple[LeadField, ...]()
        try:
            fields = lead_browser.lead_fields(self.connection)
            offered = choices(self.connection, with_deal=False)
        except (PermissionDeniedError, RequestRefusedError) as error:
            text = _("The fields of leads cannot be read: %s")
            self.notices.append(text % describe_error(error))
        except EXPECTED_ERRORS as error:
            self.problem = lead_browser.problem_text(error)
        self.notices += offered.absence_texts()
        self.types = {field.api_name: field.data_type for field in fields}
        return forms.LeadFilterForm(self.request.GET, offered=offered, lead_fields=fields)

    def _read(self, form: forms.LeadFilterForm) -> BrowsedPage | None:
        assert self.connection is not None
        try:
            return lead_browser.read_page(
                self.connection,
                number=self.number,
                filters=form.filters(),
                converted=form.converted,
                columns=form.cleaned_data["columns"],
            )
        except EXPECTED_ERRORS as error:
            self.problem = lead_browser.problem_text(error)
            return None

    def _page_context(self, form: forms.LeadFilterForm, shown: BrowsedPage) -> dict[str, Any]:
        lines = [self._line(form, lead, shown.rows.get(lead.id)) for lead in shown.leads]
        to_check = lead_browser.ids_to_check(shown)
        is_last = self.number >= lead_browser.MAX_PAGES
        return {
            "shown": shown,
            "lines": lines,
            "headings": [cell.label for cell in lines[0].cells] if lines else [],
            "read_at": moment_html(shown.read_at),
            "number": self.number,
            "previous": self.number - 1,
            "next": self.number + 1 if shown.has_more and not is_last else 0,
            "is_cut": shown.has_more and is_last,
            "is_filtered": bool(form.filters()),
            "words": form.words(),
            "to_check": [] if form.converted else to_check,
            "check_cost": lead_browser.cost_text(len(to_check)),
            "may_choose": not form.converted
            and has_any_permission(self.request, MAY_PREPARE, of=self.connection),
        }

    def _line(self, form: forms.LeadFilterForm, lead: Lead, row: LeadConversion | None) -> LeadLine:
        assert self.connection is not None
        cells = [
            Cell(label=form.label_of(name), html=self._value(lead, name))
            for name in form.cleaned_data["columns"]
        ]
        contact_id = lead.converted.contact_id if lead.converted else ""
        contact = record_html(self.connection, "Contacts", contact_id, is_short=True)
        became = (
            Cell(label=_("Contact"), html=contact)
            if form.converted
            else Cell(label=_("Matches"), html=self._matches(row))
        )
        return LeadLine(
            lead_id=lead.id,
            name=lead.name or lead.id,
            record=record_html(self.connection, "Leads", lead.id, is_short=True),
            cells=[*cells, became, Cell(label=_("Here"), html=self._here(lead, row))],
        )

    def _value(self, lead: Lead, name: str) -> SafeString | str:
        value = field_value(lead, name)
        if self.types.get(name, "datetime") == "datetime" and (instant := _instant(value)):
            return time_html(instant)
        return person_html(Truncator(value).chars(MAX_CELL_LENGTH)) if value else EMPTY_TEXT

    def _matches(self, row: LeadConversion | None) -> SafeString | str:
        """Return what matches a lead, with a link to the page that compares it."""
        text = lead_browser.matches_text(row) if row else ""
        return (
            format_html('<a href="{}">{}</a>', self._url(row, "decide"), text)
            if row and text
            else EMPTY_TEXT
        )

    def _here(self, lead: Lead, row: LeadConversion | None) -> SafeString | str:
        """Return what became of a lead here, and in which run."""
        if row is None:
            return _("converted elsewhere") if lead.converted else EMPTY_TEXT
        badge = status_badge(row.status, row.get_status_display())
        parts = [self._linked(row, badge)]
        if row.mass_conversion is not None:
            parts.append(self._linked(row.mass_conversion, str(row.mass_conversion)))
        return format_html_join("", '<div class="zoho-part">{}</div>', ((each,) for each in parts))

    def _linked(self, record: Any, text: SafeString | str) -> SafeString | str:
        name = record._meta.model_name
        if not has_any_permission(self.request, f"view_{name}", of=self.connection):
            return text
        return format_html('<a href="{}">{}</a>', self._url(record, "change"), text)

    def _url(self, record: Any, page: str) -> str:
        name = f"admin:zoho_crm_{record._meta.model_name}_{page}"
        return reverse(name, args=[record.pk], current_app=self.pages.admin_site.name)


def _instant(text: str) -> datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found and found.tzinfo else None
