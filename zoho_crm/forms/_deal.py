"""The fields of the deal that a conversion may create, as the organisation's layout asks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.exceptions import PlanError
from zoho_crm.forms._fields import DEAL_FIELD_NAMES, RuleErrorsForm
from zoho_crm.services.choices import Choices
from zoho_crm.services.deal_fields import entered_text, is_supported
from zoho_crm.services.plans import DEAL_FIELDS, default_pipeline, read_deal
from zoho_crm.types import Deal, DealField, FieldValue, Pipeline

EXTRA_FIELD_PREFIX = "deal_field_"
MAX_VALUE_LENGTH = 2000
MAX_TEXT_AREA_LENGTH = 32_000
#: The widgets of fields without choices, by Zoho's type; those of others are text inputs.
WIDGETS: Mapping[str, Callable[[], forms.Widget]] = {
    "textarea": partial(forms.Textarea, attrs={"rows": 3}),
    "date": partial(forms.DateInput, attrs={"type": "date"}),
    **dict.fromkeys(
        ("integer", "double", "currency", "percent"),
        partial(forms.TextInput, attrs={"inputmode": "decimal"}),
    ),
}


class DealFieldsForm(RuleErrorsForm):
    """Base form: the fields of a deal, required only if one is to be created."""

    deal = forms.BooleanField(label=gettext_lazy("Create a deal"), required=False)
    deal_name = forms.CharField(label=gettext_lazy("Name"), max_length=120, required=False)
    deal_pipeline = forms.ChoiceField(label=gettext_lazy("Pipeline"), required=False)
    deal_stage = forms.ChoiceField(label=gettext_lazy("Stage"), required=False)
    deal_closing_date = forms.DateField(
        label=gettext_lazy("Closing date"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    deal_amount = forms.DecimalField(
        label=gettext_lazy("Amount"), max_digits=16, decimal_places=2, required=False
    )
    deal_contact_role = forms.ChoiceField(label=gettext_lazy("Role of the contact"), required=False)

    def set_deal_choices(self, offered: Choices, planned: Deal | None, default_name: str) -> None:
        """
        Set the choices, the layout's extra fields and the initial values.

        Without pipelines all fields but ``deal`` are removed.
        """
        self.offered, pipelines = offered, offered.pipelines
        extra_fields = {
            EXTRA_FIELD_PREFIX + field.api_name: field
            for field in offered.deal_fields
            if field.api_name not in DEAL_FIELD_NAMES and (is_supported(field) or field.required)
        }
        extra_names = {field.api_name: name for name, field in extra_fields.items()}
        self.deal_field_names = {**DEAL_FIELD_NAMES, **extra_names}
        self.fields_by_rule = {**self.fields_by_rule, **self.deal_field_names}
        if not pipelines:
            for name in [name for name in self.fields if name.startswith("deal_")]:
                del self.fields[name]
            return
        roles = [("", _("none")), *((role.id, role.name) for role in offered.contact_roles)]
        self._set_choices("deal_pipeline", [(each.value, each.label) for each in pipelines])
        self._set_choices("deal_stage", [("", _("please choose")), *stage_choices(pipelines)])
        self._set_choices("deal_contact_role", roles)
        if not any(pipeline.value for pipeline in pipelines):
            del self.fields["deal_pipeline"]
        other = planned.other if planned else {}
        for field_name, field in extra_fields.items():
            self.fields[field_name] = _form_field(field, other.get(field.api_name))
        self.initial.update(_initial(planned, default_name, default_pipeline(offered)))

    def _set_choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    @property
    def deal_bound_fields(self) -> Iterator[BoundField]:
        """Return the bound fields of the deal, in order."""
        names = [name for name in self.fields if name.startswith("deal_")]
        return (self[name] for name in names)

    def clean_deal(self) -> bool:
        is_wanted: bool = self.cleaned_data["deal"]
        if is_wanted and not self.offered.pipelines:
            message = _(
                "No deal can be created now: the stages of this organisation's deals are unknown."
            )
            raise forms.ValidationError(message, code="no_stages")
        return is_wanted

    def clean(self) -> dict[str, Any]:
        self.planned_deal: Deal | None = None
        if self.cleaned_data.get("deal"):
            given = self.cleaned_data
            entered = {each: given.get(name) for each, name in self.deal_field_names.items()}
            self.planned_deal, errors = read_deal(entered, self.offered)
            self.add_rule_errors(errors)
        return self.cleaned_data

    def rule_text(self, error: PlanError) -> str:
        if error.code == "no_stage":
            # The stage that was chosen is shown beside.
            message = _(
                "The pipeline “%(pipeline)s” has no such stage; its stages are: %(stages)s."
            )
            return message % error.details
        return super().rule_text(error)


def _form_field(field: DealField, planned: FieldValue | None) -> forms.Field:
    """Return the form field that asks for a value of a deal's field; it yields the text of it."""
    choices = [(choice.value, choice.label) for choice in field.choices]
    if field.data_type == "boolean":
        choices = [("true", _("yes")), ("false", _("no"))]
    if field.data_type == "multiselectpicklist" and choices:
        return forms.MultipleChoiceField(label=field.label, choices=choices, required=False)
    if choices:
        if isinstance(planned, str) and planned not in dict(choices):
            choices.append((planned, planned))
        return forms.ChoiceField(
            label=field.label, choices=[("", _("none")), *choices], required=False
        )
    widget = WIDGETS.get(field.data_type, forms.TextInput)
    max_length = MAX_TEXT_AREA_LENGTH if field.data_type == "textarea" else MAX_VALUE_LENGTH
    return forms.CharField(
        label=field.label, max_length=max_length, required=False, widget=widget()
    )


def stage_choices(pipelines: Collection[Pipeline]) -> list[tuple[str, str]]:
    """Return every stage once as (value, label), in the order of the pipelines."""
    found = {stage.value: stage.label for each in pipelines for stage in each.stages}
    return list(found.items())


def _initial(planned: Deal | None, default_name: str, pipeline: str) -> Mapping[str, Any]:
    if planned is None:
        return {"deal_name": default_name[:120], "deal_pipeline": pipeline}
    own = {DEAL_FIELD_NAMES[name]: getattr(planned, word) for word, name in DEAL_FIELDS.items()}
    extra = {
        EXTRA_FIELD_PREFIX + api_name: entered_text(value)
        for api_name, value in planned.other.items()
    }
    return {**extra, **own, "deal": True}
