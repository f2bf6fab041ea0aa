"""Connections: whether they work, what they may do, and what happened to them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Count, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import NoReverseMatch, URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters

from zoho_crm import tasks
from zoho_crm.admin._base import (
    NOTHING,
    TROUBLE,
    PagesAdmin,
    RecordAdmin,
    connection_badge,
    may,
    person,
    token_badge,
    when,
)
from zoho_crm.conf import conf
from zoho_crm.forms import ConnectForm, SelfClientForm, VersionForm
from zoho_crm.models import (
    ApiUsage,
    Connection,
    ConnectionEvent,
    ConnectionWork,
    LeadConversion,
    Token,
)
from zoho_crm.services import connect, tokens
from zoho_crm.services.keys import fingerprint
from zoho_crm.views import redirect_uri

#: Events that the page of a connection shows.
EVENTS = 20


class ConnectionAdmin(PagesAdmin):
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

    def pages(self) -> list[URLPattern]:
        post = ("POST",)
        return [
            self.page("connect/", self.connect_view, "connect_connection"),
            self.page("<int:pk>/test/", self.test_view, "refresh_connection", methods=post),
            self.page("<int:pk>/refresh/", self.refresh_view, "refresh_connection", methods=post),
            self.page("<int:pk>/disconnect/", self.disconnect_view, "disconnect_connection"),
        ]

    @method_decorator(sensitive_post_parameters("code", "client_secret"))
    def connect_view(self, request: HttpRequest) -> HttpResponse:
        """Ask how to connect; take a self client's code, or leave for Zoho's consent page."""
        form = SelfClientForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                connection = connect.with_grant_code(by=person(request), **form.cleaned_data)
            except TROUBLE as error:
                form.refuse(error)
            else:
                return self._connected(request, connection)
        # Both forms ask for the same; on one page their entries need different ids.
        web, mine = ConnectForm(auto_id="web_%s"), conf()
        return self.show(
            request,
            "connect.html",
            here=_("Connect to Zoho"),
            form=form,
            web=web,
            connect_url=connect_url(),
            redirect_uri=redirect_uri(request) if connect_url() else "",
            next=self.home(request),
            settings=mine,
            scopes=",".join(mine.SCOPES),
        )

    def _connected(self, request: HttpRequest, connection: Connection) -> HttpResponse:
        tasks.wake(connection.pk)
        self.log_change(request, connection, _("Connected by a code."))
        messages.success(request, _("Connected to %s.") % connection)
        token = connection.tokens.filter(is_default=True).first()
        missing = connect.missing_scopes(token.scopes) if token else []
        if missing:
            text = _("These scopes were not granted, and what needs them will not work: %s")
            messages.warning(request, text % ", ".join(missing))
        return redirect(self.home_of(request, connection))

    def test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask Zoho whether the connection works."""
        connection = get_object_or_404(Connection, pk=pk)
        try:
            problem = connect.check_connection(connection_id=pk, by=person(request))
        except TROUBLE as error:
            problem = str(error)
        if problem:
            text = _("%(name)s cannot be used now: %(problem)s")
            messages.error(request, text % {"name": connection, "problem": problem})
        else:
            tasks.wake(pk)
            messages.success(request, _("%s works.") % connection)
        self.log_change(request, connection, _("Tested."))
        return redirect(self.home_of(request, connection))

    def refresh_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Renew the access token now."""
        connection = get_object_or_404(Connection, pk=pk)
        try:
            tokens.refresh(connection_id=pk, generation=VersionForm(request.POST).seen)
        except TROUBLE as error:
            messages.error(request, _("The access token was not renewed. %s") % error)
        else:
            self.log_change(request, connection, _("Access token renewed."))
            messages.success(request, _("The access token was renewed."))
        return redirect(self.home_of(request, connection))

    def disconnect_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Say what stops, then take the consent back."""
        connection = get_object_or_404(Connection, pk=pk)
        if request.method == "POST":
            return self._disconnect(request, connection)
        return self.show(
            request,
            "disconnect.html",
            here=_("Disconnect"),
            original=connection,
            stops=what_stops(connection),
            cancel=self.home_of(request, connection),
        )

    def _disconnect(self, request: HttpRequest, connection: Connection) -> HttpResponse:
        try:
            connect.disconnect(connection_id=connection.pk, by=person(request))
        except TROUBLE as error:
            messages.error(request, _("Not disconnected, and nothing was forgotten. %s") % error)
        else:
            self.log_change(request, connection, _("Disconnected."))
            messages.success(request, _("%s is disconnected; its history stays.") % connection)
        return redirect(self.home_of(request, connection))

    def home(self, request: HttpRequest) -> str:
        """Return where a person goes after connecting: the list, for those who may see it."""
        if self.has_view_permission(request):
            return self.address("changelist")
        return reverse("admin:index", current_app=self.admin_site.name)

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


