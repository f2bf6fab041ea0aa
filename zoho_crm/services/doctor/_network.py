"""Checks of what the app connects to: broker, redirect address, proxy, Zoho's accounts servers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from celery import current_app
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from kombu.utils.url import maybe_sanitize_url

from zoho_crm.conf import conf
from zoho_crm.datacenters import LOCAL
from zoho_crm.exceptions import WrongSettingsError, ZohoError
from zoho_crm.models import Connection
from zoho_crm.services._zoho import api
from zoho_crm.services.broker import UNUSABLE_ERRORS, driver_type, problem_of_broker
from zoho_crm.services.doctor._findings import Check, Finding, fail, ok, warn
from zoho_crm.services.redirect_address import ask_redirect_address

#: Seconds within which the broker has to answer.
BROKER_TIMEOUT_SECONDS = 3
#: Options of the transport for Redis, whose sockets have no time-out by default.
REDIS_OPTIONS = {
    "socket_connect_timeout": 5,
    "socket_timeout": 30,
    "socket_keepalive": True,
}
#: Variables of the environment that other programs obey, by the setting of ours.
VARIABLES_BY_SETTING: Mapping[str, tuple[str, ...]] = {
    "PROXY": ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"),
    "CA_BUNDLE": ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
}


def broker() -> Iterator[Finding]:
    """Check that Celery's broker answers; without one the commands can still do all the work."""
    url = _url_of_broker()
    if problem := problem_of_broker(BROKER_TIMEOUT_SECONDS):
        fix = _("Set CELERY_BROKER_URL, or do without: manage.py zoho_work --loop 15")
        values = {"url": url, "error": problem}
        yield warn(Check.BROKER, _("%(url)s cannot be used: %(error)s") % values, fix)
    else:
        yield ok(Check.BROKER, url)
    options = current_app.conf.broker_transport_options or {}
    if driver_type() == "redis" and "socket_timeout" not in options:
        message = _("A worker waits for ever for a broker that accepts and does not answer.")
        fix = _("Set CELERY_BROKER_TRANSPORT_OPTIONS = %s") % REDIS_OPTIONS
        yield warn(Check.BROKER_OPTIONS, message, fix)


def _url_of_broker() -> str:
    """Return the broker's URL without its password; the name of the setting if it is no URL."""
    configured = current_app.conf.broker_write_url
    try:
        return maybe_sanitize_url(str(configured or current_app.connection_for_write().as_uri()))
    except UNUSABLE_ERRORS:
        return "CELERY_BROKER_URL"


def redirect_address() -> Iterator[Finding]:
    """Check that the address to which Zoho sends browsers back is this site's callback."""
    configured, check = conf().REDIRECT_URI, Check.REDIRECT_ADDRESS
    try:
        callback = reverse("zoho_crm:callback")
    except (NoReverseMatch, AttributeError):  # the latter without ROOT_URLCONF
        fix = _('Add path("zoho/", include("zoho_crm.urls")) to the URLs of the project.')
        yield fail(check, _("The URLs of this app are not included."), fix)
        return
    parts = urlsplit(configured)
    if not configured:
        yield ok(check, _("taken from the request: …%s") % callback)
    elif not parts.path.endswith(callback):
        fix = _("It must end with %s, here and in Zoho's API console.") % callback
        yield fail(check, _("%s does not lead to this app.") % configured, fix)
    elif parts.scheme != "https" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        yield warn(check, _("%s is not encrypted.") % configured, _("Use https."))
    else:
        yield _answer_of_redirect_address(configured)


def _answer_of_redirect_address(configured: str) -> Finding:
    found = ask_redirect_address()
    if found.problem:
        fix = _("Correct it, or REDIRECT_URI, here and in Zoho's API console.")
        return warn(Check.REDIRECT_ADDRESS, f"{configured}: {found.problem}", fix)
    if found.unknown:
        text = _("%(url)s (could not be reached from here, and only browsers have to: %(why)s)")
        return ok(Check.REDIRECT_ADDRESS, text % {"url": configured, "why": found.unknown})
    return ok(Check.REDIRECT_ADDRESS, _("%s answers") % configured)


def proxy() -> Iterator[Finding]:
    """Check whether the environment names a proxy or certificates that the settings do not."""
    if not used_data_centers() - {LOCAL}:
        return
    fix = _("The environment is not trusted with secrets; set ZOHO_CRM['%s'] to use it.")
    for setting, variables in VARIABLES_BY_SETTING.items():
        named = [name for name in variables if os.environ.get(name)]
        if named and not getattr(conf(), setting):
            message = _("%s is set in the environment, and not used.") % ", ".join(named)
            yield warn(Check.PROXY, message, fix % setting)
    if conf().proxy_host:
        yield ok(Check.PROXY, _("calls to Zoho go through %s") % conf().proxy_host)


def used_data_centers() -> set[str]:
    """Return the codes of the data centers of the settings and of the connections."""
    return {conf().DATA_CENTER, *Connection.objects.values_list("data_center", flat=True)}


def accounts_servers() -> Iterator[Finding]:
    """Check that the accounts servers of the data centers in use answer."""
    known = conf().data_centers
    for code in sorted(used_data_centers()):
        if code not in known:
            message = _("There is no such data center; known are: %s.") % ", ".join(known)
            fix = _("Correct DATA_CENTER, add it to EXTRA_DATA_CENTERS, or set LOCAL_URL.")
            yield fail(Check.DATA_CENTER, message, fix, subject=code)
            continue
        origin = known[code].accounts
        problem = _unreachable(origin)
        if problem:
            yield fail(Check.DATA_CENTER, problem, _network_fix(code), subject=code)
        else:
            yield ok(Check.DATA_CENTER, _("%s answers") % origin, subject=code)


def _network_fix(code: str) -> str:
    if code == LOCAL:
        return _("Start the simulator, manage.py zoho_simulator, or correct LOCAL_URL.")
    return _(
        "Check the network of this host; set PROXY if only a proxy leads out, and CA_BUNDLE if it"
        " replaces certificates."
    )


def _unreachable(origin: str) -> str:
    """Return why a server cannot be reached; empty if it gives any HTTP answer."""
    try:
        api(origin).call("HEAD", "/")
    except ZohoError as error:
        return "" if error.http_status else str(error)
    except WrongSettingsError as error:
        return str(error)
    return ""
