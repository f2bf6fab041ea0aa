"""The field of a form that chooses a connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.forms.models import ModelChoiceIterator
from django.utils.translation import gettext_lazy

from zoho_crm.models import Connection


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
