"""
The HTTP client for Zoho CRM and Zoho Accounts: a method per endpoint, which returns values.

Token, origin, limits and deadlines are arguments: this package knows no Django model or setting.
"""

from __future__ import annotations

from zoho_crm.client._accounts import AccountsClient, Credentials
from zoho_crm.client._api import Api, ignore_call
from zoho_crm.client._auth import TokenAuth, ZohoAuth
from zoho_crm.client._convert import convert_body
from zoho_crm.client._criteria import Criteria, field
from zoho_crm.client._crm import MAX_USERS, ZohoClient
from zoho_crm.client._leads import LEAD_FIELDS, LeadPage, is_endless
from zoho_crm.client._mass import MAX_LEADS_PER_JOB, effect_body, job_body, refused_index
from zoho_crm.client._records import RecordsClient
from zoho_crm.client._transport import Limits, open_session
from zoho_crm.client._writes import WriteResult

__all__ = [
    "LEAD_FIELDS",
    "MAX_LEADS_PER_JOB",
    "MAX_USERS",
    "AccountsClient",
    "Api",
    "Credentials",
    "Criteria",
    "LeadPage",
    "Limits",
    "RecordsClient",
    "TokenAuth",
    "WriteResult",
    "ZohoAuth",
    "ZohoClient",
    "convert_body",
    "field",
    "refused_index",
    "effect_body",
    "job_body",
    "open_session",
    "ignore_call",
    "is_endless",
]
