"""The commands that take over the tokens of Zoho's SDKs, and give ours back."""

from __future__ import annotations

import csv
import os
import sqlite3
import stat
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.core.management import call_command
from django.db import connection as database

from tests.grants import granted
from tests.management.conftest import CommandResult, Run, Terminal
from zoho_crm.contrib.pytest import SimulatorAdapter, new_simulator
from zoho_crm.models import Connection, ConnectionEvent, SdkToken, Token
from zoho_crm.services import sdk_tokens
from zoho_crm.services.connect import with_grant_code
from zoho_crm.services.export_tokens import SDK_COLUMNS
from zoho_crm.services.sdk_rows import SdkGrant
from zoho_crm.services.token_sources import read_file
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator
from zoho_crm.types import Secret

pytestmark = pytest.mark.django_db(transaction=True)

MARA = "mara@nordwind.example"
IMPORT = ("zoho_import_tokens", "--format=json")

Source = Callable[..., Path]


@pytest.fixture
def source(tmp_path: Path, zoho: Simulator) -> Source:
    """Return a function that writes a file as the Python SDK does: a row for each token."""

    def write(*tokens: Mapping[str, str]) -> Path:
        path = tmp_path / "tokens.txt"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, SDK_COLUMNS, restval="")
            writer.writeheader()
            writer.writerows({"id": number, **row} for number, row in enumerate(tokens, start=1))
        return path

    return write


def sdk_row(zoho: Simulator, user: int = 0, seconds: int = 3600, **other: str) -> dict[str, str]:
    """Return a row of the SDK's store with a consent of the simulator's n-th user."""
    person = zoho.organisation.users[user]
    given = granted(zoho, user_id=person["id"])
    expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
    return {
        "user_name": person["email"],
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": given["refresh_token"],
        "access_token": given["access_token"],
        "expiry_time": str(int(expires_at.timestamp() * 1000)),
        "api_domain": zoho.origin,
        **other,
    }


def secrets(path: Path) -> list[str]:
    return [
        secret.reveal()
        for token in read_file(path)
        for secret in (token.client_secret, token.refresh_token, token.access_token)
        if secret
    ]


def results(ran: CommandResult) -> list[tuple[str, str | None]]:
    return [(line["result"], line["reason"]) for line in ran.lines]


# Looking


def test_it_shows_first_what_it_found(run: Run, zoho: Simulator, source: Source) -> None:
    path = source(sdk_row(zoho), sdk_row(zoho, refresh_token=""))
    before, calls = path.read_bytes(), zoho.stats()["calls"]

    ran = run(*IMPORT, "--from-file", str(path))

    assert ran.code == 0
    assert results(ran) == [("found", None), ("unusable", "no_refresh_token")]
    first = ran.lines[0]
    assert first["expires_at"] > datetime.now(UTC).isoformat()
    assert {name: first[name] for name in ("source_row", "user", "client_id", "data_center")} == {
        "source_row": "1",
        "user": MARA,
        "client_id": CLIENT_ID,
        "data_center": "local",
    }
    assert "--execute" in ran.err
    assert zoho.stats()["calls"] == calls
    assert not Token.objects.exists()
    assert path.read_bytes() == before


@pytest.mark.parametrize("execute", [(), ("--execute",)])
@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_no_secret_is_printed(
    run: Run, zoho: Simulator, source: Source, form: str, execute: tuple[str, ...]
) -> None:
    path = source(sdk_row(zoho), sdk_row(zoho, 1, client_secret="another-secret"))

    ran = run("zoho_import_tokens", f"--format={form}", "--from-file", str(path), *execute, "-v3")

    assert not [secret for secret in secrets(path) if secret in ran.out + ran.err]


