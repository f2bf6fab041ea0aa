"""The file store of Zoho's SDK: what it wrote is read, and it reads what was written for it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
from zohocrmsdk.src.com.zoho.api.authenticator.store import FileStore
from zohocrmsdk.src.com.zoho.crm.api import UserSignature

from zoho_crm.contrib.pytest import ENCRYPTION_KEY
from zoho_crm.models import Connection, Token, from_now
from zoho_crm.services.export_tokens import SDK_COLUMNS, export_tokens
from zoho_crm.services.token_sources import read_file
from zoho_crm.types import Secret


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(file_path=str(tmp_path / "tokens.csv"))


def save(store: FileStore, user: str, number: int, expires_in: str | None = None) -> OAuthToken:
    token = OAuthToken(
        client_id="1000.CLIENT",
        client_secret="client-secret",
        refresh_token=f"1000.refresh-{number}",
        user_signature=UserSignature(user),
        find_user=False,
    )
    token.set_expires_in(expires_in)
    store.save_token(token)
    return token


def test_what_the_store_wrote_is_read(store: FileStore) -> None:
    users = ["mara@nordwind.example", 'o\'neil, "ö";\n--@nordwind.example']
    users += [f"user{number}@nordwind.example" for number in range(2, 12)]
    for number, user in enumerate(users):
        save(store, user, number, expires_in="1700000000000")
    save(store, users[0], 100)
    store.delete_token("5")

    found = read_file(Path(store.file_path))

    assert not any(token.problem for token in found)
    assert [token.user for token in found] == users[:4] + users[5:]
    assert found[0].refresh_token == Secret("1000.refresh-100")
    assert found[1].expires_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert [token.source_row for token in found[3:6]] == ["4", "6", "7"]


def test_the_columns_are_those_of_the_store(store: FileStore) -> None:
    assert tuple(store.headers) == SDK_COLUMNS


@pytest.mark.django_db
def test_the_store_reads_what_was_exported(store: FileStore, settings: object) -> None:
    settings.ZOHO_CRM = {"ENCRYPTION_KEYS": [ENCRYPTION_KEY]}  # type: ignore[attr-defined]
    place = {"data_center": "eu", "environment": "sandbox"}
    connection = Connection.objects.create(name="Nordwind", org_id="7", **place)
    token = Token.objects.create(
        connection=connection,
        user_id="1",
        user_email="o'neil@nordwind.example",
        client_id="1000.CLIENT",
        expires_at=from_now(3600),
    )
    names = ("client_secret", "refresh_token", "access_token")
    values = {name: Secret(f"{name}, \"'") for name in names}
    Token.objects.filter(pk=token.pk).update(**token.encrypted_columns(**values))
    path = Path(store.file_path).with_name("export.csv")

    assert export_tokens(path=path) == 1

    exported = FileStore(file_path=str(path))
    (found,) = exported.get_tokens()
    assert found.get_user_signature().get_name() == token.user_email
    assert found.get_client_id() == "1000.CLIENT"
    assert found.get_api_domain() == "https://sandbox.zohoapis.eu"
    assert {name: getattr(found, f"get_{name}")() for name in names} == {
        name: secret.reveal() for name, secret in values.items()
    }
    in_milliseconds = int(found.get_expires_in()) - datetime.now(UTC).timestamp() * 1000
    assert 3_000_000 < in_milliseconds < 3_700_000
    assert exported.find_token_by_id("1").get_refresh_token() == found.get_refresh_token()
