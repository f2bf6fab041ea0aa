from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User

from tests.calls import calls
from tests.management.conftest import Run
from zoho_crm.models import (
    ApiUsage,
    Connection,
    ConnectionEvent,
    LeadConversion,
    LeadConversionEvent,
    OutboxRecord,
    Selection,
    from_now,
)
from zoho_crm.models._database import DbNow
from zoho_crm.services import selections, usage
from zoho_crm.services.permissions import GROUPS, MANAGERS, OPERATORS, VIEWERS
from zoho_crm.simulator import Simulator
from zoho_crm.types import ApiCall

pytestmark = pytest.mark.django_db(transaction=True)

DAY = 86_400


# zoho_usage


def test_calls_are_counted_by_day_and_kind(run: Run, connection: Connection) -> None:
    ApiUsage.objects.all().delete()
    usage.record(
        connection.pk, [ApiCall("convert"), ApiCall("convert", was_refused=True), ApiCall("other")]
    )

    other, convert = run("zoho_usage", "--format=json").lines

    assert (other["kind"], other["calls"], other["credits"], other["refused"]) == ("other", 1, 1, 0)
    assert (convert["kind"], convert["calls"]) == ("convert", 2)
    assert (convert["credits"], convert["refused"]) == (10, 1)
    assert convert["connection"] == connection.name


def test_people_see_a_table_and_how_much_is_left(run: Run, connection: Connection) -> None:
    usage.record(connection.pk, [ApiCall("convert")])

    ran = run("zoho_usage")

    assert ran.out.splitlines()[0].startswith("connection")
    assert "in the last 24 hours" in ran.err


def test_older_days_are_shown_only_if_asked_for(run: Run, connection: Connection) -> None:
    ApiUsage.objects.update_or_create(
        connection=connection, kind="mass_convert", hour=from_now(-9 * DAY), defaults={"calls": 3}
    )

    kinds = [{line["kind"] for line in run("zoho_usage", "--format=json").lines}]
    kinds += [{line["kind"] for line in run("zoho_usage", "--days=10", "--format=json").lines}]

    assert ["mass_convert" in each for each in kinds] == [False, True]


def test_usage_of_one_connection(run: Run, connection: Connection) -> None:
    assert run("zoho_usage", "--connection", connection.name).code == 0
    assert run("zoho_usage", "--connection", "Nobody").code == 2


def test_without_calls_there_is_nothing_to_show(run: Run, db: None) -> None:
    ran = run("zoho_usage")

    assert (ran.code, ran.out) == (0, "")
    assert "No call" in ran.err


# zoho_purge


@pytest.fixture
def old_conversion(connection: Connection) -> LeadConversion:
    ConnectionEvent.objects.all().delete()
    ApiUsage.objects.all().delete()
    row = LeadConversion.objects.create(
        connection=connection,
        lead_id="11",
        status="CONVERTED",
        converted_by="us",
        lead_snapshot={"name": "Ada"},
        options_snapshot={"contacts": []},
        contact_id="31",
        finished_at=from_now(-100 * DAY),
    )
    LeadConversionEvent.objects.create(
        conversion=row,
        version=1,
        from_status="RUNNING",
        to_status="CONVERTED",
        at=DbNow(),
        details={"read": "Ada"},
    )
    return row


KINDS = ("runs", "lines", "users", "events", "usage", "requests", "selections", "outbox")
FOUND = {"before_images": 1, "journal_details": 1, **dict.fromkeys(KINDS, 0)}


def test_without_execute_nothing_is_forgotten(run: Run, old_conversion: LeadConversion) -> None:
    ran = run("zoho_purge", "--format=json")

    old_conversion.refresh_from_db()
    assert ran.code == 0
    assert ran.line == {**FOUND, "older_than_days": 90, "executed": False}
    assert old_conversion.lead_snapshot == {"name": "Ada"}


def test_what_is_old_is_forgotten_but_never_what_became_of_a_lead(
    run: Run, old_conversion: LeadConversion
) -> None:
    ran = run("zoho_purge", "--older-than=90d", "--execute", "--format=json")

    old_conversion.refresh_from_db()
    assert ran.line == {**FOUND, "older_than_days": 90, "executed": True}
    assert (old_conversion.lead_snapshot, old_conversion.options_snapshot) == (None, None)
    assert (old_conversion.status, old_conversion.contact_id) == ("CONVERTED", "31")
    assert old_conversion.events.get().details == {}


def test_what_is_younger_stays(run: Run, old_conversion: LeadConversion) -> None:
    ran = run("zoho_purge", "--older-than=101d", "--execute")

    old_conversion.refresh_from_db()
    assert ran.code == 0
    assert old_conversion.lead_snapshot == {"name": "Ada"}


