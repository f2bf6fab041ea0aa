"""The readers of the stores of Zoho's SDKs: files, SQLite databases, tables of the project."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.services import token_sources
from zoho_crm.services.token_sources import FoundToken, read_file, read_sqlite, read_table
from zoho_crm.types import Secret

HEADER = (
    "id,user_name,client_id,client_secret,refresh_token,access_token,grant_token,expiry_time,"
    "redirect_url,api_domain"
)
ROW = (
    "1,mara@nordwind.example,1000.CLIENT,client-secret,1000.refresh,1000.access,,1700000000000,"
    "https://nordwind.example/callback,https://www.zohoapis.eu"
)
MARA = FoundToken(
    source_row="1",
    user="mara@nordwind.example",
    client_id="1000.CLIENT",
    client_secret=Secret("client-secret"),
    refresh_token=Secret("1000.refresh"),
    access_token=Secret("1000.access"),
    expires_at=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
    api_domain="https://www.zohoapis.eu",
)

CREATE = f"CREATE TABLE oauthtoken ({HEADER.replace(',', ' TEXT, ')} TEXT)"
CREATE_OLD = """
CREATE TABLE oauthtokens
(useridentifier VARCHAR(100), accesstoken VARCHAR(100), refreshtoken VARCHAR(100),
 expirytime BIGINT)
