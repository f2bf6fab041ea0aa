"""What a process loads with the app: nothing that only a command or another bridge needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import zoho_crm
from zoho_crm import client, forms

PACKAGE = Path(zoho_crm.__file__).parent
#: Modules that neither a web process nor a worker needs, with all that is in them.
NEVER_NEEDED = (
    "zoho_crm.simulator",
    "zoho_crm.management",
    "zoho_crm.contrib",
    # What the first call to Zoho, and the first page with a form, loads.
    *(
        f"zoho_crm.{package}.{path.stem}"
        for package in ("client", "forms")
        for path in (PACKAGE / package).glob("_[a-z]*.py")
    ),
    # Pages of the admin besides its lists and records.
    *(
        f"zoho_crm.admin.{page}"
        for page in (
            *("connect_wizard", "simulator_panel", "conversion_pages", "outbox_decision"),
            *("run_prepare", "run_review", "run_start", "host_leads"),
        )
    ),
    "zoho_crm.services.doctor",
    "zoho_crm.services.token_sources",
    "zoho_crm.services.import_tokens",
    "zoho_crm.services.export_tokens",
    # A worker loads these with its first work.
    *(f"zoho_crm.services.work.{name}" for name in ("_loop", "_mass_jobs", "preview_leads")),
    # What a person asks for loads these.
    *(f"zoho_crm.services.mass_convert.{name}" for name in ("_control", "_estimates", "_export")),
    "pytest",
    "environ",
)
#: What only a process needs that serves the admin.
ADMIN = ("zoho_crm.admin", "zoho_crm.forms", "zoho_crm.views", "django.contrib.admin")

PROGRAM = """
import sys
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=sys.argv[1].split(","),
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    SECRET_KEY="none", USE_TZ=True,
)
django.setup()
if "django.contrib.admin" in sys.argv[1]:
    from django.contrib import admin
    import zoho_crm.urls
    admin.site.urls
import zoho_crm.shortcuts, zoho_crm.tasks
print(*sys.modules)
"""
APPS = "zoho_crm,django.contrib.auth,django.contrib.contenttypes,django.contrib.sessions"

MODELS_OF_A_HOST = """
from django.db import models
from zoho_crm import shortcuts, tasks
from zoho_crm.services import bulk, outbox
from zoho_crm.services.outbox import many

class Enquiry(models.Model):
    email = models.EmailField()

    class Meta:
        app_label = "shop"

    def save(self, **options):
        super().save(**options)
        shortcuts.push_record(module="Leads", key=f"enquiry-{self.pk}", values={})
"""


def loaded(apps: str) -> list[str]:
    """Return the modules of a process with these apps, the app's tasks and its shortcuts."""
    program = [sys.executable, "-c", PROGRAM, apps]
    return subprocess.run(program, capture_output=True, text=True, check=True).stdout.split()


def within(modules: list[str], packages: tuple[str, ...]) -> list[str]:
    return [name for name in modules if any(f"{name}.".startswith(f"{each}.") for each in packages)]


@pytest.mark.slow
def test_what_no_site_needs_is_not_loaded() -> None:
    assert not within(loaded(f"{APPS},django.contrib.messages,django.contrib.admin"), NEVER_NEEDED)


@pytest.mark.slow
def test_without_the_admin_nothing_of_it_is_loaded() -> None:
    assert not within(loaded(APPS), (*NEVER_NEEDED, *ADMIN))


@pytest.mark.slow
def test_the_models_of_a_host_may_import_shortcuts_and_services(tmp_path: Path) -> None:
    host = tmp_path / "shop"
    host.mkdir()
    (host / "__init__.py").touch()
    (host / "models.py").write_text(MODELS_OF_A_HOST)
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    program = [sys.executable, "-c", PROGRAM, f"shop,{APPS}"]

    ended = subprocess.run(
        program, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )

    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("package", [client, forms], ids=["client", "forms"])
def test_a_package_that_is_loaded_late_has_all_its_names(package: ModuleType) -> None:
    assert [name for name in package.__all__ if not hasattr(package, name)] == []
    with pytest.raises(AttributeError, match="'other'"):
        package.other  # noqa: B018
