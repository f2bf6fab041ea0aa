"""Admin pages of the outbox: list, history of one record, and the decisions of a person."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.admin._actions import ActionsMixin
from zoho_crm.admin._base import (
    BY_CONNECTION,
    PagesAdmin,
    has_any_permission,
    permitted_connections,
)
from zoho_crm.admin._html import (
    EMPTY_TEXT,
    id_html,
    person_html,
    record_html,
    state_html,
    time_html,
)
from zoho_crm.admin.outbox_actions import MAY_RESOLVE, OUTBOX_ACTIONS
from zoho_crm.models import OutboxRecord
from zoho_crm.services import outbox
from zoho_crm.services.display import status_badge
from zoho_crm.services.presentation import (
    PERSON_KINDS,
    event_values,
    field_label,
    outbox_error_text,
    outbox_event_text,
)
from zoho_crm.services.states import can_be_left_out, describe_outbox_record
from zoho_crm.types import JsonObject, PersonKind, ValueObject

Status = OutboxRecord.Status
#: Events on the page of a record.
MAX_EVENTS = 100
#: Permission to see the values that are sent.
MAY_SEE_VALUES = "view_payload_outboxrecord"
#: Columns that the list does not read.
UNLISTED = ("values", "known_people", "trigger")


class OutboxChangeList(ChangeList):
    """A change list that does not read what is sent."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        found: Any = super().get_queryset(*args, **kwargs)
        rows: QuerySet[Any] = found.with_is_held_back()
        return rows.select_related(None).select_related("connection").defer(*UNLISTED)


