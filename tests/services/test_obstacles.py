"""The rules for sets of rows are those for one row."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.services import obstacles
from zoho_crm.services.obstacles import count_by_obstacle, skip_obstacles, without_obstacles
from zoho_crm.services.preview import PREVIEWABLE, REOPENABLE
from zoho_crm.services.run_statistics import status_counts
from zoho_crm.services.settle import IN_DOUBT
from zoho_crm.services.states import available_actions, can_be_skipped, is_in_review

pytestmark = pytest.mark.django_db

Status, Stage = LeadConversion.Status, MassConversion.Stage
#: What a person has to look at first, and what is on its way, is not queued with others.
ONE_BY_ONE = {Status.NEEDS_REVIEW, Status.NEW}


@pytest.fixture
def rows(connection: Connection) -> list[LeadConversion]:
    """Create a lead of every status in no run, and in a run of every stage."""
    runs = [
        MassConversion.objects.create(connection=connection, policy={}, stage=stage)
        for stage in Stage
    ]
    LeadConversion.objects.bulk_create(
        LeadConversion(
            connection=connection,
            lead_id=str(number),
            status=status,
            mass_conversion=run,
            converted_by="us",
        )
        for number, (run, status) in enumerate(product([None, *runs], Status), 1)
    )
    return list(LeadConversion.objects.select_related("mass_conversion").order_by("pk"))


def fitting(which: Any, model: Any = LeadConversion) -> set[int]:
    return {row.pk for row in without_obstacles(model.objects.all(), which)}


def test_leads_that_may_be_previewed_again(rows: list[LeadConversion]) -> None:
    assert fitting(obstacles.PREVIEW_OBSTACLES) == {
        row.pk
        for row in rows
        if row.status in (PREVIEWABLE | REOPENABLE) - ONE_BY_ONE and not row.is_in_run
    }


def test_leads_that_may_be_settled(rows: list[LeadConversion]) -> None:
    assert fitting(obstacles.SETTLE_OBSTACLES) == {row.pk for row in rows if row.status in IN_DOUBT}


@pytest.mark.parametrize("in_runs", [True, False])
@pytest.mark.parametrize("single", [True, False])
def test_leads_that_may_be_left_out(
    single: bool, in_runs: bool, rows: list[LeadConversion]
) -> None:
    which = skip_obstacles(single_in=None if single else (), in_runs_of=None if in_runs else ())

    assert fitting(which) == {
        row.pk for row in rows if can_be_skipped(row) and (in_runs if is_in_review(row) else single)
    }


def test_runs_that_an_action_fits(rows: list[LeadConversion]) -> None:
    MassConversion.objects.filter(stage=Stage.CONVERTING).update(paused_reason="by_user")
    runs = list(MassConversion.objects.all())
    counts = status_counts(runs)
    possible = {run.pk: available_actions(run, {"decided": 0, **counts[run.pk]}) for run in runs}

    for name in ("pause", "resume", "cancel", "retry"):
        which = getattr(obstacles, f"{name.upper()}_OBSTACLES")
        assert fitting(which, MassConversion) == {
            pk for pk, actions in possible.items() if actions[f"can_{name}"]
        }


def test_each_row_is_counted_once(rows: list[LeadConversion]) -> None:
    which = obstacles.RUN_OBSTACLES

    count, left_out = count_by_obstacle(LeadConversion.objects.all(), which)

    assert count == len(fitting(which))
    assert count + sum(number for _obstacle, number in left_out) == len(rows)
    assert [obstacle.code for obstacle, _number in left_out] == [each.code for each in which]
