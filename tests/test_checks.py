"""The system checks: each has an id and a hint, and does not fail without need."""

from __future__ import annotations

import importlib
import math
import re
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import ERROR, CheckMessage, Error, Info, Warning, registry, run_checks
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings

from tests.client.tls import certificate
from tests.pseudo import pseudo_language, untranslated
from zoho_crm import checks, crypto
from zoho_crm.conf import setting_types
from zoho_crm.contrib.pytest import ENCRYPTION_KEY
from zoho_crm.types import Secret

# Since Django 6.1 its own checks ask the database.
pytestmark = pytest.mark.django_db

EXTRA_HOSTS = ("accounts.zoho.example", "www.zohoapis.example", "content.zohoapis.example")
SOUND = {"ENCRYPTION_KEYS": [ENCRYPTION_KEY]}


@pytest.fixture(autouse=True)
def _no_broker(settings: Any) -> None:
    settings.CELERY_BROKER_URL = ""


def found(*, deploy: bool = False) -> list[CheckMessage]:
    messages = run_checks(include_deployment_checks=deploy)
    return [message for message in messages if str(message.id).startswith("zoho_crm.")]


def found_with(settings: Any, **changes: object) -> list[CheckMessage]:
    settings.ZOHO_CRM = {**SOUND, **changes}
    return found()


def ids(messages: list[CheckMessage]) -> list[str]:
    return [str(message.id) for message in messages]


def test_sound_settings_are_passed_over_in_silence(settings: Any) -> None:
    assert found_with(settings) == []


def test_both_checks_are_registered() -> None:
    assert checks.check_settings in registry.registry.get_checks()
    assert checks.check_deployment not in registry.registry.get_checks()
    assert checks.check_deployment in registry.registry.get_checks(include_deployment_checks=True)


def test_every_id_is_explained_once_and_used() -> None:
    explained = re.findall(r"^\* ``(zoho_crm\.[EWI]\d+)`` \S", checks.__doc__ or "", re.MULTILINE)
    source = Path(checks.__file__).read_text(encoding="utf-8")

    assert len(explained) == len(set(explained))
    assert set(explained) == set(re.findall(r'id="(zoho_crm\.[EWI]\d+)"', source))


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("CLIENTID", "Did you mean 'CLIENT_ID'?"),
        ("client_id", "Did you mean 'CLIENT_ID'?"),
        ("ENCRYPTION_KEY", "Did you mean 'ENCRYPTION_KEYS'?"),
        ("COLOUR", "Known are: CALL_DEADLINE, CA_BUNDLE, CLIENT_ID,"),
        (1, "Known are: CALL_DEADLINE, CA_BUNDLE, CLIENT_ID,"),
    ],
)
def test_a_misspelt_key_gets_a_suggestion(settings: Any, key: object, hint: str) -> None:
    settings.ZOHO_CRM = {**SOUND, key: "x"}

    [message] = found()

    assert (message.id, type(message)) == ("zoho_crm.E001", Error)
    assert f"'{key}'" in message.msg
    assert message.hint
    assert message.hint.startswith(hint)


def test_a_key_that_does_not_encrypt_is_named_and_not_shown(settings: Any) -> None:
    [message] = found_with(settings, ENCRYPTION_KEYS=[ENCRYPTION_KEY, "hunter2"])

    assert (message.id, type(message)) == ("zoho_crm.E002", Error)
    assert crypto.key_id("hunter2") in message.msg
    assert "hunter2" not in str(message)
    assert "zoho_new_key" in str(message.hint)


def test_no_key_at_all_is_a_warning(settings: Any) -> None:
    [message] = found_with(settings, ENCRYPTION_KEYS=[])

    assert (message.id, type(message)) == ("zoho_crm.W001", Warning)
    assert "zoho_new_key" in str(message.hint)


@pytest.mark.parametrize(
    ("changes", "order"),
    [
        ({"LEASE": 60}, "CALL_DEADLINE < LEASE / 2"),
        ({"QUIET_PERIOD": 29}, "QUIET_PERIOD >= CALL_DEADLINE"),
        ({"REFRESH_LEASE": 30}, "REFRESH_LEASE > CALL_DEADLINE"),
        ({"SLICE": 90}, "SLICE < LEASE"),
        ({"NEGATIVE_READS": 0}, "NEGATIVE_READS >= 1"),
        ({"CONNECT_TIMEOUT": 0}, "CONNECT_TIMEOUT > 0"),
        ({"CALL_DEADLINE": 0}, "CALL_DEADLINE > 0"),
    ],
)
def test_an_order_that_nothing_could_be_trusted_in_is_refused(
    settings: Any, changes: dict[str, float], order: str
) -> None:
    [message] = found_with(settings, **changes)

    assert (message.id, type(message)) == ("zoho_crm.E003", Error)
    assert order in message.msg
    assert message.hint


