"""
What a plan does, in sentences.

They are made from the request that would be sent: each key of it has one; one for a missing key
tells what Zoho does without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from zoho_crm import client as zoho
from zoho_crm.matching import DealTemplate
from zoho_crm.types import (
    ConversionOptions,
    ConversionPlan,
    Deal,
    FieldValue,
    JsonObject,
    Lead,
    Match,
    ValueObject,
)

if TYPE_CHECKING:
    pass


class ExplanationContext(ValueObject):
    """What the sentences are made from."""

    plan: ConversionPlan
    #: The lead's item in the body of the request.
    item: JsonObject
    lead: Lead
    options: ConversionOptions
    #: Names of users and contact roles, by id.
    names: Mapping[str, str] = field(default_factory=dict)

    def name_of(self, record_id: str) -> str:
        """Return the name of a user or contact role, or its id if the name is not known."""
        return self.names.get(record_id, record_id)

    def contact(self) -> Match | None:
        """Return the existing contact that the plan attaches to, if any."""
        return _match_by_id(self.options.contacts, self.plan.contact_id)

    def account(self) -> Match | None:
        """Return the existing account that the plan attaches to, if any."""
        return _match_by_id(self.options.accounts, self.plan.account_id)


def explain_plan(
    plan: ConversionPlan,
    lead: Lead,
    options: ConversionOptions,
    names: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the sentences for a plan, the most important first."""
    item = zoho.convert_body(plan)["data"][0]
    context = ExplanationContext(
        plan=plan, item=item, lead=lead, options=options, names=names or {}
    )
    sentences = [sentence_for(context) for sentence_for in SENTENCES.values()]
    return [sentence for sentence in sentences if sentence] + [
        _("The lead is closed. Zoho cannot undo this; what was read is kept here.")
    ]


def further_matches_texts(options: ConversionOptions) -> list[str]:
    """Return the sentences on matches that are not kept, for contacts and accounts; may be none."""
    kinds = (
        (
            _("Of %(total)s contacts that match, the first %(kept)s are offered."),
            len(options.contacts),
            options.further_contacts,
        ),
        (
            _("Of %(total)s accounts that match, the first %(kept)s are offered."),
            len(options.accounts),
            options.further_accounts,
        ),
    )
    hint = _("To join another, convert the lead in Zoho CRM.")
    return [
        f"{sentence % {'total': number_format(kept + further), 'kept': kept}} {hint}"
        for sentence, kept, further in kinds
        if further
    ]


def request_body(plan: ConversionPlan) -> JsonObject:
    """Return the body of the request that carries out a plan."""
    return zoho.convert_body(plan)


def _match_by_id(matches: tuple[Match, ...], record_id: str) -> Match | None:
    return next((match for match in matches if match.id == record_id), None)


def _contact(context: ExplanationContext) -> str:
    if "Contacts" in context.item:
        contact = context.contact()
        name = contact.name if contact else context.plan.contact_id
        return _("The lead joins the existing contact “%s”.") % name
    return _("A new contact “%s” is created.") % context.lead.name


def _account(context: ExplanationContext) -> str:
    if "Accounts" in context.item:
        account = context.account()
        name = account.name if account else context.plan.account_id
        return _("It is added to the existing account “%s”.") % name
    contact = context.contact()
    if contact and contact.account:
        return _("The contact's account “%s” comes along.") % contact.account.name
    if contact:
        return _("The contact has no account; Zoho decides whether it gets one.")
    if "Contacts" in context.item:
        return _("The contact's account comes along, if it has one.")
    if context.lead.company:
        return _("A new account “%s” is created.") % context.lead.company
    return _("No account is created: the lead has no company.")


def _overwrite(context: ExplanationContext) -> str:
    contact = context.contact()
    exists = "Accounts" in context.item or (contact and contact.account)
    if not (context.item["overwrite"] and exists and context.lead.company):
        return ""
    return _("The existing account's name becomes “%s”.") % context.lead.company


def _deal(context: ExplanationContext) -> str:
    deal = context.plan.deal
    if "Deals" not in context.item or deal is None:
        return _("No deal is created.")
    facts = {"name": deal.name, "stage": deal.stage, "date": date_format(deal.closing_date)}
    sentence = _("A deal “%(name)s” is created in stage %(stage)s, to close on %(date)s.") % facts
    others = [
        _("Its %(field)s is “%(value)s”.") % {"field": name, "value": _shown_value(value)}
        for name, value in deal.other.items()
        if name in context.item["Deals"]
    ]
    return " ".join([sentence, *about_the_deal(deal, context.names, others)])


def about_the_deal(
    deal: Deal | DealTemplate, names: Mapping[str, str], others: Iterable[str] = ()
) -> Iterator[str]:
    """Yield sentences about a deal: its pipeline, amount and contact role, and the ``others``."""
    if deal.pipeline:
        yield _("Its pipeline is %s.") % deal.pipeline
    if deal.amount is not None:
        yield _("Its amount is %s.") % number_format(deal.amount)
    yield from others
    if deal.contact_role:
        yield _("The contact's role in it is %s.") % names.get(deal.contact_role, deal.contact_role)


def _shown_value(value: FieldValue) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(value)
    return value.get("id", "") if isinstance(value, dict) else str(value)


def _owner(context: ExplanationContext) -> str:
    if "assign_to" in context.item:
        return _("The records are assigned to %s.") % context.name_of(context.plan.owner_id)
    if context.lead.owner:
        return _("The records keep the lead's owner, %s.") % context.lead.owner.name
    return ""


def _attachments(context: ExplanationContext) -> str:
    targets = {
        "Contacts": _("Attachments move to the contact."),
        "Accounts": _("Attachments move to the account."),
        "Deals": _("Attachments move to the deal."),
    }
    return targets.get(context.plan.move_attachments_to, "")


def _tags(context: ExplanationContext) -> str:
    carried = context.item.get("carry_over_tags", {})
    names = sorted({name for names in carried.values() for name in names})
    if not names:
        return _("Tags are not carried over.") if context.lead.tags else ""
    targets = {"Contacts": _("contact"), "Accounts": _("account"), "Deals": _("deal")}
    where = ", ".join(targets[module] for module in targets if module in carried)
    return _("Tags %(tags)s go to: %(where)s.") % {"tags": ", ".join(names), "where": where}


def _notify_lead_owner(context: ExplanationContext) -> str:
    return _("Zoho tells the lead's owner.") if context.item["notify_lead_owner"] else ""


def _notify_new_owner(context: ExplanationContext) -> str:
    if context.item["notify_new_entity_owner"]:
        return _("Zoho tells the owner of the new records.")
    return "" if context.item["notify_lead_owner"] else _("Nobody is notified.")


#: The function that returns the sentence of each key of the request; empty for none.
SENTENCES: Mapping[str, Callable[[ExplanationContext], str]] = {
    "Contacts": _contact,
    "Accounts": _account,
    "overwrite": _overwrite,
    "Deals": _deal,
    "assign_to": _owner,
    "move_attachments_to": _attachments,
    "carry_over_tags": _tags,
    "notify_lead_owner": _notify_lead_owner,
    "notify_new_entity_owner": _notify_new_owner,
}


def unusable_reason(match: Match) -> str:
    """Return why no lead can be attached to a match; empty if one can."""
    if match.locked:
        return _("It is locked at Zoho: unlock it there, then look again.")
    if not match.approved:
        return _("It waits for approval at Zoho: have it approved there, then look again.")
    if not match.editable:
        return _("The user of this connection may not change it at Zoho.")
    return ""
