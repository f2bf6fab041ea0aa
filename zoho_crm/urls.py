from __future__ import annotations

from django.urls import URLPattern

app_name = "zoho_crm"
urlpatterns: list[URLPattern] = []
