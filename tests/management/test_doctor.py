from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection as database
from django.db.migrations.recorder import MigrationRecorder
from django.test import override_settings
from django.urls import path

from testproject.celery import app
from tests.client.raw import RawServer
from tests.management.conftest import Run
from zoho_crm import crypto
from zoho_crm.models import Connection, ConnectionWork, Token, from_now
from zoho_crm.services.convert import request
from zoho_crm.services.doctor._database import clock
from zoho_crm.services.doctor._network import REDIS_OPTIONS, VARIABLES_BY_SETTING
from zoho_crm.simulator import Simulator
from zoho_crm.types import Secret

pytestmark = pytest.mark.django_db(transaction=True)

urlpatterns = [path("", lambda request: None)]


def findings(run: Run) -> dict[str, dict[str, str]]:
    """Return the findings of ``zoho_doctor`` by check, the worse of two with one name."""
    order = ["ok", "warn", "fail"]
    lines = sorted(
        run("zoho_doctor", "--format=json").lines, key=lambda x: order.index(x["result"])
    )
    return {line["check"]: line for line in lines}


def change(settings: Any, **more: Any) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, **more}


def back_off(connection: Connection, kind: str) -> None:
    ConnectionWork.objects.create(
        connection=connection,
        backoff_until=from_now(600),
        backoff_kind=kind,
        backoff_reason="PermissionDeniedError",
        backoff_details={"message": "Permission denied"},
    )


def test_a_site_that_works_gets_no_complaint(
    run: Run, connection: Connection, durable_broker: None
) -> None:
    ran = run("zoho_doctor", "--format=json")

    assert ran.code == 0
    assert {line["result"] for line in ran.lines} == {"ok"}
    assert {line["check"] for line in ran.lines} >= {
        *("settings", "redirect address", "broker", "database", "clock", "encryption keys"),
        *("client", "data center local", f"connection {connection}", "worker", "sweep"),
    }


def test_people_see_symbol_word_and_fix(run: Run, zoho: Simulator) -> None:
    ran = run("zoho_doctor", force_color=True)

    assert "✓ ok" in ran.out
    assert "▲ warn" in ran.out
    assert "→ Connect with: manage.py zoho_connect" in ran.out


def test_a_complaint_of_the_checks_is_shown_with_its_hint(
    run: Run, connection: Connection, settings: Any
) -> None:
    change(settings, CLIENT_IDD="1000.X")

    finding = findings(run)["settings zoho_crm.E001"]

    assert finding["result"] == "fail"
    assert "CLIENT_ID" in finding["fix"]


