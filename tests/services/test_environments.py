"""Production and sandbox of one organisation are told apart, whatever names the environment."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.grants import granted
from tests.zohos import EU, Zohos, two_environments
from zoho_crm.exceptions import GrantRefusedError
from zoho_crm.models import Connection, SdkToken, Token
from zoho_crm.services import sdk_tokens
from zoho_crm.services.adopt import adopt
from zoho_crm.services.connect import check_connection, with_grant_code
from zoho_crm.services.export_tokens import SDK_COLUMNS, export_tokens
from zoho_crm.services.import_tokens import (
    ImportOptions,
    Result,
    TokenImport,
    plan_imports,
    run_imports,
)
from zoho_crm.services.sdk_rows import SdkGrant
from zoho_crm.services.token_sources import read_file
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator
from zoho_crm.types import Secret

pytestmark = pytest.mark.django_db

MARA = "mara@nordwind.example"


@pytest.fixture
def zohos(settings: Any) -> Iterator[Zohos]:
    with two_environments(settings) as zohos:
        yield zohos


def connect(zoho: Simulator, environment: str) -> Connection:
    return with_grant_code(code=zoho.grant_code(), data_center="eu", environment=environment)


def places(*columns: str) -> set[tuple[str, ...]]:
    names = columns or ("connection__data_center", "connection__environment")
    return set(Token.objects.values_list(*names))


def grant_of(zoho: Simulator, api_domain: str, **values: Any) -> SdkGrant:
    """Return what the SDK saves after it has exchanged a code."""
    given = granted(zoho)
    return SdkGrant(
        user_name=MARA,
        client_id=CLIENT_ID,
        client_secret=Secret(CLIENT_SECRET),
        refresh_token=Secret(given["refresh_token"]),
        access_token=Secret(given["access_token"]),
        api_domain=api_domain,
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        **values,
    )


# What the SDK saves


@pytest.mark.parametrize("api_domain", [EU.sandbox, EU.production, "https://api.zoho.eu", ""])
def test_a_grant_of_the_sdk_is_of_the_environment_that_zoho_says(
    zohos: Zohos, api_domain: str
) -> None:
    """Production is known for the same user and client, and stays as it is."""
    production = connect(zohos.production, "production")
    before = Token.objects.values().get()
    grant = grant_of(zohos.sandbox, api_domain)

    sdk_id = sdk_tokens.save(grant)

    assert Token.objects.filter(connection=production).values().get() == before
    assert places() == {("eu", "production"), ("eu", "sandbox")}
    found = sdk_tokens.find_by_id(sdk_id)
    assert found is not None
    assert (found.refresh_token, found.api_domain) == (grant.refresh_token, EU.sandbox)
    assert zohos.refreshed() == 0


def test_users_of_both_environments_are_found_in_theirs(zohos: Zohos) -> None:
    grants = {
        api_domain: grant_of(zoho, api_domain)
        for zoho, api_domain in (
            (zohos.production, EU.production),
            (zohos.sandbox, EU.sandbox),
        )
    }
    ids = {api_domain: sdk_tokens.save(grant) for api_domain, grant in grants.items()}

    for api_domain, grant in grants.items():
        found = sdk_tokens.find(SdkGrant(user_name=MARA, api_domain=api_domain.upper() + "/"))
        assert found is not None
        assert (found.id, found.refresh_token) == (ids[api_domain], grant.refresh_token)


def test_bare_access_tokens_of_two_environments_are_two(zohos: Zohos) -> None:
    bare = {
        api_domain: SdkGrant(
            user_name=MARA, access_token=Secret(f"1000.{api_domain}"), api_domain=api_domain
        )
        for api_domain in (EU.production, EU.sandbox)
    }
    for grant in bare.values():
        sdk_tokens.save(grant)

    for api_domain, grant in bare.items():
        found = sdk_tokens.find(SdkGrant(user_name=MARA, api_domain=api_domain))
        assert found is not None
        assert found.access_token == grant.access_token


@pytest.mark.parametrize("secret", ["access_token", "refresh_token"])
def test_an_id_of_production_takes_no_token_of_the_sandbox(zohos: Zohos, secret: str) -> None:
    sdk_id = sdk_tokens.save(grant_of(zohos.production, EU.production))
    known = sdk_tokens.find_by_id(sdk_id)
    assert known is not None
    later = datetime.now(UTC) + timedelta(hours=2)
    other = SdkGrant(id=sdk_id, api_domain=EU.sandbox, expires_at=later)

    other_id = sdk_tokens.save(replace(other, **{secret: Secret("1000.of-the-sandbox")}))

    assert other_id != sdk_id
    assert sdk_tokens.find_by_id(sdk_id) == known


def test_a_kept_grant_of_the_sandbox_stays_one(zohos: Zohos) -> None:
    zohos.sandbox.fail("org", "error_before", times=9)
    grant = grant_of(zohos.sandbox, EU.sandbox)
    sdk_id = sdk_tokens.save(grant)

    renewed = grant_of(zohos.production, EU.production, id=sdk_id)
    other_id = sdk_tokens.save(renewed)

    assert other_id != sdk_id
    kept = sdk_tokens.find_by_id(sdk_id)
    assert kept is not None
    assert (kept.refresh_token, kept.api_domain) == (grant.refresh_token, EU.sandbox)


def test_nothing_is_sent_to_another_data_center_than_the_one_of_the_grant(zohos: Zohos) -> None:
    grant = grant_of(zohos.production, "https://www.zohoapis.moon.example")
    calls = len(zohos.production.stats()["calls"])

    sdk_tokens.save(grant)

    assert len(zohos.production.stats()["calls"]) == calls
    assert SdkToken.objects.get().problem == "unknown_api_server"


# What is taken over


def adopted(zoho: Simulator, **order: Any) -> Token:
    given = granted(zoho)
    return adopt(
        client_id=CLIENT_ID,
        client_secret=Secret(CLIENT_SECRET),
        refresh_token=Secret(given["refresh_token"]),
        data_center="eu",
        **order,
    )


def test_zoho_says_of_which_environment_a_token_is(zohos: Zohos) -> None:
    for zoho in (zohos.sandbox, zohos.production):
        adopted(zoho)

    assert places() == {("eu", "production"), ("eu", "sandbox")}
    assert zohos.refreshed() == 2


def test_an_environment_that_is_named_is_the_only_one(zohos: Zohos) -> None:
    with pytest.raises(GrantRefusedError) as caught:
        adopted(zohos.sandbox, environments=["production"])

    assert caught.value.code == "other_environment"
    assert not Connection.objects.exists()


def planned(
    zoho: Simulator, folder: Path, api_domain: str, options: ImportOptions | None = None
) -> list[TokenImport]:
    given = granted(zoho)
    row = {
        "id": "1",
        "user_name": MARA,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": given["refresh_token"],
        "api_domain": api_domain,
    }
    path = folder / "tokens.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, SDK_COLUMNS, restval="")
        writer.writeheader()
        writer.writerow(row)
    return plan_imports(read_file(path), options or ImportOptions())


@pytest.mark.parametrize(
    "api_domain", [EU.sandbox, EU.sandbox.upper(), EU.production, "https://api.zoho.eu"]
)
def test_an_imported_token_is_of_the_environment_that_zoho_says(
    zohos: Zohos, tmp_path: Path, api_domain: str
) -> None:
    connect(zohos.production, "production")
    plan = planned(zohos.sandbox, tmp_path, api_domain)

    (done,) = run_imports(plan, verify=True)

    assert (done.result, done.environments) == (Result.IMPORTED, ("sandbox",))
    assert places() == {("eu", "production"), ("eu", "sandbox")}


@pytest.mark.parametrize("api_domain", [EU.sandbox, EU.sandbox.upper(), f"{EU.sandbox}/"])
def test_the_environment_of_the_source_is_shown_first(
    zohos: Zohos, tmp_path: Path, api_domain: str
) -> None:
    (plan,) = planned(zohos.sandbox, tmp_path, api_domain)

    assert (plan.data_centers, plan.environments[0]) == (("eu",), "sandbox")


def test_the_environment_of_the_settings_counts_where_the_source_names_none(
    settings: Any, tmp_path: Path
) -> None:
    with two_environments(settings, ENVIRONMENT="sandbox") as zohos:
        (plan,) = planned(zohos.sandbox, tmp_path, "https://api.zoho.eu")

    assert plan.environments[0] == "sandbox"


def test_a_token_that_is_here_is_shown_in_its_environment(zohos: Zohos, tmp_path: Path) -> None:
    options = ImportOptions(data_centers=("eu",))
    (first,) = planned(zohos.sandbox, tmp_path, "", options)
    list(run_imports([first], verify=True))

    (again,) = plan_imports([first.found], options)

    assert (again.result, again.environments) == (Result.PRESENT, ("sandbox",))


def test_a_local_zoho_has_one_origin_for_all(zoho: Simulator, tmp_path: Path) -> None:
    zoho.world.settings = replace(zoho.world.settings, environment="sandbox")
    (plan,) = planned(zoho, tmp_path, zoho.origin)

    (done,) = run_imports([plan], verify=True)

    assert done.result == Result.IMPORTED
    assert places() == {("local", "sandbox")}


# What is given back


def test_the_store_of_the_sdk_finds_each_exported_token_by_its_name(
    zohos: Zohos, tmp_path: Path
) -> None:
    """Of tokens with one name it takes the first: that of production, whatever is meant."""
    for zoho, environment in ((zohos.production, "production"), (zohos.sandbox, "sandbox")):
        connect(zoho, environment)
    Token.objects.create(
        connection=Connection.objects.get(environment="sandbox"),
        user_id=Token.objects.values_list("user_id", flat=True)[0],
        user_email=MARA,
        client_id="1000.OTHER",
    )
    other = Token.objects.get(client_id="1000.OTHER")
    secrets = {name: Secret(f"1000.{name}") for name in ("client_secret", "refresh_token")}
    Token.objects.filter(pk=other.pk).update(**other.encrypted_columns(**secrets))

    export_tokens(path=tmp_path / "export.csv")

    found = {token.user: token for token in read_file(tmp_path / "export.csv")}
    zgid = zohos.production.organisation.id[-9:]
    assert {name: (each.api_domain, each.client_id) for name, each in found.items()} == {
        f"{MARA}:{zgid}:eu-production": (EU.production, CLIENT_ID),
        f"{MARA}:{zgid}:eu-sandbox:{CLIENT_ID}": (EU.sandbox, CLIENT_ID),
        f"{MARA}:{zgid}:eu-sandbox:1000.OTHER": (EU.sandbox, "1000.OTHER"),
    }


# What the organisation says


@pytest.mark.parametrize("kind", ["Sandbox", "SANDBOX"])
def test_a_sandbox_in_capitals_is_no_production(zoho: Simulator, kind: str) -> None:
    zoho.world.settings = replace(zoho.world.settings, environment=kind)

    with pytest.raises(GrantRefusedError, match="sandbox"):
        with_grant_code(code=zoho.grant_code(), data_center="local")
    assert not Connection.objects.exists()


@pytest.mark.parametrize("kind", ["", "bigin", "of a kind that we do not know"])
@pytest.mark.parametrize("environment", ["production", "sandbox"])
def test_where_the_organisation_does_not_say_it_the_api_has(
    zoho: Simulator, environment: str, kind: str
) -> None:
    """The API of one environment rejects tokens of the others."""
    zoho.world.settings = replace(zoho.world.settings, environment=kind)

    connection = with_grant_code(
        code=zoho.grant_code(), data_center="local", environment=environment
    )

    assert connection.environment == environment


def test_a_test_says_that_the_environment_is_another_one(
    zoho: Simulator, connection: Connection
) -> None:
    assert check_connection(connection_id=connection.pk) == ""
    zoho.world.settings = replace(zoho.world.settings, environment="sandbox")

    assert "sandbox" in check_connection(connection_id=connection.pk)