"""

CLASS = "zcrmsdk\\oauth\\utility\\ZohoOAuthTokens"


def php_string(text: str) -> str:
    return f's:{len(text.encode())}:"{text}";'


def php_token(refresh: str, access: str, expiry: str, user: str, name: str = CLASS) -> str:
    values = {
        "refreshToken": php_string(refresh),
        "accessToken": php_string(access),
        "expiryTime": expiry,
        "userEmailId": php_string(user),
    }
    body = "".join(php_string(f"\0{name}\0{key}") + value for key, value in values.items())
    return f'O:{len(name)}:"{name}":4:{{{body}}}'


def php_list(*tokens: str) -> bytes:
    body = "".join(f"i:{number};{token}" for number, token in enumerate(tokens))
    return f"a:{len(tokens)}:{{{body}}}".encode()


PHP_TOKEN = php_token("1000.refresh", "1000.access", "i:1700000000000;", "mara@nordwind.example")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write_file(content: bytes) -> Path:
        path = tmp_path / "source"
        path.write_bytes(content)
        return path

    return write_file


Write = Callable[[bytes], Path]


def sqlite_file(path: Path, *statements: str, rows: Sequence[Sequence[Any]] = ()) -> Path:
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    for row in rows:
        marks = ", ".join("?" * len(row))
        database.execute(f"INSERT INTO oauthtoken VALUES ({marks})", row)
    database.commit()
    database.close()
    return path


# The file store of the Python SDK


def test_a_row_of_the_file_store(write: Write) -> None:
    assert read_file(write(f"{HEADER}\r\n{ROW}\r\n".encode())) == [MARA]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"\ufeff{HEADER}\n{ROW}\n", id="with a byte order mark"),
        pytest.param(f"{HEADER}\r\r\n\r\r\n{ROW}\r\r\n", id="after delete_token on Windows"),
        pytest.param(f"{HEADER}\n\n{ROW}\n,,,,,,,,,\n", id="with blank rows"),
        pytest.param(HEADER.replace("user_name", "user_mail") + f"\n{ROW}", id="of SDK 3"),
        pytest.param(f"{HEADER.upper()}\n{ROW}", id="with another case"),
    ],
)
def test_variants_of_the_file_store(write: Write, text: str) -> None:
    assert read_file(write(text.encode())) == [MARA]


def test_a_file_store_of_an_older_sdk_has_no_api_domain(write: Write) -> None:
    header, row = (line.rpartition(",")[0] for line in (HEADER, ROW))

    for text in (f"{header}\n{row}", f"{HEADER}\n{row}"):
        (found,) = read_file(write(text.encode()))
        assert (found.api_domain, found.refresh_token) == ("", MARA.refresh_token)


def test_values_are_quoted_as_csv(write: Write) -> None:
    user = 'O\'Neil, "Mara"; DROP TABLE oauthtoken; --\nx'
    out = io.StringIO()
    csv.writer(out).writerows(
        [HEADER.split(","), ["7", user, "1000.C", "s", "1000.r", "", "", "", "", ""]]
    )

    (found,) = read_file(write(out.getvalue().encode()))

    assert (found.source_row, found.user, found.problem) == ("7", user, "")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1,mara,1000.C,s,,1000.access,,1700000000000,,", "no_refresh_token"),
        ("1,mara,1000.C,s,,,1000.grant,,,", "no_refresh_token"),
        ("1,mara,1000.C,s,1000.ref", "unreadable"),
        ("1,mara,1000.C,s,1000.refresh,1000.access,,,,,,too,many", "unreadable"),
        ("1,mara,1000.C,s,1000 refresh,,,,,", "unreadable"),
        ("1,mara,1000.C,s,1000.réfresh,,,,,", "unreadable"),
        (f"1,mara,1000.C,s,{'r' * 2049},,,,,", "unreadable"),
        (f"1,mara,{'c' * 101},s,1000.refresh,,,,,", "unreadable"),
        (f"1,mara,1000.C,s,{'r' * 2048},,,,,", ""),
    ],
)
def test_one_row_that_cannot_be_used_hides_no_other(write: Write, row: str, problem: str) -> None:
    found = read_file(write(f"{HEADER}\n{row}\n{ROW}\n".encode()))

    assert [each.problem for each in found] == [problem, ""]


@pytest.mark.parametrize("expiry", ["", "None", "-1", "1e400", "9" * 15, "17.5.3", "tomorrow"])
def test_an_expiry_that_is_no_time_is_unknown(write: Write, expiry: str) -> None:
    (found,) = read_file(write(f"{HEADER}\n{ROW.replace('1700000000000', expiry)}".encode()))

    assert (found.expires_at, found.problem) == (None, "")


def test_only_a_header_is_no_token(write: Write) -> None:
    assert read_file(write(f"{HEADER}\r\n".encode())) == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
        (bytes(range(256)), "binary"),
        (b"\x80\x04\x95\x10\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.", "other_format"),
        (b"name,token\nmara,1000.refresh", "other_format"),
        (b'{"refresh_token": "1000.refresh"}', "other_format"),
        (ROW.encode(), "other_format"),
        (f"{HEADER}\n1,{'x' * 200_000}".encode(), "other_format"),
        (HEADER.encode("utf-16"), "binary"),
    ],
)
def test_a_file_of_another_kind(write: Write, content: bytes, code: str) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        read_file(write(content))

    assert refused.value.code == code
    assert "1000.refresh" not in str(refused.value)


@pytest.mark.parametrize("read", [read_file, read_sqlite])
def test_a_path_that_is_no_file_or_too_large(read: Callable[[Path], Any], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(token_sources.MAX_SOURCE_BYTES + 1)
    (tmp_path / "empty").touch()
    paths = {
        tmp_path: "no_file",
        tmp_path / "none": "no_file",
        tmp_path / "pipe": "no_file",
        Path("/dev/zero"): "no_file",
        tmp_path / ("x" * 300): "cannot_be_read",
        tmp_path / "huge": "too_large",
        tmp_path / "empty": "empty",
    }

    for path, code in paths.items():
        with pytest.raises(RequestRefusedError) as refused:
            read(path)
        assert refused.value.code == code, path


def test_too_many_tokens(write: Write) -> None:
    lines = "x\n" * (token_sources.MAX_SOURCE_TOKENS + 1)

    for content in (f"user_name,refresh_token\n{lines}".encode(), b"a:100001:{i:0;"):
        with pytest.raises(RequestRefusedError, match="100000"):
            read_file(write(content))


# The file of the PHP SDK


def test_a_token_of_the_php_sdk(write: Write) -> None:
    (found,) = read_file(write(php_list(PHP_TOKEN)))

    assert found == FoundToken(
        source_row="1",
        user=MARA.user,
        refresh_token=MARA.refresh_token,
        access_token=MARA.access_token,
        expires_at=MARA.expires_at,
    )


@pytest.mark.parametrize("expiry", ["d:1700000000000;", "d:1700000000000.0;", "d:1.7E+12;"])
def test_php_has_the_time_as_a_float_too(write: Write, expiry: str) -> None:
    (found,) = read_file(write(php_list(PHP_TOKEN.replace("i:1700000000000;", expiry))))

    assert found.expires_at == MARA.expires_at


def test_null_and_no_token_of_php(write: Write) -> None:
    without = PHP_TOKEN.replace(php_string("1000.refresh"), "N;")
    without = without.replace("i:1700000000000;", "N;")

    (found,) = read_file(write(php_list(without) + b"\n"))

    assert (found.problem, found.expires_at) == ("no_refresh_token", None)
    assert read_file(write(php_list())) == []


@given(
    refresh=st.text("0123456789abcdef.", min_size=1, max_size=60),
    user=st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    expiry=st.integers(0, 10**13),
)
def test_every_list_that_php_writes_is_read(refresh: str, user: str, expiry: int) -> None:
    token = php_token(refresh, "", f"i:{expiry};", user)

    first, second = token_sources._php.read_serialized(php_list(token, PHP_TOKEN))

    assert (first.user, first.refresh_token) == (
        user.strip().replace("\0", "\ufffd"),
        Secret(refresh),
    )
    assert second.user == MARA.user


@pytest.mark.parametrize(
    "content",
    [
        php_list(php_token("1000.refresh", "", "i:1;", "mara", name="Monolog\\Handler")),
        php_list(PHP_TOKEN.replace("refreshToken", "refreshTokem")),
        php_list(PHP_TOKEN.replace("accessToken", "expiryTime").replace("s:49", "s:48")),
        php_list(PHP_TOKEN.replace('":4:{', '":5:{')),
        php_list(PHP_TOKEN.replace("i:1700000000000;", "b:1;")),
        php_list(PHP_TOKEN.replace("i:1700000000000;", "a:0:{}")),
        php_list(PHP_TOKEN.replace("i:1700000000000;", "d:INF;")),
        php_list(PHP_TOKEN.replace('s:12:"1000.refresh"', 's:13:"1000.refresh"')),
        php_list(PHP_TOKEN.replace('s:12:"1000.refresh"', 's:999999999:"1000.refresh"')),
        php_list(PHP_TOKEN.replace('s:12:"1000.refresh";', "R:1;")),
        php_list(PHP_TOKEN.replace("O:37:", "C:37:")),
        php_list(PHP_TOKEN)[:-1],
        php_list(PHP_TOKEN) + b"i:1;",
        b"a:1:{" * 100_000,
    ],
)
def test_other_things_that_php_serializes(write: Write, content: bytes) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        read_file(write(content))

    assert refused.value.code == "other_format"
    assert "1000.refresh" not in str(refused.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 400), change=st.binary(max_size=8))
def test_a_damaged_file_is_read_or_refused(write: Write, at: int, change: bytes) -> None:
    for content in (php_list(PHP_TOKEN), f"{HEADER}\r\n{ROW}\r\n".encode()):
        with suppress(RequestRefusedError):
            read_file(write(content[:at] + change + content[at + len(change) :]))


# SQLite


def test_a_row_of_an_sqlite_file(tmp_path: Path) -> None:
    path = sqlite_file(tmp_path / "zohooauth.db", CREATE, rows=[ROW.split(",")])

    assert read_sqlite(path) == [MARA]
    assert read_sqlite(path, table="OAuthToken") == [MARA]


def test_values_of_other_types_and_eleven_rows(tmp_path: Path) -> None:
    rows = [
        [number, "mara", b"1000.C", "s", b"1000.refresh", None, None, 1700000000000, None, None]
        for number in range(1, 12)
    ]
    create = f"CREATE TABLE oauthtoken ({HEADER})"

    found = read_sqlite(sqlite_file(tmp_path / "zoho?%20#oauth.db", create, rows=rows))

    assert [each.source_row for each in found] == [str(number) for number in range(1, 12)]
    assert {each.refresh_token for each in found} == {MARA.refresh_token}
    assert {each.expires_at for each in found} == {MARA.expires_at}


@pytest.mark.parametrize("mode", ["delete", "wal", "wal in use"])
def test_an_sqlite_file_and_what_is_beside_it_stay_as_they_are(tmp_path: Path, mode: str) -> None:
    path = sqlite_file(tmp_path / "zohooauth.db", CREATE, rows=[ROW.split(",")])
    writer = sqlite3.connect(path)
    writer.execute(f"PRAGMA journal_mode = {mode.split()[0]}")
    writer.execute("UPDATE oauthtoken SET user_name = 'mara'")
    writer.commit()
    if mode != "wal in use":
        writer.close()
    before = contents(tmp_path)

    (found,) = read_sqlite(path)

    assert found.user == "mara"
    assert contents(tmp_path) == before
    writer.close()


def contents(folder: Path) -> dict[str, str]:
    """Return the hashes of the files; the index of SQLite's log is shared memory, not data."""
    return {
        path.name: "" if path.suffix == ".db-shm" else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
    }


