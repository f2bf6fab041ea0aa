"""Remember: connections and their tokens, the life of each lead, and who works on what."""

from __future__ import annotations

from zoho_crm.models._connection import (
    AuthorizationRequest,
    Connection,
    ConnectionEvent,
    Token,
)
from zoho_crm.models._conversion import LeadConversion, LeadConversionEvent
from zoho_crm.models._moves import STEPS, Move
from zoho_crm.models._time import DbNow, from_now
from zoho_crm.models._work import ConnectionWork

__all__ = [
    "STEPS",
    "AuthorizationRequest",
    "Connection",
    "ConnectionEvent",
    "ConnectionWork",
    "DbNow",
    "LeadConversion",
    "LeadConversionEvent",
    "Move",
    "Token",
    "from_now",
]
