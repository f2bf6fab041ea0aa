from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import IntegrityError, connections
from django.db.models import Exists, F, Q

from zoho_crm.models import Connection, LeadConversion, LeadConversionEvent, from_now
from zoho_crm.models._database import DbNow
from zoho_crm.models._moves import TRANSITIONS, Move, NumberByRow

Status = LeadConversion.Status

pytestmark = pytest.mark.django_db


def journal(row):
    events = row.events.order_by("version")
    return list(events.values_list("version", "from_status", "to_status"))


def columns(row, *names):
    return LeadConversion.objects.values_list(*names).get(pk=row.pk)


# One row


@pytest.mark.parametrize(
    ("name", "stored"),
    [("Ann " * 50, ("Ann " * 50)[:150]), ("Ann\x00 \ud83d", "Ann\ufffd \ufffd")],
    ids=["long", "not storable"],
)
def test_what_a_user_is_called_is_cut_to_the_column_of_the_journal(new_row, name, stored):
    row = new_row(status=Status.PREVIEWED)

    assert LeadConversion.objects.move([Move(row=row, to=Status.PREVIEWED, by=name)])

    assert row.events.get().by == stored


def test_a_step_is_written_with_its_event(new_row):
    row = new_row(status=Status.READY, version=4)
    move = Move(
        row=row,
        to=Status.RUNNING,
        values={"attempts": 1, "due_at": from_now(90)},
        by="policy careful",
        payload_hash="f" * 64,
        details={"code": "X"},
    )

    made = LeadConversion.objects.move([move])

    event = row.events.get()
    assert made == [move]
    assert columns(row, "status", "version", "attempts") == (Status.RUNNING, 5, 1)
    assert journal(row) == [(5, Status.READY, Status.RUNNING)]
    assert (event.by, event.payload_hash, event.details) == (
        "policy careful",
        "f" * 64,
        {"code": "X"},
    )
    assert LeadConversionEvent.objects.filter(at__lte=DbNow(), at__gt=from_now(-60)).exists()


def test_the_row_object_is_updated_except_for_expressions(new_row):
    row = new_row(status=Status.READY, due_at=None)

    LeadConversion.objects.move(
        [Move(row=row, to=Status.RUNNING, values={"attempts": 1, "due_at": from_now(90)})]
    )

    assert (row.status, row.version, row.attempts, row.due_at) == (Status.RUNNING, 1, 1, None)


def test_a_step_from_an_older_version_does_nothing(new_row):
    row = new_row(status=Status.READY)
    LeadConversion.objects.filter(pk=row.pk).update(version=F("version") + 1)

    made = LeadConversion.objects.move([Move(row=row, to=Status.RUNNING)])

    assert made == []
    assert columns(row, "status", "version") == (Status.READY, 1)
    assert journal(row) == []
    assert row.status == Status.READY


def test_a_step_from_another_status_does_nothing(new_row):
    row = new_row(status=Status.READY)
    LeadConversion.objects.filter(pk=row.pk).update(status=Status.SKIPPED)

    assert LeadConversion.objects.move([Move(row=row, to=Status.RUNNING)]) == []
    assert columns(row, "status") == (Status.SKIPPED,)


def test_a_step_is_not_taken_if_its_condition_does_not_hold(new_row):
    row = new_row(status=Status.READY)
    move = Move(row=row, to=Status.RUNNING)
    active = Connection.objects.filter(pk=row.connection_id, status=Connection.Status.ACTIVE)
    row.connection.status = Connection.Status.DISABLED
    row.connection.save()

    assert LeadConversion.objects.move([move], only_if=Q(Exists(active))) == []

    row.connection.status = Connection.Status.ACTIVE
    row.connection.save()
    assert LeadConversion.objects.move([move], only_if=Q(Exists(active))) == [move]


def test_versions_of_events_count_from_one_without_a_gap(new_row):
    row = new_row(status=Status.NEW)
    way = [Status.NEW, Status.PREVIEWED, Status.READY, Status.RUNNING, Status.UNKNOWN]

    for status in way:
        LeadConversion.objects.move([Move(row=row, to=status)])

    assert [version for version, *_step in journal(row)] == [1, 2, 3, 4, 5]
    assert [to for *_before, to in journal(row)] == way


def test_there_is_one_event_per_version(new_row):
    row = new_row(status=Status.READY)
    LeadConversion.objects.move([Move(row=row, to=Status.RUNNING)])
    event = row.events.get()
    event.pk = None

    with pytest.raises(IntegrityError):
        event.save()