@pytest.mark.parametrize(
    ("statements", "code"),
    [
        ([], "empty"),
        (["CREATE TABLE other (id TEXT)"], "no_table"),
        (["CREATE TABLE oauthtoken (id TEXT, user_name TEXT)"], "other_format"),
        (["CREATE VIEW oauthtoken AS SELECT 1 AS user_name, 2 AS refresh_token"], "no_table"),
        (
            ["CREATE VIRTUAL TABLE oauthtoken USING fts5(user_name, refresh_token)"],
            "no_table",
        ),
        (
            [
                "CREATE TABLE oauthtoken (user_name TEXT, refresh_token TEXT)",
                "INSERT INTO oauthtoken VALUES ('mara', zeroblob(200000))",
            ],
            "cannot_be_read",
        ),
    ],
)
def test_an_sqlite_file_of_another_kind(tmp_path: Path, statements: list[str], code: str) -> None:
    path = sqlite_file(tmp_path / "other.db", *statements)

    with pytest.raises(RequestRefusedError) as refused:
        read_sqlite(path)

    assert refused.value.code == code


def test_a_damaged_sqlite_file(tmp_path: Path) -> None:
    path = sqlite_file(tmp_path / "damaged.db", CREATE, rows=[ROW.split(",")] * 100)
    content = path.read_bytes()

    for damaged, code in {
        content[:5000]: "cannot_be_read",
        content[:100] + b"\xff" * (len(content) - 100): "cannot_be_read",
        b"a text": "other_format",
    }.items():
        path.write_bytes(damaged)
        with pytest.raises(RequestRefusedError) as refused:
            read_sqlite(path)
        assert refused.value.code == code


