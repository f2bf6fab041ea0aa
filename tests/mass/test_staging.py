"""Taking the leads of a run in: no line is lost, none is taken twice, none grows the memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any, cast

import pytest

from tests.mass.bench import Bench, Stage
from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.models import LeadConversion, MassConversion, MassConversionLine
from zoho_crm.models._database import DbNow
from zoho_crm.services import convert, mass_convert, preview

Status = LeadConversion.Status
Reason = MassConversionLine.Reason


def left_out(run: MassConversion) -> dict[int, tuple[str, str]]:
    return {line.number: (line.text, line.reason) for line in run.lines.all()}


def ids(number: int, first: int = 1) -> list[str]:
    return [str(7_000_000_000_000_000_000 + first + index) for index in range(number)]


def test_every_lead_becomes_a_new_row_that_is_due(bench: Bench) -> None:
    run = bench.prepare(f" {lead_id}\n" for lead_id in ids(3))

    rows = LeadConversion.objects.filter(mass_conversion=run)
    assert set(rows.values_list("lead_id", "status")) == {(id_, Status.NEW) for id_ in ids(3)}
    assert rows.filter(due_at__lte=DbNow()).count() == 3
    assert run.stage == Stage.PREVIEWING
    assert not left_out(run)


def test_ids_that_a_project_stores_as_numbers_are_ids(bench: Bench) -> None:
    numbers: Any = [*map(int, ids(2)), None]

    run = bench.prepare(numbers)

    assert set(run.rows.values_list("lead_id", flat=True)) == set(ids(2))
    assert left_out(run) == {3: ("None", Reason.MALFORMED)}


def test_what_is_no_id_is_kept_with_its_line_and_the_reason(bench: Bench) -> None:
    good, bad = ids(1)[0], ["Lead Id", "12.5", "-4", "9" * 20, "１２", "=1+1", "x" * 300]

    run = bench.prepare([*bad, good])

    assert left_out(run) == {
        number: (text[:50], Reason.MALFORMED) for number, text in enumerate(bad, start=1)
    }
    assert run.rows.get().lead_id == good


def test_empty_lines_are_no_leads_but_count_as_lines(bench: Bench) -> None:
    run = bench.prepare(["", ids(1)[0], "  ", "zwei"])

    assert left_out(run) == {4: ("zwei", Reason.MALFORMED)}


def test_a_lead_that_is_named_twice_is_taken_once(bench: Bench) -> None:
    one, two = ids(2)

    run = bench.prepare([one, two, one, f"{two} "])

    assert left_out(run) == {3: (one, Reason.DOUBLE), 4: (two, Reason.DOUBLE)}
    assert run.rows.count() == 2


def test_a_lead_that_is_named_again_much_later_is_taken_once(bench: Bench) -> None:
    many = ids(1500)

    run = bench.prepare([*many, many[0], many[1499]])

    assert left_out(run) == {1501: (many[0], Reason.DOUBLE), 1502: (many[1499], Reason.DOUBLE)}
    assert run.rows.count() == 1500


def test_a_lead_that_is_converted_already_is_left_out(bench: Bench) -> None:
    lead_id = bench.zoho.story("converted")
    preview.preview(connection_id=bench.connection.pk, lead_id=lead_id)

    run = bench.prepare([lead_id, *ids(1)])

    assert left_out(run) == {1: (lead_id, Reason.CONVERTED)}


def test_a_lead_that_another_run_decides_about_is_left_out(bench: Bench) -> None:
    shared, other = ids(2)
    first = bench.prepare([shared])

    second = bench.prepare([shared, other])

    assert left_out(second) == {1: (shared, Reason.IN_ANOTHER_RUN)}
    assert bench.row(shared).mass_conversion == first


@pytest.mark.parametrize("status", ["READY", "RUNNING", "SCHEDULED", "UNKNOWN", "NEEDS_REVIEW"])
def test_a_lead_that_is_on_its_way_is_left_out(bench: Bench, status: str) -> None:
    lead_id, other = ids(2)
    LeadConversion.objects.create(connection=bench.connection, lead_id=lead_id, status=status)

    run = bench.prepare([lead_id, other])

    assert left_out(run) == {1: (lead_id, Reason.ON_ITS_WAY)}
    assert bench.row(lead_id).status == status
    assert bench.row(lead_id).mass_conversion is None


@pytest.mark.parametrize("status", ["NEW", "PREVIEWED", "SKIPPED", "FAILED"])
@pytest.mark.parametrize("stage", [Stage.FINISHED, Stage.CANCELLED, None])
def test_a_lead_at_rest_is_taken_over_and_begins_afresh(
    bench: Bench, status: str, stage: str | None
) -> None:
    lead_id = ids(1)[0]
    old = bench.prepare(ids(1, first=99)) if stage else None
    if old:
        MassConversion.objects.filter(pk=old.pk).update(stage=stage, due_at=None)
    LeadConversion.objects.create(
        connection=bench.connection,
        lead_id=lead_id,
        status=status,
        mass_conversion=old,
        effect="of old",
        account_key="of old",
        joins="account",
    )

    run = bench.prepare([lead_id])

    row = bench.row(lead_id)
    assert (row.mass_conversion, row.status) == (run, Status.NEW)
    assert (row.follows, row.joins, row.job, row.effect, row.account_key) == (
        None,
        "",
        None,
        "",
        "",
    )
    assert LeadConversion.objects.due().filter(pk=row.pk).exists()
    assert not left_out(run)


def test_a_converted_lead_of_a_run_that_has_ended_stays_where_it_is(bench: Bench) -> None:
    (lead_id,) = bench.leads(1)
    old = bench.finished([lead_id])

    run = bench.prepare([lead_id, *ids(1)])

    assert left_out(run) == {1: (lead_id, Reason.CONVERTED)}
    assert bench.row(lead_id).mass_conversion == old


@pytest.mark.parametrize("nothing", [[], ["", "  ", "\n"]])
def test_a_source_without_a_lead_makes_no_run(bench: Bench, nothing: list[str]) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        bench.prepare(nothing)

    assert refused.value.code == "empty"
    assert not MassConversion.objects.exists()


def test_a_source_of_nothing_but_rubbish_says_what_was_wrong_with_it(bench: Bench) -> None:
    run = bench.reviewed(["Lead Id", "none"])

    assert {reason for _text, reason in left_out(run).values()} == {Reason.MALFORMED}
    assert mass_convert.counts(run) == {"decided": 0}


def test_a_lead_that_is_converted_singly_meanwhile_is_left_out_too(bench: Bench) -> None:
    taken, kept = ids(2)

    def lines() -> Iterator[str]:
        yield from ids(1000, first=5000)
        # The batch before was written, this one not yet.
        convert.request(connection_id=bench.connection.pk, lead_id=taken)
        LeadConversion.objects.filter(lead_id=taken).update(status=Status.READY)
        yield from (taken, kept)

    run = bench.prepare(lines())

    assert left_out(run) == {1001: (taken, Reason.ON_ITS_WAY)}


def test_a_run_that_is_cancelled_while_it_takes_leads_in_takes_no_more(bench: Bench) -> None:
    def lines() -> Iterator[str]:
        yield from ids(1000)
        run = MassConversion.objects.get()
        assert run.stage == Stage.STAGING
        mass_convert.cancel(run_id=run.pk)
        bench.until_ended(run)
        yield from ids(2000, first=5000)

    run = bench.prepare(lines())
    bench.until_ended(run)

    assert run.stage == Stage.CANCELLED
    assert bench.status_counts() == {Status.SKIPPED: run.rows.count()}
    assert run.counts == {Status.SKIPPED: run.rows.count(), "decided": 0}
    assert run.rows.count() < 3000


def test_a_source_that_breaks_off_leaves_a_cancelled_run(bench: Bench) -> None:
    def lines() -> Iterator[str]:
        yield from ids(1500)
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    with pytest.raises(UnicodeDecodeError):
        bench.prepare(lines())

    run = MassConversion.objects.get()
    bench.until_ended(run)
    assert run.stage == Stage.CANCELLED
    assert bench.status_counts() == {Status.SKIPPED: 1000}


@pytest.mark.slow
def test_memory_does_not_grow_with_the_source(bench: Bench) -> None:
    bench.prepare(ids(100, first=90_000))

    def peak_of(number: int, first: int) -> int:
        tracemalloc.reset_peak()
        before, _peak = tracemalloc.get_traced_memory()
        bench.prepare(str(7_000_000_000_000_000_000 + first + index) for index in range(number))
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    try:
        small, large = peak_of(1000, 100_000), peak_of(8000, 200_000)
    finally:
        tracemalloc.stop()

    # What the garbage collector has not taken yet differs from one to the other.
    assert large < 2 * small, f"{large} bytes for 8 times as many ids as took {small}"


class Person:
    """A user of a host project, with a name that fits into no column."""

    pk = None

    def __str__(self) -> str:
        return "Ann\0 \ud800" + "n" * 300


def test_texts_of_the_host_project_are_cut_and_can_be_stored(bench: Bench) -> None:
    run = bench.prepare(["1"], name="Fair\0" + "r" * 200, source="Hall\0 4\udfff")

    mass_convert.pause(run_id=run.pk, by=cast(Any, Person()))

    bench.refreshed(run)
    assert run.name == ("Fair\ufffd" + "r" * 200)[:100]
    assert run.source_details == {"text": "Hall\ufffd 4\ufffd"}
    assert run.paused_details == {"user": ("Ann\ufffd \ufffd" + "n" * 300)[:200]}
