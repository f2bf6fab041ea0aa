"""The settings of this app, from the dictionary ``settings.ZOHO_CRM``; read when they are used."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from typing import TYPE_CHECKING, Any, get_type_hints

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from zoho_crm.datacenters import DataCenter, data_centers
from zoho_crm.types import HiddenVariables, Secret, ValueObject

if TYPE_CHECKING:
    from environ import Env

SCOPES = (
    "ZohoCRM.modules.ALL",
    "ZohoCRM.mass_convert.leads.CREATE",
    "ZohoCRM.mass_convert.leads.READ",
    "ZohoCRM.settings.ALL",
    "ZohoCRM.users.READ",
    "ZohoCRM.org.READ",
    "ZohoSearch.securesearch.READ",
    "ZohoCRM.coql.READ",
    "ZohoCRM.bulk.READ",
)


#: API credits of a call, by its kind, where ``CREDIT_COSTS`` does not say otherwise; those of a
#: write are for each 10 records.
DEFAULT_COSTS: Mapping[str, int] = {
    "convert": 5,
    "mass_convert": 200,
    "count": 50,
    "bulk_read": 50,
    "write": 1,
    "other": 1,
}


class ZohoSettings(ValueObject):
    """The keys of ``settings.ZOHO_CRM`` with their defaults; durations are seconds."""

    #: The client that is registered in Zoho's API console. A token keeps the client it was made by.
    CLIENT_ID: str = ""
    CLIENT_SECRET: str = field(default="", repr=False)
    #: The data center (its code) and the environment (its name) where the web flow starts.
    DATA_CENTER: str = "us"
    ENVIRONMENT: str = "production"
    #: URL of the callback, exactly as registered at Zoho; empty: taken from the request.
    REDIRECT_URI: str = ""
    #: The scopes that the web flow asks for.
    SCOPES: tuple[str, ...] = SCOPES
    #: Whether the web flow uses PKCE.
    PKCE: bool = True
    #: Fernet keys, newest first: the first encrypts. Without a key nothing can be connected.
    ENCRYPTION_KEYS: tuple[str, ...] = field(default=(), repr=False)
    #: Origin of a local Zoho (the simulator), loopback only: adds the data center ``local``.
    LOCAL_URL: str = ""
    #: Data centers that are newer than our table: name (2 to 10 lower-case letters or digits) →
    #: accounts, API and content host, ``https`` only. The client's secret and all tokens of such a
    #: data center are sent to these hosts, and those of sandboxes and developer organisations to
    #: the API host's neighbours ``sandbox.`` and ``developer.``: add only hosts that Zoho names.
    EXTRA_DATA_CENTERS: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: URL of the proxy for calls to Zoho, but not to ``LOCAL_URL``; with a password, as a
    #: ``zoho_crm.types.Secret``. Proxies that the environment names are not used.
    PROXY: Secret | str = field(default="", repr=False)
    #: Path of a file with the certificates to trust instead of those of ``certifi``, for example
    #: because a proxy replaces certificates. There is no setting that turns verification off.
    CA_BUNDLE: str = ""
    #: Hosts of other Zoho products to which ``auth_for`` may send the access token.
    EXTRA_API_HOSTS: tuple[str, ...] = ()
    #: Dotted path to a callable that returns a ``requests`` adapter, for tests.
    TRANSPORT: str = ""
    #: How long connecting may take, and a whole call.
    CONNECT_TIMEOUT: float = 5
    CALL_DEADLINE: float = 30
    #: Bytes of the largest file that is attached to a record, or downloaded from one; Zoho takes
    #: 100 MB. Such a call may last longer than a deadline: as long as 100 KB in a second need.
    MAX_ATTACHMENT_SIZE: int = 100 * 1024 * 1024
    #: Calls in flight per connection; 0: two less than the edition allows, at most 10.
    MAX_CONCURRENCY: int = 0
    #: Celery queue of all our tasks; empty: the project's default queue.
    QUEUE: str = ""
    #: How long a worker's lease of a connection lasts, and how long one task works at most.
    LEASE: float = 90
    SLICE: float = 15
    #: How often beat looks for connections with due rows.
    SWEEP_INTERVAL: float = 15
    #: How long the lease of a process that refreshes an access token lasts.
    REFRESH_LEASE: float = 40
    #: How long no access token is requested after "Access Denied": Zoho allows ten in ten minutes.
    TOKEN_BACKOFF: float = 600
    #: How long after a call whose answer was lost no read counts as "not converted"; the same after
    #: a job.
    QUIET_PERIOD: float = 120
    MASS_QUIET_PERIOD: float = 900
    #: How long a mass-convert job may take at Zoho, before it is given up.
    JOB_HORIZON: float = 7200
    #: How many reads, and how far apart, prove "not converted"; how often a lead is sent at most.
    NEGATIVE_READS: int = 2
    READ_SPACING: float = 60
    MAX_ATTEMPTS: int = 3
    #: How long a lead whose outcome is unknown is read without being found, before a person looks.
    UNKNOWN_HORIZON: float = 86_400
    #: How old a preview may be when the lead is converted; an older one is made again.
    PREVIEW_MAX_AGE: float = 86_400
    #: API credits per kind of call; a kind that is left out costs what Zoho documents.
    CREDIT_COSTS: Mapping[str, int] = field(default_factory=lambda: dict(DEFAULT_COSTS))
    #: API credits per day; 0: as the edition allows. The reserve, in percent, is left to other
    #: programs.
    CREDIT_BUDGET: int = 0
    CREDIT_RESERVE: float = 10
    #: How many days personal data is kept after a lead is finished, or its preview was last acted
    #: on, and events of connections.
    RETENTION_DAYS: int = 90

    @property
    def data_centers(self) -> Mapping[str, DataCenter]:
        """Zoho's data centers by code, with ``local`` if ``LOCAL_URL`` is set."""
        return data_centers(self.LOCAL_URL, self.EXTRA_DATA_CENTERS)

    @property
    def costs(self) -> Mapping[str, int]:
        """API credits of a call, by each of its kinds."""
        return {**DEFAULT_COSTS, **self.CREDIT_COSTS}

    @property
    def proxy(self) -> Secret:
        """URL of the proxy for calls to Zoho; an empty secret for none."""
        if isinstance(self.PROXY, Secret):
            return self.PROXY
        with HiddenVariables():
            return Secret(self.PROXY)

    @property
    def proxy_host(self) -> str:
        """Host and port of the proxy; empty if there is none, or its URL is not one of HTTP."""
        with HiddenVariables():
            return _host_of(self.proxy)


