"""The forms of decisions about outgoing records."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy

from zoho_crm.forms._conversion import VersionForm


class ContactForm(VersionForm):
    """Choose the contact that is updated instead of creating a lead."""

    contact_id = forms.CharField(max_length=19, widget=forms.HiddenInput)


class FoundForm(VersionForm):
    """Say which record at Zoho an outgoing record became."""

    zoho_id = forms.CharField(
        label=gettext_lazy("Id at Zoho"),
        max_length=19,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        help_text=gettext_lazy("The number at the end of the address of its page at Zoho."),
    )


class LeaveOutForm(VersionForm):
    """Leave an outgoing record out, with a note."""

    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=1000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("Why it is not sent; it is kept with its events."),
    )
