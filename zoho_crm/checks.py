"""
What ``manage.py check`` says about the settings.

* ``zoho_crm.E001`` a key of ``ZOHO_CRM`` is unknown
* ``zoho_crm.E002`` an encryption key is no Fernet key
* ``zoho_crm.E003`` durations or numbers with which nothing could be trusted
* ``zoho_crm.E004`` no such data center or environment
* ``zoho_crm.E005`` ``LOCAL_URL`` is not on this machine
* ``zoho_crm.E006`` ``USE_TZ`` is off
* ``zoho_crm.E007`` ``LOCAL_URL`` or ``TRANSPORT`` in production (``check --deploy``)
* ``zoho_crm.E008`` a value is of another type
* ``zoho_crm.W001`` no encryption key: nothing can be connected
* ``zoho_crm.W002`` Celery's broker is the memory of one process
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from zoho_crm import crypto
from zoho_crm.conf import SETTING_NAMES, SETTING_TYPES, ZohoSettings, conf, raw_settings
from zoho_crm.datacenters import is_local, origin_of
from zoho_crm.types import Environment


@register(Tags.compatibility)
def check_settings(app_configs: Iterable[AppConfig] | None, **_kwargs: Any) -> list[CheckMessage]:
    """Return what is wrong with ``ZOHO_CRM`` and with the settings that it leans on."""
    mine = conf()
    wrong = wrong_types(mine)
    # What the values mean can only be asked of values of the right type.
    meanings = [] if wrong else [*encryption_keys(mine), *durations(mine), *place(mine)]
    return [
        *unknown_keys(),
        *wrong,
        *meanings,
        *local_url(mine),
        *time_zones(),
        *broker(),
    ]


@register(Tags.security, deploy=True)
def check_deployment(app_configs: Iterable[AppConfig] | None, **_kwargs: Any) -> list[CheckMessage]:
    """Return what is fine for development only."""
    mine = conf()
    return [
        Error(
            f"ZOHO_CRM['{name}'] is for development and tests.",
            hint="Remove it from the settings of production.",
            id="zoho_crm.E007",
        )
        for name in ("LOCAL_URL", "TRANSPORT")
        if getattr(mine, name)
    ]


def unknown_keys() -> list[CheckMessage]:
    """Find misspelt keys."""
    return [
        Error(f"ZOHO_CRM has no key '{key}'.", hint=_suggestion(key), id="zoho_crm.E001")
        for key in sorted(set(map(str, raw_settings())) - SETTING_NAMES)
    ]


def _suggestion(key: str) -> str:
    close = difflib.get_close_matches(key.upper(), SETTING_NAMES, n=1)
    known = f"Known are: {', '.join(sorted(SETTING_NAMES))}."
    return f"Did you mean '{close[0]}'?" if close else known


def wrong_types(mine: ZohoSettings) -> list[CheckMessage]:
    """Find a text where a number or a list is expected, and the like."""
    return [
        Error(f"ZOHO_CRM['{name}'] is not {form}.", id="zoho_crm.E008")
        for name, (form, fits) in {
            name: _TYPES[kind] for name, kind in SETTING_TYPES.items()
        }.items()
        if not fits(getattr(mine, name))
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


def _are_costs(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_whole, value.values()))


_TYPES: Mapping[type, tuple[str, Callable[[Any], bool]]] = {
    str: ("a text", lambda value: isinstance(value, str)),
    bool: ("True or False", lambda value: isinstance(value, bool)),
    int: ("a whole number", _is_whole),
    float: ("a number", _is_number),
    tuple: ("a list of texts", _are_texts),
    Mapping: ("a dictionary of whole numbers", _are_costs),
}


def encryption_keys(mine: ZohoSettings) -> list[CheckMessage]:
    """Find keys that do not encrypt."""
    hint = "Make one with: manage.py zoho_new_key"
    if not mine.ENCRYPTION_KEYS:
        message = "ZOHO_CRM['ENCRYPTION_KEYS'] is empty: nothing can be connected to Zoho."
        return [Warning(message, hint=hint, id="zoho_crm.W001")]
    return [
        Error(
            f"Encryption key {crypto.key_id(key)} is no Fernet key.", hint=hint, id="zoho_crm.E002"
        )
        for key in mine.ENCRYPTION_KEYS
        if not crypto.is_key(key)
    ]


def durations(mine: ZohoSettings) -> list[CheckMessage]:
    """Find numbers with which a call could outlive what guards it, or a lead be sent unasked."""
    orders = {
        "CONNECT_TIMEOUT > 0": mine.CONNECT_TIMEOUT > 0,
        "CALL_DEADLINE > 0": mine.CALL_DEADLINE > 0,
        "CALL_DEADLINE < LEASE / 2": mine.CALL_DEADLINE < mine.LEASE / 2,
        "QUIET_PERIOD >= CALL_DEADLINE": mine.QUIET_PERIOD >= mine.CALL_DEADLINE,
        "REFRESH_LEASE > CALL_DEADLINE": mine.REFRESH_LEASE > mine.CALL_DEADLINE,
        "SLICE < LEASE": mine.SLICE < mine.LEASE,
        "NEGATIVE_READS >= 1": mine.NEGATIVE_READS >= 1,
    }
    return [
        Error(
            f"ZOHO_CRM must keep {order}.",
            hint="A lead could be sent twice, or a token renewed twice.",
            id="zoho_crm.E003",
        )
        for order, holds in orders.items()
        if not holds
    ]


def place(mine: ZohoSettings) -> list[CheckMessage]:
    """Find a data center or an environment that Zoho does not have."""
    choices: dict[str, Iterable[str]] = {
        "DATA_CENTER": mine.data_centers,
        "ENVIRONMENT": [environment.value for environment in Environment],
    }
    return [
        Error(
            f"ZOHO_CRM['{name}'] is '{getattr(mine, name)}'.",
            hint=f"It must be one of: {', '.join(known)}.",
            id="zoho_crm.E004",
        )
        for name, known in choices.items()
        if getattr(mine, name) not in known
    ]


def local_url(mine: ZohoSettings) -> list[CheckMessage]:
    """Find a local Zoho that is not local: secrets would be sent there."""
    if not mine.LOCAL_URL or is_local(origin_of(str(mine.LOCAL_URL))):
        return []
    hint = "It is the origin of a simulator on this machine, such as http://127.0.0.1:8765."
    return [Error("ZOHO_CRM['LOCAL_URL'] is not on this machine.", hint=hint, id="zoho_crm.E005")]


def time_zones() -> list[CheckMessage]:
    """Find naive times: instants could not be compared with the database's clock."""
    if settings.USE_TZ:
        return []
    return [Error("zoho_crm needs USE_TZ = True.", id="zoho_crm.E006")]


def broker() -> list[CheckMessage]:
    """Find a broker that loses without a word what another process sends."""
    url = str(getattr(settings, "CELERY_BROKER_URL", "") or "")
    if not url.startswith("memory:"):
        return []
    hint = "Fine for one process; else use filesystem://, redis:// or amqp://."
    return [
        Warning("Celery's broker is the memory of this process.", hint=hint, id="zoho_crm.W002")
    ]
