"""Odd values in Zoho's answers are stored cut or left out: the connection goes on in any case."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clock import pass_time
from tests.odd_values import ODD_VALUES
from tests.parameters import long, mostly_long
from zoho_crm.exceptions import ServerError
from zoho_crm.matching import POLICIES
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, MassConversion
from zoho_crm.services import convert, mass_convert, work
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

Status = LeadConversion.Status

LEAD_FIELDS = """
    Full_Name Last_Name Company Email Owner Tag Description Locked__s Converted__s Converted_Contact
    Converted_Account $converted_detail $approval_state $in_merge $review
""".split()  # noqa: SIM905


def request(connection: Connection, lead_id: str) -> LeadConversion:
    return convert.request(connection_id=connection.pk, lead_id=lead_id, policy="attach")


def work_until_idle(connection: Connection, zoho: Simulator) -> None:
    for _slice in range(40):
        wait = work.work(connection_id=connection.pk)
        if wait is None:
            return
        pass_time(zoho, wait)


def check_others(connection: Connection, zoho: Simulator) -> None:
    """Check that other leads of the connection are converted, and that it does not back off."""
    row = request(connection, zoho.story("no_match"))
    work_until_idle(connection, zoho)
    row.refresh_from_db()
    assert row.status == Status.CONVERTED
    assert ConnectionWork.objects.get().backoff_reason == ""


@pytest.mark.parametrize("field", mostly_long(LEAD_FIELDS, quick={"Email", "Converted__s"}))
def test_a_lead_with_an_odd_value_does_not_stop_the_others(
    connection: Connection, zoho: Simulator, field: str
) -> None:
    for value in ODD_VALUES.values():
        lead_id = zoho.story("no_match")
        zoho.records["Leads"][lead_id].data[field] = value
        request(connection, lead_id)

    check_others(connection, zoho)


@pytest.mark.parametrize(
    ("call", "key"),
    [
        ("leads_list", "data.0.id"),
        long(("leads_list", "data")),
        long(("options", "__conversion_options")),
        ("options", "__conversion_options.Contacts"),
        long(("options", "__conversion_options.Contacts.0.id")),
        long(("options", "__conversion_options.Contacts.0.Account_Name")),
        long(("options", "__conversion_options.preference_field_matched_value")),
        ("options", "__conversion_options.preference_field_matched_value.Contacts.0.field"),
        long(("convert", "data.0.details")),
        ("convert", "data.0.details.Contacts"),
        long(("convert", "data.0.details.Contacts.id")),
        ("convert", "data.0.code"),
        long(("convert", "data.0.message")),
    ],
)
def test_an_answer_with_an_odd_value_does_not_stop_the_others(
    connection: Connection, zoho: Simulator, call: str, key: str
) -> None:
    for value in ODD_VALUES.values():
        lead_id = zoho.story("one_match")
        zoho.fail(call, "amend", body={key: json.dumps(value)}, lead_id=lead_id)
        request(connection, lead_id)

    check_others(connection, zoho)


@pytest.mark.parametrize("key", ["code", "message", "details", "api_name"])
def test_a_refusal_with_an_odd_value_is_stored(
    connection: Connection, zoho: Simulator, key: str
) -> None:
    item = {"code": "INVALID_DATA", "message": "no", "details": {"api_name": "Email"}}
    for value in ODD_VALUES.values():
        details = {"details": {"api_name": value}} if key == "api_name" else {key: value}
        lead_id = zoho.story("no_match")
        body = {"data": [{**item, **details, "status": "error"}]}
        zoho.fail("convert", "error_before", status=400, body=body, lead_id=lead_id)
        request(connection, lead_id)

    check_others(connection, zoho)


@pytest.mark.parametrize(
    "key",
    mostly_long(
        ["data.0.id", "info.next_page_token", "info", "data"],
        quick={"data.0.id"},
    ),
)
def test_a_page_of_open_leads_with_an_odd_value_does_not_stop_the_others(
    connection: Connection, zoho: Simulator, key: str
) -> None:
    for value in ODD_VALUES.values():
        zoho.story("no_match")
        zoho.fail("leads_list", "amend", body={key: json.dumps(value)})
        run = mass_convert.prepare_open_leads(
            connection_id=connection.pk, filters={}, policy=POLICIES["careful"]
        )
        work_until_idle(connection, zoho)
        run.refresh_from_db()
        assert run.stage != MassConversion.Stage.STAGING or run.paused_reason
        zoho.heal()

    check_others(connection, zoho)


def test_a_lead_with_an_odd_id_is_a_line_that_was_left_out(
    connection: Connection, zoho: Simulator
) -> None:
    zoho.story("no_match")
    run = mass_convert.prepare_open_leads(
        connection_id=connection.pk, filters={}, policy=POLICIES["careful"]
    )
    zoho.fail("leads_list", "amend", body={"data.0.id": '"7\\ud8007"'})

    work_until_idle(connection, zoho)

    assert list(run.lines.values_list("number", "text", "reason")) == [(1, "7\ufffd7", "malformed")]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("details.job_id", "surrogate"),
        long(("details.job_id", "long")),
        long(("details.job_id", "list")),
        long(("details", "surrogate")),
        long(("details", "long")),
        ("details", "list"),
    ],
)
def test_a_job_with_an_odd_value_does_not_stop_the_others(
    connection: Connection, zoho: Simulator, settings: Any, key: str, name: str
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CREDIT_COSTS": {"mass_convert": 5, "convert": 5}}
    leads = [zoho.story("no_match") for _lead in range(8)]
    policy = POLICIES["careful"]
    run = mass_convert.prepare(connection_id=connection.pk, lead_ids=leads, policy=policy)
    work_until_idle(connection, zoho)
    run.refresh_from_db()
    mass_convert.start(run_id=run.pk, revision=run.revision, count=8)
    zoho.fail("mass_convert", "amend", body={key: json.dumps(ODD_VALUES[name])})

    check_others(connection, zoho)

    assert run.jobs.exists()
    statuses = set(run.rows.values_list("status", flat=True))
    assert statuses <= {Status.CONVERTED, Status.UNKNOWN}


@pytest.mark.parametrize(
    ("call", "key"),
    [
        long(("org", "org.0.company_name")),
        long(("org", "org.0.license_details.paid_type")),
        ("org", "org.0.license_details.users_license_purchased"),
        long(("org", "org.0.time_zone")),
        ("org", "org.0.type"),
        long(("users", "users.0.full_name")),
        ("users", "users.0.email"),
        long(("metadata", "fields.0.api_name")),
        ("metadata", "fields.0.convert_mapping"),
    ],
)
def test_a_connection_is_made_in_spite_of_an_odd_value(
    db: None, zoho: Simulator, call: str, key: str
) -> None:
    for value in ODD_VALUES.values():
        zoho.fail(call, "amend", body={key: json.dumps(value)})
        zoho.advance(60)
        connection = with_grant_code(code=zoho.grant_code(), data_center="local")

    check_others(connection, zoho)


@pytest.mark.parametrize(("call", "key"), [("org", "org.0.id"), ("users", "users.0.id")])
def test_an_odd_id_of_the_organisation_or_of_the_user_is_an_answer_of_unknown_form(
    db: None, zoho: Simulator, call: str, key: str
) -> None:
    for value in [None, *ODD_VALUES.values()]:
        zoho.fail(call, "amend", body={key: json.dumps(value)})
        zoho.advance(60)
        with pytest.raises(ServerError):
            with_grant_code(code=zoho.grant_code(), data_center="local")
    assert not Connection.objects.exists()
