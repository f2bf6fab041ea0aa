"""What a demo asks of its Zoho beside the API: who the leads are, a fault, the books."""

from __future__ import annotations

from typing import Any

import requests

TIMEOUT_SECONDS = 30


def lead_ids(origin: str) -> list[str]:
    """Return the leads that a story was written for."""
    return [entry["lead_id"] for entry in _call("GET", f"{origin}/_simulator/story")]


def lose_answer(origin: str, lead_id: str) -> None:
    """Have the next conversion of this lead happen, and its answer get lost."""
    fault = {"on": "convert", "do": "close_after", "lead_id": lead_id}
    _call("POST", f"{origin}/_simulator/faults", json=fault)


def refuse(origin: str, lead_id: str) -> None:
    """Have the next conversion of this lead refused, as if somebody had locked its contact."""
    body = {
        "code": "RECORD_LOCKED",
        "details": {"api_name": "Contacts"},
        "message": "the record is locked",
        "status": "error",
    }
    fault = {"on": "convert", "do": "error_before", "lead_id": lead_id, "status": 400}
    _call("POST", f"{origin}/_simulator/faults", json={**fault, "body": body})


def ledger(origin: str) -> dict[str, Any]:
    """Return what truly happened."""
    books: dict[str, Any] = _call("GET", f"{origin}/_simulator/ledger")
    return books


def _call(method: str, url: str, **more: Any) -> Any:
    with requests.Session() as session:
        session.trust_env = False
        response = session.request(method, url, timeout=TIMEOUT_SECONDS, **more)
        response.raise_for_status()
        return response.json()