def test_people_see_a_table(run: Run, zoho: Simulator, source: Source) -> None:
    path = source(sdk_row(zoho, seconds=-90_000), {"user_name": "\x1b[31mbo", "access_token": "x"})

    ran = run("zoho_import_tokens", "--from-file", str(path))

    head, mara, other = ran.out.splitlines()
    assert head.split("  ")[0] == "Row"
    assert MARA in mara
    assert "expired 1 day ago" in mara
    assert "no refresh token" in other
    assert "\x1b" not in other


def test_a_source_without_tokens(run: Run, source: Source) -> None:
    ran = run("zoho_import_tokens", "--from-file", str(source()), "--execute")

    assert (ran.code, ran.out) == (0, "")
    assert "no tokens" in ran.err


# Importing


def test_a_token_becomes_a_connection_once(run: Run, zoho: Simulator, source: Source) -> None:
    path = source(sdk_row(zoho))
    before = path.read_bytes()

    first = run(*IMPORT, "--from-file", str(path), "--execute")
    second = run(*IMPORT, "--from-file", str(path), "--execute")
    looked = run(*IMPORT, "--from-file", str(path))

    connection = Connection.objects.get()
    assert (first.code, second.code, looked.code) == (0, 0, 0)
    assert first.line["result"] == "imported"
    assert first.line["connection"] == connection.name
    assert (second.line["result"], second.line["connection"]) == ("present", connection.name)
    assert looked.line["result"] == "present"
    token = connection.tokens.get()
    assert (token.user_email, token.is_default, token.status) == (MARA, True, "ACTIVE")
    assert zoho.stats()["tokens"]["refreshed"] == 1
    assert path.read_bytes() == before


def test_a_valid_access_token_need_not_be_renewed(
    run: Run, zoho: Simulator, source: Source
) -> None:
    path = source(sdk_row(zoho), sdk_row(zoho, 1, seconds=-10))

    ran = run(*IMPORT, "--from-file", str(path), "--execute", "--no-verify")

    assert results(ran) == [("imported", None)] * 2
    assert zoho.stats()["tokens"]["refreshed"] == 1


def test_several_users_of_one_organisation(run: Run, zoho: Simulator, source: Source) -> None:
    rows = [sdk_row(zoho, number) for number in range(3)]

    ran = run(*IMPORT, "--from-file", str(source(*rows)), "--execute")

    assert results(ran) == [("imported", None)] * 3
    tokens = Connection.objects.get().tokens.order_by("pk")
    assert [token.user_email for token in tokens] == [row["user_name"] for row in rows]
    assert [token.is_default for token in tokens] == [True, False, False]
    for token, row in zip(tokens, rows, strict=True):
        assert token.reveal("refresh_token").reveal() == row["refresh_token"]


def test_a_program_finds_its_users_by_the_names_that_it_gave(
    run: Run, zoho: Simulator, source: Source
) -> None:
    rows = [sdk_row(zoho), sdk_row(zoho, 1, user_name="o'neil\"; ops")]

    run(*IMPORT, "--from-file", str(source(*rows)), "--execute")

    assert not Token.objects.filter(user_email=MARA, sdk_tokens__isnull=False).exists()
    for row in rows:
        found = sdk_tokens.find(SdkGrant(user_name=row["user_name"]))
        assert found
        assert found.refresh_token == Secret(row["refresh_token"])


def test_one_row_that_fails_stops_no_other(run: Run, zoho: Simulator, source: Source) -> None:
    rows = [
        sdk_row(zoho, refresh_token="1000.revoked"),
        sdk_row(zoho, client_secret="another-secret"),
        sdk_row(zoho, client_id=""),
        sdk_row(zoho, refresh_token="with blanks"),
        sdk_row(zoho, api_domain="https://crm.example"),
        sdk_row(zoho, client_id="1000.OTHER", client_secret=""),
        sdk_row(zoho),
    ]
    path = source(*rows, rows[-1], {"access_token": "1000.access"})

    ran = run(*IMPORT, "--from-file", str(path), "--execute")

    assert ran.code == 3
    assert "6 tokens were not imported" in ran.err
    assert results(ran) == [
        ("unusable", "revoked"),
        ("unusable", "client_rejected"),
        ("imported", None),
        ("unusable", "unreadable"),
        ("unusable", "no_data_center"),
        ("unusable", "no_client_secret"),
        ("present", "other_consent"),
        ("present", "other_consent"),
        ("unusable", "no_refresh_token"),
    ]
    assert all(line["message"] for line in ran.lines if line["reason"])
    assert Token.objects.count() == 1


