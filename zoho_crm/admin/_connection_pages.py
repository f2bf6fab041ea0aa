"""What people do with a connection: connect, test, renew the token, disconnect."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import NoReverseMatch, URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from zoho_crm import tasks
from zoho_crm.admin._base import TROUBLE, PagesAdmin, person
from zoho_crm.conf import conf
from zoho_crm.forms import ConnectForm, SelfClientForm, VersionForm
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services import connect, tokens
from zoho_crm.views import redirect_uri


class ConnectionPages(PagesAdmin):
    """The pages of connections that act."""

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
            problem = connect.examine(connection_id=pk, by=person(request))
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
