"""URLs of a site that has the language in all of its paths."""

from __future__ import annotations

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.urls import include, path

urlpatterns = i18n_patterns(
    path("admin/", admin.site.urls),
    path("crm/", include("zoho_crm.urls")),
)
