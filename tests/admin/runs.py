"""Helpers that bring mass conversions into the state that a test of their pages needs."""

from __future__ import annotations

import time
from typing import Any

from django.contrib.auth.models import User
from django.urls import reverse

from tests.admin.pages import Page
from zoho_crm.matching import POLICIES, Policy
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.models._database import DbNow
from zoho_crm.services import mass_convert, work
from zoho_crm.simulator import Simulator

CAREFUL = POLICIES["careful"]
LIST = "/admin/zoho_crm/massconversion/"


def run_url(run: MassConversion, name: str = "change") -> str:
    return reverse(f"admin:zoho_crm_massconversion_{name}", args=[run.pk])


def prepare_run(
    connection: Connection,
    zoho: Simulator,
    *cases: str,
    policy: Policy = CAREFUL,
    more: tuple[str, ...] = (),
    **options: Any,
) -> MassConversion:
    """Prepare a run of one lead for each case, and of more source lines; nothing is previewed."""
    lead_ids = [zoho.story(case) for case in cases]
    return mass_convert.prepare(
        connection_id=connection.pk, lead_ids=[*lead_ids, *more], policy=policy, **options
    )


def review_url(run: MassConversion, query: str = "") -> str:
    return run_url(run, "decide") + query


def tick(*rows: LeadConversion) -> list[str]:
    """Return what the boxes of these rows in the review send."""
    return [f"{row.pk}:{row.version}" for row in rows]


def copy_of(row: LeadConversion, lead_id: int) -> LeadConversion:
    """Return a row of another lead, which is not stored, like one that is."""
    values = {
        field.attname: getattr(row, field.attname)
        for field in row._meta.fields
        if not field.primary_key
    }
    return LeadConversion(**{**values, "lead_id": str(lead_id)})


def work_until_waiting(run: MassConversion, seconds: float = 30) -> MassConversion:
    """
    Work until the run waits for a person, or for an unknown outcome; what else is due is left.

    Its next due time is brought forward.
    """
    end = time.monotonic() + seconds
    this_run = MassConversion.objects.filter(pk=run.pk)
    due_rows = run.rows.filter(due_at__isnull=False).exclude(status=LeadConversion.Status.UNKNOWN)
    while this_run.filter(due_at__isnull=False).exists() or due_rows.exists():
        if work.work(connection_id=run.connection_id) is None or time.monotonic() > end:
            break
        this_run.filter(due_at__gt=DbNow()).update(due_at=DbNow())
    return reload(run)


def run_in_review(
    connection: Connection, zoho: Simulator, *cases: str, **more: Any
) -> MassConversion:
    """Return a previewed run that waits for decisions."""
    run = work_until_waiting(prepare_run(connection, zoho, *cases, **more))
    assert run.stage == "REVIEW"
    return run


def start_run(run: MassConversion, by: User | None = None) -> MassConversion:
    """Start a run with its current revision and count."""
    count = mass_convert.decided_count(run)
    return mass_convert.start(run_id=run.pk, revision=reload(run).revision, count=count, by=by)


def reload(run: MassConversion) -> MassConversion:
    return MassConversion.objects.get(pk=run.pk)


def rows_of(run: MassConversion, **filters: Any) -> list[LeadConversion]:
    return list(LeadConversion.objects.filter(mass_conversion=run, **filters).order_by("pk"))


def table_text(page: Page, caption: str) -> str:
    """Return the text of the table with this caption."""
    start = page.html.index(f"<caption>{caption}")
    end = page.html.index("</table>", start)
    return Page(f"<form>{page.html[start:end]}").text
