"""The ledger: every conversion that took effect, and every call that asked for one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from zoho_crm.simulator.clock import ledger_time


@dataclass(kw_only=True)
class Conversion:
    """One converted lead and the records it became."""

    lead_id: str
    contact_id: str | None
    account_id: str | None
    deal_id: str | None
    at: datetime
    via: str
    """``convert``, ``mass`` or ``elsewhere``."""
    request: Any = None

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "at": ledger_time(self.at)}


@dataclass(kw_only=True)
class ConvertCall:
    """One lead that a convert or mass convert call names; what has not happened is None."""

    lead_id: str
    received_at: datetime
    effect_at: datetime | None = None
    answered_at: datetime | None = None
    resolved_at: datetime | None = None
    """When no effect was outstanding any more: what is None here stays None."""
    code: str | None = None
    request: Any = None

    def as_json(self) -> dict[str, Any]:
        return {
            "lead_id": self.lead_id,
            "received_at": ledger_time(self.received_at),
            "effect_at": ledger_time(self.effect_at),
            "answered_at": ledger_time(self.answered_at),
            "resolved_at": ledger_time(self.resolved_at),
            "code": self.code,
            "request": self.request,
        }


@dataclass
class Ledger:
    """Append-only lists of conversions and calls, for tests to compare with their own tables."""

    conversions: list[Conversion] = field(default_factory=list)
    calls: list[ConvertCall] = field(default_factory=list)

    def add_calls(
        self, lead_ids: Iterable[str], received_at: datetime, request: Any
    ) -> tuple[ConvertCall, ...]:
        """Record a received call: one entry for each lead that it names."""
        calls = tuple(
            ConvertCall(lead_id=each, received_at=received_at, request=request) for each in lead_ids
        )
        self.calls += calls
        return calls

    def set_answer(
        self, calls: Iterable[ConvertCall], answered_at: datetime, code: str | None
    ) -> None:
        """Record when the call was answered, and the code of the answer."""
        for call in calls:
            call.answered_at, call.code = answered_at, code

    def set_resolved(self, calls: Iterable[ConvertCall], at: datetime) -> None:
        """Record that no effect of these entries is outstanding."""
        for call in calls:
            call.resolved_at = at

    def as_json(self) -> dict[str, Any]:
        return {
            "conversions": [conversion.as_json() for conversion in self.conversions],
            "calls": [call.as_json() for call in self.calls],
        }