class OutboxRecordAdmin(ActionsMixin, PagesAdmin):
    list_actions = OUTBOX_ACTIONS
    empty_list_text = gettext_lazy(
        "Nothing was pushed yet. What the site sends with push_record waits here until Zoho has it."
    )
    list_filter = ("status", "module", BY_CONNECTION)
    search_fields = ("key", "^record_id")
    ordering = ("-pk",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *("badge", "action", "module", "key_text", "record", "added", "connection"),
                    *("unique_field", "when_known", "automations"),
                )
            },
        ),
        (gettext_lazy("Reason"), {"fields": ("reason", "error_code")}),
        (gettext_lazy("When"), {"fields": ("pushed", "due", "finished", "attempts", "version")}),
    )
    columns: ClassVar = {
        "key_text": "key",
        "record": "record_id",
        "added": "added_id",
        "automations": "trigger",
        "reason": "error_code",
        "due": "due_at",
        "finished": "finished_at",
    }
    optional_columns = frozenset(
        {"key", "record_id", "added_id", "unique_field", "trigger", "error_code"}
        | {"due_at", "finished_at"}
    )
    readonly_fields: ClassVar = (
        *("badge", "key_text", "record", "added", "automations", "reason"),
        *("pushed", "due", "finished"),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OutboxChangeList

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        connections = permitted_connections(request, *self.view_permissions)
        where = ("connection",) if connections.count() > 1 else ()
        return ("what", "key_text", "badge", "reason", "pushed", *where, "record_short")

    def all_rows(self, request: HttpRequest) -> QuerySet[OutboxRecord]:
        rows: QuerySet[OutboxRecord] = super().all_rows(request)
        return rows.select_related("connection__work")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row: OutboxRecord = kwargs["obj"]
        context |= state_context(request, row) | events_context(row)
        context["record_name"] = row_title(row)
        if has_any_permission(request, MAY_SEE_VALUES, of=row):
            context |= {
                "may_see_payload": True,
                "values": shown_values(row.values),
                "people": known_people(row),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def url_patterns(self) -> list[URLPattern]:
        return [self.url_pattern("<int:pk>/decide/", "outbox_decision.decide_page", MAY_RESOLVE)]

    def record_url(self, request: HttpRequest, row: Model) -> str:
        if self.has_view_permission(request, row):
            return self.page_url("change", row.pk)
        return self.page_url("decide", row.pk)

    def journal_link(self, request: HttpRequest, row: Any) -> tuple[str, str] | None:
        return self.events_link(row)

    def row_name(self, request: HttpRequest, row: OutboxRecord) -> str:
        return row_title(row)

    @admin.display(description=gettext_lazy("what"), ordering="action")
    def what(self, row: OutboxRecord) -> SafeString:
        return format_html("<bdi>{}</bdi> ({})", row.module, row.get_action_display())

    @admin.display(description=gettext_lazy("key"), ordering="key")
    def key_text(self, row: OutboxRecord) -> str:
        return person_html(row.key) if row.key else EMPTY_TEXT

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def badge(self, row: OutboxRecord) -> SafeString:
        return status_badge(row.status, row.get_status_display())

    @admin.display(description=gettext_lazy("reason"))
    def reason(self, row: OutboxRecord) -> str:
        if getattr(row, "is_held_back", False):
            return _("It waits for an earlier one of its key.")
        text = outbox_error_text(row)
        return person_html(text) if text else EMPTY_TEXT

    @admin.display(description=gettext_lazy("record"))
    def record(self, row: OutboxRecord) -> SafeString | str:
        return record_html(row.connection, row.record_module or row.module, row.record_id)

    @admin.display(description=gettext_lazy("record"), ordering="record_id")
    def record_short(self, row: OutboxRecord) -> SafeString | str:
        module = row.record_module or row.module
        return record_html(row.connection, module, row.record_id, is_short=True)

    @admin.display(description=gettext_lazy("note or link"))
    def added(self, row: OutboxRecord) -> SafeString | str:
        if row.action == OutboxRecord.Action.LINK:  # it has no page of its own
            return id_html(row.added_id, row.added_id)
        return record_html(row.connection, "Notes", row.added_id)

    @admin.display(description=gettext_lazy("automations"))
    def automations(self, row: OutboxRecord) -> str:
        return ", ".join(map(str, row.trigger or ())) or _("none")

    @admin.display(description=gettext_lazy("pushed"), ordering="created_at")
    def pushed(self, row: OutboxRecord) -> SafeString | str:
        return time_html(row.created_at)

    @admin.display(description=gettext_lazy("next step"))
    def due(self, row: OutboxRecord) -> SafeString | str:
        return time_html(row.due_at)

    @admin.display(description=gettext_lazy("finished"))
    def finished(self, row: OutboxRecord) -> SafeString | str:
        return time_html(row.finished_at)


def row_title(row: OutboxRecord) -> str:
    """Return which record is to be changed, and how, without a value of it."""
    return f"{row.module} {row.key or f'#{row.pk}'} ({row.get_action_display()})"


# The page of one record


def state_context(request: HttpRequest, row: OutboxRecord) -> dict[str, Any]:
    """Return the template variables for the state of a row and what may be decided about it."""
    return {
        "row": row,
        "state": state_html(
            describe_outbox_record(
                row, with_values=has_any_permission(request, MAY_SEE_VALUES, of=row)
            )
        ),
        "can_decide": can_be_left_out(row),
        "may_decide": has_any_permission(request, MAY_RESOLVE, of=row),
        "is_in_progress": not row.is_at_rest,
    }


def events_context(row: OutboxRecord) -> dict[str, Any]:
    """Return the latest events of a row, newest first, and whether there are older ones."""
    events = list(row.events.order_by("-version")[: MAX_EVENTS + 1])
    shown = [
        (event, time_html(event.at), outbox_event_text(event), event_values(event.details))
        for event in events[:MAX_EVENTS]
    ]
    return {"events": shown, "has_older_events": len(events) > MAX_EVENTS}


def shown_values(stored: Any) -> list[tuple[str, str]]:
    """Return the values that are sent as texts, each with the label of its field; may be none."""
    if not isinstance(stored, dict):
        return [] if stored is None else [(_("Values"), _shown(stored))]
    return [(field_label(name), _shown(value)) for name, value in stored.items()]


def _shown(value: Any) -> str:
    if value is None or value == "":
        return EMPTY_TEXT
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, dict):
        if value.keys() == {"decimal"}:
            return str(value["decimal"])
        return "; ".join(f"{name}: {_shown(item)}" for name, item in value.items())
    return str(value)


class KnownPerson(ValueObject):
    """A record about the person at Zoho, and the contact that could be updated instead."""

    name: str
    company: str
    kind: str
    record: SafeString | str
    #: The contact that a converted lead became; empty for others.
    contact: SafeString | str
    #: Id of the contact that the button of this line updates; empty if it has none.
    contact_id: str


def known_people(row: OutboxRecord) -> list[KnownPerson]:
    """Return who is known at Zoho, each contact with one button."""
    offered = set(outbox.known_contacts(row))
    lines = []
    # Contacts first: a converted lead may have become one of them.
    people: list[JsonObject] = list(row.known_people or ())
    for person in sorted(people, key=lambda each: each["kind"] != PersonKind.CONTACT):
        is_contact = person["kind"] == PersonKind.CONTACT
        became = (person["converted"] or {}).get("contact_id") or ""
        contact_id = person["id"] if is_contact else became
        link = partial(record_html, row.connection)
        line = KnownPerson(
            name=person["name"] or person["id"],
            company=person["company"],
            kind=str(PERSON_KINDS.get(person["kind"], person["kind"])),
            record=link("Contacts" if is_contact else "Leads", person["id"]),
            contact=link("Contacts", became) if became else "",
            contact_id=contact_id if contact_id in offered else "",
        )
        offered.discard(contact_id)
        lines.append(line)
    return lines
