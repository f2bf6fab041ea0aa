"""
What will happen, in sentences for people, made from the very request that would be sent.

Each key of the request has its sentence, and where a key is missing, what that means is said too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from zoho_crm.client import convert_body
from zoho_crm.types import ConversionOptions, ConversionPlan, Deal, JsonObject, Lead, Match


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a sentence may need to know."""

    plan: ConversionPlan
    item: JsonObject
    lead: Lead
    options: ConversionOptions
    #: Names of users and contact roles, by id.
    names: Mapping[str, str] = field(default_factory=dict)

    def name_of(self, record_id: str) -> str:
        """Return what people call a user or a role."""
        return self.names.get(record_id, record_id)

    def contact(self) -> Match | None:
        """Return the existing contact that was chosen."""
        return _found(self.options.contacts, self.plan.contact_id)

    def account(self) -> Match | None:
        """Return the existing account that was chosen."""
        return _found(self.options.accounts, self.plan.account_id)


def what_will_happen(
    plan: ConversionPlan,
    lead: Lead,
    options: ConversionOptions,
    names: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the sentences for a plan, in the order in which people care."""
    item = convert_body(plan)["data"][0]
    scene = Scene(plan=plan, item=item, lead=lead, options=options, names=names or {})
    sentences = [tell(scene) for tell in SENTENCES.values()]
    return [sentence for sentence in sentences if sentence] + [
        _("The lead is closed. Zoho cannot undo this; what was read is kept here.")
    ]


def request_of(plan: ConversionPlan) -> JsonObject:
    """Return the body of the request that carries out a plan, for those who may see it."""
    return convert_body(plan)


def _found(matches: tuple[Match, ...], record_id: str) -> Match | None:
    return next((match for match in matches if match.id == record_id), None)


def _contact(scene: Scene) -> str:
    if "Contacts" in scene.item:
        contact = scene.contact()
        name = contact.name if contact else scene.plan.contact_id
        return _("The lead joins the existing contact “%s”.") % name
    return _("A new contact “%s” is created.") % scene.lead.name


def _account(scene: Scene) -> str:
    if "Accounts" in scene.item:
        account = scene.account()
        name = account.name if account else scene.plan.account_id
        return _("It is added to the existing account “%s”.") % name
    contact = scene.contact()
    if contact and contact.account:
        return _("The contact's account “%s” comes along.") % contact.account.name
    if contact:
        return _("The contact has no account; Zoho decides whether it gets one.")
    if "Contacts" in scene.item:
        return _("The contact's account comes along, if it has one.")
    if scene.lead.company:
        return _("A new account “%s” is created.") % scene.lead.company
    return _("No account is created: the lead has no company.")


def _overwrite(scene: Scene) -> str:
    contact = scene.contact()
    exists = "Accounts" in scene.item or (contact and contact.account)
    if not (scene.item["overwrite"] and exists and scene.lead.company):
        return ""
    return _("The existing account's name becomes “%s”.") % scene.lead.company


def _deal(scene: Scene) -> str:
    deal = scene.plan.deal
    if "Deals" not in scene.item or deal is None:
        return _("No deal is created.")
    facts = {"name": deal.name, "stage": deal.stage, "date": date_format(deal.closing_date)}
    sentence = _("A deal “%(name)s” is created in stage %(stage)s, to close on %(date)s.") % facts
    return " ".join([sentence, *_about_the_deal(scene, deal)])


def _about_the_deal(scene: Scene, deal: Deal) -> Iterator[str]:
    if deal.pipeline:
        yield _("Its pipeline is %s.") % deal.pipeline
    if deal.amount is not None:
        yield _("Its amount is %s.") % number_format(deal.amount)
    for field_name, value in deal.other.items():
        if field_name in scene.item["Deals"]:
            yield _("Its %(field)s is “%(value)s”.") % {"field": field_name, "value": value}
    if deal.contact_role:
        yield _("The contact's role in it is %s.") % scene.name_of(deal.contact_role)


def _owner(scene: Scene) -> str:
    if "assign_to" in scene.item:
        return _("The records are assigned to %s.") % scene.name_of(scene.plan.owner_id)
    if scene.lead.owner:
        return _("The records keep the lead's owner, %s.") % scene.lead.owner.name
    return ""


def _attachments(scene: Scene) -> str:
    homes = {
        "Contacts": _("Attachments move to the contact."),
        "Accounts": _("Attachments move to the account."),
        "Deals": _("Attachments move to the deal."),
    }
    return homes.get(scene.plan.move_attachments_to, "")


def _tags(scene: Scene) -> str:
    carried = scene.item.get("carry_over_tags", {})
    names = sorted({name for names in carried.values() for name in names})
    if not names:
        return _("Tags are not carried over.") if scene.lead.tags else ""
    homes = {"Contacts": _("contact"), "Accounts": _("account"), "Deals": _("deal")}
    where = ", ".join(homes[module] for module in homes if module in carried)
    return _("Tags %(tags)s go to: %(where)s.") % {"tags": ", ".join(names), "where": where}


def _notify_lead_owner(scene: Scene) -> str:
    return _("Zoho tells the lead's owner.") if scene.item["notify_lead_owner"] else ""


def _notify_new_owner(scene: Scene) -> str:
    if scene.item["notify_new_entity_owner"]:
        return _("Zoho tells the owner of the new records.")
    return "" if scene.item["notify_lead_owner"] else _("Nobody is notified.")


#: The sentence of each key of the request.
SENTENCES: Mapping[str, Callable[[Scene], str]] = {
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
