"""Admin pages of connections, and of their events and API usage."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Count, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import NoReverseMatch, URLPattern, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import forms, tasks
from zoho_crm.admin._actions import ActionsMixin
from zoho_crm.admin._base import (
    BY_CONNECTION,
    EXPECTED_ERRORS,
    PagesAdmin,
    ReadOnlyAdmin,
    access_in,
    has_any_permission,
    signed_in_user,
)
from zoho_crm.admin._html import (
    EMPTY_TEXT,
    id_html,
    moment_html,
    one_above_the_other,
    person_html,
    time_html,
)
from zoho_crm.admin.connection_actions import CONNECTION_ACTIONS
from zoho_crm.admin.tokens import expiry_text, secret_text
from zoho_crm.conf import conf
from zoho_crm.datacenters import LOCAL
from zoho_crm.models import (
    ApiUsage,
    Connection,
    ConnectionEvent,
    ConnectionWork,
    LeadConversion,
    Token,
    with_users,
)
from zoho_crm.services import connect, simulator, tokens, usage
from zoho_crm.services.display import grouped, status_badge
from zoho_crm.services.presentation import backoff_text
from zoho_crm.services.scope_texts import purpose_of

#: Events on the page of a connection.
MAX_EVENTS = 20


class ConnectionAdmin(ActionsMixin, PagesAdmin):
    empty_list_text = gettext_lazy(
        "No Zoho organisation is connected yet. Press “Connect to Zoho” to begin."
    )
    list_display = (
        "name",
        "badge",
        "location",
        "user",
        "validity_and_refresh",
        "is_default",
    )
    list_filter = ("status", "data_center", "environment")
    search_fields = ("name", "org_name", "=org_id")
    ordering = ("name",)
    list_actions = CONNECTION_ACTIONS
    fieldsets = (
        (None, {"fields": ("name", "is_default")}),
        (
            gettext_lazy("Health"),
            {"fields": ("badge", "backoff", "organisation", "data_center_name", "environment")},
        ),
        (
            gettext_lazy("Token"),
            {"fields": ("user", "validity", "access_token", "refresh_token", "last_refresh")},
        ),
        (
            gettext_lazy("Work"),
            {"fields": ("worker_seen", "sweep_seen", "created")},
        ),
        (
            gettext_lazy("Limits"),
            {"fields": ("credits_spent", "reserve", "credits", "concurrency_limit")},
        ),
    )
    readonly_fields: ClassVar = (
        "is_default",
        "badge",
        "backoff",
        "organisation",
        "data_center_name",
        "environment",
        "user",
        "validity",
        "access_token",
        "refresh_token",
        "last_refresh",
        "worker_seen",
        "sweep_seen",
        "credits",
        "credits_spent",
        "reserve",
        "concurrency_limit",
        "created",
    )

    view_permissions = ("view_connection", "change_connection")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is None:
            return access_in(request).somewhere("change_connection")
        return has_any_permission(request, "change_connection", of=obj)

    def all_rows(self, request: HttpRequest) -> QuerySet[Connection]:
        default = Prefetch("tokens", Token.objects.filter(is_default=True), "default_tokens")
        rows: QuerySet[Connection] = super().all_rows(request)
        rows = rows.annotate(lacks_default=tokens.lacks_default())
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
            "events_url": self.list_url_of("connectionevent", connection__id__exact=connection.pk),
            "users": users_of(connection),
            "connect_url": connect_url(),
            "is_simulator": connection.data_center == LOCAL,
            "can_forget": bool(connect.unreadable_tokens(connection)),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"has_simulator": simulator.is_set_up(), **(extra_context or {})}
        answer: HttpResponse = super().changelist_view(request, context)
        return answer

    def url_patterns(self) -> list[URLPattern]:
        post = ("POST",)
        return [
            self.url_pattern(
                "connect/", "connect_wizard.connect_page", "connect_connection", is_of_all=True
            ),
            self.url_pattern(
                "add_simulator/",
                "connect_wizard.add_simulator",
                "connect_connection",
                methods=post,
                is_of_all=True,
            ),
            self.url_pattern(
                "<int:pk>/result/", "connect_wizard.result_page", "connect_connection"
            ),
            self.url_pattern(
                "<int:pk>/simulator/", "simulator_panel.simulator_page", "connect_connection"
            ),
            self.url_pattern("<int:pk>/test/", test_connection, "refresh_connection", methods=post),
            self.url_pattern(
                "<int:pk>/refresh/", refresh_token, "refresh_connection", methods=post
            ),
            self.url_pattern("<int:pk>/disconnect/", disconnect_page, "disconnect_connection"),
            self.url_pattern("<int:pk>/forget/", forget_page, "disconnect_connection"),
        ]

    def journal_link(self, request: HttpRequest, row: Any) -> tuple[str, str] | None:
        return self.connection_events_link(request, row.pk)

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def badge(self, connection: Connection) -> SafeString:
        lacks_default = getattr(connection, "lacks_default", False)
        label = _("needs a default user") if lacks_default else connection.get_status_display()
        return status_badge(connection.status, label)

    @admin.display(description=gettext_lazy("data center"), ordering="data_center")
    def data_center_name(self, connection: Connection) -> str:
        found = conf().data_centers.get(connection.data_center)
        return str(found.name) if found else connection.data_center

    @admin.display(description=gettext_lazy("where"), ordering="data_center")
    def location(self, connection: Connection) -> str:
        return f"{self.data_center_name(connection)}, {connection.get_environment_display()}"

    @admin.display(description=gettext_lazy("organisation"))
    def organisation(self, connection: Connection) -> SafeString:
        name, number = person_html(connection.org_name), id_html(connection.org_id)
        return format_html("{} {}", name, number)

    @admin.display(description=gettext_lazy("user"))
    def user(self, connection: Connection) -> str:
        token = default_token(connection)
        return (token.user_email or token.user_name) if token else EMPTY_TEXT

    @admin.display(description=gettext_lazy("access token"))
    def validity(self, connection: Connection) -> str:
        return expiry_text(default_token(connection))

    @admin.display(description=gettext_lazy("access token"))
    def validity_and_refresh(self, connection: Connection) -> SafeString | str:
        token = default_token(connection)
        if token is None or token.refreshed_at is None:
            return expiry_text(token)
        renewed = format_html(_("renewed {}"), time_html(token.refreshed_at))
        return one_above_the_other(expiry_text(token), renewed)

    @admin.display(description=gettext_lazy("fingerprint"))
    def access_token(self, connection: Connection) -> SafeString | str:
        token = default_token(connection)
        return secret_text(token, "access_token") if token else EMPTY_TEXT

    @admin.display(description=gettext_lazy("refresh token"))
    def refresh_token(self, connection: Connection) -> SafeString | str:
        token = default_token(connection)
        return secret_text(token, "refresh_token") if token else EMPTY_TEXT

    @admin.display(description=gettext_lazy("last refresh"))
    def last_refresh(self, connection: Connection) -> SafeString | str:
        token = default_token(connection)
        return time_html(token.refreshed_at) if token else EMPTY_TEXT

    @admin.display(description=gettext_lazy("waiting"))
    def backoff(self, connection: Connection) -> SafeString | str:
        work = connection_work(connection)
        if work is None or work.backoff_until is None or work.backoff_until <= timezone.now():
            return _("no")
        return format_html(_("until {}: {}"), moment_html(work.backoff_until), backoff_text(work))

    @admin.display(description=gettext_lazy("worker last seen"))
    def worker_seen(self, connection: Connection) -> SafeString | str:
        work = connection_work(connection)
        return time_html(work.seen_at) if work and work.seen_at else _("never")

    @admin.display(description=gettext_lazy("sweep last seen"))
    def sweep_seen(self, connection: Connection) -> SafeString | str:
        work = connection_work(connection)
        return time_html(work.swept_at) if work and work.swept_at else _("never")

    @admin.display(description=gettext_lazy("credits remaining"))
    def credits(self, connection: Connection) -> str:
        work = connection_work(connection)
        if work is None or work.credits_remaining is None:
            return _("Not reported by Zoho: more than half are left.")
        return grouped(work.credits_remaining)

    @admin.display(description=gettext_lazy("credits of the last 24 hours"))
    def credits_spent(self, connection: Connection) -> str:
        numbers = (usage.spent(connection.pk), usage.allowance(connection))
        spent, allowed = map(grouped, numbers)
        return _("about %(spent)s of %(allowed)s") % {"spent": spent, "allowed": allowed}

    @admin.display(description=gettext_lazy("kept for other programs"))
    def reserve(self, connection: Connection) -> str:
        return _("%s credits; work waits when only these are left") % grouped(
            usage.reserve(connection)
        )

    @admin.display(description=gettext_lazy("created"))
    def created(self, connection: Connection) -> SafeString | str:
        return time_html(connection.created_at)

    @admin.display(description=gettext_lazy("calls at a time"))
    def concurrency_limit(self, connection: Connection) -> str:
        work = connection_work(connection)
        return str(int(work.limit)) if work else EMPTY_TEXT


# Pages and buttons


def test_connection(
    pages: PagesAdmin, request: HttpRequest, connection: Connection
) -> HttpResponse:
    """Test a connection by a call to Zoho."""
    try:
        problem = connect.check_connection(connection_id=connection.pk, by=signed_in_user(request))
    except EXPECTED_ERRORS as error:
        problem = str(error)
    if problem:
        text = _("%(name)s cannot be used now: %(problem)s")
        messages.error(request, text % {"name": connection, "problem": problem})
    else:
        tasks.wake(connection.pk)
        messages.success(request, _("%s works.") % connection)
    pages.log_change(request, connection, gettext_lazy("Tested."))
    return redirect(pages.record_url(request, connection))


def refresh_token(pages: PagesAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
    """Refresh the access token that was shown, if nobody refreshed it since."""
    generation = forms.VersionForm(request.POST).seen_version
    return pages.carry_out(
        request,
        connection,
        partial(tokens.refresh, connection_id=connection.pk, generation=generation),
        log=gettext_lazy("Access token renewed."),
        done=_("The access token was renewed."),
        failed=_("The access token was not renewed. %s"),
    )


def disconnect_page(
    pages: PagesAdmin, request: HttpRequest, connection: Connection
) -> HttpResponse:
    """Show which leads are unfinished; on POST revoke the token at Zoho and delete it here."""
    if request.method == "POST":
        by = signed_in_user(request)
        return pages.carry_out(
            request,
            connection,
            partial(connect.disconnect, connection_id=connection.pk, by=by),
            log=gettext_lazy("Disconnected."),
            done=_("%s is disconnected; its history stays.") % connection,
            failed=_("Not disconnected; nothing was deleted. %s"),
        )
    return pages.render_page(
        request,
        "disconnect.html",
        page_name=_("Disconnect"),
        **_ending_context(pages, request, connection),
    )


def forget_page(pages: PagesAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
    """Show that the consent stays at Zoho; on POST delete the tokens that cannot be read."""
    how_to_end_consent = connect.how_to_end_consent(connection)
    if request.method == "POST":
        by = signed_in_user(request)
        return pages.carry_out(
            request,
            connection,
            partial(connect.forget, connection_id=connection.pk, by=by),
            log=gettext_lazy("Forgotten here."),
            done=_("%s is disconnected; its history stays.") % connection,
            failed=_("Nothing was deleted. %s"),
            warning=how_to_end_consent,
        )
    return pages.render_page(
        request,
        "forget.html",
        page_name=_("Forget here"),
        how_to_end_consent=how_to_end_consent,
        **_ending_context(pages, request, connection),
    )


def _ending_context(
    pages: PagesAdmin, request: HttpRequest, connection: Connection
) -> dict[str, Any]:
    return {
        "original": connection,
        "unfinished": unfinished_counts(connection),
        "can_forget": bool(connect.unreadable_tokens(connection)),
        "cancel": pages.record_url(request, connection),
    }


# What the pages show


def default_token(connection: Connection) -> Token | None:
    """Return the default token, which ``get_queryset`` has fetched; ``None`` if there is none."""
    tokens: list[Token] = getattr(connection, "default_tokens", [])
    return tokens[0] if tokens else None


def connection_work(connection: Connection) -> ConnectionWork | None:
    """Return the work state of a connection; ``None`` if no worker ever ran for it."""
    return getattr(connection, "work", None)


def scopes(connection: Connection) -> list[tuple[str, str, bool]]:
    """Return the scopes that the settings ask for, what each is for, and whether it was granted."""
    token = default_token(connection)
    missing = connect.missing_scopes(token.scopes if token else [])
    return [(scope, purpose_of(scope), scope not in missing) for scope in conf().SCOPES]


def users_of(connection: Connection) -> list[dict[str, Any]]:
    """Return the tokens of a connection, each with the badge of its status, the default first."""
    stored = connection.tokens.order_by("-is_default", "user_email", "pk")
    return [
        {"token": token, "badge": status_badge(token.status, token.get_status_display())}
        for token in stored
    ]


def recent_events(connection: Connection) -> list[dict[str, Any]]:
    """Return the latest ``MAX_EVENTS`` events, newest first."""
    events = with_users(connection.events.all(), "by").order_by("-pk")[:MAX_EVENTS]
    return [
        {"event": event, "when": time_html(event.at), "details": event_details(event)}
        for event in events
    ]


def connect_url() -> str:
    """Return the URL that starts the web flow; empty if the site does not include our URLs."""
    try:
        return reverse("zoho_crm:connect")
    except NoReverseMatch:
        return ""


def unfinished_counts(connection: Connection) -> list[tuple[str, int]]:
    """Return how many conversions of a connection are unfinished, as (status label, count)."""
    unfinished = LeadConversion.objects.unfinished().filter(connection=connection)
    counts: dict[str, Any] = dict(unfinished.order_by().values_list("status").annotate(Count("pk")))
    statuses = LeadConversion.Status
    return [(str(status.label), counts[status]) for status in statuses if status in counts]


class ConnectionEventAdmin(ReadOnlyAdmin):
    empty_list_text = gettext_lazy(
        "Nothing has happened yet. Connecting to Zoho is the first event."
    )
    list_display = ("at", "connection", "kind", "by", "details_text")
    list_filter = ("kind", BY_CONNECTION)
    list_select_related = ("connection",)
    ordering = ("-pk",)
    fields = ("connection", "at", "kind", "by", "details_text")
    readonly_fields: ClassVar = fields

    def all_rows(self, request: HttpRequest) -> QuerySet[ConnectionEvent]:
        return with_users(super().all_rows(request), "by")

    @admin.display(description=gettext_lazy("details"))
    def details_text(self, event: ConnectionEvent) -> str:
        return event_details(event)


def event_details(event: ConnectionEvent) -> str:
    """Return the details of an event in one line."""
    details = (
        f"{name}: {value}" for name, value in event.details.items() if value not in ("", None)
    )
    return ", ".join(details) or EMPTY_TEXT


class ApiUsageAdmin(ReadOnlyAdmin):
    empty_list_text = gettext_lazy("No call to Zoho was made yet, so no credits were used.")
    list_display = ("hour_start", "connection", "kind", "calls", "credits", "refusals")
    list_filter = (BY_CONNECTION, "kind")
    list_select_related = ("connection",)
    ordering = ("-hour", "connection", "kind")
    fields = ("connection", "hour_start", "kind", "calls", "credits", "refusals")
    readonly_fields: ClassVar = fields

    @admin.display(description=gettext_lazy("hour"), ordering="hour")
    def hour_start(self, usage: ApiUsage) -> SafeString | str:
        return time_html(usage.hour)