# Sets


def test_a_set_is_written_with_an_event_each(new_row):
    rows = [new_row(status=Status.READY) for _ in range(3)]
    bystander = new_row(status=Status.READY)

    made = LeadConversion.objects.move([Move(row=row, to=Status.RUNNING) for row in rows])

    assert [move.row for move in made] == rows
    assert {columns(row, "status", "version") for row in rows} == {(Status.RUNNING, 1)}
    assert all(journal(row) == [(1, Status.READY, Status.RUNNING)] for row in rows)
    assert columns(bystander, "status", "version") == (Status.READY, 0)
    assert journal(bystander) == []


def test_a_set_keeps_what_is_common_and_what_is_each_ones_own(new_row):
    rows = [new_row(status=Status.NEW, reason=f"before {number}") for number in range(3)]

    LeadConversion.objects.move(
        [
            Move(
                row=row,
                to=Status.PREVIEWED,
                values={
                    "verdict": "NO_MATCH",
                    "plan": {"contact_id": row.lead_id},
                    "previewed_at": DbNow(),
                    "due_at": from_now(-row.pk),
                },
                details={"lead": row.lead_id},
            )
            for row in rows
        ]
    )

    for row in rows:
        row.refresh_from_db()
        assert (row.verdict, row.plan) == ("NO_MATCH", {"contact_id": row.lead_id})
        assert row.reason.startswith("before")
        assert row.events.get().details == {"lead": row.lead_id}
        assert row.previewed_at - row.due_at >= row.previewed_at - row.previewed_at
    assert len({row.due_at for row in rows}) == 3


def test_of_a_set_those_that_were_moved_meanwhile_stay(new_row):
    rows = [new_row(status=Status.NEW) for _ in range(4)]
    moves = [
        Move(row=row, to=Status.PREVIEWED, values={"reason": row.lead_id, "verdict": "NO_MATCH"})
        for row in rows
    ]
    changed, left_out = rows[1], rows[3]
    LeadConversion.objects.filter(pk=changed.pk).update(version=7)
    LeadConversion.objects.filter(pk=left_out.pk).update(status=Status.SKIPPED)

    made = LeadConversion.objects.move(moves)

    assert [move.row for move in made] == [rows[0], rows[2]]
    assert [columns(row, "status", "reason") for row in rows] == [
        (Status.PREVIEWED, rows[0].lead_id),
        (Status.NEW, ""),
        (Status.PREVIEWED, rows[2].lead_id),
        (Status.SKIPPED, ""),
    ]
    assert journal(changed) == journal(left_out) == []


def test_rows_of_different_versions_and_statuses_move_together(new_row):
    unknown = new_row(status=Status.UNKNOWN, version=3)
    rows = [new_row(status=Status.READY, version=1), new_row(status=Status.READY, version=2)]

    made = LeadConversion.objects.move(
        [
            Move(row=unknown, to=Status.FAILED, values={"error_code": "X"}),
            *(Move(row=row, to=Status.NEW) for row in rows),
        ]
    )

    assert len(made) == 3
    assert [columns(row, "status", "version") for row in [unknown, *rows]] == [
        (Status.FAILED, 4),
        (Status.NEW, 2),
        (Status.NEW, 3),
    ]


def test_nothing_to_move_is_fine():
    assert LeadConversion.objects.move([]) == []


def test_a_large_set_takes_as_few_statements_as_a_small_one(new_row, django_assert_max_num_queries):
    rows = [new_row(status=Status.READY) for _ in range(60)]

    with django_assert_max_num_queries(5):
        LeadConversion.objects.move([Move(row=row, to=Status.RUNNING) for row in rows])


# JSON


@pytest.mark.parametrize("plans", [[None], [None, None], [None, {"contact_id": "5"}, None]])
def test_no_json_is_null_in_the_database(new_row, plans):
    rows = [new_row(status=Status.NEW, plan={"contact_id": "4"}) for _ in plans]

    LeadConversion.objects.move(
        Move(row=row, to=Status.PREVIEWED, values={"plan": plan, "reason": row.lead_id})
        for row, plan in zip(rows, plans, strict=True)
    )

    found = [columns(row, "plan")[0] for row in rows]
    assert found == plans
    empty = LeadConversion.objects.filter(plan__isnull=True).count()
    assert empty == plans.count(None)


# What never happens


