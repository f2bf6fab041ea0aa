"""The routes under ``/_simulator/``: no token, no faults, not counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zoho_crm.simulator.calls import Answer, Call
from zoho_crm.simulator.settings import CLIENT_ID, CLIENT_SECRET
from zoho_crm.simulator.workbench import EVERYTHING, Workbench

Json = dict[str, Any]
PREFIX = "/_simulator/"


class BadOrderError(Exception):
    """The body of a control call cannot be used; the text says why."""


def answer(workbench: Workbench, call: Call) -> Answer:
    """Answer a control call."""
    action = ROUTES.get((call.method, call.path.removeprefix(PREFIX)))
    if action is None:
        known = ", ".join(f"{method} {PREFIX}{name}" for method, name in ROUTES)
        return Answer.json({"error": f"known here: {known}"}, status=404)
    try:
        return action(workbench, _body(call))
    except (BadOrderError, TypeError, ValueError) as error:
        return Answer.json({"error": str(error)}, status=400)


def _body(call: Call) -> Json:
    body = call.json() if call.body else {}
    if not isinstance(body, dict):
        raise BadOrderError("the body has to be a JSON object")
    return body


def _story(workbench: Workbench, body: Json) -> Answer:
    return Answer.json(workbench.stories())


def _grant_codes(workbench: Workbench, body: Json) -> Answer:
    seconds = body.get("seconds", 180)
    code = workbench.grant_code(body.get("scope", EVERYTHING), seconds=seconds)
    made = {"code": code, "expires_in": seconds}
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return Answer.json({**made, **client}, status=201)


def _stats(workbench: Workbench, body: Json) -> Answer:
    return Answer.json(workbench.stats())


def _ledger(workbench: Workbench, body: Json) -> Answer:
    return Answer.json(workbench.ledger())


def _faults(workbench: Workbench, body: Json) -> Answer:
    return Answer.json({"id": workbench.fail(**body).id}, status=201)


def _heal(workbench: Workbench, body: Json) -> Answer:
    workbench.heal()
    return Answer.nothing()


def _reset(workbench: Workbench, body: Json) -> Answer:
    workbench.reset(leads=body.get("leads"), seed=body.get("seed"))
    organisation = workbench.world.organisation
    return Answer.json({"org_id": organisation.id, "leads": len(workbench.stories())})


def _clock(workbench: Workbench, body: Json) -> Answer:
    if "advance_seconds" not in body:
        raise BadOrderError("advance_seconds is missing")
    workbench.advance(body["advance_seconds"])
    return Answer.json({"now": workbench.world.clock.now().isoformat()})


ROUTES: dict[tuple[str, str], Callable[[Workbench, Json], Answer]] = {
    ("GET", "story"): _story,
    ("POST", "grant-codes"): _grant_codes,
    ("GET", "stats"): _stats,
    ("GET", "ledger"): _ledger,
    ("POST", "faults"): _faults,
    ("DELETE", "faults"): _heal,
    ("POST", "reset"): _reset,
    ("POST", "clock"): _clock,
}
