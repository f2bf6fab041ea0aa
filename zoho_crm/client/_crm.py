"""The CRM API of one organisation: the organisation, its users, deal layouts, leads and records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, count
from typing import Any

from zoho_crm.client._answers import count_of, id_of, text_of
from zoho_crm.client._api import Api
from zoho_crm.client._coql import Parameter, parse_query, rows_of
from zoho_crm.client._leads import MAX_NAME_LENGTH, LeadsClient
from zoho_crm.client._mass import JobsClient
from zoho_crm.client._people import person_of_contact, person_of_lead
from zoho_crm.client._records import RecordsClient
from zoho_crm.exceptions import ServerError
from zoho_crm.types import (
    DealField,
    Environment,
    JsonObject,
    Organisation,
    Person,
    Pipeline,
    Reference,
    Stage,
    User,
    is_record_id,
)

#: Zoho's limit of a page of users.
USERS_PER_PAGE = 200
#: The number of users after which no further page is read.
MAX_USERS = 10_000


@dataclass(frozen=True, kw_only=True)
class ZohoClient:
    """The endpoints of one organisation, one method each; they return values of ``types``."""

    api: Api
    #: API names of lead fields to read, besides the usual ones.
    mapped_fields: tuple[str, ...] = ()

    @property
    def leads(self) -> LeadsClient:
        """The endpoints of leads."""
        return LeadsClient(api=self.api, mapped_fields=self.mapped_fields)

    @property
    def jobs(self) -> JobsClient:
        """The endpoints of mass-convert jobs."""
        return JobsClient(api=self.api)

    def records(self, module: str) -> RecordsClient:
        """Return the endpoints of a module's records, such as ``Contacts``."""
        return RecordsClient(api=self.api, module=module)

    def coql(self, query: str, **values: Parameter) -> Iterator[JsonObject]:
        """
        Return an iterator over the rows that a query finds, each a mapping as Zoho sends it.

        ``coql("select Last_Name from Leads where Email = :email", email=…)``: values are quoted
        here. Without an order of its own the query reads all rows by id, else 10,000.

        https://www.zoho.com/crm/developer/docs/api/v8/Get-Records-through-COQL-Query.html

        :param values: of the parameters; a list or tuple, of at most 50, is for ``in``
        :raises ValueError: if it is no query
        :raises TypeError: if a parameter has no value, or a value no parameter
        :raises RequestRefusedError: for a value that Zoho may misread; while iterating, if Zoho
            refuses the query, or there are more rows than it reads
        """
        return rows_of(self.api, parse_query(query, values))

    def find_person(self, email: str) -> tuple[Person, ...]:
        """
        Find the leads, converted ones too, and the contacts with exactly this address.

        Leads come first. One that was written a moment ago may be missing.

        https://www.zoho.com/crm/developer/docs/api/v8/search-records.html

        :raises ValueError: if the address is empty
        :raises RequestRefusedError: if Zoho refuses it, or finds too many that contain it
        """
        leads = self.records("Leads").search(email=email, converted=None)
        contacts = self.records("Contacts").search(email=email)
        return tuple(chain(map(person_of_lead, leads), map(person_of_contact, contacts)))

    def organisation(self) -> Organisation:
        """Return the organisation: https://www.zoho.com/crm/developer/docs/api/v8/get-org-data.html."""
        return self.api.read("/crm/v8/org", _organisation)

    def current_user(self) -> User:
        """Return the user of the token: https://www.zoho.com/crm/developer/docs/api/v8/get-users.html."""
        return self.api.read("/crm/v8/users", _current_user, type="CurrentUser")

    def users(self) -> tuple[User, ...]:
        """
        Return the active and confirmed users, who may own records; at most ``MAX_USERS``.

        :raises ServerError: if Zoho repeats a page
        """
        found: dict[str, User] = {}
        query = {"type": "ActiveConfirmedUsers", "per_page": str(USERS_PER_PAGE)}
        for page in count(1):
            users, is_last = self.api.read("/crm/v8/users", _users, **query, page=str(page))
            known = len(found)
            found |= {user.id: user for user in users}
            if is_last or len(found) >= MAX_USERS:
                break
            if len(found) == known:
                raise ServerError(code="endless_list")
        return tuple(found.values())[:MAX_USERS]

    def contact_roles(self) -> tuple[Reference, ...]:
        """Return the roles of a contact in a deal: …/api/v8/get-contact-roles.html."""
        return self.api.read("/crm/v8/Contacts/roles", _contact_roles)

    def pipelines(self, layout_id: str) -> tuple[Pipeline, ...]:
        """Return the pipelines of a layout of deals; none if the organisation does not use them."""
        return self.api.read("/crm/v8/settings/pipeline", _pipelines, layout_id=layout_id)

    def deal_layout(self) -> tuple[str, tuple[DealField, ...]]:
        """
        Return the id of the layout of a converted lead's deal, and the fields that it shows.

        The id is empty, and there are no fields, if the user may not see a layout of leads.
        """
        return self.api.read("/crm/v8/settings/layouts", _deal_layout, module="Leads")

    def deal_fields(self) -> tuple[DealField, ...]:
        """
        Return the fields of deals that can be written, with types and the values of picklists.

        …/api/v8/field-meta.html
        """
        return self.api.read("/crm/v8/settings/fields", _deal_fields, module="Deals")

    def mapped_lead_fields(self) -> tuple[str, ...]:
        """Return the API names of the lead fields that a conversion carries over."""
        return self.api.read("/crm/v8/settings/fields", _mapped_fields, module="Leads")


