"""
Conversion of a single lead.

`Convert lead <https://www.zoho.com/crm/developer/docs/api/v8/convert-lead.html>`_
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from zoho_crm.simulator import item_refusals, refusals, schema
from zoho_crm.simulator.calls import Answer
from zoho_crm.simulator.clock import zoho_time
from zoho_crm.simulator.crm.convert_request import (
    ITEM_PATH,
    ConvertRequest,
    parse_convert_request,
    single_item,
)
from zoho_crm.simulator.crm.reading import checked_id
from zoho_crm.simulator.crm.values import check_unique
from zoho_crm.simulator.ledger import Conversion
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.records import Record, normalized
from zoho_crm.simulator.request_context import RequestContext
from zoho_crm.simulator.world import World

Json = dict[str, Any]
#: Keys of ``Deals`` in a request that are not fields of a deal.
_NOT_DEAL_FIELDS = ("Contact_Role", "$move_attachments")


def convert(world: World, context: RequestContext) -> Answer:
    """``POST /Leads/{id}/actions/convert``"""
    organisation = world.organisation
    lead = organisation.records["Leads"].get(checked_id(context))
    if lead is None:
        raise refusals.unknown_record()
    try:
        item = single_item(context)
        check_convertible(lead)
        check_target_modules(organisation)
        request = parse_convert_request(organisation, lead, item)
        outcome = convert_lead(world, lead, request, at=context.now, via="convert", body=item)
    except refusals.ItemRefusedError as refusal:
        return Answer.json({"data": [refusal.item]}, status=400)
    for entry in context.ledger_entries:
        entry.effect_at = context.now
    return Answer.json({"data": [outcome.as_json()]})


def convert_lead(
    world: World, lead: Record, request: ConvertRequest, *, at: datetime, via: str, body: Any = None
) -> Outcome:
    """
    Convert a lead and add the conversion to the ledger.

    :raises ItemRefusedError: if a new record would break a unique field; then nothing happens
    """
    outcome = LeadConverter(
        organisation=world.organisation, lead=lead, request=request, now=at
    ).run()
    world.ledger.conversions.append(outcome.as_entry(lead, at, via, body))
    return outcome


def check_convertible(lead: Record) -> None:
    """
    Refuse a lead that cannot be converted.

    :raises RefusedError: converted, in merge, not approved or in review
    :raises ItemRefusedError: locked
    """
    if lead["Converted__s"]:
        raise refusals.already_converted()
    if lead["$in_merge"]:
        raise refusals.in_merge()
    if lead["$approval_state"] != "approved":
        raise refusals.lead_not_approved("cannot convert record that is not approved yet")
    if lead["$review"]:
        raise refusals.lead_in_review()
    if lead["Locked__s"]:
        raise item_refusals.locked_lead()


def check_target_modules(organisation: Organisation) -> None:
    """
    Refuse any conversion if the user cannot create what leads become.

    :raises RefusedError: contacts are hidden, or the user lacks the privilege to create records
    """
    if organisation.is_hidden("Contacts"):
        raise refusals.not_allowed()
    if organisation.denied & {"Crm_Implied_Create_Contacts", "Crm_Implied_Create_Accounts"}:
        raise refusals.no_create_privilege()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The records that a lead became."""

    contact: Record
    account: Record | None
    deal: Record | None

    def as_json(self) -> Json:
        details = {
            "Contacts": self.contact.lookup(),
            "Deals": self.deal and self.deal.lookup(),
            "Accounts": self.account and self.account.lookup(),
        }
        return {
            "code": "SUCCESS",
            "details": details,
            "message": "The record has been converted successfully",
            "status": "success",
        }

    def record(self, module: str) -> Record | None:
        return {"Contacts": self.contact, "Accounts": self.account, "Deals": self.deal}[module]

    def as_entry(self, lead: Record, at: datetime, via: str, body: Any) -> Conversion:
        return Conversion(
            lead_id=lead.id,
            contact_id=self.contact.id,
            account_id=self.account.id if self.account else None,
            deal_id=self.deal.id if self.deal else None,
            at=at,
            via=via,
            request=body,
        )


