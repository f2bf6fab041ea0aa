from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from tests.admin.pages import Browser
from tests.kept import forget_metadata
from zoho_crm.services import usage


@pytest.fixture(autouse=True)
def clear_choices_cache() -> Iterator[None]:
    """Let no test see what another one has read of an organisation."""
    forget_metadata()
    yield
    forget_metadata()


@pytest.fixture(autouse=True)
def calls_are_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no request write what others have counted: on a slow machine it would be time to."""
    monkeypatch.setattr(usage, "MAX_SECONDS", 3600)
    monkeypatch.setattr(usage.counted_calls, "_taken", time.monotonic())


@pytest.fixture
def boss(db: None) -> User:
    """Create a superuser."""
    return User.objects.create_superuser("boss", password="secret")


@pytest.fixture
def browser(boss: User) -> Browser:
    """Sign the superuser in, with CSRF checks."""
    return sign_in(boss)


@pytest.fixture
def browser_as(db: None) -> Callable[..., Browser]:
    """Return a function that signs in a user with these permissions of the app only."""

    def one(*permissions: str, name: str = "pat", **options: Any) -> Browser:
        user, _created = User.objects.get_or_create(username=name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        return sign_in(user, **options)

    return one


def sign_in(user: User, **options: Any) -> Browser:
    client = Client(enforce_csrf_checks=True, **options)
    client.force_login(user)
    return Browser(client)
