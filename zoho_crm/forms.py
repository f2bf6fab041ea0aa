"""Forms: what people may say, and in which words they are told that they may not."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from zoho_crm.conf import conf
from zoho_crm.models import Connection


class ConnectForm(forms.Form):
    """Where to ask Zoho for consent; what is empty is taken from the settings."""

    environment = forms.ChoiceField(
        label=_("Environment"), choices=Connection.Environments, required=False
    )
    name = forms.CharField(label=_("Name"), max_length=100, required=False)
    connection = forms.ModelChoiceField(
        Connection.objects.all(), required=False, widget=forms.HiddenInput
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["data_center"] = forms.ChoiceField(
            label=_("Data center"), choices=data_center_choices(), required=False
        )

    def first_error(self) -> str:
        """Return one sentence for a page that does not show the form."""
        field, errors = next(iter(self.errors.items()))
        label = self.fields[field].label if field in self.fields else ""
        return f"{label}: {errors[0]}" if label else str(errors[0])


def data_center_choices() -> list[tuple[str, str]]:
    """Return the data centers that people may choose from."""
    return [(center.code, center.name) for center in conf().data_centers.values()]
