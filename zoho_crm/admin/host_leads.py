"""``LeadAdminMixin``: previews and conversions for the admin of a host's own model of leads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import forms, tasks
from zoho_crm.admin._action_kinds import ListAction
from zoho_crm.admin._actions import ActionPage, ActionsMixin
from zoho_crm.admin._base import EXPECTED_ERRORS, access_in, has_any_permission
from zoho_crm.admin._html import EMPTY_TEXT, state_html, time_html
from zoho_crm.admin.conversion_actions import (
    CONVERT,
    MAY_APPROVE,
    MAY_PREPARE,
    PREVIEW_AGAIN,
    RunAction,
    preview_by_worker,
)
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services import leads, outbox, preview
from zoho_crm.services.connections import find_connection
from zoho_crm.services.display import status_badge
from zoho_crm.services.lead_ids import read_lead_id
from zoho_crm.services.obstacles import (
    PREVIEW_OBSTACLES,
    RUN_OBSTACLES,
    Obstacle,
    count_by_obstacle,
    without_obstacles,
)
from zoho_crm.services.presentation import describe_error, field_label
from zoho_crm.services.selections import id_batches
from zoho_crm.services.states import describe_conversion
from zoho_crm.types import Lead, is_record_id, ngettext_lazy

#: Events of a lead that the panel shows.
MAX_EVENTS = 10
#: Leads with one e-mail address that are offered.
MAX_HITS = 20
MAY_VIEW, MAY_PREVIEW = "view_leadconversion", "preview_leadconversion"
_NO_CONNECTION = gettext_lazy("There is no connection to Zoho to use: connect first.")
#: Rows that are read and put into the outbox together.
PUSHED_ROWS = 100
_NO_ID = Obstacle(
    code="no_id",
    rows=Q(),
    text=ngettext_lazy(
        "%(count)s has no id of a lead at Zoho: choose it alone, to look for its e-mail address.",
        "%(count)s have no id of a lead at Zoho: choose each alone, to look for its e-mail "
        "address.",
        "count",
    ),
)
_DOUBLE = Obstacle(
    code="double",
    rows=Q(),
    text=ngettext_lazy(
        "%(count)s names the same lead as another.",
        "%(count)s name the same lead as another.",
        "count",
    ),
)


class LeadPage(ActionPage):
    """The page of an action on a host's rows, which stand for leads at Zoho."""

    pages: LeadAdminMixin

    @cached_property
    def connection(self) -> Connection | None:
        return self.pages.find_zoho_connection()

    @property
    def connection_id(self) -> int | None:
        return self.connection.pk if self.connection else None

    @cached_property
    def only_row(self) -> Any:
        """The row, if exactly one was chosen; else ``None``."""
        rows = list(self.rows.order_by("pk")[:2])
        return rows[0] if len(rows) == 1 else None

    @cached_property
    def only_lead_id(self) -> str:
        """The lead of the only row, or the one of its hits whose button was pressed."""
        if self.only_row is None:
            return ""
        chosen = self.request.POST.get("lead", "")
        return self.pages.zoho_lead_id(self.only_row) or (chosen if is_record_id(chosen) else "")

    @cached_property
    def hits(self) -> tuple[tuple[Lead, ...], str]:
        """The open leads with the e-mail address of the only row, or why there are none."""
        if self.only_row is None or self.connection is None or self.only_lead_id:
            return (), ""
        email = self.pages.zoho_email(self.only_row)
        if not email:
            return (), _("It has neither the id of a lead at Zoho nor an e-mail address.")
        try:
            found = leads.find_leads(connection_id=self.connection.pk, email=email)
        except EXPECTED_ERRORS as error:
            return (), describe_error(error)
        nothing = _(
            "Zoho finds no open lead with this address; "
            "one that was made in the last minutes may be missing."
        )
        return found[:MAX_HITS], "" if found else nothing

    @cached_property
    def counts(self) -> tuple[int, list[Any]]:
        if self.connection is None:
            return 0, []
        if isinstance(self.action, PushRows):
            return self.rows.count(), []
        if self.only_row is not None:
            return (1 if self.only_lead_id or self.hits[0] else 0), []
        fitting, numbers = 0, dict.fromkeys([_NO_ID, _DOUBLE, *self.obstacles], 0)
        for size, texts, lead_ids in self._batches():
            known = self._conversions(lead_ids)
            numbers[_NO_ID] += size - len(texts)
            numbers[_DOUBLE] += len(texts) - len(lead_ids)
            left_out = count_by_obstacle(known, self.obstacles)[1]
            for obstacle, number in left_out:
                numbers[obstacle] += number
            fitting += len(lead_ids) - sum(number for _obstacle, number in left_out)
        return fitting, [(each, number) for each, number in numbers.items() if number]

    def lead_ids(self) -> Iterator[list[str]]:
        """Yield the ids of the leads that the action can be done to, in sets."""
        for _size, _texts, lead_ids in self._batches():
            known = self._conversions(lead_ids)
            fit = without_obstacles(known, self.obstacles).values_list("lead_id", flat=True)
            blocked = set(known.values_list("lead_id", flat=True)) - set(fit)
            yield [lead_id for lead_id in lead_ids if lead_id not in blocked]

    def _batches(self) -> Iterator[tuple[int, list[str], list[str]]]:
        """Yield sets of rows: how many, the ids of leads that they have, and each id once."""
        field = self.pages.zoho_lead_id_field
        for ids in id_batches(self.rows):
            values = self.rows.filter(pk__in=ids).values_list(field, flat=True) if field else []
            texts = [read_lead_id(str(value or "")).lead_id for value in values]
            texts = list(filter(None, texts))
            yield len(ids), texts, list(dict.fromkeys(texts))

    def _conversions(self, lead_ids: Iterable[str]) -> Any:
        return LeadConversion.objects.filter(connection=self.connection, lead_id__in=list(lead_ids))

    def names(self) -> list[str]:
        first = self.rows.order_by("pk")[:2]
        return [self.pages.row_name(self.request, self.only_row)] if len(first) == 1 else []

    def more_context(self) -> dict[str, Any]:
        return {"hits": [] if self.only_lead_id else self.hits[0]}

    def open_preview(self) -> HttpResponseBase:
        """Preview the only lead now, and go on to its decision."""
        assert self.connection is not None
        try:
            row = preview.preview(
                connection_id=self.connection.pk, lead_id=self.only_lead_id, by=self.by
            )
        except EXPECTED_ERRORS as error:
            messages.error(self.request, describe_error(error))
            return redirect(self.pages.back_url(self.selection))
        self.pages.store_zoho_lead(self.request, self.only_row, row.lead_id)
        self.pages.log_change(self.request, self.only_row, gettext_lazy("Previewed at Zoho."))
        url = _our_url(self.pages, "decide", row.pk)
        return redirect(url or self.pages.back_url(self.selection))


