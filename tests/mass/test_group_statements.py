"""The statements by which groups are formed: how they find rows, and decisions between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from django.db import connection as database
from django.utils.timezone import localdate

from tests.mass import groups
from tests.mass.bench import Bench
from tests.mass.test_groups import (
    decide_all,
    decide_somehow,
    entangled,
    in_small_batches,
    preview,
    take_steps,
)
from tests.parameters import mostly_long
from zoho_crm.matching import DecisionContext, Preview
from zoho_crm.models import LeadConversion, MassConversion
from zoho_crm.services import convert
from zoho_crm.services.mass_convert._decisions import previewed_in_run

pytestmark = pytest.mark.slow

#: Indexes that find all rows of a run or of a status, however few of them a statement needs.
INDEXES_OF_MANY_ROWS = ("zoho_crm_rows_of_a_run", "zoho_crm_leads_by_status")


def previewed(bench: Bench, previews: list[Preview]) -> MassConversion:
    """Return a run of leads as if they had just been previewed."""
    by_lead = {preview.lead.id: preview for preview in previews if preview.lead}
    run = bench.prepare(by_lead)
    context = DecisionContext(today=localdate())
    LeadConversion.objects.move(
        previewed_in_run(row, by_lead[row.lead_id], bench.policy, context) for row in run.rows.all()
    )
    return run


@contextmanager
def after_each_statement(function: Callable[[str, Any], None]) -> Iterator[None]:
    """Call a function with each statement and its parameters, after it, except its own."""
    is_called = False

    def execute_and_call(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal is_called
        result = execute(sql, params, many, context)
        if not (is_called or many):
            is_called = True
            function(sql, params)
            is_called = False
        return result

    with database.execute_wrapper(execute_and_call):
        yield


@pytest.mark.skipif(database.vendor != "sqlite", reason="others choose by their statistics")
def test_rows_are_found_by_their_keys_and_not_among_all_of_the_run(bench: Bench) -> None:
    previews = [preview(n, f"Company {n % 20}", f"p{n % 50}@firm.example") for n in range(1, 101)]
    plans: dict[str, str] = {}

    def explain(sql: str, params: Any) -> None:
        if "zoho_crm_leadconversion" in sql and sql.startswith(("SELECT", "UPDATE")):
            statement = sql.replace("%s", "?").replace("%%", "%")
            rows = database.connection.execute(f"EXPLAIN QUERY PLAN {statement}", params)
            plans[sql] = "\n".join(row[3] for row in rows)

    run = previewed(bench, previews)
    with after_each_statement(explain):
        take_steps(run)
    leader = run.rows.exclude(followers=None).earliest("pk")
    convert.skip(conversion_id=leader.pk, version=leader.version, by=bench.person)
    with after_each_statement(explain):
        take_steps(run)

    assert len(plans) > 10
    for sql, plan in plans.items():
        assert "SCAN zoho_crm" not in plan, sql
        assert not any(f"USING INDEX {name}" in plan for name in INDEXES_OF_MANY_ROWS), sql


@pytest.mark.parametrize("batches", ["one batch", "small batches"])
@pytest.mark.parametrize("seed", mostly_long(range(40), quick=(0,)))
def test_a_decision_after_any_statement_leaves_nothing_to_group(
    bench: Bench, seed: int, batches: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if batches == "small batches":
        in_small_batches(monkeypatch)
    random = Random(seed)
    run = previewed(bench, entangled(random))
    take_steps(run)

    def decide(sql: str, _params: Any) -> None:
        if "zoho_crm_leadconversion" in sql and left and random.random() < 0.1:
            row = random.choice(list(run.rows.order_by("pk")))
            left.pop()
            decide_somehow(random, row, bench.person)

    for _round in range(6):
        decide_all(run)
        left = [None] * 3
        with after_each_statement(decide):
            take_steps(run)
        take_steps(run)
        assert groups.stored(run) == groups.regrouped(run)
