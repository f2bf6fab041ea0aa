"""A connection as it is after connecting, for less than connecting costs."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from django.db.models import Model

from tests.grants import granted
from zoho_crm.models import Connection, ConnectionEvent, Token, from_now
from zoho_crm.models._database import DbNow
from zoho_crm.services.connect import with_grant_code
from zoho_crm.services.organisations import READ_AGAIN_SECONDS
from zoho_crm.simulator import CLIENT_SECRET, Call, Simulator
from zoho_crm.types import Secret

#: What is read from Zoho when somebody connects.
READS = (
    "/crm/v8/org",
    "/crm/v8/users?type=CurrentUser",
    "/crm/v8/settings/fields?module=Leads",
)
#: Columns of the rows that the first connection of this process left, by what Zoho was like.
_columns: dict[Any, dict[type[Model], dict[str, Any]]] = {}


def connected(zoho: Simulator) -> Connection:
    """
    Connect to a simulator as ``with_grant_code`` does, in empty tables.

    Zoho is asked the same, but what it says, which is the same each time, is not read again: the
    rows are written as the first connection of this process left them, with the ids and tokens of
    this simulator. ``tests.test_connected`` compares the two.
    """
    state = _state_of(zoho)
    if state not in _columns:
        connection = with_grant_code(code=zoho.grant_code(), data_center="local")
        models: list[type[Model]] = [Connection, Token, ConnectionEvent]
        _columns[state] = {model: model.objects.values().get() for model in models}
        return connection
    columns = deepcopy(_columns[state])
    given = granted(zoho)
    signed = {"Authorization": f"Zoho-oauthtoken {given['access_token']}"}
    for path in READS:
        assert zoho.answer(Call.to("GET", path, headers=signed)).status == 200
    connection = Connection(**columns[Connection] | {"id": None, "org_id": zoho.organisation.id})
    connection.organisation_due_at = from_now(READ_AGAIN_SECONDS)
    connection.save(force_insert=True)
    own = {"id": None, "connection_id": connection.pk}
    user = {"user_id": zoho.organisation.current_user["id"]}
    _write_secrets(Token.objects.create(**columns[Token] | own | user), given)
    ConnectionEvent.objects.create(**columns[ConnectionEvent] | own)
    return connection


def _state_of(zoho: Simulator) -> tuple[Any, ...]:
    """Return what Zoho's answers depend on; without ids, which each simulator has of its own."""
    own = zoho.organisation
    parts = (own.name, own.domain, own.users, own.modules, own.license_details, sorted(own.denied))
    return zoho.world.settings, repr(parts).replace(own.ids.prefix, "")


def _write_secrets(token: Token, given: dict[str, Any]) -> None:
    secrets = {
        "client_secret": Secret(CLIENT_SECRET),
        "access_token": Secret(given["access_token"]),
        "refresh_token": Secret(given["refresh_token"]),
    }
    times = {"expires_at": from_now(given["expires_in"]), "refreshed_at": DbNow()}
    Token.objects.filter(pk=token.pk).update(**times, **token.encrypted_columns(**secrets))
