"""
Convert many leads: take them in, preview them all, decide, start, watch.

A run must not create the duplicates that it is meant to avoid, must not starve other programs, and
stops by itself when leads are refused one after the other.
"""

from __future__ import annotations

from zoho_crm.services.mass_convert import _job_life as job_life
from zoho_crm.services.mass_convert._breaker import heed, is_proven
from zoho_crm.services.mass_convert._control import (
    cancel,
    check_policy,
    pause,
    prepare,
    prepare_open,
    resume,
    retry,
    start,
)
from zoho_crm.services.mass_convert._counts import Estimate, counts, decided_count, estimate
from zoho_crm.services.mass_convert._deciding import latest_of, previewed_in_run
from zoho_crm.services.mass_convert._decisions import decide, decide_one
from zoho_crm.services.mass_convert._effects import effect_of, smallest_job
from zoho_crm.services.mass_convert._export import export
from zoho_crm.services.mass_convert._policies import policies
from zoho_crm.services.mass_convert._sources import ids_in_file, ids_in_lines, ids_of_open_leads
from zoho_crm.services.mass_convert._staging import take_page
from zoho_crm.services.mass_convert._steps import take_steps, wake

__all__ = [
    "Estimate",
    "cancel",
    "check_policy",
    "counts",
    "decide",
    "decide_one",
    "decided_count",
    "effect_of",
    "estimate",
    "export",
    "heed",
    "ids_in_file",
    "ids_in_lines",
    "ids_of_open_leads",
    "is_proven",
    "job_life",
    "latest_of",
    "pause",
    "policies",
    "prepare",
    "prepare_open",
    "previewed_in_run",
    "resume",
    "retry",
    "smallest_job",
    "start",
    "take_page",
    "take_steps",
    "wake",
]
