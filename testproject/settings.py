"""
Settings of the host project; what differs between machines is read from environment variables.

Without any of them it uses SQLite and a broker of plain files; no server is needed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import environ

from zoho_crm.conf import from_env

BASE_DIR = Path(__file__).resolve().parent.parent
RUN_DIR = BASE_DIR / ".run"

env = environ.Env()
TESTING = "PYTEST_VERSION" in env.ENVIRON

DEBUG = env.bool("DEBUG", default=True)
SECRET_KEY = env("SECRET_KEY", default="django-insecure-for-development-only")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = env.bool("HTTPS", default=False)

INSTALLED_APPS = [
    "zoho_crm",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "testproject.apps.TestProjectConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "testproject.urls"
WSGI_APPLICATION = "testproject.wsgi.application"
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
LOGIN_URL = "admin:login"
STATIC_URL = "static/"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

DATABASE_EXTRAS: dict[str, dict[str, Any]] = {
    "django.db.backends.sqlite3": {
        # With Django's defaults, threads that read and then write get "database is locked".
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
        },
        # Tests use a file too: a database in memory locks whole tables between threads. Each run
        # has one of its own.
        "TEST": {"NAME": RUN_DIR / f"test-{os.getpid()}.sqlite3"},
    },
    "django.db.backends.mysql": {
        "OPTIONS": {"charset": "utf8mb4"},
        "TEST": {"CHARSET": "utf8mb4"},
    },
}
#: Where the backends are that empty the tables faster between tests.
ENGINES_IN_TESTS = "tests.backends"


def database(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings from ``DATABASE_URL`` with the options that its engine needs."""
    extras = DATABASE_EXTRAS.get(given["ENGINE"], {})
    options = extras.get("OPTIONS", {}) | given.get("OPTIONS", {})
    if given["NAME"] == ":memory:":
        extras = {name: value for name, value in extras.items() if name != "TEST"}
    engine = given["ENGINE"]
    if TESTING:
        engine = engine.replace("django.db.backends", ENGINES_IN_TESTS)
    return extras | given | {"ENGINE": engine, "OPTIONS": options}


RUN_DIR.mkdir(exist_ok=True)
DATABASES = {
    "default": database(env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}"))
}
# A replica may be behind: in tests, one that fails shows that nothing of the app is read from it.
if TESTING:
    DATABASES["replica"] = {"ENGINE": "tests.replica"}
    DATABASE_ROUTERS = ["tests.routers.ReplicaRouter"]
CACHES = {"default": env.cache("CACHE_URL", default="locmemcache://")}

# In tests, messages must not stay in a folder where a later worker would find them.
CELERY_BROKER_URL = env("CELERY_BROKER_URL", default="memory://" if TESTING else "filesystem://")
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "filesystem": {
        "data_folder_in": str(RUN_DIR / "messages"),
        "data_folder_out": str(RUN_DIR / "messages"),
        "control_folder": str(RUN_DIR / "exchanges"),
        "polling_interval": 0.05,
    },
    "memory": {"polling_interval": 0.02},
}.get(CELERY_BROKER_URL.partition(":")[0], {})
# With a prefetch limit, a memory broker in one process stalls for seconds when it is reached.
CELERY_WORKER_PREFETCH_MULTIPLIER = 0 if CELERY_BROKER_URL.startswith("memory:") else 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
(RUN_DIR / "messages").mkdir(exist_ok=True)

ZOHO_CRM = from_env(env)
SILENCED_SYSTEM_CHECKS = env.list("SILENCED_SYSTEM_CHECKS", default=[])

# Hashing passwords is slow on purpose; a suite that signs in hundreds of times cannot wait.
if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
