from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

import zoho_crm

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "zoho_crm"

HOST_SETTINGS = """
INSTALLED_APPS = [
    "zoho_crm",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "host.sqlite3"}}
SECRET_KEY = "of a host project"
STATIC_URL = "static/"
USE_TZ = True
"""

#: Prints from where a host project is served the files that are named on its command line.
SERVE = """
import sys

import django
from django.contrib.staticfiles import finders
from django.template.loader import get_template

django.setup()
for name in sys.argv[1:]:
    kind, _, relative = name.partition("/")
    served = get_template(relative).origin.name if kind == "templates" else finders.find(relative)
    print(served)
"""


def files_of_the_package() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, made by way of the sdist, from a copy so that nothing is left in the checkout."""
    source, wheels = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    shutil.copytree(PACKAGE, source / "zoho_crm", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    built = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", wheels, source],
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert "warning" not in built.stdout.lower()
    return next(wheels.glob("*.whl"))


@pytest.fixture(scope="module")
def host(wheel, tmp_path_factory):
    """Return a function that runs Python in a host project with an environment of its own."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "host_settings.py").write_text(HOST_SETTINGS)
    environment = folder / "venv"
    python = environment / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", python]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", wheel], check=True)
    # The dependencies come from where the tests run; what stands in a .pth there is not followed,
    # so the checkout stays out of sight.
    site_packages = next(environment.glob("lib/python*/site-packages"))
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [python, "-W", "error", *arguments],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "host_settings"},
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.stdout

    return run


def test_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())

    assert {name for name in held if ".dist-info/" not in name} == files_of_the_package()
    assert "zoho_crm/py.typed" in held


@pytest.mark.long
def test_wheel_passes_djangos_check_in_a_host_project_and_says_what_is_missing(host):
    answer = host("-m", "django", "check")

    assert "zoho_crm.W001" in answer


@pytest.mark.long
def test_wheel_serves_its_templates_and_static_files_in_a_host_project(host):
    names = sorted(
        name.removeprefix("zoho_crm/")
        for name in files_of_the_package()
        if name.startswith(("zoho_crm/templates/", "zoho_crm/static/"))
    )

    served = host("-c", SERVE, *names).splitlines()

    assert [path.rpartition("/site-packages/zoho_crm/")[2] for path in served] == names


def test_version_is_the_top_of_the_changelog():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    newest = re.search(r"^## (\S+)", changelog, re.MULTILINE)

    assert newest
    assert newest[1] == zoho_crm.__version__


def test_no_key_stands_in_both_configuration_files():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")

    in_setup = {key.replace("_", "-") for section in setup for key in setup[section]}

    assert set(setup.sections()) == {
        "metadata",
        "options",
        "options.packages.find",
        "options.package_data",
    }
    assert not in_setup & (project["project"].keys() - set(project["project"]["dynamic"]))
    assert "setuptools" not in project["tool"]
