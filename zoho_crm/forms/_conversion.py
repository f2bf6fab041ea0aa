"""The forms of conversions: look a lead up, decide how it is converted, close it with a note."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import QuerySet
from django.forms import BoundField
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import matching
from zoho_crm.exceptions import PlanError
from zoho_crm.forms._deal import DealFieldsForm
from zoho_crm.forms._fields import ConnectionField, user_field
from zoho_crm.models import Connection, LeadConversion, MassConversionLine
from zoho_crm.services.choices import Choices
from zoho_crm.services.lead_ids import read_lead_id
from zoho_crm.services.presentation import MODULES, unusable_reason
from zoho_crm.types import ConversionOptions, ConversionPlan, Lead, Match, Verdict

#: The choice "create a new record" among the matches.
NEW_RECORD = "new"


class LookUpForm(forms.Form):
    """Find a lead by its id or its e-mail address."""

    connection = ConnectionField()
    lead = forms.CharField(
        label=gettext_lazy("Lead id or e-mail"),
        max_length=200,
        help_text=gettext_lazy(
            "The id is the number at the end of the lead's address in Zoho CRM."
        ),
    )

    def __init__(self, *args: Any, connections: QuerySet[Connection], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["connection"].queryset = connections  # type: ignore[attr-defined]
        self.fields["connection"].initial = connections.first()

    def clean_lead(self) -> str:
        text = str(self.cleaned_data["lead"]).strip()
        if "@" in text:
            validate_email(text)
            return text
        read = read_lead_id(text)
        if read.reason == MassConversionLine.Reason.ROUNDED:
            message = _("A spreadsheet has rounded this number; copy the id from Zoho.")
            raise ValidationError(message)
        if read.reason:
            message = _("This is neither an e-mail address nor an id: a number of up to 19 digits.")
            raise ValidationError(message)
        return read.lead_id

    @property
    def by_email(self) -> bool:
        """Return whether an e-mail address was given instead of an id."""
        return "@" in self.cleaned_data["lead"]


class VersionForm(forms.Form):
    """The version of a row that was shown when the form was rendered."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    @property
    def seen_version(self) -> int:
        """Return the version that was shown; -1, which no row has, if it is missing or invalid."""
        return int(self.cleaned_data["version"]) if self.is_valid() else -1


