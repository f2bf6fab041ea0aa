"""
The web flow: send the browser to Zoho's consent page, and handle the callback.

The admin shows what happened where it can; else pages of our own do, which need no other app. The
callback's address holds a code, so no answer is kept in a cache or sent on as a referrer, and no
other address gets the code.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import wraps
from typing import TypeAlias
from urllib.parse import urlsplit

from django.conf import global_settings, settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    QueryDict,
)
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.urls import NoReverseMatch, is_valid_path, reverse
from django.utils import translation
from django.utils.cache import add_never_cache_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_http_methods

from zoho_crm import forms, tasks
from zoho_crm.conf import conf
from zoho_crm.datacenters import LOOPBACK
from zoho_crm.exceptions import ZohoError
from zoho_crm.models import Connection, non_atomic_requests
from zoho_crm.services import connect, entered_clients
from zoho_crm.services.access import access_of
from zoho_crm.services.connect_problems import explain, other_data_center
from zoho_crm.types import HiddenVariables, Secret

View: TypeAlias = Callable[..., HttpResponseBase]

PERMISSION = "connect_connection"
#: The length of ``AuthorizationRequest.next_path``.
MAX_PATH_LENGTH = 500
#: Parameters of Zoho's redirect to the callback.
CALLBACK_PARAMETERS = ("state", "code", "error", "location", "accounts-server")
#: Key of a random text in the session: a callback counts only in the session that started it.
BROWSER_KEY = "zoho_crm_browser"
#: Django's default of ``LOGIN_URL``, where many sites have nothing.
DEFAULT_LOGIN_URL = global_settings.LOGIN_URL


class ConsentRedirect(HttpResponseRedirect):
    """A redirect to Zoho's consent page; its address, which holds a state, is not shown."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} status_code={self.status_code}>"


