"""How a lead is to be converted: the choices are the row's own, and what comes out is a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import matching
from zoho_crm.exceptions import PlanError
from zoho_crm.forms._deal import DealPart
from zoho_crm.forms._matches import NEW, MatchField
from zoho_crm.models import LeadConversion
from zoho_crm.services.choices import Choices
from zoho_crm.types import ConversionOptions, ConversionPlan, Lead, Verdict

MODULES = {
    "Contacts": gettext_lazy("Contact"),
    "Accounts": gettext_lazy("Account"),
    "Deals": gettext_lazy("Deal"),
}


class ConversionForm(DealPart):
    """A person's decision about a previewed lead."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    owner = forms.ChoiceField(label=gettext_lazy("Owner"), required=False)
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

    ALSO = ("owner", "tags", "attachments", "overwrite", "notify_lead_owner", "notify_new_owner")
    #: Where a plan that does not fit can be put right.
    FIELDS_BY_CODE: Mapping[str, str] = {"disagree": "account"}

    def __init__(
        self, data: Any = None, *, row: LeadConversion, lead: Lead, offered: Choices
    ) -> None:
        super().__init__(data)
        self.row, self.lead, self.options = row, lead, row.options_seen()
        plan = row.planned()
        self.fields["contact"] = MatchField(
            self.options.contacts, label=_("Contact"), new=_new_contact(lead)
        )
        self.fields["account"] = MatchField(
            self.options.accounts, label=_("Account"), new=_new_account(lead, self.options)
        )
        self._let_choose("owner", _owners(lead, offered))
        if not lead.tags:
            del self.fields["tags"]
        if not lead.company:
            del self.fields["overwrite"]
        self.initial.update(_initial(row.version, plan or ConversionPlan()))
        self.initial.update(_chosen(plan, self.options))
        self.offer_deal(offered, plan.deal if plan else None, lead.company or lead.name)

    @property
    def also_entries(self) -> Iterator[BoundField]:
        """The entries beside contact, account and deal."""
        return (self[name] for name in self.ALSO if name in self.fields)

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        for name in ("tags", "attachments"):
            if "Deals" in (given.get(name) or ()) and not given.get("deal"):
                self.add_error(name, _("There will be no deal."))
        if given.get("overwrite") and {given.get("contact"), given.get("account")} == {NEW}:
            self.add_error("overwrite", _("There is no existing account to rename."))
        if not self.errors:
            self._check_plan()
        return given

    def _check_plan(self) -> None:
        try:
            matching.check_plan(self.plan(), Verdict(self.row.verdict), self.options)
        except PlanError as error:
            self.add_error(self.FIELDS_BY_CODE.get(error.code), str(error))

    def plan(self) -> ConversionPlan:
        """Return the decision as a plan."""
        given = self.cleaned_data
        return ConversionPlan(
            contact_id=_existing(given["contact"]),
            account_id=_existing(given["account"]),
            deal=self.planned_deal(),
            owner_id=given["owner"],
            overwrite=given.get("overwrite", False),
            move_attachments_to=given["attachments"],
            tags=dict.fromkeys(given.get("tags", ()), self.lead.tags),
            notify_lead_owner=given["notify_lead_owner"],
            notify_new_owner=given["notify_new_owner"],
        )


def _existing(choice: str) -> str:
    return "" if choice == NEW else choice


def _chosen(plan: ConversionPlan | None, options: ConversionOptions) -> dict[str, str]:
    """Return what is chosen at first: nothing, where a person has to think."""
    if plan:
        return {"contact": plan.contact_id or NEW, "account": plan.account_id or NEW}
    return {
        "contact": "" if options.contacts else NEW,
        "account": "" if options.accounts else NEW,
    }


def _new_contact(lead: Lead) -> str:
    return _("Create a new contact “%s”") % lead.name


def _new_account(lead: Lead, options: ConversionOptions) -> str:
    names = {"company": lead.company}
    if lead.company and options.contacts:
        return _("The contact's own account; for a new contact a new one “%(company)s”") % names
    if lead.company:
        return _("Create a new account “%(company)s”") % names
    if options.contacts:
        return _("The contact's own account, if it has one")
    return _("No account: the lead has no company")


def _owners(lead: Lead, offered: Choices) -> list[tuple[str, str]]:
    keep = _("Keep the lead's owner, %s") % lead.owner.name if lead.owner else _("Keep the owner")
    return [("", keep), *((user.id, user.name) for user in offered.users)]


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
