"""Access tokens: valid for every caller, with as few refreshes as possible."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from tests.reporter import shown_by
from tests.services.simulators import using_simulator
from zoho_crm import crypto
from zoho_crm.contrib.pytest import ENCRYPTION_KEY
from zoho_crm.exceptions import (
    ClientRejectedError,
    ConnectionLostError,
    SecretUnreadableError,
    TokenThrottledError,
    TransientError,
    TransportError,
    ZohoError,
)
from zoho_crm.models import ApiUsage, Connection, ConnectionEvent, Token, from_now
from zoho_crm.services import connect, tokens, usage, work
from zoho_crm.services.clients import client_for
from zoho_crm.services.tokens import (
    access_token,
    refresh_rejected,
)
from zoho_crm.simulator import Simulator, SimulatorSettings
from zoho_crm.types import Secret

HOUR = 3600


def let_expire(connection: Connection, seconds: float = -1) -> None:
    """Let the access token expire in so many seconds."""
    connection.tokens.update(expires_at=from_now(seconds))


def stored(connection: Connection) -> Token:
    return connection.tokens.get()


def refreshes(zoho: Simulator) -> int:
    """Return the number of refreshes that reached Zoho."""
    calls = zoho.stats()["calls"]
    paths = [call["count"] for call in calls if call["path"] == "/oauth/v2/token"]
    return sum(paths) - zoho.stats()["tokens"]["exchanged"]


def kinds(connection: Connection) -> list[str]:
    return list(connection.events.order_by("pk").values_list("kind", flat=True))


def lives_between(connection: Connection, least: float, most: float) -> bool:
    found = Token.objects.with_freshness(early=least, margin=most).get(connection=connection)
    return found.is_fresh and not found.is_valid


# Giving out


def test_a_fresh_token_is_returned_without_a_call(connection: Connection, zoho: Simulator) -> None:
    token = access_token(connection_id=connection.pk)

    assert token == stored(connection).reveal("access_token")
    assert refreshes(zoho) == 0


def test_an_expired_token_is_refreshed_and_stored(connection: Connection, zoho: Simulator) -> None:
    before = stored(connection)
    let_expire(connection)

    token = access_token(connection_id=connection.pk)

    after = stored(connection)
    assert token == after.reveal("access_token") != before.reveal("access_token")
    assert after.generation == before.generation + 1
    assert after.refreshed_at > before.refreshed_at
    assert (after.refresh_owner, after.refresh_until) == ("", None)
    assert lives_between(connection, HOUR - 60, HOUR + 60)
    assert kinds(connection) == ["connected", "refreshed"]
    assert access_token(connection_id=connection.pk) == token
    assert refreshes(zoho) == 1


@pytest.mark.parametrize(
    ("seconds", "refresher", "is_returned"),
    [
        (HOUR, "", True),
        (200, "", False),
        (200, "somebody", True),
        (-1, "somebody", False),
    ],
)
def test_a_stored_token_is_returned_if_no_refresh_is_needed(
    connection: Connection, zoho: Simulator, seconds: float, refresher: str, is_returned: bool
) -> None:
    let_expire(connection, seconds)
    token = stored(connection)
    if refresher:
        assert token.take_refresh_lease(owner=refresher, seconds=30)

    found = tokens.stored_access_token(connection_id=connection.pk)

    assert found == (token.reveal("access_token") if is_returned else None)
    assert refreshes(zoho) == 0


def test_a_refresh_does_not_change_the_refresh_token(connection: Connection) -> None:
    before = stored(connection)
    let_expire(connection)

    access_token(connection_id=connection.pk)

    after = stored(connection)
    assert after.refresh_token_cipher == before.refresh_token_cipher
    assert after.client_secret_cipher == before.client_secret_cipher


@pytest.mark.parametrize(("seconds", "calls"), [(290, 1), (310, 0)])
def test_a_token_is_refreshed_five_minutes_early(
    connection: Connection, zoho: Simulator, seconds: float, calls: int
) -> None:
    let_expire(connection, seconds)

    assert access_token(connection_id=connection.pk)
    assert refreshes(zoho) == calls


def test_the_old_token_is_used_while_another_process_refreshes_it(
    connection: Connection, zoho: Simulator
) -> None:
    let_expire(connection, 200)
    old = stored(connection)
    assert old.take_refresh_lease(owner="somebody", seconds=30)

    assert access_token(connection_id=connection.pk) == old.reveal("access_token")
    assert refreshes(zoho) == 0


def test_a_token_that_expires_within_a_call_is_not_used(
    connection: Connection, zoho: Simulator
) -> None:
    old = access_token(connection_id=connection.pk)
    let_expire(connection, 1)
    zoho.fail("refresh", "error_before")

    with pytest.raises(TransientError):
        access_token(connection_id=connection.pk)
    assert access_token(connection_id=connection.pk) != old


def test_milliseconds_of_old_clients_are_not_read_as_seconds(
    connection: Connection, zoho: Simulator
) -> None:
    zoho.world.settings = replace(zoho.world.settings, legacy_expires_in=True)
    let_expire(connection)

    access_token(connection_id=connection.pk)

    assert lives_between(connection, HOUR - 60, HOUR + 60)


def test_waiting_for_another_process_ends_with_an_error(
    connection: Connection, zoho: Simulator, settings: Any
) -> None:
    settings.ZOHO_CRM |= {"REFRESH_LEASE": 0.1, "CALL_DEADLINE": 0.1}
    let_expire(connection)
    assert stored(connection).take_refresh_lease(owner="somebody", seconds=30)

    with pytest.raises(TransportError, match="Another process"):
        access_token(connection_id=connection.pk)

    assert refreshes(zoho) == 0


def test_an_expired_lease_is_free(connection: Connection, zoho: Simulator) -> None:
    let_expire(connection)
    assert stored(connection).take_refresh_lease(owner="dead", seconds=-1)

    assert access_token(connection_id=connection.pk)
    assert refreshes(zoho) == 1


# Rejected by Zoho


def test_a_rejected_token_is_replaced(connection: Connection, zoho: Simulator) -> None:
    old = access_token(connection_id=connection.pk)

    new = refresh_rejected(connection_id=connection.pk, rejected=old)

    assert new != old
    assert refreshes(zoho) == 1


def test_a_token_that_was_replaced_meanwhile_is_not_replaced_again(
    connection: Connection, zoho: Simulator
) -> None:
    old = access_token(connection_id=connection.pk)
    new = refresh_rejected(connection_id=connection.pk, rejected=old)

    assert refresh_rejected(connection_id=connection.pk, rejected=old) == new
    assert refreshes(zoho) == 1


def test_a_person_refreshes_a_token_once_for_the_generation_shown(
    connection: Connection, zoho: Simulator
) -> None:
    seen = stored(connection).generation

    tokens.refresh(connection_id=connection.pk, generation=seen)
    tokens.refresh(connection_id=connection.pk, generation=seen)

    assert stored(connection).generation == seen + 1
    assert refreshes(zoho) == 1


# "Access Denied"


def test_access_denied_throttles_refreshes_for_ten_minutes(
    connection: Connection, zoho: Simulator
) -> None:
    let_expire(connection)
    zoho.fail("refresh", "throttle", times=None)

    for _ in range(3):
        with pytest.raises(TokenThrottledError):
            access_token(connection_id=connection.pk)

    assert refreshes(zoho) == 1
    connection.refresh_from_db()
    assert (connection.status, stored(connection).status) == ("ACTIVE", "ACTIVE")
    assert kinds(connection) == ["connected", "throttled"]
    ending = Token.objects.with_freshness(early=0, margin=0).get()
    assert ending.is_throttled
    assert not Token.objects.filter(throttled_until__lt=from_now(590)).exists()
    assert not Token.objects.filter(throttled_until__gt=from_now(610)).exists()


def test_after_ten_minutes_the_token_is_refreshed_again(
    connection: Connection, zoho: Simulator
) -> None:
    let_expire(connection)
    zoho.fail("refresh", "throttle")
    with pytest.raises(TokenThrottledError):
        access_token(connection_id=connection.pk)

    connection.tokens.update(throttled_until=from_now(-1))

    assert access_token(connection_id=connection.pk)


def test_the_old_token_is_used_while_refreshes_are_throttled(
    connection: Connection, zoho: Simulator
) -> None:
    old = access_token(connection_id=connection.pk)
    let_expire(connection, 200)
    zoho.fail("refresh", "throttle", times=None)

    assert [access_token(connection_id=connection.pk) for _ in range(3)] == [old] * 3
    assert refreshes(zoho) == 1
    assert kinds(connection) == ["connected", "throttled"]


def test_the_token_limit_of_the_simulator_throttles_refreshes(
    connection: Connection, zoho: Simulator
) -> None:
    for _ in range(10):
        let_expire(connection)
        access_token(connection_id=connection.pk)
    let_expire(connection)

    with pytest.raises(TokenThrottledError):
        access_token(connection_id=connection.pk)

    assert stored(connection).status == "ACTIVE"


# Consent withdrawn


def test_a_withdrawn_consent_is_recorded_once(
    connection: Connection, zoho: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    let_expire(connection)
    zoho.world.grants.revoke(stored(connection).reveal("refresh_token").reveal())

    with pytest.raises(ConnectionLostError) as first:
        access_token(connection_id=connection.pk)
    with pytest.raises(ConnectionLostError) as second:
        access_token(connection_id=connection.pk)

    assert (first.value.code, second.value.code) == ("invalid_code", "not_connected")
    assert refreshes(zoho) == 1
    connection.refresh_from_db()
    assert (connection.status, stored(connection).status) == ("NEEDS_RECONNECT",) * 2
    assert stored(connection).refresh_token_cipher
    [event] = connection.events.filter(kind=ConnectionEvent.Kind.LOST)
    assert (event.details, event.announced_at) == ({"code": "invalid_code"}, None)
    assert f"Connection {connection.pk} lost: invalid_code" in caplog.text


def test_a_disabled_connection_stays_disabled(connection: Connection, zoho: Simulator) -> None:
    let_expire(connection)
    zoho.world.grants.revoke(stored(connection).reveal("refresh_token").reveal())
    Connection.objects.update(status=Connection.Status.DISABLED)

    with pytest.raises(ConnectionLostError):
        access_token(connection_id=connection.pk)

    connection.refresh_from_db()
    assert connection.status == "DISABLED"


# Zoho is down


TROUBLES = [
    "error_before",
    "error_after",
    "close_before",
    "close_after",
    "html",
    "truncate",
    "empty",
]


@pytest.mark.parametrize("do", TROUBLES)
def test_the_old_token_is_used_while_zoho_is_down(
    connection: Connection, zoho: Simulator, do: str
) -> None:
    old = access_token(connection_id=connection.pk)
    let_expire(connection, 200)
    zoho.fail("refresh", do, times=None)

    assert [access_token(connection_id=connection.pk) for _ in range(3)] == [old] * 3
    assert refreshes(zoho) == 1
    connection.tokens.update(throttled_until=from_now(-1))
    assert access_token(connection_id=connection.pk) == old
    assert refreshes(zoho) == 2


@pytest.mark.parametrize("do", TROUBLES)
def test_without_a_valid_token_zohos_errors_are_transient(
    connection: Connection, zoho: Simulator, do: str
) -> None:
    let_expire(connection)
    zoho.fail("refresh", do)

    with pytest.raises(TransientError):
        access_token(connection_id=connection.pk)

    assert stored(connection).refresh_until is None
    assert access_token(connection_id=connection.pk)
    assert stored(connection).status == "ACTIVE"


def test_a_wrong_client_secret_does_not_lose_the_connection(
    connection: Connection, zoho: Simulator
) -> None:
    token = stored(connection)
    Token.objects.update(**token.encrypted_columns(client_secret=Secret("changed at Zoho")))
    let_expire(connection)

    with pytest.raises(ClientRejectedError):
        access_token(connection_id=connection.pk)

    after = stored(connection)
    assert (after.status, after.refresh_until) == ("ACTIVE", None)


# Answers that come too late


@pytest.fixture
def meanwhile(db: None, settings: Any) -> Any:
    """A simulator, and a list of functions that are called during the next delayed call."""
    things: list[Callable[[], object]] = []

    def sleep(_seconds: float) -> None:
        while things:
            things.pop()()

    simulator = Simulator(SimulatorSettings(leads=0), sleep=sleep)
    with using_simulator(simulator, settings):
        yield simulator, things


def connected_to(simulator: Simulator) -> Connection:
    return connect.with_grant_code(code=simulator.grant_code(), data_center="local")


def test_a_token_that_comes_after_the_lease_went_to_another_process_is_dropped(
    meanwhile: Any,
) -> None:
    zoho, things = meanwhile
    connection = connected_to(zoho)
    let_expire(connection)
    zoho.fail("refresh", "delay", seconds=0.1)
    by_another: list[Secret] = []

    def another_process() -> None:
        connection.tokens.update(refresh_until=from_now(-1))
        by_another.append(access_token(connection_id=connection.pk))

    things.append(another_process)
    generation = stored(connection).generation

    token = access_token(connection_id=connection.pk)

    assert [token] == by_another == [stored(connection).reveal("access_token")]
    assert stored(connection).generation == generation + 1
    assert kinds(connection) == ["connected", "refreshed"]


def test_a_refusal_that_comes_after_a_reconnect_is_dropped(meanwhile: Any) -> None:
    zoho, things = meanwhile
    connection = connected_to(zoho)
    let_expire(connection)
    zoho.world.grants.revoke(stored(connection).reveal("refresh_token").reveal())
    zoho.fail("refresh", "delay", seconds=0.1)
    things.append(lambda: connected_to(zoho))

    token = access_token(connection_id=connection.pk)

    connection.refresh_from_db()
    assert connection.status == "ACTIVE"
    assert stored(connection).status == "ACTIVE"
    assert token == stored(connection).reveal("access_token")
    assert kinds(connection) == ["connected", "reconnected"]


def test_access_denied_that_comes_after_a_reconnect_does_not_throttle(meanwhile: Any) -> None:
    zoho, things = meanwhile
    connection = connected_to(zoho)
    let_expire(connection)
    [known] = zoho.world.grants.refresh_tokens.values()
    while known.rate_limit.allow(zoho.world.clock.now(), seconds=600):
        pass
    zoho.fail("refresh", "delay", seconds=0.1)
    things.append(lambda: connected_to(zoho))

    token = access_token(connection_id=connection.pk)

    assert token == stored(connection).reveal("access_token")
    assert stored(connection).throttled_until is None
    assert "throttled" not in kinds(connection)


def test_a_token_that_comes_after_a_disconnect_is_dropped(meanwhile: Any) -> None:
    zoho, things = meanwhile
    connection = connected_to(zoho)
    let_expire(connection)
    zoho.fail("refresh", "delay", seconds=0.1)
    things.append(lambda: connect.disconnect(connection_id=connection.pk))

    with pytest.raises(ConnectionLostError):
        access_token(connection_id=connection.pk)

    after = stored(connection)
    assert (after.status, after.access_token_cipher, after.expires_at) == ("REVOKED", "", None)


# Transactions


def test_the_transaction_of_a_test_case_does_not_count_but_one_inside_it(
    connection: Connection, zoho: Simulator
) -> None:
    let_expire(connection, 200)
    with transaction.atomic():
        access_token(connection_id=connection.pk)
        with pytest.raises(RuntimeError, match="outside of the transaction"):
            tokens.refresh(connection_id=connection.pk, generation=1)
    assert refreshes(zoho) == 0

    access_token(connection_id=connection.pk)

    assert refreshes(zoho) == 1


# Renewals by the sweep


@pytest.mark.parametrize(
    ("is_used", "columns", "is_renewed"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"expires_at": from_now(HOUR)}, False),
        (True, {"expires_at": from_now(-1)}, False),
        (True, {"renews_early": False}, False),
        (True, {"throttled_until": from_now(60)}, False),
        (True, {"status": "NEEDS_RECONNECT"}, False),
    ],
    ids="used unused fresh ended short throttled lost".split(),  # noqa: SIM905
)
def test_the_sweep_renews_a_token_that_was_used_and_ends_soon(
    connection: Connection,
    zoho: Simulator,
    is_used: bool,
    columns: dict[str, Any],
    is_renewed: bool,
) -> None:
    if is_used:
        client_for(connection).organisation()
        usage.write_counts()
    connection.tokens.update(**{"expires_at": from_now(200), **columns})

    assert work.sweep() == ([connection.pk] if is_renewed else [])
    work.work(connection_id=connection.pk)

    assert refreshes(zoho) == is_renewed


def test_a_token_that_was_used_two_days_ago_is_not_renewed(
    connection: Connection, zoho: Simulator
) -> None:
    client_for(connection).organisation()
    usage.write_counts()
    ApiUsage.objects.update(hour=from_now(-2 * 24 * HOUR))
    let_expire(connection, 200)

    assert work.sweep() == []


def test_a_renewal_that_fails_is_left_to_the_next_sweep(
    connection: Connection, zoho: Simulator
) -> None:
    client_for(connection).organisation()
    usage.write_counts()
    let_expire(connection, 200)
    zoho.fail("refresh", "error_before", status=500)

    assert work.work(connection_id=connection.pk) is None

    assert stored(connection).throttled_until is not None
    assert work.sweep() == []


def test_a_renewal_that_is_impossible_is_logged(
    connection: Connection, zoho: Simulator, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client_for(connection).organisation()
    usage.write_counts()
    let_expire(connection, 200)
    settings.ZOHO_CRM |= {"ENCRYPTION_KEYS": [crypto.new_key()]}

    assert work.work(connection_id=connection.pk) is None

    assert "its access token was not renewed" in caplog.text


# Keys


def test_without_the_encryption_key_nothing_is_sent_or_overwritten(
    connection: Connection, zoho: Simulator, settings: Any
) -> None:
    let_expire(connection)
    before = Token.objects.values().get()
    settings.ZOHO_CRM |= {"ENCRYPTION_KEYS": [crypto.new_key()]}

    with pytest.raises(SecretUnreadableError) as caught:
        access_token(connection_id=connection.pk)

    assert crypto.key_id(ENCRYPTION_KEY) in str(caught.value)
    assert refreshes(zoho) == 0
    assert Token.objects.values().get() == before


@pytest.mark.parametrize("keys", [[], ["hunter2", ENCRYPTION_KEY]])
def test_a_token_that_could_not_be_stored_is_not_refreshed(
    connection: Connection, zoho: Simulator, settings: Any, keys: list[str]
) -> None:
    let_expire(connection)
    before = Token.objects.values().get()
    settings.ZOHO_CRM |= {"ENCRYPTION_KEYS": keys}

    with pytest.raises(ImproperlyConfigured):
        access_token(connection_id=connection.pk)

    assert refreshes(zoho) == 0
    assert Token.objects.values().get() == before


def test_an_older_encryption_key_still_decrypts(connection: Connection, settings: Any) -> None:
    new = crypto.new_key()
    let_expire(connection)
    settings.ZOHO_CRM |= {"ENCRYPTION_KEYS": [new, ENCRYPTION_KEY]}

    access_token(connection_id=connection.pk)

    after = stored(connection)
    assert crypto.key_id_of(after.access_token_cipher) == crypto.key_id(new)
    assert crypto.key_id_of(after.refresh_token_cipher) == crypto.key_id(ENCRYPTION_KEY)


def test_a_ciphertext_that_was_moved_to_another_column_is_refused(connection: Connection) -> None:
    Token.objects.update(access_token_cipher=stored(connection).refresh_token_cipher)

    with pytest.raises(SecretUnreadableError) as caught:
        access_token(connection_id=connection.pk)

    assert caught.value.code == "misplaced"


def test_a_connection_without_a_token_has_to_be_connected(connection: Connection) -> None:
    Token.objects.all().delete()

    with pytest.raises(ConnectionLostError) as caught:
        access_token(connection_id=connection.pk)

    assert caught.value.code == "not_connected"


# Silence


@pytest.mark.parametrize("on", ["refresh", "org"])
@pytest.mark.parametrize("do", [*TROUBLES, "throttle"])
def test_no_local_variable_of_a_failure_holds_a_secret(
    connection: Connection, zoho: Simulator, on: str, do: str
) -> None:
    let_expire(connection)
    zoho.fail(on, do)

    with pytest.raises(ZohoError) as caught:
        client_for(connection).organisation()

    shown = shown_by(caught.value)
    known = {*zoho.world.grants.access_tokens, *zoho.world.grants.refresh_tokens}
    secrets = [*known, "simulator-secret", ENCRYPTION_KEY]
    assert "tokens.py" in shown or "_auth.py" in shown or "_api.py" in shown
    assert not [secret for secret in secrets if secret in shown]


def test_no_log_message_holds_a_secret(
    zoho: Simulator, db: None, caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.DEBUG = True
    code = zoho.grant_code()

    connection = connect.with_grant_code(code=code, data_center="local")
    let_expire(connection)
    access_token(connection_id=connection.pk)
    known = {*zoho.world.grants.access_tokens, *zoho.world.grants.refresh_tokens, code}
    zoho.fail("any", "close_before")
    with pytest.raises(ZohoError):
        client_for(connection).organisation()
    connect.disconnect(connection_id=connection.pk)
    with pytest.raises(ZohoError):
        access_token(connection_id=connection.pk)

    assert len(known) == 4
    assert not [secret for secret in (*known, "simulator-secret") if secret in caplog.text]
    assert not [secret for secret in known if secret in repr(Token.objects.values())]


def test_a_token_with_a_short_lifetime_is_refreshed_at_its_expiry(
    zoho: Simulator, db: None
) -> None:
    zoho.world.settings = replace(zoho.world.settings, token_seconds=240)
    connection = connect.with_grant_code(code=zoho.grant_code(), data_center="local")

    assert access_token(connection_id=connection.pk) == access_token(connection_id=connection.pk)
    assert refreshes(zoho) == 0


# Of several users


def of_two_users(zoho: Simulator, connection: Connection) -> tuple[Token, Token]:
    """Return the default token of a connection, and that of another user of the organisation."""
    aiko = zoho.organisation.users[2]
    code = zoho.grant_code(user_id=aiko["id"])
    connect.with_grant_code(code=code, data_center="local")
    first, second = connection.tokens.order_by("pk")
    connection.tokens.filter(pk=first.pk).update(is_default=True)
    connection.tokens.filter(pk=second.pk).update(is_default=False)
    return first, second


def test_each_user_has_an_access_token(zoho: Simulator, connection: Connection) -> None:
    let_expire(connection)
    for token in of_two_users(zoho, connection):
        secret = access_token(connection_id=connection.pk, token_id=token.pk)
        known = zoho.world.grants.access_tokens[secret.reveal()]
        assert known.user_id == token.user_id

        usable = tokens.usable_token(connection_id=connection.pk, token_id=token.pk)
        assert usable.reveal("access_token") == secret
        assert usable.expires_at > datetime.now(UTC)


def test_a_token_of_another_connection_is_not_used(connection: Connection) -> None:
    with pytest.raises(ConnectionLostError):
        access_token(connection_id=connection.pk + 1, token_id=stored(connection).pk)


def test_a_user_who_withdraws_does_not_stop_the_connection(
    zoho: Simulator, connection: Connection
) -> None:
    first, second = of_two_users(zoho, connection)
    zoho.world.grants.revoke(second.reveal("refresh_token").reveal())
    let_expire(connection)

    with pytest.raises(ConnectionLostError):
        access_token(connection_id=connection.pk, token_id=second.pk)

    second.refresh_from_db()
    connection.refresh_from_db()
    assert (second.status, connection.status) == ("NEEDS_RECONNECT", "ACTIVE")
    event = connection.events.get(kind=ConnectionEvent.Kind.USER_LOST)
    assert event.details == {"code": "invalid_code", "user": second.user_email}
    assert access_token(connection_id=connection.pk)


def test_tokens_are_found_by_their_sha256(zoho: Simulator, connection: Connection) -> None:
    let_expire(connection)
    access_token(connection_id=connection.pk)

    token = stored(connection)
    for name in Token.HASHED:
        digest = hashlib.sha256(token.reveal(name).reveal().encode()).hexdigest()
        assert getattr(token, f"{name}_hash") == digest
