"""
The HTTP client for Zoho CRM and Zoho Accounts: a method per endpoint, which returns values.

Token, origin, limits and deadlines are arguments: this package knows no Django model or setting.
Its modules are loaded when a name of theirs is first used, since most processes of a site never
call Zoho. So modules that each of them has import the package, and not a name from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoho_crm.types import late_names

if TYPE_CHECKING:
    from zoho_crm.client._accounts import AccountsClient, Credentials
    from zoho_crm.client._api import Api, ignore_call, may_have_arrived
    from zoho_crm.client._around import RecordClient
    from zoho_crm.client._checks import FieldRules, Purpose
    from zoho_crm.client._criteria import Criteria, field
    from zoho_crm.client._crm import MAX_USERS, ZohoClient
    from zoho_crm.client._leads import LEAD_FIELDS, LeadPage, convert_body
    from zoho_crm.client._mass import MAX_LEADS_PER_JOB, effect_body, job_body, refused_index
    from zoho_crm.client._metadata import (
        RECHECK_SECONDS,
        Layout,
        Metadata,
        MetadataStore,
        Module,
        ModuleField,
        Role,
        Tag,
        fields_part,
    )
    from zoho_crm.client._names import field_name, module_name, record_id
    from zoho_crm.client._pages import MAX_IDS_PER_CALL, MAX_RECORDS_PER_CALL, is_endless
    from zoho_crm.client._records import RecordsClient
    from zoho_crm.client._transport import (
        Limits,
        TokenAuth,
        ZohoAuth,
        is_tls_error,
        open_session,
        sending_only_if,
    )
    from zoho_crm.client._writes import WriteResult, adds_rows, record_values

__all__ = [
    "LEAD_FIELDS",
    "MAX_IDS_PER_CALL",
    "MAX_LEADS_PER_JOB",
    "MAX_RECORDS_PER_CALL",
    "MAX_USERS",
    "RECHECK_SECONDS",
    "AccountsClient",
    "Api",
    "Credentials",
    "Criteria",
    "FieldRules",
    "Layout",
    "LeadPage",
    "Limits",
    "Metadata",
    "MetadataStore",
    "Module",
    "ModuleField",
    "Purpose",
    "RecordClient",
    "RecordsClient",
    "Role",
    "Tag",
    "TokenAuth",
    "WriteResult",
    "ZohoAuth",
    "ZohoClient",
    "adds_rows",
    "convert_body",
    "field",
    "field_name",
    "fields_part",
    "refused_index",
    "effect_body",
    "job_body",
    "open_session",
    "ignore_call",
    "may_have_arrived",
    "module_name",
    "record_id",
    "record_values",
    "sending_only_if",
    "is_endless",
    "is_tls_error",
]

if not TYPE_CHECKING:  # a type checker knows the names above, and refuses others
    __getattr__ = late_names(
        __name__,
        {
            "_accounts": "AccountsClient Credentials",
            "_api": "Api ignore_call may_have_arrived",
            "_around": "RecordClient",
            "_checks": "FieldRules Purpose",
            "_criteria": "Criteria field",
            "_crm": "MAX_USERS ZohoClient",
            "_leads": "LEAD_FIELDS LeadPage convert_body",
            "_mass": "MAX_LEADS_PER_JOB effect_body job_body refused_index",
            "_metadata": "RECHECK_SECONDS Layout Metadata MetadataStore Module ModuleField Role Tag"
            " fields_part",
            "_names": "field_name module_name record_id",
            "_pages": "MAX_IDS_PER_CALL MAX_RECORDS_PER_CALL is_endless",
            "_records": "RecordsClient",
            "_transport": "Limits TokenAuth ZohoAuth is_tls_error open_session sending_only_if",
            "_writes": "WriteResult adds_rows record_values",
        },
    )
