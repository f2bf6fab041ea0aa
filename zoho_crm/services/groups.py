"""Three ready groups of users: who may look, who may work, who may start and connect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import QuerySet

APP = "zoho_crm"

VIEWERS = frozenset(
    {
        "view_apiusage",
        "view_connection",
        "view_connectionevent",
        "view_leadconversion",
        "view_leadconversionevent",
        "view_massconversion",
        "view_massconversionjob",
        "view_massconversionline",
        "view_policy",
    }
)
OPERATORS = VIEWERS | {
    "refresh_connection",
    "preview_leadconversion",
    "approve_leadconversion",
    "resolve_leadconversion",
    "export_leadconversion",
    "prepare_massconversion",
    "pause_massconversion",
}
MANAGERS = OPERATORS | {
    "connect_connection",
    "disconnect_connection",
    "view_payload_leadconversion",
    "run_massconversion",
    "add_policy",
    "change_policy",
    "delete_policy",
}
#: What each group may, by codename.
GROUPS: Mapping[str, frozenset[str]] = {
    "Zoho viewers": VIEWERS,
    "Zoho operators": OPERATORS,
    "Zoho managers": MANAGERS,
}


@dataclass(frozen=True, kw_only=True)
class Made:
    """A group that is as it should be, and what had to be done for that."""

    name: str
    created: bool
    permissions: int
    added: int
    removed: int


def make_groups() -> list[Made]:
    """
    Create the groups, or bring them up to date; permissions of other apps in them stay.

    :raises LookupError: if a permission is missing, because the database is not migrated
    """
    with transaction.atomic():
        return [_make(name, codenames) for name, codenames in GROUPS.items()]


def _make(name: str, codenames: frozenset[str]) -> Made:
    ours = Permission.objects.filter(content_type__app_label=APP)
    wanted = ours.filter(codename__in=codenames)
    missing = codenames - set(wanted.values_list("codename", flat=True))
    if missing:
        raise LookupError(", ".join(sorted(missing)))
    group, created = Group.objects.get_or_create(name=name)
    has: QuerySet[Permission] = group.permissions.filter(content_type__app_label=APP)
    added, removed = list(wanted.exclude(pk__in=has)), list(has.exclude(pk__in=wanted))
    group.permissions.add(*added)
    group.permissions.remove(*removed)
    return Made(
        name=name,
        created=created,
        permissions=len(codenames),
        added=len(added),
        removed=len(removed),
    )
