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
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.shortcuts import resolve_url
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.urls import NoReverseMatch, get_script_prefix, is_valid_path
from django.utils.module_loading import import_string

from zoho_crm import crypto
from zoho_crm.conf import (
    DEFAULT_COSTS,
    SETTING_NAMES,
    SETTING_TYPES,
    ZohoSettings,
    conf,
    raw_settings,
)
from zoho_crm.datacenters import is_local, origin_of, with_extra
from zoho_crm.types import Environment, Secret

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
            f"ZOHO_CRM['{name}'] is for development and tests.",
            hint="Remove it from the settings of production.",
            id="zoho_crm.E007",
        )
        for name in ("LOCAL_URL", "TRANSPORT")
        if getattr(config, name)
    ]


def check_keys() -> list[CheckMessage]:
    """Return the keys of ``ZOHO_CRM`` that do not exist, or that it is no dictionary."""
    if not isinstance(getattr(settings, "ZOHO_CRM", {}), Mapping):
        return [Error("ZOHO_CRM is not a dictionary.", id="zoho_crm.E008")]
    return [
        Error(f"ZOHO_CRM has no key '{key}'.", hint=_suggestion(key), id="zoho_crm.E001")
        for key in sorted(set(map(str, raw_settings())) - SETTING_NAMES)
    ]


def _suggestion(key: str) -> str:
    close = difflib.get_close_matches(key.upper(), SETTING_NAMES, n=1)
    known = f"Known are: {', '.join(sorted(SETTING_NAMES))}."
    return f"Did you mean '{close[0]}'?" if close else known


