"""
Mass conversion: stage the leads of a run, preview all of them, decide, start, follow the progress.

A run does not create duplicates itself, leaves API credits to other programs, and pauses itself
when too many leads are refused.
"""

from __future__ import annotations

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
from zoho_crm.services.mass_convert._decisions import decide, decide_one
from zoho_crm.services.mass_convert._export import export
from zoho_crm.services.mass_convert._sources import (
    file_source,
    ids_in_file,
    ids_in_lines,
    ids_of_open_leads,
    open_leads_source,
)

__all__ = [
    "Estimate",
    "cancel",
    "counts",
    "decide",
    "decide_one",
    "decided_count",
    "estimate",
    "export",
    "file_source",
    "ids_in_file",
    "ids_in_lines",
    "ids_of_open_leads",
    "open_leads_source",
    "pause",
    "prepare",
    "prepare_open_leads",
    "resume",
    "retry",
    "start",
]
