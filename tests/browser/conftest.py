from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from playwright.sync_api import Browser, Page

from testproject.demo.server import serve_site
from tests.browser.browsers import Window, chromium
from tests.browser.policy import ContentSecurityPolicy
from zoho_crm.contrib.pytest import new_simulator, settings_for
from zoho_crm.models import Connection
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Server, Simulator

# Playwright runs an event loop in the thread of the tests, in which Django would refuse to query.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pictures", type=Path, metavar="FOLDER", help="write a picture of each screen there"
    )


@pytest.fixture(scope="session")
def pictures(request: pytest.FixtureRequest) -> Path | None:
    """Return the folder for pictures, if some are wanted."""
    folder: Path | None = request.config.getoption("--pictures")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the browser, once."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def address(django_db_setup: None) -> Iterator[str]:
    """Serve the site with the strict policy; return its URL."""
    policy = f"{ContentSecurityPolicy.__module__}.{ContentSecurityPolicy.__qualname__}"
    with override_settings(MIDDLEWARE=[*django_settings.MIDDLEWARE, policy]):
        handler = WSGIHandler()
    with serve_site(0, site=handler) as url:
        yield url


@pytest.fixture
def zoho(settings: Any) -> Iterator[Simulator]:
    """Return an empty simulator with a server; the durations are those of a real site."""
    simulator = new_simulator()
    cache.clear()
    with Server(simulator):
        settings.ZOHO_CRM = settings_for(simulator)
        yield simulator


@pytest.fixture
def boss(transactional_db: None) -> User:
    """Create a superuser."""
    return User.objects.create_superuser("boss", password="secret")


@pytest.fixture
def connection(boss: User, zoho: Simulator) -> Connection:
    """Connect to the simulated Zoho."""
    return with_grant_code(code=zoho.grant_code(), data_center="local")


@pytest.fixture
def window(browser: Browser, address: str, boss: User, zoho: Simulator) -> Iterator[Window]:
    """Open the superuser's window; in the end its browser must have had nothing to complain of."""
    opened = Window(browser, address, boss)
    yield opened
    opened.close()
    assert not opened.complaints


@pytest.fixture
def page(window: Window) -> Page:
    """Open a tab of the superuser."""
    return window.tab()
