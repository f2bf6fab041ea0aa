from __future__ import annotations

import time
from dataclasses import replace
from datetime import date
from functools import partial
from threading import Barrier, Event, Thread

import pytest
from django.db import connections, transaction
from django.db.models import F

from tests.calls import calls
from tests.journeys.waiting import wait_until
from tests.mass.bench import StopCondition
from zoho_crm import crypto
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, from_now
from zoho_crm.services import convert, work
from zoho_crm.services.preview import preview
from zoho_crm.services.usage import max_concurrency
from zoho_crm.services.work._health import ConcurrencyLimit
from zoho_crm.types import ConversionPlan, Deal, as_json

Status = LeadConversion.Status

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def ready(connection, zoho, olga):
    """Preview a lead and have a person approve it."""

    def make(case="no_match", plan=None, by=olga):
        row = preview(connection_id=connection.pk, lead_id=zoho.story(case))
        plan = plan or row.stored_plan() or ConversionPlan()
        return convert.approve(conversion_id=row.pk, version=row.version, plan=plan, by=by)

    return make


@pytest.fixture
def requested(connection, zoho):
    """Ask for the conversion of a lead by policy."""
    return lambda case="no_match", policy="careful": convert.request(
        connection_id=connection.pk, lead_id=zoho.story(case), policy=policy
    )


@pytest.fixture
def run(connection):
    """Work the connection for one slice."""
    return lambda **more: work.work(connection_id=connection.pk, **more)


@pytest.fixture
def run_to_the_end(run, later):
    """Work the connection until nothing is due any more, and let time pass between the slices."""

    def run_again_and_again(**more):
        while (seconds := run(**more)) is not None:
            later(seconds + 0.01)

    return run_again_and_again


@pytest.fixture
def watched():
    """Call a function and return all results that a query has meanwhile."""

    def watch(call, query):
        seen, over = set(), Event()

        def look():
            while not over.wait(0.002):
                seen.update(query.all())
            connections.close_all()

        watcher = Thread(target=look)
        watcher.start()
        call()
        over.set()
        watcher.join()
        return seen

    return watch


@pytest.fixture
def during_a_call(zoho):
    """Call a function while Zoho is about to answer the next call, however long it takes."""

    def arrange(function, operation):
        def sleep(_seconds):
            function()
            connections.close_all()

        zoho.fail(operation, "delay", seconds=0.1)
        zoho.engine.sleep = sleep

    return arrange


@pytest.fixture
def during_a_conversion(during_a_call):
    """Call a function while Zoho is about to answer the next conversion."""
    return partial(during_a_call, operation="convert")


def adjust(settings, **values):
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, **values}


def now(row):
    return LeadConversion.objects.get(pk=row.pk)


def statuses(rows):
    return [now(row).status for row in rows]


def steps(row):
    return [event.to_status for event in row.events.order_by("version")]


def sent(zoho):
    """Return the lead ids of all conversion calls, in their order."""
    return [call["lead_id"] for call in zoho.ledger()["calls"]]


def error(code, message="no"):
    return {"code": code, "message": message, "status": "error", "details": {}}


# Due rows


def test_approved_leads_are_converted_and_agree_with_the_ledger(ready, run, zoho):
    rows = [ready(case) for case in ["no_match", "one_match", "account_only", "hostile"]]

    assert run() is None

    for row in map(now, rows):
        [truth] = zoho.conversions_of(row.lead_id)
        assert (row.status, row.converted_by, row.evidence) == (Status.CONVERTED, "us", "answer")
        assert (row.contact_id, row.account_id) == (truth["contact_id"], truth["account_id"])
        assert (row.attempts, row.due_at) == (1, None)
    assert sorted(sent(zoho)) == sorted(row.lead_id for row in rows)


def test_each_change_of_status_is_in_the_journal(requested, run):
    row = requested()

    run()

    events = row.events.order_by("version")
    assert [event.version for event in events] == list(range(1, len(events) + 1))
    assert steps(row) == [
        Status.NEW,
        Status.PREVIEWED,
        Status.READY,
        Status.RUNNING,
        Status.CONVERTED,
    ]
    assert [bool(event.payload_hash) for event in events] == [False, False, False, True, False]


def test_without_due_rows_there_is_no_call(connection, run, zoho):
    before = zoho.stats()["calls"]

    assert run() is None
    assert zoho.stats()["calls"] == before
    assert not ConnectionWork.objects.exists()


