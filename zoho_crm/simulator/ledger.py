"""What truly happened: every conversion, and every call that asked for one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from zoho_crm.simulator.clock import ledger_time


@dataclass(kw_only=True)
class Conversion:
    """A lead has become a contact, and perhaps an account and a deal."""

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
    """One lead that a call names to be converted; what did not happen stays None."""

    lead_id: str
    received_at: datetime
    effect_at: datetime | None = None
    answered_at: datetime | None = None
    resolved_at: datetime | None = None
    """From then on it is certain: what did not happen will not happen any more."""
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
    """Append-only; compare your own tables with it."""

    conversions: list[Conversion] = field(default_factory=list)
    calls: list[ConvertCall] = field(default_factory=list)

    def add_calls(
        self, lead_ids: Iterable[str], received_at: datetime, request: Any
    ) -> tuple[ConvertCall, ...]:
        """Write down that a call has come in, once for each lead that it names."""
        calls = tuple(
            ConvertCall(lead_id=each, received_at=received_at, request=request) for each in lead_ids
        )
        self.calls += calls
        return calls

    def set_answer(
        self, calls: Iterable[ConvertCall], answered_at: datetime, code: str | None
    ) -> None:
        """Write down what the call was answered, and when."""
        for call in calls:
            call.answered_at, call.code = answered_at, code

    def set_resolved(self, calls: Iterable[ConvertCall], at: datetime) -> None:
        """Write down that nothing of these calls is still to happen."""
        for call in calls:
            call.resolved_at = at

    def as_json(self) -> dict[str, Any]:
        return {
            "conversions": [conversion.as_json() for conversion in self.conversions],
            "calls": [call.as_json() for call in self.calls],
        }
