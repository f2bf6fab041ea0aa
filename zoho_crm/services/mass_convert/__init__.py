"""
Mass conversion: stage the leads of a run, preview all of them, decide, start, follow the progress.

A run does not create duplicates itself, leaves API credits to other programs, and pauses itself
when too many leads are refused. As in the client, modules are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoho_crm.services.run_statistics import counts, decided_count
from zoho_crm.types import late_names

if TYPE_CHECKING:
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
        choose_match,
        decide,
        decide_one,
        decide_rows,
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

__all__ = [
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

if not TYPE_CHECKING:  # a type checker knows the names above, and refuses others
    __getattr__ = late_names(
        __name__,
        {
            "_control": "cancel leave_out pause prepare prepare_open_leads recount resume retry"
            " start",
            "_decisions": "choose_match decide decide_one decide_rows",
            "_estimates": "Estimate Routes estimate estimate_of routes_for routes_of",
            "_export": "export export_before export_changes export_json export_rows",
            "_sources": "file_source ids_in_file ids_in_lines ids_of_open_leads open_leads_source",
        },
    )
