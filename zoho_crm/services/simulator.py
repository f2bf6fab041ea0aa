"""
The simulator at ``LOCAL_URL``, spoken to over HTTP: connect to it, break it, read its log.

Its control routes are those of ``docs/simulator.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AbstractBaseUser
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.conf import conf
from zoho_crm.datacenters import LOCAL
from zoho_crm.exceptions import AuthorizationError
from zoho_crm.models import Connection
from zoho_crm.services import connect, work
from zoho_crm.services._zoho import api
from zoho_crm.types import JsonObject, Secret, ValueObject

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

CONTROL_PREFIX = "/_simulator/"
#: Values of the answer with a grant code that are secrets.
SECRETS = ("code", "client_secret")
#: The credits of a new simulator.
ALL_CREDITS = 5_000_000
NO_LIMITS: JsonObject = {"latency_ms": 0, "credits_left": ALL_CREDITS}


class Trouble(ValueObject):
    """What can be made to happen at the simulator: a control request."""

    label: StrPromise
    method: str = "POST"
    route: str
    body: JsonObject


#: By the name that a form sends, in the order in which they are offered.
TROUBLES: Mapping[str, Trouble] = {
    "too_many": Trouble(
        label=gettext_lazy("Next call: too many calls (429)"),
        route="faults",
        body={"on": "any", "do": "throttle"},
    ),
    "broken": Trouble(
        label=gettext_lazy("Next call: out of order (500)"),
        route="faults",
        body={"on": "any", "do": "error_before"},
    ),
    "lost": Trouble(
        label=gettext_lazy("Next conversion: converts, and the answer is lost"),
        route="faults",
        body={"on": "convert", "do": "close_after"},
    ),
    "revoked": Trouble(label=gettext_lazy("Revoke the tokens"), route="revoke", body={}),
    "slow": Trouble(
        label=gettext_lazy("Slow: 800 ms a call"), route="limits", body={"latency_ms": 800}
    ),
    "credits": Trouble(
        label=gettext_lazy("50 credits left"), route="limits", body={"credits_left": 50}
    ),
}


class LoggedCall(ValueObject):
    """A call that the simulator was asked; ``status`` is ``None`` if its answer was lost."""

    at: datetime | None
    method: str
    path: str
    status: int | None


def is_set_up() -> bool:
    """Return whether the settings name a local Zoho."""
    return LOCAL in conf().data_centers


def connect_simulator(*, by: AbstractBaseUser | None = None) -> Connection:
    """
    Connect to the organisation of the simulator, with a grant code that it gives out.

    :raises AuthorizationError: if no simulator is set up
    :raises ZohoError: if it does not answer, or is none
    """
    given = _call("POST", "grant-codes", json={}, secrets=SECRETS)
    return connect.with_grant_code(
        code=_secret(given, "code"),
        data_center=LOCAL,
        client_id=str(given.get("client_id") or ""),
        client_secret=_secret(given, "client_secret"),
        by=by,
    )


def make(trouble: Trouble) -> None:
    """
    Make something happen at the simulator.

    :raises ZohoError: if it does not answer
    """
    _call(trouble.method, trouble.route, json=trouble.body)


def heal(*, connection_id: int) -> None:
    """
    Remove all faults and limits, and end the back-off of a connection that met them.

    Tokens that were revoked stay so.
    """
    _call("DELETE", "faults")
    _call("POST", "limits", json=NO_LIMITS)
    work.end_backoff(connection_id=connection_id)


def reset(*, leads: int, seed: int) -> int:
    """
    Replace the organisation of the simulator by a new one; return how many leads it has.

    Its tokens, faults and limits end.

    :param seed: of the names of its leads
    """
    made = _call("POST", "reset", json={"leads": leads, "seed": seed})
    _call("POST", "limits", json=NO_LIMITS)
    return int(made.get("leads") or 0)


def latest_calls() -> list[LoggedCall]:
    """Return the latest calls that the simulator was asked, newest first."""
    found = _call("GET", "calls").get("calls")
    return [_logged(each) for each in found] if isinstance(found, list) else []


def _logged(entry: JsonObject) -> LoggedCall:
    return LoggedCall(
        at=parse_datetime(str(entry.get("at") or "")),
        method=str(entry.get("method") or ""),
        path=str(entry.get("path") or ""),
        status=entry.get("status"),
    )


def _secret(given: JsonObject, name: str) -> Secret:
    value = given.get(name)
    return value if isinstance(value, Secret) else Secret("")


def _call(method: str, name: str, **parts: Any) -> JsonObject:
    """Send a control request and return the object in its answer."""
    center = conf().data_centers.get(LOCAL)
    if center is None:
        message = _("No simulator is set up: set ZOHO_CRM['LOCAL_URL'] to its address.")
        raise AuthorizationError(message, code="no_simulator")
    return api(center.accounts).call(method, f"{CONTROL_PREFIX}{name}", **parts)
