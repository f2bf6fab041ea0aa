"""The web flow: send the browser to Zoho's consent page, and handle the callback."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from zoho_crm import tasks
from zoho_crm.conf import conf
from zoho_crm.exceptions import ZohoError
from zoho_crm.forms import ConnectForm
from zoho_crm.services import connect

HOME = "admin:zoho_crm_connection_changelist"
#: The length of ``AuthorizationRequest.next_path``.
MAX_PATH_LENGTH = 500


@transaction.non_atomic_requests
@never_cache
@require_POST
@login_required
@permission_required("zoho_crm.connect_connection", raise_exception=True)
def start(request: HttpRequest) -> HttpResponseBase:
    """Redirect the browser to Zoho's consent page."""
    form = ConnectForm(request.POST)
    next_path = _next_path(request)
    if not form.is_valid():
        messages.error(request, form.first_error())
        return redirect(next_path)
    try:
        url = connect.begin(
            user=_user(request),
            session_key=_session_key(request),
            redirect_uri=redirect_uri(request),
            next_path=next_path,
            **form.cleaned_data,
        )
    except ImproperlyConfigured as error:
        messages.error(request, str(error))
        return redirect(next_path)
    return redirect(url)


@transaction.non_atomic_requests
@never_cache
@require_GET
@login_required
@permission_required("zoho_crm.connect_connection", raise_exception=True)
def callback(request: HttpRequest) -> HttpResponse:
    """Make the connection that the user gave consent to, and show the result as a message."""
    try:
        connection, next_path = connect.complete(
            user=_user(request), session_key=_session_key(request), **_callback_parameters(request)
        )
    except (ZohoError, ImproperlyConfigured) as error:
        messages.error(request, _("Not connected. %s") % error)
        return redirect(HOME)
    tasks.wake(connection.pk)
    messages.success(request, _("Connected to %s.") % connection)
    return redirect(next_path)


def redirect_uri(request: HttpRequest) -> str:
    """Return the URL of the callback, as it has to be registered at Zoho."""
    return conf().REDIRECT_URI or request.build_absolute_uri(reverse("zoho_crm:callback"))


def _callback_parameters(request: HttpRequest) -> dict[str, str]:
    """Return the parameters of Zoho's redirect; all empty if one of them is given twice."""
    keys = ("state", "code", "error", "location", "accounts-server")
    given = {key.replace("-", "_"): request.GET.getlist(key) or [""] for key in keys}
    if any(len(values) > 1 for values in given.values()):
        return dict.fromkeys(given, "")
    return {key: values[0] for key, values in given.items()}


def _user(request: HttpRequest) -> AbstractBaseUser:
    assert isinstance(request.user, AbstractBaseUser)
    return request.user


def _next_path(request: HttpRequest) -> str:
    """Return the path of this site that the form asks to return to, else the default."""
    wanted = request.POST.get("next", "")
    is_path = wanted.startswith("/") and wanted.isprintable() and len(wanted) <= MAX_PATH_LENGTH
    is_safe = is_path and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if is_safe else resolve_url(HOME)


def _session_key(request: HttpRequest) -> str:
    if not request.session.session_key:
        request.session.create()
    return str(request.session.session_key)
