"""
For which connections a user has a permission of the app.

A permission that a user has is one for all connections, and for what belongs to them. One that a
backend with permissions of objects gives for a connection (``has_perm(name, connection)``) is one
for that connection alone.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeVar

from django.contrib.auth import get_backends
from django.db.models import Model, QuerySet

from zoho_crm.models import Connection
from zoho_crm.services.permissions import APP_LABEL

Rows = TypeVar("Rows", bound=QuerySet[Any])
#: The attribute of a user that keeps the answers, as Django's backend keeps its own.
ATTRIBUTE = "_zoho_crm_access"


class Access:
    """What a user may do, and for which connections; each question is asked once."""

    def __init__(self, user: Any) -> None:
        self.user = user
        self._answers: dict[tuple[str, int | None], bool] = {}
        self._listed: dict[int, frozenset[str]] = {}

    @cached_property
    def connections(self) -> dict[int, Connection]:
        """All connections by primary key, the default one first."""
        rows = Connection.objects.order_by("-is_default", "name", "pk")
        return {connection.pk: connection for connection in rows}

    def everywhere(self, *names: str) -> bool:
        """Return whether the user has one of these permissions for all connections."""
        return any(self._has(name) for name in names)

    def of(self, record: Any, *names: str) -> bool:
        """
        Return whether the user has one of these permissions for a connection.

        :param record: the connection, its primary key, or a record that belongs to it
        """
        if self.everywhere(*names):
            return True
        connection = self._connection_of(record)
        return connection is not None and any(self._has(name, connection) for name in names)

    def somewhere(self, *names: str) -> bool:
        """Return whether the user has one of these permissions, if only for one connection."""
        ids = self.connection_ids(*names)
        return ids is None or bool(ids)

    def connection_ids(self, *names: str) -> frozenset[int] | None:
        """Return the connections for which the user has one of these; ``None`` for all."""
        if self.everywhere(*names):
            return None
        found = self.connections.values()
        return frozenset(each.pk for each in found if any(self._has(name, each) for name in names))

    def wherever(self, seen: tuple[str, ...], names: tuple[str, ...]) -> bool:
        """Return whether the user has one of ``names`` for all connections of one of ``seen``."""
        ids, shown = self.connection_ids(*names), self.connection_ids(*seen)
        return ids is None or (shown is not None and shown <= ids)

    def limit(self, rows: Rows, *names: str) -> Rows:
        """Return those of some rows for whose connection the user has one of these permissions."""
        ids = self.connection_ids(*names)
        if ids is None:
            return rows
        return rows.filter(**{f"{connection_column(rows.model)}__in": ids})

    def _connection_of(self, record: Any) -> Connection | None:
        if isinstance(record, Connection):
            return record
        pk = record if isinstance(record, int) else getattr(record, "connection_id", None)
        return self.connections.get(pk) if pk is not None else None

    def _has(self, name: str, connection: Connection | None = None) -> bool:
        if connection is not None and self._can_be_listed:
            return name in self._listed_for(connection)
        key = name, None if connection is None else connection.pk
        if key not in self._answers:
            given = () if connection is None else (connection,)
            self._answers[key] = self.user.has_perm(f"{APP_LABEL}.{name}", *given)
        return self._answers[key]

    @cached_property
    def _can_be_listed(self) -> bool:
        return all(map(lists_permissions, (self.user.__class__, *map(type, get_backends()))))

    def _listed_for(self, connection: Connection) -> frozenset[str]:
        """Return all permissions for a connection, which is one question instead of many."""
        if connection.pk not in self._listed:
            # Django's backend gives names with the label of the app, django-guardian's without.
            given = self.user.get_all_permissions(connection)
            names = (each.removeprefix(f"{APP_LABEL}.") for each in given)
            self._listed[connection.pk] = frozenset(names)
        return self._listed[connection.pk]


class Permissions:
    """Permissions of a user by name, for templates: for a connection, or for any of them."""

    def __init__(self, access: Access, record: Any = None) -> None:
        self.access, self.record = access, record

    def __getitem__(self, name: str) -> bool:
        if self.record is None:
            return self.access.somewhere(name)
        return self.access.of(self.record, name)


def lists_permissions(kind: type) -> bool:
    """
    Return whether what ``has_perm`` of a class of users or backends says can be listed, too.

    It cannot if ``get_all_permissions`` is missing, or inherited by a class with its own
    ``has_perm``.
    """
    for each in kind.__mro__:
        if "get_all_permissions" in vars(each):
            return True
        if "has_perm" in vars(each):
            return False
    return True


def connection_column(model: type[Model]) -> str:
    """
    Return the name of the column of a model of the app that holds the connection.

    It is empty if there is none, and for a model of the host project, whose rows stand for leads
    of the connection that its admin names.
    """
    if model._meta.app_label != APP_LABEL:
        return ""
    if issubclass(model, Connection):
        return "pk"
    fields = [field.name for field in model._meta.fields if field.related_model is Connection]
    return fields[0] if fields else ""


def access_of(user: Any) -> Access:
    """Return what a user, who may be anonymous, may do; the answers stay with this object."""
    found: Access | None = getattr(user, ATTRIBUTE, None)
    if found is None:
        found = Access(user)
        setattr(user, ATTRIBUTE, found)
    return found
