"""Tokens that another program got from Zoho become connections of this site."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured

from tests.grants import granted
from tests.services.simulators import using_simulator
from zoho_crm.exceptions import (
    ClientRejectedError,
    ConnectionLostError,
    GrantRefusedError,
    PermissionDeniedError,
    TransientError,
    ZohoError,
)
from zoho_crm.models import Connection, Token
from zoho_crm.services import adopt as services
from zoho_crm.services.connect import disconnect, with_grant_code
from zoho_crm.services.tokens import access_token
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator, SimulatorSettings
from zoho_crm.types import Secret

pytestmark = pytest.mark.django_db


def adopt(given: dict[str, Any], **order: Any) -> Token:
    order = {
        "client_id": CLIENT_ID,
        "client_secret": Secret(CLIENT_SECRET),
        "refresh_token": Secret(given["refresh_token"]),
        "data_center": "local",
        **order,
    }
    return services.adopt(**order)


def as_given(given: dict[str, Any], seconds: float = 3600) -> dict[str, Any]:
    return {"access_token": Secret(given["access_token"]), "expires_in": seconds}


def test_tokens_become_a_connection(zoho: Simulator, admin_user: User) -> None:
    given = granted(zoho)

    token = adopt(given, by=admin_user, name="Nordwind")

    connection = token.connection
    assert (connection.name, connection.status) == ("Nordwind", "ACTIVE")
    assert connection.is_default
    assert (connection.org_id, token.user_email) == (zoho.organisation.id, "mara@nordwind.example")
    assert (token.status, token.is_default) == ("ACTIVE", True)
    assert token.reveal("refresh_token").reveal() == given["refresh_token"]
    event = connection.events.get(kind="connected")
    assert (event.by, event.details) == (admin_user, {"user": "mara@nordwind.example"})
    assert access_token(connection_id=connection.pk) == token.reveal("access_token")


def test_an_access_token_is_used_while_it_is_valid(zoho: Simulator) -> None:
    given = granted(zoho)

    token = adopt(given, **as_given(given))

    assert token.reveal("access_token").reveal() == given["access_token"]
    assert zoho.stats()["tokens"]["refreshed"] == 0


@pytest.mark.parametrize("seconds", [3600, 1, 0, -5])
def test_an_access_token_that_has_expired_is_renewed(zoho: Simulator, seconds: float) -> None:
    given = granted(zoho)
    zoho.advance(3601)

    token = adopt(given, **as_given(given, seconds))

    assert token.reveal("access_token").reveal() in zoho.world.grants.access_tokens
    assert zoho.stats()["tokens"]["refreshed"] == 1


def test_a_known_user_keeps_one_row(zoho: Simulator) -> None:
    first = adopt(granted(zoho))
    given = granted(zoho)

    second = adopt(given)

    assert first.pk == second.pk == Token.objects.get().pk
    assert second.reveal("refresh_token").reveal() == given["refresh_token"]
    assert second.generation > first.generation
    kinds = [event.kind for event in second.connection.events.order_by("pk")]
    assert kinds == ["connected", "reconnected"]


def test_another_user_does_not_take_over_the_work(zoho: Simulator) -> None:
    """What was chosen by a person stays: which consent the worker acts with."""
    connection = with_grant_code(code=zoho.grant_code(), data_center="local")
    aiko = zoho.organisation.users[2]

    token = adopt(granted(zoho, user_id=aiko["id"]))

    assert (token.connection, token.user_email) == (connection, aiko["email"])
    assert not token.is_default
    assert connection.tokens.get(is_default=True).user_email == "mara@nordwind.example"


def test_a_disconnected_organisation_works_again(zoho: Simulator) -> None:
    connection = with_grant_code(code=zoho.grant_code(), data_center="local")
    disconnect(connection_id=connection.pk)

    token = adopt(granted(zoho, user_id=zoho.organisation.users[2]["id"]))

    assert (token.is_default, token.connection.status) == (True, "ACTIVE")
    assert connection.tokens.filter(is_default=True).count() == 1


@pytest.mark.parametrize(
    ("order", "error", "code"),
    [
        ({"refresh_token": Secret("")}, GrantRefusedError, "no_refresh_token"),
        ({"client_secret": Secret("")}, ClientRejectedError, "no_client"),
        ({"client_id": ""}, ClientRejectedError, "no_client"),
        ({"refresh_token": Secret("1000.revoked")}, ConnectionLostError, "invalid_code"),
        ({"client_secret": Secret("wrong")}, ClientRejectedError, "invalid_client_secret"),
        ({"environments": ["sandbox"]}, GrantRefusedError, "other_environment"),
    ],
)
def test_what_cannot_be_used_leaves_nothing(
    zoho: Simulator, order: dict[str, Any], error: type[ZohoError], code: str
) -> None:
    given = granted(zoho)

    with pytest.raises(error) as caught:
        adopt(given, **order)

    assert caught.value.code == code
    assert given["refresh_token"] in zoho.world.grants.refresh_tokens
    assert not Connection.objects.exists()
    assert not Token.objects.exists()


def test_scopes_that_hide_the_organisation_are_named(zoho: Simulator) -> None:
    with pytest.raises(PermissionDeniedError):
        adopt(granted(zoho, scope="ZohoCRM.modules.ALL"))

    assert not Connection.objects.exists()


def test_an_unknown_data_center_is_asked_nothing(zoho: Simulator) -> None:
    given = granted(zoho)
    calls = len(zoho.stats()["calls"])

    with pytest.raises(ImproperlyConfigured, match="moon"):
        adopt(given, data_center="moon")

    assert len(zoho.stats()["calls"]) == calls


def test_an_outage_is_told_from_a_refusal(zoho: Simulator) -> None:
    given = granted(zoho)
    zoho.fail("refresh", "error_before")

    with pytest.raises(TransientError):
        adopt(given)


def test_without_an_encryption_key_zoho_is_not_asked(settings: Any) -> None:
    zoho = Simulator(SimulatorSettings(leads=0))
    with using_simulator(zoho, settings, ENCRYPTION_KEYS=[]):
        given = granted(zoho)
        with pytest.raises(ImproperlyConfigured, match="ENCRYPTION_KEYS"):
            adopt(given)

    assert zoho.stats()["tokens"]["refreshed"] == 0