def check_types(config: ZohoSettings) -> list[CheckMessage]:
    """Return the values of the wrong type, such as a text where a number is expected."""
    return [
        Error(f"ZOHO_CRM['{name}'] is not {form}.", id="zoho_crm.E008")
        for name, (form, fits) in {
            name: _TYPES[kind] for name, kind in SETTING_TYPES.items()
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


_TYPES: Mapping[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("a text", lambda value: isinstance(value, str)),
    bool: ("True or False", lambda value: isinstance(value, bool)),
    int: ("a whole number", _is_whole),
    float: ("a number", _is_number),
    Secret | str: ("a text or a Secret", lambda value: isinstance(value, str | Secret)),
    tuple[str, ...]: ("a list of texts", _are_texts),
    Mapping[str, int]: (
        f"a dictionary of whole numbers for {', '.join(DEFAULT_COSTS)}",
        _are_costs,
    ),
    Mapping[str, tuple[str, ...]]: ("a dictionary of lists of texts", _are_hosts),
}


def check_ranges(config: ZohoSettings) -> list[CheckMessage]:
    """Return the numbers that are too small or too large, such as one that is not finite."""
    longest = {int: MAX_NUMBER, float: MAX_SECONDS}
    ranges = {
        name: (SMALLEST.get(name, 0), LARGEST.get(name, longest[kind]))
        for name, kind in SETTING_TYPES.items()
        if kind in longest
    }
    return [
        Error(
            f"ZOHO_CRM['{name}'] is {getattr(config, name)}.",
            hint=f"It must be from {least:,} to {most:,}.",
            id="zoho_crm.E012",
        )
        for name, (least, most) in ranges.items()
        if not least <= getattr(config, name) <= most
    ]


def check_encryption_keys(config: ZohoSettings) -> list[CheckMessage]:
    """Return the encryption keys that are no Fernet keys, or a warning if there is no key."""
    hint = "Make one with: manage.py zoho_new_key"
    if not config.ENCRYPTION_KEYS:
        message = "ZOHO_CRM['ENCRYPTION_KEYS'] is empty: nothing can be connected to Zoho."
        return [Warning(message, hint=hint, id="zoho_crm.W001")]
    return [
        Error(f"Encryption key {key_id} is no Fernet key.", hint=hint, id="zoho_crm.E002")
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
            f"ZOHO_CRM must keep {condition}.",
            hint="A lead could be sent twice, or a token renewed twice.",
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
            f"ZOHO_CRM['{name}'] is '{getattr(config, name)}'.",
            hint=f"It must be one of: {', '.join(known)}.",
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
            f"ZOHO_CRM['EXTRA_DATA_CENTERS']['{name}'] is not used: {problem}.",
            hint="Such as 'uk': ('accounts.zoho.uk', 'www.zohoapis.uk', 'content.zohoapis.uk').",
            id="zoho_crm.E009",
        )
        for name, problem in problems.items()
    ]
    return errors + [
        Info(
            f"The data center '{name}' gets secrets at: {', '.join(sorted(table[name].origins))}.",
            hint="ZOHO_CRM['EXTRA_DATA_CENTERS'] has it: make sure that these hosts are Zoho's.",
            id="zoho_crm.I001",
        )
        for name in config.EXTRA_DATA_CENTERS
        if name not in problems
    ]


def check_proxy(config: ZohoSettings) -> list[CheckMessage]:
    """Return a proxy that is no URL of HTTP, or whose password is not a ``Secret``."""
    if config.proxy and not config.proxy_host:
        message = "ZOHO_CRM['PROXY'] is not the URL of a proxy."
        hint = "Such as http://user:password@proxy.example:3128, with @ and / as %40 and %2F."
        return [Error(message, hint=hint, id="zoho_crm.E010")]
    if isinstance(config.PROXY, str) and "@" in config.PROXY:
        message = "The password in ZOHO_CRM['PROXY'] is a plain text, which error pages show."
        hint = "Write Secret('http://…'), with zoho_crm.types.Secret; from_env does so."
        return [Warning(message, hint=hint, id="zoho_crm.W007")]
    return []


def check_ca_bundle(config: ZohoSettings) -> list[CheckMessage]:
    """Return ``CA_BUNDLE`` if certificates cannot be read from it."""
    if config.CA_BUNDLE:
        try:
            ssl.create_default_context(cafile=config.CA_BUNDLE)
        except OSError as error:
            message = (
                f"ZOHO_CRM['CA_BUNDLE'] is not a file of certificates: {type(error).__name__}."
            )
            hint = "It is the path of a file in the PEM format."
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
    message = f"ZOHO_CRM['TRANSPORT'] leads to no callable: '{config.TRANSPORT}'."
    hint = "It is the dotted path of a callable that returns an adapter of requests."
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
    hint = "Such as https://crm.example/zoho/oauth/callback/, as it is registered at Zoho."
    return [Error("ZOHO_CRM['REDIRECT_URI'] is not a URL.", hint=hint, id="zoho_crm.E014")]


def check_local_url(config: ZohoSettings) -> list[CheckMessage]:
    """Return ``LOCAL_URL`` if it is not on this machine: secrets would be sent there."""
    if not config.LOCAL_URL or is_local(origin_of(str(config.LOCAL_URL))):
        return []
    hint = "It is the origin of a simulator on this machine, such as http://127.0.0.1:8765."
    return [Error("ZOHO_CRM['LOCAL_URL'] is not on this machine.", hint=hint, id="zoho_crm.E005")]


def check_time_zones() -> list[CheckMessage]:
    """Return ``USE_TZ = False``: naive times cannot be compared with the database's clock."""
    if settings.USE_TZ:
        return []
    return [Error("zoho_crm needs USE_TZ = True.", id="zoho_crm.E006")]


def check_broker() -> list[CheckMessage]:
    """Return a broker in memory, which does not deliver messages to other processes."""
    url = str(getattr(settings, "CELERY_BROKER_URL", "") or "")
    if not url.startswith("memory:"):
        return []
    hint = "This works in one process only; else use filesystem://, redis:// or amqp://."
    return [
        Warning("Celery's broker is the memory of this process.", hint=hint, id="zoho_crm.W002")
    ]


def check_sdk() -> list[CheckMessage]:
    """Return an installed SDK of Zoho's that ``zoho_crm.contrib.sdk`` was not made for."""
    try:
        version = metadata.version(SDK_PACKAGE)
    except metadata.PackageNotFoundError:
        return []
    if version.partition(".")[0] == SDK_MAJOR_VERSION:
        return []
    message = f"{SDK_PACKAGE} {version} is installed; zoho_crm.contrib.sdk is for version 7."
    hint = 'pip install "django-zoho-crm[sdk]"'
    return [Warning(message, hint=hint, id="zoho_crm.W008")]


#: Middleware of the web flow, with what a request has of it.
_MIDDLEWARE = {
    "django.contrib.sessions.middleware.SessionMiddleware": "session",
    "django.contrib.auth.middleware.AuthenticationMiddleware": "user",
}
_OR_A_CODE = "Without it, connect with a self client's code instead."


def check_middleware() -> list[CheckMessage]:
    """Return the middleware without which a callback has no session or no user."""
    used = _middleware_classes()
    return [
        Warning(
            f"Requests have no {attribute}, so nobody can connect to Zoho in the browser.",
            hint=f"Add '{name}' to MIDDLEWARE. {_OR_A_CODE}",
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
    message = "The browser is not signed in when Zoho sends it back, until the user continues."
    hint = "Set SESSION_COOKIE_SAMESITE to 'Lax', Django's default."
    return [Warning(message, hint=hint, id="zoho_crm.W004")]


def check_log_in_page() -> list[CheckMessage]:
    """Return a ``LOGIN_URL`` that leads nowhere, on a site without the admin's log-in page."""
    if _is_page(_path_of(str(settings.LOGIN_URL))) or _path_of("admin:login"):
        return []
    message = "There is no log-in page for users who connect to Zoho."
    hint = "Set LOGIN_URL to the path, or the name, of the site's log-in page."
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
        message = "No template engine finds the pages that connect to Zoho."
        hint = f"Add DjangoTemplates with APP_DIRS = True to TEMPLATES. {_OR_A_CODE}"
        return [Warning(message, hint=hint, id="zoho_crm.W006")]
    return []


def _path_of(name: str) -> str:
    """Return the URL of a view's name or of a path; empty if there is no such view."""
    try:
        return resolve_url(name)
    except NoReverseMatch:
        return ""
