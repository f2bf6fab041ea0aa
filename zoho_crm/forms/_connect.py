"""Forms that connect an organisation: by consent in the browser, or by a grant code."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from zoho_crm.conf import conf
from zoho_crm.exceptions import ClientRejectedError, GrantRefusedError
from zoho_crm.models import Connection
from zoho_crm.types import HiddenVariables, Secret


class BaseConnectForm(forms.Form):
    """Base form: data center and environment of an organisation, and a name for it."""

    environment = forms.ChoiceField(
        label=_("Environment"), choices=Connection.Environments, required=False
    )
    name = forms.CharField(
        label=_("Name"),
        max_length=100,
        required=False,
        help_text=_("Empty: the organisation's own name."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings = conf()
        self.fields["data_center"] = forms.ChoiceField(
            label=_("Data center"),
            choices=data_center_choices(),
            required=False,
            initial=settings.DATA_CENTER,
            help_text=_("The one whose address you see when you are signed in to Zoho CRM."),
        )
        self.fields["environment"].initial = settings.ENVIRONMENT
        self.order_fields(["data_center", "environment", "name"])


class ConnectForm(BaseConnectForm):
    """The web flow: where to ask for consent. Empty fields default to the settings."""

    connection = forms.ModelChoiceField(
        Connection.objects.all(), required=False, widget=forms.HiddenInput
    )

    def first_error(self) -> str:
        """Return the first error with its field's label, for pages that do not show the form."""
        field, errors = next(iter(self.errors.items()))
        label = self.fields[field].label if field in self.fields else ""
        return f"{label}: {errors[0]}" if label else str(errors[0])


class WriteOnlyInput(forms.PasswordInput):
    """A text input that shows what is typed, but never renders a value."""

    input_type = "text"


class SelfClientForm(BaseConnectForm):
    """A self client's grant code, with id and secret of the client if not those of the settings."""

    client_id = forms.CharField(
        label=_("Client ID"),
        max_length=100,
        required=False,
        help_text=_("Empty: the one in the settings."),
    )
    client_secret = forms.CharField(
        label=_("Client secret"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    code = forms.CharField(
        label=_("Code"),
        widget=WriteOnlyInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_(
            "Works once, for the 3 to 10 minutes that you chose in the console, and only in the "
            "data center where it was made: paste it now."
        ),
    )

    #: The field that shows an error, by the error's code.
    FIELDS_BY_CODE: Mapping[str, str] = {
        "other_environment": "environment",
        "unknown_api_server": "data_center",
        "other_data_center": "data_center",
    }

    #: The fields that hold secrets.
    SECRETS = ("client_secret", "code")

    def full_clean(self) -> None:
        """Clean the form; afterwards its secrets are only in ``cleaned_data``."""
        with HiddenVariables():
            super().full_clean()
            self.data = without_values(self.data, self.SECRETS)

    def clean_client_secret(self) -> Secret:
        return Secret(self.cleaned_data["client_secret"])

    def clean_code(self) -> Secret:
        return Secret(self.cleaned_data["code"])

    def clean(self) -> dict[str, Any]:
        given, settings = self.cleaned_data, conf()
        given["data_center"] = given.get("data_center") or settings.DATA_CENTER
        given["environment"] = given.get("environment") or settings.ENVIRONMENT
        if bool(given.get("client_id")) != bool(given.get("client_secret")):
            missing = "client_secret" if given.get("client_id") else "client_id"
            self.add_error(missing, _("A client has both an ID and a secret."))
        return given

    def add_service_error(self, error: Exception) -> None:
        """Add an error of Zoho or of the settings to the field that can fix it."""
        field = self.FIELDS_BY_CODE.get(getattr(error, "code", ""))
        if isinstance(error, GrantRefusedError):
            field = field or "code"
        elif isinstance(error, ClientRejectedError):
            field = "client_id"
        self.add_error(field, str(error))


def without_values(data: Any, names: Collection[str]) -> Any:
    """Return a copy of the data of a form without values for these names."""
    kept = data.copy()
    for name in names:
        kept.pop(name, None)
    return kept


def data_center_choices() -> list[tuple[str, str]]:
    """Return the data centers on offer as (code, name)."""
    return [(center.code, center.name) for center in conf().data_centers.values()]
