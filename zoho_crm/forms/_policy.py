"""The fields of a policy, and the form of a policy that is saved under a name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms import BoundField
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import matching
from zoho_crm.forms._fields import TEMPLATE_FIELD_NAMES, RuleErrorsForm
from zoho_crm.matching import Action, DealTemplate
from zoho_crm.models import Policy
from zoho_crm.services.choices import Choices
from zoho_crm.services.plans import TEMPLATE_FIELDS, fit_policy, missing_deal_fields
from zoho_crm.services.presentation import MODULES
from zoho_crm.types import as_json, is_record_id

#: The choice that clears a value of the chosen policy.
UNSET = "nothing"
YES, NO = "yes", "no"
#: The actions that each rule offers, with their labels.
ACTIONS_BY_RULE: Mapping[str, Mapping[str, Any]] = {
    "on_no_match": {
        Action.CREATE: gettext_lazy("create contact and account"),
        Action.REVIEW: gettext_lazy("ask a person"),
        Action.SKIP: gettext_lazy("leave the lead out"),
    },
    "on_one_match": {
        Action.ATTACH: gettext_lazy("join it"),
        Action.REVIEW: gettext_lazy("ask a person"),
        Action.SKIP: gettext_lazy("leave the lead out"),
    },
    "on_account_only": {
        Action.ATTACH: gettext_lazy("create a contact in it"),
        Action.REVIEW: gettext_lazy("ask a person"),
        Action.SKIP: gettext_lazy("leave the lead out"),
    },
    "on_several_matches": {
        Action.REVIEW: gettext_lazy("ask a person"),
        Action.NEWEST: gettext_lazy("join the newest"),
        Action.MOST_RECENTLY_ACTIVE: gettext_lazy("join the one that was active last"),
        Action.SKIP: gettext_lazy("leave the lead out"),
    },
}
#: Form fields with one text, by the attribute of the policy.
FIELD_BY_ATTRIBUTE = {
    "owner_id": "owner",
    "owner_for_inactive_id": "owner_for_inactive",
    "attachments_to": "attachments",
}
DEAL_FIELDS = (
    "deal_name",
    "deal_pipeline",
    "deal_stage",
    "deal_closing_days",
    "deal_amount",
    "deal_contact_role",
)
NOTIFICATION_FIELDS = ("notify_lead_owner", "notify_new_owner")
MODULE_CHOICES = list(MODULES.items())
DEAL_CHOICES = [(NO, gettext_lazy("none")), (YES, gettext_lazy("one for each lead"))]
DEFAULT_TARGET_LABEL = gettext_lazy("where Zoho puts them: the contact")
YES_NO_CHOICES = [(YES, gettext_lazy("yes")), (NO, gettext_lazy("no"))]
USER_ID_HELP = gettext_lazy("The id of a user: a number of up to 19 digits.")


class PolicyFieldsForm(RuleErrorsForm):
    """Base form: the fields of a policy; empty ones leave the policy as it is."""

    fields_by_rule: Mapping[str, str] = {
        **TEMPLATE_FIELD_NAMES,
        **FIELD_BY_ATTRIBUTE,
        "tags_to": "tags",
        "attachments_to": "attachments",
    }
    #: What is known of the organisation.
    offered = Choices()

    on_no_match = forms.ChoiceField(
        label=gettext_lazy("If nothing matches"),
        choices=list(ACTIONS_BY_RULE["on_no_match"].items()),
    )
    on_one_match = forms.ChoiceField(
        label=gettext_lazy("If one contact matches"),
        choices=list(ACTIONS_BY_RULE["on_one_match"].items()),
    )
    on_account_only = forms.ChoiceField(
        label=gettext_lazy("If only an account matches"),
        choices=list(ACTIONS_BY_RULE["on_account_only"].items()),
    )
    on_several_matches = forms.ChoiceField(
        label=gettext_lazy("If several match"),
        choices=list(ACTIONS_BY_RULE["on_several_matches"].items()),
    )
    deal = forms.ChoiceField(
        label=gettext_lazy("Deal"),
        choices=DEAL_CHOICES,
    )
    deal_name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=120,
        required=False,
        help_text=gettext_lazy(
            "Fields of the lead may stand in it by their API name, as in {Company} – {Lead_Source}."
        ),
    )
    deal_pipeline = forms.CharField(label=gettext_lazy("Pipeline"), max_length=120, required=False)
    deal_stage = forms.CharField(label=gettext_lazy("Stage"), max_length=120, required=False)
    deal_closing_days = forms.IntegerField(
        label=gettext_lazy("Closes after, in days"),
        min_value=0,
        max_value=3650,
        required=False,
        help_text=gettext_lazy("Empty: 30."),
    )
    deal_amount = forms.DecimalField(
        label=gettext_lazy("Amount"), max_digits=16, decimal_places=2, required=False
    )
    deal_contact_role = forms.CharField(
        label=gettext_lazy("Role of the contact"), max_length=19, required=False
    )
    owner = forms.CharField(label=gettext_lazy("Owner"), max_length=19, required=False)
    owner_for_inactive = forms.CharField(
        label=gettext_lazy("Owner, where the lead's is inactive"), max_length=19, required=False
    )
    tags = forms.MultipleChoiceField(
        label=gettext_lazy("Carry the tags over to"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=MODULE_CHOICES,
    )
    attachments = forms.ChoiceField(
        label=gettext_lazy("Attachments go to"),
        required=False,
        choices=[("", DEFAULT_TARGET_LABEL), *MODULE_CHOICES],
    )
    notify_lead_owner = forms.ChoiceField(
        label=gettext_lazy("Let Zoho tell the lead's owner"), choices=YES_NO_CHOICES, initial=NO
    )
    notify_new_owner = forms.ChoiceField(
        label=gettext_lazy("Let Zoho tell the owner of the new records"),
        choices=YES_NO_CHOICES,
        initial=NO,
    )

    RULE_FIELDS = tuple(ACTIONS_BY_RULE)
    DEAL_FIELDS = DEAL_FIELDS
    OTHER_FIELDS = ("owner", "owner_for_inactive", "tags", "attachments", *NOTIFICATION_FIELDS)

    def bound_fields(self, *names: str) -> Iterator[BoundField]:
        """Return the bound fields with these names, without those that the form does not have."""
        return (self[name] for name in names if name in self.fields)

    @property
    def rule_bound_fields(self) -> Iterator[BoundField]:
        """Return the bound fields of the rules: what is done with each verdict."""
        return self.bound_fields(*self.RULE_FIELDS)

    @property
    def deal_bound_fields(self) -> Iterator[BoundField]:
        """Return the bound fields of the deal."""
        return self.bound_fields("deal", *DEAL_FIELDS)

    @property
    def other_bound_fields(self) -> Iterator[BoundField]:
        """Return the bound fields beside rules and deal."""
        return self.bound_fields(*self.OTHER_FIELDS)

    def clean(self) -> dict[str, Any]:
        super().clean()
        given = self.cleaned_data
        if given.get("deal") == YES:
            known = Choices(pipelines=self.offered.pipelines)
            self.add_rule_errors(missing_deal_fields(self._entered_deal(), known))
        elif any(given.get(name) not in (None, "") for name in DEAL_FIELDS):
            self.add_error("deal", _("Choose one for each lead, or leave its entries empty."))
        if UNSET in given.get("tags", ()) and len(given["tags"]) > 1:
            self.add_error("tags", _("Choose “none of them” or some, not both."))
        return given

    def apply_to(self, policy: matching.Policy) -> matching.Policy:
        """Return the policy with the values that were entered in place of its own."""
        given = self.cleaned_data
        parts: dict[str, Any] = {
            rule: Action(given[rule]) for rule in self.RULE_FIELDS if given[rule]
        }
        parts |= {
            attribute: _value_or_empty(given[field_name])
            for attribute, field_name in FIELD_BY_ATTRIBUTE.items()
            if given[field_name]
        }
        parts |= {
            attribute: given[attribute] == YES
            for attribute in NOTIFICATION_FIELDS
            if given[attribute]
        }
        if given["tags"]:
            parts["tags_to"] = tuple(module for module in given["tags"] if module != UNSET)
        if given["deal"]:
            entered = self._entered_deal()
            words = {word: entered[name] for word, name in TEMPLATE_FIELDS.items()}
            parts["deal"] = DealTemplate(**words) if given["deal"] == YES else None
        return replace(policy, **parts)

    def _entered_deal(self) -> dict[str, Any]:
        """Return what was entered for the deal, by the API name of the deal's field."""
        given = self.cleaned_data
        entered = {each: given.get(name, "") for each, name in TEMPLATE_FIELD_NAMES.items()}
        if entered["Closing_Date"] is None:
            entered["Closing_Date"] = DealTemplate.closing_days
        return entered


