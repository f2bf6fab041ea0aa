"""Three groups of users with the permissions of viewers, operators and managers."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import Group, Permission
from django.db import router, transaction
from django.db.models import QuerySet

from zoho_crm.types import ValueObject

APP_LABEL = "zoho_crm"

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
        "view_outboxrecord",
        "view_outboxrecordevent",
        "view_policy",
    }
)
OPERATORS = VIEWERS | {
    "refresh_connection",
    "preview_leadconversion",
    "approve_leadconversion",
    "resolve_leadconversion",
    "add_outboxrecord",
    "resolve_outboxrecord",
    "export_leadconversion",
    "prepare_massconversion",
    "pause_massconversion",
}
MANAGERS = OPERATORS | {
    "connect_connection",
    "change_connection",
    "disconnect_connection",
    "view_token",
    "view_payload_leadconversion",
    "view_payload_outboxrecord",
    "run_massconversion",
    "add_policy",
    "change_policy",
    "delete_policy",
}
#: Codenames of the permissions of each group, by its name.
GROUPS: Mapping[str, frozenset[str]] = {
    "Zoho viewers": VIEWERS,
    "Zoho operators": OPERATORS,
    "Zoho managers": MANAGERS,
}


class UpdatedGroup(ValueObject):
    """The state of a group after an update: its permissions, and how many were added or removed."""

    name: str
    created: bool
    permissions: int
    added: int
    removed: int


def update_groups() -> list[UpdatedGroup]:
    """
    Create or update the groups; permissions of other apps that they have stay.

    :raises LookupError: if a permission is missing, because the database is not migrated
    """
    database = router.db_for_write(Group)
    with transaction.atomic(using=database):
        return [_update_group(name, codenames, database) for name, codenames in GROUPS.items()]


def _update_group(name: str, codenames: frozenset[str], database: str) -> UpdatedGroup:
    ours = Permission.objects.using(database).filter(content_type__app_label=APP_LABEL)
    wanted = ours.filter(codename__in=codenames)
    missing = codenames - set(wanted.values_list("codename", flat=True))
    if missing:
        raise LookupError(", ".join(sorted(missing)))
    group, created = Group.objects.using(database).get_or_create(name=name)
    present: QuerySet[Permission] = group.permissions.using(database).filter(
        content_type__app_label=APP_LABEL
    )
    added, removed = list(wanted.exclude(pk__in=present)), list(present.exclude(pk__in=wanted))
    group.permissions.add(*added)
    group.permissions.remove(*removed)
    return UpdatedGroup(
        name=name,
        created=created,
        permissions=len(codenames),
        added=len(added),
        removed=len(removed),
    )
