from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client

from tests.admin.pages import Browser


@pytest.fixture(autouse=True)
def clear_choices_cache() -> Iterator[None]:
    """Clear the choices of an organisation: they are cached by connection id, and ids repeat."""
    cache.clear()
    yield
    cache.clear()


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
