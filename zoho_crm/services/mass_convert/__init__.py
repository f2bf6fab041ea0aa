"""
Mass conversion: stage the leads of a run, preview all of them, decide, start, follow the progress.

A run does not create duplicates itself, leaves API credits to other programs, and pauses itself
when too many leads are refused.
"""

from __future__ import annotations

from zoho_crm.services.mass_convert._control import (
    cancel,
    leave_out,
    pause,
    prepare,
    prepare_open_leads,
    recount,
    resume,
    retry,
    start,
)
from zoho_crm.services.mass_convert._decisions import (
    TO_BE_READ_AGAIN,
    choose_match,
    decide,
    decide_one,
    decide_rows,
    has_to_be_read_again,
)
from zoho_crm.services.mass_convert._estimates import (
    Estimate,
    Routes,
    estimate,
    estimate_of,
    routes_for,
    routes_of,
)
from zoho_crm.services.mass_convert._export import (
    export,
    export_before,
    export_changes,
    export_json,
    export_rows,
)
from zoho_crm.services.mass_convert._sources import (
    file_source,
    ids_in_file,
    ids_in_lines,
    ids_of_open_leads,
    open_leads_source,
)
from zoho_crm.services.mass_convert._staging import MOVABLE
from zoho_crm.services.run_statistics import counts, decided_count

__all__ = [
    "MOVABLE",
    "TO_BE_READ_AGAIN",
    "Estimate",
    "Routes",
    "cancel",
    "choose_match",
    "counts",
    "decide",
    "decide_one",
    "decide_rows",
    "decided_count",
    "estimate",
    "estimate_of",
    "export",
    "export_before",
    "export_changes",
    "export_json",
    "export_rows",
    "file_source",
    "has_to_be_read_again",
    "ids_in_file",
    "ids_in_lines",
    "ids_of_open_leads",
    "leave_out",
    "open_leads_source",
    "pause",
    "prepare",
    "prepare_open_leads",
    "recount",
    "resume",
    "retry",
    "routes_for",
    "routes_of",
    "start",
]
