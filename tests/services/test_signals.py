from __future__ import annotations

from threading import Barrier, Thread

import pytest
from django.db import connections

from tests.clock import pass_time
from zoho_crm.conf import conf
from zoho_crm.models import Connection, ConnectionEvent, LeadConversion
from zoho_crm.services import convert, lifecycle, work
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


# Several senders


@pytest.fixture
def many_converted(connection):
    """Leads that were converted, and whose signals nobody has sent."""
    LeadConversion.objects.bulk_create(
        LeadConversion(
            connection=connection,
            lead_id=str(lead_id),
            status=LeadConversion.Status.CONVERTED,
            converted_by=LeadConversion.By.US,
        )
        for lead_id in range(1, 31)
    )


@pytest.fixture
def on_a_signal():
    """Call a function in a receiver of the next signal of a converted lead."""
    receivers = []

    def arrange(function):
        def receive(**_arguments):
            if receivers:
                receivers.clear()
                function()

        receivers.append(receive)
        lead_converted.connect(receive)

    yield arrange
    receivers.clear()


def test_a_sender_leaves_the_signal_to_one_that_is_sending_it(
    many_converted, received, on_a_signal
):
    others = []
    on_a_signal(lambda: others.append(send_signals()))

    assert send_signals() == 1
    assert others == [29]
    assert len({arguments["conversion"].pk for _sender, arguments in received}) == 30
    assert len(received) == 30


def test_two_senders_at_once_send_each_signal_once(many_converted, received):
    barrier, numbers = Barrier(2), []

    def send():
        barrier.wait()
        try:
            numbers.append(send_signals())
        finally:
            connections.close_all()

    senders = [Thread(target=send) for _sender in range(2)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()

    assert sum(numbers) == len(received) == 30
    assert len({arguments["conversion"].pk for _sender, arguments in received}) == 30


@pytest.mark.slow
def test_a_signal_is_sent_by_another_if_its_sender_died(converted, zoho, received, on_a_signal):
    def die():
        raise SystemExit

    on_a_signal(die)
    with pytest.raises(SystemExit):
        send_signals()
    received.clear()

    at_once = send_signals()
    pass_time(zoho, conf().LEASE)

    assert (at_once, send_signals()) == (0, 1)
    assert [arguments["conversion"] for _sender, arguments in received] == [converted]


def test_a_signal_is_due_again_for_a_row_that_was_reopened_while_it_was_sent(
    converted, on_a_signal
):
    def reopen():
        LeadConversion.objects.move([lifecycle.reopened(LeadConversion.objects.get())])

    on_a_signal(reopen)

    send_signals()

    row = LeadConversion.objects.get()
    assert (row.announced_at, row.signal_lease_until) == (None, None)
