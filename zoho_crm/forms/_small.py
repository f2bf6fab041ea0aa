"""Look a lead up, name the version that was seen, close with a note."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.models import Connection
from zoho_crm.types import is_record_id


class LookUpForm(forms.Form):
    """A lead, by its id or by its e-mail address."""

    connection = forms.ModelChoiceField(
        Connection.objects.none(), label=gettext_lazy("Connection"), empty_label=None
    )
    lead = forms.CharField(
        label=gettext_lazy("Lead id or e-mail"),
        max_length=200,
        help_text=gettext_lazy(
            "The id is the number at the end of the lead's address in Zoho CRM."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["connection"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Connection.objects.order_by("-is_default", "name")
        field.initial = field.queryset.first()

    def clean_lead(self) -> str:
        text = str(self.cleaned_data["lead"]).strip()
        if "@" in text:
            validate_email(text)
        elif not is_record_id(text):
            message = _("This is neither an e-mail address nor an id: a number of up to 19 digits.")
            raise ValidationError(message)
        return text

    @property
    def by_email(self) -> bool:
        """Whether an address was given, and no id."""
        return "@" in self.cleaned_data["lead"]


class VersionForm(forms.Form):
    """Which state of a row was on the screen when the button was pressed."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    @property
    def seen(self) -> int:
        """The version that was seen; -1, which none has, where that cannot be told."""
        return int(self.cleaned_data["version"]) if self.is_valid() else -1


class CloseForm(VersionForm):
    """Why nothing more is done about a lead."""

    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("What you found out; it is kept in the journal."),
    )