def test_the_time_until_the_next_due_row_is_returned(ready, run):
    row = ready()
    LeadConversion.objects.filter(pk=row.pk).update(due_at=from_now(300))

    assert 200 < run() <= 300
    assert now(row).status == Status.READY


def test_an_inactive_connection_is_not_worked(ready, run, zoho, connection):
    row = ready()
    Connection.objects.update(status=Connection.Status.DISABLED)

    assert run() is None
    assert now(row).status == Status.READY
    assert work.connections_to_wake() == []


def test_work_inside_a_transaction_is_refused(ready, run):
    ready()

    with transaction.atomic(), pytest.raises(RuntimeError, match="transaction"):
        run()


def test_rows_left_at_the_end_of_a_slice_are_for_the_next(ready, run, settings):
    adjust(settings, SLICE=0, MAX_CONCURRENCY=1)
    rows = [ready() for _ in range(2)]

    assert run() == 0.0
    assert set(statuses(rows)) == {Status.READY}


def test_after_the_stop_signal_no_call_starts(ready, run, zoho):
    rows = [ready() for _ in range(2)]
    stop = Event()
    stop.set()

    assert run(stop=stop) == 0.0
    assert statuses(rows) == [Status.READY] * 2
    assert sent(zoho) == []


def test_leads_approved_by_a_person_go_first(ready, requested, run, settings, zoho):
    adjust(settings, MAX_CONCURRENCY=1)
    by_nobody = [ready(by=None) for _ in range(3)]
    by_a_person = ready()

    run()

    assert sent(zoho)[0] == by_a_person.lead_id
    assert set(sent(zoho)[1:]) == {row.lead_id for row in by_nobody}


def test_no_more_calls_are_in_flight_than_the_setting_allows(ready, run, settings, zoho):
    adjust(settings, MAX_CONCURRENCY=3)
    zoho.fail("convert", "delay", seconds=0.05, times=None)
    rows = [ready() for _ in range(9)]

    run()

    assert set(statuses(rows)) == {Status.CONVERTED}
    assert 1 < zoho.stats()["peak"]["all"] <= 3


# Policies


@pytest.mark.parametrize(
    ("policy", "case", "status"),
    [
        ("careful", "no_match", Status.CONVERTED),
        ("careful", "one_match", Status.PREVIEWED),
        ("careful", "account_only", Status.PREVIEWED),
        ("attach", "no_match", Status.CONVERTED),
        ("attach", "one_match", Status.CONVERTED),
        ("attach", "account_only", Status.CONVERTED),
        ("attach", "several", Status.PREVIEWED),
        ("attach", "disagree", Status.PREVIEWED),
        ("attach", "unapproved", Status.PREVIEWED),
        ("attach", "locked", Status.PREVIEWED),
        ("attach", "deleted", Status.PREVIEWED),
        ("attach", "converted", Status.CONVERTED),
    ],
)
def test_a_policy_converts_what_it_decides_and_leaves_the_rest_to_a_person(
    requested, run_to_the_end, policy, case, status
):
    row = requested(case, policy)

    run_to_the_end()

    assert now(row).status == status
    assert now(row).approved_by is None


def test_an_approval_by_policy_is_in_the_journal(requested, run):
    row = requested("one_match", "attach")

    run()

    assert row.events.get(to_status=Status.READY).by == "policy attach"


def test_a_preview_and_its_approval_by_policy_are_written_together(requested, run, watched):
    """If a worker died between the two, the lead would never be sent."""
    row = requested()
    rows = LeadConversion.objects.filter(pk=row.pk)

    seen = watched(run, rows.values_list("status", flat=True))

    assert now(row).status == Status.CONVERTED
    assert Status.PREVIEWED not in seen


# Changes since the approval


def test_a_lead_that_changed_since_is_previewed_again_and_not_sent(ready, run, zoho):
    row = ready()
    zoho.change(zoho.records["Leads"][row.lead_id], Email="other@nordwind.example")

    assert run() is None

    assert (now(row).status, now(row).approved_by) == (Status.PREVIEWED, None)
    assert steps(row)[-2:] == [Status.NEW, Status.PREVIEWED]
    assert row.events.get(to_status=Status.NEW).details == {"changed": ["Email"]}
    assert sent(zoho) == []


def test_a_lead_that_was_converted_elsewhere_since_is_not_sent(ready, run, zoho):
    row = ready()
    zoho.convert_elsewhere(row.lead_id)

    run()

    assert (now(row).status, now(row).converted_by) == (Status.CONVERTED, "elsewhere")
    assert sent(zoho) == []


