"""Connections: whether they work, what they may do, and what happened to them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.admin._base import NOTHING, connection_badge, may, when
from zoho_crm.admin._connection_pages import ConnectionPages, connect_url
from zoho_crm.admin._tokens import details, expiry, named
from zoho_crm.conf import conf
from zoho_crm.models import Connection, ConnectionWork, Token
from zoho_crm.services import connect

#: Events that the page of a connection shows.
EVENTS = 20


class ConnectionAdmin(ConnectionPages):
    list_display = (
        "name",
        "badge",
        "place",
        "user",
        "validity",
        "last_refresh",
        "is_default",
    )
    list_filter = ("status", "data_center", "environment")
    search_fields = ("name", "org_name", "=org_id")
    ordering = ("name",)
    actions = ("make_default",)
    fieldsets = (
        (None, {"fields": ("name", "is_default")}),
        (
            gettext_lazy("Health"),
            {"fields": ("badge", "waiting", "organisation", "center", "environment")},
        ),
        (
            gettext_lazy("Token"),
            {"fields": ("user", "validity", "access_token", "refresh_token", "last_refresh")},
        ),
        (gettext_lazy("Work"), {"fields": ("seen", "swept", "credits", "limit", "created_at")}),
    )
    readonly_fields: ClassVar = (
        "is_default",
        "badge",
        "waiting",
        "organisation",
        "center",
        "environment",
        "user",
        "validity",
        "access_token",
        "refresh_token",
        "last_refresh",
        "seen",
        "swept",
        "credits",
        "limit",
        "created_at",
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, "change_connection")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        default = Prefetch("tokens", Token.objects.filter(is_default=True), "default_tokens")
        rows: QuerySet[Connection] = super().get_queryset(request)
        return rows.select_related("work").prefetch_related(default)

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: bool) -> None:
        # Saving the whole row would take back what a worker wrote meanwhile.
        connect.rename(connection_id=obj.pk, name=obj.name)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        connection: Connection = kwargs["obj"]
        context |= {
            "token": default_token(connection),
            "scopes": scopes(connection),
            "events": recent_events(connection),
            "connect_url": connect_url(),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(
        description=gettext_lazy("Make the chosen connection the default"), permissions=["change"]
    )
    def make_default(self, request: HttpRequest, chosen: QuerySet[Connection]) -> None:
        ids = list(chosen.values_list("pk", flat=True))
        if len(ids) != 1:
            self.message_user(request, _("Please choose exactly one connection."), messages.ERROR)
            return
        connection = connect.make_default(connection_id=ids[0])
        self.log_change(request, connection, _("Made the default."))
        self.message_user(request, _("%s is the default connection now.") % connection)

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def badge(self, connection: Connection) -> SafeString:
        return connection_badge(connection)

    @admin.display(description=gettext_lazy("data center"), ordering="data_center")
    def center(self, connection: Connection) -> str:
        center = conf().data_centers.get(connection.data_center)
        return center.name if center else connection.data_center

    @admin.display(description=gettext_lazy("where"), ordering="data_center")
    def place(self, connection: Connection) -> str:
        return f"{self.center(connection)}, {connection.get_environment_display()}"

    @admin.display(description=gettext_lazy("organisation"))
    def organisation(self, connection: Connection) -> str:
        return f"{connection.org_name} ({connection.org_id})"

    @admin.display(description=gettext_lazy("user"))
    def user(self, connection: Connection) -> str:
        token = default_token(connection)
        return (token.user_email or token.user_name) if token else NOTHING

    @admin.display(description=gettext_lazy("access token"))
    def validity(self, connection: Connection) -> str:
        return expiry(default_token(connection))

    @admin.display(description=gettext_lazy("fingerprint"))
    def access_token(self, connection: Connection) -> SafeString | str:
        token = default_token(connection)
        return named(token, "access_token") if token else NOTHING

    @admin.display(description=gettext_lazy("refresh token"))
    def refresh_token(self, connection: Connection) -> SafeString | str:
        token = default_token(connection)
        return named(token, "refresh_token") if token else NOTHING

    @admin.display(description=gettext_lazy("last refresh"))
    def last_refresh(self, connection: Connection) -> SafeString | str:
        token = default_token(connection)
        return when(token.refreshed_at) if token else NOTHING

    @admin.display(description=gettext_lazy("waiting"))
    def waiting(self, connection: Connection) -> SafeString | str:
        work = work_of(connection)
        if work is None or work.backoff_until is None or work.backoff_until <= timezone.now():
            return _("no")
        return format_html(_("until {}: {}"), when(work.backoff_until), work.backoff_reason)

    @admin.display(description=gettext_lazy("worker last seen"))
    def seen(self, connection: Connection) -> SafeString | str:
        work = work_of(connection)
        return when(work.seen_at) if work and work.seen_at else _("never")

    @admin.display(description=gettext_lazy("sweep last seen"))
    def swept(self, connection: Connection) -> SafeString | str:
        work = work_of(connection)
        return when(work.swept_at) if work and work.swept_at else _("never")

    @admin.display(description=gettext_lazy("credits remaining"))
    def credits(self, connection: Connection) -> str:
        work = work_of(connection)
        if work is None or work.credits_remaining is None:
            return _("Zoho has not said: more than half of them.")
        return str(work.credits_remaining)

    @admin.display(description=gettext_lazy("calls at a time"))
    def limit(self, connection: Connection) -> str:
        work = work_of(connection)
        return str(int(work.limit)) if work else NOTHING


def default_token(connection: Connection) -> Token | None:
    """Return the token that does the work."""
    tokens: list[Token] = getattr(connection, "default_tokens", [])
    return tokens[0] if tokens else None


def work_of(connection: Connection) -> ConnectionWork | None:
    """Return what its workers left behind, if there ever was one."""
    return getattr(connection, "work", None)


def scopes(connection: Connection) -> list[tuple[str, bool]]:
    """Return each scope that the features need, and whether it was granted."""
    token = default_token(connection)
    missing = connect.missing_scopes(token.scopes if token else [])
    return [(scope, scope not in missing) for scope in conf().SCOPES]


def recent_events(connection: Connection) -> list[dict[str, Any]]:
    """Return the latest events, newest first."""
    events = connection.events.select_related("by").order_by("-pk")[:EVENTS]
    return [{"event": event, "when": when(event.at), "details": details(event)} for event in events]
