"""What is no longer needed is forgotten; what became of a lead never is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils.timezone import now

from tests.mass.bench import Bench
from zoho_crm.models import (
    ApiUsage,
    AuthorizationRequest,
    ConnectionEvent,
    LeadConversion,
    LeadConversionEvent,
)
from zoho_crm.services import mass_convert
from zoho_crm.services.purge import purge

Status = LeadConversion.Status
LONG_AGO = timedelta(days=100)


def age(lead_id: str) -> LeadConversion:
    """Make a row have finished, or been previewed last, long ago."""
    row = LeadConversion.objects.get(lead_id=lead_id)
    ended = row.finished_at and row.finished_at - LONG_AGO
    seen = row.previewed_at and row.previewed_at - LONG_AGO
    LeadConversion.objects.filter(pk=row.pk).update(finished_at=ended, previewed_at=seen)
    return row


def test_old_settled_rows_lose_what_was_read_and_keep_what_became_of_them(bench: Bench) -> None:
    old, young = bench.leads(2)
    bench.finished([old, young])
    before = age(old)
    steps = before.events.count()

    found = purge(execute=True)

    row = bench.row(old)
    assert found.before_images == 1
    assert (row.lead_snapshot, row.options_snapshot) == (None, None)
    assert (row.status, row.contact_id, row.converted_by) == (
        Status.CONVERTED,
        before.contact_id,
        "us",
    )
    assert row.events.count() == steps >= found.journal_details > 0
    assert not any(row.events.values_list("details", flat=True))
    assert bench.row(young).lead_snapshot is not None
    assert any(bench.row(young).events.values_list("details", flat=True))
    assert purge(execute=True).before_images == 0


def test_what_was_refused_or_left_out_is_forgotten_too(bench: Bench) -> None:
    refused, left_out = bench.leads(2)
    bench.refuse(refused)
    run = bench.reviewed([refused, left_out])
    row = bench.row(left_out)
    mass_convert.decide_one(conversion_id=row.pk, version=row.version, plan=None, by=bench.person)
    bench.until_settled(run)
    bench.start(run)
    bench.until_ended(run)
    for lead_id in (refused, left_out):
        age(lead_id)

    assert purge(execute=True).before_images == 2
    assert {bench.row(refused).lead_snapshot, bench.row(left_out).lead_snapshot} == {None}
    assert bench.row(refused).error_code == "MANDATORY_NOT_FOUND"


@pytest.mark.parametrize("status", sorted(set(Status) - {"CONVERTED", "FAILED", "SKIPPED"}))
def test_what_is_not_settled_is_needed(bench: Bench, status: str) -> None:
    (lead_id,) = bench.leads(1)
    bench.finished([lead_id])
    row = age(lead_id)
    LeadConversion.objects.filter(pk=row.pk).update(status=status)

    assert purge().before_images == 0


def test_what_was_left_out_of_a_run_in_review_may_be_taken_in_again(bench: Bench) -> None:
    (lead_id,) = bench.leads(1)
    bench.reviewed([lead_id])
    row = bench.row(lead_id)
    mass_convert.decide_one(conversion_id=row.pk, version=row.version, plan=None, by=bench.person)
    age(lead_id)

    assert purge().before_images == 0


def test_without_execute_all_is_only_counted(bench: Bench) -> None:
    bench.finished(bench.leads(1))
    age(LeadConversion.objects.get().lead_id)

    found = purge()

    assert found.before_images == 1
    assert LeadConversion.objects.get().lead_snapshot is not None
    assert LeadConversionEvent.objects.exclude(details={}).exists()


def test_events_of_connections_and_counts_of_calls_end_too(bench: Bench) -> None:
    long_ago = now() - LONG_AGO
    mine = bench.connection
    ConnectionEvent.objects.all().delete()
    kinds = ConnectionEvent.Kind
    for at, kind, announced_at in (
        (long_ago, kinds.LOST, None),
        (long_ago, kinds.LOST, long_ago),
        (now(), kinds.LOST, now()),
    ):
        event = ConnectionEvent.objects.create(
            connection=mine, kind=kind, announced_at=announced_at, at=at
        )
        ConnectionEvent.objects.filter(pk=event.pk).update(at=at)
    for hour in (long_ago, now()):
        ApiUsage.objects.create(connection=mine, hour=hour, kind="other")

    found = purge(execute=True)

    assert (found.events, found.usage) == (1, 1)
    assert ConnectionEvent.objects.count() == 2
    assert ApiUsage.objects.count() == 1
    assert not AuthorizationRequest.objects.filter(expires_at__lt=now()).exists()


def test_the_days_can_be_said(bench: Bench) -> None:
    bench.finished(bench.leads(1))
    age(LeadConversion.objects.get().lead_id)

    assert purge(days=101).before_images == 0
    assert purge(days=99).before_images == 1
