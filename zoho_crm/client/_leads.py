"""
Leads: read, search and convert them, and read their conversion options.

https://www.zoho.com/crm/developer/docs/api/v8/get-records.html
https://www.zoho.com/crm/developer/docs/api/v8/lead-conversion-options.html
https://www.zoho.com/crm/developer/docs/api/v8/convert-lead.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoho_crm.client._answers import (
    MAX_CODE_LENGTH,
    MAX_MESSAGE_LENGTH,
    id_of,
    id_or_empty,
)
from zoho_crm.client._api import Api, always
from zoho_crm.client._criteria import Criteria, criteria_text
from zoho_crm.client._names import MAX_FIELDS_PER_READ
from zoho_crm.client._pages import MAX_IDS_PER_CALL, MAX_PAGE_TOKEN_LENGTH, pages
from zoho_crm.exceptions import RequestRefusedError, ServerError, UnknownOutcomeError
from zoho_crm.types import (
    ConversionOptions,
    ConversionPlan,
    Converted,
    Deal,
    JsonObject,
    Lead,
    Match,
    Reference,
    Scheduled,
    ValueObject,
    is_record_id,
)

#: Fields by which people recognise a lead.
IDENTIFYING_FIELDS = ("First_Name", "Last_Name", "Company", "Email")
#: Fields that are carried over in an organisation with Zoho's default mapping.
LEAD_FIELDS = tuple(
    """
    First_Name Last_Name Company Email Phone Mobile Designation Lead_Status Lead_Source Industry
    Rating Website Secondary_Email Fax No_of_Employees Annual_Revenue Street City State Zip_Code
    Country Description Salutation Skype_ID Twitter
    """.split()  # noqa: SIM905
)
#: Fields that are values of their own in ``Lead``.
STATE_FIELDS = tuple(
    """
    Full_Name Owner Tag Locked__s Converted__s Converted_Date_Time Converted_Contact
    Converted_Account Converted_Deal $converted_detail $approval_state $in_merge $review
    """.split()  # noqa: SIM905
)
#: Fields in which a lead's e-mail addresses are.
EMAIL_FIELDS = ("Email", "Secondary_Email")
LEADS_PER_PAGE = 200
#: Zoho's limit of what a search finds, as pages.
MAX_SEARCH_PAGES = 10
#: Matches of a module that are kept.
MAX_MATCHES = 100
#: Characters that are kept of a name, and of each value of a match; Zoho's own are no longer.
MAX_NAME_LENGTH = 255
APPROVED_STATES = frozenset({"", "approved"})
#: Characters of an id that are kept if it is an odd one.
MAX_ID_LENGTH = 50


class LeadPage(ValueObject):
    """One page of leads, whose ids may be odd; the token of the last page is empty."""

    leads: tuple[Lead, ...]
    next_page_token: str = ""
    has_more: bool = False


class LeadsClient(ValueObject):
    """The leads of one organisation."""

    api: Api
    #: API names of the fields that this organisation maps besides the usual ones.
    mapped_fields: tuple[str, ...] = ()

    def get_many(self, lead_ids: Iterable[str]) -> dict[str, Lead]:
        """
        Read at most 100 leads by id, converted ones too; one that was not found is left out.

        Without ``converted=both`` Zoho leaves out converted leads.

        :raises ValueError: if there are more than 100 ids
        :raises RequestRefusedError: if an id is not a number of at most 19 digits
        :raises ServerError: if a lead of the answer has an odd id: it is not known which one it is
        """
        wanted = list(lead_ids)
        if len(wanted) > MAX_IDS_PER_CALL:
            raise ValueError(f"At most {MAX_IDS_PER_CALL} leads a call, not {len(wanted)}.")
        if not wanted:
            return {}  # without ids Zoho would return the newest leads
        query = {"ids": ",".join(map(_checked, wanted)), "converted": "both"}
        leads = self._read("/crm/v8/Leads", query, (*self.mapped_fields, *LEAD_FIELDS)).leads
        if not all(is_record_id(lead.id) for lead in leads):
            raise ServerError(code="unknown_form")
        return {lead.id: lead for lead in leads}

    def page(
        self,
        *,
        page_token: str = "",
        per_page: int = LEADS_PER_PAGE,
        fields: Iterable[str] = LEAD_FIELDS,
    ) -> LeadPage:
        """
        Read a page of at most 200 leads that are not converted, newest first.

        :param fields: API names of the fields to read, besides those of every lead
        """
        query = {"per_page": str(per_page)}
        query |= {"page_token": page_token} if page_token else {}
        return self._read("/crm/v8/Leads", query, fields)

    def numbered_page(
        self,
        page: int,
        *,
        per_page: int,
        criteria: Criteria | None = None,
        converted: bool = False,
        fields: Iterable[str] = LEAD_FIELDS,
    ) -> LeadPage:
        """
        Read a page of leads by its number, newest first; the first 2,000 leads can be read so.

        Zoho's search by criteria finds a lead that was just written only minutes later, and also
        leads whose values only contain what is searched.

        https://www.zoho.com/crm/developer/docs/api/v8/search-records.html

        :param criteria: that the leads fit; all by default
        :param converted: whether to read converted leads instead of open ones
        :param fields: as in ``page``
        """
        query = {"page": str(page), "per_page": str(per_page)}
        query |= {"converted": "true"} if converted else {}
        if criteria is None:
            return self._read("/crm/v8/Leads", query, fields)
        query["criteria"] = criteria_text(criteria)
        return self._read("/crm/v8/Leads/search", query, fields)

    def pages(self, *, fields: Iterable[str] = LEAD_FIELDS) -> Iterator[LeadPage]:
        """
        Return an iterator over all pages of the leads that are not converted, newest first.

        :param fields: as in ``page``
        :raises ServerError: while iterating, if Zoho repeats a page, or the list does not end
        """
        names = list(fields)
        return pages(lambda token: self.page(page_token=token.get("page_token", ""), fields=names))

    def search(self, *, email: str) -> tuple[Lead, ...]:
        """
        Find the open leads with an e-mail address; one that was just created may be missing.

        Zoho also finds leads whose addresses only contain this one; they are left out here.

        https://www.zoho.com/crm/developer/docs/api/v8/search-records.html
        """
        query = {"email": email, "per_page": str(LEADS_PER_PAGE)}
        found: dict[str, Lead] = {}
        for number in range(1, MAX_SEARCH_PAGES + 1):
            page = self._read("/crm/v8/Leads/search", {**query, "page": str(number)}, EMAIL_FIELDS)
            found |= {lead.id: lead for lead in page.leads if _has_address(lead, email)}
            if not page.has_more:
                break
        return tuple(found.values())

    def options(self, lead_id: str) -> ConversionOptions:
        """
        Read the existing contacts and accounts that the lead can be attached to.

        :raises RequestRefusedError: if the lead cannot be converted now
        """
        return self.api.read(f"/crm/v8/Leads/{_checked(lead_id)}/__conversion_options", _options)

    def convert(
        self,
        lead_id: str,
        plan: ConversionPlan,
        *,
        module_ids: Mapping[str, str] | None = None,
        may_send: Callable[[], bool] = always,
    ) -> Converted | Scheduled:
        """
        Convert a lead by a plan. It cannot be undone, and must not be repeated in doubt.

        :param module_ids: ids of modules by API name, where they are known
        :param may_send: as in ``Api.call``
        :raises TransientError: if it was certainly not processed
        :raises RequestRefusedError: if Zoho refused it
        :raises AlreadyConvertedError: if it was converted before
        :raises UnknownOutcomeError: if it may have been processed
        """
        path = f"/crm/v8/Leads/{_checked(lead_id)}/actions/convert"
        request = convert_body(plan, module_ids)
        body = self.api.call("POST", path, json=request, repeatable=False, may_send=may_send)
        return conversion_of(body)

    def _read(self, path: str, query: Mapping[str, str], fields: Iterable[str]) -> LeadPage:
        """Read a page of leads; the fields for which one read has no room are read by id."""
        names = list(dict.fromkeys([*STATE_FIELDS, *IDENTIFYING_FIELDS, *fields]))
        first, *further = [",".join(part) for part in _parts(names, MAX_FIELDS_PER_READ)]
        page = self.api.read(path, _page, fields=first, **query)
        for part in further:
            page = replace(page, leads=self._with_fields(page.leads, part))
        return page

    def _with_fields(self, leads: Sequence[Lead], fields: str) -> tuple[Lead, ...]:
        """Return those of the leads that are still found, with more fields."""
        found = {lead.id: lead for lead in leads if not is_record_id(lead.id)}
        for part in _parts([lead.id for lead in leads if lead.id not in found], MAX_IDS_PER_CALL):
            query = {"ids": ",".join(part), "converted": "both", "fields": fields}
            found |= {
                lead.id: lead for lead in self.api.read("/crm/v8/Leads", _page, **query).leads
            }
        return tuple(
            replace(lead, fields={**lead.fields, **found[lead.id].fields})
            for lead in leads
            if lead.id in found
        )


def convert_body(plan: ConversionPlan, module_ids: Mapping[str, str] | None = None) -> JsonObject:
    """
    Return the body of the request that carries out the plan, with no key that is not needed.

    The texts that describe a plan to a person are made from its keys.

    :param module_ids: ids of modules by API name; Zoho's descriptions differ in whether the target
        of attachments needs its id, so it is sent where it is known
    """
    target = plan.move_attachments_to
    target_id = (module_ids or {}).get(target)
    item: JsonObject = {
        "overwrite": plan.overwrite,
        "notify_lead_owner": plan.notify_lead_owner,
        "notify_new_entity_owner": plan.notify_new_owner,
    }
    chosen = {
        "Contacts": plan.contact_id and {"id": plan.contact_id},
        "Accounts": plan.account_id and {"id": plan.account_id},
        "assign_to": plan.owner_id and {"id": plan.owner_id},
        "Deals": plan.deal and deal_fields(plan.deal),
        "move_attachments_to": target
        and {"api_name": target, **({"id": target_id} if target_id else {})},
        "carry_over_tags": {module: list(names) for module, names in plan.tags.items() if names},
    }
    return {"data": [item | {key: value for key, value in chosen.items() if value}]}


def deal_fields(deal: Deal) -> JsonObject:
    """Return the deal to create as fields by API name, without those that are empty."""
    fields: JsonObject = {
        **deal.other,
        "Deal_Name": deal.name,
        "Stage": deal.stage,
        "Closing_Date": deal.closing_date.isoformat(),
        "Pipeline": deal.pipeline,
        "Amount": deal.amount,
        "Contact_Role": deal.contact_role,
    }
    return {name: value for name, value in fields.items() if value not in ("", None)}


def conversion_of(body: JsonObject) -> Converted | Scheduled:
    """
    Return the result of a conversion from the body of its answer.

    :raises UnknownOutcomeError: if the body does not have the documented form
    """
    try:
        item = body["data"][0]
        code, details = item["code"], item["details"]
        if code == "SCHEDULED":
            return Scheduled(job_id=id_or_empty(details.get("job_id")))
        if code == "SUCCESS" and details["Contacts"]["id"]:
            return converted_of(details)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UnknownOutcomeError(code="unknown_form") from error
    message = str(item.get("message", ""))[:MAX_MESSAGE_LENGTH]
    raise UnknownOutcomeError(message, code=str(code)[:MAX_CODE_LENGTH])


def converted_of(details: JsonObject) -> Converted:
    """Return the ids in ``{"Contacts": {"id"}, "Accounts": … or null, "Deals": … or null}``."""
    return Converted(
        contact_id=_id(details.get("Contacts")),
        account_id=_id(details.get("Accounts")),
        deal_id=_id(details.get("Deals")),
    )


def _id(record: Any) -> str:
    return id_of(record["id"]) if record else ""


def _parts(items: Sequence[str], size: int) -> list[Sequence[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _has_address(lead: Lead, email: str) -> bool:
    addresses = (lead.fields.get(name, "") for name in EMAIL_FIELDS)
    return email.strip().casefold() in {address.strip().casefold() for address in addresses}


def _checked(lead_id: str) -> str:
    """
    Return the id, which becomes a part of a URL.

    :raises RequestRefusedError: if it is not a number of at most 19 digits
    """
    if not is_record_id(lead_id):
        raise RequestRefusedError(code="INVALID_ID", details={"id": lead_id[:40]})
    return lead_id


def _page(body: JsonObject) -> LeadPage:
    info = _object(body.get("info"))
    return LeadPage(
        leads=tuple(map(lead_of, body.get("data") or [])),
        next_page_token=str(info.get("next_page_token") or "")[:MAX_PAGE_TOKEN_LENGTH],
        has_more=bool(info.get("more_records")),
    )


def _object(value: Any) -> JsonObject:
    """Return a value of an answer if it is an object, ``{}`` if not."""
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[JsonObject]:
    """Return the objects in a value of an answer that should be a list of them."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def shown_text(value: Any) -> str:
    """Return a field's value as text: of a lookup its name, of a list its items."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return shown_text(value.get("name") or value.get("id"))
    if isinstance(value, list):
        return ", ".join(map(shown_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def lead_of(record: JsonObject) -> Lead:
    """Return the lead of an answer."""
    shown = {name: shown_text(value) for name, value in record.items() if name not in _HIDDEN}
    return Lead(
        id=str(record["id"])[:MAX_ID_LENGTH],
        name=(shown_text(record.get("Full_Name")) or _full_name(shown))[:MAX_NAME_LENGTH],
        company=shown.get("Company", "")[:MAX_NAME_LENGTH],
        email=shown.get("Email", ""),
        owner=_reference(record.get("Owner")),
        tags=tuple(map(shown_text, _objects(record.get("Tag")))),
        converted=_converted(record),
        obstacle=_obstacle(record),
        fields=shown,
    )


_HIDDEN = frozenset({*STATE_FIELDS, "id"})


def _full_name(shown: Mapping[str, str]) -> str:
    return f"{shown.get('First_Name', '')} {shown.get('Last_Name', '')}".strip()


def _reference(value: Any) -> Reference | None:
    """Return what a lookup points to, with an empty id if it is an odd one; ``None`` if unset."""
    if not value:
        return None
    name = shown_text(value.get("name"))[:MAX_NAME_LENGTH]
    return Reference(id=id_or_empty(value["id"]), name=name)


def _converted(record: JsonObject) -> Converted | None:
    """
    Return the records of a converted lead, whose ids are in one of two sets of keys.

    An odd id is left empty: the lead is converted all the same.
    """
    detail = _object(record.get("$converted_detail"))
    if not (record.get("Converted__s") or record.get("$converted") or detail):
        return None

    def id_of(lookup: str, key: str) -> str:
        found = _object(record.get(lookup)).get("id")
        return id_or_empty(found) or id_or_empty(detail.get(key))

    return Converted(
        contact_id=id_of("Converted_Contact", "contact"),
        account_id=id_of("Converted_Account", "account"),
        deal_id=id_of("Converted_Deal", "deal"),
    )


def _obstacle(record: JsonObject) -> str:
    obstacles = {
        "locked": record.get("Locked__s"),
        "in_merge": record.get("$in_merge"),
        "approval": not _is_approved(record),
        "review": record.get("$review"),
    }
    return next((name for name, is_set in obstacles.items() if is_set), "")


def _is_approved(record: JsonObject) -> bool:
    return shown_text(record.get("$approval_state")) in APPROVED_STATES


def _options(body: JsonObject) -> ConversionOptions:
    found = body.get("__conversion_options") or {}
    matched = _object(found.get("preference_field_matched_value"))

    def matches(module: str, name_field: str) -> tuple[Match, ...]:
        values = _matched_values(matched.get(module))
        records = (found.get(module) or [])[:MAX_MATCHES]
        return tuple(_match(record, name_field, values) for record in records)

    def further(module: str) -> int:
        return max(0, len(found.get(module) or []) - MAX_MATCHES)

    return ConversionOptions(
        contacts=matches("Contacts", "Full_Name"),
        accounts=matches("Accounts", "Account_Name"),
        further_contacts=further("Contacts"),
        further_accounts=further("Accounts"),
    )


def _matched_values(rows: Any) -> dict[str, str]:
    named = ((_object(row.get("field")).get("api_name"), row) for row in _objects(rows))
    return {str(name): shown_text(row.get("matched_lead_value")) for name, row in named if name}


def _match(record: JsonObject, name_field: str, values: Mapping[str, str]) -> Match:
    account = record.get("Account_Name")
    return Match(
        id=str(record["id"])[:MAX_ID_LENGTH],
        name=shown_text(record.get(name_field))[:MAX_NAME_LENGTH],
        account=_reference(account) if isinstance(account, dict) else None,
        locked=bool(record.get("Locked__s")),
        editable=record.get("$editable") is not False,
        approved=_is_approved(record),
        matched_on=tuple(
            field for field, value in values.items() if _same(shown_text(record.get(field)), value)
        ),
        fields={
            name: shown_text(value)[:MAX_NAME_LENGTH]
            for name, value in record.items()
            if _is_shown(name, value)
        },
    )


def _is_shown(name: str, value: Any) -> bool:
    # Zoho's sample answers have the text "null" for an empty value.
    return (
        not name.startswith("$") and name not in {"id", "Layout", "Locked__s"} and value != "null"
    )


def _same(one: str, other: str) -> bool:
    return one.casefold().split() == other.casefold().split()