def test_a_lead_that_was_deleted_since_is_not_found(ready, run_to_the_end, zoho):
    row = ready()
    zoho.delete("Leads", row.lead_id)

    run_to_the_end()

    assert (now(row).status, now(row).verdict) == (Status.PREVIEWED, "NOT_FOUND")
    assert sent(zoho) == []


def test_an_answer_without_content_does_not_yet_mean_that_there_is_no_such_lead(
    requested, run_to_the_end, zoho
):
    rows = [requested() for _ in range(3)]
    zoho.fail("leads_list", "empty", times=3)

    run_to_the_end()

    assert set(statuses(rows)) == {Status.CONVERTED}


@pytest.mark.parametrize("begin", ["requested", "ready"])
def test_a_lead_that_no_read_shows_yet_is_read_again_after_doubling_delays(
    request, begin, run, later, settings, zoho
):
    adjust(settings, READ_SPACING=2)
    row = request.getfixturevalue(begin)()
    zoho.fail("leads_list", "empty", times=3)

    for delay in (2, 4, 8):
        before = calls(zoho)
        run()
        assert calls(zoho) == before + 1
        written_at = row.events.latest("version").at
        assert round((now(row).due_at - written_at).total_seconds()) == delay
        later(delay)

    run()
    assert now(row).status == Status.CONVERTED


@pytest.mark.parametrize("begin", ["requested", "ready"])
def test_only_empty_reads_in_a_row_mean_that_there_is_no_such_lead(
    request, begin, run, run_to_the_end, later, zoho
):
    row = request.getfixturevalue(begin)()
    status = now(row).status

    for answer in ["empty", "found"] * 5:
        if answer == "empty":
            zoho.fail("leads_list", "empty", times=1)
        before = calls(zoho)
        run(stop=StopCondition(lambda before=before: calls(zoho) > before))  # ends after the read
        later(2)

    assert now(row).status == status
    run_to_the_end()
    assert now(row).status == Status.CONVERTED


def test_a_lead_that_is_locked_since_is_refused_with_the_reason(ready, run, zoho):
    row = ready()
    zoho.records["Leads"][row.lead_id]["Locked__s"] = True

    run()

    assert (now(row).status, now(row).error_code) == (Status.FAILED, "RECORD_LOCKED")
    assert "locked" in now(row).error_message


def test_a_lead_that_is_converted_elsewhere_at_the_last_moment_is_read_back(
    ready, run, zoho, later
):
    row = ready()
    zoho.fail("leads_list", "stale")
    zoho.convert_elsewhere(row.lead_id)

    run()
    assert (now(row).status, now(row).error_code) == (Status.UNKNOWN, "ID_ALREADY_CONVERTED")
    later(2)
    run()

    assert (now(row).status, now(row).converted_by) == (Status.CONVERTED, "elsewhere")
    assert now(row).error_code == ""


def test_a_duplicate_refusal_names_the_field(ready, run, zoho):
    row = ready()
    email = zoho.records["Leads"][row.lead_id]["Email"]
    zoho.organisation.unique["Contacts"].append("Email")
    zoho.add("Contacts", Last_Name="Albrecht", Email=email)

    run()

    assert (now(row).status, now(row).error_code) == (Status.FAILED, "DUPLICATE_DATA")
    assert row.events.get(to_status=Status.FAILED).details["api_name"] == "Email"


ROLL_OUT = Deal(
    name="Roll-out",
    stage="Qualification",
    closing_date=date(2027, 3, 31),
    pipeline="Standard (Standard)",
)


@pytest.mark.parametrize(
    ("deal", "code", "field"),
    [
        (replace(ROLL_OUT, stage="Dreaming"), "MAPPING_MISMATCH", "Stage"),
        (replace(ROLL_OUT, pipeline=""), "MANDATORY_NOT_FOUND", "Pipeline"),
        (replace(ROLL_OUT, name="x" * 121), "INVALID_DATA", "Deal_Name"),
    ],
    ids=["stage not in pipeline", "mandatory field", "too long"],
)
def test_a_refusal_of_a_deal_names_its_field_and_nothing_is_created(
    ready, run, zoho, deal, code, field
):
    row = ready(plan=ConversionPlan(deal=deal))

    run()

    assert (now(row).status, now(row).error_code) == (Status.FAILED, code)
    assert row.events.get(to_status=Status.FAILED).details["api_name"] == field
    assert zoho.conversions_of(row.lead_id) == []


# Old previews


def age(row):
    LeadConversion.objects.filter(pk=row.pk).update(previewed_at=from_now(-90_000))


