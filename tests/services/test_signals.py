from __future__ import annotations

import pytest

from zoho_crm.models import Connection, ConnectionEvent, LeadConversion
from zoho_crm.services import convert, work
from zoho_crm.services.preview import preview
from zoho_crm.services.signals import send_signals
from zoho_crm.signals import connection_lost, lead_converted

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def received():
    """Sender and arguments of every signal that a receiver was called with."""
    calls = []

    def receive(sender, signal, **arguments):
        calls.append((sender, arguments))

    signals = (lead_converted, connection_lost)
    for signal in signals:
        signal.connect(receive)
    yield calls
    for signal in signals:
        signal.disconnect(receive)


@pytest.fixture
def failing_receiver():
    """A receiver of the host project that raises an error for every lead."""

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


def test_a_signal_is_sent_once_for_a_conversion(converted, received):
    assert send_signals() == 1
    assert send_signals() == 0

    [(sender, arguments)] = received
    assert sender is LeadConversion
    assert arguments == {"conversion": converted}
    assert arguments["conversion"].contact_id


def test_the_worker_itself_sends_no_signal(received, converted):
    assert received == []
    assert converted.announced_at is None


def test_a_signal_is_sent_for_a_lead_converted_elsewhere_too(connection, zoho, received):
    preview(connection_id=connection.pk, lead_id=zoho.story("converted"))

    send_signals()

    assert [arguments["conversion"].converted_by for _sender, arguments in received] == [
        "elsewhere"
    ]


def test_no_signal_is_sent_for_a_lead_that_is_not_converted(connection, zoho, received):
    preview(connection_id=connection.pk, lead_id=zoho.story("several"))

    assert send_signals() == 0
    assert received == []


def test_other_receivers_are_called_when_one_fails(failing_receiver, received, converted, caplog):
    assert send_signals() == 1

    assert len(received) == 1
    assert "no such customer" in caplog.text
    assert send_signals() == 0


def test_a_failing_receiver_does_not_touch_the_row(failing_receiver, converted, caplog):
    send_signals()

    row = LeadConversion.objects.get(pk=converted.pk)
    assert (row.status, row.version) == (LeadConversion.Status.CONVERTED, converted.version)
    assert row.announced_at is not None
    assert caplog.records


def test_a_signal_is_sent_once_for_a_lost_connection(connection, zoho, received):
    convert.request(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    zoho.world.grants.access_tokens.clear()
    zoho.world.grants.refresh_tokens.clear()
    work.work(connection_id=connection.pk)

    assert send_signals() == 1
    assert send_signals() == 0

    assert received == [(Connection, {"connection": connection})]
    assert ConnectionEvent.objects.get(kind="lost").announced_at is not None
