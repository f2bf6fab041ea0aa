"""The connection that most tests begin with is the one that connecting makes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.connected import connected
from zoho_crm.models import Connection, ConnectionEvent, Token
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db


def really_connected(zoho: Simulator) -> Connection:
    return with_grant_code(code=zoho.grant_code(), data_center="local")


def made_by(connect: Callable[[Simulator], Connection], zoho: Simulator) -> list[Any]:
    """Return what Zoho counted and what was stored; ids, tokens and instants by their meaning."""
    for model in (ConnectionEvent, Token, Connection):
        model.objects.all().delete()
    zoho.reset()
    row = connect(zoho)
    grants, token = zoho.world.grants, row.tokens.get()
    (access_token,) = grants.access_tokens
    meanings = {
        zoho.organisation.id: "organisation",
        zoho.organisation.current_user["id"]: "user",
        token.access_token_hash: token.reveal("access_token").reveal() == access_token,
        token.refresh_token_hash: token.reveal("refresh_token").reveal() in grants.refresh_tokens,
        token.access_token_cipher: "access token",
        token.refresh_token_cipher: "refresh token",
        token.client_secret_cipher: token.reveal("client_secret").reveal(),
    }
    stored = [
        meant(column, meanings)
        for model in (Connection, Token, ConnectionEvent)
        for column in model.objects.values().get().items()
    ]
    return [zoho.stats(), len(grants.codes), row.org_id == zoho.organisation.id, *stored]


def meant(column: tuple[str, Any], meanings: dict[Any, Any]) -> tuple[str, Any]:
    name, value = column
    if name in ("id", "connection_id"):
        return name, None
    if isinstance(value, datetime):
        return (
            name,
            f"{(value - datetime.now(UTC)).total_seconds() / 600:.0f} × 10 minutes from now",
        )
    return name, meanings.get(value, value) if isinstance(value, str) else value


def test_the_connection_of_most_tests_is_what_connecting_makes(zoho: Simulator) -> None:
    made_by(connected, zoho)
    assert made_by(connected, zoho) == made_by(really_connected, zoho)
