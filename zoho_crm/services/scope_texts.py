"""What each scope that we ask for is needed for, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: What does not work without a scope, by the beginning of its name.
PURPOSES: Mapping[str, StrPromise] = {
    "ZohoCRM.modules": gettext_lazy("read, write and tag records; convert leads"),
    "ZohoCRM.mass_convert": gettext_lazy("convert many leads in one job; without it one by one"),
    "ZohoCRM.settings": gettext_lazy(
        "read fields and layouts: for the form of a deal, and to check records"
    ),
    "ZohoCRM.users": gettext_lazy("offer the users who can own the new records"),
    "ZohoCRM.org": gettext_lazy("know the organisation, its edition and its limits"),
    "ZohoSearch.securesearch": gettext_lazy("find records by e-mail address, phone number or text"),
    "ZohoCRM.coql": gettext_lazy("select records by several conditions, and find out what changed"),
    "ZohoCRM.bulk": gettext_lazy("read very many records in one job"),
    "ZohoCRM.notifications": gettext_lazy("be told by Zoho when records change"),
}


def purpose_of(scope: str) -> str:
    """Return what a scope is needed for; empty for one that the settings add."""
    found = (text for name, text in PURPOSES.items() if scope.startswith(f"{name}."))
    return str(next(found, ""))
