"""A client of the simulator's control API: story, faults and ledger."""

from __future__ import annotations

from typing import Any

import requests

TIMEOUT_SECONDS = 30


def lead_ids(origin: str) -> list[str]:
    """Return the ids of the leads that the simulator began with."""
    return [entry["lead_id"] for entry in _call("GET", f"{origin}/_simulator/story")]


def lose_answer(origin: str, lead_id: str) -> None:
    """Make the next conversion of this lead succeed without an answer."""
    fault = {"on": "convert", "do": "close_after", "lead_id": lead_id}
    _call("POST", f"{origin}/_simulator/faults", json=fault)


def refuse(origin: str, lead_id: str) -> None:
    """Make the next conversion of this lead fail as if its contact were locked."""
    body = {
        "code": "RECORD_LOCKED",
        "details": {"api_name": "Contacts"},
        "message": "the record is locked",
        "status": "error",
    }
    fault = {"on": "convert", "do": "error_before", "lead_id": lead_id, "status": 400}
    _call("POST", f"{origin}/_simulator/faults", json={**fault, "body": body})


def ledger(origin: str) -> dict[str, Any]:
    """Return the simulator's ledger: all conversions and calls."""
    found: dict[str, Any] = _call("GET", f"{origin}/_simulator/ledger")
    return found


def _call(method: str, url: str, **more: Any) -> Any:
    with requests.Session() as session:
        session.trust_env = False
        response = session.request(method, url, timeout=TIMEOUT_SECONDS, **more)
        response.raise_for_status()
        return response.json()
