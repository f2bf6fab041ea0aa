from __future__ import annotations

from django.contrib import admin
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import include, path

from testproject.views import front_page, no_icon

urlpatterns = [
    path("", front_page, name="front-page"),
    path("favicon.ico", no_icon),
    path("admin/", admin.site.urls),
    path("zoho/", include("zoho_crm.urls")),
    *staticfiles_urlpatterns(),
]
