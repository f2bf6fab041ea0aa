"""A real browser, and the people who use it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

MAX_WAIT_MILLISECONDS = 30_000


@contextmanager
def chromium() -> Iterator[Browser]:
    """
    Start Debian's Chromium.

    :raises LookupError: if it is not installed
    """
    program = shutil.which("chromium")
    if not program:
        raise LookupError("There is no browser: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


class Window:
    """A window of a signed-in user, or of a stranger; keeps what the browser complains of."""

    def __init__(self, browser: Browser, address: str, user: User | None, **options: Any) -> None:
        self.address = address
        self.complaints: list[str] = []
        options = {"viewport": {"width": 1280, "height": 900}, **options}
        self.context: BrowserContext = browser.new_context(base_url=address, **options)
        self.context.set_default_timeout(MAX_WAIT_MILLISECONDS)
        self.context.on("console", self._hear)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        if user:
            self.context.add_cookies([session_cookie(user, address)])

    def tab(self) -> Page:
        """Open a tab."""
        return self.context.new_page()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.page.url if message.page else '?'}: {message.text}")

    def close(self) -> None:
        self.context.close()


def session_cookie(user: User, address: str) -> Any:
    """Sign a user in and return the cookie of the session."""
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    return {"name": name, "value": client.cookies[name].value, "url": address}
