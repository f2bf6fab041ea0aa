"""
Faults: simulated failures of the network and of Zoho.

A fault names the calls it applies to (``on``, perhaps ``lead_id``), what it does to them and how
often. It applies before the token of the call is checked.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import Any, Protocol

from zoho_crm.simulator import refusals
from zoho_crm.simulator.calls import Answer, Delivery
from zoho_crm.simulator.oauth.endpoints import THROTTLED
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]

#: The values of ``on``; ``any`` is these and every other call except control requests.
REQUEST_KINDS = (
    "exchange",
    "refresh",
    "revoke",
    "leads_get",
    "leads_list",
    "options",
    "convert",
    "mass_convert",
    "mass_status",
    "users",
    "org",
    "metadata",
    "records_get",
    "records_list",
    "search",
    "insert",
    "update",
    "delete",
    "upsert",
    "deleted",
    "count",
    "coql",
    "timeline",
    "bulk_create",
    "bulk_status",
    "bulk_result",
    "notes",
    "note_write",
    "attachments",
    "upload",
    "download",
    "related",
    "tags",
    "not_imitated",
    "deal_roles",
    "authorize",
    "serverinfo",
    "any",
)


@dataclass(kw_only=True)
class Fault:
    """One configured fault; `docs/simulator.md` says what each ``do`` does with its parameters."""

    on: str
    do: str
    times: int | None = 1
    """The number of calls, or None without limit."""
    share: float = 1.0
    """The fraction of matching calls; ``seed`` determines which ones."""
    seed: int = 0
    lead_id: str | None = None
    status: int | None = None
    body: Any = None
    seconds: float | None = None
    id: int = field(init=False, default_factory=count(1).__next__)
    _counts: Counter[str] = field(init=False, default_factory=Counter)

    def __post_init__(self) -> None:
        """
        Validate the parameters.

        :raises ValueError: for an unknown ``on`` or ``do``, a bad ``times`` or ``share``
        """
        if self.on not in REQUEST_KINDS:
            raise ValueError(f"on: {self.on!r} is none of {', '.join(REQUEST_KINDS)}")
        if self.do not in ACTIONS:
            raise ValueError(f"do: {self.do!r} is none of {', '.join(ACTIONS)}")
        if not (self.times is None or (type(self.times) is int and self.times >= 0)):
            raise ValueError("times: a number of calls, or null for ever")
        if not 0 <= self.share <= 1:
            raise ValueError("share: between 0 and 1")

    def triggers(self, context: RequestContext) -> bool:
        """Return whether the fault applies to the call; if so, count ``times`` down."""
        if self.on not in ("any", context.kind) or self.times == 0:
            return False
        if self.lead_id is not None and self.lead_id not in context.lead_ids:
            return False
        if not self._is_in_share(",".join(context.lead_ids)):
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def _is_in_share(self, key: str) -> bool:
        """
        Return whether the call is in the share.

        The nth call about a lead always gets the same result, in whatever order calls arrive.
        """
        self._counts[key] += 1
        digest = hashlib.sha256(f"{self.seed}:{key}:{self._counts[key]}".encode()).digest()
        return int.from_bytes(digest[:4], "big") < self.share * 2**32

    def seconds_or(self, default: float) -> float:
        return default if self.seconds is None else self.seconds

    def error_answer(self, default: Answer) -> Answer:
        """Return the default answer with the configured status and body."""
        if self.body is None:
            return replace(default, status=self.status or default.status)
        if isinstance(self.body, str):
            return Answer.text(self.body, status=self.status or default.status)
        return Answer.json(self.body, status=self.status or default.status)


class FaultTarget(Protocol):
    """The call that a fault applies to."""

    world: World
    context: RequestContext

    def process(self) -> Answer:
        """Admit the call, carry out its effect and return its answer, or the refusal."""

    def process_later(self, seconds: float) -> None:
        """
        Schedule the effect of the call; its answer will be discarded.

        :raises RefusedError: 401
        """


Action = Callable[[Fault, FaultTarget], Answer]


def _error_before(fault: Fault, target: FaultTarget) -> Answer:
    return fault.error_answer(refusals.internal_error().answer)


def _error_after(fault: Fault, target: FaultTarget) -> Answer:
    target.process()
    return fault.error_answer(refusals.internal_error().answer)


def _close_before(fault: Fault, target: FaultTarget) -> Answer:
    return Answer.closed()


def _close_after(fault: Fault, target: FaultTarget) -> Answer:
    target.process()
    return Answer.closed()


def _delay(fault: Fault, target: FaultTarget) -> Answer:
    return replace(target.process(), delay=fault.seconds_or(1))


def _late(fault: Fault, target: FaultTarget) -> Answer:
    target.process_later(fault.seconds_or(1))
    return Answer.closed()


def _stale(fault: Fault, target: FaultTarget) -> Answer:
    target.context.seen_at = target.context.now - timedelta(seconds=fault.seconds_or(3600))
    return target.process()


def _early(fault: Fault, target: FaultTarget) -> Answer:
    target.context.seen_at = target.context.now + timedelta(seconds=fault.seconds_or(3600))
    return target.process()


def _miscount(fault: Fault, target: FaultTarget) -> Answer:
    """Return a job status with a total that is too small by ten, as in one of Zoho's samples."""
    return target.process().with_objects(_less_in_total)


