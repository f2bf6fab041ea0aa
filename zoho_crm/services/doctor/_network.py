"""What is around us: the broker, the address that Zoho sends browsers to, Zoho itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from celery import current_app
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError
from kombu.utils.url import maybe_sanitize_url

from zoho_crm.conf import conf
from zoho_crm.datacenters import LOCAL
from zoho_crm.models import Connection
from zoho_crm.services._zoho import api
from zoho_crm.services.doctor._findings import Finding, fail, ok, warn

#: Seconds that the broker is given to answer.
PATIENCE = 3


def broker() -> Iterator[Finding]:
    """Whether Celery's broker answers; without one the commands still do all the work."""
    with current_app.connection_for_write() as link:
        url = maybe_sanitize_url(str(current_app.conf.broker_url or link.as_uri()))
        try:
            link.ensure_connection(
                max_retries=1, interval_start=0, interval_step=0, timeout=PATIENCE
            )
        except OperationalError as error:
            message = _("%(url)s does not answer: %(error)s")
            fix = _("Set CELERY_BROKER_URL, or do without: manage.py zoho_work --loop 15")
            yield warn("broker", message % {"url": url, "error": error}, fix)
        else:
            yield ok("broker", url)


def redirect_address() -> Iterator[Finding]:
    """Whether the address that Zoho sends browsers back to is this site's callback."""
    given, check = conf().REDIRECT_URI, "redirect address"
    try:
        callback = reverse("zoho_crm:callback")
    except NoReverseMatch:
        fix = _('Add path("zoho/", include("zoho_crm.urls")) to the URLs of the project.')
        yield fail(check, _("The URLs of this app are not included."), fix)
        return
    parts = urlsplit(given)
    if not given:
        yield ok(check, _("taken from the request: …%s") % callback)
    elif not parts.path.endswith(callback):
        fix = _("It must end with %s, here and in Zoho's API console.") % callback
        yield fail(check, _("%s does not lead to this app.") % given, fix)
    elif parts.scheme != "https" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        yield warn(check, _("%s is not encrypted.") % given, _("Use https."))
    else:
        yield ok(check, given)


def accounts_servers() -> Iterator[Finding]:
    """Whether the accounts servers of the data centers in use answer."""
    known = conf().data_centers
    used = {conf().DATA_CENTER, *Connection.objects.values_list("data_center", flat=True)}
    for code in sorted(used):
        check = f"data center {code}"
        if code not in known:
            message = _("There is no such data center; known are: %s.") % ", ".join(known)
            yield fail(check, message, _("Correct DATA_CENTER, or set LOCAL_URL for “local”."))
            continue
        origin = known[code].accounts
        problem = _unreachable(origin)
        if problem:
            yield fail(check, f"{origin}: {problem}", _way_to(code))
        else:
            yield ok(check, _("%s answers") % origin)


def _way_to(code: str) -> str:
    if code == LOCAL:
        return _("Start the simulator, manage.py zoho_simulator, or correct LOCAL_URL.")
    return _("Look at the network, proxy and certificates of this host.")


def _unreachable(origin: str) -> str:
    """Return why a server cannot be reached; any answer at all is good."""
    way = api(origin)
    timeout = cast(Any, way.limits.timeout())
    try:
        way.session.head(f"{origin}/", timeout=timeout, allow_redirects=False).close()
    except requests.RequestException as error:
        return f"{type(error).__name__}: {error}"
    return ""