def flow_view(view: View) -> View:
    """
    Return a view of the web flow, whose every answer stays out of caches and referrers.

    So that this holds for an answer of the CSRF protection too, it is part of the view. The view
    itself says what to do when nobody is signed in: the log-in page of a middleware would get the
    address, with the code in it.
    """
    protected = csrf_protect(view)

    @csrf_exempt
    @login_not_required
    @non_atomic_requests
    @wraps(view)
    def answer(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        response: HttpResponseBase = protected(request, *args, **kwargs)
        add_never_cache_headers(response)
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    return answer


@flow_view
@require_http_methods(["GET", "POST"])
def start(request: HttpRequest) -> HttpResponseBase:
    """Show the form to connect, in the admin if it can; on POST redirect to Zoho's consent page."""
    if not request.user.is_authenticated:
        return _ask_to_sign_in(request)
    if request.method == "POST":
        return _begin(request)
    if not access_of(request.user).everywhere(PERMISSION):
        return _forbidden(request)
    if page := _admin_url(request, "connect"):
        return redirect(page)
    return render(
        request,
        "zoho_crm/oauth/connect.html",
        {
            "title": _("Connect to Zoho"),
            "form": forms.ConnectForm(),
            "next": _next_path(request),
            "redirect_uri": redirect_uri(request),
            "notes": redirect_uri_notes(request),
            "settings": conf(),
        },
    )


@flow_view
@require_GET
def callback(request: HttpRequest) -> HttpResponseBase:
    """Make the connection that the user gave consent to, and show the result."""
    given = _take_parameters(request)
    if not request.user.is_authenticated:
        return _signed_out(request)
    if not access_of(request.user).somewhere(PERMISSION):
        return _forbidden(request)
    user, browser = _user(request), session_key(request)
    if any(len(values) > 1 for values in given.values()):
        connect.withdraw(user=user, session_key=browser, states=given["state"])
        return _failed(request, _("The answer says something twice, which Zoho never does."))
    first = {name: values[0] if values else Secret("") for name, values in given.items()}
    asked = connect.find_request(user=user, session_key=browser, state=first["state"])
    if asked and not _may_connect(request, asked.connection):
        return _forbidden(request)
    try:
        connection, next_path = connect.complete(
            user=user,
            session_key=browser,
            state=first["state"],
            code=first["code"],
            error=first["error"].reveal(),
            location=first["location"].reveal(),
            accounts_server=first["accounts-server"].reveal(),
        )
    except (ZohoError, ImproperlyConfigured) as error:
        return _refused(request, error, first["state"], first["location"].reveal())
    tasks.wake(connection.pk)
    return _connected(request, connection, next_path)


@flow_view
@require_GET
def connected(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Show a connection that was made, on a site without the admin."""
    if not request.user.is_authenticated:
        return _ask_to_sign_in(request)
    connection = get_object_or_404(Connection, pk=pk)
    if not access_of(request.user).of(connection, PERMISSION):
        return _forbidden(request)
    token = connection.tokens.filter(is_default=True).first()
    return render(
        request,
        "zoho_crm/oauth/connected.html",
        {
            "title": _("Connected to %s.") % connection,
            "connection": connection,
            "missing": connect.missing_scopes(token.scopes) if token else [],
        },
    )


def redirect_uri(request: HttpRequest) -> str:
    """Return the URL of the callback, as it has to be registered at Zoho."""
    return conf().REDIRECT_URI or request.build_absolute_uri(reverse("zoho_crm:callback"))


def redirect_uri_notes(request: HttpRequest) -> list[str]:
    """Return what is wrong with the callback's URL of this request, and the settings to mend it."""
    if conf().REDIRECT_URI:
        return []
    parts, notes = urlsplit(redirect_uri(request)), []
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        notes.append(
            _(
                "This address is not encrypted. If the site is behind a proxy with TLS, set "
                "SECURE_PROXY_SSL_HEADER so that Django knows, or set ZOHO_CRM['REDIRECT_URI'] to "
                "the https address; then register that one."
            )
        )
    if _depends_on_language():
        notes.append(
            _(
                "This address contains the language, so that it differs between users. Include "
                "zoho_crm.urls outside of i18n_patterns, or set ZOHO_CRM['REDIRECT_URI'] to one "
                "address; then register that one."
            )
        )
    return notes


def _depends_on_language() -> bool:
    """Return whether the callback's path differs between two languages of the site."""
    codes = [settings.LANGUAGE_CODE, *(code for code, _name in settings.LANGUAGES[:2])]
    paths = set()
    for code in codes:
        with translation.override(code):
            paths.add(reverse("zoho_crm:callback"))
    return len(paths) > 1


def _begin(request: HttpRequest) -> HttpResponseBase:
    """Redirect the browser to Zoho's consent page, or say why not."""
    form, next_path = forms.ConnectForm(request.POST), _next_path(request)
    is_valid = form.is_valid()
    if not _may_connect(request, form.cleaned_data.get("connection")):
        return _forbidden(request)
    if not is_valid:
        return _failed(request, form.first_error(), next_path)
    user, browser, given = _user(request), session_key(request), form.cleaned_data
    try:
        given["client"] = entered_clients.find(
            user=user, session_key=browser, client=given["client"]
        )
        with HiddenVariables():
            return ConsentRedirect(
                connect.begin(
                    user=user,
                    session_key=browser,
                    redirect_uri=redirect_uri(request),
                    next_path=next_path,
                    **given,
                )
            )
    except (ZohoError, ImproperlyConfigured) as error:
        return _failed(request, str(error), next_path)


def _connected(request: HttpRequest, connection: Connection, next_path: str) -> HttpResponse:
    """Redirect to the path to return to, else to our page, which shows the connection."""
    if not next_path:
        return redirect("zoho_crm:connected", pk=connection.pk)
    if _is_in_wizard(request, next_path):
        next_path = reverse("admin:zoho_crm_connection_result", args=[connection.pk])
    _add_message(request, messages.SUCCESS, _("Connected to %s.") % connection)
    return redirect(next_path)


def _refused(request: HttpRequest, error: Exception, state: Secret, location: str) -> HttpResponse:
    """Say why a consent connected nothing: in the step of the wizard that it comes from, if any."""
    asked = connect.find_request(user=_user(request), session_key=session_key(request), state=state)
    if asked is None:
        return _failed(request, str(error))
    came_to = request.build_absolute_uri(request.path)
    problem = explain(error, center=asked.data_center, sent=asked.redirect_uri, came_to=came_to)
    back = asked.next_path if _is_in_wizard(request, asked.next_path) else ""
    other = other_data_center(error, chosen=asked.data_center, location=location)
    return _failed(request, problem, f"{back}&found={other}" if back and other else back)


def _is_in_wizard(request: HttpRequest, path: str) -> bool:
    """Return whether a path is that of a step of the admin's wizard."""
    wizard = _admin_url(request, "connect")
    return bool(wizard) and path.startswith(f"{wizard}?")


def _failed(request: HttpRequest, problem: str, next_path: str = "") -> HttpResponse:
    """Say why nothing was connected: in a message at the path to return to, else on our page."""
    target = next_path or _admin_url(request, "changelist")
    if target and _add_message(request, messages.ERROR, _("Not connected. %s") % problem):
        return redirect(target)
    context = {"title": _("Not connected."), "problem": problem, "may_connect": True}
    return render(request, "zoho_crm/oauth/failed.html", context, status=400)


def _may_connect(request: HttpRequest, connection: Connection | None) -> bool:
    """Return whether the user may connect this connection again; ``None`` is a new one."""
    access = access_of(request.user)
    return access.of(connection, PERMISSION) if connection else access.everywhere(PERMISSION)


def _forbidden(request: HttpRequest) -> HttpResponse:
    """Say which permission the user lacks."""
    problem = _("Your user lacks the permission “Can connect to Zoho”; an administrator gives it.")
    context = {"title": _("Not connected."), "problem": problem}
    return render(request, "zoho_crm/oauth/failed.html", context, status=403)


def _signed_out(request: HttpRequest) -> HttpResponse:
    """Say that the callback came without a session, and what to press."""
    context = {
        "title": _("Not connected."),
        "is_strict": str(settings.SESSION_COOKIE_SAMESITE).lower() == "strict",
        "login_url": _login_url(),
    }
    return render(request, "zoho_crm/oauth/signed_out.html", context, status=403)


def _ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    """Redirect to the log-in page; show our page if the site has none."""
    if url := _login_url():
        return redirect(url)
    context = {"title": _("Not connected."), "problem": _("Sign in to this site first.")}
    return render(request, "zoho_crm/oauth/failed.html", context, status=403)


def _login_url() -> str:
    """Return the URL of the log-in page, from where it goes on here; empty if there is none."""
    for name in (settings.LOGIN_URL, "admin:login"):
        try:
            url = resolve_url(name)
        except NoReverseMatch:
            continue
        if url != DEFAULT_LOGIN_URL or is_valid_path(url):
            return redirect_to_login(reverse("zoho_crm:connect"), url).url
    return ""


def _admin_url(request: HttpRequest, page: str) -> str:
    """Return the URL of one of the admin's pages; empty if the user may not open it."""
    access = access_of(request.user)
    may_open = {"connect": access.everywhere(PERMISSION)}
    may_open["changelist"] = access.somewhere("view_connection")
    if not (getattr(request.user, "is_staff", False) and may_open[page]):
        return ""
    try:
        return reverse(f"admin:zoho_crm_connection_{page}")
    except NoReverseMatch:
        return ""


def _add_message(request: HttpRequest, level: int, text: str) -> bool:
    """Add a message for the next page; return whether the site has messages."""
    try:
        messages.add_message(request, level, text)
    except messages.MessageFailure:
        return False
    return True


def _user(request: HttpRequest) -> AbstractBaseUser:
    assert isinstance(request.user, AbstractBaseUser)
    return request.user


def _next_path(request: HttpRequest) -> str:
    """Return the path of this site that is asked for, else the admin's; empty if there is none."""
    wanted = request.POST.get("next") or request.GET.get("next", "")
    is_path = wanted.startswith("/") and wanted.isprintable() and len(wanted) <= MAX_PATH_LENGTH
    is_safe = is_path and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if is_safe else _admin_url(request, "changelist")


def _take_parameters(request: HttpRequest) -> dict[str, list[Secret]]:
    """Return the parameters of the callback, and leave none in the request, which reports show."""
    with HiddenVariables():
        given = {name: list(map(Secret, request.GET.getlist(name))) for name in CALLBACK_PARAMETERS}
    request.GET = QueryDict()
    request.META["QUERY_STRING"] = ""
    return given


def session_key(request: HttpRequest) -> Secret:
    """
    Return the random text of this session.

    Not the session's key, which some session engines change with every answer.
    """
    with HiddenVariables():
        return Secret(request.session.setdefault(BROWSER_KEY, secrets.token_urlsafe(32)))
