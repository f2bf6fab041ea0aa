"""URLs of a site without the admin, with a log-in page of its own."""

from __future__ import annotations

from django.contrib.auth.views import LoginView
from django.urls import include, path

urlpatterns = [
    path("accounts/login/", LoginView.as_view(), name="login"),
    path("crm/", include("zoho_crm.urls")),
]
