"""URLs of a site without the admin and without a log-in page."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("crm/", include("zoho_crm.urls"))]
