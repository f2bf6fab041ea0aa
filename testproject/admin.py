"""The host's own model in the admin, with previews and conversions at Zoho."""

from __future__ import annotations

from django.contrib import admin

from testproject.models import Enquiry
from zoho_crm.admin import LeadAdminMixin


@admin.register(Enquiry)
class EnquiryAdmin(LeadAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    zoho_lead_id_field = "zoho_lead_id"
    zoho_email_field = "email"
    list_display = ("name", "company", "email", "zoho_status")
    search_fields = ("name", "company", "email")

    def zoho_values(self, row: Enquiry) -> dict[str, str]:
        return row.as_lead()