def test_a_consent_that_works_is_kept(run: Run, zoho: Simulator, source: Source) -> None:
    connection = with_grant_code(code=zoho.grant_code(), data_center="local")
    before = connection.tokens.get()

    ran = run(*IMPORT, "--from-file", str(source(sdk_row(zoho))), "--execute")

    assert results(ran) == [("present", "other_consent")]
    after = connection.tokens.get()
    assert (after.generation, after.refresh_token_cipher) == (
        before.generation,
        before.refresh_token_cipher,
    )


def test_a_consent_that_was_lost_is_replaced(run: Run, zoho: Simulator, source: Source) -> None:
    connection = with_grant_code(code=zoho.grant_code(), data_center="local")
    connection.tokens.update(status=Token.Status.NEEDS_RECONNECT)
    row = sdk_row(zoho)

    ran = run(*IMPORT, "--from-file", str(source(row)), "--execute")

    assert results(ran) == [("imported", None)]
    token = connection.tokens.get()
    assert token.status == "ACTIVE"
    assert token.reveal("refresh_token") == Secret(row["refresh_token"])


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        ({"do": "error_before"}, 3, "no_answer"),
        ({"do": "close_before"}, 3, "no_answer"),
        ({"do": "throttle"}, 5, "throttled"),
    ],
)
def test_when_zoho_does_not_answer_it_can_be_repeated(
    run: Run, zoho: Simulator, source: Source, fault: dict[str, str], code: int, reason: str
) -> None:
    path = source(sdk_row(zoho), sdk_row(zoho, 1))
    zoho.fail("refresh", **fault)

    failed = run(*IMPORT, "--from-file", str(path), "--execute")
    again = run(*IMPORT, "--from-file", str(path), "--execute")

    assert (failed.code, results(failed)) == (code, [("unusable", reason), ("imported", None)])
    assert (again.code, results(again)) == (0, [("imported", None), ("present", None)])


def test_without_an_encryption_key_nothing_is_asked(
    run: Run, zoho: Simulator, source: Source, settings: Any
) -> None:
    path = source(sdk_row(zoho))
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": []}

    ran = run(*IMPORT, "--from-file", str(path), "--execute")

    assert ran.code == 1
    assert "zoho_new_key" in ran.err
    assert zoho.stats()["tokens"]["refreshed"] == 0


# Clients


def test_a_source_without_clients(run: Run, zoho: Simulator, source: Source, settings: Any) -> None:
    own = {"client_id": "", "client_secret": ""}
    path = str(source(sdk_row(zoho, **own)))
    words = (*IMPORT, "--from-file", path)

    of_settings = run(*words)
    assert (of_settings.line["client_id"], of_settings.line["result"]) == (CLIENT_ID, "found")

    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CLIENT_ID": "", "CLIENT_SECRET": ""}
    assert run(*words).line["reason"] == "no_client"

    named = (*words, "--client-id", CLIENT_ID)
    assert run(*named).line["result"] == "found"

    refused = run(*named, "--execute")
    assert refused.code == 2
    assert "stdin" in refused.err

    ran = run(*named, "--execute", stdin=f"{CLIENT_SECRET}\n")
    assert (ran.code, results(ran)) == (0, [("imported", None)])
    assert Token.objects.get().reveal("client_secret") == Secret(CLIENT_SECRET)

    again = run(*named, "--execute")
    assert (again.code, results(again)) == (0, [("present", None)])


