"""The token store of this site does what the SDK's own stores do, and what they fail at."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.db import connection as database
from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
from zohocrmsdk.src.com.zoho.crm.api import Initializer
from zohocrmsdk.src.com.zoho.crm.api.dc import EUDataCenter
from zohocrmsdk.src.com.zoho.crm.api.exception import SDKException
from zohocrmsdk.src.com.zoho.crm.api.user_signature import UserSignature

from tests.grants import granted
from tests.in_memory import skip_in_memory
from tests.sdk.program import Sdk, current_user
from tests.single_flight.test_single_flight import ROOT, environment_at
from tests.zohos import two_environments
from zoho_crm import crypto
from zoho_crm.contrib import sdk as sdk_module
from zoho_crm.contrib.sdk import DjangoTokenStore, sdk_environment, sdk_session, sdk_token
from zoho_crm.models import Connection, Token, from_now
from zoho_crm.services import connect
from zoho_crm.services.doctor import run_checks
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sdk(zoho: Simulator, tmp_path: Path) -> Sdk:
    program = Sdk(zoho, tmp_path, "django")
    program.connect(grant_token=zoho.grant_code())
    return program


@pytest.fixture
def users(zoho: Simulator) -> Iterator[list[str]]:
    """The e-mail addresses of eight users who have consented."""
    while len(zoho.organisation.users) < 8:
        zoho.add_user()
    for user in zoho.organisation.users:
        code = zoho.grant_code(user_id=user["id"])
        connect.with_grant_code(code=code, data_center="local")
    return [user["email"] for user in zoho.organisation.users]


def token_with(**values: Any) -> OAuthToken:
    return OAuthToken(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, **values)


# In place of the SDK's own stores


def test_a_program_keeps_its_grant(zoho: Simulator, sdk: Sdk) -> None:
    (token,) = sdk.store.get_tokens()

    assert (
        token.get_user_signature().get_name()
        == f"mara@nordwind.example:{zoho.world.organisation.id[-9:]}"
    )
    assert Token.objects.get().from_sdk
    for again in (
        OAuthToken(id=token.get_id()),
        OAuthToken(user_signature=token.get_user_signature()),
        OAuthToken(access_token=token.get_access_token()),
        token_with(refresh_token=token.get_refresh_token()),
    ):
        Initializer.initialize(Initializer.initializer.environment, again, sdk.store)
        assert current_user().get_email() == "mara@nordwind.example"
    assert zoho.stats()["tokens"] == {"exchanged": 1, "refreshed": 0, "refused": 0}


def test_a_used_grant_token_is_not_exchanged_again(zoho: Simulator, tmp_path: Path) -> None:
    code = zoho.grant_code()
    for _start in range(2):
        Sdk(zoho, tmp_path, "django").connect(grant_token=code)

    assert zoho.stats()["tokens"]["exchanged"] == 1
    assert current_user().get_email() == "mara@nordwind.example"


def test_find_token_fills_the_object_that_was_given(sdk: Sdk) -> None:
    (stored,) = sdk.store.get_tokens()
    wanted = OAuthToken(user_signature=stored.get_user_signature())

    assert sdk.store.find_token(wanted) is wanted
    assert wanted.get_refresh_token() == stored.get_refresh_token()
    assert int(wanted.get_expires_in()) == int(stored.get_expires_in())
    assert sdk.store.find_token(OAuthToken(user_signature=UserSignature("nobody"))) is None


def test_an_unknown_id_is_an_error_of_the_sdk(sdk: Sdk) -> None:
    for use in (sdk.store.find_token_by_id, sdk.store.delete_token):
        with pytest.raises(SDKException, match="no token of the id 99"):
            use("99")


def test_a_bare_access_token_is_kept_and_works(zoho: Simulator, tmp_path: Path) -> None:
    program = Sdk(zoho, tmp_path, "django")
    token = OAuthToken(access_token=granted(zoho)["access_token"])

    Initializer.initialize(_environment(zoho), token, program.store, resource_path=str(tmp_path))

    assert token.get_id()
    assert current_user().get_email() == "mara@nordwind.example"
    assert not Connection.objects.exists()


def _environment(zoho: Simulator) -> Any:
    connection = Connection(data_center="local", environment="production")
    return sdk_environment(connection)


def test_a_refresh_token_alone_becomes_a_connection(zoho: Simulator, tmp_path: Path) -> None:
    Sdk(zoho, tmp_path, "django").connect(refresh_token=granted(zoho)["refresh_token"])

    assert Token.objects.get().connection.status == "ACTIVE"
    assert zoho.stats()["tokens"]["refreshed"] == 1


def test_revoke_revokes_the_right_one(zoho: Simulator, sdk: Sdk, tmp_path: Path) -> None:
    aiko = zoho.organisation.users[2]
    mine = sdk.store.get_tokens()[0]
    other = Sdk(zoho, tmp_path, "django").connect(grant_token=zoho.grant_code(user_id=aiko["id"]))

    assert other.revoke(other.get_id()) is True

    assert set(zoho.world.grants.refresh_tokens) == {mine.get_refresh_token()}


def test_deleting_deletes_what_came_through_the_store(
    zoho: Simulator, connection: Connection, tmp_path: Path
) -> None:
    (consent,) = DjangoTokenStore().get_tokens()
    aiko = zoho.grant_code(user_id=zoho.organisation.users[2]["id"])
    token = Sdk(zoho, tmp_path, "django").connect(grant_token=aiko)

    with pytest.raises(SDKException, match="Disconnect"):
        DjangoTokenStore().delete_token(consent.get_id())
    assert token.remove() is True
    assert [each.get_id() for each in DjangoTokenStore().get_tokens()] == [consent.get_id()]


def test_the_program_chooses_its_environment_where_the_answer_does_not_tell_it(
    settings: Any,
) -> None:
    """Zoho may name the API of production in the answer for a sandbox."""
    with two_environments(settings) as zohos:
        connect.with_grant_code(code=zohos.production.grant_code(), data_center="eu")
        token = token_with(
            refresh_token=granted(zohos.sandbox)["refresh_token"],
            api_domain="https://www.zohoapis.eu",
            user_signature=UserSignature("mara@nordwind.example"),
        )
        Initializer.LOCAL.init = Initializer()
        Initializer.LOCAL.init.environment = EUDataCenter.SANDBOX()
        DjangoTokenStore().save_token(token)

        found = DjangoTokenStore().find_token_by_id(token.get_id())
        wanted = OAuthToken(user_signature=UserSignature("mara@nordwind.example"))
        by_name = DjangoTokenStore().find_token(wanted)

    assert found.get_api_domain() == EUDataCenter.SANDBOX().url
    assert (by_name.get_id(), by_name.get_refresh_token()) == (
        token.get_id(),
        token.get_refresh_token(),
    )


# Errors


def test_an_error_while_saving_is_logged(sdk: Sdk, settings: Any, caplog: Any) -> None:
    """The SDK swallows it, so it is logged here."""
    (token,) = sdk.store.get_tokens()
    token.set_access_token("1000.new")
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": [crypto.new_key()]}

    with pytest.raises(SDKException, match="is missing"):
        sdk.store.save_token(token)

    assert "was not stored" in caplog.text
    assert token.get_refresh_token() not in caplog.text


def failures() -> list[str]:
    checks = [each for each in run_checks() if each.check == "saving tokens of the SDK"]
    return [f"{each.message} {each.fix}" for each in checks]


def test_the_doctor_shows_an_error_while_saving_until_the_token_is_saved(
    sdk: Sdk, settings: Any
) -> None:
    (token,) = sdk.store.get_tokens()
    token.set_access_token("1000.new")
    keys = settings.ZOHO_CRM["ENCRYPTION_KEYS"]
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": [crypto.new_key()]}
    for _ in range(2):
        with pytest.raises(SDKException):
            sdk.store.save_token(token)

    (shown,) = failures()
    assert "1 could not be stored" in shown
    assert f"{token.get_user_signature().get_name()} (" in shown
    assert "This ends once the token is stored." in shown

    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": keys}
    sdk.store.save_token(token)
    assert failures() == []


def test_a_grant_without_a_name_is_known_again_by_its_token(sdk: Sdk, settings: Any) -> None:
    token = OAuthToken(access_token="1000.bare")
    keys = settings.ZOHO_CRM["ENCRYPTION_KEYS"]
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": []}
    with pytest.raises(SDKException):
        sdk.store.save_token(token)

    (shown,) = failures()
    assert "1000.bare" not in shown
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": keys}
    sdk.store.save_token(OAuthToken(access_token="1000.other"))
    assert len(failures()) == 1
    sdk.store.save_token(token)
    assert failures() == []


def test_a_database_that_is_gone_is_said(sdk: Sdk, caplog: Any) -> None:
    (token,) = sdk.store.get_tokens()

    def gone(*_args: Any) -> None:
        raise OperationalError("server closed the connection")

    caplog.set_level(logging.ERROR)
    with (
        database.execute_wrapper(gone),
        pytest.raises(SDKException, match="closed the connection"),
    ):
        sdk.store.save_token(token)

    assert "was not stored" in caplog.text


def test_a_token_is_saved_once_the_database_is_back(
    zoho: Simulator, sdk: Sdk, tmp_path: Path
) -> None:
    """Writing fails after Zoho was asked: the grant is kept without a connection meanwhile."""

    def locked(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith(("INSERT", "UPDATE")) and "zoho_crm_sdktoken" not in sql:
            raise OperationalError("database is locked")
        return execute(sql, *rest)

    code = zoho.grant_code(user_id=zoho.organisation.users[2]["id"])
    with database.execute_wrapper(locked):
        token = Sdk(zoho, tmp_path, "django").connect(grant_token=code)
    assert Token.objects.count() == 1

    assert current_user().get_email() == "aiko@nordwind.example"
    assert Token.objects.count() == 2
    assert token.get_id()


# Sessions


def test_a_session_restores_what_was_there(zoho: Simulator, sdk: Sdk, users: list[str]) -> None:
    with sdk_session(user=users[2]):
        assert current_user().get_email() == users[2]
        with sdk_session(user=users[1]):
            assert current_user().get_email() == users[1]
        assert current_user().get_email() == users[2]
    assert current_user().get_email() == "mara@nordwind.example"


@pytest.mark.parametrize("chosen", ["pk", "name", None])
def test_a_session_needs_no_initialize(connection: Connection, chosen: str | None) -> None:
    with sdk_session(getattr(connection, chosen) if chosen else connection):
        assert current_user().get_email() == "mara@nordwind.example"
    assert Initializer.get_initializer() is None


def test_token_and_environment_are_those_of_the_connection(
    zoho: Simulator, connection: Connection, tmp_path: Path
) -> None:
    Initializer.initialize(
        sdk_environment(connection), sdk_token(), DjangoTokenStore(), resource_path=str(tmp_path)
    )

    assert current_user().get_email() == "mara@nordwind.example"
    for path in tmp_path.rglob("*"):
        assert "1000." not in path.name


def test_threads_act_as_the_users_of_their_sessions(
    zoho: Simulator, users: list[str], settings: Any
) -> None:
    """64 threads of eight users call at once."""
    skip_in_memory()
    # On a machine that does much else, a call takes longer.
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CALL_DEADLINE": 60, "REFRESH_LEASE": 90}
    Token.objects.update(expires_at=from_now(-1))

    def acting_as(user: str) -> str:
        try:
            with sdk_session(user=user):
                email: str = current_user().get_email()
                return email
        finally:
            connections.close_all()

    wanted = users * 8
    with ThreadPoolExecutor(64) as pool:
        assert list(pool.map(acting_as, wanted)) == wanted
    assert zoho.stats()["tokens"]["refreshed"] == 8


def test_all_threads_have_one_folder_for_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one would be deleted while it is used."""
    both, made = threading.Barrier(2), list[Any]()

    def when_both_are_here(_process: int) -> Any:
        with suppress(threading.BrokenBarrierError):
            both.wait(timeout=0.5)
        made.append(SimpleNamespace(name=str(len(made))))
        return made[-1]

    monkeypatch.setattr(sdk_module, "_folder_of", lru_cache(maxsize=1)(when_both_are_here))
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(sdk_module._temporary_folder) for _ in range(2)]

    assert [each.result() for each in found] == ["0", "0"]


@pytest.mark.slow
def test_many_processes_refresh_once(zoho: Simulator, connection: Connection) -> None:
    """Each of the SDK's own stores would refresh in each of eight processes."""
    skip_in_memory()
    connection.tokens.update(expires_at=from_now(-1))
    program = [sys.executable, "-W", "ignore", "-m", "tests.sdk.caller"]
    options: dict[str, Any] = {"env": environment_at(zoho), "cwd": ROOT, "text": True}
    callers = [subprocess.Popen(program, stdout=subprocess.PIPE, **options) for _ in range(8)]

    said = [caller.communicate(timeout=300)[0].strip() for caller in callers]

    assert said == ["mara@nordwind.example"] * 8
    assert zoho.stats()["tokens"]["refreshed"] == 1
