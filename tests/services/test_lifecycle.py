"""The move of a row after each event; times are seconds from now."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from tests.protocol.clock import evaluated, instant
from zoho_crm.exceptions import (
    AlreadyConvertedError,
    PermissionDeniedError,
    RequestRefusedError,
    TransportError,
    UnknownOutcomeError,
)
from zoho_crm.matching import assess
from zoho_crm.models import LeadConversion
from zoho_crm.services import lifecycle
from zoho_crm.types import (
    ConversionOptions,
    ConversionPlan,
    Converted,
    Deal,
    Lead,
    Match,
    Reference,
    Scheduled,
    as_json,
)

Status = LeadConversion.Status

LEAD = Lead(id="1", fields={"Email": "ines@nordwind.example"})
BECAME = Converted(contact_id="2", account_id="3")
OPTIONS = ConversionOptions(contacts=(Match(id="31", name="Ines Albrecht"),))
REFUSAL = RequestRefusedError(
    "Ines Albrecht exists",
    code="DUPLICATE_DATA",
    details={"api_name": "Email", "id": "31", "Owner": {"name": "Olga"}},
)


@pytest.fixture(autouse=True)
def times(settings):
    settings.ZOHO_CRM = {
        "CALL_DEADLINE": 30,
        "LEASE": 90,
        "QUIET_PERIOD": 120,
        "MASS_QUIET_PERIOD": 900,
        "JOB_HORIZON": 7200,
        "NEGATIVE_READS": 2,
        "READ_SPACING": 60,
        "MAX_ATTEMPTS": 3,
        "UNKNOWN_HORIZON": 600,
    }


def row(status, **columns):
    return LeadConversion(pk=1, lead_id="1", status=status, **columns)


def made(move):
    """Return the columns that a move sets, with times as seconds from now."""
    return {"status": str(move.to), **{name: evaluated(v) for name, v in move.values.items()}}


def is_within(part, whole):
    return {name: whole[name] for name in part} == part


# Previews


def test_a_preview_stores_snapshots_and_the_proposed_plan():
    move = lifecycle.previewed(row(Status.NEW), assess(LEAD, OPTIONS), by="olga")

    assert move.by == "olga"
    assert made(move) == {
        "status": "PREVIEWED",
        "verdict": "ONE_MATCH",
        "reason": "",
        "lead_snapshot": as_json(LEAD),
        "options_snapshot": as_json(OPTIONS),
        "lead_owner_id": "",
        "matched_on": "",
        "previewed_at": 0,
        "plan": as_json(ConversionPlan(contact_id="31")),
        "decided_by": None,
        "due_at": None,
        "retry_count": 0,
        "error_code": "",
        "error_message": "",
        "error_details": None,
    }


def test_a_preview_stores_what_lists_filter_by_as_far_as_it_has_room():
    names = [f"Field_{number:034}" for number in range(6)]
    matches = (Match(id="31", name="Ada", matched_on=("Phone",)), Match(id="32", name="Bo"))
    owned = replace(LEAD, owner=Reference(id="7", name="Kim"))

    def stored(options):
        return made(lifecycle.previewed(row(Status.NEW), assess(owned, options)))

    few = stored(ConversionOptions(contacts=matches))
    assert is_within({"lead_owner_id": "7", "matched_on": ",Phone,"}, few)
    many = replace(matches[1], matched_on=tuple(names))
    assert stored(ConversionOptions(contacts=(many,)))["matched_on"] == f",{','.join(names[:4])},"


def test_a_preview_of_a_converted_lead_says_that_it_was_converted_elsewhere():
    move = lifecycle.previewed(row(Status.NEW), assess(Lead(id="1", converted=BECAME)))

    expected = {"status": "CONVERTED", "converted_by": "elsewhere", "evidence": "read"}
    assert is_within(expected | as_json(BECAME), made(move))
    assert is_within({"verdict": "ALREADY_CONVERTED", "due_at": None, "finished_at": 0}, made(move))


def test_a_long_reason_fits_its_column():
    move = lifecycle.previewed(row(Status.NEW), assess(LEAD, refusal="x" * 1000))

    assert len(move.values["reason"]) == LeadConversion._meta.get_field("reason").max_length


def decided(plan):
    return row(Status.NEW, plan=as_json(plan), decided_by=get_user_model()(pk=7))


def test_a_new_preview_does_not_replace_a_persons_plan_that_still_fits():
    move = lifecycle.previewed(decided(ConversionPlan()), assess(LEAD, OPTIONS))

    assert not {"plan", "decided_by"} & move.values.keys()


def test_a_new_preview_replaces_a_persons_plan_that_no_longer_fits():
    gone = ConversionPlan(contact_id="99")

    move = lifecycle.previewed(decided(gone), assess(LEAD, OPTIONS))

    assert is_within(
        {"plan": as_json(ConversionPlan(contact_id="31")), "decided_by": None}, made(move)
    )


@pytest.mark.parametrize(
    ("retry_count", "wait"), [(0, 2), (1, 4), (2, 8), (7, 256), (8, 300), (100, 300)]
)
def test_a_failed_read_is_repeated_after_doubling_delays(retry_count, wait):
    move = lifecycle.postponed(row(Status.NEW, retry_count=retry_count), TransportError())

    assert is_within({"status": "NEW", "due_at": wait}, made(move))
    assert move.values["retry_count"] == min(retry_count + 1, 100)


@pytest.mark.parametrize(("empty_reads", "wait"), [(0, 2), (1, 4), (2, 8)])
@pytest.mark.parametrize("status", ["NEW", "READY"])
def test_a_read_that_finds_no_lead_is_repeated_after_doubling_delays(status, empty_reads, wait):
    move = lifecycle.not_found_yet(row(status, empty_reads=empty_reads))

    assert made(move) == {"status": status, "due_at": wait, "empty_reads": empty_reads + 1}


@pytest.mark.parametrize("status", ["NEW", "READY", "UNKNOWN", "SCHEDULED"])
def test_a_failed_read_changes_nothing_else(status):
    move = lifecycle.postponed(
        row(status), PermissionDeniedError(code="NO_PERMISSION"), at_once=True
    )

    looks = {"empty_reads": 0} if status in ("NEW", "READY") else {}
    assert made(move) == {"status": status, "retry_count": 1, "due_at": 0, **looks}


def test_a_row_that_waits_for_a_job_is_not_due_after_a_failed_read():
    waiting = row(Status.READY, effect="e")

    for move in (lifecycle.postponed(waiting, TransportError()), lifecycle.not_found_yet(waiting)):
        assert move.to == Status.READY
        assert "due_at" not in move.values


def test_a_reset_removes_the_approval_and_the_reads_but_not_the_doubt():
    move = lifecycle.reset_to_new(row(Status.READY, in_doubt=True), changed=["Email"])

    nothing = {"approved_by": None, "approved_at": None, "negative_reads": 0, "empty_reads": 0}
    assert is_within({"status": "NEW", "due_at": 0, **nothing}, made(move))
    assert not {"in_doubt", "attempts"} & move.values.keys()
    assert move.details == {"changed": ["Email"]}


def test_reopening_resets_the_attempts_and_keeps_the_doubt():
    move = lifecycle.reopened(row(Status.NEEDS_REVIEW, attempts=3, in_doubt=True), by="olga")

    assert is_within({"status": "NEW", "attempts": 0, "error_code": ""}, made(move))
    assert "in_doubt" not in move.values


# Sending

PLAN = ConversionPlan(
    contact_id="31",
    deal=Deal(
        name="Roll-out",
        stage="Qualification",
        closing_date=date(2027, 3, 31),
        amount=Decimal("48000.50"),
    ),
)


def test_a_claim_counts_an_attempt_and_stores_the_payload_hash():
    ready = row(Status.READY, plan=as_json(PLAN), attempts=1, error_code="OLD")

    move = lifecycle.claimed(ready)

    assert made(move) == {
        "status": "RUNNING",
        "attempts": 2,
        "due_at": 90,
        "error_code": "",
        "error_message": "",
        "error_details": None,
    }
    assert move.payload_hash == lifecycle.payload_hash(ready)


def test_the_payload_of_a_plan_is_always_the_same():
    first = row(Status.READY, plan=as_json(PLAN))
    again = row(Status.READY, plan=as_json(PLAN), attempts=2, in_doubt=True, version=9)
    other = row(Status.READY, plan=as_json(ConversionPlan(contact_id="32")))

    assert lifecycle.payload_hash(first) == lifecycle.payload_hash(again)
    assert lifecycle.payload_hash(first) != lifecycle.payload_hash(other)


def test_zohos_success_proves_a_conversion_by_us():
    move = lifecycle.answered(row(Status.RUNNING, in_doubt=True), BECAME)

    expected = {"status": "CONVERTED", "converted_by": "us", "evidence": "answer", "due_at": None}
    assert is_within(expected | as_json(BECAME) | {"finished_at": 0}, made(move))


def test_a_scheduled_conversion_is_read_later_and_given_up_after_the_horizon():
    move = lifecycle.answered(row(Status.RUNNING), Scheduled(job_id="77"))

    assert made(move) == {
        "status": "SCHEDULED",
        "in_doubt": True,
        "retry_count": 0,
        "due_at": 10,
        "quiet_until": 7200,
    }
    assert move.details == {"job_id": "77"}


def test_a_refusal_of_the_only_call_is_final():
    move = lifecycle.refused(row(Status.RUNNING), REFUSAL)

    assert is_within(
        {"status": "FAILED", "due_at": None, "error_code": "DUPLICATE_DATA", "finished_at": 0},
        made(move),
    )


def test_a_refusal_after_a_lost_answer_is_settled_first():
    move = lifecycle.refused(row(Status.RUNNING, in_doubt=True), REFUSAL)

    assert is_within(
        {"status": "UNKNOWN", "due_at": 2, "quiet_until": 120, "error_code": "DUPLICATE_DATA"},
        made(move),
    )


def test_already_converted_is_no_failure_and_has_to_be_settled():
    error = AlreadyConvertedError(code="ID_ALREADY_CONVERTED")

    move = lifecycle.already_converted(row(Status.RUNNING), error)

    assert is_within({"status": "UNKNOWN", "due_at": 2, "quiet_until": 120}, made(move))
    assert move.values["error_code"] == "ID_ALREADY_CONVERTED"
    assert "in_doubt" not in move.values


def test_a_call_that_was_not_processed_is_no_attempt():
    move = lifecycle.not_processed(row(Status.RUNNING, attempts=2, retry_count=1), TransportError())

    assert made(move) == {"status": "READY", "attempts": 1, "retry_count": 2, "due_at": 4}


def test_a_lost_answer_is_in_doubt_until_the_quiet_period_after_the_deadline_is_over():
    error = UnknownOutcomeError("silence")

    move = lifecycle.answer_lost(row(Status.RUNNING), error, in_flight=12)

    assert is_within(
        {"status": "UNKNOWN", "in_doubt": True, "due_at": 2, "quiet_until": 132}, made(move)
    )


def test_the_quiet_period_of_an_orphan_begins_when_its_lease_ended():
    move = lifecycle.orphaned(row(Status.RUNNING, due_at=instant(-50)))

    assert is_within(
        {"status": "UNKNOWN", "in_doubt": True, "due_at": 0, "quiet_until": 70}, made(move)
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("NEW", {"status": "NEEDS_REVIEW", "due_at": None, "error_code": "INTERNAL"}),
        ("PREVIEWED", {"status": "NEEDS_REVIEW", "due_at": None, "error_code": "INTERNAL"}),
        ("READY", {"status": "NEEDS_REVIEW", "due_at": None, "error_code": "INTERNAL"}),
        ("RUNNING", {"status": "UNKNOWN", "in_doubt": True, "quiet_until": 150}),
    ],
)
def test_an_internal_error_is_in_doubt_only_if_a_call_may_have_been_sent(status, expected):
    move = lifecycle.internal_error(row(status), KeyError("plan"))

    assert is_within(expected, made(move))


def test_after_an_internal_error_a_job_may_take_as_long_as_any():
    move = lifecycle.internal_error(row(Status.RUNNING, job_id=1), KeyError("plan"))

    assert is_within({"status": "UNKNOWN", "in_doubt": True, "quiet_until": 8130}, made(move))


def test_an_internal_error_while_settling_needs_review_once_no_call_can_take_effect():
    early, late = row(Status.UNKNOWN, retry_count=1), row(Status.UNKNOWN)
    early.is_conclusive, late.is_conclusive = False, True

    waits = lifecycle.internal_error(early, KeyError("plan"))

    assert made(waits) == {"status": "UNKNOWN", "retry_count": 2, "due_at": 4}
    assert waits.details == {"bug": "KeyError"}
    assert lifecycle.internal_error(late, KeyError("plan")).to == Status.NEEDS_REVIEW


def test_an_internal_error_does_not_shorten_the_time_of_a_scheduled_conversion():
    end = timezone.now() + timedelta(seconds=7200)

    move = lifecycle.internal_error(row(Status.SCHEDULED, quiet_until=end), KeyError("plan"))

    assert move.to == Status.UNKNOWN
    assert move.values["quiet_until"] == end + timedelta(seconds=900)


def test_the_journal_keeps_codes_and_fields_but_no_values():
    move = lifecycle.refused(row(Status.RUNNING), REFUSAL)

    assert move.details == {
        "error": "RequestRefusedError",
        "code": "DUPLICATE_DATA",
        "api_name": "Email",
        "id": "31",
    }


def test_a_long_code_fits_its_column_and_none_is_not_empty():
    long = lifecycle.refused(row(Status.RUNNING), RequestRefusedError(code="X" * 200))
    none = lifecycle.refused(row(Status.RUNNING), RequestRefusedError())

    assert len(long.values["error_code"]) == 60
    assert none.values["error_code"] == "REFUSED"


# Settling

CONVERTED = Lead(id="1", converted=BECAME)


def unknown(**columns):
    return row(Status.UNKNOWN, **{"quiet_until": instant(40), "in_doubt": True, **columns})


@pytest.mark.parametrize("is_conclusive", [True, False])
@pytest.mark.parametrize("status", ["UNKNOWN", "SCHEDULED"])
def test_a_read_that_shows_the_conversion_proves_it_at_any_time(status, is_conclusive):
    move = lifecycle.read_back(row(status, in_doubt=True), CONVERTED, is_conclusive=is_conclusive)

    expected = {"status": "CONVERTED", "converted_by": "us", "evidence": "read"}
    assert is_within(expected | as_json(BECAME), made(move))


def test_a_conversion_that_none_of_our_calls_can_have_made_was_made_elsewhere():
    move = lifecycle.read_back(unknown(in_doubt=False), CONVERTED, is_conclusive=False)

    assert move.values["converted_by"] == "elsewhere"


def test_an_early_read_of_an_open_lead_waits_for_the_end_of_the_quiet_period():
    move = lifecycle.read_back(unknown(), LEAD, is_conclusive=False)

    assert made(move) == {"status": "UNKNOWN", "due_at": 40, "retry_count": 0}


def test_the_first_negative_read_waits_for_the_next():
    move = lifecycle.read_back(unknown(attempts=1), LEAD, is_conclusive=True)

    assert made(move) == {"status": "UNKNOWN", "due_at": 60, "negative_reads": 1, "retry_count": 0}


def test_the_last_negative_read_lets_it_be_sent_again():
    move = lifecycle.read_back(unknown(attempts=1, negative_reads=1), LEAD, is_conclusive=True)

    assert is_within({"status": "READY", "due_at": 0, "quiet_until": None}, made(move))
    assert not {"plan", "in_doubt", "attempts"} & move.values.keys()


def test_after_the_last_attempt_a_row_needs_review():
    move = lifecycle.read_back(unknown(attempts=3, negative_reads=1), LEAD, is_conclusive=True)

    expected = {"status": "NEEDS_REVIEW", "due_at": None, "error_code": "MAX_ATTEMPTS"}
    assert is_within(expected, made(move))


def test_a_refusal_in_doubt_fails_after_the_negative_reads():
    doubtful = unknown(attempts=2, negative_reads=1, error_code="DUPLICATE_DATA")

    move = lifecycle.read_back(doubtful, LEAD, is_conclusive=True)

    assert is_within({"status": "FAILED", "due_at": None, "finished_at": 0}, made(move))


def test_a_lead_that_zoho_calls_converted_but_shows_open_needs_review():
    contradictory = unknown(attempts=1, negative_reads=1, error_code="ID_ALREADY_CONVERTED")

    move = lifecycle.read_back(contradictory, LEAD, is_conclusive=True)

    assert is_within({"status": "NEEDS_REVIEW", "due_at": None}, made(move))


@pytest.mark.parametrize("is_conclusive", [True, False])
def test_an_empty_read_is_no_evidence(is_conclusive):
    move = lifecycle.read_back(unknown(negative_reads=1), None, is_conclusive=is_conclusive)

    assert made(move) == {"status": "UNKNOWN", "due_at": 60, "empty_reads": 1, "retry_count": 0}


def test_after_a_long_time_of_empty_reads_a_row_needs_review():
    nearly = lifecycle.read_back(unknown(empty_reads=8), None, is_conclusive=True)
    at_last = lifecycle.read_back(unknown(empty_reads=9), None, is_conclusive=True)

    assert nearly.to == Status.UNKNOWN
    assert is_within({"status": "NEEDS_REVIEW", "error_code": "UNREADABLE"}, made(at_last))


@pytest.mark.parametrize("lead", [LEAD, None], ids=["open", "nothing"])
def test_a_scheduled_conversion_is_read_after_growing_delays(lead):
    first = lifecycle.read_back(row(Status.SCHEDULED), lead, is_conclusive=False)
    late = lifecycle.read_back(row(Status.SCHEDULED, retry_count=9), lead, is_conclusive=False)

    assert made(first) == {"status": "SCHEDULED", "retry_count": 1, "due_at": 20}
    assert made(late) == {"status": "SCHEDULED", "retry_count": 10, "due_at": 300}


@pytest.mark.parametrize("lead", [LEAD, None], ids=["open", "nothing"])
def test_a_scheduled_conversion_is_in_doubt_after_the_horizon(lead):
    move = lifecycle.read_back(row(Status.SCHEDULED, in_doubt=True), lead, is_conclusive=True)

    assert is_within({"status": "UNKNOWN", "quiet_until": 900, "negative_reads": 0}, made(move))
