"""The admin shows what the app wrote, asks people what they want, and hands over to a service."""

from __future__ import annotations

from django.contrib import admin

from zoho_crm.admin._connections import ConnectionAdmin
from zoho_crm.admin._conversions import LeadConversionAdmin
from zoho_crm.admin._tokens import ConnectionEventAdmin, TokenAdmin
from zoho_crm.models import Connection, ConnectionEvent, LeadConversion, Token

__all__ = ["ConnectionAdmin", "ConnectionEventAdmin", "LeadConversionAdmin", "TokenAdmin"]

admin.site.register(Connection, ConnectionAdmin)
admin.site.register(ConnectionEvent, ConnectionEventAdmin)
admin.site.register(LeadConversion, LeadConversionAdmin)
admin.site.register(Token, TokenAdmin)
