"""What the token store of Zoho's SDK keeps: whose it is, what is found, and what is never lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
import requests
from django.core.exceptions import ImproperlyConfigured
from django.db import connection as database
from django.db import connections
from django.test.utils import CaptureQueriesContext

from tests.grants import granted
from tests.in_memory import skip_in_memory
from zoho_crm import crypto
from zoho_crm.contrib.pytest import SimulatorAdapter, transport
from zoho_crm.exceptions import (
    ConnectionLostError,
    RequestRefusedError,
    SecretUnreadableError,
    TransientError,
)
from zoho_crm.models import Connection, SdkToken, Token, atomic, from_now
from zoho_crm.services import connect, kept_grants, keys, sdk_tokens
from zoho_crm.services.doctor import run_checks
from zoho_crm.services.purge import purge
from zoho_crm.services.sdk_rows import SdkGrant
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator
from zoho_crm.types import Secret

pytestmark = pytest.mark.django_db

ODD = "o'Brien\"; DROP TABLE zoho_crm_token; -- ',\n\\%s{}@nordwind.example"
NO_ORGANISATION = "ZohoCRM.modules.ALL"
#: Settings for a machine that does much else.
PATIENT = {"CALL_DEADLINE": 60, "REFRESH_LEASE": 90}


def grant_of(zoho: Simulator, user: dict[str, Any] | None = None, **code: Any) -> SdkGrant:
    """Return what the SDK saves after it has exchanged a code."""
    user = user or zoho.organisation.users[0]
    answer = granted(zoho, user_id=user["id"], **code)
    return SdkGrant(
        user_name=f"{user['email']}:{zoho.organisation.id[-9:]}",
        client_id=CLIENT_ID,
        client_secret=Secret(CLIENT_SECRET),
        refresh_token=Secret(answer["refresh_token"]),
        access_token=Secret(answer["access_token"]),
        api_domain=zoho.origin,
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )


def made_up(number: int, **values: Any) -> SdkGrant:
    """Return a grant that Zoho does not know."""
    values = {
        "client_id": f"1000.CLIENT{number}",
        "client_secret": Secret(f"secret {number}"),
        "refresh_token": Secret(f"1000.refresh.{number}"),
        "access_token": Secret(f"1000.access.{number}"),
        "user_name": f"user{number}@nordwind.example",
        "expires_at": datetime(2030, 1, 1, tzinfo=UTC),
        **values,
    }
    return SdkGrant(**values)


def found(sdk_id: str) -> SdkGrant:
    grant = sdk_tokens.find_by_id(sdk_id)
    assert grant is not None
    return grant


def refreshed(zoho: Simulator) -> int:
    count: int = zoho.stats()["tokens"]["refreshed"]
    return count


# A grant becomes a connection


def test_a_grant_becomes_a_token_of_a_connection(zoho: Simulator) -> None:
    grant = grant_of(zoho)

    sdk_id = sdk_tokens.save(grant)

    token = Token.objects.get()
    assert (token.user_email, token.from_sdk) == ("mara@nordwind.example", True)
    assert token.connection.status == "ACTIVE"
    kept = SdkToken.objects.get()
    assert not any(getattr(kept, f"{name}_cipher") for name in SdkToken.SECRETS)
    again = found(sdk_id)
    assert (again.user_name, again.refresh_token) == (grant.user_name, grant.refresh_token)
    assert (again.access_token, again.api_domain) == (grant.access_token, zoho.origin)
    assert refreshed(zoho) == 0


def test_two_users_of_an_organisation_are_two_tokens(zoho: Simulator) -> None:
    mara, tomas = (grant_of(zoho, user) for user in zoho.organisation.users[:2])

    ids = [sdk_tokens.save(grant) for grant in (mara, tomas)]

    assert Connection.objects.count() == 1
    assert [found(each).refresh_token for each in ids] == [mara.refresh_token, tomas.refresh_token]
    assert Token.objects.get(is_default=True).user_email == "mara@nordwind.example"


def test_a_renewed_consent_keeps_its_row(zoho: Simulator) -> None:
    first = sdk_tokens.save(grant_of(zoho))
    renewed = grant_of(zoho)

    assert sdk_tokens.find(renewed) is None  # so the SDK uses what it was given
    assert sdk_tokens.save(renewed) == first
    assert found(first).refresh_token == renewed.refresh_token
    assert Token.objects.count() == SdkToken.objects.count() == 1


def test_an_unchanged_grant_is_not_written(zoho: Simulator) -> None:
    sdk_id = sdk_tokens.save(grant_of(zoho))
    for grant in (made_up(1), found(sdk_id)):
        saved = sdk_tokens.save(grant)
        calls = len(zoho.stats()["calls"])
        with CaptureQueriesContext(database) as queries:
            assert sdk_tokens.save(replace(grant, id=saved)) == saved
            assert sdk_tokens.save(replace(grant, id="")) == saved
        assert not [each for each in queries if not each["sql"].startswith("SELECT")]
        assert len(zoho.stats()["calls"]) == calls


def test_a_known_id_with_a_new_refresh_token_keeps_its_name(zoho: Simulator) -> None:
    sdk_id = sdk_tokens.save(replace(grant_of(zoho), user_name="back office"))
    renewed = grant_of(zoho)

    nameless = SdkGrant(
        id=sdk_id, refresh_token=renewed.refresh_token, access_token=renewed.access_token
    )
    assert sdk_tokens.save(nameless) == sdk_id

    assert found(sdk_id).user_name == "back office"
    assert found(sdk_id).refresh_token == renewed.refresh_token


def test_a_refresh_token_of_another_user_does_not_replace_the_first(zoho: Simulator) -> None:
    mara, tomas = (grant_of(zoho, user) for user in zoho.organisation.users[:2])
    sdk_id = sdk_tokens.save(mara)

    other_id = sdk_tokens.save(replace(tomas, id=sdk_id, user_name=""))

    assert other_id != sdk_id
    assert found(sdk_id).refresh_token == mara.refresh_token
    assert found(other_id).refresh_token == tomas.refresh_token


def test_an_access_token_that_the_sdk_renewed_is_stored(zoho: Simulator) -> None:
    sdk_id = sdk_tokens.save(grant_of(zoho))
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    renewed = replace(found(sdk_id), access_token=Secret("1000.new"), expires_at=later)

    sdk_tokens.save(renewed)
    sdk_tokens.save(replace(renewed, access_token=Secret("1000.old"), expires_at=from_past()))

    assert found(sdk_id).access_token == Secret("1000.new")
    assert found(sdk_id).expires_at == later


def from_past() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


# What Zoho does not tell is kept


@pytest.mark.parametrize(
    "grant",
    [
        made_up(1),
        SdkGrant(access_token=Secret("1000.bare")),
        SdkGrant(
            grant_token=Secret("1000.code"), client_id=CLIENT_ID, client_secret=Secret("secret")
        ),
        made_up(1, user_name=ODD, client_id=ODD, client_secret=Secret(ODD), redirect_url=ODD),
        made_up(1, **{name: Secret("x" * 2048) for name in SdkToken.SECRETS}),
        made_up(1, api_domain="https://api.moon.example"),
    ],
    ids=["unknown", "access", "grant", "odd", "long", "elsewhere"],
)
def test_a_grant_is_kept_whatever_zoho_says(zoho: Simulator, grant: SdkGrant) -> None:
    sdk_id = sdk_tokens.save(grant)

    assert found(sdk_id) == replace(grant, id=sdk_id)
    assert sdk_tokens.save(grant) == sdk_id
    assert sdk_tokens.find(replace(grant, expires_at=None)) == found(sdk_id)
    assert not Token.objects.exists()
    text = str(SdkToken.objects.values(*(f"{name}_cipher" for name in SdkToken.SECRETS)))
    assert "1000." not in text
    warnings = [each.message for each in run_checks() if each.check == "tokens of the SDK"]
    assert len(warnings) == 1


def test_a_grant_that_hides_its_organisation_is_asked_again(zoho: Simulator) -> None:
    sdk_id = sdk_tokens.save(grant_of(zoho, scope=NO_ORGANISATION))
    assert SdkToken.objects.get().problem == "OAUTH_SCOPE_MISMATCH"
    asked = len(zoho.stats()["calls"])

    found(sdk_id)
    assert len(zoho.stats()["calls"]) == asked

    for refresh_token in zoho.world.grants.refresh_tokens.values():
        refresh_token.scopes = ("ZohoCRM.modules.ALL", "ZohoCRM.org.READ", "ZohoCRM.users.READ")
    zoho.world.grants.access_tokens.clear()
    SdkToken.objects.update(asked_at=from_now(-kept_grants.ASK_AGAIN_SECONDS))

    assert found(sdk_id).id == sdk_id
    assert Token.objects.get().user_email == "mara@nordwind.example"
    kept = SdkToken.objects.get()
    assert (kept.token, kept.problem) == (Token.objects.get(), "")
    assert not any(getattr(kept, f"{name}_cipher") for name in SdkToken.SECRETS)


def test_a_bare_access_token_becomes_a_connection_with_its_refresh_token(zoho: Simulator) -> None:
    """Alone it could not be renewed: the connection would be lost within the hour."""
    grant = grant_of(zoho)
    bare = SdkGrant(user_name=grant.user_name, access_token=grant.access_token)

    sdk_id = sdk_tokens.save(bare)

    assert found(sdk_id).access_token == grant.access_token
    assert not Connection.objects.exists()
    assert sdk_tokens.save(grant) == sdk_id
    assert Token.objects.get().user_email == "mara@nordwind.example"
    assert SdkToken.objects.get().token == Token.objects.get()


def test_a_bare_access_token_of_a_connection_is_the_connections(
    zoho: Simulator, connection: Connection
) -> None:
    token = connection.tokens.get()

    sdk_id = sdk_tokens.save(SdkGrant(access_token=token.reveal("access_token")))

    assert SdkToken.objects.get(pk=sdk_id).token == token
    assert found(sdk_id).refresh_token == token.reveal("refresh_token")


def test_an_outage_does_not_lose_a_grant(zoho: Simulator) -> None:
    grant = grant_of(zoho)
    zoho.fail("org", "error_before")

    sdk_id = sdk_tokens.save(grant)

    assert not Token.objects.exists()
    SdkToken.objects.update(asked_at=None)
    assert found(sdk_id).refresh_token == grant.refresh_token
    assert Token.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_in_a_transaction_a_grant_is_kept(zoho: Simulator) -> None:
    with atomic():
        sdk_id = sdk_tokens.save(grant_of(zoho))
        assert found(sdk_id)
    assert not Token.objects.exists()

    assert found(sdk_id)
    assert Token.objects.count() == 1


def test_nothing_is_not_stored(zoho: Simulator) -> None:
    with pytest.raises(RequestRefusedError, match="no refresh, access or grant token"):
        sdk_tokens.save(SdkGrant(user_name="mara@nordwind.example"))


# Which one is meant


def test_ids_are_never_given_twice(zoho: Simulator) -> None:
    ids = [sdk_tokens.save(made_up(number)) for number in range(25)]

    assert len(set(ids)) == 25
    for number, sdk_id in enumerate(ids):
        assert found(sdk_id).refresh_token == made_up(number).refresh_token


@pytest.mark.parametrize("sdk_id", ["0", "99", "-1", "1 OR 1=1", "", "²", "9" * 30])
def test_an_unknown_id_is_no_token(zoho: Simulator, sdk_id: str) -> None:
    assert sdk_tokens.find_by_id(sdk_id) is None
    assert sdk_tokens.delete(sdk_id) is False


def test_a_consent_given_in_the_admin_is_found_by_its_user(
    zoho: Simulator, connection: Connection
) -> None:
    for name in ("mara@nordwind.example", f"mara@nordwind.example:{zoho.organisation.id[-9:]}"):
        grant = sdk_tokens.find(SdkGrant(user_name=name))
        assert grant is not None
        assert grant.refresh_token == connection.tokens.get().reveal("refresh_token")
    for name in ("MARA@nordwind.example", "mara@nordwind.example ", "mara"):
        assert sdk_tokens.find(SdkGrant(user_name=name)) is None


def test_each_token_finds_its_row_and_no_other(zoho: Simulator) -> None:
    ids = [sdk_tokens.save(grant_of(zoho, user)) for user in zoho.organisation.users[:3]]
    client = {"client_id": CLIENT_ID, "client_secret": Secret(CLIENT_SECRET)}

    for sdk_id in ids:
        stored = found(sdk_id)
        assert sdk_tokens.find(SdkGrant(access_token=stored.access_token)) == stored
        assert sdk_tokens.find(SdkGrant(refresh_token=stored.refresh_token, **client)) == stored
    assert sdk_tokens.find(SdkGrant(access_token=Secret("1000.none"))) is None
    assert sdk_tokens.find(SdkGrant(refresh_token=Secret("1000.none"), **client)) is None
    other = replace(found(ids[0]), id="", client_id="1000.OTHER")
    assert sdk_tokens.find(other) is None


def test_one_user_through_two_clients_or_environments(zoho: Simulator) -> None:
    places = ("https://www.zohoapis.eu", "https://sandbox.zohoapis.eu")
    grants = [
        made_up(number, user_name="mara", client_id=client, api_domain=place)
        for number, (client, place) in enumerate(
            (client, place) for client in ("1000.A", "1000.B") for place in places
        )
    ]
    zoho.fail("refresh", "error_before", times=99)
    ids = [sdk_tokens.save(grant) for grant in grants]

    assert len(set(ids)) == 4
    for sdk_id, grant in zip(ids, grants, strict=True):
        wanted = SdkGrant(user_name="mara", client_id=grant.client_id, api_domain=grant.api_domain)
        assert sdk_tokens.find(wanted) == replace(grant, id=sdk_id)
    with pytest.raises(RequestRefusedError, match="Several"):
        sdk_tokens.find(SdkGrant(user_name="mara"))


def test_a_code_that_was_used_finds_what_it_became(zoho: Simulator) -> None:
    code = Secret("1000.code")
    sdk_id = sdk_tokens.save(replace(grant_of(zoho), grant_token=code))
    client = {"client_id": CLIENT_ID, "client_secret": Secret(CLIENT_SECRET)}

    again = sdk_tokens.find(SdkGrant(grant_token=code, **client))
    assert again is not None
    assert again.id == sdk_id
    assert sdk_tokens.find(SdkGrant(grant_token=Secret("1000.next"), **client)) is None


# What is handed out works


def test_what_is_found_was_renewed_here(zoho: Simulator) -> None:
    sdk_id = sdk_tokens.save(grant_of(zoho))
    Token.objects.update(expires_at=from_now(-1))
    zoho.world.grants.access_tokens.clear()

    grant = found(sdk_id)

    assert grant.access_token.reveal() in zoho.world.grants.access_tokens
    assert grant.expires_at is not None
    assert grant.expires_at > datetime.now(UTC) + timedelta(minutes=50)
    assert found(sdk_id).access_token == grant.access_token
    assert refreshed(zoho) == 1


def test_a_lost_consent_is_said_and_can_be_replaced(zoho: Simulator) -> None:
    sdk_id = sdk_tokens.save(grant_of(zoho))
    connect.disconnect(connection_id=Connection.objects.get().pk)
    with pytest.raises(ConnectionLostError):
        sdk_tokens.find_by_id(sdk_id)

    renewed = grant_of(zoho)
    assert sdk_tokens.find(renewed) is None
    assert sdk_tokens.save(renewed) == sdk_id
    assert found(sdk_id).refresh_token == renewed.refresh_token


def test_a_look_up_takes_one_query(
    zoho: Simulator, django_assert_num_queries: Callable[[int], Any]
) -> None:
    sdk_id = sdk_tokens.save(grant_of(zoho))

    with django_assert_num_queries(1):
        found(sdk_id)


def kept_by(zoho: Simulator, **columns: Any) -> str:
    """Return the id of a grant of which Zoho does not say whose it is."""
    sdk_id = sdk_tokens.save(grant_of(zoho, scope=NO_ORGANISATION))
    SdkToken.objects.filter(pk=sdk_id).update(**columns)
    return sdk_id


def test_a_kept_grant_is_renewed_here(zoho: Simulator) -> None:
    sdk_id = kept_by(zoho, expires_at=from_now(-1))

    grants = [found(sdk_id), found(sdk_id), sdk_tokens.find(replace(found(sdk_id), id=""))]

    assert refreshed(zoho) == 1
    assert not Token.objects.exists()
    for grant in grants:
        assert grant is not None
        assert grant.access_token.reveal() in zoho.world.grants.access_tokens
        assert grant.expires_at is not None
        assert grant.expires_at > datetime.now(UTC) + timedelta(minutes=50)


def test_a_kept_grant_that_only_the_sdk_can_renew_is_left_to_it(zoho: Simulator) -> None:
    for grant in (
        SdkGrant(access_token=Secret("1000.bare"), expires_at=from_past()),
        replace(grant_of(zoho), client_secret=Secret(""), expires_at=from_past()),
        replace(grant_of(zoho), api_domain="https://api.moon.example", expires_at=from_past()),
    ):
        sdk_id = sdk_tokens.save(replace(grant, user_name=""))
        assert found(sdk_id).access_token == grant.access_token
    assert refreshed(zoho) == 0


def test_a_kept_grant_that_another_process_moved_or_deleted_is_read_again(zoho: Simulator) -> None:
    grant = grant_of(zoho)
    zoho.fail("org", "error_before")
    sdk_id = sdk_tokens.save(grant)
    read_before = SdkToken.objects.get()
    SdkToken.objects.update(asked_at=None)
    found(sdk_id)

    assert kept_grants.usable(read_before).token == Token.objects.get()
    SdkToken.objects.all().delete()
    assert kept_grants.usable(read_before).token is None


class MeanwhileAdapter(SimulatorAdapter):
    """Does something once, while Zoho is asked for the organisation."""

    to_do: ClassVar[list[Callable[[], Any]]] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> Any:
        if (request.url or "").endswith("/org") and self.to_do:
            self.to_do.pop()()
        return super().send(request, *args, **more)


def meanwhile() -> MeanwhileAdapter:
    return MeanwhileAdapter(transport().simulator)


def test_a_grant_that_is_saved_while_zoho_is_asked_is_not_lost(
    zoho: Simulator, settings: Any
) -> None:
    zoho.fail("org", "error_before")
    sdk_id = sdk_tokens.save(grant_of(zoho))
    newer = replace(grant_of(zoho, scope=NO_ORGANISATION), id=sdk_id)
    SdkToken.objects.update(asked_at=None)
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "TRANSPORT": f"{__name__}.meanwhile"}
    MeanwhileAdapter.to_do.append(lambda: sdk_tokens.save(newer))

    sdk_tokens.find_by_id(sdk_id)

    assert not MeanwhileAdapter.to_do
    assert newer.refresh_token in [each.refresh_token for each in sdk_tokens.stored()]


def test_a_refresh_token_without_its_client_is_kept(zoho: Simulator) -> None:
    grant = grant_of(zoho)
    bare = replace(grant, refresh_token=Secret(""), client_id="", client_secret=Secret(""))
    sdk_id = sdk_tokens.save(bare)

    assert sdk_tokens.save(replace(bare, refresh_token=grant.refresh_token)) == sdk_id
    assert found(sdk_id).refresh_token == grant.refresh_token
    assert not Token.objects.exists()


def test_a_kept_grant_that_zoho_takes_back_is_said_and_can_be_replaced(zoho: Simulator) -> None:
    sdk_id = kept_by(zoho, expires_at=from_now(-1))
    zoho.world.grants.refresh_tokens.clear()

    for _ in range(2):
        with pytest.raises(ConnectionLostError, match="does not accept the grant of mara@"):
            sdk_tokens.find_by_id(sdk_id)
    assert zoho.stats()["tokens"]["refused"] == 1

    renewed = grant_of(zoho, scope=NO_ORGANISATION)
    assert sdk_tokens.find(renewed) is None
    assert sdk_tokens.save(renewed) == sdk_id
    assert found(sdk_id).refresh_token == renewed.refresh_token


def test_a_kept_grant_is_used_while_zoho_does_not_renew_it(zoho: Simulator) -> None:
    grant = grant_of(zoho, scope=NO_ORGANISATION)
    sdk_id = sdk_tokens.save(grant)
    zoho.fail("refresh", "error_before", times=9)

    SdkToken.objects.update(expires_at=from_now(60))
    assert found(sdk_id).access_token == grant.access_token
    SdkToken.objects.update(expires_at=from_now(-1), throttled_until=None)
    with pytest.raises(TransientError):
        sdk_tokens.find_by_id(sdk_id)


@pytest.mark.django_db(transaction=True)
def test_a_kept_grant_is_renewed_by_one_of_many(zoho: Simulator, settings: Any) -> None:
    skip_in_memory()
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, **PATIENT}
    sdk_id = kept_by(zoho, expires_at=from_now(-1))

    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(in_thread, lambda: found(sdk_id).access_token) for _ in range(8)]
        handed_out = {job.result() for job in jobs}

    assert len(handed_out) == 1
    assert refreshed(zoho) == 1


# Keys


def test_a_wrong_key_is_said_and_nothing_is_overwritten(zoho: Simulator, settings: Any) -> None:
    ids = [sdk_tokens.save(grant) for grant in (grant_of(zoho), made_up(1))]
    grants = [found(sdk_id) for sdk_id in ids]
    rows = [list(model.objects.values()) for model in (Token, SdkToken)]
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": [crypto.new_key()]}

    for grant in grants:
        with pytest.raises(SecretUnreadableError, match="is missing"):
            sdk_tokens.find_by_id(grant.id)
        with pytest.raises(SecretUnreadableError, match="is missing"):
            sdk_tokens.save(replace(grant, access_token=Secret("1000.new")))
    assert [list(model.objects.values()) for model in (Token, SdkToken)] == rows


def test_without_a_key_nothing_is_stored(zoho: Simulator, settings: Any) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": []}

    with pytest.raises(ImproperlyConfigured, match="ENCRYPTION_KEYS"):
        sdk_tokens.save(made_up(1))
    assert not SdkToken.objects.exists()


def test_a_rotation_of_keys_keeps_look_ups(zoho: Simulator, settings: Any) -> None:
    ids = [sdk_tokens.save(grant) for grant in (grant_of(zoho), made_up(1))]
    known = [found(sdk_id) for sdk_id in ids]
    new_key = crypto.new_key()
    settings.ZOHO_CRM["ENCRYPTION_KEYS"] = [new_key, *settings.ZOHO_CRM["ENCRYPTION_KEYS"]]

    assert set(keys.rotate().after.values()) == {6, 0}

    settings.ZOHO_CRM["ENCRYPTION_KEYS"] = [new_key]
    for grant in known:
        assert found(grant.id) == grant
        assert sdk_tokens.find(SdkGrant(access_token=grant.access_token)) == grant


# Deleting


def test_access_tokens_that_ended_long_ago_are_purged(zoho: Simulator) -> None:
    """A grant with a refresh token stays: it may become a connection at any time."""
    bare = SdkGrant(user_name="mara", access_token=Secret("1000.bare"))
    ids = [sdk_tokens.save(grant) for grant in (bare, made_up(1))]
    assert purge(execute=True).requests == 0
    SdkToken.objects.update(created_at=from_now(-100 * 86_400))

    sdk_tokens.save(replace(bare, access_token=Secret("1000.newer")))
    assert purge(execute=True).requests == 0
    SdkToken.objects.update(refreshed_at=from_now(-100 * 86_400))

    assert purge(execute=True).requests == 1
    assert [sdk_tokens.find_by_id(each) is None for each in ids] == [True, False]


def test_deleting_really_deletes(zoho: Simulator) -> None:
    mara, kept = (sdk_tokens.save(grant) for grant in (grant_of(zoho), made_up(1)))
    tomas = sdk_tokens.save(grant_of(zoho, zoho.organisation.users[1]))

    assert sdk_tokens.delete(mara)
    assert sdk_tokens.delete(kept)

    assert [sdk_tokens.find_by_id(each) for each in (mara, kept)] == [None, None]
    assert [each.id for each in sdk_tokens.stored()] == [tomas]
    connection = Connection.objects.get()
    assert connection.status == "NEEDS_RECONNECT"
    assert connection.events.filter(kind="forgotten").count() == 1

    sdk_tokens.delete_all()
    assert sdk_tokens.stored() == []
    assert not Token.objects.exists()
    sdk_tokens.save(grant_of(zoho))
    connection.refresh_from_db()
    assert (connection.status, connection.tokens.get().is_default) == ("ACTIVE", True)


def test_consents_given_in_the_admin_are_not_deleted(
    zoho: Simulator, connection: Connection
) -> None:
    sdk_tokens.save(made_up(1))
    sdk_tokens.save(grant_of(zoho, zoho.organisation.users[1]))
    (own, *_others) = sdk_tokens.stored()

    with pytest.raises(RequestRefusedError, match="Disconnect"):
        sdk_tokens.delete(own.id)
    with pytest.raises(RequestRefusedError, match="Disconnect"):
        sdk_tokens.delete_all()

    (left,) = sdk_tokens.stored()
    assert left.refresh_token == connection.tokens.get().reveal("refresh_token")


# At the same time


def in_thread(function: Callable[[], Any]) -> Any:
    try:
        return function()
    finally:
        connections.close_all()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_none_of_many_users_is_lost_or_mixed(zoho: Simulator) -> None:
    """Eight threads save eight users for three seconds."""
    skip_in_memory()
    while len(zoho.organisation.users) < 8:
        zoho.add_user()
    grants = [grant_of(zoho, user) for user in zoho.organisation.users[:8]]
    end = time.monotonic() + 3

    def keep_saving(number: int) -> SdkGrant:
        grant, saves = grants[number], 0
        # The first one saves the grant; on a slow machine it may take all the time.
        while saves < 2 or time.monotonic() < end:
            saves += 1
            expires_at = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=saves)
            access_token = Secret(f"1000.{number}.{saves}")
            grant = replace(grant, access_token=access_token, expires_at=expires_at)
            grant = replace(grant, id=sdk_tokens.save(grant if saves > 1 else grants[number]))
        return grant

    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(in_thread, lambda number=number: keep_saving(number)) for number in range(8)
        ]
        last = [job.result() for job in jobs]

    for number, grant in enumerate(last):
        assert found(grant.id).refresh_token == grants[number].refresh_token
        assert found(grant.id).access_token == grant.access_token
        assert found(grant.id).user_name == grants[number].user_name
    assert Token.objects.count() == 8
    assert Connection.objects.count() == 1
    assert Token.objects.filter(is_default=True).count() == 1