class LeadAction(ListAction):
    """An action on a host's rows: one lead is previewed at once, several by the worker."""

    def refusal(self, page: ActionPage) -> str:
        assert isinstance(page, LeadPage)
        if page.connection is None:
            return str(_NO_CONNECTION)
        return page.hits[1]

    def perform(self, page: ActionPage) -> HttpResponseBase:
        assert isinstance(page, LeadPage)
        if page.only_row is not None:
            return page.open_preview() if page.only_lead_id else page.show(None)
        return preview_by_worker(page, page.lead_ids())


class ConvertLeads(LeadAction, RunAction):
    """One lead is previewed and its decision opened; several become a run."""

    def refusal(self, page: ActionPage) -> str:
        assert isinstance(page, LeadPage)
        may_prepare = page.pages.has_zoho_permission(page.request, MAY_PREPARE)
        if page.only_row is None and not may_prepare:
            return str(CONVERT.only_one)
        return super().refusal(page)

    def form(self, page: ActionPage) -> forms.RunOfSelectionForm | None:
        assert isinstance(page, LeadPage)
        return None if page.only_row is not None else RunAction.form(self, page)

    def perform(self, page: ActionPage) -> HttpResponseBase:
        assert isinstance(page, LeadPage)
        if page.only_row is not None:
            return super().perform(page)
        return RunAction.perform(self, page)

    def lead_ids(self, page: ActionPage) -> Iterator[str]:
        assert isinstance(page, LeadPage)
        return (lead_id for batch in page.lead_ids() for lead_id in batch)


class PushRows(ListAction):
    """The values of the chosen rows are put into the outbox, from which the worker sends them."""

    def refusal(self, page: ActionPage) -> str:
        return "" if page.connection_id else str(_NO_CONNECTION)

    def perform(self, page: ActionPage) -> HttpResponseBase:
        assert isinstance(page, LeadPage)
        done, problems = 0, []
        for ids in page.id_batches(PUSHED_ROWS):
            for row in page.rows.filter(pk__in=ids).order_by("pk"):
                try:
                    done += page.pages.push_to_zoho(row, page.connection_id or 0)
                except EXPECTED_ERRORS as error:
                    problems.append(f"{row}: {describe_error(error)}")
        tasks.wake(page.connection_id or 0)
        page.log(done)
        return page.report(done, problems)


