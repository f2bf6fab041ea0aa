"""The web flow: a person leaves for Zoho's consent page, and comes back."""

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
#: What the request remembers of the place to come back to.
LONGEST_PATH = 500


@transaction.non_atomic_requests
@never_cache
@require_POST
@login_required
@permission_required("zoho_crm.connect_connection", raise_exception=True)
def start(request: HttpRequest) -> HttpResponseBase:
    """Send a person to Zoho to give consent."""
    form = ConnectForm(request.POST)
    back = _next(request)
    if not form.is_valid():
        messages.error(request, form.first_error())
        return redirect(back)
    try:
        address = connect.begin(
            user=_person(request),
            session_key=_session_key(request),
            redirect_uri=redirect_uri(request),
            next_path=back,
            **form.cleaned_data,
        )
    except ImproperlyConfigured as error:
        messages.error(request, str(error))
        return redirect(back)
    return redirect(address)


@transaction.non_atomic_requests
@never_cache
@require_GET
@login_required
@permission_required("zoho_crm.connect_connection", raise_exception=True)
def callback(request: HttpRequest) -> HttpResponse:
    """Take up the consent that Zoho's answer carries, and say what came of it."""
    try:
        connection, back = connect.complete(
            user=_person(request), session_key=_session_key(request), **_answer(request)
        )
    except (ZohoError, ImproperlyConfigured) as error:
        messages.error(request, _("Not connected. %s") % error)
        return redirect(HOME)
    tasks.wake(connection.pk)
    messages.success(request, _("Connected to %s.") % connection)
    return redirect(back)


def redirect_uri(request: HttpRequest) -> str:
    """Return where Zoho sends the browser back to, as it has to be registered there."""
    return conf().REDIRECT_URI or request.build_absolute_uri(reverse("zoho_crm:callback"))


def _answer(request: HttpRequest) -> dict[str, str]:
    """Return what Zoho's answer says; nothing at all if it says something twice."""
    keys = ("state", "code", "error", "location", "accounts-server")
    given = {key.replace("-", "_"): request.GET.getlist(key) or [""] for key in keys}
    if any(len(values) > 1 for values in given.values()):
        return dict.fromkeys(given, "")
    return {key: values[0] for key, values in given.items()}


def _person(request: HttpRequest) -> AbstractBaseUser:
    assert isinstance(request.user, AbstractBaseUser)
    return request.user


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next", "")
    is_path = wanted.startswith("/") and wanted.isprintable() and len(wanted) <= LONGEST_PATH
    same_site = is_path and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if same_site else resolve_url(HOME)


def _session_key(request: HttpRequest) -> str:
    if not request.session.session_key:
        request.session.create()
    return str(request.session.session_key)
