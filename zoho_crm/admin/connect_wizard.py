"""
The four steps that connect an organisation: how, which client, consent or code, result.

The answers so far are in the address of each step, so that nothing is kept between them but the
client that a person enters: its secret stays in the database, encrypted.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters

from zoho_crm import tasks
from zoho_crm.admin._base import (
    EXPECTED_ERRORS,
    PagesAdmin,
    access_in,
    has_any_permission,
    signed_in_user,
)
from zoho_crm.conf import conf
from zoho_crm.datacenters import DataCenter
from zoho_crm.exceptions import ClientRejectedError
from zoho_crm.forms import (
    SELF_CLIENT,
    SIMULATOR,
    ClientForm,
    ConnectAnswersForm,
    ConnectChoiceForm,
    FinishForm,
    GrantCodeForm,
    without_values,
)
from zoho_crm.models import Connection, EnteredClient
from zoho_crm.services import connect, connection_checks, entered_clients, simulator
from zoho_crm.services.connect_problems import explain, other_data_center
from zoho_crm.services.redirect_address import ask_redirect_address
from zoho_crm.services.scope_texts import purpose_of
from zoho_crm.types import HiddenVariables, ValueObject
from zoho_crm.views import redirect_uri, redirect_uri_notes, session_key

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: The steps, in their order; the names of the second and third are in their addresses.
STEPS = {
    "choice": gettext_lazy("How"),
    "client": gettext_lazy("Client"),
    "consent": gettext_lazy("Consent"),
    "result": gettext_lazy("Result"),
}
#: Minutes for which a code of the console is valid: the shortest and the longest choice there.
CODE_MINUTES = (3, 10)


class Answers(ValueObject):
    """What a person has chosen in the first two steps."""

    how: str
    data_center: str
    environment: str
    #: The number of the client that was entered; ``None`` for that of the settings.
    client: int | None = None

    @property
    def is_self_client(self) -> bool:
        return self.how == SELF_CLIENT

    @property
    def environment_name(self) -> str:
        return str(Connection.Environments(self.environment).label)

    @property
    def center(self) -> DataCenter:
        return conf().data_centers[self.data_center]

    def url(self, pages: PagesAdmin, step: str, **changes: Any) -> str:
        """Return the address of a step, with some answers changed."""
        given = {"step": step, **asdict(self), **changes}
        query = {name: value for name, value in given.items() if value is not None}
        return f"{pages.page_url('connect')}?{urlencode(query)}"

    def entered_client(self, request: HttpRequest) -> EnteredClient | None:
        """Return the client that was entered; ``None`` for that of the settings."""
        user, key = signed_in_user(request), session_key(request)
        return entered_clients.find(user=user, session_key=key, client=self.client)


@method_decorator(sensitive_post_parameters(*ClientForm.SECRETS, *GrantCodeForm.SECRETS))
def connect_page(pages: PagesAdmin, request: HttpRequest) -> HttpResponse:
    """Show the step that the address names, or the first one; on POST do it."""
    form, step = ConnectAnswersForm(request.GET), request.GET.get("step")
    if step in ("client", "consent") and form.is_valid() and form.cleaned_data["how"] != SIMULATOR:
        answers = Answers(**form.cleaned_data)
        if step == "client":
            return _client_step(pages, request, answers)
        return _consent_step(pages, request, answers)
    return _choice_step(pages, request)


def _choice_step(pages: PagesAdmin, request: HttpRequest) -> HttpResponse:
    """The first step; with the simulator it is the only one."""
    settings = conf()
    defaults = {"how": "web", "data_center": settings.DATA_CENTER}
    initial = {**defaults, "environment": settings.ENVIRONMENT, **request.GET.dict()}
    form = ConnectChoiceForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["how"] == SIMULATOR:
            return add_simulator(pages, request)
        return redirect(Answers(**form.cleaned_data).url(pages, "client"))
    return _render(pages, request, "choice", form=form)


def _client_step(pages: PagesAdmin, request: HttpRequest, answers: Answers) -> HttpResponse:
    """The second step: what to register at Zoho, and the client that was registered."""
    callback = "" if answers.is_self_client else _callback(request)
    asks = request.method == "POST" and "ask" in request.POST
    form: ClientForm = ClientForm() if asks else _form_with_secrets(ClientForm, request)
    if form.is_bound and form.is_valid():
        try:
            client = _keep_client(request, form)
        except EXPECTED_ERRORS as error:
            form.add_error(None, str(error))
        else:
            return redirect(answers.url(pages, "consent", client=client and client.pk))
    return _render(
        pages,
        request,
        "client",
        answers=answers,
        change_url=answers.url(pages, "choice"),
        form=form,
        home_page=request.build_absolute_uri("/"),
        redirect_uri=callback,
        lacks_urls=not (callback or answers.is_self_client),
        notes=redirect_uri_notes(request) if callback else [],
        is_reached=callback.startswith(request.build_absolute_uri("/")),
        reach=ask_redirect_address() if asks and conf().REDIRECT_URI else None,
        scope_list=",".join(conf().SCOPES),
        scopes=[(scope, purpose_of(scope)) for scope in conf().SCOPES],
    )


def _keep_client(request: HttpRequest, form: ClientForm) -> EnteredClient | None:
    """Store the client that was entered; return ``None`` if that of the settings is to be used."""
    if not form.cleaned_data["client_id"]:
        return None
    user, key = signed_in_user(request), session_key(request)
    return entered_clients.keep(user=user, session_key=key, **form.cleaned_data)


def _consent_step(pages: PagesAdmin, request: HttpRequest, answers: Answers) -> HttpResponse:
    """The third step: go to Zoho, or paste a code."""
    try:
        client = answers.entered_client(request)
    except ClientRejectedError as error:
        messages.error(request, str(error))
        return redirect(answers.url(pages, "client", client=None))
    form: GrantCodeForm = _form_with_secrets(GrantCodeForm, request)
    found = request.GET.get("found", "")
    if answers.is_self_client and request.method == "POST" and form.is_valid():
        try:
            connection = _connect_with_code(request, form, answers, client)
        except EXPECTED_ERRORS as error:
            form.add_error("code", explain(error, center=answers.data_center))
            found = other_data_center(error, chosen=answers.data_center)
        else:
            return _connected(pages, request, connection, gettext_lazy("Connected by a code."))
    callback = _callback(request)
    return _render(
        pages,
        request,
        "consent",
        answers=answers,
        change_url=answers.url(pages, "choice"),
        back_url=answers.url(pages, "client"),
        form=form,
        start_url=reverse("zoho_crm:connect") if callback else "",
        this_step=answers.url(pages, "consent"),
        redirect_uri=callback,
        scope_list=",".join(conf().SCOPES),
        valid_until=[timezone.now() + timedelta(minutes=minutes) for minutes in CODE_MINUTES],
        **_way_to_another_data_center(pages, answers, found),
    )


def _connect_with_code(
    request: HttpRequest, form: GrantCodeForm, answers: Answers, client: EnteredClient | None
) -> Connection:
    connection = connect.with_grant_code(
        code=form.cleaned_data["code"],
        data_center=answers.data_center,
        environment=answers.environment,
        client_id=client.client_id if client else "",
        client_secret=client.reveal("client_secret") if client else None,
        by=signed_in_user(request),
    )
    entered_clients.forget(client)
    return connection


def _way_to_another_data_center(
    pages: PagesAdmin, answers: Answers, found: str
) -> dict[str, str | DataCenter]:
    """Return the data center that Zoho named instead, and the step again with it."""
    other = conf().data_centers.get(found)
    if other is None or found == answers.data_center:
        return {}
    return {"other": other, "switch_url": answers.url(pages, "consent", data_center=found)}


def add_simulator(pages: PagesAdmin, request: HttpRequest) -> HttpResponse:
    """Connect to the simulator."""
    try:
        connection = simulator.connect_simulator(by=signed_in_user(request))
    except EXPECTED_ERRORS as error:
        messages.error(request, _("Not connected. %s") % error)
        return redirect(pages.page_url("connect"))
    return _connected(pages, request, connection, gettext_lazy("Connected to the simulator."))


def result_page(pages: PagesAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
    """The last step: try what the connection can do; on POST store its name, and finish."""
    may_name = _may_name(request, connection)
    if request.method == "POST" and not may_name:
        raise PermissionDenied
    may_make_default = access_in(request).everywhere("change_connection")
    form = FinishForm(connection, request.POST or None, may_make_default=may_make_default)
    if request.method == "POST" and form.is_valid():
        connect.rename(connection_id=connection.pk, name=form.cleaned_data["name"])
        if form.cleaned_data.get("is_default") and not connection.is_default:
            connect.make_default(connection_id=connection.pk)
        connection.refresh_from_db()
        text = _("%s is ready.") % connection
        return pages.redirect_with_success(request, connection, text, log=gettext_lazy("Named."))
    checks = connection_checks.check(connection)
    return _render(
        pages,
        request,
        "result",
        original=connection,
        form=form if may_name else None,
        record_url=pages.record_url(request, connection),
        checks=checks,
        all_ok=all(each.is_ok for each in checks),
        start_url=reverse("zoho_crm:connect") if _callback(request) else "",
    )


def _may_name(request: HttpRequest, connection: Connection) -> bool:
    """Return whether the user may name the connection."""
    is_own = connect.was_made_by(connection, signed_in_user(request))
    return is_own or has_any_permission(request, "change_connection", of=connection)


def _connected(
    pages: PagesAdmin, request: HttpRequest, connection: Connection, log: StrPromise
) -> HttpResponse:
    tasks.wake(connection.pk)
    text = _("Connected to %s.") % connection
    to = pages.page_url("result", connection.pk)
    return pages.redirect_with_success(request, connection, text, log=log, to=to)


def _form_with_secrets(kind: Any, request: HttpRequest) -> Any:
    """Return a form of this kind, and leave no secret in the request, which reports show."""
    with HiddenVariables():
        form = kind(request.POST or None)
        request.POST = without_values(request.POST, kind.SECRETS)
    return form


def _callback(request: HttpRequest) -> str:
    """Return the redirect address of this site; empty if it does not include our URLs."""
    try:
        return redirect_uri(request)
    except NoReverseMatch:
        return ""


def _render(pages: PagesAdmin, request: HttpRequest, step: str, **context: Any) -> HttpResponse:
    number = list(STEPS).index(step) + 1
    title = _("Connect to Zoho, step %(number)s of %(total)s: %(name)s")
    names = {"number": number, "total": len(STEPS), "name": STEPS[step]}
    return pages.render_page(
        request,
        f"connect_{step}.html",
        page_name=_("Connect to Zoho"),
        title=title % names,
        steps=STEPS.items(),
        step=step,
        settings=conf(),
        **context,
    )