def test_a_secret_is_typed_at_a_terminal(
    zoho: Simulator, source: Source, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    path = source(sdk_row(zoho, client_id="", client_secret=""))
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CLIENT_ID": "", "CLIENT_SECRET": ""}
    monkeypatch.setattr("getpass.getpass", lambda prompt: CLIENT_SECRET)

    words = (*IMPORT, "--from-file", str(path), "--client-id", CLIENT_ID, "--execute")
    call_command(*words, stdin=Terminal(), stdout=Terminal())

    assert Token.objects.get().user_email == MARA


def test_tokens_of_another_client_than_the_named_one(
    run: Run, zoho: Simulator, source: Source
) -> None:
    path = source(sdk_row(zoho), sdk_row(zoho, 1, client_id="1000.OTHER"))

    ran = run(*IMPORT, "--from-file", str(path), "--client-id", CLIENT_ID, "--execute")

    assert (ran.code, results(ran)) == (3, [("imported", None), ("unusable", "other_client")])


# Data centers


class Centers(SimulatorAdapter):
    """Sends requests to the simulator of their host, and remembers the hosts."""

    asked: list[str]
    by_host: Mapping[str, Simulator]

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> Any:
        host = urlsplit(request.url or "").netloc
        self.asked.append(host)
        self.simulator = self.by_host[host]
        return super().send(request, *args, **more)


@pytest.fixture
def centers(zoho: Simulator, settings: Any) -> list[str]:
    """Return the hosts that are asked; another Zoho is in the data centers us and eu."""
    other = new_simulator()
    hosts = ("accounts.zoho.com", "accounts.zoho.eu", "www.zohoapis.com", "www.zohoapis.eu")
    Centers.by_host = {urlsplit(zoho.origin).netloc: zoho, **dict.fromkeys(hosts, other)}
    Centers.asked = []
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "TRANSPORT": f"{__name__}.transport"}
    return Centers.asked


def transport() -> Centers:
    return Centers(next(iter(Centers.by_host.values())))


@pytest.mark.parametrize(
    ("api_domain", "data_center", "environment"),
    [
        ("https://www.zohoapis.eu", "eu", "production"),
        ("https://www.zohoapis.com.au/", "au", "production"),
        ("https://sandbox.zohoapis.in", "in", "sandbox"),
        ("https://developer.zohoapis.ca", "ca", "developer"),
        ("https://api.zoho.jp", "jp", "production"),
        ("https://www.zohoapis.com.example", None, "production"),
        ("https://www.zohoapis.com@evil.example", None, "production"),
        ("", None, "production"),
    ],
)
def test_the_source_names_the_data_center(
    run: Run,
    zoho: Simulator,
    source: Source,
    api_domain: str,
    data_center: str | None,
    environment: str,
) -> None:
    path = source(sdk_row(zoho, api_domain=api_domain))

    ran = run(*IMPORT, "--from-file", str(path))

    assert ran.line["data_center"] == data_center
    assert ran.line["environment"] == environment
    assert ran.line["reason"] == (None if data_center else "no_data_center")


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("--data-center", "us"), ["us"]),
        (("--try", "us"), ["us"]),
        (("--try", "eu,us"), ["eu", "us"]),
        (("--try", "us,local,eu"), ["us", "local"]),
        (("--data-center", "local"), ["local"]),
        ((), []),
    ],
)
def test_no_other_data_center_is_asked(
    run: Run,
    zoho: Simulator,
    source: Source,
    centers: list[str],
    words: tuple[str, ...],
    asked: list[str],
) -> None:
    path = source(sdk_row(zoho, api_domain=""))
    hosts = {
        "us": "accounts.zoho.com",
        "eu": "accounts.zoho.eu",
        "local": urlsplit(zoho.origin).netloc,
    }

    ran = run(*IMPORT, "--from-file", str(path), "--execute", *words)

    assert list(dict.fromkeys(centers)) == [hosts[each] for each in asked]
    if "local" in asked:
        assert (results(ran), ran.line["data_center"]) == ([("imported", None)], "local")
    else:
        assert results(ran) == [("unusable", "revoked" if asked else "no_data_center")]


