"""The faults that a fifth of Zoho's calls meet, drawn by a seed."""

from __future__ import annotations

from typing import Any

from zoho_crm.simulator import Simulator

#: What happens, to which share of the calls, and its parameters.
CONVERT_FAULTS: list[tuple[str, float, dict[str, Any]]] = [
    ("error_before", 0.015, {}),
    ("error_after", 0.03, {}),
    ("close_before", 0.015, {}),
    ("close_after", 0.03, {}),
    ("truncate", 0.025, {}),
    ("html", 0.01, {"status": 502}),
    ("html", 0.01, {"status": 503}),
    ("error_after", 0.01, {"status": 200, "body": "not JSON"}),
    ("drip", 0.005, {"body": "header"}),
    ("drip", 0.005, {"body": "body"}),
    ("delay", 0.01, {"seconds": 1.5}),
    ("scheduled", 0.01, {"seconds": 1}),
]
READ_FAULTS: list[tuple[str, float, dict[str, Any]]] = [
    ("stale", 0.05, {"seconds": 1}),
    ("empty", 0.03, {}),
    ("empty", 0.02, {"status": 404}),
    ("empty", 0.02, {"body": {"data": []}}),
    ("error_before", 0.02, {}),
    ("close_before", 0.02, {}),
    ("truncate", 0.02, {}),
    ("html", 0.02, {"status": 502}),
]
OPTIONS_FAULTS: list[tuple[str, float, dict[str, Any]]] = [
    ("error_before", 0.05, {}),
    ("close_before", 0.05, {}),
    ("truncate", 0.05, {}),
    ("html", 0.05, {"status": 503}),
]
UNKNOWN_JOB = {"code": "RESOURCE_NOT_FOUND", "message": "job not found", "status": "error"}
JOB_STATUS_FAULTS: list[tuple[str, float, dict[str, Any]]] = [
    ("error_before", 0.05, {"status": 404, "body": UNKNOWN_JOB}),
    ("early", 0.1, {}),
    ("miscount", 0.05, {}),
    ("error_before", 0.05, {}),
]


def order_faults(zoho: Simulator, *, seed: int, late_share: float, late_seconds: float) -> None:
    """Order the faults from the simulator; late effects are late by so many seconds."""
    zoho.fail("convert", "late", share=late_share, times=None, seed=seed, seconds=late_seconds)
    kinds = {
        "convert": CONVERT_FAULTS,
        "leads_list": READ_FAULTS,
        "options": OPTIONS_FAULTS,
        "mass_status": JOB_STATUS_FAULTS,
    }
    for number, (on, faults) in enumerate(kinds.items()):
        for place, (do, share, more) in enumerate(faults):
            order = {"share": share, "times": None, "seed": seed + 100 * number + place + 1}
            zoho.fail(on, do, **order, **more)


def order_push_faults(zoho: Simulator, *, seed: int) -> None:
    """Order faults for the calls that write records and for those that settle what was lost."""
    writes = [fault for fault in CONVERT_FAULTS if fault[0] != "scheduled"]
    kinds = {
        **dict.fromkeys(["insert", "update", "upsert", "tags", "note_write", "upload"], writes),
        **dict.fromkeys(["coql", "notes", "attachments", "search"], OPTIONS_FAULTS),
    }
    for number, (on, faults) in enumerate(kinds.items()):
        for place, (do, share, more) in enumerate(faults):
            order = {"share": share, "times": None, "seed": seed + 100 * number + place + 1}
            zoho.fail(on, do, **order, **more)