class PolicyForm(PolicyFieldsForm, forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable
    """A policy that is saved under a name."""

    class Meta:
        model = Policy
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        instance = kwargs.get("instance")
        policy = instance.as_value() if instance else matching.POLICIES["careful"]
        kwargs["initial"] = {**_initial(policy), **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)
        self.fields["owner"].help_text = _("%s Empty: each lead's own.") % USER_ID_HELP
        self.fields["owner_for_inactive"].help_text = (
            _("%s Empty: such leads are left to a person.") % USER_ID_HELP
        )
        self.fields["deal_stage"].help_text = _("Its value in Zoho.")
        self.fields["deal_pipeline"].help_text = _(
            "Its actual value in Zoho, as in Standard (Standard). Empty: there are no pipelines."
        )
        self.fields["deal_contact_role"].help_text = _(
            "The id of a contact role, or empty. Leads with one are sent one by one."
        )

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

    def _record_id(self, field_name: str) -> str:
        text = str(self.cleaned_data[field_name])
        if text and not is_record_id(text):
            raise ValidationError(_("This is no id: a number of up to 19 digits."))
        return text

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if not self.errors:
            policy, errors = fit_policy(
                self.apply_to(matching.Policy(name=given["name"])), self.offered
            )
            self.add_rule_errors(errors)
            self.instance.rules = as_json(policy)
        return given


def _initial(policy: matching.Policy) -> dict[str, Any]:
    deal = policy.deal
    parts = as_json(deal) if deal else {}
    return {
        **{rule: getattr(policy, rule) for rule in PolicyFieldsForm.RULE_FIELDS},
        **{f"deal_{name}": value for name, value in parts.items()},
        "deal": YES if deal else NO,
        "owner": policy.owner_id,
        "owner_for_inactive": policy.owner_for_inactive_id,
        "tags": list(policy.tags_to),
        "attachments": policy.attachments_to,
        "notify_lead_owner": YES if policy.notify_lead_owner else NO,
        "notify_new_owner": YES if policy.notify_new_owner else NO,
    }


def _value_or_empty(chosen: str) -> str:
    return "" if chosen == UNSET else chosen
