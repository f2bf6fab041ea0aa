"""What several forms have: errors of rules at their fields, and a choice of a connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django import forms
from django.forms.models import ModelChoiceIterator
from django.utils.translation import gettext_lazy

from zoho_crm.exceptions import PlanError
from zoho_crm.models import Connection
from zoho_crm.services.plans import DEAL_FIELDS, TEMPLATE_FIELDS

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
    """A choice between all connections, the default one first."""

    iterator = ConnectionIterator

    def __init__(self) -> None:
        connections = Connection.objects.order_by("-is_default", "name")
        super().__init__(connections, label=gettext_lazy("Connection"), empty_label=None)
