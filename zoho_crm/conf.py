"""The settings of this app: one dictionary, ``ZOHO_CRM``, read when used."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_origin, get_type_hints

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from zoho_crm.datacenters import DataCenter, data_centers

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
)


@dataclass(frozen=True, kw_only=True)
class ZohoSettings:
    """What a host project may set; durations are seconds."""

    #: Of the client registered in Zoho's API console. A token keeps the client it came from.
    CLIENT_ID: str = ""
    CLIENT_SECRET: str = field(default="", repr=False)
    #: Where the web flow starts: a data center's code, an environment's name.
    DATA_CENTER: str = "us"
    ENVIRONMENT: str = "production"
    #: Where the web flow returns to, exactly as registered; empty takes it from the request.
    REDIRECT_URI: str = ""
    #: What the web flow asks for.
    SCOPES: tuple[str, ...] = SCOPES
    #: Whether the web flow proves itself by PKCE.
    PKCE: bool = True
    #: Fernet keys, newest first: the first encrypts. Without one nothing can be connected.
    ENCRYPTION_KEYS: tuple[str, ...] = field(default=(), repr=False)
    #: Origin of a local Zoho (the simulator), loopback only: adds the data center ``local``.
    LOCAL_URL: str = ""
    #: Hosts of other Zoho products that ``auth_for`` may sign.
    EXTRA_API_HOSTS: tuple[str, ...] = ()
    #: Dotted path to a callable that returns a ``requests`` adapter, for tests.
    TRANSPORT: str = ""
    #: How long connecting, and a whole call, may take.
    CONNECT_TIMEOUT: float = 5
    CALL_DEADLINE: float = 30
    #: Calls in flight of one connection; 0 = two less than the edition allows, at most 10.
    MAX_CONCURRENCY: int = 0
    #: Celery queue of all our tasks; empty = the project's default.
    QUEUE: str = ""
    #: How long a worker owns a connection, and works it without a pause.
    LEASE: float = 90
    SLICE: float = 15
    #: How often beat looks for connections with due rows.
    SWEEP_INTERVAL: float = 15
    #: How long one process may take to renew an access token.
    REFRESH_LEASE: float = 40
    #: How long no access token is asked for after "Access Denied": Zoho gives ten in ten minutes.
    TOKEN_BACKOFF: float = 600
    #: How long after a lost call a read may not yet count as "not converted".
    QUIET_PERIOD: float = 120
    MASS_QUIET_PERIOD: float = 900
    #: How long a job of Zoho may take.
    JOB_HORIZON: float = 7200
    #: How many reads, how far apart, say "not converted"; how often a lead is sent at most.
    NEGATIVE_READS: int = 2
    READ_SPACING: float = 60
    MAX_ATTEMPTS: int = 3
    #: After so much time of reading without evidence a person has to look.
    UNKNOWN_HORIZON: float = 86_400
    #: An older preview is made again before it is sent.
    PREVIEW_MAX_AGE: float = 86_400
    #: Credits per kind of call.
    CREDIT_COSTS: Mapping[str, int] = field(
        default_factory=lambda: {"convert": 5, "mass_convert": 200, "other": 1}
    )
    #: Credits a day; 0 = as the edition allows. This percentage of them is left to other programs.
    CREDIT_BUDGET: int = 0
    CREDIT_RESERVE: float = 10
    #: How long before-images, journal details and events are kept.
    RETENTION_DAYS: int = 90

    @property
    def data_centers(self) -> Mapping[str, DataCenter]:
        """Zoho's data centers by code, with ``local`` where there is a local Zoho."""
        return data_centers(self.LOCAL_URL)


#: The type of each setting, by name.
SETTING_TYPES: Mapping[str, type] = {
    name: get_origin(hint) or hint for name, hint in get_type_hints(ZohoSettings).items()
}
SETTING_NAMES = frozenset(SETTING_TYPES)


def raw_settings() -> dict[str, Any]:
    """Return ``settings.ZOHO_CRM`` as the host project wrote it."""
    return dict(getattr(settings, "ZOHO_CRM", {}))


def conf() -> ZohoSettings:
    """Return the settings as they are now; nothing is frozen at import."""
    mine = raw_settings()
    return ZohoSettings(**{name: mine[name] for name in SETTING_NAMES & mine.keys()})


def from_env(env: Env, prefix: str = "ZOHO_CRM_") -> dict[str, Any]:
    """
    Return the dictionary for ``settings.ZOHO_CRM`` from variables such as ``ZOHO_CRM_CLIENT_ID``.

    Lists are divided by commas, durations are seconds, ``CREDIT_COSTS`` is ``convert=5,other=1``;
    what is not set, or empty, is left out.

    :raises ImproperlyConfigured: if a value cannot be read; it is not guessed at
    """
    texts = {name: env.str(prefix + name, default="").strip() for name in SETTING_TYPES}
    return {name: _read(prefix, name, text) for name, text in texts.items() if text}


def _read(prefix: str, name: str, text: str) -> Any:
    form, read = _FORMS[SETTING_TYPES[name]]
    try:
        return read(text)
    except (KeyError, ValueError) as error:
        raise ImproperlyConfigured(f"{prefix}{name} is not {form}: {text!r}") from error


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


def _truth(text: str) -> bool:
    return _TRUTHS[text.lower()]


_TRUTHS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
#: How a variable is written, and read, by the type of the setting.
_FORMS: Mapping[type, tuple[str, Callable[[str], Any]]] = {
    str: ("a text", str),
    bool: ("true or false", _truth),
    int: ("a whole number", int),
    float: ("a number", _number),
    tuple: ("a list such as a,b", _list),
    Mapping: ("like convert=5,other=1", _numbers),
}
