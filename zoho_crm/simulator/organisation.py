"""The state of the one organisation that a simulator holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from zoho_crm.simulator import defaults
from zoho_crm.simulator.clock import Clock, zoho_time
from zoho_crm.simulator.ids import Ids
from zoho_crm.simulator.records import Record, Table
from zoho_crm.simulator.schema import RECORD_MODULES, field

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """One record that is gone, when and by whom it was deleted."""

    record: Record
    at: datetime
    by: Json
    is_permanent: bool = False
    """Whether it was deleted from the recycle bin, too."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change of a record: when, and its values before."""

    at: datetime
    before: Json


class Attachment(str):
    """The name of an attached file or link, with its other values and the file's content."""

    values: Record
    content: bytes

    def __new__(cls, name: str, values: Record, content: bytes) -> Attachment:
        attachment = super().__new__(cls, name)
        attachment.values, attachment.content = values, content
        return attachment


class Organisation:
    """Records, users and metadata; plain attributes that tests may read and write."""

    #: Whether mass convert demands ``assign_to``: Zoho's page says so, its OpenAPI does not.
    mass_convert_needs_assign_to = True
    #: The size of the largest attachment.
    max_attachment_bytes = 100 * 1024 * 1024
    #: Whether the target of attachments needs its id: one of Zoho's OpenAPI descriptions says so.
    convert_needs_module_id = False

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.ids = Ids()
        self.id = self.ids.next()
        self.name = "Nordwind Trading"
        self.domain = "nordwind.example"
        self.created_at = clock.now()
        self.users = defaults.users(self.ids, self.domain)
        self.modules = defaults.modules(self.ids)
        self.license_details = defaults.license_details()
        self.contact_roles = defaults.contact_roles(self.ids)
        #: Empty if pipelines are disabled.
        self.pipelines = defaults.pipelines(self.ids)
        #: The layout of each module's records, and the one of leads that offer a choice of layouts.
        self.layouts = {
            module: {"name": "Standard", "id": self.ids.next()} for module in RECORD_MODULES
        }
        self.layout_with_choice = {"name": "Trade fair", "id": self.ids.next()}
        #: The id of the custom view of each module that shows all records, for ``cvid``.
        self.custom_views = {module: self.ids.next() for module in RECORD_MODULES}
        self.portal_user_types = defaults.portal_user_types(self.ids)
        self._begin_empty()

    def _begin_empty(self) -> None:
        """Set what an organisation has none of at first: records, and what belongs to them."""
        self.records = {module: Table(module) for module in RECORD_MODULES}
        #: Deleted records by module, in the order of deletion.
        self.deletions: dict[str, list[Deletion]] = {module: [] for module in RECORD_MODULES}
        #: Unique fields by module, in the order in which they are compared.
        self.unique: dict[str, list[str]] = {module: [] for module in RECORD_MODULES}
        #: Tags by module and name.
        self.tags: dict[str, dict[str, Json]] = {module: {} for module in RECORD_MODULES}
        #: Fields that the layout requires besides the system's, by module.
        self.required: dict[str, list[str]] = {module: [] for module in RECORD_MODULES}
        #: Permissions that the user's profile lacks, such as ``Crm_Implied_View_Leads``.
        self.denied: set[str] = set()
        #: The role of each contact in a deal, by deal and contact.
        self.deal_roles: dict[str, dict[str, Json]] = defaultdict(dict)
        #: The type of each contact who is a portal user, by contact id.
        self.portal_users: dict[str, Json] = {}
        #: Notes by id.
        self.notes: dict[str, Record] = {}
        #: File names by record id; those that were uploaded are :class:`Attachment`.
        self.attachments: dict[str, list[str]] = defaultdict(list)
        #: E-mails sent by conversions: ``{"to", "about"}``, an address and a record id.
        self.notifications: list[Json] = []
        self._field_ids: dict[tuple[str, str], str] = {}
        self._history: dict[str, list[Change]] = {}

    @property
    def current_user(self) -> Json:
        """Return the user who grants tokens."""
        return self.users[0]

    def user(self, user_id: object) -> Json | None:
        return next((user for user in self.users if user["id"] == user_id), None)

    def active_user(self, user_id: object) -> Json | None:
        """Return the user if records can be assigned to them, or None."""
        user = self.user(str(user_id))
        return user if user and user["status"] == "active" and user["confirm"] else None

    def may_assign_to(self, user: Json) -> bool:
        """Return whether the current user may assign records to a user; not to the CEO."""
        return user is self.current_user or bool(user["role"]["name"] != "CEO")

    def zuid_of(self, owner: Json) -> str:
        user = self.user(owner["id"])
        return str(user["zuid"]) if user else ""

    @property
    def roles(self) -> list[Json]:
        """Return the roles of the users: the first one is above all others."""
        found = list({user["role"]["id"]: user["role"] for user in self.users}.values())
        found.sort(key=lambda role: str(role["name"]) != "CEO")
        return [{**role, "reporting_to": None if role is found[0] else found[0]} for role in found]

    def module(self, name: str) -> Json:
        """Return a reference to a module: its API name and id."""
        return {"api_name": name, "id": self.modules[name]["id"]}

    def layouts_of(self, module: str) -> list[Json]:
        """Return the layouts that records of the module can have."""
        more = [self.layout_with_choice] if module == "Leads" else []
        return [self.layouts[module], *more]

    def tag(self, module: str, name: str) -> Json:
        """Return a tag of the module by its name; create it if it does not exist."""
        tags = self.tags[module]
        if name not in tags:
            tags[name] = {"name": name, "id": self.ids.next(), "color_code": None}
        return tags[name]

    def contact_role(self, role_id: object) -> Json | None:
        return next((role for role in self.contact_roles if role["id"] == role_id), None)

    def is_required(self, module: str, name: str) -> bool:
        """Return whether records of the module must have the field."""
        known = field(module, name)
        always = known is not None and known.mandatory
        for_deals = module == "Deals" and (
            name == "Closing_Date" or (name == "Pipeline" and bool(self.pipelines))
        )
        return always or for_deals or name in self.required[module]

    def is_hidden(self, module: str) -> bool:
        """Return whether an administrator has removed the module under *Organize modules*."""
        return bool(self.modules[module]["status"] != "visible")

    def stages_of(self, pipeline: str) -> list[str] | None:
        """Return the actual values of a pipeline's stages, or None if there is no such pipeline."""
        for each in self.pipelines:
            if each["actual_value"] == pipeline:
                return [stage["actual_value"] for stage in each["maps"]]
        return None

    def add(self, module: str, values: Json, *, at: datetime | None = None) -> Record:
        """Add a record to a module without the checks of an API call."""
        moment = at or self.clock.now()
        who = self.author()
        created = {
            "id": self.ids.next(),
            "Owner": self.owner(self.current_user),
            "Layout": self.layouts[module],
            "Created_By": who,
            "Modified_By": who,
            "Created_Time": zoho_time(moment),
            "Modified_Time": zoho_time(moment),
        }
        record = Record({**created, **with_full_name(module, values)})
        self.records[module][record.id] = record
        return record

    def change(self, record: Record, values: Json, *, at: datetime | None = None) -> None:
        """Write values to a record and keep the former ones for stale reads."""
        moment = at or self.clock.now()
        change = Change(at=moment, before=dict(record.data))
        self._history.setdefault(record.id, []).append(change)
        for name, value in values.items():
            record[name] = value
        record["Modified_Time"] = zoho_time(moment)

    def remove(
        self,
        module: str,
        record_id: str,
        *,
        at: datetime | None = None,
        is_permanent: bool = False,
    ) -> None:
        """
        Delete a record; it stays known as deleted.

        :raises KeyError: if there is no such record
        """
        record = self.records[module][record_id]
        del self.records[module][record_id]
        deletion = Deletion(
            record=record,
            at=at or self.clock.now(),
            by=self.author(),
            is_permanent=is_permanent,
        )
        self.deletions[module].append(deletion)

    def restore(self, module: str, record_id: str, *, at: datetime | None = None) -> None:
        """
        Restore a deleted record from the recycle bin, which modifies it.

        :raises KeyError: if no such record was deleted
        """
        deletions = self.deletions[module]
        found = next((each for each in deletions if each.record.id == record_id), None)
        if found is None:
            raise KeyError(record_id)
        deletions.remove(found)
        table = self.records[module]
        table[record_id] = found.record
        table.data = dict(sorted(table.data.items(), key=lambda item: int(item[0])))
        self.change(found.record, {}, at=at)

    def changes_of(self, record: Record) -> Sequence[Change]:
        """Return the changes of a record, the first first."""
        return self._history.get(record.id, [])

    def as_of(self, record: Record, moment: datetime) -> Record:
        """Return the record as it was at an instant, or as it was created if it is younger."""
        past = self.changes_of(record)
        before = next((change.before for change in past if change.at > moment), None)
        if before is None:
            return record
        old = Record(before)
        old.table = record.table
        return old

    def account_of(self, contact: Record) -> Record | None:
        """Return the account that a contact belongs to, or None."""
        lookup = contact["Account_Name"]
        return self.records["Accounts"].get(lookup["id"]) if lookup else None

    def field_id(self, module: str, name: str) -> str:
        """Return the id of a field, the same at every call."""
        key = (module, name)
        if key not in self._field_ids:
            self._field_ids[key] = self.ids.next()
        return self._field_ids[key]

    def author(self) -> Json:
        return {"name": self.current_user["full_name"], "id": self.current_user["id"]}

    @staticmethod
    def owner(user: Json) -> Json:
        return {"name": user["full_name"], "id": user["id"], "email": user["email"]}


def with_full_name(module: str, values: Json) -> Json:
    """Return the values of a person with the full name added, or first and last name."""
    if module not in ("Leads", "Contacts") or "Full_Name" in values:
        return _with_last_name(values)
    parts = (values.get("First_Name"), values.get("Last_Name"))
    return {**values, "Full_Name": " ".join(part for part in parts if part)}


def _with_last_name(values: Json) -> Json:
    if "Full_Name" not in values or "Last_Name" in values:
        return values
    first, _, last = str(values["Full_Name"]).rpartition(" ")
    return {**values, "First_Name": first or None, "Last_Name": last}
