"""After the retention period no table has personal data; the logs never had any."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import models
from django.db.models import F
from django.utils.timezone import now

from tests.admin.pages import Browser
from tests.admin.runs import run_in_review, work_until_waiting
from zoho_crm.matching import POLICIES
from zoho_crm.models import (
    AuthorizationRequest,
    Connection,
    ConnectionEvent,
    EnteredClient,
    LeadConversion,
    LeadConversionEvent,
    MassConversion,
    MassConversionJob,
    MassConversionLine,
    OutboxRecord,
    OutboxRecordEvent,
    SdkFailure,
    SdkToken,
    Selection,
    Token,
)
from zoho_crm.services import convert, mass_convert, work
from zoho_crm.services.preview import preview
from zoho_crm.services.purge import purge
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

CAREFUL = POLICIES["careful"]
MARK = "Quenby"
LEAD = {
    "Last_Name": MARK,
    "First_Name": "Ada",
    "Email": f"{MARK}@engine.example",
    "Company": f"{MARK} Ltd",
    "Phone": f"{MARK} 1",
}
LONG_AGO = timedelta(days=100)
OURS = [model for model in apps.get_app_config("zoho_crm").get_models() if not model._meta.proxy]
#: Columns of text or JSON without personal data of leads, contacts and accounts: ids, codes and
#: hashes, the organisation and its client, policies, and who of the site's users did what.
KEPT: dict[str, set[str]] = {
    "Connection": {"name", "data_center", "org_id", "org_name", "edition", "mapped_fields"}
    | {"domain_name"},
    "Token": {
        *{"user_id", "client_id", "scopes", "refresh_owner"},
        *{f"{name}_cipher" for name in Token.SECRETS},
        *{f"{name}_hash" for name in Token.HASHED},
    },
    "SdkToken": {
        *{"redirect_url", "api_domain", "client_id", "problem", "refresh_owner"},
        *{f"{name}_cipher" for name in SdkToken.SECRETS},
        *{f"{name}_hash" for name in SdkToken.HASHED},
    },
    "SdkFailure": {"key"},
    "ConnectionWork": {"lease_owner", "backoff_reason", "backoff_details"},
    "Policy": {"name", "rules"},
    "MassConversion": {"name", "policy", "active_owners", "counts", "page_digests"},
    "MassConversionJob": {"zoho_job_id", "effect", "counts"},
    "LeadConversion": {
        *{"lead_id", "claim_id", "contact_id", "account_id", "deal_id", "error_code"},
        *{"effect", "policy"},
    },
    "LeadConversionEvent": {"by", "payload_hash"},
    "OutboxRecord": {
        *{"module", "key", "unique_field", "trigger", "claim_id", "record_id", "record_module"},
        *{"added_id", "error_code"},
    },
    "OutboxRecordEvent": {"by", "payload_hash"},
}


def decide_url(lead_id: str) -> str:
    row = LeadConversion.objects.get(lead_id=lead_id)
    return f"/admin/zoho_crm/leadconversion/{row.pk}/decide/"


def dump() -> list[str]:
    """Return every row of every table."""
    return [
        f"{model.__name__}: {row}"
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy
        for row in model._base_manager.values()
    ]


def marked() -> list[str]:
    return [row for row in dump() if MARK.lower() in row.lower()]


def age_everything() -> None:
    """Move every instant in our tables back by more than the retention period."""
    for model in OURS:
        fields = [
            field.name
            for field in model._meta.concrete_fields
            if isinstance(field, models.DateTimeField)
        ]
        model._base_manager.update(**{name: F(name) - LONG_AGO for name in fields})


def free_texts(model: Any) -> Iterator[Any]:
    """Yield the columns of a model that may hold a text from outside."""
    for field in model._meta.concrete_fields:
        is_text = isinstance(field, models.CharField | models.TextField | models.JSONField)
        if is_text and not field.choices and field.name not in KEPT.get(model.__name__, set()):
            yield field


def fill_with_marks(row: models.Model) -> None:
    """Write a mark into every column of a row that may hold a text from outside."""
    texts = list(free_texts(type(row)))
    values = {
        field.name: {"text": MARK} if isinstance(field, models.JSONField) else MARK
        for field in texts
    }
    type(row)._base_manager.filter(pk=row.pk).update(**values)


def test_every_column_is_purged_or_has_no_personal_data(connection: Connection, boss: User) -> None:
    moment = now()
    run = MassConversion.objects.create(
        connection=connection, policy={}, stage="FINISHED", ended_at=moment
    )
    conversions = [
        LeadConversion.objects.create(
            connection=connection,
            lead_id=str(number),
            status=status,
            verdict="NOT_CONVERTIBLE",
            converted_by="us",
            previewed_at=moment,
            finished_at=moment if status in ("CONVERTED", "FAILED") else None,
        )
        for number, status in enumerate(["CONVERTED", "FAILED", "SKIPPED", "PREVIEWED"], 1)
    ]
    pushed = [
        OutboxRecord.objects.create(
            connection=connection,
            action="create",
            module="Leads",
            status=status,
            finished_at=moment,
        )
        for status in ("SENT", "SKIPPED")
    ]
    rows: list[models.Model] = [
        run,
        *conversions,
        *(
            LeadConversionEvent.objects.create(conversion=row, version=0, at=moment)
            for row in conversions
        ),
        *pushed,
        *(OutboxRecordEvent.objects.create(record=row, version=0, at=moment) for row in pushed),
        connection.tokens.get(),
        SdkToken.objects.create(token=connection.tokens.get()),
        SdkFailure.objects.create(at=moment),
        MassConversionLine.objects.create(mass_conversion=run, number=1),
        MassConversionJob.objects.create(
            mass_conversion=run, connection=connection, effect={}, posted_at=moment
        ),
        ConnectionEvent.objects.create(connection=connection),
        AuthorizationRequest.objects.create(user=boss, expires_at=moment),
        EnteredClient.objects.create(user=boss, expires_at=moment),
        Selection.objects.create(user=boss, expires_at=moment),
    ]
    for row in rows:
        fill_with_marks(row)
    Token.objects.update(status="REVOKED")
    age_everything()
    places = len(marked())

    found = purge(execute=True)

    assert places == len(rows) - 1  # a job has nothing but what its policy says
    assert marked() == []
    assert (found.before_images, found.journal_details) == (4, 4)
    assert (found.runs, found.lines, found.users, found.outbox) == (1, 1, 1, 2)
    assert {model.__name__ for model in OURS} - {type(row).__name__ for row in rows} == {
        *{"ApiUsage", "Connection", "ConnectionWork", "Policy"}
    }
    again = purge(execute=True)
    assert (again.before_images, again.runs, again.lines, again.users) == (0, 0, 0, 0)
    assert again.outbox == 0


@pytest.mark.slow
def test_what_people_do_leaves_no_name_behind(
    browser: Browser, connection: Connection, zoho: Simulator, boss: User
) -> None:
    undecided, left_out, sent = (zoho.add_lead(**LEAD) for _lead in range(3))
    for lead in (undecided, left_out, sent):
        preview(connection_id=connection.pk, lead_id=lead.id)
    browser.get(decide_url(left_out.id))
    browser.press("Leave this lead out")
    browser.get(decide_url(sent.id))
    browser.press("Show what will happen")
    browser.press("Convert this lead")
    work.work(connection_id=connection.pk)
    run = run_in_review(connection, zoho, more=(f"{MARK};no id",))
    opened = mass_convert.prepare_open_leads(
        connection_id=connection.pk, filters={"Company": LEAD["Company"]}, policy=CAREFUL
    )
    work_until_waiting(opened)
    for one in (run, opened):
        mass_convert.cancel(run_id=one.pk)
        work_until_waiting(one)
    logged = [row for row in marked() if row.startswith("LogEntry")]
    age_everything()

    purge(execute=True)

    assert LogEntry.objects.count() >= 2
    assert (logged, marked()) == ([], [])
    assert LeadConversion.objects.get(lead_id=sent.id).status == "CONVERTED"


def test_a_preview_is_kept_while_somebody_works_on_it(
    connection: Connection, zoho: Simulator, boss: User
) -> None:
    row = preview(connection_id=connection.pk, lead_id=zoho.add_lead(**LEAD).id)
    age_everything()
    row.refresh_from_db()
    plan = row.stored_plan()
    assert plan
    convert.decide(conversion_id=row.pk, version=row.version, plan=plan, by=boss)

    assert purge(execute=True).before_images == 0
    age_everything()
    assert purge(execute=True).before_images == 1

    row.refresh_from_db()
    event = row.events.latest("version")
    assert (row.status, row.plan, row.decided_by) == ("PREVIEWED", None, None)
    assert (row.version, event.version, event.details) == (3, 3, {"why": "retention"})


def test_a_purged_preview_can_be_made_again(
    browser: Browser, connection: Connection, zoho: Simulator
) -> None:
    lead = zoho.add_lead(**LEAD)
    preview(connection_id=connection.pk, lead_id=lead.id)
    age_everything()
    purge(execute=True)

    page = browser.get(decide_url(lead.id))

    assert browser.status == 200
    assert "Look again to preview the lead anew." in page.text
    assert not page.has_button("Show what will happen")
    preview(connection_id=connection.pk, lead_id=lead.id)
    assert MARK in browser.get(decide_url(lead.id)).text