@pytest.mark.parametrize(
    ("status", "to"),
    [
        (Status.NEW, Status.READY),
        (Status.NEW, Status.RUNNING),
        (Status.PREVIEWED, Status.RUNNING),
        (Status.RUNNING, Status.RUNNING),
        (Status.RUNNING, Status.NEEDS_REVIEW),
        (Status.RUNNING, Status.SKIPPED),
        (Status.SCHEDULED, Status.READY),
        (Status.UNKNOWN, Status.RUNNING),
        (Status.UNKNOWN, Status.NEW),
        (Status.FAILED, Status.READY),
        (Status.SKIPPED, Status.READY),
        (Status.NEEDS_REVIEW, Status.READY),
        *[(Status.CONVERTED, to) for to in Status if to != Status.NEW],
    ],
)
def test_a_step_that_no_lead_takes_is_an_error(status, to):
    with pytest.raises(ValueError, match="cannot become"):
        Move(row=LeadConversion(status=status), to=to)


def test_every_status_says_what_it_may_become():
    assert TRANSITIONS.keys() == set(Status)


def test_a_converted_row_says_who_converted_it(new_row):
    with pytest.raises(IntegrityError):
        new_row(status=Status.CONVERTED, converted_by="")


def test_a_lead_has_one_row_for_ever(new_row, connection):
    row = new_row()

    with pytest.raises(IntegrityError):
        LeadConversion.objects.create(connection=connection, lead_id=row.lead_id)


# Everybody at once


def all_at_once(*calls):
    """Make calls in threads, all at the same time."""
    barrier = Barrier(len(calls))

    def make(call):
        barrier.wait()
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(make, calls))


def moves_of(rows, reason):
    """Return the moves of a process that reads the rows as they are now."""
    seen = LeadConversion.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk")
    return [Move(row=row, to=Status.RUNNING, values={"reason": reason}) for row in seen]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_move_a_row_one_succeeds(new_row):
    rows = [new_row(status=Status.READY) for _ in range(5)]
    moves = [moves_of(rows, "one by one") for _ in range(4)]

    made = all_at_once(
        *(
            lambda mine=mine: [
                made for move in mine for made in LeadConversion.objects.move([move])
            ]
            for mine in moves
        )
    )

    assert sorted(move.row.pk for mine in made for move in mine) == [row.pk for row in rows]
    assert all(journal(row) == [(1, Status.READY, Status.RUNNING)] for row in rows)


@pytest.mark.django_db(transaction=True)
def test_sets_that_overlap_leave_each_row_to_one_of_them(new_row):
    rows = [new_row(status=Status.READY) for _ in range(20)]
    first, second = moves_of(rows[:15], "first"), moves_of(rows[5:], "second")

    made = all_at_once(
        lambda: LeadConversion.objects.move(first), lambda: LeadConversion.objects.move(second)
    )

    assert sorted(move.row.pk for mine in made for move in mine) == [row.pk for row in rows]
    for mine, reason in zip(made, ["first", "second"], strict=True):
        assert {columns(move.row, "reason") for move in mine} <= {(reason,)}
    assert all(journal(row) == [(1, Status.READY, Status.RUNNING)] for row in rows)


# Statements


@pytest.mark.skipif(connections["default"].vendor != "sqlite", reason="others have statistics")
def test_rows_are_found_by_their_primary_keys_and_not_among_all_of_their_status(new_row):
    rows = [new_row() for _ in range(20)]
    plans = []

    def explain(execute, sql, params, many, context):
        if sql.startswith("UPDATE"):
            cursor = connections["default"].connection.execute(
                f"EXPLAIN QUERY PLAN {sql.replace('%s', '?')}", params
            )
            plans.extend(row[3] for row in cursor)
        return execute(sql, params, many, context)

    with connections["default"].execute_wrapper(explain):
        LeadConversion.objects.move([Move(row=row, to=Status.SKIPPED) for row in rows])

    assert plans == ["SEARCH zoho_crm_leadconversion USING INTEGER PRIMARY KEY (rowid=?)"]


def test_a_number_for_each_row_is_written_with_one_statement(new_row, django_assert_num_queries):
    leader, *rows = [new_row(status=Status.PREVIEWED) for _ in range(4)]
    follows = NumberByRow({row.pk: leader.pk for row in rows[:2]})
    moves = [Move(row=row, to=Status.PREVIEWED, values={"follows": follows}) for row in rows]

    with django_assert_num_queries(4):  # of which two are the savepoint's
        assert LeadConversion.objects.move(moves) == moves

    assert [columns(row, "follows")[0] for row in rows] == [leader.pk, leader.pk, None]
