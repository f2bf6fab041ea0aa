"""The filter of the lead browser, which is in the address of its page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.forms._fields import MAX_LISTED_USERS, UserSearchField
from zoho_crm.services.choices import Choices
from zoho_crm.services.lead_browser import DEFAULT_COLUMNS, MAX_COLUMNS, LeadField
from zoho_crm.services.leads import BEGINS_WITH, CREATED_FROM, CREATED_UNTIL
from zoho_crm.services.presentation import field_label

OPEN, CONVERTED = "open", "converted"
ANY = gettext_lazy("any")
LAST_MOMENT = time(23, 59, 59)


class DayField(forms.DateField):
    """A day, chosen with the browser's calendar."""

    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})

    def __init__(self, *, label: Any) -> None:
        super().__init__(label=label, required=False, input_formats=["%Y-%m-%d"])


class LeadFilterForm(forms.Form):
    """Which leads of an organisation are shown, with which columns."""

    view = forms.CharField(
        label=gettext_lazy("Which leads"),
        required=False,
        widget=forms.Select(
            choices=[(OPEN, gettext_lazy("open leads")), (CONVERTED, gettext_lazy("converted"))]
        ),
    )
    text = forms.CharField(
        label=gettext_lazy("Search"),
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"type": "search", "spellcheck": "false"}),
        help_text=gettext_lazy("How a name, the company or the e-mail address begins."),
    )
    owner = forms.CharField(label=gettext_lazy("Owner"), required=False, max_length=100)
    status = forms.CharField(label=gettext_lazy("Status"), required=False, max_length=200)
    source = forms.CharField(label=gettext_lazy("Source"), required=False, max_length=200)
    created_from = DayField(label=gettext_lazy("Created from"))
    created_until = DayField(label=gettext_lazy("Created until"))
    columns = forms.MultipleChoiceField(
        label=gettext_lazy("Columns"), required=False, widget=forms.CheckboxSelectMultiple
    )

    FILTER_FIELDS = (
        *("view", "text", "owner", "status", "source"),
        *("created_from", "created_until"),
    )
    #: The field of leads with which each of these is compared.
    NAMES: Mapping[str, str] = {"owner": "Owner", "status": "Lead_Status", "source": "Lead_Source"}

    def __init__(
        self,
        data: QueryDict,
        *,
        offered: Choices | None = None,
        lead_fields: Iterable[LeadField] = (),
    ) -> None:
        """
        :param offered: the users that can be chosen as owners; any text is accepted without
        :param lead_fields: the fields that can be columns, with the values that they have
        """
        given = data.copy()
        if not given.getlist("columns"):
            given.setlist("columns", DEFAULT_COLUMNS)
        super().__init__(given)
        known = {each.api_name: each for each in lead_fields}
        self.labels = {name: each.label for name, each in known.items()}
        self.offered = offered or Choices()
        self._offer_owners()
        for name in ("status", "source"):
            field = known.get(self.NAMES[name])
            self._offer(name, [(value, value) for value in field.values] if field else [])
        names = [*DEFAULT_COLUMNS, *(name for name in known if name not in DEFAULT_COLUMNS)]
        columns = self.fields["columns"]
        assert isinstance(columns, forms.MultipleChoiceField)
        columns.choices = [(name, self.label_of(name)) for name in names]

    def _offer_owners(self) -> None:
        """Let an owner be chosen, or, of very many, be found by name."""
        users = self.offered.users
        if len(users) > MAX_LISTED_USERS:
            label = self.fields["owner"].label
            self.fields["owner"] = UserSearchField(self.offered, {"": ANY}, label=label)
        else:
            self._offer("owner", [(user.id, user.name) for user in users])

    def _offer(self, name: str, values: list[tuple[str, str]]) -> None:
        """Let one of these values be chosen; a text is entered if there are none."""
        if values:
            self.fields[name].widget = forms.Select(choices=[("", ANY), *values])

    def clean_columns(self) -> list[str]:
        chosen = list(self.cleaned_data["columns"])
        if len(chosen) > MAX_COLUMNS:
            text = _("At most %(limit)s columns can be shown.")
            raise ValidationError(text % {"limit": MAX_COLUMNS}, code="too_many")
        return chosen

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        first, last = given.get("created_from"), given.get("created_until")
        if first and last and last < first:
            self.add_error("created_until", _("This day is before the first one."))
        return given

    @property
    def converted(self) -> bool:
        """Whether the leads that are converted are to be shown."""
        return bool(self.cleaned_data["view"] == CONVERTED)

    def filters(self) -> dict[str, str]:
        """Return the filters as a run keeps them; days are those of the reader's time zone."""
        given = self.cleaned_data
        found = {api_name: given[name].strip() for name, api_name in self.NAMES.items()}
        found[BEGINS_WITH] = given["text"].strip()
        if day := given["created_from"]:
            found[CREATED_FROM] = _instant(day, time.min)
        if day := given["created_until"]:
            found[CREATED_UNTIL] = _instant(day, LAST_MOMENT)
        return {name: value for name, value in found.items() if value}

    def words(self) -> list[str]:
        """Return the filters that are set, in words."""
        return [
            _("%(label)s: %(value)s") % {"label": self[name].label, "value": value}
            for name in self.FILTER_FIELDS
            if name != "view" and (value := self._shown(name))
        ]

    def label_of(self, api_name: str) -> str:
        """Return the label of a column: that of the organisation, if its fields could be read."""
        return self.labels.get(api_name) or field_label(api_name)

    @property
    def filter_fields(self) -> Iterator[Any]:
        """Return the bound fields that say which leads are shown."""
        return (self[name] for name in self.FILTER_FIELDS)

    def _shown(self, name: str) -> str:
        value = self.cleaned_data[name]
        if name.startswith("created"):
            return date_format(value, "SHORT_DATE_FORMAT") if value else ""
        return self.offered.names.get(value, value) if name == "owner" else str(value)


def _instant(day: date, moment: time) -> str:
    zone = timezone.get_current_timezone()
    return datetime.combine(day, moment, tzinfo=zone).isoformat()