def test_an_old_preview_without_changes_is_renewed_and_sent(ready, run):
    row = ready("one_match")
    age(row)

    run()

    assert now(row).status == Status.CONVERTED
    assert row.events.filter(to_status=Status.READY, details={"renewed": True}).exists()


def test_an_old_preview_with_other_matches_has_to_be_decided_again(ready, run, zoho):
    row = ready()
    age(row)
    zoho.add("Accounts", Account_Name=zoho.records["Leads"][row.lead_id]["Company"])

    run()

    assert (now(row).status, now(row).verdict) == (Status.PREVIEWED, "ACCOUNT_ONLY")
    assert sent(zoho) == []


def test_an_old_preview_of_a_lead_that_was_converted_meanwhile_is_converted(ready, run, zoho):
    row = ready()
    age(row)
    zoho.convert_elsewhere(row.lead_id)

    run()

    assert now(row).converted_by == "elsewhere"


# One worker at a time


def test_while_another_worker_has_the_lease_nothing_is_done(ready, run, zoho, connection):
    row = ready()
    ConnectionWork.acquire(connection.pk, owner="another", seconds=90)
    before = zoho.stats()["calls"]

    assert run() is None
    assert now(row).status == Status.READY
    assert zoho.stats()["calls"] == before
    assert work.connections_to_wake() == []


