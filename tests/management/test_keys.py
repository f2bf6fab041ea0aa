from __future__ import annotations

from typing import Any

import pytest

from tests.management.conftest import Run
from zoho_crm import crypto
from zoho_crm.contrib.pytest import ENCRYPTION_KEY
from zoho_crm.models import AuthorizationRequest, Connection, Token
from zoho_crm.services import connect, entered_clients, keys
from zoho_crm.simulator import Simulator
from zoho_crm.types import Secret

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW = ENCRYPTION_KEY, crypto.new_key()


@pytest.fixture
def use(settings: Any):
    def use_keys(*given: str) -> None:
        settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": list(given)}

    return use_keys


@pytest.fixture
def authorization(connection: Connection, admin_user: Any) -> AuthorizationRequest:
    """Return the request of a person who is at Zoho's consent page, with a client of their own."""
    mine: Any = {"user": admin_user, "session_key": Secret("s")}
    client = entered_clients.keep(**mine, client_id="1000.X", client_secret=Secret("entered"))
    client.refresh_from_db()
    connect.begin(**mine, redirect_uri="http://testserver/", client=client)
    return AuthorizationRequest.objects.get()


def test_a_new_key_encrypts(run: Run, zoho: Simulator, use: Any) -> None:
    ran = run("zoho_new_key")

    use(ran.out.strip())
    assert crypto.decrypt(crypto.encrypt(Secret("x"), place="here"), place="here") == Secret("x")
    assert "zoho_rotate_keys" in ran.err


def test_a_new_key_for_programs_comes_with_its_name(run: Run) -> None:
    line = run("zoho_new_key", "--format=json").line

    assert line["key_id"] == crypto.key_id(line["key"])


def test_two_keys_differ(run: Run) -> None:
    assert run("zoho_new_key").out != run("zoho_new_key").out


def test_rotation_moves_every_ciphertext_to_the_first_key(
    run: Run, connection: Connection, authorization: AuthorizationRequest, use: Any
) -> None:
    secret = Token.objects.get().reveal("refresh_token")
    use(NEW, OLD)

    lines = run("zoho_rotate_keys", "--format=json").lines

    use(NEW)
    assert lines == [
        {"key_id": crypto.key_id(NEW), "known": True, "first": True, "before": 0, "after": 5},
        {"key_id": crypto.key_id(OLD), "known": True, "first": False, "before": 5, "after": 0},
    ]
    assert Token.objects.get().reveal("refresh_token") == secret
    assert keys.unreadable() == {}


def test_rotation_can_be_repeated(run: Run, connection: Connection, use: Any) -> None:
    use(NEW, OLD)
    run("zoho_rotate_keys")
    before = Token.objects.values().get()

    ran = run("zoho_rotate_keys")

    assert ran.code == 0
    assert Token.objects.values().get() == before
    assert "may be removed" in ran.err


def test_what_cannot_be_read_stays_and_its_key_is_named(
    run: Run, connection: Connection, use: Any
) -> None:
    before = Token.objects.values().get()
    use(NEW)

    ran = run("zoho_rotate_keys")

    assert ran.code == 4
    assert crypto.key_id(OLD) in ran.err
    assert "is missing" in ran.out
    assert Token.objects.values().get() == before


def test_what_is_written_meanwhile_is_not_overwritten(connection: Connection, use: Any) -> None:
    use(NEW, OLD)
    (stale,) = [each for each in keys.ciphertexts() if each.secret == "access_token"]
    Token.objects.update(access_token_cipher="written meanwhile")

    assert not stale.encrypt_again()
    assert Token.objects.get().access_token_cipher == "written meanwhile"


def test_without_a_key_nothing_is_touched(run: Run, connection: Connection, use: Any) -> None:
    use()

    ran = run("zoho_rotate_keys")

    assert ran.code == 1
    assert "zoho_new_key" in ran.err
