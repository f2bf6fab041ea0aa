"""The CRM API of one organisation: the organisation, its users, deal layouts, leads and records."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, count
from typing import Any

from zoho_crm.client._answers import count_of, id_of, parse_answer, text_of
from zoho_crm.client._api import Api
from zoho_crm.client._bulk import MAX_BYTES, bulk_read
from zoho_crm.client._changes import Changes
from zoho_crm.client._coql import Parameter, parse_query, rows_of
from zoho_crm.client._criteria import Criteria
from zoho_crm.client._leads import MAX_NAME_LENGTH, LeadsClient, lead_of, shown_text
from zoho_crm.client._mass import JobsClient
from zoho_crm.client._metadata import Metadata, MetadataStore, fields_of
from zoho_crm.client._records import RecordsClient
from zoho_crm.client._typed import typed_by, values_by
from zoho_crm.exceptions import ServerError
from zoho_crm.types import (
    BulkProgress,
    Environment,
    JsonObject,
    Organisation,
    Person,
    PersonKind,
    Pipeline,
    Record,
    Reference,
    Stage,
    User,
    ValueObject,
    is_record_id,
)

#: Zoho's limit of a page of users.
USERS_PER_PAGE = 200
#: The number of users after which no further page is read.
MAX_USERS = 10_000
_DOMAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


def ignore_progress(progress: BulkProgress) -> None:
    """Do nothing: the default of ``on_progress``."""


class ZohoClient(ValueObject):
    """The endpoints of one organisation, one method each; they return values of ``types``."""

    api: Api
    #: API names of lead fields to read, besides the usual ones.
    mapped_fields: tuple[str, ...] = ()
    #: Keeps metadata between calls; without one, records are not checked before they are sent.
    metadata_store: MetadataStore | None = None

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
        return RecordsClient(api=self.api, module=module, metadata=self.metadata)

    @property
    def metadata(self) -> Metadata:
        """The modules, fields, layouts, pipelines, roles, users and tags of the organisation."""
        return Metadata(api=self.api, reads=self, store=self.metadata_store)

    def changes(
        self, module: str, cursor: str = "", *, fields: Iterable[str], typed: bool = False
    ) -> Changes:
        """
        Return an iterator over what was written and deleted in a module since a cursor.

        The changes come in the order of Zoho's times, each once; of a record that was changed
        several times, the last one. Keep ``cursor`` of the iterator after what was dealt with, and
        give it the next time. Without a cursor all records are given, and no deletions.

        :param module: API name, such as ``Contacts``
        :param fields: API names of 1 to 49 fields to read
        :param typed: whether the values of records are those of Python, as of ``records().list``
        :raises RequestRefusedError: if the cursor is none, or one of another module
        """
        shape = typed_by(self.metadata.fields(module)) if typed else None
        return Changes(self.api, module, cursor, fields, shape)

    def coql(self, query: str, *, typed: bool = False, **values: Parameter) -> Iterator[JsonObject]:
        """
        Return an iterator over the rows that a query finds, each a mapping as Zoho sends it.

        ``coql("select Last_Name from Leads where Email = :email", email=…)``: values are quoted
        here. Without an order of its own the query reads all rows by id, else 10,000.

        https://www.zoho.com/crm/developer/docs/api/v8/Get-Records-through-COQL-Query.html

        :param typed: whether the values of the module's own fields are those of Python
        :param values: of the parameters; a list or tuple, of at most 50, is for ``in``
        :raises ValueError: if it is no query
        :raises TypeError: if a parameter has no value, or a value no parameter
        :raises RequestRefusedError: for a value that Zoho may misread; while iterating, if Zoho
            refuses the query, or there are more rows than it reads
        """
        parsed = parse_query(query, values)
        rows = rows_of(self.api, parsed)
        return map(values_by(self.metadata.fields(parsed.source)), rows) if typed else rows

    def bulk_read(
        self,
        module: str,
        fields: Iterable[str],
        criteria: Criteria | None = None,
        *,
        typed: bool = False,
        on_progress: Callable[[BulkProgress], object] = ignore_progress,
        wait: Callable[[float], object] = time.sleep,
        max_bytes: int = MAX_BYTES,
    ) -> Iterator[Record]:
        """
        Return an iterator over all records of a module, or those that fit criteria, by bulk read.

        Zoho writes 200,000 in a job, which takes from seconds to minutes and costs 50 credits; when
        they are read, the next job begins. Values are texts, of look-ups the ids; none is ``None``.

        https://www.zoho.com/crm/developer/docs/api/v8/bulk-read/create-job.html

        :param fields: API names of 1 to 200 fields, perhaps through look-ups
        :param criteria: of at most 25 conditions, each of at most 20 values
        :param typed: whether values are those of Python, by the fields of the module
        :param on_progress: called after each poll, and when the rows of a job have been read
        :param wait: called with the seconds until the next poll
        :param max_bytes: of the rows of one job; more are refused while they are unpacked
        :raises RequestRefusedError: if Zoho refuses the job, or it has too many bytes
        """
        return bulk_read(
            self.api,
            module,
            fields,
            criteria,
            typed_fields=self.metadata.fields(module) if typed else None,
            on_progress=on_progress,
            wait=wait,
            max_bytes=max_bytes,
        )

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
        return tuple(chain(map(_person_of_lead, leads), map(_person_of_contact, contacts)))

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

    def mapped_lead_fields(self) -> tuple[str, ...]:
        """Return the API names of the lead fields that a conversion carries over."""
        return self.api.read("/crm/v8/settings/fields", _mapped_fields, module="Leads")


def _person_of_lead(record: Record) -> Person:
    lead = parse_answer(lead_of, dict(record))
    return Person(
        kind=PersonKind.CONVERTED_LEAD if lead.converted else PersonKind.LEAD,
        id=lead.id,
        name=lead.name,
        company=lead.company,
        converted=lead.converted,
    )


def _person_of_contact(record: Record) -> Person:
    return Person(
        kind=PersonKind.CONTACT,
        id=record.id,
        name=shown_text(record.get("Full_Name") or record.get("Last_Name"))[:MAX_NAME_LENGTH],
        company=shown_text(record.get("Account_Name"))[:MAX_NAME_LENGTH],
    )


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
        domain_name=_domain_name(org.get("domain_name")),
        environment=_environment(org.get("type")),
        edition=_edition(license_details),
        licences=count_of(license_details.get("users_license_purchased")),
        time_zone=text_of(org.get("time_zone")),
    )


def _zgid(value: Any) -> str:
    """Return the id, which some answers have as a number; empty if it is neither."""
    text = str(value) if isinstance(value, str | int) else ""
    return text if is_record_id(text) else ""


def _domain_name(value: Any) -> str:
    """Return the name that stands in addresses; empty if it is not one word of plain letters."""
    text = text_of(value)
    return text if _DOMAIN_NAME.fullmatch(text) else ""


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


def _mapped_fields(body: JsonObject) -> tuple[str, ...]:
    return tuple(each.api_name for each in fields_of(body, "Leads") if each.mapped_to)
