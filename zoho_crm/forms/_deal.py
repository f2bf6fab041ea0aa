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
from zoho_crm.services.choices import Choices
from zoho_crm.services.deal_fields import deal_value, entered_text, is_supported
from zoho_crm.types import Deal, DealField, FieldValue, Pipeline

#: Zoho's fields of a deal that have a form field of their own.
DEDICATED_FIELDS = frozenset(
    {"Deal_Name", "Closing_Date", "Pipeline", "Stage", "Amount", "Contact_Role"}
)
REQUIRED_FIELDS = ("deal_name", "deal_stage", "deal_closing_date")
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


class DealFieldsForm(forms.Form):
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
        self.pipelines = {pipeline.value: pipeline for pipeline in offered.pipelines}
        self.extra_fields = {
            EXTRA_FIELD_PREFIX + field.api_name: field
            for field in offered.deal_fields
            if field.api_name not in DEDICATED_FIELDS and (is_supported(field) or field.required)
        }
        if not self.pipelines:
            for name in [name for name in self.fields if name.startswith("deal_")]:
                del self.fields[name]
            return
        roles = [("", _("none")), *((role.id, role.name) for role in offered.contact_roles)]
        self._set_choices("deal_pipeline", [(p.value, p.label) for p in self.pipelines.values()])
        self._set_choices(
            "deal_stage", [("", _("please choose")), *_stage_choices(offered.pipelines)]
        )
        self._set_choices("deal_contact_role", roles)
        if self.pipelines.keys() == {""}:
            del self.fields["deal_pipeline"]
        other = planned.other if planned else {}
        for field_name, field in self.extra_fields.items():
            self.fields[field_name] = _form_field(field, other.get(field.api_name))
        self.initial.update(_initial(planned, default_name, offered.pipelines))

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
        if is_wanted and not self.pipelines:
            message = _(
                "No deal can be created now: the stages of this organisation's deals are unknown."
            )
            raise forms.ValidationError(message, code="no_stages")
        return is_wanted

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("deal"):
            self._require(self._required_names())
            self._check_stage()
            self.extra_values = self._clean_extra_values()
        return self.cleaned_data

    def _clean_extra_values(self) -> dict[str, FieldValue]:
        """Return the values of the layout's extra fields that were entered, by API name."""
        values: dict[str, FieldValue] = {}
        for name, field in self.extra_fields.items():
            try:
                if entered := self.cleaned_data.get(name):
                    values[field.api_name] = deal_value(field, entered)
            except PlanError as error:
                self.add_error(name, str(error))
        return values

    def _required_names(self) -> list[str]:
        extra = [name for name, field in self.extra_fields.items() if field.required]
        return [*REQUIRED_FIELDS, *({"deal_pipeline"} & self.fields.keys()), *extra]

    def _require(self, names: Collection[str]) -> None:
        for name in names:
            if self.cleaned_data.get(name) in (None, "", []) and name not in self.errors:
                self.add_error(name, _("A deal needs this."))

    def _check_stage(self) -> None:
        pipeline = self.pipelines.get(self.cleaned_data.get("deal_pipeline", ""))
        stage = self.cleaned_data.get("deal_stage")
        if not stage or pipeline is None or stage in {each.value for each in pipeline.stages}:
            return
        message = _("The pipeline “%(pipeline)s” has no such stage; its stages are: %(stages)s.")
        stages = ", ".join(each.label for each in pipeline.stages)
        self.add_error("deal_stage", message % {"pipeline": pipeline.label, "stages": stages})

    def planned_deal(self) -> Deal | None:
        """Return the deal to create; ``None`` if none is wanted."""
        given = self.cleaned_data
        if not given["deal"]:
            return None
        return Deal(
            name=given["deal_name"],
            stage=given["deal_stage"],
            closing_date=given["deal_closing_date"],
            pipeline=given.get("deal_pipeline", ""),
            amount=given["deal_amount"],
            contact_role=given["deal_contact_role"],
            other=self.extra_values,
        )


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


def _stage_choices(pipelines: Collection[Pipeline]) -> list[tuple[str, str]]:
    """Return every stage once as (value, label), in the order of the pipelines."""
    found = {stage.value: stage.label for each in pipelines for stage in each.stages}
    return list(found.items())


def _initial(
    planned: Deal | None, default_name: str, pipelines: Collection[Pipeline]
) -> Mapping[str, Any]:
    if planned is None:
        default = next((each.value for each in pipelines if each.is_default), "")
        return {"deal_name": default_name[:120], "deal_pipeline": default}
    extra = {
        EXTRA_FIELD_PREFIX + api_name: entered_text(value)
        for api_name, value in planned.other.items()
    }
    return extra | {
        "deal": True,
        "deal_name": planned.name,
        "deal_pipeline": planned.pipeline,
        "deal_stage": planned.stage,
        "deal_closing_date": planned.closing_date,
        "deal_amount": planned.amount,
        "deal_contact_role": planned.contact_role,
    }