def test_workers_that_start_together_send_every_lead_once(ready, connection, zoho):
    rows = [ready() for _ in range(12)]
    together = Barrier(3)

    def start():
        together.wait()
        work.work(connection_id=connection.pk)
        connections.close_all()

    workers = [Thread(target=start) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert set(statuses(rows)) == {Status.CONVERTED}
    assert sorted(sent(zoho)) == sorted(row.lead_id for row in rows)


def test_the_lease_of_a_dead_worker_expires(ready, run, connection, later):
    row = ready()
    ConnectionWork.acquire(connection.pk, owner="another", seconds=90)
    later(91)

    assert work.connections_to_wake() == [connection.pk]
    run()

    assert now(row).status == Status.CONVERTED


def test_a_worker_that_lost_its_lease_writes_its_results_and_claims_no_more(
    ready, run, during_a_conversion, settings, zoho
):
    adjust(settings, MAX_CONCURRENCY=1, LEASE=4, SLICE=2)
    rows = [ready() for _ in range(3)]
    taken = {"lease_owner": "another", "lease_until": from_now(90)}
    during_a_conversion(
        lambda: ConnectionWork.objects.update(lease_number=F("lease_number") + 1, **taken)
    )

    run()

    assert sorted(statuses(rows)) == [Status.CONVERTED, Status.READY, Status.READY]
    assert len(sent(zoho)) == 1
    assert ConnectionWork.objects.get(lease_owner="another").lease_until is not None


def test_a_connection_that_is_disabled_meanwhile_sends_no_more(
    ready, run, during_a_conversion, settings, zoho
):
    adjust(settings, MAX_CONCURRENCY=1, SLICE=1)
    rows = [ready() for _ in range(3)]
    during_a_conversion(lambda: Connection.objects.update(status=Connection.Status.DISABLED))

    run()

    assert sorted(statuses(rows)) == [Status.CONVERTED, Status.READY, Status.READY]
    assert len(sent(zoho)) == 1


@pytest.mark.parametrize("stopped_by", ["disabled", "another worker"])
def test_a_worker_that_may_claim_no_row_asks_zoho_nothing_more(
    ready, run, during_a_call, zoho, stopped_by
):
    rows = [ready() for _ in range(3)]
    if stopped_by == "disabled":
        columns = {"status": Connection.Status.DISABLED}
        during_a_call(lambda: Connection.objects.update(**columns), "leads_list")
    else:
        columns = {"lease_owner": "another", "lease_number": F("lease_number") + 1}
        during_a_call(lambda: ConnectionWork.objects.update(**columns), "leads_list")
    before = calls(zoho)

    run()

    assert set(statuses(rows)) == {Status.READY}
    assert calls(zoho) == before + 1


def test_a_worker_keeps_its_lease_while_it_waits_for_an_answer(
    ready, run, during_a_conversion, settings
):
    adjust(settings, CALL_DEADLINE=3, LEASE=4, SLICE=2)
    row = ready()

    def lease_end():
        return ConnectionWork.objects.values_list("lease_until", flat=True).get()

    def wait_for_its_renewal():
        at_first = lease_end()
        wait_until(lambda: lease_end() != at_first)

    during_a_conversion(wait_for_its_renewal)

    run()

    assert now(row).status == Status.CONVERTED
    assert ConnectionWork.objects.get().lease_number == 1


# Orphans


def test_a_row_left_running_by_a_dead_worker_is_in_doubt_and_not_sent_again(
    ready, run, zoho, later, caplog
):
    row = ready()
    LeadConversion.objects.filter(pk=row.pk).update(
        status=Status.RUNNING, attempts=1, version=F("version") + 1, due_at=from_now(-1)
    )
    zoho.convert_elsewhere(row.lead_id)

    run()

    assert (now(row).status, now(row).converted_by) == (Status.CONVERTED, "us")
    assert sent(zoho) == []
    assert steps(row)[-2:] == [Status.UNKNOWN, Status.CONVERTED]
    assert "left RUNNING" in caplog.text


def test_an_orphan_that_was_never_sent_is_sent_after_the_quiet_period(ready, run, zoho, later):
    row = ready()
    LeadConversion.objects.filter(pk=row.pk).update(
        status=Status.RUNNING, attempts=1, version=F("version") + 1, due_at=from_now(-1)
    )

    run()
    assert now(row).status == Status.UNKNOWN
    assert sent(zoho) == []
    for _read in range(3):
        later(2)
        run()

    assert (now(row).status, now(row).attempts) == (Status.CONVERTED, 2)
    assert sent(zoho) == [row.lead_id]


def test_a_row_whose_worker_holds_the_lease_is_no_orphan(ready, run, zoho):
    row = ready()
    LeadConversion.objects.filter(pk=row.pk).update(status=Status.RUNNING, due_at=from_now(60))

    run()

    assert now(row).status == Status.RUNNING


# Lost answers


@pytest.mark.parametrize("do", ["close_after", "error_after", "truncate"])
def test_a_conversion_whose_answer_is_lost_is_read_back(ready, run, zoho, later, do):
    row = ready()
    zoho.fail("convert", do)

    run()
    assert (now(row).status, now(row).in_doubt) == (Status.UNKNOWN, True)
    later(2)
    run()

    assert (now(row).status, now(row).converted_by, now(row).evidence) == (
        Status.CONVERTED,
        "us",
        "read",
    )
    assert sent(zoho) == [row.lead_id]


@pytest.mark.parametrize("do", ["close_before", "error_before", "html"])
def test_a_conversion_that_never_arrived_is_sent_again_with_the_same_payload(
    ready, run, zoho, later, do
):
    row = ready()
    zoho.fail("convert", do)

    run()
    for _read in range(4):
        later(2)
        run()

    hashes = set(row.events.exclude(payload_hash="").values_list("payload_hash", flat=True))
    assert (now(row).status, now(row).attempts) == (Status.CONVERTED, 2)
    assert sent(zoho) == [row.lead_id] * 2
    assert len(hashes) == 1


def test_a_late_effect_is_found_before_another_send(ready, run, zoho, later):
    row = ready()
    zoho.fail("convert", "late", seconds=3)

    run()
    for _read in range(3):
        later(2)
        run()

    assert (now(row).status, now(row).converted_by) == (Status.CONVERTED, "us")
    assert sent(zoho) == [row.lead_id]


def test_after_too_many_attempts_a_row_needs_review(ready, run, zoho, later):
    row = ready()
    zoho.fail("convert", "close_before", times=None)

    while now(row).status != Status.NEEDS_REVIEW:
        run()
        later(2)

    assert (now(row).error_code, now(row).due_at) == ("MAX_ATTEMPTS", None)
    assert sent(zoho) == [row.lead_id] * 3


def test_a_scheduled_conversion_is_read_until_it_is_done(ready, run, zoho, later, settings):
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "JOB_HORIZON": 60}
    row = ready()
    zoho.fail("convert", "scheduled", seconds=15)

    run()
    assert (now(row).status, now(row).in_doubt) == (Status.SCHEDULED, True)
    later(10)
    run()
    assert now(row).status == Status.SCHEDULED
    later(20)
    run()

    assert (now(row).status, now(row).converted_by, now(row).evidence) == (
        Status.CONVERTED,
        "us",
        "read",
    )


def test_a_scheduled_conversion_that_never_happens_is_settled_and_sent_again(
    ready, run, zoho, later, settings
):
    adjust(settings, JOB_HORIZON=15)
    row = ready()
    zoho.fail("convert", "scheduled", seconds=1_000_000)

    for _read in range(8):
        run()
        later(20)

    assert steps(row)[-3:] == [Status.READY, Status.RUNNING, Status.CONVERTED]
    assert sent(zoho) == [row.lead_id] * 2


