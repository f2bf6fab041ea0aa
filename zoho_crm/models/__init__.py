"""
The tables: connections and tokens, lead conversions, mass conversions, the outbox, work state, API
usage.
"""

from __future__ import annotations

from zoho_crm.models._at_hand import connections_at_hand, tokens_at_hand
from zoho_crm.models._connection import (
    AuthorizationRequest,
    Connection,
    ConnectionEvent,
    EncryptedModel,
    EnteredClient,
    GrantModel,
    SdkFailure,
    SdkToken,
    Token,
)
from zoho_crm.models._conversion import (
    REFUSED_FIELD,
    LeadConversion,
    LeadConversionEvent,
    ZohoLead,
)
from zoho_crm.models._database import (
    atomic,
    batches,
    database,
    from_now,
    holds,
    non_atomic_requests,
    with_users,
)
from zoho_crm.models._mass import (
    MassConversion,
    MassConversionJob,
    MassConversionLine,
    Policy,
)
from zoho_crm.models._moves import IN_PROGRESS
from zoho_crm.models._outbox import OutboxRecord, OutboxRecordEvent
from zoho_crm.models._selection import Selection
from zoho_crm.models._work import ApiUsage, ConnectionWork

__all__ = [
    "IN_PROGRESS",
    "REFUSED_FIELD",
    "ApiUsage",
    "AuthorizationRequest",
    "Connection",
    "ConnectionEvent",
    "ConnectionWork",
    "EncryptedModel",
    "EnteredClient",
    "LeadConversion",
    "LeadConversionEvent",
    "MassConversion",
    "MassConversionJob",
    "MassConversionLine",
    "OutboxRecord",
    "OutboxRecordEvent",
    "Policy",
    "GrantModel",
    "SdkFailure",
    "SdkToken",
    "Selection",
    "Token",
    "ZohoLead",
    "atomic",
    "batches",
    "connections_at_hand",
    "database",
    "from_now",
    "holds",
    "non_atomic_requests",
    "tokens_at_hand",
    "with_users",
]
