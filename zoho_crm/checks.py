"""
System checks of the settings, for ``manage.py check``.

* ``zoho_crm.E001`` a key of ``ZOHO_CRM`` is unknown
* ``zoho_crm.E002`` an encryption key is no Fernet key
* ``zoho_crm.E003`` durations or numbers with which a lead could be sent twice
* ``zoho_crm.E004`` a data center or an environment that does not exist
* ``zoho_crm.E005`` ``LOCAL_URL`` is not on this machine
* ``zoho_crm.E006`` ``USE_TZ`` is off
* ``zoho_crm.E007`` ``LOCAL_URL`` or ``TRANSPORT`` in production (``check --deploy``)
* ``zoho_crm.E008`` a value is of the wrong type
* ``zoho_crm.E009`` a row of ``EXTRA_DATA_CENTERS`` cannot be used
* ``zoho_crm.E010`` ``PROXY`` is not the URL of a proxy
* ``zoho_crm.E011`` ``CA_BUNDLE`` is not a file of certificates
* ``zoho_crm.E012`` a number is too small or too large
* ``zoho_crm.E013`` ``TRANSPORT`` is not the path of a callable
* ``zoho_crm.E014`` ``REDIRECT_URI`` is not a URL
* ``zoho_crm.W001`` no encryption key: nothing can be connected
* ``zoho_crm.W002`` Celery's broker is in the memory of one process
* ``zoho_crm.W007`` the password of ``PROXY`` is a plain text
* ``zoho_crm.W008`` Zoho's Python SDK is of a major version that is not tested
* ``zoho_crm.I001`` the hosts of ``EXTRA_DATA_CENTERS``, which get secrets
* ``zoho_crm.I002`` our tables are in a database of their own, which transactions of others miss

Of a site that includes ``zoho_crm.urls``, for connecting in the browser:

* ``zoho_crm.W003`` no sessions, or no users in requests
* ``zoho_crm.W004`` the session's cookie does not come along when Zoho sends the browser back
* ``zoho_crm.W005`` no log-in page
* ``zoho_crm.W006`` no template engine finds the app's pages
"""

from __future__ import annotations

import contextlib
import difflib
import ssl
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, router
from django.shortcuts import resolve_url
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.urls import NoReverseMatch, get_script_prefix, is_valid_path
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import crypto
from zoho_crm.conf import (
    DEFAULT_COSTS,
    SETTING_NAMES,
    ZohoSettings,
    conf,
    raw_settings,
    setting_types,
)
from zoho_crm.datacenters import is_local, origin_of, with_extra
from zoho_crm.types import Environment, Secret

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: Errors with which nothing works, so that nothing else can be examined.
FATAL = frozenset(f"zoho_crm.E{number}" for number in ("006", "008", "012", "013", "014"))
#: The smallest value of a number, if not 0, and the largest, if not ten years or ``MAX_NUMBER``.
SMALLEST: Mapping[str, float] = {
    "SLICE": 0.1,
    "SWEEP_INTERVAL": 0.1,
    "MAX_ATTEMPTS": 1,
    "RETENTION_DAYS": 1,
}
LARGEST: Mapping[str, float] = {"CREDIT_RESERVE": 100, "RETENTION_DAYS": 36_500}
MAX_SECONDS = 10 * 365 * 86_400
MAX_NUMBER = 10**9

#: Zoho's Python SDK, and its major version that ``zoho_crm.contrib.sdk`` is for.
SDK_PACKAGE = "zohocrmsdk8-0"
SDK_MAJOR_VERSION = "7"


@register(Tags.compatibility)
def check_settings(app_configs: Iterable[AppConfig] | None, **_kwargs: Any) -> list[CheckMessage]:
    """Return the problems of ``ZOHO_CRM`` and of other settings that the app depends on."""
    config = conf()
    wrong_types = check_types(config)
    wrong_values: list[CheckMessage] = []
    if not wrong_types:
        wrong_values += check_ranges(config)
        wrong_values += check_encryption_keys(config)
        wrong_values += check_durations(config)
        wrong_values += check_data_center(config)
        wrong_values += check_extra_data_centers(config)
        wrong_values += check_proxy(config)
        wrong_values += check_ca_bundle(config)
        wrong_values += check_transport(config)
        wrong_values += check_redirect_uri(config)
    return [
        *check_keys(),
        *wrong_types,
        *wrong_values,
        *check_local_url(config),
        *check_time_zones(),
        *check_broker(),
        *check_sdk(),
        *check_database(),
    ]


