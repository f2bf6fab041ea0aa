from __future__ import annotations

import pytest

from zoho_crm.exceptions import (
    PermissionDeniedError,
    RequestRefusedError,
    SecretUnreadableError,
    TransientError,
)
from zoho_crm.models import LeadConversion
from zoho_crm.models._database import DbNow
from zoho_crm.services import convert, work
from zoho_crm.services.preview import preview, stored_preview
from zoho_crm.types import ConversionPlan, as_json

Status = LeadConversion.Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def preview_lead(connection):
    """Preview a lead of the connection."""
    return lambda lead_id, **more: preview(connection_id=connection.pk, lead_id=lead_id, **more)


def is_due(row):
    return LeadConversion.objects.filter(pk=row.pk, due_at__lte=DbNow()).exists()


# Verdicts


@pytest.mark.parametrize(
    ("case", "verdict", "reason"),
    [
        ("no_match", "NO_MATCH", ""),
        ("one_match", "ONE_MATCH", ""),
        ("account_only", "ACCOUNT_ONLY", ""),
        ("several", "SEVERAL_MATCHES", "several"),
        ("disagree", "SEVERAL_MATCHES", "disagree"),
        ("unapproved", "SEVERAL_MATCHES", "unusable"),
        ("locked", "NOT_CONVERTIBLE", "locked"),
        ("deleted", "NOT_FOUND", ""),
        ("hostile", "NO_MATCH", ""),
    ],
)
def test_every_story_has_its_verdict(preview_lead, zoho, case, verdict, reason):
    row = preview_lead(zoho.story(case))

    assert (row.status, row.verdict, row.reason) == (Status.PREVIEWED, verdict, reason)
    assert row.due_at is None
    assert row.error_code == ""


@pytest.mark.parametrize("case", ["several", "disagree", "unapproved", "locked", "deleted"])
def test_no_plan_is_proposed_where_a_person_must_choose_or_none_is_possible(
    preview_lead, zoho, case
):
    assert preview_lead(zoho.story(case)).stored_plan() is None


def test_attaching_to_the_only_match_is_proposed(preview_lead, zoho):
    row = preview_lead(zoho.story("one_match"))

    [contact] = row.stored_options().contacts
    assert contact.id in zoho.records["Contacts"]
    assert row.stored_plan() == ConversionPlan(contact_id=contact.id)
    assert row.decided_by is None


def test_the_snapshot_is_the_lead_as_it_was_read(preview_lead, zoho):
    lead_id = zoho.story("no_match")
    lead = zoho.records["Leads"][lead_id]

    row = preview_lead(lead_id)

    seen = row.stored_lead()
    assert (seen.id, seen.email, seen.company) == (lead_id, lead["Email"], lead["Company"])
    assert seen.fields["City"] == lead["City"]
    assert row.lead_name == seen.name


def test_a_converted_lead_is_converted_elsewhere_with_its_ids(preview_lead, zoho):
    lead_id = zoho.story("converted")

    row = preview_lead(lead_id)

    [truth] = zoho.conversions_of(lead_id)
    assert (row.status, row.converted_by, row.evidence) == (Status.CONVERTED, "elsewhere", "read")
    assert (row.contact_id, row.account_id) == (truth["contact_id"], truth["account_id"])
    assert row.verdict == "ALREADY_CONVERTED"


def test_a_lead_whose_options_zoho_refuses_is_not_convertible(preview_lead, zoho):
    refusal = {"code": "NOT_REVIEWED", "message": "record in review", "status": "error"}
    zoho.fail("options", "error_before", status=400, body={**refusal, "details": {}})

    row = preview_lead(zoho.story("no_match"))

    assert (row.verdict, row.reason) == ("NOT_CONVERTIBLE", "record in review")


def test_a_lead_that_was_converted_between_two_reads_is_a_transient_error(preview_lead, zoho):
    lead_id = zoho.story("no_match")
    body = {"code": "ID_ALREADY_CONVERTED", "message": "id already converted", "status": "error"}
    zoho.fail("options", "error_before", status=400, body={**body, "details": {}})

    with pytest.raises(TransientError):
        preview_lead(lead_id)

    row = LeadConversion.objects.get(lead_id=lead_id)
    assert row.status == Status.NEW
    assert is_due(row)


