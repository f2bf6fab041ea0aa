"""
Measure the token store for Zoho's SDK beside the SDK's ``FileStore``.

Run it from the root of the repository, with the SDK installed (``make sdk``); ``DATABASE_URL``
chooses the database::

    .venv/bin/python benchmarks/token_store.py [--tokens 1 100 10000] [--seconds 5]

First ``find_token_by_id``, which the SDK calls before each call to Zoho, with more and more tokens
in the store: the median and the 95th percentile. Then calls per second of the SDK in one thread,
to a simulator in a process of its own.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import environment
from recording_simulator import remote_simulator
from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
from zohocrmsdk.src.com.zoho.api.authenticator.store import FileStore
from zohocrmsdk.src.com.zoho.crm.api import Initializer, ParameterMap
from zohocrmsdk.src.com.zoho.crm.api.users import GetUsersParam, UsersOperations

from zoho_crm.contrib.sdk import DjangoTokenStore, sdk_environment
from zoho_crm.models import Connection, Token, from_now
from zoho_crm.services.connect import with_grant_code
from zoho_crm.services.sdk_rows import row_for
from zoho_crm.types import Secret

LOOK_UPS = 300
#: Milliseconds since the epoch at which the tokens in the file expire.
FAR_AHEAD = "4102444800000"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 100, 10_000])
    parser.add_argument("--seconds", type=float, default=5, help="for how long calls are counted")
    given = parser.parse_args()
    with ExitStack() as stack:
        vendor = stack.enter_context(environment.new_database())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        zoho = stack.enter_context(remote_simulator(0))
        environment.point_to(zoho.origin)
        connection = with_grant_code(code=zoho.grant_code, data_center="local")
        print("find_token_by_id, median and 95th percentile in µs")
        for count in given.tokens:
            ids = fill_tables(connection, count)
            measured(f"{vendor}, {count} tokens", DjangoTokenStore(), ids)
            file, ids = filled_file(folder / f"{count}.csv", count)
            measured(f"FileStore, {count} tokens", file, ids)
        token = connection.tokens.get(is_default=True)
        print("calls per second of the SDK, one thread")
        for name, store in (
            (vendor, DjangoTokenStore()),
            ("FileStore, 1 token", FileStore(str(folder / "one.csv"))),
            (f"FileStore, {count} tokens", file),
        ):
            rate = calls_per_second(token, store, folder, given.seconds)
            print(f"  {name}: {rate:.0f}")
    return 0


def fill_tables(connection: Connection, count: int) -> list[str]:
    """Let a connection have so many tokens, and return the SDK's ids of up to ``LOOK_UPS``."""
    known = connection.tokens.count()
    secrets = dict.fromkeys(Token.SECRETS, Secret("1000." + "x" * 65))
    for number in range(known, count):
        token = Token.objects.create(
            connection=connection,
            user_id=str(number),
            client_id="1000.CLIENT",
            expires_at=from_now(86_400),
        )
        Token.objects.filter(pk=token.pk).update(**token.encrypted_columns(**secrets))
    tokens = list(connection.tokens.select_related("connection"))
    return [str(row_for(token).pk) for token in random.sample(tokens, min(count, LOOK_UPS))]


def filled_file(path: Path, count: int) -> tuple[FileStore, list[str]]:
    """Return a store of so many tokens in a file, and up to ``LOOK_UPS`` of their ids."""
    store, secret = FileStore(str(path)), "1000." + "x" * 65
    with path.open("a", encoding="utf-8") as file:
        for number in range(1, count + 1):
            row = [number, f"user{number}@nordwind.example", "1000.CLIENT", *[secret] * 3]
            file.write(",".join(map(str, [*row, "", FAR_AHEAD, "", ""])) + "\n")
    return store, [
        str(number) for number in random.sample(range(1, count + 1), min(count, LOOK_UPS))
    ]


def measured(name: str, store: Any, ids: list[str]) -> None:
    """Print how long it takes to find tokens by their ids."""
    microseconds = [
        1e6 * duration(lambda: store.find_token_by_id(random.choice(ids))) for _ in range(LOOK_UPS)
    ]
    median, *_others = statistics.quantiles(microseconds, n=2)
    print(f"  {name}: {median:.0f}, {statistics.quantiles(microseconds, n=20)[-1]:.0f}")


def duration(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def calls_per_second(token: Token, store: Any, folder: Path, seconds: float) -> float:
    """Return how many times a second the SDK reads the current user."""
    used = OAuthToken(
        client_id=token.client_id,
        client_secret=token.reveal("client_secret").reveal(),
        refresh_token=token.reveal("refresh_token").reveal(),
    )
    Initializer.initialize(
        sdk_environment(token.connection), used, store, resource_path=str(folder)
    )
    parameters = ParameterMap()
    parameters.add(GetUsersParam.type, "CurrentUser")
    calls, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        assert UsersOperations().get_users(parameters).get_status_code() == 200
        calls += 1
    return calls / seconds


if __name__ == "__main__":
    sys.exit(main())