def _host_of(proxy: Secret) -> str:
    found = _PROXY_URL.fullmatch(proxy.reveal())
    return found["host"] if found else ""


_PROXY_URL = re.compile(r"https?://([^/@]*@)?(?P<host>([^/@:\[\]]+|\[[0-9a-fA-F:]+\])(:\d+)?)/?")

SETTING_NAMES = frozenset(each.name for each in fields(ZohoSettings))


def setting_types() -> Mapping[str, Any]:
    """Return the type of each setting, by name; only checks and the environment need them."""
    hints = get_type_hints(ZohoSettings)
    return {each.name: hints[each.name] for each in fields(ZohoSettings)}


def raw_settings() -> dict[str, Any]:
    """Return a copy of ``settings.ZOHO_CRM``, unchecked; empty if it is no dictionary."""
    given = getattr(settings, "ZOHO_CRM", {})
    return dict(given) if isinstance(given, Mapping) else {}


def conf() -> ZohoSettings:
    """Return the current settings; keys that do not exist are ignored (``checks`` reports them)."""
    with HiddenVariables():
        return _settings(raw_settings())


def _settings(values: Mapping[str, Any]) -> ZohoSettings:
    return ZohoSettings(**{name: values[name] for name in SETTING_NAMES & values.keys()})


def from_env(env: Env, prefix: str = "ZOHO_CRM_") -> dict[str, Any]:
    """
    Return the dictionary for ``settings.ZOHO_CRM`` from variables such as ``ZOHO_CRM_CLIENT_ID``.

    Lists are separated by commas, durations are seconds, ``CREDIT_COSTS`` is ``convert=5,other=1``,
    ``EXTRA_DATA_CENTERS`` is ``uk=accounts.zoho.uk,www.zohoapis.uk,content.zohoapis.uk;ae=…``.
    A variable that is not set, or empty, is left out.

    :raises ImproperlyConfigured: if a variable does not have the form of its setting
    """
    types = setting_types()
    texts = {name: env.str(prefix + name, default="").strip() for name in types}
    return {name: _read(prefix + name, types[name], text) for name, text in texts.items() if text}


def _read(variable: str, kind: Any, text: str) -> Any:
    form, read = _PARSERS[kind]
    try:
        return read(text)
    except (KeyError, ValueError) as error:
        raise ImproperlyConfigured(f"{variable} is not {form}: {text!r}") from error


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return int(value) if value.is_integer() else value


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(text: str) -> dict[str, int]:
    pairs = (part.partition("=") for part in _list(text))
    return {name.strip(): int(number) for name, _sign, number in pairs}


def _lists(text: str) -> dict[str, tuple[str, ...]]:
    pairs = [part.partition("=") for part in text.split(";") if part.strip()]
    if not all(equals for _name, equals, _items in pairs):
        raise ValueError(text)
    return {name.strip(): _list(items) for name, _equals, items in pairs}


def _boolean(text: str) -> bool:
    return _BOOLEANS[text.lower()]


_BOOLEANS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
#: The form of a variable, in words, and the function that parses it, by the type of the setting.
_PARSERS: Mapping[Any, tuple[str, Callable[[str], Any]]] = {
    str: ("a text", str),
    bool: ("true or false", _boolean),
    int: ("a whole number", int),
    float: ("a number", _number),
    Secret | str: ("a text", Secret),
    tuple[str, ...]: ("a list such as a,b", _list),
    Mapping[str, int]: ("like convert=5,other=1", _numbers),
    Mapping[str, tuple[str, ...]]: ("like uk=a,b,c;ae=d,e,f", _lists),
}