@dataclass(frozen=True, kw_only=True)
class LeadConverter:
    """Carries out one conversion."""

    organisation: Organisation
    lead: Record
    request: ConvertRequest
    now: datetime

    def run(self) -> Outcome:
        """
        Create or merge contact, account and deal, and mark the lead as converted.

        :raises ItemRefusedError: if a new record would break a unique field; then nothing happens
        """
        self._check_unique()
        account = self._account()
        contact = self._contact(account)
        outcome = Outcome(contact=contact, account=account, deal=self._deal(contact, account))
        self._move_tags_and_attachments(outcome)
        self._notify(outcome)
        self._add_portal_user(outcome.contact)
        mark_converted(self.organisation, self.lead, outcome, self.now)
        return outcome

    @property
    def company(self) -> str:
        """Return the name of a new account; empty if none is created."""
        hidden = self.organisation.is_hidden("Accounts")
        return "" if hidden else self.lead["Company"] or ""

    @property
    def owner(self) -> Json:
        assigned = self.request.assign_to
        owner: Json = self.organisation.owner(assigned) if assigned else self.lead["Owner"]
        return owner

    @property
    def existing_account(self) -> Record | None:
        """Return the requested account, or else the one that the requested contact belongs to."""
        if self.request.account or not self.request.contact:
            return self.request.account
        account = self.organisation.account_of(self.request.contact)
        return self._account_of_company(account) if self.request.overwrite and account else account

    def _account_of_company(self, account: Record) -> Record | None:
        """Return the account named like the company, to which ``overwrite`` moves the contact."""
        if not self.company or normalized(self.company) == normalized(account.name):
            return account
        named = self.organisation.records["Accounts"].find("Account_Name", self.company)
        return named[0] if named else None

    def _check_unique(self) -> None:
        if self.existing_account is None and self.company:
            self._check_unique_in("Accounts")
        if self.request.contact is None:
            self._check_unique_in("Contacts")

    def _check_unique_in(self, module: str) -> None:
        check_unique(
            self.organisation, module, mapped_values(self.lead, module), f"{ITEM_PATH}.{module}"
        )

    def _account(self) -> Record | None:
        account = self.existing_account
        if account is None:
            return self._add("Accounts") if self.company else None
        if self.request.account and self.request.overwrite and self.company:
            self.organisation.change(account, {"Account_Name": self.company}, at=self.now)
        return account

    def _contact(self, account: Record | None) -> Record:
        link = {"Account_Name": account.lookup()} if account else {}
        contact = self.request.contact
        if contact is None:
            return self._add("Contacts", **link)
        if link and link["Account_Name"] != contact["Account_Name"]:
            self.organisation.change(contact, link, at=self.now)
        return contact

    def _deal(self, contact: Record, account: Record | None) -> Record | None:
        if self.request.deal is None:
            return None
        links = {"Contact_Name": contact.lookup(), "Account_Name": account and account.lookup()}
        own = {
            name: value for name, value in self.request.deal.items() if name not in _NOT_DEAL_FIELDS
        }
        deal = self._add("Deals", **links, **own)
        if role := self.organisation.contact_role(self.request.deal.get("Contact_Role")):
            self.organisation.deal_roles[deal.id][contact.id] = role
        return deal

    def _add(self, module: str, **more: Any) -> Record:
        values = {**mapped_values(self.lead, module), "Owner": self.owner, **more}
        return self.organisation.add(module, values, at=self.now)

    def _move_tags_and_attachments(self, outcome: Outcome) -> None:
        """Copy the requested tags of the lead, and move its attachments."""
        own = {tag["name"]: tag for tag in self.lead["Tag"]}
        for module, names in self.request.tags.items():
            if record := outcome.record(module):
                asked = [own[name] for name in names if name in own]
                added = [tag for tag in asked if tag not in record["Tag"]]
                record["Tag"] = [*record["Tag"], *added]
        target = outcome.record(self.request.attachments_to)
        files = self.organisation.attachments.pop(self.lead.id, [])
        if target and files:
            self.organisation.attachments[target.id] += files

    def _notify(self, outcome: Outcome) -> None:
        wanted = (
            (self.request.notify_lead_owner, self.lead["Owner"], self.lead),
            (self.request.notify_new_owner, self.owner, outcome.contact),
        )
        self.organisation.notifications += [
            {"to": owner["email"], "about": record.id}
            for is_asked, owner, record in wanted
            if is_asked
        ]

    def _add_portal_user(self, contact: Record) -> None:
        if self.request.portal_user_type:
            self.organisation.portal_users[contact.id] = self.request.portal_user_type


def mark_converted(
    organisation: Organisation, lead: Record, outcome: Outcome, now: datetime
) -> None:
    """Set the fields of the lead that show its conversion."""
    became = {
        "contact": outcome.contact,
        "account": outcome.account,
        "deal": outcome.deal,
    }
    created = datetime.fromisoformat(lead["Created_Time"])
    values = {
        "Converted__s": True,
        "$converted": True,
        "Converted_Date_Time": zoho_time(now),
        "Lead_Conversion_Time": (now - created).days,
        "$converted_detail": {name: record.id for name, record in became.items() if record},
        **{f"Converted_{name.title()}": each and each.lookup() for name, each in became.items()},
    }
    organisation.change(lead, values, at=now)


def mapped_values(lead: Record, module: str) -> Json:
    """Return the values of a new record of the module, by the conversion mapping."""
    targets = ((each.name, each.mapping[module]) for each in schema.FIELDS["Leads"])
    return {
        target: lead[name] for name, target in targets if target and lead[name] not in (None, "")
    }
