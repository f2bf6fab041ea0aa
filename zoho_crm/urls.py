from __future__ import annotations

from django.urls import path

from zoho_crm import views

app_name = "zoho_crm"
urlpatterns = [
    path("oauth/connect/", views.start, name="connect"),
    path("oauth/callback/", views.callback, name="callback"),
    path("oauth/connected/<int:pk>/", views.connected, name="connected"),
]
