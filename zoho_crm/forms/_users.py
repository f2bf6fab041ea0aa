"""The form field for a user of the organisation: chosen from a list, or searched among many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from zoho_crm.services.choices import Choices
from zoho_crm.types import User, is_record_id

#: Users that are listed; among more, one is searched.
MAX_LISTED_USERS = 200
#: Users that an error names.
MAX_NAMED_USERS = 10


def user_field(
    offered: Choices, others: Iterable[tuple[str, Any]], *, label: Any, help_text: Any = ""
) -> forms.Field:
    """
    Return an optional field for a user, whose value is the user's id.

    :param others: choices beside the users, as (value, label)
    """
    others = list(others)
    if len(offered.users) > MAX_LISTED_USERS:
        return UserSearchField(offered, dict(others), label=label)
    users = [(user.id, user.name) for user in offered.users]
    return forms.ChoiceField(
        label=label, help_text=help_text, required=False, choices=[*others, *users]
    )


class UserSearchField(forms.CharField):
    """A user of many, by id, e-mail address or name."""

    def __init__(self, offered: Choices, others: Mapping[str, Any], *, label: Any) -> None:
        super().__init__(label=label, required=False, max_length=200)
        self.offered, self.others = offered, others
        self.help_text = " ".join([_("The id, e-mail address or name of a user."), *self._hints()])

    def _hints(self) -> Iterable[str]:
        for value, label in self.others.items():
            if value:
                yield _("“%(value)s”: %(label)s.") % {"value": value, "label": label}
            else:
                yield _("Empty: %s.") % label

    def clean(self, value: Any) -> str:
        """Return one of the other values, or the id of the one user who is meant."""
        text = str(super().clean(value))
        if text in self.others:
            return text
        found = self.offered.find_users(text)
        if len(found) == 1:
            return found[0].id
        if found:
            raise ValidationError(_several(found), code="several")
        if is_record_id(text) and self.offered.may_own(text):
            return text
        raise ValidationError(_("No active user of this organisation is called that."), code="none")


def _several(users: tuple[User, ...]) -> str:
    named = ", ".join(f"{user.name} ({user.email or user.id})" for user in users[:MAX_NAMED_USERS])
    further = len(users) - MAX_NAMED_USERS
    if further > 0:
        message = _("Several users are called that: %(named)s and %(further)s more.")
        return message % {"named": named, "further": further}
    return _("Several users are called that: %s.") % named