@register(Tags.urls)
def check_web_flow(app_configs: Iterable[AppConfig] | None, **_kwargs: Any) -> list[CheckMessage]:
    """Return what a site lacks to connect in the browser, if it includes our URLs."""
    if not (getattr(settings, "ROOT_URLCONF", "") and _path_of("zoho_crm:callback")):
        return []
    return [*check_middleware(), *check_session_cookie(), *check_log_in_page(), *check_templates()]


@register(Tags.security, deploy=True)
def check_deployment(app_configs: Iterable[AppConfig] | None, **_kwargs: Any) -> list[CheckMessage]:
    """Return the settings that are for development only."""
    config = conf()
    return [
        Error(
            _("ZOHO_CRM['%s'] is for development and tests.") % name,
            hint=_("Remove it from the settings of production."),
            id="zoho_crm.E007",
        )
        for name in ("LOCAL_URL", "TRANSPORT")
        if getattr(config, name)
    ]


def check_keys() -> list[CheckMessage]:
    """Return the keys of ``ZOHO_CRM`` that do not exist, or that it is no dictionary."""
    if not isinstance(getattr(settings, "ZOHO_CRM", {}), Mapping):
        return [Error(_("ZOHO_CRM is not a dictionary."), id="zoho_crm.E008")]
    return [
        Error(_("ZOHO_CRM has no key '%s'.") % key, hint=_suggestion(key), id="zoho_crm.E001")
        for key in sorted(set(map(str, raw_settings())) - SETTING_NAMES)
    ]


def _suggestion(key: str) -> str:
    close = difflib.get_close_matches(key.upper(), SETTING_NAMES, n=1)
    if close:
        return _("Did you mean '%s'?") % close[0]
    return _("Known are: %s.") % ", ".join(sorted(SETTING_NAMES))