@pytest.mark.parametrize(
    "changes",
    [
        {"LOCAL_URL": None},
        {"ENCRYPTION_KEYS": None},
        {"EXTRA_DATA_CENTERS": ["uk"]},
        {"PROXY": 5},
        {"LEASE": float("inf")},
        {"TRANSPORT": "no.such.module"},
        {"REDIRECT_URI": "http://["},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_settings_that_cannot_be_used_are_all_that_is_said(
    run: Run, connection: Connection, settings: Any, changes: dict[str, Any]
) -> None:
    change(settings, **changes)

    found = findings(run)

    assert next(iter(changes)) in str(found)
    assert "Nothing else can be examined" in found["all others"]["message"]
    assert "database" not in found


def test_times_without_a_zone_are_all_that_is_said(
    run: Run, connection: Connection, settings: Any
) -> None:
    settings.USE_TZ = False

    assert findings(run).keys() >= {"settings zoho_crm.E006", "all others"}
    assert "worker" not in findings(run)


def test_what_fails_ends_with_1(run: Run, connection: Connection, settings: Any) -> None:
    change(settings, CLIENT_IDD="1000.X")

    ran = run("zoho_doctor")

    assert ran.code == 1
    assert "1 check failed" in ran.err


@pytest.mark.parametrize(
    ("address", "result"),
    [
        ("https://localhost:1/zoho/oauth/callback/", "ok"),
        ("http://localhost:1/zoho/oauth/callback/", "ok"),
        ("http://crm.example/zoho/oauth/callback/", "warn"),
        ("https://crm.example/oauth/", "fail"),
    ],
)
def test_the_redirect_address_leads_to_the_callback_and_is_encrypted(
    run: Run, connection: Connection, settings: Any, address: str, result: str
) -> None:
    change(settings, REDIRECT_URI=address)

    assert findings(run)["redirect address"]["result"] == result


def test_a_project_without_any_urls_is_told_so(
    run: Run, connection: Connection, settings: Any
) -> None:
    del settings.ROOT_URLCONF

    assert "zoho_crm.urls" in findings(run)["redirect address"]["fix"]


@override_settings(ROOT_URLCONF=__name__)
def test_without_our_urls_nobody_can_come_back(run: Run, connection: Connection) -> None:
    finding = findings(run)["redirect address"]

    assert finding["result"] == "fail"
    assert "zoho_crm.urls" in finding["fix"]


@pytest.mark.slow
def test_a_broker_that_does_not_answer_is_no_catastrophe(
    run: Run, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELERY_BROKER_WRITE_URL", "amqp://guest:secret@127.0.0.1:1//")

    finding = findings(run)["broker"]

    assert finding["result"] == "warn"
    assert "zoho_work --loop" in finding["fix"]
    assert "secret" not in finding["message"]


@pytest.mark.parametrize("url", ["foo://x", "sqs://", "amqp://127.0.0.1:port//", "redis://[::1"])
def test_a_broker_that_cannot_be_used_is_named(
    run: Run, connection: Connection, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("CELERY_BROKER_WRITE_URL", url)

    finding = findings(run)["broker"]

    assert finding["result"] == "warn"
    assert "Error: " in finding["message"]
    assert "CELERY_BROKER_URL" in finding["fix"]


@pytest.mark.slow
def test_a_broker_that_accepts_and_never_answers_is_named_in_time(
    run: Run, connection: Connection, silent_broker: RawServer
) -> None:
    began = time.monotonic()

    finding = findings(run)["broker"]

    assert time.monotonic() - began < 15
    assert finding["result"] == "warn"
    assert "does not answer within 3 s" in finding["message"]
    assert "guest:guest" not in finding["message"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "options", "is_recommended"),
    [
        ("redis://127.0.0.1:1/0", {"visibility_timeout": 3600}, True),
        ("redis://127.0.0.1:1/0", REDIS_OPTIONS, False),
        ("amqp://127.0.0.1:1//", {}, False),
    ],
)
def test_a_broker_whose_sockets_have_no_time_out_gets_a_recommendation(
    run: Run,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    options: dict[str, Any],
    is_recommended: bool,
) -> None:
    monkeypatch.setenv("CELERY_BROKER_WRITE_URL", url)
    for name, value in options.items():
        monkeypatch.setitem(app.conf.broker_transport_options, name, value)

    finding = findings(run).get("broker options", {"fix": ""})

    assert ("CELERY_BROKER_TRANSPORT_OPTIONS" in finding["fix"]) is is_recommended


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "setting", "value"),
    [
        ("HTTPS_PROXY", "PROXY", Secret("http://somebody:hunter2@127.0.0.1:1")),
        ("all_proxy", "PROXY", "http://127.0.0.1:1"),
        ("REQUESTS_CA_BUNDLE", "CA_BUNDLE", __file__),
    ],
)
def test_what_only_the_environment_knows_of_the_network_is_named(
    run: Run,
    connection: Connection,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    setting: str,
    value: Any,
) -> None:
    for name in (name for names in VARIABLES_BY_SETTING.values() for name in names):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "http://somebody:hunter2@proxy.example:3128")
    of_local = findings(run)
    change(settings, DATA_CENTER="us")
    of_zoho = findings(run)
    change(settings, **{setting: value})
    after = run("zoho_doctor", "--format=json")

    assert "proxy" not in of_local
    assert of_zoho["proxy"]["result"] == "warn"
    assert variable in of_zoho["proxy"]["message"]
    assert setting in of_zoho["proxy"]["fix"]
    assert [x["result"] for x in after.lines if x["check"] == "proxy" and x["result"] != "ok"] == []
    assert "hunter2" not in f"{of_zoho}{after.out}"


def test_a_newer_data_center_is_shown_and_is_no_problem(
    run: Run, connection: Connection, settings: Any, durable_broker: None
) -> None:
    hosts = ("accounts.zoho.example", "www.zohoapis.example", "content.zohoapis.example")
    change(settings, EXTRA_DATA_CENTERS={"uk": hosts})

    lines = run("zoho_doctor", "--format=json").lines

    (finding,) = [line for line in lines if line["check"] == "settings zoho_crm.I001"]
    assert finding["result"] == "ok"
    assert "accounts.zoho.example" in finding["message"]
    assert "settings" in {line["check"] for line in lines}


def test_a_database_that_is_not_migrated_is_all_that_is_said(
    run: Run, connection: Connection
) -> None:
    recorder = MigrationRecorder(database)
    recorder.record_unapplied("zoho_crm", "0001_initial")
    try:
        found = findings(run)
    finally:
        recorder.record_applied("zoho_crm", "0001_initial")

    assert found["database"]["result"] == "fail"
    assert "manage.py migrate" in found["database"]["fix"]
    assert "clock" not in found


