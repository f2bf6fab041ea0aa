"""For which connections a user has a permission."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.backends import BaseBackend, ModelBackend, RemoteUserBackend
from django.contrib.auth.models import AnonymousUser, Permission, User

from tests.object_permissions import (
    DJANGOS,
    LISTING,
    PATH,
    ListedPermissions,
    ObjectPermissions,
    give,
)
from zoho_crm.models import Connection, LeadConversion, Policy, Token
from zoho_crm.services.access import (
    Access,
    Permissions,
    access_of,
    connection_column,
    lists_permissions,
)

pytestmark = pytest.mark.django_db

SEE, PREVIEW = "view_leadconversion", "preview_leadconversion"


@pytest.fixture(autouse=True, params=[PATH, LISTING])
def backend(request: pytest.FixtureRequest, object_permissions: None, settings: Any) -> None:
    settings.AUTHENTICATION_BACKENDS = [DJANGOS, request.param]


@pytest.fixture
def north() -> Connection:
    return Connection.objects.create(name="North", org_id="1", data_center="us")


@pytest.fixture
def south() -> Connection:
    return Connection.objects.create(name="South", org_id="2", data_center="us")


@pytest.fixture
def pat(north: Connection, south: Connection) -> User:
    """May see the leads of the North, and preview those of all."""
    user = User.objects.create(username="pat")
    user.user_permissions.add(Permission.objects.get(codename=PREVIEW))
    give(user, {SEE}, north)
    return user


def test_a_permission_for_one_connection(pat: User, north: Connection, south: Connection) -> None:
    access = access_of(pat)

    assert not access.everywhere(SEE)
    assert access.somewhere(SEE)
    assert access.connection_ids(SEE) == {north.pk}
    assert access.of(north, SEE)
    assert not access.of(south, SEE)


def test_a_permission_for_all_connections(pat: User, north: Connection, south: Connection) -> None:
    access = access_of(pat)

    assert access.everywhere(PREVIEW)
    assert access.connection_ids(PREVIEW) is None
    assert access.of(south, SEE, PREVIEW)
    assert access.wherever((SEE,), (PREVIEW,))
    assert not access.wherever((PREVIEW,), (SEE,))


def test_a_record_is_of_its_connection(pat: User, north: Connection, south: Connection) -> None:
    access = access_of(pat)
    rows = [LeadConversion(connection=each, lead_id="1") for each in (north, south)]

    assert [access.of(row, SEE) for row in rows] == [True, False]
    assert [access.of(row.connection_id, SEE) for row in rows] == [True, False]
    assert not access.of(0, SEE)
    assert not access.of(Policy(name="own"), SEE)


def test_rows_are_those_of_the_connections(pat: User, north: Connection, south: Connection) -> None:
    for each in (north, south):
        LeadConversion.objects.create(connection=each, lead_id="1")
    access = access_of(pat)
    rows = LeadConversion.objects.order_by("pk")

    assert [row.connection for row in access.limit(rows, SEE)] == [north]
    assert access.limit(rows, SEE, PREVIEW).count() == 2
    assert not access.limit(rows, "view_token").exists()
    assert list(access.limit(Connection.objects.all(), SEE)) == [north]


def test_who_has_nothing_may_do_nothing(north: Connection) -> None:
    for user in (AnonymousUser(), User.objects.create(username="kim")):
        access = access_of(user)

        assert not access.somewhere(SEE)
        assert not access.of(north, SEE)


def test_who_was_dismissed_may_do_nothing(pat: User, north: Connection) -> None:
    pat.is_active = False

    assert not access_of(pat).of(north, SEE, PREVIEW)


def test_a_superuser_may_do_all(north: Connection) -> None:
    boss = User.objects.create_superuser("boss")

    assert access_of(boss).connection_ids(SEE) is None


def test_templates_ask_by_name(pat: User, north: Connection, south: Connection) -> None:
    access = access_of(pat)

    assert Permissions(access)[SEE]
    assert Permissions(access, north)[SEE]
    assert not Permissions(access, south)[SEE]


def test_the_answers_stay_with_the_user(pat: User) -> None:
    assert access_of(pat) is access_of(pat)
    assert access_of(User.objects.get(pk=pat.pk)) is not access_of(pat)


@pytest.mark.parametrize(
    ("model", "column"),
    [(Connection, "pk"), (Token, "connection"), (LeadConversion, "connection"), (Policy, "")],
)
def test_the_column_of_the_connection(model: Any, column: str) -> None:
    assert connection_column(model) == column


def test_a_backend_without_permissions_of_objects_is_enough(
    settings: Any, pat: User, north: Connection
) -> None:
    settings.AUTHENTICATION_BACKENDS = [DJANGOS]

    access = Access(pat)

    assert access.of(north, PREVIEW)
    assert not access.somewhere(SEE)


class OwnRule(ModelBackend):
    """A backend with a rule of its own, which it lists nowhere."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        return obj is not None


class Boss(AnonymousUser):
    """A user with a rule of its own."""

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return True


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (User, True),
        (AnonymousUser, True),
        (ModelBackend, True),
        (BaseBackend, True),
        (RemoteUserBackend, True),
        (ListedPermissions, True),
        (ObjectPermissions, False),
        (OwnRule, False),
        (Boss, False),
    ],
)
def test_only_what_is_listed_completely_is_read_from_the_list(kind: type, expected: bool) -> None:
    assert lists_permissions(kind) is expected


def test_a_rule_that_is_listed_nowhere_counts(settings: Any, pat: User, south: Connection) -> None:
    settings.AUTHENTICATION_BACKENDS = [DJANGOS, f"{__name__}.OwnRule"]

    assert access_of(pat).of(south, SEE)


def test_what_can_be_listed_is_asked_once_for_each_connection(
    settings: Any,
    pat: User,
    north: Connection,
    south: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.AUTHENTICATION_BACKENDS = [DJANGOS, LISTING]
    asked: list[Any] = []
    original = ListedPermissions.get_all_permissions

    def get_all_permissions(self: Any, user: Any, obj: Any = None) -> set[str]:
        asked.append(obj)
        return original(self, user, obj)

    monkeypatch.setattr(ListedPermissions, "get_all_permissions", get_all_permissions)
    access = access_of(pat)

    for name in (SEE, "view_token", "run_massconversion"):
        access.connection_ids(name)
        access.of(north, name)

    assert sorted(map(str, filter(None, asked))) == ["North", "South"]
