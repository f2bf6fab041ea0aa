"""The admin: shows the rows that the app writes, and calls the services for what users ask."""

from __future__ import annotations

from django.contrib import admin

from zoho_crm.admin.connections import (
    ApiUsageAdmin,
    ConnectionAdmin,
    ConnectionEventAdmin,
)
from zoho_crm.admin.conversions import LeadConversionAdmin
from zoho_crm.admin.policies import PolicyAdmin
from zoho_crm.admin.runs import MassConversionAdmin
from zoho_crm.admin.tokens import TokenAdmin
from zoho_crm.models import (
    ApiUsage,
    Connection,
    ConnectionEvent,
    LeadConversion,
    MassConversion,
    Policy,
    Token,
)

__all__ = [
    "ApiUsageAdmin",
    "ConnectionAdmin",
    "ConnectionEventAdmin",
    "LeadConversionAdmin",
    "MassConversionAdmin",
    "PolicyAdmin",
    "TokenAdmin",
]

admin.site.register(ApiUsage, ApiUsageAdmin)
admin.site.register(Connection, ConnectionAdmin)
admin.site.register(ConnectionEvent, ConnectionEventAdmin)
admin.site.register(LeadConversion, LeadConversionAdmin)
admin.site.register(MassConversion, MassConversionAdmin)
admin.site.register(Policy, PolicyAdmin)
admin.site.register(Token, TokenAdmin)