def test_a_data_center_that_is_out_of_order_is_passed_over(
    run: Run, zoho: Simulator, source: Source, centers: list[str]
) -> None:
    path = source(sdk_row(zoho, api_domain=""))
    other = Centers.by_host["accounts.zoho.com"]
    other.fail("refresh", "error_before", times=2)
    words = (*IMPORT, "--from-file", str(path), "--execute", "--try")

    assert results(run(*words, "us,eu")) == [("unusable", "no_answer")]
    assert results(run(*words, "us,local")) == [("imported", None)]


# Other sources


def test_an_sqlite_file_and_a_table_of_the_project(
    run: Run, zoho: Simulator, tmp_path: Path
) -> None:
    rows = [sdk_row(zoho, number, id=str(number)) for number in range(2)]
    columns = [*rows[0]]
    path = tmp_path / "zohooauth.db"
    with closing(sqlite3.connect(path)) as file:
        file.execute(f"CREATE TABLE oauthtoken ({', '.join(columns)})")
        file.execute(f"INSERT INTO oauthtoken VALUES ({', '.join('?' * 8)})", [*rows[0].values()])
        file.commit()
    with database.cursor() as cursor:
        sized = ", ".join(f"{column} VARCHAR(255)" for column in columns)
        cursor.execute(f"CREATE TABLE sdk_tokens ({sized})")
        marks = ", ".join(["%s"] * 8)
        cursor.execute(f"INSERT INTO sdk_tokens VALUES ({marks})", [*rows[1].values()])
    try:
        first = run(*IMPORT, "--from-sqlite", str(path), "--execute")
        table = ("--database", "default", "--table", "sdk_tokens")
        second = run(*IMPORT, *table, "--execute")
    finally:
        with database.cursor() as cursor:
            cursor.execute("DROP TABLE sdk_tokens")

    assert results(first) == results(second) == [("imported", None)]
    assert Token.objects.count() == 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--from-file", "none.txt"), "no such file"),
        (("--from-file", ""), "no such file"),
        (("--from-file", "none.txt", "--table", "oauthtoken"), "--table"),
        (("--from-sqlite", "none.db"), "no such file"),
        (("--database", "warehouse"), "default"),
        (("--database", "default", "--table", "zoho_crm_token"), "column"),
        (("--database", "default", "--table", "nowhere"), "nowhere"),
    ],
)
def test_wrong_use(run: Run, words: tuple[str, ...], text: str) -> None:
    ran = run("zoho_import_tokens", *words, "--execute")

    assert ran.code == 2
    assert text in ran.err
    assert not ran.out


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--from-file", "a", "--database", "b"),
        ("--from-file", "a", "--try", "us,moon"),
        ("--from-file", "a", "--try", "us", "--data-center", "eu"),
        ("--from-file", "a", "--environment", "test"),
    ],
)
def test_arguments_that_do_not_go_together(run: Run, words: tuple[str, ...]) -> None:
    ran = run("zoho_import_tokens", *words, "--execute")

    assert ran.err.startswith("Error: ")
    assert "no such file" not in ran.err


# Exporting


def export(run: Run, path: Path, *words: str) -> CommandResult:
    return run("zoho_export_tokens", "--format", "sdk-file", "--output", str(path), *words)


