"""Helpers that bring mass conversions into the state that a test of their pages needs."""

from __future__ import annotations

import time
from typing import Any

from django.contrib.auth.models import User
from django.urls import reverse

from tests.admin.pages import Page
from zoho_crm.matching import POLICIES, Policy
from zoho_crm.models import Connection, LeadConversion, MassConversion
from zoho_crm.models._time import DbNow
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


def work_until_waiting(run: MassConversion, seconds: float = 30) -> MassConversion:
    """Work until the run waits for a person; its next due time is brought forward."""
    end = time.monotonic() + seconds
    wait: float | None = 0.0
    while wait is not None and time.monotonic() < end:
        wait = work.work(connection_id=run.connection_id)
        MassConversion.objects.filter(pk=run.pk, due_at__gt=DbNow()).update(due_at=DbNow())
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
    return Page(page.html[start : page.html.index("</table>", start)]).text
