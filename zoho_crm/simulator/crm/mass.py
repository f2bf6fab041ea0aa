"""
Conversion of up to fifty leads in a job, whose status is counts only.

`Mass convert <https://www.zoho.com/crm/developer/docs/api/v8/mass-convert-lead.html>`_,
`its status <https://www.zoho.com/crm/developer/docs/api/v8/mass-convert-status.html>`_. Zoho does
not document how a job treats a lead with a match; here it always creates, never merges.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from zoho_crm.simulator import mass_refusals, refusals
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.crm.conversion import check_convertible, check_target_modules, convert_lead
from zoho_crm.simulator.crm.items import object_of
from zoho_crm.simulator.crm.mass_convert_request import (
    MassConvertRequest,
    parse_mass_convert_request,
)
from zoho_crm.simulator.jobs import Job
from zoho_crm.simulator.ledger import ConvertCall
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]


def mass_convert(world: World, context: RequestContext) -> Answer:
    """``POST /Leads/actions/mass_convert``: 202 and the id of a job."""
    body = object_of(context)
    check_target_modules(world.organisation)
    try:
        request = parse_mass_convert_request(world.organisation, body)
    except refusals.ItemRefusedError as refusal:
        raise refusals.at_root(refusal) from None
    job = _schedule(world, context, len(request.lead_ids))
    run = JobRun(
        world=world,
        job=job,
        request=request,
        body=context.body_without_ids,
        entries=context.ledger_entries,
    )
    run.schedule()
    context.is_pending = True
    scheduled = {
        "code": "SCHEDULED",
        "details": {"job_id": job.id},
        "message": "Mass Convert scheduled successfully",
        "status": "success",
    }
    return Answer.json(scheduled, status=202)


def _schedule(world: World, context: RequestContext, leads: int) -> Job:
    step = timedelta(seconds=world.settings.job_seconds_per_lead)
    begin = context.now + context.job_delay
    due_times = tuple(begin + number * step for number in range(1, leads + 1))
    job = Job(id=world.organisation.ids.next(), due_times=due_times)
    world.jobs[job.id] = job
    return job


def status(world: World, context: RequestContext) -> Answer:
    """``GET /Leads/actions/mass_convert?job_id=…``: how many leads, never which."""
    job_id = context.query.get("job_id")
    if not job_id:
        raise mass_refusals.missing_job_id()
    if job_id not in world.jobs:
        raise mass_refusals.unknown_job()
    progress = world.jobs[job_id].progress(context.seen_at or context.now)
    return Answer.json({"data": [progress.as_json(world.spellings.next(progress.status))]})


@dataclass(frozen=True, kw_only=True)
class JobRun:
    """Carries out one job."""

    world: World
    job: Job
    request: MassConvertRequest
    body: Json
    entries: tuple[ConvertCall, ...]

    def schedule(self) -> None:
        """Schedule the conversion of every lead."""
        for number, due_at in enumerate(self.job.due_times):
            self.world.schedule(due_at, partial(self._run_lead, number))

    def _run_lead(self, number: int, at: datetime) -> None:
        try:
            self._convert(number, at)
        except (refusals.RefusedError, refusals.ItemRefusedError):
            self.job.outcomes[number] = False
        else:
            self.job.outcomes[number] = True
        self.world.ledger.set_resolved([self.entries[number]], at)

    def _convert(self, number: int, at: datetime) -> None:
        organisation = self.world.organisation
        lead = organisation.records["Leads"].get(self.request.lead_ids[number])
        if lead is None:
            raise refusals.unknown_record()
        check_convertible(lead)
        check_target_modules(organisation)
        request = self.request.for_lead(lead)
        convert_lead(self.world, lead, request, at=at, via="mass", body=self.body)
        self.entries[number].effect_at = at
