"""
Mass conversion: stage the leads of a run, preview all of them, decide, start, follow the progress.

A run does not create duplicates itself, leaves API credits to other programs, and pauses itself
when too many leads are refused.
"""

from __future__ import annotations

from zoho_crm.services.mass_convert import jobs
from zoho_crm.services.mass_convert._circuit_breaker import canaries_passed, check_circuit_breaker
from zoho_crm.services.mass_convert._control import (
    cancel,
    pause,
    prepare,
    prepare_open_leads,
    resume,
    retry,
    start,
)
from zoho_crm.services.mass_convert._counts import Estimate, counts, decided_count, estimate
from zoho_crm.services.mass_convert._decisions import (
    decide,
    decide_one,
    previewed_in_run,
)
from zoho_crm.services.mass_convert._export import export
from zoho_crm.services.mass_convert._sources import (
    file_source,
    ids_in_file,
    ids_in_lines,
    ids_of_open_leads,
    open_leads_source,
)
from zoho_crm.services.mass_convert._staging import FIRST_PAGE, stage_page
from zoho_crm.services.mass_convert._steps import advance_runs, mark_due
from zoho_crm.services.mass_convert.jobs import effect_of, min_job_size

__all__ = [
    "FIRST_PAGE",
    "Estimate",
    "cancel",
    "counts",
    "decide",
    "decide_one",
    "decided_count",
    "effect_of",
    "estimate",
    "export",
    "file_source",
    "check_circuit_breaker",
    "ids_in_file",
    "ids_in_lines",
    "ids_of_open_leads",
    "canaries_passed",
    "jobs",
    "open_leads_source",
    "pause",
    "prepare",
    "prepare_open_leads",
    "previewed_in_run",
    "resume",
    "retry",
    "min_job_size",
    "start",
    "stage_page",
    "advance_runs",
    "mark_due",
]
