"""A token at hand: a call reads no table, and what is withdrawn is not used much longer."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections, models, transaction

from tests.clock import age
from tests.services.test_tokens import refreshes, stored
from tests.services.test_users import add_user
from zoho_crm.exceptions import ConnectionLostError
from zoho_crm.models import (
    Connection,
    Token,
    connections_at_hand,
    from_now,
    tokens_at_hand,
)
from zoho_crm.services import usage, users
from zoho_crm.services.clients import client_for
from zoho_crm.services.connect import disconnect
from zoho_crm.services.connections import connection_at_hand
from zoho_crm.services.tokens import access_token, refresh
from zoho_crm.simulator import Simulator
from zoho_crm.types import Secret

pytestmark = pytest.mark.django_db(transaction=True)


def in_another_process() -> models.QuerySet[Token]:
    """Return the tokens as another process has them: its writes are not noticed in this one."""
    return models.QuerySet(Token)


def token_at_hand(connection: Connection) -> Secret:
    """Return the access token of a connection, which is at hand from now on."""
    token = access_token(connection_id=connection.pk)
    assert tokens_at_hand.find((connection.pk, None)) == token
    return token


def keep(connection: Connection, token: Secret) -> None:
    """Keep an access token as if it had been read just now."""
    tokens_at_hand.keep((connection.pk, None), token, tokens_at_hand.times_forgotten)
    connections.close_all()


def test_a_call_with_a_token_at_hand_asks_no_database(
    connection: Connection, django_assert_num_queries: Any
) -> None:
    token_at_hand(connection)

    with django_assert_num_queries(0):
        assert client_for(connection).organisation().id == connection.org_id


def test_after_30_seconds_the_row_is_read_again(
    connection: Connection, django_assert_num_queries: Any
) -> None:
    token = token_at_hand(connection)

    age(29)
    with django_assert_num_queries(0):
        access_token(connection_id=connection.pk)
    age(1)
    with django_assert_num_queries(1):
        assert access_token(connection_id=connection.pk) == token


def test_a_token_that_another_process_revoked_is_used_for_30_seconds_at_most(
    connection: Connection,
) -> None:
    token = token_at_hand(connection)
    in_another_process().update(status=Token.Status.REVOKED)

    assert access_token(connection_id=connection.pk) == token
    age(30)
    with pytest.raises(ConnectionLostError):
        access_token(connection_id=connection.pk)


def test_another_default_of_another_process_is_used_after_30_seconds(
    connection: Connection, zoho: Simulator
) -> None:
    other = add_user(zoho)
    token = token_at_hand(connection)
    in_another_process().update(
        is_default=models.Case(models.When(pk=other.pk, then=True), default=False)
    )

    assert access_token(connection_id=connection.pk) == token
    age(30)
    assert access_token(connection_id=connection.pk) == other.reveal("access_token")


def test_the_first_401_forgets_it(connection: Connection, zoho: Simulator) -> None:
    token = token_at_hand(connection)
    zoho.world.grants.revoke(token.reveal())
    in_another_process().update(status=Token.Status.REVOKED)

    with pytest.raises(ConnectionLostError):
        client_for(connection).organisation()

    assert tokens_at_hand.find((connection.pk, None)) is None
    assert refreshes(zoho) == 0


def test_after_a_401_the_token_that_another_process_got_is_used(
    connection: Connection, zoho: Simulator
) -> None:
    token = token_at_hand(connection)
    refresh(connection_id=connection.pk, generation=stored(connection).generation)
    new = stored(connection).reveal("access_token")
    keep(connection, token)
    zoho.world.grants.revoke(token.reveal())

    client_for(connection).organisation()

    assert access_token(connection_id=connection.pk) == new
    assert refreshes(zoho) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda connection, other: disconnect(connection_id=connection.pk),
        lambda connection, other: users.make_default(token_id=other.pk),
        lambda connection, other: refresh(
            connection_id=connection.pk,
            generation=connection.tokens.get(is_default=True).generation,
        ),
        lambda connection, other: connection.tokens.all().delete(),
    ],
    ids=["disconnected", "other default", "refreshed", "deleted"],
)
def test_what_this_process_changes_takes_effect_at_once(
    connection: Connection, zoho: Simulator, change: Callable[[Connection, Token], Any]
) -> None:
    other = add_user(zoho)
    token = token_at_hand(connection)

    change(connection, other)

    try:
        assert access_token(connection_id=connection.pk) != token
    except ConnectionLostError:
        assert not connection.tokens.filter(is_default=True, status="ACTIVE").exists()


def test_a_token_that_was_read_before_a_change_is_not_kept_after_it(
    connection: Connection,
) -> None:
    token = token_at_hand(connection)
    before = tokens_at_hand.times_forgotten

    connection.tokens.update(status=Token.Status.REVOKED)
    tokens_at_hand.keep((connection.pk, None), token, before)

    assert tokens_at_hand.find((connection.pk, None)) is None


def test_what_was_kept_while_a_transaction_changed_it_is_forgotten_at_its_end(
    connection: Connection,
) -> None:
    token = token_at_hand(connection)

    with transaction.atomic():
        connection.tokens.update(status=Token.Status.REVOKED)
        # Another thread still reads the old row.
        with ThreadPoolExecutor() as pool:
            pool.submit(keep, connection, token).result()
        assert tokens_at_hand.find((connection.pk, None)) == token

    with pytest.raises(ConnectionLostError):
        access_token(connection_id=connection.pk)


def test_inside_a_transaction_nothing_new_is_kept(connection: Connection) -> None:
    tokens_at_hand.forget()

    with transaction.atomic():
        access_token(connection_id=connection.pk)

    assert tokens_at_hand.find((connection.pk, None)) is None


@pytest.mark.parametrize(
    "columns",
    [
        lambda: {"expires_at": from_now(320)},
        lambda: {"expires_at": from_now(31), "renews_early": False},
    ],
    ids=["soon to be refreshed", "soon to expire"],
)
def test_a_token_that_ends_soon_is_not_kept(
    connection: Connection, columns: Callable[[], dict[str, Any]]
) -> None:
    connection.tokens.update(**columns())

    access_token(connection_id=connection.pk)

    assert tokens_at_hand.find((connection.pk, None)) is None


def test_tokens_of_users_and_of_the_default_are_kept_apart(
    connection: Connection, zoho: Simulator
) -> None:
    other = add_user(zoho)
    token = token_at_hand(connection)

    of_user = access_token(connection_id=connection.pk, token_id=other.pk)

    assert of_user != token
    assert access_token(connection_id=connection.pk) == token
    assert access_token(connection_id=connection.pk, token_id=other.pk) == of_user


def test_a_default_connection_at_hand_is_not_read_again(
    connection: Connection, django_assert_num_queries: Any
) -> None:
    client_for().organisation()

    with django_assert_num_queries(0):
        assert client_for().organisation().id == connection.org_id
    age(30)
    with django_assert_num_queries(1):
        client_for()


@pytest.mark.parametrize(
    "change",
    [
        lambda other: other.set_default(),
        lambda other: Connection.objects.exclude(pk=other.pk).update(is_default=False),
        lambda other: Connection.objects.create(name="third", org_id="3", is_default=True),
    ],
    ids=["default", "updated", "created"],
)
def test_another_default_connection_of_this_process_is_used_at_once(
    connection: Connection, change: Callable[[Connection], Any]
) -> None:
    other = Connection.objects.create(name="other", data_center="local", org_id="2")
    connection.set_default()
    before = connection_at_hand(None)
    assert connection_at_hand(None) is before

    change(other)

    assert connections_at_hand.find(None) is None


def test_a_forked_process_begins_without_tokens_and_counts(connection: Connection) -> None:
    token_at_hand(connection)
    client_for(connection).organisation()
    assert not usage.counted_calls.is_empty

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which pytest-xdist has
        child = os.fork()
    if not child:
        has_some = bool(tokens_at_hand._kept) or not usage.counted_calls.is_empty
        os._exit(has_some)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert tokens_at_hand.find((connection.pk, None)) is not None


def test_a_test_begins_without_tokens_and_counts(connection: Connection, settings: Any) -> None:
    token_at_hand(connection)
    client_for(connection).organisation()

    settings.ZOHO_CRM = {**settings.ZOHO_CRM}  # as the fixture ``zoho`` does, and its end

    assert tokens_at_hand.find((connection.pk, None)) is None
    assert usage.counted_calls.is_empty


def test_secrets_at_hand_are_not_shown(connection: Connection) -> None:
    token = token_at_hand(connection)

    assert token.reveal() not in repr(vars(tokens_at_hand))
