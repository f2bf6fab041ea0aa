from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from zoho_crm import checks as checks  # importing them registers them


class ZohoCrmConfig(AppConfig):
    name = "zoho_crm"
    verbose_name = _("Zoho CRM")
    default_auto_field = "django.db.models.BigAutoField"
