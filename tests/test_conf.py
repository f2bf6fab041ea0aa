"""Settings: read when used, built from the environment without guessing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import environ
import pytest
from django.core.exceptions import ImproperlyConfigured

from zoho_crm.conf import SETTING_NAMES, ZohoSettings, conf, from_env, setting_types
from zoho_crm.types import Secret

#: Every key: how a variable is written, and what is read from it.
VARIABLES: dict[str, tuple[str, object]] = {
    "CLIENT_ID": ("1000.CLIENT", "1000.CLIENT"),
    "CLIENT_SECRET": ("a,b=c;d", "a,b=c;d"),
    "DATA_CENTER": ("eu", "eu"),
    "ENVIRONMENT": ("sandbox", "sandbox"),
    "REDIRECT_URI": ("https://crm.example/zoho/", "https://crm.example/zoho/"),
    "SCOPES": (
        "ZohoCRM.modules.ALL, ZohoCRM.org.READ",
        ("ZohoCRM.modules.ALL", "ZohoCRM.org.READ"),
    ),
    "PKCE": ("false", False),
    "ENCRYPTION_KEYS": ("first=,second=", ("first=", "second=")),
    "LOCAL_URL": ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
    "EXTRA_DATA_CENTERS": (
        "uk=accounts.zoho.uk,www.zohoapis.uk, content.zohoapis.uk; ae=a,b,c;",
        {
            "uk": ("accounts.zoho.uk", "www.zohoapis.uk", "content.zohoapis.uk"),
            "ae": ("a", "b", "c"),
        },
    ),
    "PROXY": (
        "http://me:a=b,c;d@proxy.example:3128",
        Secret("http://me:a=b,c;d@proxy.example:3128"),
    ),
    "CA_BUNDLE": ("/etc/ssl/proxy.pem", "/etc/ssl/proxy.pem"),
    "EXTRA_API_HOSTS": ("desk.zoho.eu", ("desk.zoho.eu",)),
    "TRANSPORT": ("host.zoho.transport", "host.zoho.transport"),
    "CONNECT_TIMEOUT": ("2.5", 2.5),
    "CALL_DEADLINE": ("20", 20),
    "MAX_ATTACHMENT_SIZE": ("20000000", 20_000_000),
    "MAX_CONCURRENCY": ("7", 7),
    "QUEUE": ("zoho", "zoho"),
    "LEASE": ("100", 100),
    "SLICE": ("10", 10),
    "SWEEP_INTERVAL": ("0.5", 0.5),
    "REFRESH_LEASE": ("41", 41),
    "TOKEN_BACKOFF": ("300", 300),
    "QUIET_PERIOD": ("1e2", 100),
    "MASS_QUIET_PERIOD": ("1000", 1000),
    "JOB_HORIZON": ("3600", 3600),
    "NEGATIVE_READS": ("3", 3),
    "READ_SPACING": ("30", 30),
    "MAX_ATTEMPTS": ("4", 4),
    "UNKNOWN_HORIZON": ("7200", 7200),
    "PREVIEW_MAX_AGE": ("60", 60),
    "CREDIT_COSTS": (
        "convert=5, mass_convert=200,other=1",
        {"convert": 5, "mass_convert": 200, "other": 1},
    ),
    "CREDIT_BUDGET": ("1000", 1000),
    "CREDIT_RESERVE": ("12.5", 12.5),
    "RETENTION_DAYS": ("30", 30),
}


def env_with(variables: Mapping[str, str]) -> environ.Env:
    class OneEnv(environ.Env):
        ENVIRON = dict(variables)

    return OneEnv()


def test_every_key_is_in_the_table_of_these_tests() -> None:
    assert VARIABLES.keys() == SETTING_NAMES


@pytest.mark.parametrize("name", VARIABLES)
def test_a_key_is_read_from_its_variable(name: str) -> None:
    text, value = VARIABLES[name]

    read = from_env(env_with({f"ZOHO_CRM_{name}": text}))

    assert read == {name: value}
    assert type(read[name]) is type(value)


def test_all_keys_together_make_the_settings() -> None:
    env = env_with({f"ZOHO_CRM_{name}": text for name, (text, _value) in VARIABLES.items()})

    mine = ZohoSettings(**from_env(env))

    assert vars(mine) == {name: value for name, (_text, value) in VARIABLES.items()}


def test_what_is_not_set_or_empty_is_left_out() -> None:
    assert from_env(env_with({})) == {}
    assert from_env(env_with({f"ZOHO_CRM_{name}": " " for name in VARIABLES})) == {}


def test_variables_of_others_are_left_alone() -> None:
    assert (
        from_env(env_with({"CLIENT_ID": "1", "ZOHO_CRM_CLIENTID": "2", "ZOHO_CLIENT_ID": "3"}))
        == {}
    )


def test_the_prefix_can_be_another() -> None:
    assert from_env(env_with({"CRM_QUEUE": "zoho"}), prefix="CRM_") == {"QUEUE": "zoho"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("JOB_HORIZON", "2h"),
        ("CALL_DEADLINE", "30 s"),
        ("CALL_DEADLINE", "inf"),
        ("CALL_DEADLINE", "nan"),
        ("CALL_DEADLINE", "1,5"),
        ("MAX_CONCURRENCY", "7.5"),
        ("NEGATIVE_READS", "two"),
        ("PKCE", "ture"),
        ("PKCE", "2"),
        ("CREDIT_COSTS", "convert"),
        ("CREDIT_COSTS", "convert=five"),
        ("CREDIT_COSTS", "convert=5;other=1"),
        ("EXTRA_DATA_CENTERS", "uk"),
        ("EXTRA_DATA_CENTERS", "accounts.zoho.uk,www.zohoapis.uk,content.zohoapis.uk"),
    ],
)
def test_what_cannot_be_read_is_not_guessed_at(name: str, text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"ZOHO_CRM_{name} is not .*{text}"):
        from_env(env_with({f"ZOHO_CRM_{name}": text}))


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("True", True), ("YES", True), ("on", True)]
    + [("0", False), ("False", False), ("no", False), ("OFF", False)],
)
def test_a_truth_is_written_in_the_usual_ways(text: str, value: bool) -> None:
    assert from_env(env_with({"ZOHO_CRM_PKCE": text})) == {"PKCE": value}


def test_settings_are_read_as_they_are_now(settings: Any) -> None:
    settings.ZOHO_CRM = {"QUEUE": "one"}
    assert conf().QUEUE == "one"

    settings.ZOHO_CRM = {"QUEUE": "two"}
    assert conf().QUEUE == "two"

    del settings.ZOHO_CRM
    assert conf() == ZohoSettings()


def test_a_misspelt_key_is_no_crash(settings: Any) -> None:
    settings.ZOHO_CRM = {"QUEUES": "one", 1: "two"}

    assert conf() == ZohoSettings()


def test_the_defaults_are_those_of_the_table_of_settings() -> None:
    mine = ZohoSettings()

    assert (mine.CONNECT_TIMEOUT, mine.CALL_DEADLINE) == (5, 30)
    assert (mine.LEASE, mine.SLICE, mine.SWEEP_INTERVAL, mine.REFRESH_LEASE) == (90, 15, 15, 40)
    assert mine.TOKEN_BACKOFF == 600
    assert (mine.QUIET_PERIOD, mine.MASS_QUIET_PERIOD, mine.JOB_HORIZON) == (120, 900, 7200)
    assert (mine.NEGATIVE_READS, mine.READ_SPACING, mine.MAX_ATTEMPTS) == (2, 60, 3)
    assert (mine.UNKNOWN_HORIZON, mine.PREVIEW_MAX_AGE) == (86_400, 86_400)
    assert mine.CREDIT_COSTS == {
        "convert": 5,
        "mass_convert": 200,
        "count": 50,
        "bulk_read": 50,
        "write": 1,
        "other": 1,
    }
    assert (mine.CREDIT_RESERVE, mine.RETENTION_DAYS) == (10, 90)
    assert (mine.DATA_CENTER, mine.ENVIRONMENT, mine.PKCE) == ("us", "production", True)


def test_every_kind_of_setting_is_known() -> None:
    assert set(setting_types().values()) == {
        *(str, bool, int, float, Secret | str, tuple[str, ...]),
        *(Mapping[str, int], Mapping[str, tuple[str, ...]]),
    }


def test_the_local_zoho_is_one_of_the_data_centers() -> None:
    assert "local" in ZohoSettings(LOCAL_URL="http://127.0.0.1:8765").data_centers
    assert "local" not in ZohoSettings().data_centers


def test_a_newer_data_center_is_one_of_them() -> None:
    hosts = ("accounts.zoho.uk", "www.zohoapis.uk", "content.zohoapis.uk")

    assert "uk" in ZohoSettings(EXTRA_DATA_CENTERS={"uk": hosts}).data_centers


@pytest.mark.parametrize("form", [str, Secret])
def test_a_proxy_is_shown_without_its_user_and_password(form: Callable[[str], Any]) -> None:
    mine = ZohoSettings(PROXY=form("http://somebody:hunter2@proxy.example:3128/"))

    assert mine.proxy.reveal() == "http://somebody:hunter2@proxy.example:3128/"
    assert mine.proxy_host == "proxy.example:3128"
    assert "hunter2" not in repr(mine)
    assert not ZohoSettings().proxy


@pytest.mark.slow
def test_django_environ_is_not_needed_to_read_settings() -> None:
    blocked = "import sys; sys.modules['environ'] = None; import zoho_crm.conf, zoho_crm.client"

    subprocess.run([sys.executable, "-c", blocked], check=True)
