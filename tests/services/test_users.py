"""Several users of one connection: who is meant, who is the default, and the end of one consent."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.db import connection as database

from tests.grants import granted
from tests.services.test_tokens import let_expire
from zoho_crm.exceptions import ConnectionLostError, SecretUnreadableError, TransientError
from zoho_crm.models import Connection, ConnectionWork, Token, from_now
from zoho_crm.services import tokens
from zoho_crm.services._zoho import data_center_of
from zoho_crm.services.adopt import adopt
from zoho_crm.services.clients import auth_for, client_for
from zoho_crm.services.connect import disconnect
from zoho_crm.services.tokens import access_token, token_of
from zoho_crm.services.users import disconnect_user, make_default, other_users
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator
from zoho_crm.types import Secret

pytestmark = pytest.mark.django_db(transaction=True)

MARA, AIKO = "mara@nordwind.example", "aiko@nordwind.example"


def add_user(zoho: Simulator, number: int = 2) -> Token:
    """Let another user of the organisation give consent, beside the default one."""
    given = granted(zoho, user_id=zoho.organisation.users[number]["id"])
    return adopt(
        client_id=CLIENT_ID,
        client_secret=Secret(CLIENT_SECRET),
        refresh_token=Secret(given["refresh_token"]),
        data_center="local",
    )


@pytest.fixture
def aiko(zoho: Simulator, connection: Connection) -> Token:
    return add_user(zoho)


@pytest.fixture
def mara(connection: Connection) -> Token:
    return connection.tokens.get(user_email=MARA)


def lose(zoho: Simulator, token: Token) -> None:
    """Withdraw a consent at Zoho, and let it be noticed."""
    zoho.world.grants.revoke(token.reveal("refresh_token").reveal())
    let_expire(token.connection)
    with pytest.raises(ConnectionLostError):
        access_token(connection_id=token.connection_id, token_id=token.pk)


def defaults(connection: Connection) -> list[str]:
    return list(connection.tokens.filter(is_default=True).values_list("user_email", flat=True))


# Who is meant


@pytest.mark.parametrize("user", [AIKO, f" {AIKO.upper()} ", "id", None])
def test_a_client_acts_as_the_user_who_is_named(
    connection: Connection, aiko: Token, user: str | None
) -> None:
    who = aiko.user_id if user == "id" else user

    client = client_for(connection, user=who)

    assert client.current_user().email == (AIKO if user else MARA)
    let_expire(connection)
    assert client.current_user().email == (AIKO if user else MARA)


def test_requests_are_signed_for_the_user_who_is_named(connection: Connection, aiko: Token) -> None:
    origin = data_center_of(connection).api(connection.environment)
    call = requests.Request("GET", f"{origin}/crm/v8/users", auth=auth_for(connection, user=AIKO))

    signed = requests.Session().prepare_request(call)

    secret = aiko.reveal("access_token").reveal()
    assert signed.headers["Authorization"] == f"Zoho-oauthtoken {secret}"


@pytest.mark.parametrize("user", ["", " ", "nobody@nordwind.example", "\0", "%", "' OR ''='"])
def test_nobody_else_stands_in_for_a_user_who_is_unknown(
    connection: Connection, aiko: Token, user: str
) -> None:
    Token.objects.filter(pk=aiko.pk).update(user_email="")

    with pytest.raises(ConnectionLostError, match="has not given consent") as caught:
        client_for(connection, user=user)

    assert caught.value.code == "no_such_user"


def test_a_user_of_another_connection_is_unknown(connection: Connection, aiko: Token) -> None:
    other = Connection.objects.create(name="other", data_center="local", org_id="1")

    with pytest.raises(ConnectionLostError, match="“other”"):
        auth_for(other, user=AIKO)


def test_of_two_clients_of_a_user_the_one_that_works_is_used(
    connection: Connection, aiko: Token
) -> None:
    Token.objects.filter(pk=aiko.pk).update(status=Token.Status.REVOKED)
    second = Token.objects.create(
        connection=connection, user_id=aiko.user_id, user_email=AIKO, client_id="second"
    )

    assert token_of(connection, AIKO) == second


def test_a_user_whose_consent_ended_is_named(
    zoho: Simulator, connection: Connection, aiko: Token
) -> None:
    client = client_for(connection, user=AIKO)
    zoho.world.grants.revoke(aiko.reveal("refresh_token").reveal())
    let_expire(connection)

    for _time in range(2):
        with pytest.raises(ConnectionLostError, match=AIKO) as caught:
            client.current_user()
        assert caught.value.code == "user_lost"
    with pytest.raises(ConnectionLostError, match=AIKO):
        client_for(connection, user=AIKO)
    assert client_for(connection).current_user().email == MARA


# Who is the default


def test_a_person_chooses_the_default(
    connection: Connection, aiko: Token, admin_user: User
) -> None:
    ConnectionWork.objects.update_or_create(
        connection=connection, defaults={"backoff_until": from_now(600), "backoff_kind": "person"}
    )

    token = make_default(token_id=aiko.pk, by=admin_user)

    assert (token.is_default, defaults(connection)) == (True, [AIKO])
    assert client_for(connection).current_user().email == AIKO
    event = connection.events.get(kind="default_user")
    assert (event.by, event.details) == (admin_user, {"user": AIKO})
    assert ConnectionWork.objects.get().backoff_until is None


def test_who_is_the_default_stays_it(connection: Connection, mara: Token) -> None:
    make_default(token_id=mara.pk)

    assert defaults(connection) == [MARA]
    assert not connection.events.filter(kind="default_user").exists()


def test_a_consent_that_ended_cannot_be_the_default(
    zoho: Simulator, connection: Connection, aiko: Token
) -> None:
    lose(zoho, aiko)

    with pytest.raises(ConnectionLostError, match=AIKO):
        make_default(token_id=aiko.pk)

    assert defaults(connection) == [MARA]


@pytest.mark.slow
def test_of_several_choices_at_once_one_is_left(
    zoho: Simulator, connection: Connection, mara: Token, aiko: Token
) -> None:
    tomas = add_user(zoho, 1)

    def choose(token_id: int) -> None:
        together.wait()
        try:
            make_default(token_id=token_id)
        finally:
            database.close()

    for _time in range(5):
        make_default(token_id=mara.pk)
        together = Barrier(2)
        choices = [Thread(target=choose, args=[token.pk]) for token in (aiko, tomas)]
        for choice in choices:
            choice.start()
        for choice in choices:
            choice.join()

        assert len(defaults(connection)) == 1


# A default that is lost


def lose_default(zoho: Simulator, token: Token) -> None:
    lose(zoho, token)


def disconnect_default(zoho: Simulator, token: Token) -> None:
    disconnect_user(token_id=token.pk)


@pytest.mark.parametrize("end", [lose_default, disconnect_default])
def test_nobody_takes_the_place_of_a_default_until_a_person_says_who(
    zoho: Simulator,
    connection: Connection,
    mara: Token,
    aiko: Token,
    end: Callable[[Simulator, Token], None],
) -> None:
    end(zoho, mara)
    add_user(zoho)
    add_user(zoho, 1)

    connection.refresh_from_db()
    assert connection.status == Connection.Status.NEEDS_RECONNECT
    assert Connection.objects.filter(tokens.lacks_default()).get() == connection
    with pytest.raises(ConnectionLostError, match="default user") as caught:
        client_for(connection).current_user()
    assert caught.value.code == "no_default"
    assert client_for(connection, user=AIKO).current_user().email == AIKO
    assert other_users(connection) == [AIKO, "tomas@nordwind.example"]

    make_default(token_id=aiko.pk)

    connection.refresh_from_db()
    assert (connection.status, defaults(connection)) == ("ACTIVE", [AIKO])
    assert client_for(connection).current_user().email == AIKO


def test_a_default_who_consents_again_is_the_default_again(
    zoho: Simulator, connection: Connection, mara: Token, aiko: Token
) -> None:
    lose(zoho, mara)

    add_user(zoho, 0)

    connection.refresh_from_db()
    assert (connection.status, defaults(connection)) == ("ACTIVE", [MARA])


def test_the_loss_of_a_user_who_was_replaced_meanwhile_does_not_stop_the_connection(
    zoho: Simulator, connection: Connection, mara: Token, aiko: Token, monkeypatch: Any
) -> None:
    refresh = tokens.accounts_client_for

    def replaced(token: Token) -> Any:
        make_default(token_id=aiko.pk)
        return refresh(token)

    monkeypatch.setattr(tokens, "accounts_client_for", replaced)
    lose(zoho, mara)

    connection.refresh_from_db()
    assert (connection.status, defaults(connection)) == ("ACTIVE", [AIKO])
    assert connection.events.filter(kind="user_lost").count() == 1


# The end of one consent


def test_one_user_is_disconnected(
    zoho: Simulator, connection: Connection, mara: Token, aiko: Token, admin_user: User
) -> None:
    refresh_token = aiko.reveal("refresh_token").reveal()

    token = disconnect_user(token_id=aiko.pk, by=admin_user)

    assert refresh_token not in zoho.world.grants.refresh_tokens
    assert (token.status, token.refresh_token_cipher) == ("REVOKED", "")
    connection.refresh_from_db()
    assert (connection.status, defaults(connection)) == ("ACTIVE", [MARA])
    assert client_for(connection).current_user().email == MARA
    event = connection.events.get(kind="user_disconnected")
    assert (event.by, event.details) == (admin_user, {"user": AIKO})
    disconnect_user(token_id=aiko.pk)
    assert connection.events.filter(kind="user_disconnected").count() == 1


def test_without_its_last_user_a_connection_is_disabled(
    connection: Connection, mara: Token
) -> None:
    disconnect_user(token_id=mara.pk)

    connection.refresh_from_db()
    assert connection.status == Connection.Status.DISABLED
    assert not Connection.objects.filter(tokens.lacks_default()).exists()


def test_a_connection_that_was_disconnected_needs_no_default(
    connection: Connection, aiko: Token
) -> None:
    disconnect(connection_id=connection.pk)

    assert not Connection.objects.filter(tokens.lacks_default()).exists()


def test_what_zoho_was_not_told_of_is_kept(zoho: Simulator, mara: Token, aiko: Token) -> None:
    zoho.fail("revoke", "error_before", status=500, times=9)

    with pytest.raises(TransientError):
        disconnect_user(token_id=mara.pk)

    mara.refresh_from_db()
    assert (mara.status, mara.is_default) == ("ACTIVE", True)
    assert mara.reveal("refresh_token")


def test_what_cannot_be_read_is_kept(mara: Token, settings: Any) -> None:
    settings.ZOHO_CRM |= {"ENCRYPTION_KEYS": ["x" * 43 + "="]}

    with pytest.raises(SecretUnreadableError):
        disconnect_user(token_id=mara.pk)

    mara.refresh_from_db()
    assert mara.refresh_token_cipher
