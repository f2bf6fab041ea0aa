"""A backend with permissions of objects, such as that of django-guardian."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AnonymousUser, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

DJANGOS = "django.contrib.auth.backends.ModelBackend"
PATH = f"{__name__}.ObjectPermissions"
LISTING = f"{__name__}.ListedPermissions"
QUERYING = f"{__name__}.QueryingPermissions"


class ObjectPermissions:
    """
    Answers for objects only, and only with permissions of their own type, as django-guardian.

    What is given stays in the process, so that asking takes no query.
    """

    given: ClassVar[set[tuple[int, str, int]]] = set()

    def authenticate(self, request: Any, **credentials: Any) -> None:
        return None

    def has_perm(self, user: User | AnonymousUser, perm: str, obj: Model | None = None) -> bool:
        if obj is None or user.pk is None or not user.is_active:
            return False
        app_label, codename = perm.split(".")
        if app_label != obj._meta.app_label:
            raise ValueError(f"{perm} is no permission of the app of {obj}")
        return (user.pk, codename, obj.pk) in self.given


class ListedPermissions(ObjectPermissions):
    """The same, but it can list the permissions for an object, as django-guardian without label."""

    def has_perm(self, user: User | AnonymousUser, perm: str, obj: Model | None = None) -> bool:
        return super().has_perm(user, perm, obj)

    def get_all_permissions(self, user: User | AnonymousUser, obj: Model | None = None) -> set[str]:
        if obj is None or not user.is_active:
            return set()
        return {name for pk, name, of in self.given if (pk, of) == (user.pk, obj.pk)}


class QueryingPermissions(ListedPermissions):
    """The same, and each question takes a query, as with django-guardian."""

    def has_perm(self, user: User | AnonymousUser, perm: str, obj: Model | None = None) -> bool:
        return _query(obj) and super().has_perm(user, perm, obj)

    def get_all_permissions(self, user: User | AnonymousUser, obj: Model | None = None) -> set[str]:
        return super().get_all_permissions(user, obj) if _query(obj) else set()


def _query(obj: Model | None) -> bool:
    return obj is not None and type(obj)._default_manager.filter(pk=obj.pk).exists()


def give(user: User, codenames: Any, obj: Model) -> None:
    """Give permissions for an object; they must be of its own type, as django-guardian says."""
    content_type = ContentType.objects.get_for_model(obj)
    of_type = Permission.objects.filter(content_type=content_type)
    unknown = set(codenames) - set(of_type.values_list("codename", flat=True))
    if unknown:
        raise Permission.DoesNotExist(*sorted(unknown))
    ObjectPermissions.given |= {(user.pk, codename, obj.pk) for codename in codenames}
