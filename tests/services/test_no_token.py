"""Without an access token there are few calls, and work goes on as soon as there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.signals import heard
from zoho_crm.models import Connection, LeadConversion, Token
from zoho_crm.services import convert, signals, work
from zoho_crm.services.connect import with_grant_code
from zoho_crm.signals import connection_lost
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

MINUTES = 60.0
#: Connecting again wakes a worker at once; without that message the next sweep does.
SWEEP = 2.0


@pytest.fixture
def leads(connection: Connection, zoho: Simulator) -> list[LeadConversion]:
    """Three leads whose conversion was requested."""
    return [
        convert.request(connection_id=connection.pk, lead_id=zoho.story("no_match"))
        for _ in range(3)
    ]


@pytest.fixture
def told() -> Iterator[list[Connection]]:
    """The connections that ``connection_lost`` was sent for."""
    with heard(connection_lost, "connection") as lost:
        yield lost


def token_calls(zoho: Simulator) -> int:
    calls = zoho.stats()["calls"]
    return sum(call["count"] for call in calls if call["path"] == "/oauth/v2/token")


def sweep_and_work() -> None:
    """Do what beat and workers do."""
    for connection_id in work.sweep():
        while work.work(connection_id=connection_id) == 0.0:
            pass
    signals.send_signals()


def statuses() -> set[str]:
    return set(LeadConversion.objects.values_list("status", flat=True))


@pytest.mark.slow
@pytest.mark.usefixtures("leads")
def test_a_withdrawn_consent_costs_one_token_call_and_one_signal_and_work_goes_on_after_a_new_one(
    zoho: Simulator, told: list[Connection], later: Callable[[float], None]
) -> None:
    zoho.world.grants.access_tokens.clear()
    zoho.world.grants.refresh_tokens.clear()
    before = token_calls(zoho)

    for _minute in range(10):
        sweep_and_work()
        later(1 * MINUTES)

    assert token_calls(zoho) - before == 1
    connection = Connection.objects.get()
    assert connection.status == Connection.Status.NEEDS_RECONNECT
    assert told == [connection]

    with_grant_code(code=zoho.grant_code(), data_center="local")
    later(SWEEP)
    sweep_and_work()

    assert statuses() == {"CONVERTED"}
    assert told == [connection]


@pytest.mark.slow
@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.usefixtures("leads")
def test_access_denied_needs_no_new_connection_and_few_token_calls(
    zoho: Simulator, status: int, told: list[Connection], later: Callable[[float], None]
) -> None:
    zoho.world.grants.access_tokens.clear()
    zoho.fail("refresh", "throttle", status=status, times=None)
    before = token_calls(zoho)

    for _turn in range(19):
        sweep_and_work()
        later(0.5 * MINUTES)

    assert 1 <= token_calls(zoho) - before <= 3
    assert Connection.objects.get().status == Connection.Status.ACTIVE
    assert Token.objects.get().status == Token.Status.ACTIVE
    assert told == []

    zoho.heal()
    later(10 * MINUTES)
    sweep_and_work()

    assert statuses() == {"CONVERTED"}


@pytest.mark.slow
@pytest.mark.usefixtures("leads")
def test_after_access_denied_zoho_is_asked_again_when_the_backoff_is_over(
    zoho: Simulator, settings: Any, later: Callable[[float], None]
) -> None:
    settings.ZOHO_CRM |= {"TOKEN_BACKOFF": 60}
    zoho.world.grants.access_tokens.clear()
    zoho.fail("refresh", "throttle")

    sweep_and_work()
    later(50)
    sweep_and_work()
    before = statuses()
    later(20)
    sweep_and_work()

    assert before == {"NEW"}
    assert statuses() == {"CONVERTED"}