@pytest.mark.parametrize(
    "changes", [{"QUIET_PERIOD": 30}, {"REFRESH_LEASE": 30.1}, {"LEASE": 60.1}, {"SLICE": 89}]
)
def test_an_order_that_just_holds_is_fine(settings: Any, changes: dict[str, float]) -> None:
    assert found_with(settings, **changes) == []


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({"DATA_CENTER": "uk"}, "us, eu, in, au, cn, jp, ca, sa"),
        ({"DATA_CENTER": "local"}, "us, eu"),
        ({"ENVIRONMENT": "staging"}, "production, sandbox, developer"),
    ],
)
def test_a_place_that_zoho_does_not_have_is_refused(
    settings: Any, changes: dict[str, str], known: str
) -> None:
    [message] = found_with(settings, **changes)

    assert (message.id, type(message)) == ("zoho_crm.E004", Error)
    assert known in str(message.hint)


def test_the_local_zoho_is_a_place(settings: Any) -> None:
    here = {"LOCAL_URL": "http://127.0.0.1:8765", "DATA_CENTER": "local"}

    assert found_with(settings, **here) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://zoho.example",
        "http://127.0.0.1@evil.example",
        "http://192.0.2.1:8765",
        "http://127.0.0.1:8765/crm",
        "127.0.0.1:8765",
        "http://[::1",
    ],
)
def test_a_local_zoho_elsewhere_is_refused(settings: Any, url: str) -> None:
    [message] = found_with(settings, LOCAL_URL=url)

    assert (message.id, type(message)) == ("zoho_crm.E005", Error)
    assert "127.0.0.1" in str(message.hint)


def test_a_newer_data_center_is_shown_with_all_hosts_that_get_secrets(settings: Any) -> None:
    [message] = found_with(settings, EXTRA_DATA_CENTERS={"uk": EXTRA_HOSTS}, DATA_CENTER="uk")

    assert (message.id, type(message)) == ("zoho_crm.I001", Info)
    for host in (*EXTRA_HOSTS, "sandbox.zohoapis.example", "developer.zohoapis.example"):
        assert f"https://{host}" in message.msg
    assert "EXTRA_DATA_CENTERS" in str(message.hint)


@pytest.mark.parametrize(
    ("name", "hosts"),
    [
        ("us", EXTRA_HOSTS),
        ("uk", ("http://accounts.zoho.example", *EXTRA_HOSTS[1:])),
        ("uk", ("accounts.zoho.com", *EXTRA_HOSTS[1:])),
        ("uk", EXTRA_HOSTS[:2]),
    ],
)
def test_a_newer_data_center_that_cannot_be_used_is_named(
    settings: Any, name: str, hosts: tuple[str, ...]
) -> None:
    [message] = found_with(settings, EXTRA_DATA_CENTERS={name: hosts})

    assert (message.id, type(message)) == ("zoho_crm.E009", Error)
    assert f"'{name}'" in message.msg
    assert message.hint