def test_a_database_that_cannot_be_opened_is_all_that_is_said(
    run: Run, connection: Connection
) -> None:
    name = database.settings_dict["NAME"]
    database.close()
    database.settings_dict["NAME"] = "/no/such/database"
    try:
        found = findings(run)
    finally:
        database.close()
        database.settings_dict["NAME"] = name

    assert found["database"]["result"] == "fail"
    assert "DATABASES" in found["database"]["fix"]
    assert "clock" not in found


@pytest.mark.parametrize(("mode", "result"), [("IMMEDIATE", "ok"), (None, "warn")])
def test_sqlite_has_to_be_opened_for_many_writers(
    run: Run, connection: Connection, mode: str | None, result: str
) -> None:
    options = database.settings_dict["OPTIONS"]
    before = dict(options)
    options["transaction_mode"] = mode
    try:
        found = findings(run)
    finally:
        options.clear()
        options.update(before)

    expected = result if database.vendor == "sqlite" else None
    assert found.get("database options", {}).get("result") == expected


def test_a_missing_key_is_named_and_a_person_is_needed(
    run: Run, connection: Connection, settings: Any
) -> None:
    (lost,) = settings.ZOHO_CRM["ENCRYPTION_KEYS"]
    change(settings, ENCRYPTION_KEYS=[crypto.new_key()])

    ran = run("zoho_doctor", "--format=json")

    (finding,) = [line for line in ran.lines if line["check"] == "encryption keys"]
    assert ran.code == 4
    assert crypto.key_id(lost) in finding["message"]
    assert "refresh_token" in finding["message"]


def test_an_older_key_in_use_is_mentioned(run: Run, connection: Connection, settings: Any) -> None:
    change(settings, ENCRYPTION_KEYS=[crypto.new_key(), *settings.ZOHO_CRM["ENCRYPTION_KEYS"]])

    finding = findings(run)["encryption keys"]

    assert finding["result"] == "warn"
    assert "zoho_rotate_keys" in finding["fix"]


def test_without_a_key_nothing_can_be_connected(run: Run, zoho: Simulator, settings: Any) -> None:
    change(settings, ENCRYPTION_KEYS=[])

    finding = findings(run)["encryption keys"]

    assert finding["result"] == "fail"
    assert "zoho_new_key" in finding["fix"]


def test_an_accounts_server_that_does_not_answer(
    run: Run, connection: Connection, settings: Any
) -> None:
    change(settings, LOCAL_URL="http://127.0.0.1:1", TRANSPORT="")

    finding = findings(run)["data center local"]

    assert finding["result"] == "fail"
    assert "127.0.0.1:1/: ConnectionError (ConnectionRefusedError, errno 111)" in finding["message"]


def test_a_data_center_that_is_not_known(run: Run, connection: Connection) -> None:
    Connection.objects.update(data_center="mars")

    finding = findings(run)["data center mars"]

    assert finding["result"] == "fail"
    assert "LOCAL_URL" in finding["fix"]


def test_the_fix_for_a_connection_whose_data_center_is_unknown_is_a_setting(
    run: Run, connection: Connection
) -> None:
    Connection.objects.update(data_center="uk")

    fix = findings(run)[f"connection {connection}"]["fix"]

    assert fix == "Correct LOCAL_URL or EXTRA_DATA_CENTERS in the settings."


def test_a_lost_connection_needs_a_person(run: Run, connection: Connection) -> None:
    Connection.objects.update(status=Connection.Status.NEEDS_RECONNECT)

    assert findings(run)[f"connection {connection}"]["result"] == "fail"
    assert run("zoho_doctor").code == 4


@pytest.mark.parametrize(
    ("kind", "result"),
    [(ConnectionWork.BackoffKind.PERSON, "fail"), (ConnectionWork.BackoffKind.LIMIT, "warn")],
)
def test_a_waiting_connection_says_why(
    run: Run, connection: Connection, kind: str, result: str
) -> None:
    back_off(connection, kind)

    finding = findings(run)[f"connection {connection}"]

    assert finding["result"] == result
    assert "Permission denied" in finding["message"]


def test_a_disabled_connection_is_fine(run: Run, connection: Connection) -> None:
    Connection.objects.update(status=Connection.Status.DISABLED)
    Token.objects.all().delete()

    assert findings(run)[f"connection {connection}"]["result"] == "ok"


def test_scopes_that_were_not_granted_are_named(run: Run, connection: Connection) -> None:
    Token.objects.update(scopes=["ZohoCRM.modules.ALL"])

    finding = findings(run)[f"scopes of {connection}"]

    assert finding["result"] == "warn"
    assert "ZohoCRM.org.READ" in finding["message"]


