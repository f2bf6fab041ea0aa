"""The rows of a site with many leads, written in bulk for the measurements of the admin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

import environment  # noqa: F401  # sets Django up
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection as database
from django.db.models import Model
from django.utils import timezone

from zoho_crm.matching import POLICIES
from zoho_crm.models import (
    ApiUsage,
    Connection,
    ConnectionEvent,
    LeadConversion,
    LeadConversionEvent,
    MassConversion,
    MassConversionJob,
    MassConversionLine,
    OutboxRecord,
    Policy,
)
from zoho_crm.services.connect import with_grant_code
from zoho_crm.services.mass_convert import counts
from zoho_crm.types import ConversionOptions, ConversionPlan, Lead, Match, Reference, as_json

Status = LeadConversion.Status
Stage = MassConversion.Stage
BATCH_ROWS = 2_000
#: Runs that have ended, and the share of the leads outside of the run under review that is in them.
ENDED_RUNS = 40
SHARE_IN_ENDED_RUNS = 0.9
#: Days over which the outcomes are spread.
DAYS = 60
#: What became of the leads of an ended run, and of those that were converted singly, in turn.
OF_ENDED_RUNS = (*[Status.CONVERTED] * 17, Status.FAILED, Status.FAILED, Status.SKIPPED)
OF_SINGLE_LEADS = (
    *(Status.CONVERTED, Status.CONVERTED, Status.CONVERTED, Status.PREVIEWED, Status.PREVIEWED),
    *(Status.FAILED, Status.SKIPPED, Status.UNKNOWN, Status.NEEDS_REVIEW, Status.NEW),
)
#: Users who own the leads.
OWNERS = 40
#: Verdicts of the previews of the run under review, and of all others, in turn.
VERDICTS = ("NO_MATCH",) * 14 + ("ONE_MATCH",) * 4 + ("ACCOUNT_ONLY", "SEVERAL_MATCHES")
ERROR_CODES = ("MANDATORY_NOT_FOUND", "INVALID_DATA", "DUPLICATE_DATA", "NO_PERMISSION")
FINAL = (Status.CONVERTED, Status.FAILED, Status.SKIPPED)


@dataclass
class Site:
    """What is needed to open the pages."""

    boss: User
    connections: list[Connection]
    #: The run under review.
    run: MassConversion | None = None
    number: int = 0
    #: What is searched for in the list of a model, by its name.
    searches: dict[str, list[str]] = field(default_factory=dict)


def connected_site(grant_code: str) -> Site:
    """Return a site with a user, a connection that works and two that do not."""
    boss = User.objects.create_superuser("boss")
    first = with_grant_code(code=grant_code, data_center="local", by=boss)
    others = [
        Connection.objects.create(
            name=f"Bench {number}",
            data_center="us",
            environment="production",
            org_id=str(number),
            org_name="Bench",
            status=Connection.Status.NEEDS_RECONNECT,
        )
        for number in range(2)
    ]
    Policy.objects.create(name="bench", rules=as_json(POLICIES["attach"]))
    return Site(boss=boss, connections=[first, *others])


def add_rows(site: Site, *, conversions: int, in_run: int) -> None:
    """Add a run under review, ended runs, single leads, pushed records and journals."""
    site.run = _run(site, Stage.REVIEW, "Trade fair")
    rest = conversions - in_run
    in_each = int(rest * SHARE_IN_ENDED_RUNS) // ENDED_RUNS
    _add_leads(site, in_run, (Status.PREVIEWED,), run=site.run)
    for _number in range(ENDED_RUNS):
        run = _run(site, Stage.FINISHED, "Newsletter")
        _add_leads(site, in_each, OF_ENDED_RUNS, run=run)
        run.counts = counts(run)
        run.save()
    _add_leads(site, rest - ENDED_RUNS * in_each, OF_SINGLE_LEADS)
    _add_details(site, site.run, count=in_run // 10)
    _add_others(site, count=conversions // 5)
    site.searches = {"leadconversion": [f"{7 * 10**18 + 1}", "7000000000000000"]}
    if database.vendor == "postgresql":
        with database.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")  # as the server does by itself


def _run(site: Site, stage: str, name: str) -> MassConversion:
    return MassConversion.objects.create(
        connection=site.connections[0],
        name=name,
        stage=stage,
        policy=as_json(POLICIES["attach"]),
        source="ids",
        created_by=site.boss,
    )


def _create(rows: Iterable[Model]) -> None:
    """Write rows of one model in sets."""
    left = iter(rows)
    while batch := list(islice(left, BATCH_ROWS)):
        type(batch[0])._default_manager.bulk_create(batch)


def _add_leads(
    site: Site, count: int, statuses: tuple[str, ...], *, run: MassConversion | None = None
) -> None:
    first = site.number
    site.number += count
    _create(
        _lead(site, number, statuses[number % len(statuses)], run)
        for number in range(first, site.number)
    )
    rows = LeadConversion.objects.filter(lead_id__gte=_id(first), lead_id__lt=_id(site.number))
    _create(
        LeadConversionEvent(
            conversion_id=pk,
            version=version,
            from_status=Status.NEW if version == 1 else Status.PREVIEWED,
            to_status=Status.PREVIEWED if version == 1 else status,
            at=timezone.now(),
            by="boss",
            details={},
        )
        for pk, status in rows.values_list("pk", "status").iterator()
        for version in (1, 2)
    )


def _id(number: int) -> str:
    return str(7 * 10**18 + number)


def _lead(site: Site, number: int, status: str, run: MassConversion | None) -> LeadConversion:
    verdict = VERDICTS[number % len(VERDICTS)]
    is_planned = verdict != "SEVERAL_MATCHES" or status == Status.CONVERTED
    # Two of a hundred leads are of the connections that do not work.
    connection = site.connections[0 if run or number % 50 else 1 + number // 50 % 2]
    finished = timezone.now() - timedelta(minutes=number * 7 % (DAYS * 24 * 60))
    row = LeadConversion(
        connection=connection,
        lead_id=_id(number),
        status=status,
        version=2,
        mass_conversion=run,
        attempts=status in FINAL,
        finished_at=finished if status in FINAL else None,
        converted_by="us" if status == Status.CONVERTED else "",
        evidence="answer" if status == Status.CONVERTED else "",
        contact_id=_id(10**9 + number) if status == Status.CONVERTED else "",
        error_code=ERROR_CODES[number % len(ERROR_CODES)] if status == Status.FAILED else "",
        error_message="required field not found" if status == Status.FAILED else "",
        error_details=[{"api_name": "Last_Name"}] if status == Status.FAILED else None,
        decided_by=site.boss,
    )
    if status != Status.NEW:
        row.verdict, row.previewed_at = verdict, finished
        row.lead_snapshot = as_json(_snapshot(number))
        row.options_snapshot = as_json(_options(number, verdict))
        row.lead_owner_id = _id(number % OWNERS)
        row.matched_on = "" if verdict == "NO_MATCH" else ",Email,"
        row.plan = as_json(ConversionPlan()) if is_planned else None
    return row


def _fields(number: int) -> dict[str, str]:
    fields = {f"Field_{each}": f"a value of the lead {number}" for each in range(20)}
    return {**fields, "Email": f"p{number}@firm.example", "Phone": "+1 555 0100"}


def _snapshot(number: int) -> Lead:
    return Lead(
        id=_id(number),
        name=f"Ada Lovelace {number}",
        company=f"Company {number // 3}",
        email=f"p{number}@firm.example",
        owner=Reference(id=_id(number % OWNERS), name=f"Owner {number % OWNERS}"),
        fields=_fields(number),
    )


def _options(number: int, verdict: str) -> ConversionOptions:
    matches = tuple(
        Match(
            id=_id(10**10 + 5 * number + each),
            name=f"Ada Lovelace {number}",
            matched_on=("Email",),
            fields=_fields(number + each),
        )
        for each in range(4)
    )
    if verdict == "NO_MATCH":
        return ConversionOptions()
    if verdict == "ACCOUNT_ONLY":
        return ConversionOptions(accounts=matches[:1])
    return ConversionOptions(contacts=matches[: 1 if verdict == "ONE_MATCH" else 4])


def _add_details(site: Site, run: MassConversion, *, count: int) -> None:
    """Add lines that were left out and jobs of a run."""
    first = run.lines.count()
    _create(
        MassConversionLine(mass_conversion=run, number=n, text=f"no id {n}", reason="malformed")
        for n in range(first, first + count)
    )
    _create(
        MassConversionJob(
            mass_conversion=run,
            connection=run.connection,
            status="FINISHED",
            effect={},
            posted_at=timezone.now(),
            zoho_job_id=_id(n),
        )
        for n in range(count // 5)
    )


def _add_others(site: Site, *, count: int) -> None:
    """Add pushed records, events and calls of the connection, and entries of Django's log."""
    connection, now = site.connections[0], timezone.now()
    statuses = list(OutboxRecord.Status)
    _create(
        OutboxRecord(
            connection=connection,
            action="create",
            module="Contacts",
            key=f"customer:{number}",
            values=_fields(number),
            status="SENT" if number % 10 else statuses[number // 10 % len(statuses)],
        )
        for number in range(count)
    )
    kinds = list(ConnectionEvent.Kind)
    _create(
        ConnectionEvent(connection=connection, kind=kinds[number % len(kinds)])
        for number in range(count)
    )
    hours = now.replace(minute=0, second=0, microsecond=0)
    first = ApiUsage.objects.filter(connection=connection).count()
    _create(
        ApiUsage(
            connection=connection, hour=hours - timedelta(hours=n), kind="other", calls=9, credits=9
        )
        for n in range(first + 1, first + 1 + count // 10)
    )
    models = [ContentType.objects.get_for_model(each) for each in (LeadConversion, Connection)]
    _create(
        LogEntry(
            user=site.boss,
            content_type=models[number % 2],
            object_id=str(number),
            object_repr="a row",
            action_flag=CHANGE,
            change_message="Tested.",
        )
        for number in range(count)
    )