# Tables in a database of the project


@pytest.fixture
def old_table(transactional_db: None) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(CREATE_OLD)
        insert = "INSERT INTO oauthtokens VALUES (%s, %s, %s, %s)"
        cursor.execute(insert, ["mara", "1000.access", "1000.refresh", 1700000000000])
        cursor.execute(insert, ["o'neil", "1000.access", None, None])
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE oauthtokens")


def test_the_table_of_older_sdks(old_table: None) -> None:
    for table in ("", "oauthtokens"):
        first, second = read_table("default", table=table)

        assert (first.source_row, first.user, first.client_id) == ("1", "mara", "")
        assert (first.refresh_token, first.expires_at) == (MARA.refresh_token, MARA.expires_at)
        assert (second.source_row, second.user) == ("2", "o'neil")
        assert second.problem == "no_refresh_token"


@pytest.mark.parametrize("name", ["oauthtoken", "My tokens; --"])
def test_the_table_of_the_sdk_under_a_name_of_its_own(transactional_db: None, name: str) -> None:
    quoted = connection.ops.quote_name
    columns = ", ".join(f"{quoted(column)} VARCHAR(255)" for column in HEADER.split(","))
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {quoted(name)} ({columns})")
        marks = ", ".join(["%s"] * len(HEADER.split(",")))
        cursor.execute(f"INSERT INTO {quoted(name)} VALUES ({marks})", ROW.split(","))
    try:
        assert read_table("default", table=name) == [MARA]
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {quoted(name)}")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("alias", "table", "code"),
    [
        ("warehouse", "oauthtoken", "no_database"),
        ("default", "", "no_table"),
        ("default", 'oauthtoken"; DROP TABLE zoho_crm_token; --', "no_table"),
        ("default", "zoho_crm_connection", "other_format"),
    ],
)
def test_a_table_of_another_kind(alias: str, table: str, code: str) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        read_table(alias, table=table)

    assert refused.value.code == code


def test_a_database_that_refuses(tmp_path: Path, django_db_blocker: Any) -> None:
    connections.settings["away"] = {
        **connections.settings["default"],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(tmp_path / "none" / "db.sqlite3"),
    }
    try:
        with django_db_blocker.unblock(), pytest.raises(RequestRefusedError) as refused:
            read_table("away", table="oauthtoken")
    finally:
        del connections.settings["away"]

    assert refused.value.code == "cannot_be_read"