def check_types(config: ZohoSettings) -> list[CheckMessage]:
    """Return the values of the wrong type, such as a text where a number is expected."""
    return [
        Error(message % {"name": name, "kinds": ", ".join(DEFAULT_COSTS)}, id="zoho_crm.E008")
        for name, (message, fits) in {
            name: _TYPES[kind] for name, kind in setting_types().items()
        }.items()
        if not fits(getattr(config, name))
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _are_costs(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and value.keys() <= DEFAULT_COSTS.keys()
        and all(_is_whole(cost) and 0 <= cost <= MAX_NUMBER for cost in value.values())
    )


def _are_hosts(value: Any) -> bool:
    return (
        isinstance(value, Mapping) and _are_texts([*value]) and all(map(_are_texts, value.values()))
    )


#: The message about a value that is not of a type, and whether a value is of it.
_TYPES: Mapping[Any, tuple[StrPromise, Callable[[Any], bool]]] = {
    str: (
        gettext_lazy("ZOHO_CRM['%(name)s'] is not a text."),
        lambda value: isinstance(value, str),
    ),
    bool: (
        gettext_lazy("ZOHO_CRM['%(name)s'] is not True or False."),
        lambda value: isinstance(value, bool),
    ),
    int: (gettext_lazy("ZOHO_CRM['%(name)s'] is not a whole number."), _is_whole),
    float: (gettext_lazy("ZOHO_CRM['%(name)s'] is not a number."), _is_number),
    Secret | str: (
        gettext_lazy("ZOHO_CRM['%(name)s'] is not a text or a Secret."),
        lambda value: isinstance(value, str | Secret),
    ),
    tuple[str, ...]: (gettext_lazy("ZOHO_CRM['%(name)s'] is not a list of texts."), _are_texts),
    Mapping[str, int]: (
        gettext_lazy("ZOHO_CRM['%(name)s'] is not a dictionary of whole numbers for %(kinds)s."),
        _are_costs,
    ),
    Mapping[str, tuple[str, ...]]: (
        gettext_lazy("ZOHO_CRM['%(name)s'] is not a dictionary of lists of texts."),
        _are_hosts,
    ),
}


def check_ranges(config: ZohoSettings) -> list[CheckMessage]:
    """Return the numbers that are too small or too large, such as one that is not finite."""
    longest = {int: MAX_NUMBER, float: MAX_SECONDS}
    ranges = {
        name: (SMALLEST.get(name, 0), LARGEST.get(name, longest[kind]))
        for name, kind in setting_types().items()
        if kind in longest
    }
    return [
        Error(
            _("ZOHO_CRM['%(name)s'] is %(value)s.")
            % {"name": name, "value": getattr(config, name)},
            hint=_("It must be from %(least)s to %(most)s.")
            % {"least": f"{least:,}", "most": f"{most:,}"},
            id="zoho_crm.E012",
        )
        for name, (least, most) in ranges.items()
        if not least <= getattr(config, name) <= most
    ]


def check_encryption_keys(config: ZohoSettings) -> list[CheckMessage]:
    """Return the encryption keys that are no Fernet keys, or a warning if there is no key."""
    hint = _("Make one with: manage.py zoho_new_key")
    if not config.ENCRYPTION_KEYS:
        message = _("ZOHO_CRM['ENCRYPTION_KEYS'] is empty: nothing can be connected to Zoho.")
        return [Warning(message, hint=hint, id="zoho_crm.W001")]
    return [
        Error(_("Encryption key %s is no Fernet key.") % key_id, hint=hint, id="zoho_crm.E002")
        for key_id in crypto.wrong_key_ids()
    ]


def check_durations(config: ZohoSettings) -> list[CheckMessage]:
    """Return the relations between durations without which a lead could be sent twice."""
    conditions = {
        "CONNECT_TIMEOUT > 0": config.CONNECT_TIMEOUT > 0,
        "CALL_DEADLINE > 0": config.CALL_DEADLINE > 0,
        "CALL_DEADLINE < LEASE / 2": config.CALL_DEADLINE < config.LEASE / 2,
        "QUIET_PERIOD >= CALL_DEADLINE": config.QUIET_PERIOD >= config.CALL_DEADLINE,
        "REFRESH_LEASE > CALL_DEADLINE": config.REFRESH_LEASE > config.CALL_DEADLINE,
        "SLICE < LEASE": config.SLICE < config.LEASE,
        "NEGATIVE_READS >= 1": config.NEGATIVE_READS >= 1,
    }
    return [
        Error(
            _("ZOHO_CRM must keep %s.") % condition,
            hint=_("A lead could be sent twice, or a token renewed twice."),
            id="zoho_crm.E003",
        )
        for condition, holds in conditions.items()
        if not holds
    ]


def check_data_center(config: ZohoSettings) -> list[CheckMessage]:
    """Return a data center or an environment that Zoho does not have."""
    choices: dict[str, Iterable[str]] = {
        "DATA_CENTER": config.data_centers,
        "ENVIRONMENT": [environment.value for environment in Environment],
    }
    return [
        Error(
            _("ZOHO_CRM['%(name)s'] is '%(value)s'.")
            % {"name": name, "value": getattr(config, name)},
            hint=_("It must be one of: %s.") % ", ".join(known),
            id="zoho_crm.E004",
        )
        for name, known in choices.items()
        if getattr(config, name) not in known
    ]


def check_extra_data_centers(config: ZohoSettings) -> list[CheckMessage]:
    """Return the rows that cannot be used, and as information the hosts of those that are."""
    table, problems = with_extra(config.EXTRA_DATA_CENTERS)
    errors: list[CheckMessage] = [
        Error(
            _("ZOHO_CRM['EXTRA_DATA_CENTERS']['%(name)s'] is not used: %(problem)s.")
            % {"name": name, "problem": problem},
            hint=_("Such as %s.")
            % "'uk': ('accounts.zoho.uk', 'www.zohoapis.uk', 'content.zohoapis.uk')",
            id="zoho_crm.E009",
        )
        for name, problem in problems.items()
    ]
    return errors + [
        Info(
            _("The data center '%(name)s' gets secrets at: %(hosts)s.")
            % {"name": name, "hosts": ", ".join(sorted(table[name].origins))},
            hint=_("ZOHO_CRM['EXTRA_DATA_CENTERS'] has it: make sure that these hosts are Zoho's."),
            id="zoho_crm.I001",
        )
        for name in config.EXTRA_DATA_CENTERS
        if name not in problems
    ]


def check_proxy(config: ZohoSettings) -> list[CheckMessage]:
    """Return a proxy that is no URL of HTTP, or whose password is not a ``Secret``."""
    if config.proxy and not config.proxy_host:
        message = _("ZOHO_CRM['PROXY'] is not the URL of a proxy.")
        hint = _("Such as http://user:password@proxy.example:3128, with @ and / as %40 and %2F.")
        return [Error(message, hint=hint, id="zoho_crm.E010")]
    if isinstance(config.PROXY, str) and "@" in config.PROXY:
        message = _("The password in ZOHO_CRM['PROXY'] is a plain text, which error pages show.")
        hint = _("Write Secret('http://…'), with zoho_crm.types.Secret; from_env does so.")
        return [Warning(message, hint=hint, id="zoho_crm.W007")]
    return []


def check_ca_bundle(config: ZohoSettings) -> list[CheckMessage]:
    """Return ``CA_BUNDLE`` if certificates cannot be read from it."""
    if config.CA_BUNDLE:
        try:
            ssl.create_default_context(cafile=config.CA_BUNDLE)
        except OSError as error:
            message = _("ZOHO_CRM['CA_BUNDLE'] is not a file of certificates: %s.")
            message %= type(error).__name__
            hint = _("It is the path of a file in the PEM format.")
            return [Error(message, hint=hint, id="zoho_crm.E011")]
    return []


def check_transport(config: ZohoSettings) -> list[CheckMessage]:
    """Return ``TRANSPORT`` if it does not lead to a callable."""
    if not config.TRANSPORT:
        return []
    try:
        is_callable = callable(import_string(config.TRANSPORT))
    except ImportError:
        is_callable = False
    if is_callable:
        return []
    message = _("ZOHO_CRM['TRANSPORT'] leads to no callable: '%s'.") % config.TRANSPORT
    hint = _("It is the dotted path of a callable that returns an adapter of requests.")
    return [Error(message, hint=hint, id="zoho_crm.E013")]


def check_redirect_uri(config: ZohoSettings) -> list[CheckMessage]:
    """Return ``REDIRECT_URI`` if it is not the URL of a page."""
    if not config.REDIRECT_URI:
        return []
    try:
        parts = urlsplit(config.REDIRECT_URI)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_url = False
    if is_url:
        return []
    hint = _("Such as https://crm.example/zoho/oauth/callback/, as it is registered at Zoho.")
    return [Error(_("ZOHO_CRM['REDIRECT_URI'] is not a URL."), hint=hint, id="zoho_crm.E014")]


def check_local_url(config: ZohoSettings) -> list[CheckMessage]:
    """Return ``LOCAL_URL`` if it is not on this machine: secrets would be sent there."""
    if not config.LOCAL_URL or is_local(origin_of(str(config.LOCAL_URL))):
        return []
    hint = _("It is the origin of a simulator on this machine, such as http://127.0.0.1:8765.")
    message = _("ZOHO_CRM['LOCAL_URL'] is not on this machine.")
    return [Error(message, hint=hint, id="zoho_crm.E005")]


def check_time_zones() -> list[CheckMessage]:
    """Return ``USE_TZ = False``: naive times cannot be compared with the database's clock."""
    if settings.USE_TZ:
        return []
    return [Error(_("zoho_crm needs USE_TZ = True."), id="zoho_crm.E006")]


def check_broker() -> list[CheckMessage]:
    """Return a broker in memory, which does not deliver messages to other processes."""
    url = str(getattr(settings, "CELERY_BROKER_URL", "") or "")
    if not url.startswith("memory:"):
        return []
    hint = _("This works in one process only; else use filesystem://, redis:// or amqp://.")
    message = _("Celery's broker is the memory of this process.")
    return [Warning(message, hint=hint, id="zoho_crm.W002")]


def check_sdk() -> list[CheckMessage]:
    """Return an installed SDK of Zoho's that ``zoho_crm.contrib.sdk`` was not made for."""
    try:
        version = metadata.version(SDK_PACKAGE)
    except metadata.PackageNotFoundError:
        return []
    if version.partition(".")[0] == SDK_MAJOR_VERSION:
        return []
    message = _("%(package)s %(version)s is installed; zoho_crm.contrib.sdk is for version 7.")
    message %= {"package": SDK_PACKAGE, "version": version}
    hint = 'pip install "django-zoho-crm[sdk]"'
    return [Warning(message, hint=hint, id="zoho_crm.W008")]


def check_database() -> list[CheckMessage]:
    """Return a database of our own: what is pushed stays after a rollback in the default one."""
    ours = router.db_for_write(apps.get_model("zoho_crm", "OutboxRecord"))
    if ours == DEFAULT_DB_ALIAS:
        return []
    hint = _("Push records with transaction.on_commit() of the database of your own tables.")
    message = _("The outbox is in the database '%s', so a rollback elsewhere does not undo it.")
    return [Info(message % ours, hint=hint, id="zoho_crm.I002")]


#: Middleware of the web flow, with what a request has of it.
_MIDDLEWARE = {
    "django.contrib.sessions.middleware.SessionMiddleware": "session",
    "django.contrib.auth.middleware.AuthenticationMiddleware": "user",
}
_OR_A_CODE = gettext_lazy("Without it, connect with a self client's code instead.")


def check_middleware() -> list[CheckMessage]:
    """Return the middleware without which a callback has no session or no user."""
    used = _middleware_classes()
    return [
        Warning(
            _("Requests have no %s, so nobody can connect to Zoho in the browser.") % attribute,
            hint=_("Add '%s' to MIDDLEWARE.") % name + f" {_OR_A_CODE}",
            id="zoho_crm.W003",
        )
        for name, attribute in _MIDDLEWARE.items()
        if not any(issubclass(middleware, import_string(name)) for middleware in used)
    ]


def _middleware_classes() -> list[type]:
    """Return the middleware that are classes; Django itself reports what cannot be imported."""
    found = []
    for name in settings.MIDDLEWARE:
        with contextlib.suppress(ImportError):
            found.append(import_string(name))
    return [middleware for middleware in found if isinstance(middleware, type)]


def check_session_cookie() -> list[CheckMessage]:
    """Return ``SESSION_COOKIE_SAMESITE = "Strict"``, which keeps the cookie from the callback."""
    if str(settings.SESSION_COOKIE_SAMESITE).lower() != "strict":
        return []
    message = _("The browser is not signed in when Zoho sends it back, until the user continues.")
    hint = _("Set SESSION_COOKIE_SAMESITE to 'Lax', Django's default.")
    return [Warning(message, hint=hint, id="zoho_crm.W004")]


def check_log_in_page() -> list[CheckMessage]:
    """Return a ``LOGIN_URL`` that leads nowhere, on a site without the admin's log-in page."""
    if _is_page(_path_of(str(settings.LOGIN_URL))) or _path_of("admin:login"):
        return []
    message = _("There is no log-in page for users who connect to Zoho.")
    hint = _("Set LOGIN_URL to the path, or the name, of the site's log-in page.")
    return [Warning(message, hint=hint, id="zoho_crm.W005")]


def _is_page(url: str) -> bool:
    """Return whether a URL is of another site, or leads to a view of this one."""
    if not url.startswith("/") or url.startswith("//"):
        return bool(url)
    path = url.partition("?")[0].removeprefix(get_script_prefix())
    return bool(is_valid_path(f"/{path}"))


def check_templates() -> list[CheckMessage]:
    """Return a site whose template engines do not find the pages of the web flow."""
    try:
        get_template("zoho_crm/oauth/failed.html")
    except (ImproperlyConfigured, TemplateDoesNotExist):
        message = _("No template engine finds the pages that connect to Zoho.")
        hint = _("Add DjangoTemplates with APP_DIRS = True to TEMPLATES.")
        return [Warning(message, hint=f"{hint} {_OR_A_CODE}", id="zoho_crm.W006")]
    return []


def _path_of(name: str) -> str:
    """Return the URL of a view's name or of a path; empty if there is no such view."""
    try:
        return resolve_url(name)
    except NoReverseMatch:
        return ""
