"""The forms of mass conversions: prepare one, try a cause again, start."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.template.defaultfilters import filesizeformat
from django.utils.functional import lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.forms._deal import stage_choices
from zoho_crm.forms._fields import ConnectionField, user_field
from zoho_crm.forms._policy import (
    ACTIONS_BY_RULE,
    DEAL_CHOICES,
    DEFAULT_TARGET_LABEL,
    MODULE_CHOICES,
    NOTIFICATION_FIELDS,
    UNSET,
    YES_NO_CHOICES,
    PolicyFieldsForm,
)
from zoho_crm.models import Connection
from zoho_crm.services import mass_convert
from zoho_crm.services.choices import Choices
from zoho_crm.services.lead_ids import ids_in_text
from zoho_crm.services.plans import fit_policy
from zoho_crm.services.policies import policies
from zoho_crm.services.run_results import CAUSE_STATUSES, CauseKey
from zoho_crm.types import CodedText

#: Limits of one request: leads are stored while the web server waits.
MAX_UPLOAD_BYTES = 1024 * 1024
MAX_PASTED_CHARACTERS = 1_000_000
API_NAME = re.compile(r"\w{1,50}", re.ASCII)
POLICY_DEFAULT = ("", gettext_lazy("as the policy says"))


def _file_help() -> str:
    return _(
        "Text, one id a line, or CSV. At most %(size)s, that is some 50,000 ids; a "
        "larger one is taken in by manage.py zoho_mass_convert create --ids-file."
    ) % {"size": filesizeformat(MAX_UPLOAD_BYTES)}


class PrepareForm(PolicyFieldsForm):
    """Leads, a policy, and overrides of the policy for this mass conversion."""

    connection = ConnectionField()
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        required=False,
        help_text=gettext_lazy("For people, as in “Trade fair”."),
    )
    ids = forms.CharField(
        label=gettext_lazy("Ids of leads"),
        required=False,
        max_length=MAX_PASTED_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text=gettext_lazy(
            "One a line, or with commas between them; up to some 50,000. More go by a file."
        ),
    )
    file = forms.FileField(
        label=gettext_lazy("Or a file with ids"),
        required=False,
        allow_empty_file=True,
        help_text=lazy(_file_help, str)(),
    )
    column = forms.CharField(
        label=gettext_lazy("Column of the file"),
        max_length=100,
        required=False,
        help_text=gettext_lazy(
            "The heading of the column of a CSV file that has the ids. Empty: one id a line, or "
            "the column “Record Id” of Zoho's exports."
        ),
    )
    open_leads = forms.BooleanField(
        label=gettext_lazy("Or every open lead"),
        required=False,
        help_text=gettext_lazy("They are taken in by the worker, one page after the other."),
    )
    filters = forms.CharField(
        label=gettext_lazy("Only those with"),
        required=False,
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=gettext_lazy(
            "Of the open leads; one FIELD=VALUE a line, by Zoho's API names: Lead_Status=Qualified."
        ),
    )
    policy = forms.ChoiceField(label=gettext_lazy("Policy"))

    SOURCE_FIELDS = ("connection", "name", "ids", "file", "column", "open_leads", "filters")
    #: The field that shows an error of the source, by the error's code.
    FIELDS_BY_CODE: Mapping[str, str] = {"no_column": "column"}

    def __init__(
        self, *args: Any, offered: Choices, connections: QuerySet[Connection], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["connection"].queryset = connections  # type: ignore[attr-defined]
        self.offered, self.policies = offered, policies()
        self._set_choice_field("policy", [(name, name) for name in self.policies])
        self._add_policy_default()
        self._set_choices_of_organisation()

    def _set_choice_field(self, field_name: str, choices: Iterable[tuple[str, Any]]) -> None:
        field = self.fields[field_name]
        self.fields[field_name] = forms.ChoiceField(
            label=field.label,
            required=field_name == "policy",
            help_text=field.help_text,
            choices=list(choices),
        )

    def _add_policy_default(self) -> None:
        for rule, actions in ACTIONS_BY_RULE.items():
            self._set_choice_field(rule, [POLICY_DEFAULT, *actions.items()])
        for notice in NOTIFICATION_FIELDS:
            self._set_choice_field(notice, [POLICY_DEFAULT, *YES_NO_CHOICES])
        self._set_choice_field("deal", [POLICY_DEFAULT, *DEAL_CHOICES])
        self._set_choice_field(
            "attachments", [POLICY_DEFAULT, (UNSET, DEFAULT_TARGET_LABEL), *MODULE_CHOICES]
        )
        tags = self.fields["tags"]
        assert isinstance(tags, forms.MultipleChoiceField)
        tags.choices = [*MODULE_CHOICES, (UNSET, _("none of them"))]
        tags.help_text = _("None ticked: as the policy says.")

    def _set_choices_of_organisation(self) -> None:
        offered = self.offered
        roles = [(role.id, role.name) for role in offered.contact_roles]
        pipelines = [(each.value, each.label) for each in offered.pipelines if each.value]
        keep, review = (UNSET, _("the lead's own")), (UNSET, _("leave it to a person"))
        for name, other in {"owner": keep, "owner_for_inactive": review}.items():
            field = self.fields[name]
            self.fields[name] = user_field(
                offered, [POLICY_DEFAULT, other], label=field.label, help_text=field.help_text
            )
        self._set_choice_field(
            "deal_stage", [("", _("please choose")), *stage_choices(offered.pipelines)]
        )
        self._set_choice_field("deal_contact_role", [("", _("none")), *roles])
        if pipelines:
            self._set_choice_field("deal_pipeline", [("", _("please choose")), *pipelines])
        else:
            del self.fields["deal_pipeline"]

    @property
    def source_bound_fields(self) -> Iterator[Any]:
        """Return the bound fields that name the leads."""
        return self.bound_fields(*self.SOURCE_FIELDS)

    @property
    def has_policy_overrides(self) -> bool:
        """Return whether any field that overrides the policy has a value or an error."""
        names = (
            *self.RULE_FIELDS,
            *(n for n in self.fields if n.startswith("deal")),
            *self.OTHER_FIELDS,
        )
        return any(self[name].value() or self[name].errors for name in names)

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file and file.size > MAX_UPLOAD_BYTES:
            message = _("This file has %(real)s; at most %(most)s can be taken in here.")
            sizes = {"real": filesizeformat(file.size), "most": filesizeformat(MAX_UPLOAD_BYTES)}
            raise ValidationError(message % sizes, code="too_large")
        return file

    def clean_filters(self) -> dict[str, str]:
        lines = filter(None, map(str.strip, self.cleaned_data["filters"].splitlines()))
        values: dict[str, str] = {}
        for line in lines:
            field, _equals, value = (part.strip() for part in line.partition("="))
            if not API_NAME.fullmatch(field) or not value:
                message = _("“%s” is not of the form FIELD=VALUE.")
                raise ValidationError(message % line[:60], code="no_filter")
            values[field] = value
        return values

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        self._check_source(given)
        if not self.errors:
            self._check_policy(given)
        return given

    def _check_source(self, given: Mapping[str, Any]) -> None:
        sources = [name for name in ("ids", "file", "open_leads") if given.get(name)]
        if len(sources) > 1:
            self.add_error(sources[-1], _("Either ids, or a file, or the open leads."))
        elif not sources and not self.errors:
            self.add_error("ids", _("Which leads? Paste their ids, or choose a file."))
        if given.get("column") and not given.get("file") and "file" not in self.errors:
            self.add_error("column", _("Only a file has columns."))
        if given.get("filters") and not given.get("open_leads"):
            self.add_error("filters", _("Only open leads can be filtered; tick them."))

    def _check_policy(self, given: Mapping[str, Any]) -> None:
        """Set the policy of the run; an error of what the chosen one says itself is shown there."""
        policy = self.apply_to(self.policies[given["policy"]])
        self.chosen_policy, errors = fit_policy(policy, self.offered)
        for error in errors:
            name = self.fields_by_rule.get(error.field, error.field)
            is_entered = given.get(name) or error.code == "no_deal"
            self.add_error(name if is_entered else "policy", str(error))

    def lead_ids(self) -> Iterator[str]:
        """
        Return the lead ids of the source, read lazily.

        :raises RequestRefusedError: while iterating, if the file cannot be read
        """
        given = self.cleaned_data
        if given["file"]:
            return mass_convert.ids_in_file(given["file"].file, column=given["column"])
        return mass_convert.ids_in_lines(ids_in_text(given["ids"]))

    def source(self) -> CodedText:
        """Return the source of the leads: the file with its name, or ids that were pasted."""
        file = self.cleaned_data["file"]
        return mass_convert.file_source(str(file.name)) if file else CodedText(code="ids")

    def add_service_error(self, error: Exception) -> None:
        """Add an error of the source to the field that can fix it."""
        given = self.cleaned_data
        source = "filters" if given["open_leads"] else "file" if given["file"] else "ids"
        self.add_error(self.FIELDS_BY_CODE.get(getattr(error, "code", ""), source), str(error))


class RunOfSelectionForm(forms.Form):
    """The policy and the name of a run of leads that were chosen in a list."""

    policy = forms.ChoiceField(
        label=gettext_lazy("Policy"),
        help_text=gettext_lazy("It decides the leads; each decision can be changed in the review."),
    )
    name = PrepareForm.base_fields["name"]

    def __init__(self, *args: Any, offered: Choices, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offered, self.policies = offered, policies()
        field = self.fields["policy"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(name, name) for name in self.policies]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if policy := self.policies.get(given.get("policy", "")):
            self.chosen_policy, errors = fit_policy(policy, self.offered)
            for error in errors:
                self.add_error("policy", str(error))
        return given


class RevisionForm(forms.Form):
    """The revision of a mass conversion that was shown when the form was rendered."""

    revision = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class CauseForm(forms.Form):
    """The cause for which leads of a run were not converted, and how many a button showed."""

    status = forms.ChoiceField(choices=[(status, status) for status in CAUSE_STATUSES])
    code = forms.CharField(required=False, max_length=200, strip=False)
    detail = forms.CharField(required=False, max_length=200, strip=False)
    count = forms.IntegerField(required=False, min_value=0)

    @property
    def key(self) -> CauseKey:
        """The cause without the number."""
        return CauseKey(**{name: self.cleaned_data[name] for name in ("status", "code", "detail")})


class StartForm(RevisionForm):
    """The number of leads, typed in as a confirmation."""

    count = forms.IntegerField(
        label=gettext_lazy("How many leads will be converted?"),
        min_value=0,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        help_text=gettext_lazy("Type in the number that stands above, without separators."),
    )

    def add_service_error(self, error: Exception) -> None:
        """Add an error of the service to the count."""
        self.add_error("count", str(error))

    @classmethod
    def for_run(cls, revision: int, data: Any = None) -> StartForm:
        """Return a form for the revision of a run that is shown, bound if there is data."""
        return cls(data, initial={"revision": revision})
