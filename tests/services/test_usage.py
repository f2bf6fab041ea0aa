"""What the calls of a client cost is counted as Zoho counts it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from celery import shared_task, signals
from django.core.signals import request_finished
from django.db import OperationalError, connections
from django.db.backends.signals import connection_created
from django.db.models import Sum

from tests.clock import age
from tests.journeys.processes import database_url, outside
from tests.outages import failing
from zoho_crm.client import ZohoClient
from zoho_crm.conf import DEFAULT_COSTS
from zoho_crm.models import ApiUsage, Connection
from zoho_crm.services import usage
from zoho_crm.services.clients import client_for
from zoho_crm.simulator import Simulator
from zoho_crm.types import ApiCall

pytestmark = pytest.mark.django_db


def people(number: int) -> list[dict[str, str]]:
    return [{"Last_Name": f"No. {each}", "Email": f"{each}@a.example"} for each in range(number)]


def spent(connection: Connection) -> dict[str, tuple[int, int]]:
    return {use.kind: (use.calls, use.credits) for use in ApiUsage.objects.all()}


@pytest.mark.parametrize(
    ("make_calls", "counted"),
    [
        (lambda crm: crm.records("Leads").count(), {"count": (1, 50)}),
        (lambda crm: crm.records("Leads").create(people(5)), {"write": (1, 1)}),
        (lambda crm: crm.records("Leads").create(people(11)), {"write": (1, 2)}),
        (lambda crm: crm.records("Leads").create(people(130)), {"write": (2, 13)}),
        (lambda crm: crm.records("Leads").upsert(people(95)), {"write": (1, 10)}),
        (
            lambda crm: crm.records("Leads").update({**each, "id": "1"} for each in people(21)),
            {"write": (1, 3)},
        ),
        (lambda crm: crm.records("Leads").delete(map(str, range(60))), {"other": (1, 1)}),
        (
            lambda crm: crm.records("Leads").add_tags(map(str, range(60)), ["fair"]),
            {"other": (1, 2)},
        ),
        (
            lambda crm: list(crm.coql("select Email from Leads where Last_Name = 'X'")),
            {"other": (1, 1)},
        ),
        (lambda crm: list(crm.records("Leads").list(fields=["Email"])), {"other": (1, 1)}),
    ],
)
def test_each_call_is_counted_by_its_cost_as_zoho_does(
    connection: Connection,
    zoho: Simulator,
    make_calls: Callable[[ZohoClient], Any],
    counted: dict[str, tuple[int, int]],
) -> None:
    crm = client_for(connection)
    crm.metadata.fields("Leads")  # by which writes are checked
    usage.write_counts()
    ApiUsage.objects.all().delete()
    before = zoho.stats()["credits_used"]

    make_calls(crm)
    usage.write_counts()

    assert spent(connection) == counted
    assert usage.spent(connection.pk) == zoho.stats()["credits_used"] - before


def test_each_kind_of_call_has_a_name_for_people() -> None:
    assert set(ApiUsage.Kind.values) == set(DEFAULT_COSTS)


def test_a_bulk_read_is_counted_by_its_cost_too(connection: Connection, zoho: Simulator) -> None:
    zoho.add("Leads", Last_Name="King")
    usage.write_counts()
    ApiUsage.objects.all().delete()
    before = zoho.stats()["credits_used"]

    rows = client_for(connection).bulk_read("Leads", ["Last_Name"], wait=lambda _seconds: None)
    assert [row["Last_Name"] for row in rows]
    usage.write_counts()

    assert spent(connection)["bulk_read"] == (1, 50)
    assert usage.spent(connection.pk) == zoho.stats()["credits_used"] - before


# When the calls are written


def written() -> int:
    """Return how many calls are in the table."""
    return ApiUsage.objects.aggregate(calls=Sum("calls"))["calls"] or 0


@pytest.fixture
def client(connection: Connection) -> ZohoClient:
    """A client of a connection of which no calls are counted yet."""
    usage.write_counts()
    ApiUsage.objects.all().delete()
    return client_for(connection)


def test_calls_are_written_when_there_are_25(client: ZohoClient) -> None:
    for _ in range(24):
        client.organisation()
    assert written() == 0

    client.organisation()

    assert written() == 25


def test_calls_are_written_at_the_first_one_after_5_seconds(client: ZohoClient) -> None:
    client.organisation()
    age(4)
    client.organisation()
    assert written() == 0

    age(1)
    client.organisation()

    assert written() == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "end",
    [
        lambda: request_finished.send(sender=None),
        lambda: signals.worker_process_shutdown.send(sender=None),
    ],
    ids=["request", "worker process"],
)
def test_calls_are_written_at_the_end_of(client: ZohoClient, end: Callable[[], Any]) -> None:
    client.organisation()

    end()

    assert written() == 1


@pytest.mark.django_db(transaction=True)
def test_requests_in_a_row_write_their_calls_together(client: ZohoClient) -> None:
    for _ in range(3):
        client.organisation()
        request_finished.send(sender=None)
    assert written() == 1

    age(5)
    request_finished.send(sender=None)

    assert written() == 3


@pytest.mark.django_db(transaction=True)
def test_at_the_end_of_a_request_its_database_connection_is_used(client: ZohoClient) -> None:
    client.organisation()
    connections["default"].ensure_connection()
    opened: list[object] = []

    def note(connection: object, **_signal: Any) -> None:
        opened.append(connection)

    connection_created.connect(note)
    request_finished.send(sender=None)
    connection_created.disconnect(note)

    assert not opened
    assert written() == 1


def test_calls_are_written_at_the_end_of_a_task(client: ZohoClient) -> None:
    @shared_task
    def read_zoho() -> int:
        client.organisation()
        return written()

    assert read_zoho.apply().get() == 0
    assert written() == 1


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_calls_are_written_at_the_end_of_a_process(connection: Connection) -> None:
    program = f"""
import django
django.setup()
from zoho_crm.services import usage
usage.record_one({connection.pk}, usage.ApiCall("other"))
"""
    usage.write_counts()
    before = written()
    environment = outside() | {"DATABASE_URL": database_url()}

    subprocess.run([sys.executable, "-c", program], env=environment, check=True)

    assert written() == before + 1


def test_what_this_process_counted_is_spent(client: ZohoClient, connection: Connection) -> None:
    client.records("Leads").count()

    assert usage.spent(connection.pk) == 50


def test_what_could_not_be_written_is_written_later(
    client: ZohoClient, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    client.organisation()
    with failing(OperationalError(), lambda sql, _params: "apiusage" in sql):
        usage.write_counts()
        client.organisation()
    assert "was not written yet" in caplog.text

    usage.write_counts()

    assert written() == 2


def test_the_calls_of_a_deleted_connection_are_dropped(db: None) -> None:
    usage.record_one(0, ApiCall("other"))

    usage.write_counts()

    assert written() == 0
    assert usage.counted_calls.is_empty