# Bad input


@pytest.mark.parametrize(
    "lead_id",
    ["", " ", "abc", "12a", "-1", "1.0", "1 2", "12345678901234567890", "١٢٣", "1/../2", "1%00"],
)
def test_an_invalid_id_is_refused_without_a_call(preview_lead, zoho, lead_id):
    before = zoho.stats()["calls"]

    with pytest.raises(RequestRefusedError) as refused:
        preview_lead(lead_id)

    assert refused.value.code == "INVALID_ID"
    assert str(refused.value).startswith("“")
    assert zoho.stats()["calls"] == before
    assert not LeadConversion.objects.exists()


def test_white_space_around_an_id_is_ignored(preview_lead, zoho):
    lead_id = zoho.story("no_match")

    assert preview_lead(f" {lead_id}\n").lead_id == lead_id


def test_an_id_that_a_project_stores_as_a_number_is_an_id(preview_lead, zoho):
    lead_id = zoho.story("no_match")

    assert preview_lead(int(lead_id)).lead_id == lead_id
    with pytest.raises(RequestRefusedError):
        preview_lead(None)


def test_an_id_that_zoho_does_not_know_is_not_found(preview_lead):
    row = preview_lead("1234567")

    assert (row.status, row.verdict) == (Status.PREVIEWED, "NOT_FOUND")


@pytest.mark.parametrize("do", ["error_before", "close_before", "html", "truncate"])
@pytest.mark.parametrize("on", ["any", "options"])
def test_while_zoho_is_down_the_row_stays_due(preview_lead, zoho, on, do):
    lead_id = zoho.story("one_match")
    zoho.fail(on, do, times=None)

    with pytest.raises(TransientError):
        preview_lead(lead_id)

    row = LeadConversion.objects.get(lead_id=lead_id)
    assert (row.status, row.verdict) == (Status.NEW, "")
    assert is_due(row)


def test_a_missing_permission_is_raised(preview_lead, zoho):
    body = {"code": "NO_PERMISSION", "message": "permission denied", "status": "error"}
    zoho.fail("any", "error_before", status=403, body={**body, "details": {}})

    with pytest.raises(PermissionDeniedError, match="permission denied"):
        preview_lead(zoho.story("no_match"))


def test_without_the_encryption_key_there_is_no_call(preview_lead, zoho, settings):
    lead_id = zoho.story("no_match")
    before = zoho.stats()["calls"]
    other_key = "b3RoZXIta2V5LWZvci10ZXN0cy1vbmx5LTAwMDAwMDA="
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": [other_key]}

    with pytest.raises(SecretUnreadableError):
        preview_lead(lead_id)

    assert zoho.stats()["calls"] == before


# Previews of known leads


def test_a_second_preview_of_an_undecided_lead_replaces_the_first(preview_lead, zoho, olga):
    lead_id = zoho.story("no_match")
    first = preview_lead(lead_id)
    zoho.change(zoho.records["Leads"][lead_id], City="Kiel")

    again = preview_lead(lead_id, by=olga)

    assert again.version == first.version + 1
    assert again.stored_lead().fields["City"] == "Kiel"
    assert again.events.get(version=again.version).by == "olga"


def test_a_lead_that_was_converted_since_becomes_converted(preview_lead, zoho):
    lead_id = zoho.story("no_match")
    preview_lead(lead_id)
    zoho.convert_elsewhere(lead_id)

    assert preview_lead(lead_id).converted_by == "elsewhere"


@pytest.mark.parametrize("status", [Status.READY, Status.RUNNING, Status.SCHEDULED, Status.UNKNOWN])
def test_a_lead_in_progress_is_not_previewed(preview_lead, zoho, status):
    row = preview_lead(zoho.story("no_match"))
    LeadConversion.objects.filter(pk=row.pk).update(status=status)
    before = zoho.stats()["calls"]

    again = preview_lead(row.lead_id)

    assert (again.status, again.version) == (status, row.version)
    assert zoho.stats()["calls"] == before


