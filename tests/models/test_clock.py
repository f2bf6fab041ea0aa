from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from zoho_crm.models import Connection, LeadConversion, from_now
from zoho_crm.models._database import DbNow

pytestmark = pytest.mark.django_db


def stored(row):
    return LeadConversion.objects.filter(pk=row.pk)


def test_the_databases_present_is_the_present_in_utc(connection):
    now = Connection.objects.annotate(now=DbNow()).values_list("now", flat=True).get()

    # A server in another time zone would be off by hours.
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=5)


def test_what_the_database_wrote_is_not_in_its_future(new_row):
    row = new_row(due_at=DbNow())

    assert stored(row).filter(due_at__lte=DbNow()).exists()


def test_what_a_process_wrote_compares_with_the_databases_clock(new_row):
    past = new_row(due_at=datetime.now(UTC) - timedelta(minutes=5))
    future = new_row(due_at=datetime.now(UTC) + timedelta(minutes=5))

    assert list(LeadConversion.objects.due()) == [past]
    assert stored(future).filter(due_at__gt=DbNow(), due_at__lt=from_now(600)).exists()


@pytest.mark.parametrize(("seconds", "is_due"), [(0, True), (-0.5, True), (-90, True), (30, False)])
def test_a_row_is_due_from_its_moment_on(new_row, seconds, is_due):
    row = new_row(due_at=from_now(seconds))

    assert LeadConversion.objects.due().contains(row) == is_due


def test_a_row_that_no_machine_should_touch_is_never_due(new_row):
    new_row(due_at=None)

    assert not LeadConversion.objects.due().exists()


def test_moments_keep_their_fractions(new_row):
    row = new_row(due_at=from_now(0.25), quiet_until=from_now(0.5))

    assert stored(row).filter(due_at__lt=DbNow() + timedelta(seconds=0.5)).exists()