# Tokens and permissions


def test_a_rejected_token_is_refreshed_and_the_lead_sent_again_at_once(ready, run, zoho):
    row = ready()
    zoho.fail("convert", "error_before", status=401, body=error("INVALID_TOKEN"))

    assert run() is None

    assert (now(row).status, now(row).attempts) == (Status.CONVERTED, 1)
    assert zoho.stats()["tokens"]["refreshed"] == 1


def test_a_token_that_zoho_no_longer_accepts_costs_one_refresh(ready, run, zoho):
    rows = [ready() for _ in range(4)]
    zoho.world.grants.access_tokens.clear()

    assert run() is None

    assert set(statuses(rows)) == {Status.CONVERTED}
    assert zoho.stats()["tokens"]["refreshed"] == 1


def test_a_second_rejection_in_a_row_starts_a_back_off(ready, run, zoho):
    row = ready()
    body = error("INVALID_TOKEN", "invalid oauth token")
    zoho.fail("convert", "error_before", status=401, body=body, times=None)

    wait = run()

    state = ConnectionWork.objects.get()
    assert 800 < wait <= 900
    assert (now(row).status, now(row).attempts) == (Status.READY, 0)
    assert state.backoff_reason == "AccessTokenRejectedError"
    assert state.backoff_details == {"message": "invalid oauth token"}
    assert zoho.stats()["tokens"]["refreshed"] == 1


def test_during_a_back_off_there_is_no_call_and_no_wake_up(ready, run, zoho, later):
    row = ready()
    zoho.fail("convert", "error_before", status=403, body=error("NO_PERMISSION", "denied"))
    run()
    before = zoho.stats()["calls"]

    later(60)
    assert run() > 0
    assert work.connections_to_wake() == []
    assert zoho.stats()["calls"] == before

    later(900)
    assert work.connections_to_wake() == [row.connection_id]
    run()
    assert now(row).status == Status.CONVERTED
    state = ConnectionWork.objects.get()
    assert (state.backoff_reason, state.backoff_details) == ("", {})


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "NO_PERMISSION"), (401, "OAUTH_SCOPE_MISMATCH"), (400, "AUTHORIZATION_FAILED")],
)
@pytest.mark.parametrize("on", ["leads_list", "convert"])
def test_a_missing_permission_starts_a_back_off_for_an_administrator(
    ready, run, zoho, on, status, code
):
    rows = [ready() for _ in range(8)]
    zoho.fail(on, "error_before", status=status, body=error(code, "not allowed"), times=None)

    assert run() > 800

    state = ConnectionWork.objects.get()
    assert set(statuses(rows)) == {Status.READY}
    assert {now(row).attempts for row in rows} == {0}
    assert state.backoff_reason == "PermissionDeniedError"
    assert state.backoff_details == {"message": "not allowed"}
    assert state.backoff_kind == ConnectionWork.BackoffKind.PERSON
    assert len(sent(zoho)) < len(rows)


def test_a_person_can_end_a_back_off(ready, run, zoho, connection, later):
    row = ready()
    zoho.fail("convert", "error_before", status=403, body=error("NO_PERMISSION"))
    run()

    later(2)
    work.end_backoff(connection_id=connection.pk)
    run()

    assert now(row).status == Status.CONVERTED


def test_a_slice_that_is_ending_does_not_bring_back_what_a_person_ended(
    ready, run, zoho, connection
):
    ready()
    zoho.fail("convert", "error_before", status=403, body=error("NO_PERMISSION"))

    def person_tests():
        """Test the connection in each pass of the loop: the last is after the refusal."""
        work.end_backoff(connection_id=connection.pk)
        return False

    wait = run(stop=StopCondition(person_tests))

    state = ConnectionWork.objects.get()
    assert (state.backoff_until, state.backoff_reason, state.backoff_kind) == (None, "", "")
    assert state.lease_until is None
    assert wait < 10


def test_after_a_back_off_a_single_call_probes(requested, run, zoho, later):
    for _lead in range(6):
        requested()
    denied = error("NO_PERMISSION")
    zoho.fail("any", "error_before", status=403, body=denied, times=None)
    run()
    before = calls(zoho)

    later(901)
    run()

    assert calls(zoho) == before + 1