def test_rows_that_nobody_works_are_noticed(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    row = request(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    type(row).objects.update(due_at=from_now(-600))

    finding = findings(run)["worker"]

    assert finding["result"] == "fail"
    assert "zoho_work --loop" in finding["fix"]


def test_a_worker_that_was_there_is_mentioned(run: Run, connection: Connection) -> None:
    ConnectionWork.objects.create(connection=connection, seen_at=from_now(-5))

    assert "the last one ran at" in findings(run)["worker"]["message"]


def test_a_sweep_that_came_by_is_mentioned(run: Run, connection: Connection) -> None:
    ConnectionWork.objects.create(connection=connection, swept_at=from_now(-5))

    assert "the last one ran at" in findings(run)["sweep"]["message"]


def test_a_site_that_was_never_swept_is_told_how_to_start(run: Run, connection: Connection) -> None:
    Connection.objects.update(created_at=from_now(-600))

    finding = findings(run)["sweep"]

    assert finding["result"] == "warn"
    assert "No sweep has been seen yet" in finding["message"]
    assert "celery -A <project> beat" in finding["fix"]


@pytest.mark.parametrize(
    ("moments", "words"),
    [({}, "has been seen yet"), ({"seen_at": from_now(-60), "swept_at": from_now(-60)}, "since")],
)
def test_where_work_waits_it_is_told_who_is_missed(
    run: Run, connection: Connection, zoho: Simulator, moments: dict[str, Any], words: str
) -> None:
    row = request(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    type(row).objects.update(due_at=from_now(-31))
    ConnectionWork.objects.create(connection=connection, **moments)

    found = findings(run)

    assert [found[check]["result"] for check in ("worker", "sweep")] == ["fail", "fail"]
    assert all(words in found[check]["message"] for check in ("worker", "sweep"))


@pytest.mark.parametrize(("fault", "result"), [("error_before", "warn"), ("close_before", "warn")])
def test_zoho_is_asked_whether_a_connection_works(
    run: Run, connection: Connection, zoho: Simulator, fault: str, result: str
) -> None:
    zoho.fail("org", fault, times=None)

    finding = findings(run)[f"connection {connection}"]

    assert finding["result"] == result
    assert "zoho_status --test" in finding["fix"]


def test_an_organisation_of_another_environment_is_noticed(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    zoho.world.settings = replace(zoho.world.settings, environment="sandbox")

    finding = findings(run)[f"connection {connection}"]

    assert finding["result"] == "fail"
    assert "sandbox" in finding["message"]


def test_a_permission_that_was_taken_back_is_noticed(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    refusal = {"code": "OAUTH_SCOPE_MISMATCH", "message": "invalid oauth scope", "status": "error"}
    zoho.fail("org", "error_before", status=401, body=refusal)

    finding = findings(run)[f"connection {connection}"]

    assert finding["result"] == "fail"
    assert "Grant it at Zoho" in finding["fix"]


def test_a_disabled_connection_with_leads_on_their_way_is_noticed(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    request(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    Connection.objects.update(status=Connection.Status.DISABLED)

    finding = findings(run)[f"connection {connection}"]

    assert finding["result"] == "warn"
    assert "1 of its leads" in finding["message"]
    assert "zoho_connect" in finding["fix"]


@pytest.mark.parametrize(
    ("client_id", "client_secret", "result", "words"),
    [
        ("", "", "warn", "CLIENT_ID and CLIENT_SECRET"),
        ("1000.X", "", "fail", "Set CLIENT_SECRET"),
        ("", "secret", "fail", "Set CLIENT_ID"),
    ],
)
def test_without_a_client_nobody_can_connect(
    run: Run,
    zoho: Simulator,
    settings: Any,
    client_id: str,
    client_secret: str,
    result: str,
    words: str,
) -> None:
    change(settings, CLIENT_ID=client_id, CLIENT_SECRET=client_secret, LOCAL_URL="")

    finding = findings(run)["client"]

    assert finding["result"] == result
    assert words in finding["fix"]


def test_a_simulator_brings_its_own_client(run: Run, zoho: Simulator, settings: Any) -> None:
    change(settings, CLIENT_ID="", CLIENT_SECRET="")

    finding = findings(run)["client"]

    assert finding["result"] == "ok"
    assert "simulator" in finding["message"]


def test_tokens_that_bring_their_own_client_need_none(
    run: Run, connection: Connection, settings: Any
) -> None:
    change(settings, CLIENT_ID="", CLIENT_SECRET="", LOCAL_URL="")

    assert findings(run)["client"]["result"] == "ok"


def test_clocks_that_agree_are_fine_and_others_are_noticed(connection: Connection) -> None:
    (agree,) = clock()
    (differ,) = clock(max_drift=-1)

    assert agree.result == "ok"
    assert differ.result == "warn"
    assert "NTP" in differ.fix
