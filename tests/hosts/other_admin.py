"""URLs of a site whose admin has another name, and does not show connections."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.contrib.auth.models import Group
from django.urls import include, path

site = AdminSite(name="backoffice")
site.register(Group)
urlpatterns = [path("office/", site.urls), path("crm/", include("zoho_crm.urls"))]