def _less_in_total(found: Json) -> Json:
    if "Total_Count" not in found:
        return found
    return {**found, "Total_Count": max(0, found["Total_Count"] - 10)}


def _unnamed(fault: Fault, target: FaultTarget) -> Answer:
    return target.process().with_objects(_without_details)


def _without_details(found: Json) -> Json:
    return {**found, "details": {}} if found.get("status") == "error" else found


def _amend(fault: Fault, target: FaultTarget) -> Answer:
    """Return the answer with other JSON texts at the paths that the body names."""
    answer = target.process()
    for path, text in (fault.body or {}).items():
        answer = answer.with_value(path, text)
    return answer


def _empty(fault: Fault, target: FaultTarget) -> Answer:
    if fault.status == 404 or fault.body in (404, "404"):
        return refusals.unknown_url().answer
    if fault.body in (None, "", 204, "204"):
        return Answer.no_content()
    return Answer.json(fault.body if isinstance(fault.body, dict) else {"data": []})


def _truncate(fault: Fault, target: FaultTarget) -> Answer:
    return replace(target.process(), delivery=Delivery.TRUNCATED)


def _html(fault: Fault, target: FaultTarget) -> Answer:
    status = fault.status or 502
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
    return fault.error_answer(Answer.text(page, status=status))


def _drip(fault: Fault, target: FaultTarget) -> Answer:
    part = Delivery.DRIP_HEAD if fault.body == "header" else Delivery.DRIP_BODY
    return replace(target.process(), delivery=part, pause=fault.seconds_or(0.05))


def _scheduled(fault: Fault, target: FaultTarget) -> Answer:
    """
    Return the 202 of a single conversion, which takes effect later; delay a mass convert job.

    https://github.com/zoho/crm-oas/tree/main/v8.0/convert
    """
    if target.context.kind == "mass_convert":
        target.context.job_delay = timedelta(seconds=fault.seconds_or(5))
        return target.process()
    target.process_later(fault.seconds_or(5))
    item = {
        "code": "SCHEDULED",
        "details": {"job_id": target.world.organisation.ids.next()},
        "message": "Convert lead scheduled successfully",
        "status": "success",
    }
    return Answer.json({"data": [item]}, status=202)


def _throttle(fault: Fault, target: FaultTarget) -> Answer:
    if target.context.kind in ("exchange", "refresh"):
        return fault.error_answer(Answer.json(THROTTLED))
    return fault.error_answer(refusals.too_many_requests().answer)


ACTIONS: dict[str, Action] = {
    "error_before": _error_before,
    "error_after": _error_after,
    "close_before": _close_before,
    "close_after": _close_after,
    "delay": _delay,
    "late": _late,
    "stale": _stale,
    "early": _early,
    "miscount": _miscount,
    "unnamed": _unnamed,
    "amend": _amend,
    "empty": _empty,
    "truncate": _truncate,
    "html": _html,
    "drip": _drip,
    "scheduled": _scheduled,
    "throttle": _throttle,
}
