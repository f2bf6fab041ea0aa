"""
A project with as little as the web flow needs, which connects in a process of its own.

Started with ``python -m tests.hosts.bare``; prints the page that is shown in the end.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import django
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client

from tests.admin.pages import Page
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Server, Simulator, SimulatorSettings

KEY = "c2ltdWxhdG9yLWtleS1mb3ItdGVzdHMtb25seS0wMDA="


def configure(simulator: Simulator) -> None:
    # Without an app of its own, Celery asks the environment; else it would use a broker's server.
    os.environ["CELERY_BROKER_URL"] = "memory://"
    settings.configure(
        SECRET_KEY="of a bare project",
        ALLOWED_HOSTS=["testserver"],
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "zoho_crm",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
        ],
        ROOT_URLCONF="tests.hosts.own_log_in",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        USE_TZ=True,
        ZOHO_CRM={
            "CLIENT_ID": CLIENT_ID,
            "CLIENT_SECRET": CLIENT_SECRET,
            "DATA_CENTER": "local",
            "ENCRYPTION_KEYS": [KEY],
            "LOCAL_URL": simulator.origin,
        },
    )
    django.setup()


def signed_in() -> Client:
    client = Client(enforce_csrf_checks=True)
    users: Any = get_user_model().objects
    client.force_login(users.create_superuser("ada"))
    return client


def main() -> None:
    settings_of_zoho = SimulatorSettings(leads=0, redirect_hosts=frozenset({"testserver"}))
    simulator = Simulator(settings_of_zoho)
    with Server(simulator):
        configure(simulator)
        call_command("check", fail_level="WARNING")
        call_command("migrate", verbosity=0)
        browser = signed_in()
        page = Page(browser.get("/crm/oauth/connect/").content.decode())
        form = page.form_with("Continue at Zoho")
        sent = browser.post(form.action, dict(form.values))
        shown = browser.get(simulator.consent(sent["Location"]), follow=True)
    sys.stdout.write(shown.content.decode())


if __name__ == "__main__":
    main()
