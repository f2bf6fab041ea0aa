"""
Mass-convert jobs: one call for at most 50 leads, which Zoho converts later.

A job's state is numbers of leads only; it does not say which lead was converted.

https://www.zoho.com/crm/developer/docs/api/v8/mass-convert-lead.html
https://www.zoho.com/crm/developer/docs/api/v8/mass-convert-status.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from zoho_crm.client._answers import MAX_CODE_LENGTH, id_or_empty
from zoho_crm.client._api import Api, always
from zoho_crm.client._leads import deal_fields
from zoho_crm.exceptions import RequestRefusedError, UnknownOutcomeError
from zoho_crm.types import Effect, JobStage, JobState, JsonObject, ValueObject

PATH = "/crm/v8/Leads/actions/mass_convert"
MAX_LEADS_PER_JOB = 50
_JSON_PATH_OF_ID = re.compile(r"\$\.ids\[(\d+)\]")


class JobsClient(ValueObject):
    """The mass-convert jobs of one organisation."""

    api: Api

    def start(
        self,
        lead_ids: Sequence[str],
        effect: Effect,
        *,
        module_ids: Mapping[str, str],
        may_send: Callable[[], bool] = always,
    ) -> str:
        """
        Start a job that converts at most 50 leads, and return its id. It cannot be undone.

        :param module_ids: ids of the modules that the effect names, by API name
        :param may_send: as in ``Api.call``
        :raises TransientError: if it was certainly not processed
        :raises RequestRefusedError: if Zoho refused the whole job, see ``refused_index``, or does
            not say the id of a module
        :raises UnknownOutcomeError: if it may have been processed
        """
        body = job_body(lead_ids, effect, module_ids)
        answer = self.api.call("POST", PATH, json=body, repeatable=False, may_send=may_send)
        details = answer.get("details")
        job_id = id_or_empty(details.get("job_id")) if isinstance(details, dict) else ""
        if answer.get("code") != "SCHEDULED" or not job_id:
            raise UnknownOutcomeError(code=str(answer.get("code") or "")[:MAX_CODE_LENGTH])
        return job_id

    def state(self, job_id: str) -> JobState:
        """
        Return the state of a job.

        :raises RequestRefusedError: if Zoho does not know the job (any more)
        """
        return self.api.read(PATH, _state, job_id=job_id)

    def module_ids(self) -> Mapping[str, str]:
        """Return the ids of modules by API name: …/api/v8/modules-api.html."""
        return self.api.read("/crm/v8/settings/modules", _module_ids)


def job_body(lead_ids: Sequence[str], effect: Effect, module_ids: Mapping[str, str]) -> JsonObject:
    """Return the body of the request that starts a job."""
    return {"ids": list(lead_ids), **effect_body(effect, module_ids)}


def effect_body(effect: Effect, module_ids: Mapping[str, str] | None = None) -> JsonObject:
    """Return the part of a job's body without the leads; without ``module_ids`` it has no ids."""
    body: JsonObject = {"assign_to": {"id": effect.owner_id}}
    if effect.deal:
        body["Deals"] = deal_fields(effect.deal)
    if effect.tags_to:
        body["carry_over_tags"] = [_module(name, module_ids) for name in effect.tags_to]
    if effect.attachments_to:
        body["move_attachments_to"] = _module(effect.attachments_to, module_ids)
    return body


def refused_index(error: RequestRefusedError) -> int | None:
    """Return the index of the lead for which Zoho refused a job; ``None`` if it names none."""
    match = _JSON_PATH_OF_ID.fullmatch(error.path)
    return int(match[1]) if match else None


def _module(name: str, module_ids: Mapping[str, str] | None) -> JsonObject:
    if module_ids is None:
        return {"api_name": name}
    if name not in module_ids:
        raise RequestRefusedError(code="no_module", details={"api_name": name})
    return {"api_name": name, "id": module_ids[name]}


def _state(body: JsonObject) -> JobState:
    job = body["data"][0]
    stage = str(job["Status"]).casefold().replace("_", " ")
    return JobState(
        stage=JobStage(stage),
        total=int(job.get("Total_Count") or 0),
        converted=int(job.get("Converted_Count") or 0),
        waiting=int(job.get("Not_Converted_Count") or 0),
        failed=int(job.get("Failed_Count") or 0),
    )


def _module_ids(body: JsonObject) -> Mapping[str, str]:
    return {module["api_name"]: str(module["id"]) for module in body["modules"]}