@pytest.mark.parametrize(
    "url",
    [
        "proxy.example:3128",
        "socks5://proxy.example",
        "http://somebody:hunter2",
        "http:",
        "http://somebody:hunter/2@proxy.example",
        "http://somebody:hunter2@proxy.example/path",
    ],
)
def test_what_is_no_url_of_a_proxy_is_named_and_not_shown(settings: Any, url: str) -> None:
    [message] = found_with(settings, PROXY=Secret(url))

    assert (message.id, type(message)) == ("zoho_crm.E010", Error)
    assert "hunter" not in str(message)


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        ("http://proxy.example:3128", []),
        ("https://[2001:db8::1]:3128/", []),
        (Secret("http://somebody:hunter2@proxy.example:3128"), []),
        ("http://somebody:hunter2@proxy.example:3128", ["zoho_crm.W007"]),
    ],
)
def test_a_password_of_a_proxy_is_to_be_a_secret(
    settings: Any, proxy: Secret | str, expected: list[str]
) -> None:
    messages = found_with(settings, PROXY=proxy)

    assert ids(messages) == expected
    assert "hunter2" not in str(messages)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_trusted_certificates_have_to_be_a_file_of_them(
    settings: Any, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "trusted.pem"
    if content is not None:
        path.write_text(content)

    [message] = found_with(settings, CA_BUNDLE=str(path))

    assert (message.id, type(message)) == ("zoho_crm.E011", Error)
    assert message.hint


def test_a_file_of_certificates_is_fine(settings: Any, tmp_path: Path) -> None:
    trusted = certificate(tmp_path / "trusted.pem")

    assert found_with(settings, CA_BUNDLE=str(trusted.path)) == []


def test_times_without_a_zone_are_refused(settings: Any) -> None:
    settings.USE_TZ = False

    assert ids(found_with(settings)) == ["zoho_crm.E006"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("LOCAL_URL", "http://127.0.0.1:8765"), ("TRANSPORT", "zoho_crm.contrib.pytest.transport")],
)
def test_what_is_for_development_is_refused_in_production_only(
    settings: Any, name: str, value: str
) -> None:
    settings.ZOHO_CRM = {**SOUND, name: value}

    assert found() == []
    [message] = found(deploy=True)
    assert (message.id, type(message)) == ("zoho_crm.E007", Error)
    assert name in message.msg
    assert message.hint


#: A value of a wrong type for each kind of setting.
WRONG: dict[Any, list[object]] = {
    str: [None, 1, ["eu"]],
    bool: ["true", 1, None],
    int: ["7", 7.5, True, None],
    float: ["30", None, True],
    Secret | str: [None, 1, ["http://proxy.example"]],
    tuple[str, ...]: ["text", None, [1], {"a": "b"}],
    Mapping[str, int]: [[], "convert=5", {"convert": "5"}, None],
    Mapping[str, tuple[str, ...]]: [["uk"], "uk=a,b,c", {"uk": "a,b,c"}, {1: ["a"]}, None],
}


@pytest.mark.parametrize("name", setting_types())
def test_a_value_of_another_type_is_named_and_nothing_crashes(settings: Any, name: str) -> None:
    for value in WRONG[setting_types()[name]]:
        messages = found_with(settings, **{name: value})

        assert "zoho_crm.E008" in ids(messages), value
        assert f"ZOHO_CRM['{name}'] is not a" in messages[0].msg or name == "PKCE"


@pytest.mark.parametrize("costs", [{"convrt": 5}, {5: 1}, {"convert": -1}])
def test_costs_are_of_known_kinds_of_calls(settings: Any, costs: object) -> None:
    [message] = found_with(settings, CREDIT_COSTS=costs)

    assert message.id == "zoho_crm.E008"
    assert "convert, mass_convert, count, bulk_read, write, other" in message.msg


@pytest.mark.parametrize("value", [None, [1], "text"])
def test_settings_that_are_no_dictionary_are_named(settings: Any, value: object) -> None:
    settings.ZOHO_CRM = value

    assert [message.msg for message in found() if message.level >= ERROR] == [
        "ZOHO_CRM is not a dictionary."
    ]


@pytest.mark.parametrize(
    ("changes", "limits"),
    [
        ({"RETENTION_DAYS": -1}, "from 1 to 36,500"),
        ({"RETENTION_DAYS": 0}, "from 1 to 36,500"),
        ({"RETENTION_DAYS": 99_999}, "from 1 to 36,500"),
        ({"SWEEP_INTERVAL": 0}, "from 0.1 to"),
        ({"SLICE": -1}, "from 0.1 to"),
        ({"LEASE": math.inf}, "from 0 to"),
        ({"READ_SPACING": math.nan}, "from 0 to"),
        ({"JOB_HORIZON": -1}, "from 0 to"),
        ({"UNKNOWN_HORIZON": 1e300}, "from 0 to"),
        ({"MAX_CONCURRENCY": -3}, "from 0 to"),
        ({"MAX_ATTEMPTS": 0}, "from 1 to"),
        ({"CREDIT_RESERVE": 101}, "from 0 to 100"),
    ],
)
def test_a_number_out_of_its_range_is_refused(
    settings: Any, changes: dict[str, float], limits: str
) -> None:
    [message] = found_with(settings, **changes)

    assert (message.id, type(message)) == ("zoho_crm.E012", Error)
    assert f"It must be {limits}" in str(message.hint)