@pytest.mark.parametrize("status", OutboxRecord.Status)
def test_the_values_of_pushed_records_that_are_done_with_are_forgotten(
    run: Run, connection: Connection, status: str
) -> None:
    row = OutboxRecord.objects.create(
        connection=connection,
        module="Leads",
        key="enquiry:1",
        status=status,
        record_id="7",
        values={"Email": "ada@nordwind.example"},
        known_people=[{"name": "Ada"}],
        finished_at=from_now(-91 * DAY),
    )
    is_done = status in ("SENT", "SKIPPED")

    counted = run("zoho_purge", "--format=json").line["outbox"]
    run("zoho_purge", "--execute")

    row.refresh_from_db()
    assert counted == is_done
    assert (row.values is None, row.known_people is None) == (is_done, is_done)
    assert (row.key, row.record_id) == ("enquiry:1", "7")
    assert run("zoho_purge", "--format=json").line["outbox"] == 0


def test_expired_selections_are_deleted_whatever_their_age(run: Run, admin_user: User) -> None:
    kept = selections.select(user=admin_user, of="zoho_crm.leadconversion")
    expired = selections.select(user=admin_user, of="zoho_crm.leadconversion", ids=[1])
    Selection.objects.filter(pk=expired.pk).update(expires_at=from_now(-1))

    ran = run("zoho_purge", "--execute", "--format=json")

    assert ran.line["selections"] == 1
    assert list(Selection.objects.all()) == [kept]


@pytest.mark.parametrize("text", ["soon", "0d", "-1", "1.5d", "90w"])
def test_what_is_no_number_of_days_is_refused(run: Run, text: str) -> None:
    ran = run("zoho_purge", f"--older-than={text}")

    assert ran.code
    assert "write it as 90d" in ran.err


# zoho_groups


def may(group: str) -> set[str]:
    codenames = Permission.objects.filter(group__name=group).values_list("codename", flat=True)
    return set(codenames)


def test_the_groups_are_made(run: Run, db: None) -> None:
    lines = run("zoho_groups", "--format=json").lines

    assert [line["group"] for line in lines] == [
        *("Zoho viewers", "Zoho operators", "Zoho managers")
    ]
    assert all(line["created"] for line in lines)
    assert {name: may(name) for name in GROUPS} == GROUPS


def test_making_them_again_repairs_what_is_ours_and_keeps_the_rest(run: Run, db: None) -> None:
    assert run("zoho_groups").err == ""
    viewers = Group.objects.get(name="Zoho viewers")
    theirs = Permission.objects.get(codename="view_user")
    viewers.permissions.set([theirs, Permission.objects.get(codename="run_massconversion")])

    lines = run("zoho_groups", "--format=json").lines
    again = run("zoho_groups")

    assert [line["created"] for line in lines] == [False, False, False]
    assert (lines[0]["added"], lines[0]["removed"]) == (len(VIEWERS), 1)
    assert may("Zoho viewers") == VIEWERS | {"view_user"}
    assert again.out.count("as it should be") == 3


def test_each_group_may_more_than_the_one_before() -> None:
    assert VIEWERS < OPERATORS < MANAGERS
    assert all(name.startswith("view_") for name in VIEWERS)
    assert "run_massconversion" not in OPERATORS
    # Who connects an organisation may name it, too, limit it and make it the default.
    assert "change_connection" in MANAGERS - OPERATORS


def test_a_user_of_a_group_may_what_it_may(run: Run, db: None) -> None:
    assert run("zoho_groups").err == ""
    user = User.objects.create(username="ada")
    user.groups.add(Group.objects.get(name="Zoho operators"))

    assert user.has_perm("zoho_crm.prepare_massconversion")
    assert not user.has_perm("zoho_crm.connect_connection")


@pytest.mark.django_db(transaction=False)
def test_without_permissions_the_database_is_to_be_migrated(run: Run, db: None) -> None:
    Permission.objects.filter(codename="run_massconversion").delete()

    ran: Any = run("zoho_groups")

    assert ran.code == 1
    assert "migrate" in ran.err
    assert not Group.objects.exists()


def test_usage_counts_what_the_simulator_saw(
    run: Run, connection: Connection, zoho: Simulator
) -> None:
    ApiUsage.objects.all().delete()
    before = calls(zoho)

    run("zoho_leads")
    usage.write_counts()  # as the process does when it ends

    after = calls(zoho)
    lines = run("zoho_usage", "--format=json").lines
    assert sum(line["calls"] for line in lines) == after - before
