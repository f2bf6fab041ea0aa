from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client

from tests.admin.pages import Visitor


@pytest.fixture(autouse=True)
def no_choices_of_other_tests() -> Iterator[None]:
    """What an organisation offers is remembered by the connection's number, which repeats here."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def boss(db: None) -> User:
    """May do everything."""
    return User.objects.create_superuser("boss", password="secret")


@pytest.fixture
def visit(boss: User) -> Visitor:
    """The boss, in a browser that checks for forged requests."""
    return sign_in(boss)


@pytest.fixture
def visit_as(db: None) -> Callable[..., Visitor]:
    """Somebody with these permissions of ours, and no others."""

    def one(*permissions: str, name: str = "pat", **options: Any) -> Visitor:
        user, _created = User.objects.get_or_create(username=name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        return sign_in(user, **options)

    return one


def sign_in(user: User, **options: Any) -> Visitor:
    client = Client(enforce_csrf_checks=True, **options)
    client.force_login(user)
    return Visitor(client)