def _first(body: JsonObject, name: str) -> JsonObject:
    items = body.get(name) or []
    if not items:
        raise ServerError(code=f"no_{name}")
    item: JsonObject = items[0]
    return item


def _with_id(records: Any) -> list[JsonObject]:
    """Return the records that can be named in a call; one with an odd id is left out."""
    return [record for record in records or [] if is_record_id(str(record["id"]))]


def _organisation(body: JsonObject) -> Organisation:
    org = _first(body, "org")
    details = org.get("license_details")
    license_details: JsonObject = details if isinstance(details, dict) else {}
    return Organisation(
        id=id_of(org["id"]),
        name=text_of(org.get("company_name"), MAX_NAME_LENGTH),
        zgid=_zgid(org.get("zgid")),
        environment=_environment(org.get("type")),
        edition=_edition(license_details),
        licences=count_of(license_details.get("users_license_purchased")),
        time_zone=text_of(org.get("time_zone")),
    )


def _zgid(value: Any) -> str:
    """Return the id, which some answers have as a number; empty if it is neither."""
    text = str(value) if isinstance(value, str | int) else ""
    return text if is_record_id(text) else ""


def _edition(license_details: JsonObject) -> str:
    """Return the edition whose limits apply: a trial counts like the edition that it tries."""
    trial = text_of(license_details.get("trial_type"))
    end = text_of(license_details.get("trial_expiry"))[:10]
    is_over = end and end < datetime.now(UTC).date().isoformat()
    return trial if trial and not is_over else text_of(license_details.get("paid_type"))


def _environment(kind: Any) -> Environment | None:
    """Return the environment of a type of organisation, such as ``sandbox``, in any case."""
    name = text_of(kind).lower()
    return Environment(name) if name in set(Environment) else None


def _current_user(body: JsonObject) -> User:
    return _user(_first(body, "users"))


def _users(body: JsonObject) -> tuple[tuple[User, ...], bool]:
    """Return the users of a page, and whether it is the last one."""
    users = tuple(map(_user, _with_id(body.get("users"))))
    return users, not (body.get("info") or {}).get("more_records")


def _user(record: JsonObject) -> User:
    return User(
        id=id_of(record["id"]),
        name=text_of(record.get("full_name"), MAX_NAME_LENGTH),
        email=text_of(record.get("email"), MAX_NAME_LENGTH),
        active=record.get("status") == "active",
    )


def _contact_roles(body: JsonObject) -> tuple[Reference, ...]:
    roles = _with_id(body.get("contact_roles"))
    return tuple(Reference(id=str(role["id"]), name=str(role["name"])) for role in roles)


def _pipelines(body: JsonObject) -> tuple[Pipeline, ...]:
    return tuple(map(_pipeline, body.get("pipeline") or []))


def _pipeline(record: JsonObject) -> Pipeline:
    return Pipeline(
        value=str(record["actual_value"]),
        label=str(record.get("display_value") or record["actual_value"]),
        stages=tuple(map(_stage, record.get("maps") or [])),
        is_default=bool(record.get("default")),
    )


def _stage(record: JsonObject) -> Stage:
    value = str(record["actual_value"])
    return Stage(value=value, label=str(record.get("display_value") or value))


def _deal_layout(body: JsonObject) -> tuple[str, tuple[DealField, ...]]:
    layout: JsonObject = next(iter(body.get("layouts") or []), {})
    deals = (layout.get("convert_mapping") or {}).get("Deals") or {}
    return str(deals.get("id") or ""), tuple(map(_deal_field, deals.get("fields") or []))


def _deal_field(record: JsonObject) -> DealField:
    return DealField(
        api_name=str(record["api_name"]),
        label=str(record.get("field_label") or record["api_name"]),
        required=bool(record.get("required")),
    )


def _deal_fields(body: JsonObject) -> tuple[DealField, ...]:
    writable = (record for record in body.get("fields") or [] if _is_writable(record))
    return tuple(
        replace(
            _deal_field(record),
            data_type=text_of(record.get("data_type")),
            choices=tuple(map(_stage, _picklist_values(record))),
        )
        for record in writable
    )


def _picklist_values(record: JsonObject) -> list[JsonObject]:
    """Return the values of a picklist that can be sent; Zoho lists the empty one, too."""
    values: list[JsonObject] = record.get("pick_list_values") or []
    return [value for value in values if value.get("actual_value") not in (None, "", "-None-")]


def _is_writable(record: JsonObject) -> bool:
    may_create = (record.get("operation_type") or {}).get("api_create", True)
    return bool(may_create) and not record.get("read_only")


def _mapped_fields(body: JsonObject) -> tuple[str, ...]:
    fields = body.get("fields") or []
    carried = (f["api_name"] for f in fields if any((f.get("convert_mapping") or {}).values()))
    return tuple(name for name in map(text_of, carried) if name)