class MatchSelect(forms.RadioSelect):
    """Radio buttons of which those in ``unusable`` are disabled."""

    unusable: Collection[str] = ()

    def create_option(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option: dict[str, Any] = super().create_option(*args, **kwargs)
        if option["value"] in self.unusable:
            option["attrs"]["disabled"] = True
        return option


class MatchField(forms.ChoiceField):
    """The id of one of the matches, or ``NEW_RECORD``."""

    widget = MatchSelect

    def __init__(self, matches: Collection[Match], *, label: str, new: str) -> None:
        choices = [(match.id, match.name) for match in matches]
        texts = {
            "required": _("Please choose."),
            "invalid_choice": _("%(value)s is not among the matches of this lead."),
        }
        super().__init__(label=label, choices=[*choices, (NEW_RECORD, new)], error_messages=texts)
        self.unusable_reasons = {
            match.id: reason for match in matches if (reason := unusable_reason(match))
        }
        assert isinstance(self.widget, MatchSelect)
        self.widget.unusable = frozenset(self.unusable_reasons)

    def validate(self, value: str) -> None:
        super().validate(value)
        if value in self.unusable_reasons:
            raise ValidationError(self.unusable_reasons[value], code="unusable")


class ConversionForm(DealFieldsForm):
    """A decision about a previewed lead; its choices are the row's own matches."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    owner: forms.Field = forms.ChoiceField(label=gettext_lazy("Owner"), required=False)
    tags = forms.MultipleChoiceField(
        label=gettext_lazy("Carry the tags over to"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=list(MODULES.items()),
    )
    attachments = forms.ChoiceField(
        label=gettext_lazy("Attachments go to"),
        required=False,
        choices=[("", gettext_lazy("where Zoho puts them: the contact")), *MODULES.items()],
    )
    overwrite = forms.BooleanField(
        label=gettext_lazy("Give the existing account the lead's company as its name"),
        required=False,
    )
    notify_lead_owner = forms.BooleanField(
        label=gettext_lazy("Let Zoho tell the lead's owner"), required=False
    )
    notify_new_owner = forms.BooleanField(
        label=gettext_lazy("Let Zoho tell the owner of the new records"), required=False
    )

    OTHER_FIELDS = (
        "owner",
        "tags",
        "attachments",
        "overwrite",
        "notify_lead_owner",
        "notify_new_owner",
    )
    fields_by_rule: Mapping[str, str] = {
        "contact_id": "contact",
        "account_id": "account",
        "owner_id": "owner",
        "move_attachments_to": "attachments",
    }

    def __init__(
        self, data: Any = None, *, row: LeadConversion, lead: Lead, offered: Choices
    ) -> None:
        super().__init__(data)
        self.row, self.lead, self.options = row, lead, row.stored_options()
        plan = row.stored_plan()
        self.fields["contact"] = MatchField(
            self.options.contacts, label=_("Contact"), new=_new_contact_label(lead)
        )
        self.fields["account"] = MatchField(
            self.options.accounts, label=_("Account"), new=_new_account_label(lead, self.options)
        )
        self.fields["owner"] = user_field(
            offered, [("", _owner_default(lead))], label=self.fields["owner"].label
        )
        if not lead.tags:
            del self.fields["tags"]
        if not lead.company:
            del self.fields["overwrite"]
        self.initial.update(_initial(row.version, plan or ConversionPlan()))
        self.initial.update(_initial_choices(plan, self.options))
        self.set_deal_choices(offered, plan.deal if plan else None, lead.company or lead.name)

    @property
    def other_bound_fields(self) -> Iterator[BoundField]:
        """Return the bound fields beside contact, account and deal."""
        return (self[name] for name in self.OTHER_FIELDS if name in self.fields)

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if not given.get("deal"):
            targets = {name: given.get(name) or () for name in ("tags", "attachments")}
            self.add_rule_errors(matching.deal_target_errors(targets))
        if not self.errors:
            try:
                matching.check_plan(self.plan(), Verdict(self.row.verdict), self.options)
            except PlanError as error:
                self.add_rule_errors([error])
        return given

    def plan(self) -> ConversionPlan:
        """Return the plan that was decided; the form has to be valid."""
        given = self.cleaned_data
        return ConversionPlan(
            contact_id=_record_id(given["contact"]),
            account_id=_record_id(given["account"]),
            deal=self.planned_deal,
            owner_id=given["owner"],
            overwrite=given.get("overwrite", False),
            move_attachments_to=given["attachments"],
            tags=dict.fromkeys(given.get("tags", ()), self.lead.tags),
            notify_lead_owner=given["notify_lead_owner"],
            notify_new_owner=given["notify_new_owner"],
        )


class CloseForm(VersionForm):
    """Close a lead that needs a person, with a note."""

    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("What you found out; it is kept with the events of the lead."),
    )


def _record_id(choice: str) -> str:
    return "" if choice == NEW_RECORD else choice


def _initial_choices(plan: ConversionPlan | None, options: ConversionOptions) -> dict[str, str]:
    """
    Return the initial contact and account: those of the plan.

    Without a plan nothing is preselected where there are matches.
    """
    if plan:
        return {"contact": plan.contact_id or NEW_RECORD, "account": plan.account_id or NEW_RECORD}
    return {
        "contact": "" if options.contacts else NEW_RECORD,
        "account": "" if options.accounts else NEW_RECORD,
    }


def _new_contact_label(lead: Lead) -> str:
    return _("Create a new contact “%s”") % lead.name


def _new_account_label(lead: Lead, options: ConversionOptions) -> str:
    names = {"company": lead.company}
    if lead.company and options.contacts:
        return _("The contact's own account; for a new contact a new one “%(company)s”") % names
    if lead.company:
        return _("Create a new account “%(company)s”") % names
    if options.contacts:
        return _("The contact's own account, if it has one")
    return _("No account: the lead has no company")


def _owner_default(lead: Lead) -> str:
    return _("Keep the lead's owner, %s") % lead.owner.name if lead.owner else _("Keep the owner")


def _initial(version: int, plan: ConversionPlan) -> dict[str, Any]:
    return {
        "version": version,
        "owner": plan.owner_id,
        "tags": [module for module, names in plan.tags.items() if names],
        "attachments": plan.move_attachments_to,
        "overwrite": plan.overwrite,
        "notify_lead_owner": plan.notify_lead_owner,
        "notify_new_owner": plan.notify_new_owner,
    }
