"""The form that sets a value of the deal in the policy of a run."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from zoho_crm import matching
from zoho_crm.forms._deal import stage_choices
from zoho_crm.forms._fields import TEMPLATE_FIELD_NAMES, RuleErrorsForm
from zoho_crm.forms._policy import PolicyFieldsForm
from zoho_crm.services.choices import Choices
from zoho_crm.services.plans import TEMPLATE_FIELDS, default_pipeline, fit_policy


class PolicyFieldForm(RuleErrorsForm):
    """What the policy of a run says about a field of the deal that Zoho refused."""

    fields_by_rule = TEMPLATE_FIELD_NAMES

    def __init__(
        self, *args: Any, policy: matching.Policy, api_name: str, offered: Choices, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        assert policy.deal is not None
        self.policy, self.offered, self.deal = policy, offered, policy.deal
        for name in _asked_together(api_name, offered):
            self._add_field(name)

    def _add_field(self, name: str) -> None:
        """Add the field for a value of the deal, with the policy's own, or else the default."""
        word = TEMPLATE_FIELDS_BY_NAME[name]
        model = PolicyFieldsForm.base_fields[f"deal_{word}"]
        pipelines = self.offered.pipelines
        choices: Mapping[str, list[tuple[str, str]]] = {
            "Pipeline": [(each.value, each.label) for each in pipelines],
            "Stage": stage_choices(pipelines),
            "Contact_Role": [(role.id, role.name) for role in self.offered.contact_roles],
        }
        field = copy(model)
        if offered := choices.get(name):
            field = forms.ChoiceField(
                label=model.label, choices=[("", _("please choose")), *offered]
            )
        field.required = True
        self.fields[f"deal_{word}"] = field
        default = default_pipeline(self.offered) if name == "Pipeline" else ""
        value = getattr(self.deal, word)
        self.initial[f"deal_{word}"] = default if value in (None, "") else value

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if not self.errors:
            words = {name.removeprefix("deal_"): value for name, value in given.items()}
            changed = replace(self.policy, deal=replace(self.deal, **words))
            self.chosen_policy, errors = fit_policy(changed, self.offered)
            self.add_rule_errors(errors)
        return given


#: The attribute of ``DealTemplate`` by the API name of the field.
TEMPLATE_FIELDS_BY_NAME = {api_name: word for word, api_name in TEMPLATE_FIELDS.items()}


def _asked_together(api_name: str, offered: Choices) -> tuple[str, ...]:
    """Return the fields to ask for instead of one: a stage belongs to a pipeline."""
    if api_name not in ("Pipeline", "Stage"):
        return (api_name,)
    has_pipelines = any(each.value for each in offered.pipelines)
    return ("Pipeline", "Stage") if has_pipelines or api_name == "Pipeline" else ("Stage",)