def test_what_was_exported_can_be_imported(
    run: Run, zoho: Simulator, source: Source, tmp_path: Path
) -> None:
    rows = [sdk_row(zoho, number) for number in range(2)]
    run(*IMPORT, "--from-file", str(source(*rows)), "--execute")
    connection = Connection.objects.get()
    target = tmp_path / "export.csv"

    ran = export(run, target, "--execute")

    assert ran.code == 0
    assert ran.line == {"tokens": 2, "path": str(target)}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    exported = read_file(target)
    assert [token.user for token in exported] == [row["user_name"] for row in rows]
    for token, row in zip(exported, rows, strict=True):
        assert token.refresh_token == Secret(row["refresh_token"])
        assert (token.client_secret, token.api_domain) == (Secret(CLIENT_SECRET), zoho.origin)
        assert token.expires_at
    event = connection.events.get(kind=ConnectionEvent.Kind.EXPORTED)
    assert event.details == {"tokens": 2}
    assert not [secret for secret in secrets(target) if secret in ran.out + ran.err]

    ConnectionEvent.objects.all().delete()
    Token.objects.all().delete()
    Connection.objects.all().delete()
    again = run(*IMPORT, "--from-file", str(target), "--execute")
    assert results(again) == [("imported", None)] * 2


def test_without_execute_no_file_is_made(run: Run, connection: Connection, tmp_path: Path) -> None:
    ran = export(run, tmp_path / "export.csv")

    assert (ran.code, ran.line["tokens"]) == (0, 1)
    assert "--execute" in ran.err
    assert not list(tmp_path.iterdir())
    assert not connection.events.filter(kind=ConnectionEvent.Kind.EXPORTED).exists()


def test_no_file_is_written_over_and_no_link_is_followed(
    run: Run, connection: Connection, tmp_path: Path
) -> None:
    (tmp_path / "there").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    (tmp_path / "dangling").symlink_to(tmp_path / "away")

    for name in ("there", "link", "dangling", ".", "none/export.csv", "x" * 300):
        ran = export(run, tmp_path / name, "--execute")
        assert (ran.code, ran.out) == (1, ""), name
    for path in ("-", "/dev/stdout", ""):
        assert export(run, Path(path), "--execute").code in {1, 2}

    assert (tmp_path / "there").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["dangling", "link", "there"]
    assert not connection.events.filter(kind=ConnectionEvent.Kind.EXPORTED).exists()


def test_what_cannot_be_read_is_not_exported(
    run: Run, connection: Connection, tmp_path: Path
) -> None:
    connection.tokens.update(refresh_token_cipher="zk1:00000000:lost")

    ran = export(run, tmp_path / "export.csv", "--execute")

    assert ran.code == 4
    assert not list(tmp_path.iterdir())


def test_one_connection_or_none(run: Run, connection: Connection, tmp_path: Path) -> None:
    assert export(run, tmp_path / "a", "--connection", "Nobody", "--execute").code == 2
    assert export(run, tmp_path / "a", "--connection", connection.name).line["tokens"] == 1

    connection.tokens.update(status=Token.Status.REVOKED)
    ran = export(run, tmp_path / "a", "--execute")

    assert ran.code == 1
    assert "no token" in ran.err
    assert not (tmp_path / "a").exists()


def test_users_of_one_address_are_told_apart(
    run: Run, connection: Connection, tmp_path: Path
) -> None:
    other = Connection.objects.create(
        name="Other", data_center="local", environment="sandbox", org_id="7"
    )
    token = connection.tokens.get()
    values = {"client_secret": Secret("s"), "refresh_token": Secret("1000.r")}
    copy = Token.objects.create(
        connection=other, user_id="1", user_email=token.user_email, client_id="1000.C"
    )
    Token.objects.filter(pk=copy.pk).update(**copy.encrypted_columns(**values))

    assert export(run, tmp_path / "a", "--execute").line["tokens"] == 2

    first, second = read_file(tmp_path / "a")
    assert first.user == f"{token.user_email}:{connection.zgid}"
    assert (second.user, second.expires_at) == (f"{token.user_email}:7", None)
    assert not second.access_token

    SdkToken.objects.create(token=copy, user_name="ops")
    export(run, tmp_path / "b", "--execute")
    assert [found.user for found in read_file(tmp_path / "b")] == [token.user_email, "ops"]