@pytest.mark.parametrize("url", ["http://[", "crm.example/zoho/", "https:///callback/"])
def test_a_redirect_uri_that_is_no_url_is_refused(settings: Any, url: str) -> None:
    [message] = found_with(settings, REDIRECT_URI=url)

    assert (message.id, type(message)) == ("zoho_crm.E014", Error)


@pytest.mark.parametrize("path", ["no.such.module", "os.path", "nothing"])
def test_a_transport_that_is_no_callable_is_named(settings: Any, path: str) -> None:
    [message] = found_with(settings, TRANSPORT=path)

    assert (message.id, type(message)) == ("zoho_crm.E013", Error)
    assert path in message.msg


@pytest.mark.parametrize("keys", [[ENCRYPTION_KEY], (ENCRYPTION_KEY,)])
def test_a_list_may_be_a_tuple(settings: Any, keys: object) -> None:
    assert found_with(settings, ENCRYPTION_KEYS=keys) == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [("memory://", ["zoho_crm.W002"]), ("redis://localhost", []), ("", []), (None, [])],
)
def test_a_broker_in_the_memory_of_one_process_is_a_warning(
    settings: Any, url: str | None, expected: list[str]
) -> None:
    settings.CELERY_BROKER_URL = url

    assert ids(found_with(settings)) == expected


def test_a_project_without_a_broker_is_no_trouble(settings: Any) -> None:
    del settings.CELERY_BROKER_URL

    assert found_with(settings) == []


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("django.contrib.sessions.middleware.SessionMiddleware", "session"),
        ("django.contrib.auth.middleware.AuthenticationMiddleware", "user"),
    ],
)
def test_requests_without_a_session_or_a_user_are_a_warning(
    settings: Any, name: str, attribute: str
) -> None:
    # The checks of the admin, which needs both, are not ours.
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if each != name]

    [message] = found_with(settings)

    assert (message.id, type(message)) == ("zoho_crm.W003", Warning)
    assert f"no {attribute}," in message.msg
    assert name in str(message.hint)


class OtherSessions(SessionMiddleware):
    """Sessions of a host project."""


def test_middleware_of_another_name_is_as_good(settings: Any) -> None:
    usual = "django.contrib.sessions.middleware.SessionMiddleware"
    other = f"{__name__}.OtherSessions"
    settings.MIDDLEWARE = [other if each == usual else each for each in settings.MIDDLEWARE]

    assert found_with(settings) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [("Strict", ["zoho_crm.W004"]), ("strict", ["zoho_crm.W004"]), ("Lax", []), (False, [])],
)
def test_a_cookie_that_does_not_come_back_from_zoho_is_a_warning(
    settings: Any, value: object, expected: list[str]
) -> None:
    settings.SESSION_COOKIE_SAMESITE = value

    messages = found_with(settings)

    assert ids(messages) == expected
    assert all("'Lax'" in str(message.hint) for message in messages)


@pytest.mark.parametrize(
    ("urls", "log_in_url", "expected"),
    [
        ("testproject.urls", "/accounts/login/", []),
        ("tests.hosts.other_admin", "/accounts/login/", []),
        ("tests.hosts.no_admin", "/accounts/login/", ["zoho_crm.W005"]),
        ("tests.hosts.no_admin", "login", ["zoho_crm.W005"]),
        ("tests.hosts.no_admin", "https://sso.example/", []),
        ("tests.hosts.own_log_in", "/accounts/login/", []),
        ("tests.hosts.own_log_in", "/accounts/login/?by=mail", []),
        ("tests.hosts.own_log_in", "login", []),
        ("tests.admin.admin_only", "/nowhere/", []),
    ],
)
def test_a_site_without_a_log_in_page_gets_a_warning(
    settings: Any, urls: str, log_in_url: str, expected: list[str]
) -> None:
    settings.ROOT_URLCONF, settings.LOGIN_URL = urls, log_in_url

    messages = found_with(settings)

    assert ids(messages) == expected
    assert all("LOGIN_URL" in str(message.hint) for message in messages)


