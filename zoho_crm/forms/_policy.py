"""A policy that is saved under a name."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import matching
from zoho_crm.forms._rules import NO, YES, RulesPart
from zoho_crm.models import Policy
from zoho_crm.types import as_json, is_record_id

USER_ID = gettext_lazy("The id of a user: a number of up to 19 digits.")


class PolicyForm(RulesPart, forms.ModelForm):  # type: ignore[type-arg]  # no class at run time
    """A policy's name and all that it says."""

    class Meta:
        model = Policy
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        instance = kwargs.get("instance")
        policy = instance.as_value() if instance else matching.POLICIES["careful"]
        kwargs["initial"] = {**_initial(policy), **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)
        self.fields["owner"].help_text = _("%s Empty: each lead's own.") % USER_ID
        self.fields["owner_for_inactive"].help_text = (
            _("%s Empty: such leads are left to a person.") % USER_ID
        )
        self.fields["deal_stage"].help_text = _("Its value in Zoho.")
        self.fields["deal_pipeline"].help_text = _(
            "Its actual value in Zoho, as in Standard (Standard). Empty: there are no pipelines."
        )
        self.fields["deal_contact_role"].help_text = _("The id of a contact role, or empty.")

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if name in matching.POLICIES:
            raise ValidationError(_("This name belongs to a policy that comes with the app."))
        return name

    def clean_owner(self) -> str:
        return self._record_id("owner")

    def clean_owner_for_inactive(self) -> str:
        return self._record_id("owner_for_inactive")

    def clean_deal_contact_role(self) -> str:
        return self._record_id("deal_contact_role")

    def _record_id(self, entry: str) -> str:
        text = str(self.cleaned_data[entry])
        if text and not is_record_id(text):
            raise ValidationError(_("This is no id: a number of up to 19 digits."))
        return text

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if not self.errors:
            policy = self.changed(matching.Policy(name=given["name"]))
            self.check_homes(policy)
            self.instance.rules = as_json(policy)
        return given


def _initial(policy: matching.Policy) -> dict[str, Any]:
    deal = policy.deal
    parts = as_json(deal) if deal else {}
    return {
        **{rule: getattr(policy, rule) for rule in RulesPart.RULES},
        **{f"deal_{word}": value for word, value in parts.items()},
        "deal": YES if deal else NO,
        "owner": policy.owner_id,
        "owner_for_inactive": policy.owner_for_inactive_id,
        "tags": list(policy.tags_to),
        "attachments": policy.attachments_to,
        "notify_lead_owner": YES if policy.notify_lead_owner else NO,
        "notify_new_owner": YES if policy.notify_new_owner else NO,
    }