def test_a_consent_that_is_withdrawn_during_work_loses_no_row(ready, run, zoho, connection):
    rows = [ready() for _ in range(3)]
    zoho.world.grants.access_tokens.clear()
    zoho.world.grants.refresh_tokens.clear()

    assert run() is None

    connection.refresh_from_db()
    assert connection.status == Connection.Status.NEEDS_RECONNECT
    assert statuses(rows) == [Status.READY] * 3
    assert sent(zoho) == []
    assert connection.events.filter(kind="lost").count() == 1


def test_without_its_encryption_key_a_connection_backs_off_for_an_administrator(
    ready, run, zoho, settings
):
    row = ready()
    missing = crypto.key_id(settings.ZOHO_CRM["ENCRYPTION_KEYS"][0])
    adjust(settings, ENCRYPTION_KEYS=["b3RoZXIta2V5LWZvci10ZXN0cy1vbmx5LTAwMDAwMDA="])
    before = zoho.stats()["calls"]

    assert run() > 800

    state = ConnectionWork.objects.get()
    assert state.backoff_kind == ConnectionWork.BackoffKind.PERSON
    assert state.backoff_reason == "key_missing"
    assert state.backoff_details == {"key_id": missing}
    assert now(row).status == Status.READY
    assert zoho.stats()["calls"] == before


def test_a_connection_of_an_unknown_data_center_backs_off_for_an_administrator(
    ready, run, zoho, settings
):
    row = ready()
    adjust(settings, LOCAL_URL="")

    assert run() > 800

    state = ConnectionWork.objects.get()
    assert state.backoff_kind == ConnectionWork.BackoffKind.PERSON
    assert state.backoff_reason == "unknown_data_center"
    assert now(row).status == Status.READY
    assert sent(zoho) == []


def test_throttled_tokens_start_a_back_off(ready, run, zoho):
    row = ready()
    zoho.world.grants.access_tokens.clear()
    zoho.fail("refresh", "throttle", times=None)

    assert 500 < run() <= 600

    assert now(row).status == Status.READY
    assert ConnectionWork.objects.get().backoff_kind == ConnectionWork.BackoffKind.LIMIT


def test_an_internal_error_in_a_refresh_starts_a_back_off(ready, run, zoho, settings, caplog):
    row = ready()
    zoho.world.grants.access_tokens.clear()
    adjust(settings, TRANSPORT="tests.services.transports.failing_tokens")

    assert run() > 800

    assert now(row).status == Status.READY
    assert "ZeroDivisionError" in caplog.text


def test_an_accounts_server_that_is_down_starts_a_short_back_off(ready, run, zoho, later):
    row = ready()
    zoho.world.grants.access_tokens.clear()
    zoho.fail("refresh", "close_before", times=None)

    assert 0 < run() <= 10
    zoho.heal()
    later(10)
    run()

    assert now(row).status == Status.CONVERTED


# Limits


def test_too_many_calls_lower_the_limit_and_cost_no_attempt(ready, run, zoho, later):
    rows = [ready() for _ in range(8)]
    zoho.fail("convert", "throttle", times=3)

    run()
    later(2)
    run()

    state = ConnectionWork.objects.get()
    assert set(statuses(rows)) == {Status.CONVERTED}
    assert {now(row).attempts for row in rows} == {1}
    assert state.limit_met
    assert state.backoff_until is None


def test_without_a_429_the_limit_rises_to_what_the_edition_allows(ready, run):
    for _lead in range(14):
        ready()

    run()

    state = ConnectionWork.objects.get()
    assert (state.limit, state.limit_met) == (10, False)


def test_used_up_credits_start_a_back_off_with_the_reason(ready, run, zoho):
    rows = [ready() for _ in range(4)]
    spent = zoho.stats()["credits_used"]
    zoho.world.credits.allowed = spent + 11  # a read and two conversions

    assert run() > 800

    state = ConnectionWork.objects.get()
    assert sorted(statuses(rows)) == [Status.CONVERTED] * 2 + [Status.READY] * 2
    assert state.backoff_kind == ConnectionWork.BackoffKind.LIMIT
    assert (state.backoff_reason, state.backoff_details) == ("CreditsExhaustedError", {})
    assert state.credits_remaining == 0


def test_while_zoho_is_down_the_connection_backs_off_and_then_goes_on(requested, run, zoho, later):
    rows = [requested() for _ in range(12)]
    zoho.fail("options", "error_before", times=None)

    run()
    assert ConnectionWork.objects.get().backoff_kind == ConnectionWork.BackoffKind.SILENCE
    zoho.heal()
    later(600)
    run()

    assert set(statuses(rows)) == {Status.CONVERTED}
    assert len(sent(zoho)) == len(rows)


