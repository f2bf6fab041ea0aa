"""Previews of many leads: several calls at a time, each lead's result or error in its order."""

from __future__ import annotations

from contextlib import closing

import pytest

from zoho_crm.exceptions import (
    PermissionDeniedError,
    RateLimitError,
    RequestRefusedError,
    TransientError,
)
from zoho_crm.matching import POLICIES
from zoho_crm.models import ApiUsage, Connection, ConnectionWork, LeadConversion, Token, from_now
from zoho_crm.services import convert, mass_convert
from zoho_crm.services.preview import preview
from zoho_crm.services.work.preview_leads import LeadPreview, preview_leads
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

Status = LeadConversion.Status


def previews(
    connection: Connection, lead_ids: list[str], user: str | None = None
) -> list[LeadPreview]:
    """Return the rows and errors, after a check that they come in the order of the leads."""
    found = list(preview_leads(connection_id=connection.pk, lead_ids=lead_ids, user=user))
    assert [lead_id for lead_id, _outcome in found] == lead_ids
    return [outcome for _lead_id, outcome in found]


def leads_of(zoho: Simulator, number: int) -> list[str]:
    return [str(zoho.add_lead().id) for _ in range(number)]


def calls_of(zoho: Simulator) -> int:
    """Return how many calls the simulator has received."""
    return sum(each["count"] for each in zoho.stats()["calls"])


def calls_for(zoho: Simulator, connection: Connection, lead_ids: list[str]) -> int:
    before = calls_of(zoho)
    assert {row.status for row in previews(connection, lead_ids)} == {Status.PREVIEWED}
    return calls_of(zoho) - before


@pytest.mark.slow
def test_many_leads_are_read_a_hundred_with_a_call(connection: Connection, zoho: Simulator) -> None:
    assert calls_for(zoho, connection, leads_of(zoho, 120)) == 2 + 120


def test_every_call_is_counted(connection: Connection, zoho: Simulator) -> None:
    calls = calls_for(zoho, connection, leads_of(zoho, 12))

    assert sum(ApiUsage.objects.values_list("calls", flat=True)) == calls


@pytest.mark.slow
def test_as_many_calls_are_made_at_a_time_as_zoho_allows(
    connection: Connection, zoho: Simulator
) -> None:
    zoho.tune(latency=0.1)
    previews(connection, leads_of(zoho, 30))

    assert 2 < zoho.stats()["peak"]["all"] <= 10


def test_while_a_worker_works_only_the_calls_that_it_leaves_are_made(
    connection: Connection, zoho: Simulator
) -> None:
    ConnectionWork.objects.create(connection=connection, lease_until=from_now(60))
    zoho.tune(latency=0.01)
    previews(connection, leads_of(zoho, 12))

    assert zoho.stats()["peak"]["all"] <= 2


def test_one_lead_that_breaks_a_read_costs_only_itself(
    connection: Connection, zoho: Simulator
) -> None:
    lead_ids = leads_of(zoho, 12)
    zoho.fail("leads_list", "close_before", lead_id=lead_ids[5], times=None)

    found = previews(connection, lead_ids)

    assert isinstance(found.pop(5), TransientError)
    assert {row.status for row in found} == {Status.PREVIEWED}
    assert LeadConversion.objects.get(lead_id=lead_ids[5]).status == Status.NEW


def test_too_many_calls_at_a_time_are_made_again_one_at_a_time_they_are_an_error(
    connection: Connection, zoho: Simulator
) -> None:
    lead_ids = leads_of(zoho, 12)
    zoho.fail("options", "throttle", lead_id=lead_ids[4])
    assert {row.status for row in previews(connection, lead_ids)} == {Status.PREVIEWED}

    zoho.fail("any", "throttle", times=None)
    assert {type(error) for error in previews(connection, lead_ids[:2])} == {RateLimitError}


def test_a_rejected_access_token_is_renewed_once(connection: Connection, zoho: Simulator) -> None:
    lead_ids = leads_of(zoho, 12)
    generation = Token.objects.get().generation
    zoho.world.grants.access_tokens.clear()

    assert {row.status for row in previews(connection, lead_ids)} == {Status.PREVIEWED}
    assert Token.objects.get().generation == generation + 1


def test_no_more_leads_are_asked_for_when_the_caller_stops(
    connection: Connection, zoho: Simulator
) -> None:
    body = {"code": "NO_PERMISSION", "details": {}, "message": "no", "status": "error"}
    zoho.fail("any", "error_before", status=403, body=body, times=None)
    before = calls_of(zoho)

    found = preview_leads(connection_id=connection.pk, lead_ids=leads_of(zoho, 8))
    with closing(found):
        _lead_id, error = next(found)

    assert isinstance(error, PermissionDeniedError)
    assert calls_of(zoho) == before + 1


def test_rows_that_no_preview_may_change_stay_as_they_are(
    connection: Connection, zoho: Simulator
) -> None:
    waiting, in_run, fresh = leads_of(zoho, 3)
    row = preview(connection_id=connection.pk, lead_id=waiting)
    plan = row.stored_plan()
    convert.approve(conversion_id=row.pk, version=row.version, plan=plan)
    policy = POLICIES["careful"]
    mass_convert.prepare(connection_id=connection.pk, lead_ids=[in_run], policy=policy)

    first, second, third, fourth = previews(connection, [waiting, in_run, fresh, "12x"])

    assert first.status == Status.READY
    assert isinstance(second, RequestRefusedError)
    assert second.code == "in_run"
    assert third.status == Status.PREVIEWED
    assert fourth.code == "INVALID_ID"
    assert zoho.ledger()["calls"] == [], "nothing that is READY is sent by a preview"


def test_what_a_user_sees_is_not_stored(connection: Connection, zoho: Simulator) -> None:
    user = Token.objects.get().user_email

    found = previews(connection, leads_of(zoho, 3), user=user)

    assert {row.verdict for row in found} == {"NO_MATCH"}
    assert not LeadConversion.objects.exists()
