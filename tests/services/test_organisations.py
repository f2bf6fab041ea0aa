"""Edition, licences and mapped fields change at Zoho, and are read again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from tests.calls import calls
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, from_now
from zoho_crm.services import connect, convert, work
from zoho_crm.services.preview import preview
from zoho_crm.simulator import Simulator
from zoho_crm.types import ConversionPlan

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

MAPPING = {"fields": [{"api_name": "Budget", "convert_mapping": {"Contacts": "Budget"}}]}
NO_PERMISSION = {"code": "NO_PERMISSION", "details": {}, "message": "no right", "status": "error"}


@pytest.fixture
def changed(connection: Connection, zoho: Simulator) -> Connection:
    """Return a connection whose organisation has got another edition, name and mapping at Zoho."""
    zoho.organisation.license_details |= {"paid_type": "standard", "users_license_purchased": 3}
    zoho.organisation.name = "Nordwind Retail"
    zoho.fail("metadata", "error_before", status=200, body=MAPPING, times=None)
    return connection


def facts(connection: Connection) -> tuple[Any, ...]:
    connection.refresh_from_db()
    fields = connection.mapped_fields
    return (connection.org_name, connection.edition, connection.licences, fields)


def make_due(connection: Connection) -> None:
    Connection.objects.filter(pk=connection.pk).update(organisation_due_at=from_now(-1))


def hours_until_due(connection: Connection) -> float:
    connection.refresh_from_db()
    due_at = connection.organisation_due_at
    assert due_at
    return (due_at - now()) / timedelta(hours=1)


NEW_FACTS = ("Nordwind Retail", "standard", 3, ["Budget"])


def test_a_test_by_a_person_reads_them_again(changed: Connection) -> None:
    assert connect.check_connection(connection_id=changed.pk) == ""

    assert facts(changed) == NEW_FACTS
    assert 23 < hours_until_due(changed) < 25


def test_a_sweep_has_them_read_again_once_a_day(changed: Connection, zoho: Simulator) -> None:
    assert work.connections_to_wake() == []
    make_due(changed)
    asked = calls(zoho)

    assert work.sweep() == [changed.pk]
    assert calls(zoho) == asked
    assert work.work(connection_id=changed.pk) is None

    assert facts(changed) == NEW_FACTS
    assert 23 < hours_until_due(changed) < 25
    asked = calls(zoho)
    assert (work.connections_to_wake(), work.work(connection_id=changed.pk)) == ([], None)
    assert calls(zoho) == asked


def test_fields_that_cannot_be_read_stay_as_they_were(
    connection: Connection, zoho: Simulator
) -> None:
    known = connection.mapped_fields
    zoho.fail("metadata", "error_before", status=403, body=NO_PERMISSION, times=None)

    assert connect.check_connection(connection_id=connection.pk) == ""
    connect.with_grant_code(code=zoho.grant_code(), data_center="local")

    connection.refresh_from_db()
    assert connection.mapped_fields == known


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "error_before", "status": 403, "body": NO_PERMISSION},
        {"do": "error_before", "status": 500},
        {"do": "error_before", "status": 200, "body": {"org": ["odd"]}},
        {"do": "close_before"},
    ],
)
def test_after_an_error_they_are_read_an_hour_later_and_leads_do_not_wait(
    changed: Connection, zoho: Simulator, fault: dict[str, Any]
) -> None:
    row = convert.request(
        connection_id=changed.pk, lead_id=zoho.story("no_match"), policy="careful"
    )
    make_due(changed)
    zoho.fail("org", times=None, **fault)

    work.work(connection_id=changed.pk)

    row.refresh_from_db()
    assert row.status == LeadConversion.Status.CONVERTED
    assert 0 < hours_until_due(changed) < 2
    assert changed.edition == "enterprise"
    assert ConnectionWork.objects.get().backoff_until is None


def test_those_of_another_organisation_are_not_stored(changed: Connection) -> None:
    Connection.objects.update(org_id="1", organisation_due_at=from_now(-1))

    work.work(connection_id=changed.pk)

    assert facts(changed)[0] == "Nordwind Trading"
    assert 0 < hours_until_due(changed) < 2


def test_a_rejected_token_is_renewed_and_they_are_read(
    changed: Connection, zoho: Simulator
) -> None:
    make_due(changed)
    zoho.world.grants.access_tokens.clear()

    assert work.work(connection_id=changed.pk) is None

    assert facts(changed) == NEW_FACTS


def test_a_change_of_the_last_of_many_mapped_fields_is_seen_before_a_lead_is_sent(
    connection: Connection, zoho: Simulator
) -> None:
    names = [f"Field_{number}" for number in range(80)]
    Connection.objects.update(mapped_fields=names)
    record = zoho.add_lead(**dict.fromkeys(names, "as it was seen"))
    row = preview(connection_id=connection.pk, lead_id=record.id)
    convert.approve(conversion_id=row.pk, version=row.version, plan=ConversionPlan())
    zoho.change(record, Field_79="another")

    work.work(connection_id=connection.pk)

    row.refresh_from_db()
    assert row.status == LeadConversion.Status.PREVIEWED
    assert zoho.ledger()["calls"] == []
