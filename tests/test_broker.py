"""A broker that accepts connections and never answers holds up nobody for long."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from testproject.celery import app
from tests import messages
from tests.client.raw import RawServer
from zoho_crm import tasks
from zoho_crm.models import Connection
from zoho_crm.services import broker

pytestmark = pytest.mark.django_db(transaction=True)

#: Seconds in which a call ends also on a busy machine; without a time-out it took minutes.
SOON = 15


@contextmanager
def ending_soon() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < SOON


def test_a_person_gets_the_page_at_once(
    silent_broker: RawServer,
    connection: Connection,
    admin_client: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = reverse("admin:zoho_crm_connection_test", args=[connection.pk])

    with ending_soon(), caplog.at_level(logging.WARNING):
        answer = admin_client.post(url)

    assert answer.status_code == 302
    assert silent_broker.connections
    assert "No message was sent to the broker: it does not answer" in caplog.text


def test_several_messages_do_not_add_up(silent_broker: RawServer, connection: Connection) -> None:
    with ending_soon():
        for _ in range(20):
            tasks.wake(connection.pk)


def test_a_worker_is_not_held_up_either(silent_broker: RawServer, connection: Connection) -> None:
    with ending_soon():
        tasks.convert_lead(lead_id="1", connection_id=connection.pk)
        tasks.sweep()
        tasks.work_connection(connection_id=connection.pk)


UNUSABLE_URLS = {
    "no transport": "foo://x",
    "no library": "sqs://",
    "no port": "amqp://127.0.0.1:port//",
    "no host": "redis://[::1",
    "no master": "sentinel://127.0.0.1:1",
}


@pytest.mark.parametrize("url", UNUSABLE_URLS.values(), ids=UNUSABLE_URLS)
def test_a_broker_that_cannot_be_used_is_logged_and_stops_nobody(
    connection: Connection,
    admin_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    url: str,
) -> None:
    monkeypatch.setenv("CELERY_BROKER_WRITE_URL", url)
    page = reverse("admin:zoho_crm_connection_test", args=[connection.pk])

    with caplog.at_level(logging.WARNING):
        answer = admin_client.post(page)

    assert answer.status_code == 302
    assert "No message was sent to the broker: " in caplog.text
    assert "it does not answer" not in caplog.text
    assert broker.problem_of_broker(5)


def test_an_error_after_the_commit_is_logged_and_stops_nobody(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(app.conf, "task_always_eager", True)
    monkeypatch.setitem(app.conf, "task_eager_propagates", True)

    with transaction.atomic():
        tasks.wake("none")  # type: ignore[arg-type]

    assert "Error calling" in caplog.text


def test_messages_are_sent_again_after_a_while(
    silent_broker: RawServer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages.take_all()
    tasks.wake(connection.pk)
    monkeypatch.delenv("CELERY_BROKER_WRITE_URL")

    tasks.wake(connection.pk)
    before = messages.take_all()
    monkeypatch.setattr(broker._Pause, "until", time.monotonic())
    tasks.wake(connection.pk)

    assert before == []
    assert len(messages.take_all()) == 1
