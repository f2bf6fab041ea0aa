"""The tables: connections and tokens, lead conversions, mass conversions, work state, API usage."""

from __future__ import annotations

from zoho_crm.models._connection import (
    AuthorizationRequest,
    Connection,
    ConnectionEvent,
    EncryptedModel,
    GrantModel,
    SdkFailure,
    SdkToken,
    Token,
)
from zoho_crm.models._conversion import REFUSED_FIELD, LeadConversion, LeadConversionEvent
from zoho_crm.models._database import (
    atomic,
    batches,
    database,
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
from zoho_crm.models._time import from_now, holds
from zoho_crm.models._usage import ApiUsage
from zoho_crm.models._work import ConnectionWork

__all__ = [
    "IN_PROGRESS",
    "REFUSED_FIELD",
    "ApiUsage",
    "AuthorizationRequest",
    "Connection",
    "ConnectionEvent",
    "ConnectionWork",
    "EncryptedModel",
    "LeadConversion",
    "LeadConversionEvent",
    "MassConversion",
    "MassConversionJob",
    "MassConversionLine",
    "Policy",
    "GrantModel",
    "SdkFailure",
    "SdkToken",
    "Token",
    "atomic",
    "batches",
    "database",
    "from_now",
    "holds",
    "non_atomic_requests",
    "with_users",
]