_PREVIEW_LEADS = LeadAction(
    name="zoho_preview",
    label=gettext_lazy("Preview conversion in Zoho"),
    permissions=(MAY_PREVIEW,),
    obstacles=PREVIEW_OBSTACLES,
    will=ngettext_lazy(
        "%(count)s lead is read from Zoho, with the contacts and accounts that match it.",
        "%(count)s leads are read from Zoho by the worker, with the contacts and accounts that "
        "match them.",
        "count",
    ),
    notes=PREVIEW_AGAIN.notes,
    button=ngettext_lazy("Preview %(count)s lead", "Preview %(count)s leads", "count"),
    done=PREVIEW_AGAIN.done,
)
_CONVERT_LEADS = ConvertLeads(
    name="zoho_convert",
    label=gettext_lazy("Convert in Zoho…"),
    permissions=(MAY_APPROVE,),
    obstacles=RUN_OBSTACLES,
    will=ngettext_lazy(
        "%(count)s lead is read from Zoho, and its decision opened.",
        "A run of %(count)s leads is prepared, and its review opened.",
        "count",
    ),
    notes=(gettext_lazy("Nothing is converted before somebody has looked at what will happen."),),
    button=ngettext_lazy("Look at %(count)s lead", "Prepare a run of %(count)s leads", "count"),
    done=CONVERT.done,
)
_PUSH_ROWS = PushRows(
    name="zoho_push",
    label=gettext_lazy("Push to Zoho"),
    permissions=("add_outboxrecord",),
    will=ngettext_lazy(
        "The values of %(count)s are sent to Zoho by the worker.",
        "The values of %(count)s are sent to Zoho by the worker.",
        "count",
    ),
    notes=(
        gettext_lazy("What has a lead at Zoho changes it; for the others a lead is made."),
        gettext_lazy("The outbox has them until they are sent, and keeps what was refused."),
    ),
    button=ngettext_lazy("Push %(count)s to Zoho", "Push %(count)s to Zoho", "count"),
    done=ngettext_lazy(
        "%(count)s is in the outbox; the worker sends it.",
        "%(count)s are in the outbox; the worker sends them.",
        "count",
    ),
)