@pytest.mark.parametrize(
    ("edition", "setting", "most"),
    [
        ("free", 0, 3),
        ("standard", 0, 8),
        ("Zoho One", 0, 10),
        ("ultimate", 0, 10),
        ("brand new", 0, 8),
        ("", 0, 8),
        ("free", 7, 7),
        ("ultimate", 1, 1),
    ],
)
def test_two_concurrent_calls_are_reserved_for_others_unless_a_setting_says_more(
    edition, setting, most
):
    assert max_concurrency(setting, edition) == most


def test_the_limit_rises_with_every_success_until_the_first_rate_limit_error():
    limit = ConcurrencyLimit(value=2, ceiling=5, met=False)

    seen = []
    for _call in range(5):
        limit.increase()
        seen.append(limit.calls)

    assert seen == [3, 4, 5, 5, 5]


def test_the_limit_falls_once_for_all_calls_in_flight():
    limit = ConcurrencyLimit(value=10, ceiling=10, met=False)
    together = time.monotonic()

    for _call in range(3):
        limit.decrease(started=together)

    assert (limit.calls, limit.met) == (7, True)


def test_the_limit_never_falls_below_one_call():
    limit = ConcurrencyLimit(value=1, ceiling=10, met=True)

    limit.decrease(started=time.monotonic())

    assert limit.calls == 1


def test_after_a_rate_limit_error_the_limit_rises_slowly():
    limit = ConcurrencyLimit(value=4, ceiling=10, met=True)

    for _call in range(49):
        limit.increase()
    before = limit.calls
    for _call in range(2):
        limit.increase()

    assert (before, limit.calls) == (4, 5)


# Internal errors


def spoil(row, **columns):
    LeadConversion.objects.filter(pk=row.pk).update(**columns)


@pytest.mark.parametrize(
    "columns",
    [
        {"plan": {"contact_id": "1"}},
        {"plan": ["nonsense"]},
        {"lead_snapshot": {"name": "no lead"}},
        {"lead_snapshot": {"name": 1, "owner": 7, "converted": None, "tags": None}},
    ],
    ids=str,
)
def test_a_row_that_our_code_cannot_read_needs_review_and_the_others_go_on(
    ready, run, zoho, caplog, columns
):
    rows = [ready() for _ in range(3)]
    spoil(rows[1], **columns)

    assert run() is None

    assert statuses(rows) == [Status.CONVERTED, Status.NEEDS_REVIEW, Status.CONVERTED]
    assert now(rows[1]).error_code == "INTERNAL"
    assert "met an internal error" in caplog.text


def test_an_old_preview_that_our_code_cannot_read_needs_review(ready, run, caplog):
    rows = [ready("one_match") for _ in range(2)]
    spoil(rows[0], options_snapshot={"contacts": 1}, previewed_at=from_now(-90_000))

    assert run() is None

    assert statuses(rows) == [Status.NEEDS_REVIEW, Status.CONVERTED]
    assert caplog.records


def test_a_lead_that_our_client_cannot_read_does_not_stop_the_others(ready, run, zoho, caplog):
    rows = [ready() for _ in range(3)]
    zoho.records["Leads"][rows[2].lead_id]["Owner"] = "nobody that we know"

    run()

    assert statuses(rows) == [Status.CONVERTED, Status.CONVERTED, Status.READY]
    assert "one by one" in caplog.text


def test_an_internal_error_after_sending_is_in_doubt(ready, run, zoho, later, settings, caplog):
    rows = [ready() for _ in range(2)]
    adjust(settings, TRANSPORT="tests.services.transports.failing_conversions")

    run()
    assert statuses(rows) == [Status.UNKNOWN] * 2
    assert caplog.text.count("met an internal error") == 2
    later(4)
    run()

    assert statuses(rows) == [Status.CONVERTED] * 2
    assert {now(row).converted_by for row in rows} == {"us"}
    assert sorted(sent(zoho)) == sorted(row.lead_id for row in rows)


def test_the_lease_is_released_after_the_slice(ready, run, connection):
    ready()

    run()

    state = ConnectionWork.objects.get(pk=connection.pk)
    assert (state.lease_owner, state.lease_until) == ("", None)
    assert state.seen_at is not None


def test_an_invalid_plan_is_not_sent(ready, run, zoho):
    row = ready()
    plan = as_json(ConversionPlan()) | {"surprise": True}
    spoil(row, plan=plan)

    run()

    assert now(row).status == Status.NEEDS_REVIEW
    assert sent(zoho) == []
