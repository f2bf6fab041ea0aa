from __future__ import annotations

import pytest

from zoho_crm.models import Connection, ConnectionEvent, LeadConversion
from zoho_crm.services import convert, work
from zoho_crm.services.preview import preview
from zoho_crm.services.signals import send_signals
from zoho_crm.signals import connection_lost, lead_converted

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def heard():
    """What the host project is told: sender and arguments of every signal."""
    told = []

    def listen(sender, signal, **arguments):
        told.append((sender, arguments))

    signals = (lead_converted, connection_lost)
    for signal in signals:
        signal.connect(listen)
    yield told
    for signal in signals:
        signal.disconnect(listen)


@pytest.fixture
def deaf():
    """A receiver of the host project that fails at every lead."""

    def fail(**_arguments):
        raise LookupError("no such customer")

    lead_converted.connect(fail)
    yield
    lead_converted.disconnect(fail)


@pytest.fixture
def converted(connection, zoho):
    """A lead that was just converted by us."""
    row = convert.request(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    work.work(connection_id=connection.pk)
    return LeadConversion.objects.get(pk=row.pk)


def test_a_conversion_is_told_once(converted, heard):
    assert send_signals() == 1
    assert send_signals() == 0

    [(sender, arguments)] = heard
    assert sender is LeadConversion
    assert arguments == {"conversion": converted}
    assert arguments["conversion"].contact_id


def test_work_itself_tells_nothing(heard, converted):
    assert heard == []
    assert converted.announced_at is None


def test_a_lead_converted_elsewhere_is_told_too(connection, zoho, heard):
    preview(connection_id=connection.pk, lead_id=zoho.story("converted"))

    send_signals()

    assert [arguments["conversion"].converted_by for _sender, arguments in heard] == ["elsewhere"]


def test_what_is_not_converted_is_not_told(connection, zoho, heard):
    preview(connection_id=connection.pk, lead_id=zoho.story("several"))

    assert send_signals() == 0
    assert heard == []


def test_a_receiver_that_fails_spoils_nothing(deaf, heard, converted, caplog):
    assert send_signals() == 1

    assert len(heard) == 1
    assert "no such customer" in caplog.text
    assert send_signals() == 0


def test_a_failing_receiver_does_not_touch_the_row(deaf, converted, caplog):
    send_signals()

    row = LeadConversion.objects.get(pk=converted.pk)
    assert (row.status, row.version) == (LeadConversion.Status.CONVERTED, converted.version)
    assert row.announced_at is not None
    assert caplog.records


def test_a_lost_connection_is_told_once(connection, zoho, heard):
    convert.request(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    zoho.world.grants.access_tokens.clear()
    zoho.world.grants.refresh_tokens.clear()
    work.work(connection_id=connection.pk)

    assert send_signals() == 1
    assert send_signals() == 0

    assert heard == [(Connection, {"connection": connection})]
    assert ConnectionEvent.objects.get(kind="lost").announced_at is not None