class LeadAdminMixin(ActionsMixin):
    """
    Previews and conversions at Zoho in the admin of a host's own model.

    It acts only on rows of ``get_queryset(request)``, for users who have the host's permission to
    view them (to convert: to change them) and that of this app. Put ``zoho_status`` into
    ``list_display`` for a column with the status; the page of a row has a panel of what happened.
    """

    #: The field with the id of a lead at Zoho; may be of a related row, as in ``person__lead``.
    zoho_lead_id_field: ClassVar[str] = ""
    #: The field with an e-mail address, by which the lead of a row without an id is looked for.
    zoho_email_field: ClassVar[str] = ""
    #: The name of the connection; by default the default one.
    zoho_connection: ClassVar[str | None] = None

    action_page = LeadPage
    list_actions = (_PREVIEW_LEADS, _CONVERT_LEADS, _PUSH_ROWS)

    class Media:
        css: ClassVar = {"all": ["zoho_crm/admin.css"]}

    def may_act(self, request: HttpRequest, action: ListAction) -> bool:
        if action is _PUSH_ROWS and type(self).zoho_values is LeadAdminMixin.zoho_values:
            return False
        may_act = action is _PREVIEW_LEADS or self.has_change_permission(request)
        return may_act and self.has_zoho_permission(request, *action.permissions)

    def zoho_values(self, row: Any) -> Mapping[str, Any]:
        """Return what *Push to Zoho* sends of a row, by API name; without it there is no action."""
        return {}

    def push_to_zoho(self, row: Any, connection_id: int) -> bool:
        """
        Put the values of a row into the outbox; return whether there are any.

        :raises RequestRefusedError: for values that cannot be sent
        """
        values, lead_id = dict(self.zoho_values(row)), self.zoho_lead_id(row)
        if not values:
            return False
        key = f"{self.opts.label_lower}:{row.pk}"
        if lead_id:
            outbox.push(connection_id, "update", "Leads", {**values, "id": lead_id}, key=key)
        else:
            outbox.push(connection_id, "upsert", "Leads", values, key=key)
        return True

    # Which lead a row stands for

    def zoho_lead_id(self, row: Any) -> str:
        """Return the id of a row's lead; empty if it has none."""
        return read_lead_id(_value(row, self.zoho_lead_id_field)).lead_id

    def zoho_email(self, row: Any) -> str:
        """Return the e-mail address of a row; empty if it has none."""
        return _value(row, self.zoho_email_field).strip()

    def store_zoho_lead(self, request: HttpRequest, row: Any, lead_id: str) -> None:
        """Store which lead a person chose for a row without one, if they may change the row."""
        name = self.zoho_lead_id_field
        is_own = name in {field.name for field in self.model._meta.concrete_fields}
        if is_own and not self.zoho_lead_id(row) and self.has_change_permission(request, row):
            setattr(row, name, lead_id)
            row.save(update_fields=[name])

    def find_zoho_connection(self) -> Connection | None:
        """Return the connection that the leads are of; ``None`` if there is none to use."""
        try:
            return find_connection(self.zoho_connection)
        except EXPECTED_ERRORS:
            return None

    def has_zoho_permission(self, request: HttpRequest, *permissions: str) -> bool:
        """Return whether the user has one of these permissions of the app for the connection."""
        access = access_in(request)
        if access.everywhere(*permissions) or not access.somewhere(*permissions):
            return access.everywhere(*permissions)
        connection = self.find_zoho_connection()
        return connection is not None and access.of(connection, *permissions)

    # The list

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        if self.has_zoho_permission(request, MAY_VIEW):
            return columns
        return [name for name in columns if name != "zoho_status"]

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        cl = super().get_changelist_instance(request)
        if "zoho_status" in cl.list_display:
            self._fetch_conversions(list(cl.result_list))
        return cl

    def _fetch_conversions(self, rows: list[Any]) -> None:
        """Fetch the conversions of a page's rows with one query, and keep each with its row."""
        connection = self.find_zoho_connection()
        lead_ids = {row.pk: self.zoho_lead_id(row) for row in rows}
        found: Mapping[str, LeadConversion] = {}
        if connection is not None and any(lead_ids.values()):
            wanted = LeadConversion.objects.filter(
                connection=connection, lead_id__in=[*filter(None, lead_ids.values())]
            )
            found = {row.lead_id: row for row in wanted.only("lead_id", "status")}
        for row in rows:
            row.zoho_conversion = found.get(lead_ids[row.pk])

    @admin.display(description=gettext_lazy("Zoho CRM"), empty_value=EMPTY_TEXT)
    def zoho_status(self, row: Any) -> SafeString | None:
        """Return the badge of the status of a row's lead, as a column of the list."""
        conversion = getattr(row, "zoho_conversion", None)
        return status_badge(conversion.status, _status_text(conversion)) if conversion else None

    # The panel

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "zoho_panel")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        sets = [
            (title, {**options, "fields": _without_panel(options["fields"])})
            for title, options in super().get_fieldsets(request, obj)
        ]
        if obj is None or not self.has_zoho_permission(request, MAY_VIEW):
            return sets
        if not hasattr(obj, "zoho_panel_html"):
            obj.zoho_panel_html = self._panel_html(request, obj)
        return [*sets, (gettext_lazy("Zoho CRM"), {"fields": ("zoho_panel",)})]

    @admin.display(description=gettext_lazy("What happened"))
    def zoho_panel(self, row: Any) -> SafeString | str:
        """Return what became of a row's lead, as a part of the row's page."""
        return getattr(row, "zoho_panel_html", EMPTY_TEXT)

    def _panel_html(self, request: HttpRequest, row: Any) -> SafeString:
        connection, lead_id = self.find_zoho_connection(), self.zoho_lead_id(row)
        rows = LeadConversion.objects.select_related(
            "connection__work", "mass_conversion", "follows"
        )
        conversion = rows.filter(connection=connection, lead_id=lead_id).first()
        if connection is None or conversion is None:
            return render_to_string("admin/zoho_crm/lead_panel.html", {"lead_id": lead_id})
        lead = conversion.stored_lead()
        may_see = lead is not None and has_any_permission(
            request, "view_payload_leadconversion", of=conversion
        )
        events = conversion.events.order_by("-version")[:MAX_EVENTS]
        context = {
            "lead_id": lead_id,
            "conversion": conversion,
            "badge": status_badge(conversion.status, _status_text(conversion)),
            "state": state_html(describe_conversion(conversion)),
            "events": [(event, time_html(event.at)) for event in events],
            "lead_values": _lead_values(lead) if lead and may_see else [],
            "url": _our_url(self, "change", conversion.pk),
        }
        return render_to_string("admin/zoho_crm/lead_panel.html", context)


def _value(row: Any, path: str) -> str:
    """Return the value of a field as a text; empty if there is no field or no value."""
    for name in path.split("__") if path else ():
        row = getattr(row, name, None)
    return "" if row is None or not path else str(row)


def _status_text(conversion: LeadConversion) -> str:
    return str(LeadConversion.Status(conversion.status).label)


def _lead_values(lead: Lead) -> list[tuple[str, str]]:
    return [(field_label(name), value) for name, value in lead.fields.items() if value]


def _without_panel(fields: Iterable[Any]) -> list[Any]:
    return [each for each in fields if each != "zoho_panel"]


def _our_url(pages: ActionsMixin, name: str, pk: int) -> str:
    """Return the URL of one of our pages about a lead; empty if this admin site has none."""
    try:
        address = f"admin:zoho_crm_leadconversion_{name}"
        return reverse(address, args=[pk], current_app=pages.admin_site.name)
    except NoReverseMatch:
        return ""
