"""The labels of modules, fields and people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy

from zoho_crm.types import PersonKind

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


#: Characters that are stored of a text that is not ours.
MAX_TEXT_LENGTH = 200
#: Names of the modules, by their API name.
MODULES: Mapping[str, StrPromise] = {
    "Contacts": gettext_lazy("Contact"),
    "Accounts": gettext_lazy("Account"),
    "Deals": gettext_lazy("Deal"),
}
#: Labels of fields whose API name is not what the user interface calls them.
FIELD_LABELS: Mapping[str, StrPromise] = {
    "Full_Name": gettext_lazy("Name"),
    "Email": gettext_lazy("E-mail"),
    "Account_Name": gettext_lazy("Account"),
    "Designation": gettext_lazy("Title"),
    "attachmentUrl": gettext_lazy("Address of the link"),
    "title": gettext_lazy("Title"),
}
#: What a person whom Zoho knows is there, by the kind of the record.
PERSON_KINDS: Mapping[str, StrPromise] = {
    PersonKind.LEAD: gettext_lazy("open lead"),
    PersonKind.CONVERTED_LEAD: gettext_lazy("converted lead"),
    PersonKind.CONTACT: gettext_lazy("contact"),
}


def field_label(name: str) -> str:
    """Return the label of a field, by its API name."""
    return str(FIELD_LABELS.get(name) or name.replace("_", " "))
