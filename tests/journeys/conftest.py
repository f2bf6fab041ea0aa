from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client


@pytest.fixture
def employ(db: None) -> Callable[..., User]:
    """Give somebody a desk in the admin: ``employ("pat", "connect_connection")``."""

    def employ_one(name: str, *permissions: str) -> User:
        user = User.objects.create_user(name, password="secret", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        return user

    return employ_one


@pytest.fixture
def sit_down() -> Callable[[User], Client]:
    """Log somebody in, in a browser of their own."""

    def sit_down_one(user: User, **options: Any) -> Client:
        browser = Client(**options)
        browser.force_login(user)
        return browser

    return sit_down_one
