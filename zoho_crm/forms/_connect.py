"""Forms that connect an organisation: the steps of the wizard, and the start of the web flow."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.conf import conf
from zoho_crm.datacenters import LOCAL, DataCenter
from zoho_crm.models import Connection
from zoho_crm.types import HiddenVariables, Secret

#: Leads of a simulated organisation, which are in memory.
MAX_SIMULATED_LEADS = 20_000

WEB = "web"
SELF_CLIENT = "self"
SIMULATOR = "simulator"

WAYS = {
    WEB: gettext_lazy("Web sign-in: you press “Accept” at Zoho, which sends the browser back here"),
    SELF_CLIENT: gettext_lazy(
        "Self client: you paste a code from Zoho's console; for a site that the browser cannot be "
        "sent back to"
    ),
    SIMULATOR: gettext_lazy("Simulator: no account is needed, and nothing touches Zoho"),
}
ENVIRONMENTS = {
    Connection.Environments.PRODUCTION.value: gettext_lazy(
        "Production: the organisation in which people work every day"
    ),
    Connection.Environments.SANDBOX.value: gettext_lazy(
        "Sandbox: a copy for trying things; Zoho CRM says “Sandbox” at the top of its pages"
    ),
    Connection.Environments.DEVELOPER.value: gettext_lazy(
        "Developer: an organisation that was registered for developing, with invented data"
    ),
}


class ConnectForm(forms.Form):
    """The start of the web flow: where to ask for consent. Empty fields: as in the settings."""

    environment = forms.ChoiceField(
        label=gettext_lazy("Environment"), choices=Connection.Environments, required=False
    )
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        required=False,
        help_text=gettext_lazy("Empty: the organisation's own name."),
    )
    client = forms.IntegerField(min_value=1, required=False, widget=forms.HiddenInput)
    connection = forms.ModelChoiceField(
        Connection.objects.all(), required=False, widget=forms.HiddenInput
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

    def first_error(self) -> str:
        """Return the first error with its field's label, for pages that do not show the form."""
        field, errors = next(iter(self.errors.items()))
        label = self.fields[field].label if field in self.fields else ""
        return f"{label}: {errors[0]}" if label else str(errors[0])


class ConnectChoiceForm(forms.Form):
    """The first step of the wizard: how to connect, to which data center and environment."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        centers = conf().data_centers
        ways = {code: text for code, text in WAYS.items() if code != SIMULATOR or LOCAL in centers}
        self.fields["how"] = _radios(_("How do you want to connect?"), ways)
        self.fields["data_center"] = _radios(
            _("Data center"),
            {center.code: _with_address(center) for center in centers.values()},
            help_text=_("The one whose address the browser shows when you are in Zoho CRM."),
        )
        self.fields["environment"] = _radios(_("Environment"), ENVIRONMENTS)


class ConnectAnswersForm(ConnectChoiceForm):
    """The answers of the first two steps, as the addresses of the further steps have them."""

    client = forms.IntegerField(min_value=1, required=False)


class ClientForm(forms.Form):
    """The second step: id and secret of the client, if not those of the settings."""

    client_id = forms.CharField(
        label=gettext_lazy("Client ID"),
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    client_secret = forms.CharField(
        label=gettext_lazy("Client secret"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("Kept encrypted, and never shown again."),
    )

    #: The fields that hold secrets.
    SECRETS = ("client_secret",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.client_of_settings = conf().CLIENT_ID if conf().CLIENT_SECRET else ""
        if self.client_of_settings:
            text = _("Leave both empty to use the client of the settings: %s")
            self.fields["client_id"].help_text = text % self.client_of_settings

    def full_clean(self) -> None:
        """Clean the form; afterwards its secret is only in ``cleaned_data``."""
        with HiddenVariables():
            super().full_clean()
            self.data = without_values(self.data, self.SECRETS)

    def clean_client_secret(self) -> Secret:
        return Secret(self.cleaned_data["client_secret"])

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        has_id, has_secret = bool(given.get("client_id")), bool(given.get("client_secret"))
        if has_id != has_secret:
            missing = "client_secret" if has_id else "client_id"
            self.add_error(missing, _("A client has both an ID and a secret."))
        elif not has_id and not self.client_of_settings:
            text = _("Enter the client that you registered; the settings of this site have none.")
            self.add_error("client_id", text)
        return given


class WriteOnlyInput(forms.PasswordInput):
    """A text input that shows what is typed, but never renders a value."""

    input_type = "text"


class GrantCodeForm(forms.Form):
    """The third step with a self client: its grant code."""

    code = forms.CharField(
        label=gettext_lazy("Code"),
        widget=WriteOnlyInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    #: The fields that hold secrets.
    SECRETS = ("code",)

    def full_clean(self) -> None:
        """Clean the form; afterwards the code is only in ``cleaned_data``."""
        with HiddenVariables():
            super().full_clean()
            self.data = without_values(self.data, self.SECRETS)

    def clean_code(self) -> Secret:
        return Secret(self.cleaned_data["code"])


class FinishForm(forms.Form):
    """
    The last step: the name of the connection, and whether it is the default one.

    :param may_make_default: whether the user may choose the latter; else there is no such field
    """

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    is_default = forms.BooleanField(
        label=gettext_lazy("Use it wherever no connection is named (the default connection)"),
        required=False,
    )

    def __init__(self, connection: Connection, data: Any = None, *, may_make_default: bool) -> None:
        initial = {"name": connection.name, "is_default": connection.is_default}
        super().__init__(data, initial=initial)
        self.connection = connection
        if not may_make_default:
            del self.fields["is_default"]
        elif connection.is_default:
            self.fields["is_default"].disabled = True

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if Connection.objects.exclude(pk=self.connection.pk).filter(name=name).exists():
            raise forms.ValidationError(_("Another connection has this name."), code="taken")
        return name


class ResetForm(forms.Form):
    """A new organisation of the simulator."""

    leads = forms.IntegerField(
        label=gettext_lazy("Leads"), min_value=0, max_value=MAX_SIMULATED_LEADS, initial=40
    )
    seed = forms.IntegerField(
        label=gettext_lazy("Seed"),
        min_value=0,
        max_value=1_000_000,
        initial=0,
        help_text=gettext_lazy("The same seed makes the same people."),
    )


def without_values(data: Any, names: Collection[str]) -> Any:
    """Return a copy of the data of a form without values for these names."""
    kept = data.copy()
    for name in names:
        kept.pop(name, None)
    return kept


def data_center_choices() -> list[tuple[str, str]]:
    """Return the data centers on offer as (code, name)."""
    return [(center.code, str(center.name)) for center in conf().data_centers.values()]


def _radios(label: str, choices: dict[str, Any], help_text: str = "") -> forms.ChoiceField:
    return forms.ChoiceField(
        label=label, choices=list(choices.items()), widget=forms.RadioSelect, help_text=help_text
    )


def _with_address(center: DataCenter) -> str:
    """Return the name of a data center with the host that people see in Zoho CRM."""
    host = urlsplit(center.crm or center.accounts).netloc
    return _("%(name)s: %(host)s") % {"name": str(center.name), "host": host}
