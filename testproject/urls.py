from __future__ import annotations

from django.contrib import admin
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("zoho/", include("zoho_crm.urls")),
    *staticfiles_urlpatterns(),
]
