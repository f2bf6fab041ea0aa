"""What our calls cost is counted, and the others of the organisation keep their share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from tests.mass.bench import Bench
from zoho_crm.models import ApiUsage, Connection, ConnectionWork
from zoho_crm.services import usage
from zoho_crm.services.mass_convert._jobs import min_job_size
from zoho_crm.types import ApiCall


def counted(bench: Bench) -> dict[str, tuple[int, int, int]]:
    return {
        use.kind: (use.calls, use.credits, use.refusals)
        for use in ApiUsage.objects.filter(connection=bench.connection)
    }


def test_calls_are_counted_by_kind_with_what_they_cost(bench: Bench) -> None:
    pk = bench.connection.pk
    usage.record(pk, [ApiCall("convert"), ApiCall("other"), ApiCall("convert", was_refused=True)])
    usage.record(pk, [ApiCall("mass_convert"), ApiCall("convert")])
    usage.record(pk, [])

    assert counted(bench) == {
        "convert": (3, 15, 1),
        "other": (1, 1, 0),
        "mass_convert": (1, 200, 0),
    }
    assert usage.spent(pk) == 216


def test_a_kind_of_call_without_a_cost_of_its_own_costs_what_zoho_documents(
    bench: Bench, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CREDIT_COSTS": {"convert": 7}}

    usage.record(bench.connection.pk, [ApiCall("mass_convert"), ApiCall("convert")])

    assert usage.spent(bench.connection.pk) == 200 + 7
    assert min_job_size() == 200 // 7 + 1


def test_what_was_spent_a_day_ago_counts_no_more(bench: Bench) -> None:
    for hours in (2, 30):
        ApiUsage.objects.create(
            connection=bench.connection,
            hour=now() - timedelta(hours=hours),
            kind="convert",
            credits=100,
        )

    assert usage.spent(bench.connection.pk) == 100


@pytest.mark.slow
def test_the_books_of_a_run_are_those_of_zoho(bench: Bench) -> None:
    before = bench.zoho.stats()["credits_used"]
    bench.finished(bench.leads(6))

    spent = bench.zoho.stats()["credits_used"] - before
    assert counted(bench)["convert"] == (6, 30, 0)
    assert usage.spent(bench.connection.pk) == spent


@pytest.mark.parametrize(
    ("edition", "licences", "credits"),
    [
        ("free", 3, 5_000),
        ("standard", 10, 52_500),
        ("standard", 1_000, 100_000),
        ("professional", 10, 55_000),
        ("Enterprise", 10, 60_000),
        ("Zoho One", 10, 60_000),
        ("zoho_one", 10, 60_000),
        ("enterprise", 9_999, 5_000_000),
        ("ultimate", 10, 70_000),
        ("something new", 10, 5_000),
    ],
)
def test_an_organisation_has_credits_by_its_edition(
    settings: Any, edition: str, licences: int, credits: int
) -> None:
    settings.ZOHO_CRM = {}
    connection = Connection(edition=edition, licences=licences)

    assert usage.allowance(connection) == credits
    assert usage.reserve(connection) == credits // 10


def test_a_budget_that_was_set_goes_before_the_edition(settings: Any) -> None:
    settings.ZOHO_CRM = {"CREDIT_BUDGET": 1_000, "CREDIT_RESERVE": 25}
    connection = Connection(edition="enterprise", licences=10)

    assert (usage.allowance(connection), usage.reserve(connection)) == (1_000, 250)


@pytest.mark.slow
def test_a_run_stops_before_the_share_of_other_programs_is_used(
    bench: Bench, settings: Any
) -> None:
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "CREDIT_BUDGET": 400, "CREDIT_RESERVE": 10}
    run = bench.started(bench.leads(20))
    usage.record(bench.connection.pk, [ApiCall("mass_convert"), ApiCall("convert")])
    usage.record(bench.connection.pk, [ApiCall("other")] * 160)
    asked = len(bench.requested())

    bench.work()

    work = ConnectionWork.objects.get(pk=bench.connection.pk)
    assert work.backoff_until is not None
    assert work.backoff_until > now() + timedelta(minutes=10)
    assert (work.backoff_reason, work.backoff_details) == ("reserve", {})
    assert len(bench.requested()) == asked
    assert bench.refreshed(run).paused_reason == ""


def test_what_zoho_says_is_left_stops_a_run_too(bench: Bench) -> None:
    share = usage.reserve(bench.connection)

    assert usage.is_used_up(bench.connection, share - 1)
    assert not usage.is_used_up(bench.connection, share)
    assert not usage.is_used_up(bench.connection, None)