@pytest.mark.parametrize("status", [Status.FAILED, Status.SKIPPED, Status.NEEDS_REVIEW])
def test_a_lead_at_rest_is_reset_by_a_preview_of_a_person(preview_lead, zoho, olga, status):
    row = preview_lead(zoho.story("no_match"))
    LeadConversion.objects.filter(pk=row.pk).update(
        status=status, attempts=3, error_code="X", error_message="Y", in_doubt=True
    )

    again = preview_lead(row.lead_id, by=olga)

    assert (again.status, again.attempts, again.error_code) == (Status.PREVIEWED, 0, "")
    assert again.in_doubt
    assert [event.to_status for event in again.events.order_by("version")][-2:] == [
        Status.NEW,
        Status.PREVIEWED,
    ]


@pytest.mark.parametrize("status", [Status.FAILED, Status.SKIPPED, Status.NEEDS_REVIEW])
def test_a_lead_at_rest_that_was_converted_meanwhile_is_converted(preview_lead, zoho, status):
    row = preview_lead(zoho.story("no_match"))
    LeadConversion.objects.filter(pk=row.pk).update(status=status)
    zoho.convert_elsewhere(row.lead_id)

    assert preview_lead(row.lead_id).status == Status.CONVERTED


def test_a_lead_that_needs_review_stays_so_while_it_cannot_be_read(preview_lead, zoho):
    row = preview_lead(zoho.story("no_match"))
    LeadConversion.objects.filter(pk=row.pk).update(status=Status.NEEDS_REVIEW, due_at=None)
    zoho.delete("Leads", row.lead_id)

    assert preview_lead(row.lead_id).status == Status.NEEDS_REVIEW


def test_a_converted_lead_is_previewed_again_where_zoho_can_be_reset(preview_lead, zoho):
    lead_id = zoho.story("converted")
    preview_lead(lead_id)
    rebuilt = zoho.records["Leads"][lead_id]
    for name in ("Converted__s", "$converted", "$converted_detail", "Converted_Contact"):
        del rebuilt[name]

    again = preview_lead(lead_id)

    assert (again.status, again.contact_id, again.converted_by) == (Status.PREVIEWED, "", "")


def test_in_production_a_converted_row_stays_converted(preview_lead, zoho, connection):
    row = preview_lead(zoho.story("converted"))
    connection.data_center = "eu"
    connection.save()
    before = zoho.stats()["calls"]

    assert preview_lead(row.lead_id).status == Status.CONVERTED
    assert zoho.stats()["calls"] == before


def test_a_persons_plan_is_kept_if_it_fits_the_new_preview(preview_lead, zoho, olga):
    row = preview_lead(zoho.story("one_match"))
    convert.decide(conversion_id=row.pk, version=row.version, plan=ConversionPlan(), by=olga)

    again = preview_lead(row.lead_id)

    assert again.stored_plan() == ConversionPlan()
    assert again.decided_by == olga


def test_the_stored_preview_is_what_was_read(preview_lead, zoho):
    row = preview_lead(zoho.story("one_match"))
    row.refresh_from_db()

    seen = stored_preview(row)

    assert (seen.verdict, seen.reason) == ("ONE_MATCH", "")
    assert as_json(seen.lead) == row.lead_snapshot
    assert as_json(seen.options) == row.options_snapshot


@pytest.mark.django_db(transaction=True)
def test_a_preview_does_not_cancel_a_requested_conversion_by_policy(connection, zoho):
    lead_id = zoho.story("no_match")
    convert.request(connection_id=connection.pk, lead_id=lead_id, policy="careful")

    row = preview(connection_id=connection.pk, lead_id=lead_id)
    work.work(connection_id=connection.pk)

    assert row.verdict == "NO_MATCH"
    assert len(zoho.conversions_of(lead_id)) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", [Status.FAILED, Status.SKIPPED])
def test_what_a_person_looks_at_again_is_not_sent_by_its_old_policy(
    connection, zoho, preview_lead, status
):
    lead_id = zoho.story("no_match")
    convert.request(connection_id=connection.pk, lead_id=lead_id, policy="careful")
    LeadConversion.objects.update(status=status, due_at=None)

    row = preview_lead(lead_id)

    assert (row.status, row.verdict) == (Status.PREVIEWED, "NO_MATCH")
    assert not is_due(row)
    work.work(connection_id=connection.pk)
    assert zoho.ledger()["calls"] == []
