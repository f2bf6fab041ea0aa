"""The admin: shows the rows that the app writes, and calls the services for what users ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from zoho_crm.admin.connections import (
    ApiUsageAdmin,
    ConnectionAdmin,
    ConnectionEventAdmin,
)
from zoho_crm.admin.conversions import LeadConversionAdmin
from zoho_crm.admin.lead_browser import ZohoLeadAdmin
from zoho_crm.admin.outbox import OutboxRecordAdmin
from zoho_crm.admin.policies import PolicyAdmin
from zoho_crm.admin.runs import MassConversionAdmin
from zoho_crm.admin.tokens import TokenAdmin
from zoho_crm.models import (
    ApiUsage,
    Connection,
    ConnectionEvent,
    LeadConversion,
    MassConversion,
    OutboxRecord,
    Policy,
    Token,
    ZohoLead,
)
from zoho_crm.types import late_names

if TYPE_CHECKING:
    from zoho_crm.admin.host_leads import LeadAdminMixin

__all__ = [
    "ApiUsageAdmin",
    "ConnectionAdmin",
    "ConnectionEventAdmin",
    "LeadAdminMixin",
    "LeadConversionAdmin",
    "MassConversionAdmin",
    "OutboxRecordAdmin",
    "PolicyAdmin",
    "TokenAdmin",
    "ZohoLeadAdmin",
]

admin.site.register(ApiUsage, ApiUsageAdmin)
admin.site.register(Connection, ConnectionAdmin)
admin.site.register(ConnectionEvent, ConnectionEventAdmin)
admin.site.register(LeadConversion, LeadConversionAdmin)
admin.site.register(MassConversion, MassConversionAdmin)
admin.site.register(OutboxRecord, OutboxRecordAdmin)
admin.site.register(Policy, PolicyAdmin)
admin.site.register(Token, TokenAdmin)
admin.site.register(ZohoLead, ZohoLeadAdmin)

if not TYPE_CHECKING:  # only the admin of a host's own leads needs it
    __getattr__ = late_names(__name__, {"host_leads": "LeadAdminMixin"})