@pytest.mark.parametrize(
    "templates",
    [
        [],
        [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": ["templates"]}],
    ],
)
def test_pages_that_no_template_engine_finds_are_a_warning(settings: Any, templates: Any) -> None:
    settings.TEMPLATES = templates

    [message] = found_with(settings)

    assert (message.id, type(message)) == ("zoho_crm.W006", Warning)
    assert "APP_DIRS" in str(message.hint)


@pytest.mark.parametrize("urls", ["tests.admin.admin_only", ""])
def test_a_site_without_our_urls_needs_none_of_that(settings: Any, urls: str) -> None:
    settings.ROOT_URLCONF = urls
    settings.SESSION_COOKIE_SAMESITE = "Strict"

    assert found_with(settings) == []


def test_the_app_explains_itself_with_an_empty_dictionary(settings: Any) -> None:
    settings.ZOHO_CRM = {}

    assert ids(found()) == ["zoho_crm.W001"]


def test_the_command_stops_at_an_error(settings: Any) -> None:
    settings.ZOHO_CRM = {**SOUND, "LEASE": 1, "QUIET": 2}

    with pytest.raises((SystemCheckError, CommandError)) as caught:
        call_command("check")

    assert "zoho_crm.E001" in str(caught.value)
    assert "zoho_crm.E003" in str(caught.value)


# Zoho's SDK


@pytest.mark.parametrize(
    ("version", "expected"), [("7.0.0", []), ("7.4", []), ("8.0.0", ["zoho_crm.W008"]), ("", [])]
)
def test_another_major_version_of_the_sdk_is_named(
    settings: Any, monkeypatch: pytest.MonkeyPatch, version: str, expected: list[str]
) -> None:
    def installed(name: str) -> str:
        if not version:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", installed)

    assert ids(found_with(settings)) == expected


def test_without_the_sdk_its_bridge_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zohocrmsdk.src.com.zoho.api.authenticator", None)
    monkeypatch.delitem(sys.modules, "zoho_crm.contrib.sdk", raising=False)

    with pytest.raises(ImportError, match=r'pip install "django-zoho-crm\[sdk\]"'):
        importlib.import_module("zoho_crm.contrib.sdk")


# The database of our tables


def test_a_database_of_our_own_is_named(settings: Any) -> None:
    assert found_with(settings) == []
    settings.DATABASE_ROUTERS = ["tests.routers.OwnDatabaseRouter"]

    (message,) = found_with(settings)

    assert (message.id, type(message)) == ("zoho_crm.I002", Info)
    assert "transaction.on_commit()" in str(message.hint)


# The words of all checks

EXTRA = {"eu": EXTRA_HOSTS, "uk": ("http://accounts.example",), "xy": EXTRA_HOSTS}
#: Settings of sites; together they get a message of every id.
WRONG_SITES: list[dict[str, Any]] = [
    {"ZOHO_CRM": None},
    {"ZOHO_CRM": {name: object() for name in setting_types()} | {"LEESE": 1, "xyz": 2}},
    {"ZOHO_CRM": {"LOCAL_URL": "http://10.0.0.1", "TRANSPORT": "no.such.module"}},
    {"ZOHO_CRM": {"ENCRYPTION_KEYS": ["hunter2"], "DATA_CENTER": "uk", "LEASE": 1}},
    {"ZOHO_CRM": {"MAX_ATTEMPTS": 0, "PROXY": "http://user:secret@proxy.example"}},
    {"ZOHO_CRM": {"PROXY": "proxy", "CA_BUNDLE": "/nowhere", "REDIRECT_URI": "http://["}},
    {"ZOHO_CRM": {"EXTRA_DATA_CENTERS": EXTRA}},
    {"USE_TZ": False, "CELERY_BROKER_URL": "memory://", "SESSION_COOKIE_SAMESITE": "Strict"},
    {"MIDDLEWARE": [], "TEMPLATES": [], "ROOT_URLCONF": "tests.hosts.no_admin"},
    {"DATABASE_ROUTERS": ["tests.routers.OwnDatabaseRouter"]},
]


def test_everything_that_the_checks_say_is_translated(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "8.0")
    said: list[CheckMessage] = []
    for wrong in WRONG_SITES:
        with override_settings(**wrong), pseudo_language():
            said += found(deploy=True)

    code = {"pip", "install", "django", "zoho", "crm", "sdk"}
    documented = set(re.findall(r"``(zoho_crm\.[EWI]\d+)``", str(checks.__doc__)))
    assert {message.id for message in said} == documented
    texts = [text for message in said for text in (message.msg, message.hint or "")]
    assert [piece for text in texts for piece in untranslated(str(text), code)] == []
