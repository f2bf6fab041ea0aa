"""Becoming allowed to speak for an organisation, in every data center, and giving it up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from tests.services.simulators import using_simulator
from zoho_crm import crypto
from zoho_crm.conf import SCOPES
from zoho_crm.contrib.pytest import ENCRYPTION_KEY
from zoho_crm.datacenters import DATA_CENTERS
from zoho_crm.exceptions import (
    ClientRejectedError,
    ConnectionLostError,
    GrantRefusedError,
    PermissionDeniedError,
    SecretUnreadableError,
    TokenThrottledError,
    TransientError,
    ZohoError,
)
from zoho_crm.models import AuthorizationRequest, Connection, ConnectionEvent, Token, from_now
from zoho_crm.services import connect, entered_clients
from zoho_crm.services.clients import client_for
from zoho_crm.services.connect import (
    check_connection,
    disconnect,
    forget,
    missing_scopes,
    with_grant_code,
)
from zoho_crm.services.tokens import access_token
from zoho_crm.simulator import CLIENT_ID, Addresses, Simulator, SimulatorSettings
from zoho_crm.types import Secret

ENVIRONMENTS = ("production", "sandbox", "developer")
BACK = "http://127.0.0.1:8000/zoho/oauth/callback/"


def by_code(zoho: Simulator, **order: Any) -> Connection:
    order = {"code": zoho.grant_code(), "data_center": "local", **order}
    return with_grant_code(**order)


def refused(zoho: Simulator, **order: Any) -> ZohoError:
    """Return why a code was not taken; nothing is remembered then."""
    with pytest.raises(ZohoError) as caught:
        by_code(zoho, **order)
    assert not Connection.objects.exists()
    assert not Token.objects.exists()
    return caught.value


def exchanged(zoho: Simulator) -> int:
    count: int = zoho.stats()["tokens"]["exchanged"]
    return count


pytestmark = pytest.mark.django_db


# By a grant code


def test_a_code_becomes_a_connection_with_all_that_zoho_says(zoho: Simulator) -> None:
    connection = by_code(zoho, name="Nordwind")

    connection.refresh_from_db()
    assert connection.name == str(connection) == "Nordwind"
    assert (connection.data_center, connection.environment) == ("local", "production")
    assert (connection.org_id, connection.org_name) == (zoho.organisation.id, "Nordwind Trading")
    assert (connection.edition, connection.status) == ("enterprise", "ACTIVE")
    assert connection.is_default
    assert {"Last_Name", "Company", "Email"} <= set(connection.mapped_fields)
    token = connection.tokens.get()
    assert token.user_id == zoho.organisation.current_user["id"]
    assert (token.user_name, token.user_email) == ("Mara Lind", "mara@nordwind.example")
    assert (token.client_id, token.status, token.is_default) == (CLIENT_ID, "ACTIVE", True)
    assert set(SCOPES) <= set(token.scopes)
    assert token.reveal("client_secret").reveal() == "simulator-secret"
    assert token.reveal("refresh_token").reveal() in zoho.world.grants.refresh_tokens
    assert connection.events.get().kind == ConnectionEvent.Kind.CONNECTED


def test_columns_hold_ciphertext_of_the_first_key(zoho: Simulator) -> None:
    row = Token.objects.filter(connection=by_code(zoho)).values().get()

    ciphers = [row[f"{word}_cipher"] for word in Token.SECRETS]
    assert {crypto.key_id_of(cipher) for cipher in ciphers} == {crypto.key_id(ENCRYPTION_KEY)}
    assert "1000." not in "".join(ciphers)


def test_who_connected_is_remembered(zoho: Simulator, admin_user: User) -> None:
    assert by_code(zoho, by=admin_user).events.get().by == admin_user


def test_blanks_around_a_code_do_not_matter(zoho: Simulator) -> None:
    assert by_code(zoho, code=f"  {zoho.grant_code()}\n")


@pytest.mark.parametrize("code", ["", "  \n"])
def test_an_empty_code_is_not_sent(zoho: Simulator, code: str) -> None:
    error = refused(zoho, code=code)

    assert (type(error), error.code) == (GrantRefusedError, "no_code")
    assert zoho.stats()["calls"] == []


def test_a_wrong_code_is_refused(zoho: Simulator) -> None:
    error = refused(zoho, code="1000.wrong")

    assert (type(error), error.code) == (GrantRefusedError, "invalid_code")
    causes = ("expired", "used before", "another data center", "another client")
    places = [str(error).index(cause) for cause in causes]
    assert places == sorted(places)


def test_an_expired_code_is_refused(zoho: Simulator) -> None:
    code = zoho.grant_code(seconds=60)
    zoho.advance(61)

    assert refused(zoho, code=code).code == "invalid_code"


def test_a_code_is_good_for_one_connection(zoho: Simulator) -> None:
    code = zoho.grant_code()
    by_code(zoho, code=code)

    with pytest.raises(GrantRefusedError):
        by_code(zoho, code=code)

    assert Connection.objects.count() == Token.objects.count() == 1


def test_a_wrong_client_secret_is_the_administrators(zoho: Simulator, settings: Any) -> None:
    settings.ZOHO_CRM |= {"CLIENT_SECRET": "wrong"}

    error = refused(zoho)

    assert (type(error), error.code) == (ClientRejectedError, "invalid_client_secret")


def test_a_self_client_brings_its_own_secret(zoho: Simulator, settings: Any) -> None:
    settings.ZOHO_CRM |= {"CLIENT_ID": "", "CLIENT_SECRET": ""}

    own = {"client_id": CLIENT_ID, "client_secret": Secret("simulator-secret")}
    connection = by_code(zoho, **own)

    assert connection.tokens.get().reveal("client_secret") == own["client_secret"]
    assert access_token(connection_id=connection.pk)


@pytest.mark.parametrize("secret", [None, Secret("")])
def test_the_secret_of_another_client_is_not_used_for_it(
    zoho: Simulator, secret: Secret | None
) -> None:
    error = refused(zoho, client_id="1000.SELF", client_secret=secret)

    assert (type(error), error.code) == (ClientRejectedError, "no_client_secret")
    assert zoho.stats()["calls"] == []


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ({"data_center": "uk"}, "us, eu, in, au, cn, jp, ca, sa, local"),
        ({"environment": "staging"}, "production, sandbox, developer"),
    ],
)
def test_a_place_that_zoho_does_not_have_is_named_before_the_code_is_used(
    zoho: Simulator, order: dict[str, str], text: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=text):
        by_code(zoho, **order)

    assert zoho.stats()["calls"] == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ENCRYPTION_KEYS": []}, "zoho_new_key"),
        ({"ENCRYPTION_KEYS": ["hunter2"]}, "no Fernet key"),
        ({"CLIENT_ID": ""}, "CLIENT_ID"),
        ({"CLIENT_SECRET": ""}, "CLIENT_SECRET"),
    ],
)
def test_what_is_missing_here_is_noticed_while_the_code_is_still_good(
    zoho: Simulator, settings: Any, changes: dict[str, Any], text: str
) -> None:
    code, sound = zoho.grant_code(), settings.ZOHO_CRM
    settings.ZOHO_CRM = sound | changes

    with pytest.raises(ImproperlyConfigured, match=text):
        by_code(zoho, code=code)

    assert zoho.stats()["calls"] == []
    settings.ZOHO_CRM = sound
    assert by_code(zoho, code=code)


def test_without_a_refresh_token_there_is_no_connection(zoho: Simulator) -> None:
    granted = {"access_token": "1000.a", "api_domain": zoho.origin, "expires_in": 3600}
    zoho.fail("exchange", "error_before", status=200, body=granted)

    error = refused(zoho)

    assert (type(error), error.code) == (GrantRefusedError, "no_refresh_token")
    assert "refresh token" in str(error)


@pytest.mark.parametrize(
    ("api_domain", "code", "advice"),
    [
        ("https://evil.example", "unknown_api_server", "EXTRA_DATA_CENTERS"),
        ("https://www.zohoapis.eu@evil.example", "unknown_api_server", "EXTRA_DATA_CENTERS"),
        ("https://www.zohoapis.com", "other_data_center", "Choose United States"),
        ("https://sandbox.zohoapis.eu", "other_data_center", "Choose Europe"),
    ],
)
def test_a_token_is_not_tried_at_a_server_of_another_name(
    zoho: Simulator, api_domain: str, code: str, advice: str
) -> None:
    granted = {"access_token": "1000.a", "refresh_token": "1000.r", "api_domain": api_domain}
    zoho.fail("exchange", "error_before", status=200, body=granted)

    error = refused(zoho)

    assert (type(error), error.code) == (GrantRefusedError, code)
    assert advice in str(error)
    called = [call["path"] for call in zoho.stats()["calls"]]
    assert called == ["/oauth/v2/token", "/oauth/v2/token/revoke"]


def test_an_answer_that_names_no_server_is_as_good(zoho: Simulator) -> None:
    real = zoho.grant_code()
    session = by_code(zoho, code=real).tokens.get()
    granted = {
        "access_token": session.reveal("access_token").reveal(),
        "refresh_token": session.reveal("refresh_token").reveal(),
    }
    zoho.fail("exchange", "error_before", status=200, body=granted)

    again = by_code(zoho)

    assert again.tokens.get().scopes == list(SCOPES)


def test_a_code_of_another_environment_is_told_by_the_organisation(zoho: Simulator) -> None:
    zoho.world.settings = replace(zoho.world.settings, environment="sandbox")

    error = refused(zoho)

    assert (type(error), error.code) == (GrantRefusedError, "other_environment")
    assert "sandbox" in str(error)


def test_a_code_of_another_environment_is_told_by_a_token_that_is_unknown_there(
    zoho: Simulator,
) -> None:
    body = {"code": "INVALID_TOKEN", "details": {}, "message": "no", "status": "error"}
    zoho.fail("org", "error_before", status=401, body=body)

    error = refused(zoho, environment="developer")

    assert (type(error), error.code) == (GrantRefusedError, "other_environment")
    assert "developer" in str(error)


def test_who_may_not_read_the_organisation_may_not_connect(zoho: Simulator) -> None:
    code = zoho.grant_code("ZohoCRM.modules.ALL,ZohoCRM.users.READ")

    assert type(refused(zoho, code=code)) is PermissionDeniedError


def test_who_may_not_read_the_fields_may_connect(zoho: Simulator) -> None:
    code = zoho.grant_code("ZohoCRM.modules.ALL,ZohoCRM.users.READ,ZohoCRM.org.READ")

    connection = by_code(zoho, code=code)

    assert connection.mapped_fields == []
    assert connection.tokens.get().scopes == [
        "ZohoCRM.modules.ALL",
        "ZohoCRM.users.READ",
        "ZohoCRM.org.READ",
    ]


@pytest.mark.parametrize("on", ["exchange", "org", "users"])
@pytest.mark.parametrize("do", ["error_before", "close_before", "close_after", "html", "empty"])
def test_trouble_while_connecting_leaves_nothing_behind(zoho: Simulator, on: str, do: str) -> None:
    zoho.fail(on, do)

    assert isinstance(refused(zoho), TransientError)
    assert by_code(zoho)


def test_too_many_codes_are_too_many(zoho: Simulator) -> None:
    zoho.fail("exchange", "throttle")

    assert type(refused(zoho)) is TokenThrottledError


def test_names_that_are_longer_than_a_column_are_cut(zoho: Simulator) -> None:
    zoho.organisation.name = "N" * 300
    zoho.organisation.users[0]["full_name"] = "M" * 300

    connection = by_code(zoho)

    connection.refresh_from_db()
    assert (connection.name, connection.org_name) == ("N" * 100, "N" * 200)
    assert connection.tokens.get().user_name == "M" * 200


@pytest.mark.parametrize("name", ["", "  ", "\t\n"])
def test_a_connection_has_a_name_by_which_people_can_call_it(zoho: Simulator, name: str) -> None:
    connection = by_code(zoho, name=name)

    assert connection.name == zoho.organisation.name


def test_a_name_is_stored_as_every_database_takes_it(zoho: Simulator) -> None:
    assert by_code(zoho, name=" Head\0office ").name == "Head\ufffdoffice"


# Known already


def test_a_known_organisation_keeps_its_connection(zoho: Simulator) -> None:
    first = by_code(zoho, name="Nordwind")
    before = first.tokens.get()
    Connection.objects.update(status=Connection.Status.NEEDS_RECONNECT)
    Token.objects.update(
        status=Token.Status.NEEDS_RECONNECT,
        refresh_owner="dead",
        refresh_until=from_now(60),
        throttled_until=from_now(60),
    )

    second = by_code(zoho, name="Another name")

    assert second == first
    assert (second.name, second.status) == ("Nordwind", "ACTIVE")
    after = second.tokens.get()
    assert after.pk == before.pk
    assert (after.status, after.refresh_owner, after.throttled_until) == ("ACTIVE", "", None)
    assert after.generation == before.generation + 1
    assert after.reveal("refresh_token") != before.reveal("refresh_token")
    assert [event.kind for event in second.events.order_by("pk")] == ["connected", "reconnected"]


def test_a_second_user_has_a_token_of_their_own_and_does_the_work(zoho: Simulator) -> None:
    connection = by_code(zoho)
    zoho.organisation.users.insert(0, zoho.organisation.users.pop(1))

    by_code(zoho)

    assert connection.tokens.count() == 2
    assert connection.tokens.get(is_default=True).user_name == "Tomas Wieser"
    used = access_token(connection_id=connection.pk)
    assert used == connection.tokens.get(is_default=True).reveal("access_token")


def test_another_organisation_has_a_connection_of_its_own(zoho: Simulator) -> None:
    first = by_code(zoho)
    zoho.reset()

    second = by_code(zoho)

    assert second != first
    assert (first.is_default, second.is_default) == (True, False)
    assert second.name == f"Nordwind Trading (local production {second.org_id})"


def test_a_long_name_that_is_taken_still_becomes_another(zoho: Simulator) -> None:
    for _ in range(2):
        by_code(zoho, name="N" * 150)
        zoho.reset()

    names = set(Connection.objects.values_list("name", flat=True))
    assert len(names) == 2
    assert max(map(len, names)) == 100


# Everywhere


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("code", DATA_CENTERS)
def test_every_data_center_and_environment_can_be_connected(
    settings: Any, code: str, environment: str
) -> None:
    center = DATA_CENTERS[code]
    simulator = Simulator(
        SimulatorSettings(leads=0, environment=environment),
        addresses=Addresses(location=code, accounts=center.accounts, api=center.api(environment)),
    )
    with using_simulator(simulator, settings, LOCAL_URL=""):
        grant = simulator.grant_code()
        connection = with_grant_code(code=grant, data_center=code, environment=environment)
        connection.tokens.update(expires_at=None)

        assert client_for(connection).organisation().id == connection.org_id
        assert (connection.data_center, connection.environment) == (code, environment)
        assert simulator.stats()["tokens"]["refreshed"] == 1
        assert disconnect(connection_id=connection.pk).status == "DISABLED"
        assert simulator.world.grants.refresh_tokens == {}


@pytest.mark.parametrize("wrong", ["us", "cn"])
def test_a_code_of_another_data_center_is_unknown_there(settings: Any, wrong: str) -> None:
    center = DATA_CENTERS["eu"]
    simulator = Simulator(
        SimulatorSettings(leads=0),
        addresses=Addresses(location="eu", accounts=center.accounts, api=center.production),
    )
    with using_simulator(simulator, settings, LOCAL_URL=""):
        error = refused(simulator, data_center=wrong)

    assert (type(error), error.code) == (GrantRefusedError, "invalid_code")


# By the web flow


def begun(user: User, **order: Any) -> str:
    given = {"user": user, "session_key": Secret("session"), "redirect_uri": BACK}
    return connect.begin(**given, **order)


def query_of(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def completed(user: User, back: str, **changes: Any) -> tuple[Connection, str]:
    query = query_of(back)
    given = {
        "user": user,
        "session_key": Secret("session"),
        "state": Secret(query["state"]),
        "code": Secret(query.get("code", "")),
        "error": query.get("error", ""),
        "location": query.get("location", ""),
        "accounts_server": query.get("accounts-server", ""),
    }
    return connect.complete(**{**given, **changes})


def test_the_settings_client_is_not_used_for_a_consent_that_a_forgotten_client_asked_for(
    zoho: Simulator, admin_user: User
) -> None:
    mine: Any = {"user": admin_user, "session_key": Secret("session")}
    secret = Secret("simulator-secret")
    client = entered_clients.keep(**mine, client_id=CLIENT_ID, client_secret=secret)
    client.refresh_from_db()
    first, second = (zoho.consent(begun(admin_user, client=client)) for _tab in range(2))
    completed(admin_user, first)
    calls = zoho.stats()["calls"]

    with pytest.raises(GrantRefusedError) as caught:
        completed(admin_user, second)

    assert caught.value.code == "bad_state"
    assert zoho.stats()["calls"] == calls


def test_a_person_says_yes(zoho: Simulator, admin_user: User) -> None:
    url = begun(admin_user, name="Nordwind", next_path="/admin/")

    connection, next_path = completed(admin_user, zoho.consent(url))

    assert (connection.name, next_path) == ("Nordwind", "/admin/")
    assert connection.events.get().by == admin_user
    assert access_token(connection_id=connection.pk)


def test_what_is_stored_of_a_request_gives_nothing_away(zoho: Simulator, admin_user: User) -> None:
    state = query_of(begun(admin_user))["state"]

    row = AuthorizationRequest.objects.values().get()

    assert state not in repr(row)
    assert "session" not in (row["state_hash"], row["session_hash"])
    assert crypto.key_id_of(row["verifier_cipher"]) == crypto.key_id(ENCRYPTION_KEY)


@pytest.mark.parametrize("pkce", [True, False])
def test_the_request_proves_itself_if_it_shall(
    zoho: Simulator, admin_user: User, settings: Any, pkce: bool
) -> None:
    settings.ZOHO_CRM |= {"PKCE": pkce}

    url = begun(admin_user)

    assert ("code_challenge" in query_of(url)) is pkce
    assert completed(admin_user, zoho.consent(url))


def test_a_person_says_no(zoho: Simulator, admin_user: User) -> None:
    back = zoho.consent(begun(admin_user), accept=False)

    with pytest.raises(GrantRefusedError, match="not given") as caught:
        completed(admin_user, back)

    assert caught.value.code == "access_denied"
    assert exchanged(zoho) == 0


def test_an_answer_without_a_code_is_none(zoho: Simulator, admin_user: User) -> None:
    with pytest.raises(GrantRefusedError) as caught:
        completed(admin_user, zoho.consent(begun(admin_user)), code="")

    assert caught.value.code == "no_code"


def test_an_answer_is_taken_up_once(zoho: Simulator, admin_user: User) -> None:
    back = zoho.consent(begun(admin_user))
    completed(admin_user, back)

    with pytest.raises(GrantRefusedError) as caught:
        completed(admin_user, back)

    assert caught.value.code == "bad_state"
    assert exchanged(zoho) == 1


@pytest.mark.parametrize(
    "changes",
    [{"state": Secret("forged")}, {"state": Secret("")}, {"session_key": Secret("other")}],
)
def test_an_answer_to_nobodys_question_is_refused(
    zoho: Simulator, admin_user: User, changes: dict[str, str]
) -> None:
    back = zoho.consent(begun(admin_user))

    with pytest.raises(GrantRefusedError) as caught:
        completed(admin_user, back, **changes)

    assert caught.value.code == "bad_state"
    assert exchanged(zoho) == 0


def test_an_answer_to_somebody_else_is_refused(
    zoho: Simulator, admin_user: User, django_user_model: type[User]
) -> None:
    other = django_user_model.objects.create(username="other")
    back = zoho.consent(begun(admin_user))

    with pytest.raises(GrantRefusedError):
        completed(other, back)

    assert completed(admin_user, back)


def test_an_answer_after_ten_minutes_is_refused(zoho: Simulator, admin_user: User) -> None:
    back = zoho.consent(begun(admin_user))
    AuthorizationRequest.objects.update(expires_at=from_now(-1))

    with pytest.raises(GrantRefusedError):
        completed(admin_user, back)


@pytest.mark.parametrize(
    "changes",
    [
        {"accounts_server": "https://evil.example"},
        {"accounts_server": "https://accounts.zoho.com@evil.example"},
        {"location": "eu"},
        {"accounts_server": "https://accounts.zoho.eu"},
    ],
)
def test_a_server_that_is_not_the_one_of_the_location_gets_no_secret(
    zoho: Simulator, admin_user: User, changes: dict[str, str]
) -> None:
    with pytest.raises(GrantRefusedError) as caught:
        completed(admin_user, zoho.consent(begun(admin_user)), **changes)

    assert caught.value.code == "unknown_server"
    assert exchanged(zoho) == 0


def test_a_person_of_another_data_center_is_connected_there(
    settings: Any, admin_user: User
) -> None:
    center = DATA_CENTERS["eu"]
    simulator = Simulator(
        SimulatorSettings(leads=0),
        addresses=Addresses(location="eu", accounts=center.accounts, api=center.production),
    )
    with using_simulator(simulator, settings, LOCAL_URL="", DATA_CENTER="us"):
        url = begun(admin_user)
        connection, _next = completed(admin_user, simulator.consent(url))

    assert url.startswith("https://accounts.zoho.com/")
    assert connection.data_center == "eu"


def test_an_answer_that_names_no_server_is_for_the_one_that_was_asked(
    zoho: Simulator, admin_user: User
) -> None:
    back = zoho.consent(begun(admin_user))

    connection, _next = completed(admin_user, back, location="", accounts_server="")

    assert connection.data_center == "local"


def test_connecting_again_goes_where_the_connection_is(zoho: Simulator, admin_user: User) -> None:
    connection = by_code(zoho)

    url = begun(admin_user, connection=connection, data_center="us", environment="sandbox")
    again, _next = completed(admin_user, zoho.consent(url))

    assert again == connection


def test_connecting_again_to_another_organisation_is_refused(
    zoho: Simulator, admin_user: User
) -> None:
    connection = by_code(zoho)
    before = connection.tokens.values().get()
    zoho.reset()

    url = begun(admin_user, connection=connection)
    with pytest.raises(GrantRefusedError, match="another organisation") as caught:
        completed(admin_user, zoho.consent(url))

    assert caught.value.code == "other_organisation"
    assert Connection.objects.get() == connection
    assert connection.tokens.values().get() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"CLIENT_ID": ""},
        {"ENCRYPTION_KEYS": []},
        {"DATA_CENTER": "uk"},
        {"ENVIRONMENT": "staging"},
    ],
)
def test_nobody_is_sent_away_who_could_not_come_back(
    zoho: Simulator, admin_user: User, settings: Any, changes: dict[str, Any]
) -> None:
    settings.ZOHO_CRM |= changes

    with pytest.raises(ImproperlyConfigured):
        begun(admin_user)

    assert not AuthorizationRequest.objects.exists()


# Scopes


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        (list(SCOPES), []),
        ([], list(SCOPES)),
        (["ZohoCRM.modules.all", *SCOPES[1:]], []),
        (["ZohoCRM.modules.READ", *SCOPES[1:]], ["ZohoCRM.modules.ALL"]),
        (["ZohoCRM.modules.leads.ALL", *SCOPES[1:]], ["ZohoCRM.modules.ALL"]),
        (["ZohoCRM.users.ALL", *SCOPES[:4], *SCOPES[5:]], []),
        (
            ["ZohoCRM.mass_convert.ALL", SCOPES[0], *SCOPES[3:]],
            [],
        ),
        (["ZohoCRM.mass_convert.leads.ALL", SCOPES[0], *SCOPES[3:]], []),
        (
            ["ZohoCRM.mass_convert.contacts.ALL", SCOPES[0], *SCOPES[3:]],
            ["ZohoCRM.mass_convert.leads.CREATE", "ZohoCRM.mass_convert.leads.READ"],
        ),
    ],
)
def test_what_was_not_granted_is_named(granted: list[str], missing: list[str]) -> None:
    assert missing_scopes(granted) == missing


@pytest.mark.slow
@given(granted=st.lists(st.sampled_from(SCOPES)))
def test_a_granted_scope_is_never_missing(granted: list[str]) -> None:
    missing = missing_scopes(granted)

    assert not set(missing) & set(granted)
    assert set(missing) | set(granted) >= set(SCOPES)


# Giving it up


def test_a_connection_is_cut_at_zoho_and_its_secrets_forgotten(
    zoho: Simulator, admin_user: User
) -> None:
    connection = by_code(zoho)

    cut = disconnect(connection_id=connection.pk, by=admin_user)

    assert cut.status == "DISABLED"
    assert zoho.world.grants.refresh_tokens == zoho.world.grants.access_tokens == {}
    token = connection.tokens.get()
    assert (token.status, token.expires_at) == ("REVOKED", None)
    assert {getattr(token, f"{word}_cipher") for word in Token.SECRETS} == {""}
    assert [event.kind for event in connection.events.order_by("pk")] == [
        "connected",
        "disconnected",
    ]
    assert connection.events.last().by == admin_user


def test_all_tokens_of_a_connection_are_revoked(zoho: Simulator) -> None:
    connection = by_code(zoho)
    zoho.organisation.users.insert(0, zoho.organisation.users.pop(1))
    by_code(zoho)

    disconnect(connection_id=connection.pk)

    assert zoho.world.grants.refresh_tokens == {}
    assert set(connection.tokens.values_list("status", flat=True)) == {"REVOKED"}


def test_a_connection_that_was_cut_gives_no_token_and_may_be_made_again(zoho: Simulator) -> None:
    connection = by_code(zoho)
    disconnect(connection_id=connection.pk)

    with pytest.raises(ConnectionLostError):
        access_token(connection_id=connection.pk)
    assert by_code(zoho) == connection
    assert access_token(connection_id=connection.pk)


def test_cutting_twice_is_fine(zoho: Simulator) -> None:
    connection = by_code(zoho)

    for _ in range(2):
        assert disconnect(connection_id=connection.pk).status == "DISABLED"

    assert [call["status"] for call in zoho.stats()["calls"] if "revoke" in call["path"]] == [200]


def test_a_consent_that_was_withdrawn_at_zoho_is_cut_here(zoho: Simulator) -> None:
    connection = by_code(zoho)
    zoho.world.grants.revoke(connection.tokens.get().reveal("refresh_token").reveal())

    assert disconnect(connection_id=connection.pk).status == "DISABLED"


@pytest.mark.parametrize("do", ["error_before", "close_before", "html"])
def test_if_zoho_cannot_be_told_nothing_is_forgotten(zoho: Simulator, do: str) -> None:
    connection = by_code(zoho)
    before = connection.tokens.values().get()
    zoho.fail("revoke", do)

    with pytest.raises(TransientError):
        disconnect(connection_id=connection.pk)

    connection.refresh_from_db()
    assert connection.status == "ACTIVE"
    assert connection.tokens.values().get() == before
    assert disconnect(connection_id=connection.pk).status == "DISABLED"


def test_without_its_key_a_connection_is_not_cut_half(zoho: Simulator, settings: Any) -> None:
    connection = by_code(zoho)
    before = connection.tokens.values().get()
    settings.ZOHO_CRM |= {"ENCRYPTION_KEYS": [crypto.new_key()]}

    with pytest.raises(SecretUnreadableError):
        disconnect(connection_id=connection.pk)

    assert connection.tokens.values().get() == before


# Looking after it


def test_a_connection_that_works_has_nothing_wrong(zoho: Simulator, admin_user: User) -> None:
    connection = by_code(zoho)

    assert check_connection(connection_id=connection.pk, by=admin_user) == ""

    event = connection.events.get(kind=ConnectionEvent.Kind.TESTED)
    assert (event.by, event.details) == (admin_user, {"ok": True})


def test_what_is_wrong_with_a_connection_is_said(zoho: Simulator) -> None:
    connection = by_code(zoho)
    zoho.fail("org", "error_before")

    assert check_connection(connection_id=connection.pk) == "Internal Server Error"

    event = connection.events.get(kind=ConnectionEvent.Kind.TESTED)
    assert event.details == {"ok": False, "code": "INTERNAL_ERROR"}


def test_an_organisation_in_the_place_of_another_is_noticed(zoho: Simulator) -> None:
    connection = by_code(zoho)
    Connection.objects.update(org_id="1")

    assert "Nordwind Trading" in check_connection(connection_id=connection.pk)


def test_a_connection_gets_another_name(zoho: Simulator) -> None:
    connection = by_code(zoho)

    connect.rename(connection_id=connection.pk, name="Head office")

    connection.refresh_from_db()
    assert connection.name == "Head office"


def test_one_connection_at_a_time_is_the_default(zoho: Simulator) -> None:
    first = by_code(zoho)
    zoho.reset()
    second = by_code(zoho)

    assert connect.make_default(connection_id=second.pk) == second

    assert list(Connection.objects.filter(is_default=True)) == [second]
    assert first != second


def test_only_what_cannot_be_read_is_forgotten_without_revoking_it(zoho: Simulator) -> None:
    connection = by_code(zoho)
    lost = connection.tokens.get()
    lost_token = lost.reveal("refresh_token").reveal()
    Token.objects.update(refresh_token_cipher="zk1:00000000:lost")
    zoho.organisation.users.insert(0, zoho.organisation.users.pop(1))
    by_code(zoho)

    cut = forget(connection_id=connection.pk)

    assert cut.status == "DISABLED"
    assert list(zoho.world.grants.refresh_tokens) == [lost_token]
    assert {
        token[f"{name}_cipher"] for token in connection.tokens.values() for name in Token.SECRETS
    } == {""}
    event = connection.events.latest("pk")
    assert (event.kind, event.details) == ("forgotten", {"tokens": 1})


def test_the_secret_of_the_client_is_not_needed_to_disconnect(zoho: Simulator) -> None:
    connection = by_code(zoho)
    Token.objects.update(client_secret_cipher="zk1:00000000:lost")

    assert disconnect(connection_id=connection.pk).status == "DISABLED"

    assert zoho.world.grants.refresh_tokens == {}
