"""What several forms have: errors of rules at fields, and a choice of a connection or a user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.models import ModelChoiceIterator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.exceptions import PlanError
from zoho_crm.models import Connection
from zoho_crm.services.choices import Choices
from zoho_crm.services.plans import DEAL_FIELDS, TEMPLATE_FIELDS
from zoho_crm.types import User, is_record_id

#: Users that are listed; among more, one is searched.
MAX_LISTED_USERS = 200
#: Users that an error names.
MAX_NAMED_USERS = 10
#: Form fields of a deal, by the API name of the deal's field.
DEAL_FIELD_NAMES: Mapping[str, str] = {
    api_name: f"deal_{word}" for word, api_name in DEAL_FIELDS.items()
}
TEMPLATE_FIELD_NAMES: Mapping[str, str] = {
    api_name: f"deal_{word}" for word, api_name in TEMPLATE_FIELDS.items()
}


class RuleErrorsForm(forms.Form):
    """Base form: shows an error of a rule at the field that it names."""

    #: The form field by the field that an error names, where the names differ.
    fields_by_rule: Mapping[str, str] = {}

    def add_rule_errors(self, errors: Iterable[PlanError]) -> None:
        """Add these errors to their fields, but to those without one already."""
        for error in errors:
            name = self.fields_by_rule.get(error.field, error.field)
            if name not in self.errors:
                self.add_error(name if name in self.fields else None, self.rule_text(error))

    def rule_text(self, error: PlanError) -> str:
        """Return what is shown of an error of a rule."""
        return str(error)


class ConnectionIterator(ModelChoiceIterator):  # type: ignore[type-arg]  # not subscriptable
    """The connections, read by one plain query: Django's own iterator needs a cursor that stays."""

    def __iter__(self) -> Iterator[Any]:
        return map(self.choice, self.queryset.all())


class ConnectionField(forms.ModelChoiceField):  # type: ignore[type-arg]  # not subscriptable
    """A choice between connections; the form says which, the default one first."""

    iterator = ConnectionIterator

    def __init__(self) -> None:
        super().__init__(
            Connection.objects.none(), label=gettext_lazy("Connection"), empty_label=None
        )


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
