"""URLs of a site whose admin has another name, and shows connections."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.urls import include, path

from zoho_crm.admin import ConnectionAdmin
from zoho_crm.models import Connection

site = AdminSite(name="backoffice")
site.register(Connection, ConnectionAdmin)
urlpatterns = [path("office/", site.urls), path("crm/", include("zoho_crm.urls"))]