def connect_url() -> str:
    """Return where the web flow starts; empty if the site did not include ``zoho_crm.urls``."""
    try:
        return reverse("zoho_crm:connect")
    except NoReverseMatch:
        return ""


def what_stops(connection: Connection) -> list[tuple[str, int]]:
    """Return how many leads of a connection are under way, by status in words."""
    under_way = LeadConversion.objects.unfinished().filter(connection=connection)
    counts: dict[str, Any] = dict(under_way.order_by().values_list("status").annotate(Count("pk")))
    words = LeadConversion.Status
    return [(str(word.label), counts[word]) for word in words if word in counts]


def expiry(token: Token | None) -> str:
    """Say until when an access token serves; an expired one with a good consent is fine."""
    if token is None or token.status != Token.Status.ACTIVE or token.expires_at is None:
        return NOTHING
    if token.expires_at > timezone.now():
        return _("expires in %s") % timeuntil(token.expires_at)
    return _("renews by itself")


def named(token: Token, word: str) -> SafeString | str:
    """Return what may be shown of a secret: its fingerprint, and the key that it needs."""
    found = fingerprint(token, word)
    if found.problem:
        return _("cannot be read: %s") % found.problem
    if not found.digits:
        return NOTHING
    text = _("encrypted with key %s") % found.key_id
    return format_html("<code>{}</code> · {}", found.digits, text)


class TokenAdmin(RecordAdmin):
    list_display = (
        "user",
        "connection",
        "badge",
        "access_token",
        "expires",
        "generation",
        "refreshed_at",
        "is_default",
    )
    list_filter = ("status", "connection")
    list_select_related = ("connection",)
    fields = (
        "connection",
        "user",
        "user_id",
        "client_id",
        "granted",
        "badge",
        "is_default",
        "access_token",
        "expires",
        "expires_at",
        "generation",
        "refreshed_at",
        "throttled_until",
        "refresh_token",
        "created_at",
    )
    readonly_fields: ClassVar = fields

    @admin.display(description=gettext_lazy("user"), ordering="user_email")
    def user(self, token: Token) -> str:
        return token.user_email or token.user_name or token.user_id

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def badge(self, token: Token) -> SafeString:
        return token_badge(token)

    @admin.display(description=gettext_lazy("access token"))
    def access_token(self, token: Token) -> SafeString | str:
        return named(token, "access_token")

    @admin.display(description=gettext_lazy("refresh token"))
    def refresh_token(self, token: Token) -> SafeString | str:
        return named(token, "refresh_token")

    @admin.display(description=gettext_lazy("validity"), ordering="expires_at")
    def expires(self, token: Token) -> str:
        return expiry(token)

    @admin.display(description=gettext_lazy("scopes"))
    def granted(self, token: Token) -> str:
        return ", ".join(token.scopes) or NOTHING


class ConnectionEventAdmin(RecordAdmin):
    list_display = ("at", "connection", "kind", "by", "told")
    list_filter = ("kind", "connection")
    list_select_related = ("connection", "by")
    ordering = ("-pk",)
    fields = ("connection", "at", "kind", "by", "told")
    readonly_fields: ClassVar = fields

    @admin.display(description=gettext_lazy("details"))
    def told(self, event: ConnectionEvent) -> str:
        return details(event)


def details(event: ConnectionEvent) -> str:
    """Return what else is known of an event, in one line."""
    told = (f"{name}: {value}" for name, value in event.details.items() if value not in ("", None))
    return ", ".join(told) or NOTHING


class ApiUsageAdmin(RecordAdmin):
    list_display = ("begins", "connection", "kind", "calls", "credits", "refusals")
    list_filter = ("connection", "kind")
    list_select_related = ("connection",)
    ordering = ("-hour", "connection", "kind")
    fields = ("connection", "begins", "kind", "calls", "credits", "refusals")
    readonly_fields: ClassVar = fields

    @admin.display(description=gettext_lazy("hour"), ordering="hour")
    def begins(self, usage: ApiUsage) -> SafeString | str:
        return when(usage.hour)
