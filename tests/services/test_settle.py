from __future__ import annotations

import pytest
from django.db.models import F

from tests.protocol.row import Row
from zoho_crm.exceptions import TransientError
from zoho_crm.models import LeadConversion, from_now
from zoho_crm.models._database import DbNow
from zoho_crm.services.settle import settle
from zoho_crm.types import ConversionPlan, as_json

Status = LeadConversion.Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def in_doubt(connection, zoho):
    """Make a row whose conversion was sent once, with no answer."""

    def make(**columns):
        sent = {"status": Status.UNKNOWN, "attempts": 1, "in_doubt": True, "version": 5}
        times = {"due_at": from_now(-1), "quiet_until": from_now(-1)}
        return LeadConversion.objects.create(
            connection=connection,
            lead_id=zoho.story("no_match"),
            plan=as_json(ConversionPlan()),
            **{**sent, **times, **columns},
        )

    return make


def take_effect(zoho, row):
    """The call whose answer was lost did take effect."""
    zoho.convert_elsewhere(row.lead_id)


def test_a_conversion_that_took_effect_is_found_with_its_ids(in_doubt, zoho):
    row = in_doubt()
    take_effect(zoho, row)

    settled = settle(conversion_id=row.pk)

    [truth] = zoho.conversions_of(row.lead_id)
    assert (settled.status, settled.converted_by, settled.evidence) == (
        Status.CONVERTED,
        "us",
        "read",
    )
    assert settled.contact_id == truth["contact_id"]
    assert settled.due_at is None


@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.SCHEDULED])
def test_a_conversion_is_found_before_the_row_is_due(in_doubt, zoho, status):
    row = in_doubt(status=status, due_at=from_now(300), quiet_until=from_now(300))
    take_effect(zoho, row)

    assert settle(conversion_id=row.pk).status == Status.CONVERTED


@pytest.mark.parametrize("fault", [None, "empty"])
def test_an_early_read_without_evidence_changes_nothing(in_doubt, zoho, fault):
    row = in_doubt(quiet_until=from_now(300))
    if fault:
        zoho.fail("leads_list", fault)

    settled = settle(conversion_id=row.pk)

    assert (settled.status, settled.version) == (Status.UNKNOWN, row.version)


def test_a_stale_read_in_the_quiet_period_proves_nothing(in_doubt, zoho):
    row = in_doubt(quiet_until=from_now(300))
    take_effect(zoho, row)
    zoho.fail("leads_list", "stale")

    assert settle(conversion_id=row.pk).version == row.version
    assert settle(conversion_id=row.pk).status == Status.CONVERTED


def test_reads_in_quick_succession_count_once(in_doubt):
    row = in_doubt()

    settled = [settle(conversion_id=row.pk) for _ in range(4)]

    assert [(each.status, each.negative_reads) for each in settled] == [(Status.UNKNOWN, 1)] * 4


def test_enough_reads_far_enough_apart_let_it_be_sent_again(in_doubt, later):
    row = in_doubt()

    settle(conversion_id=row.pk)
    later(1)
    settled = settle(conversion_id=row.pk)

    assert (settled.status, settled.plan) == (Status.READY, row.plan)
    assert LeadConversion.objects.due().contains(row)


def test_a_lead_that_cannot_be_read_needs_review_at_last(in_doubt, zoho, later, settings):
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "UNKNOWN_HORIZON": 3}
    row = in_doubt()
    zoho.delete("Leads", row.lead_id)

    statuses = []
    for _ in range(3):
        statuses.append(settle(conversion_id=row.pk).status)
        later(1)

    assert statuses == [Status.UNKNOWN, Status.UNKNOWN, Status.NEEDS_REVIEW]


def test_if_zoho_cannot_be_asked_nothing_is_recorded(in_doubt, zoho):
    row = in_doubt()
    zoho.fail("leads_list", "close_before")

    with pytest.raises(TransientError):
        settle(conversion_id=row.pk)

    row.refresh_from_db()
    assert (row.version, row.empty_reads, row.negative_reads) == (5, 0, 0)


@pytest.mark.parametrize(
    "status", sorted(set(Status) - {Status.UNKNOWN, Status.SCHEDULED, Status.CONVERTED})
)
def test_only_what_is_in_doubt_is_read(in_doubt, zoho, status):
    row = in_doubt(status=status)
    before = zoho.stats()["calls"]

    assert settle(conversion_id=row.pk).version == row.version
    assert zoho.stats()["calls"] == before


@pytest.mark.parametrize("due_at", [-60, 60, None])
@pytest.mark.parametrize("quiet_until", [-60, 60, None])
def test_is_conclusive_is_the_same_as_in_the_search_of_the_protocol(in_doubt, due_at, quiet_until):
    moments = {"due_at": due_at, "quiet_until": quiet_until}
    columns = {name: s if s is None else from_now(s) for name, s in moments.items()}
    row = in_doubt(**columns)

    found = LeadConversion.objects.with_is_conclusive().get(pk=row.pk)

    assert found.is_conclusive == Row(status="UNKNOWN", **moments).is_conclusive


def test_a_time_that_is_now_counts_as_over(in_doubt):
    row = in_doubt()
    LeadConversion.objects.filter(pk=row.pk).update(due_at=DbNow(), quiet_until=F("due_at"))

    assert LeadConversion.objects.with_is_conclusive().get(pk=row.pk).is_conclusive
