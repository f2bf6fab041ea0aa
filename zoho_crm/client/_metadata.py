"""
Metadata of an organisation: its modules, fields, layouts, pipelines, roles, users and tags.

https://www.zoho.com/crm/developer/docs/api/v8/modules-api.html
https://www.zoho.com/crm/developer/docs/api/v8/field-meta.html
https://www.zoho.com/crm/developer/docs/api/v8/layouts-meta.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from functools import partial
from typing import Any, Protocol, Self, TypeVar

from zoho_crm.client._answers import count_of, id_of, id_or_empty, text_of
from zoho_crm.client._api import Api
from zoho_crm.client._names import module_name
from zoho_crm.exceptions import ZohoError
from zoho_crm.types import (
    DealField,
    Environment,
    JsonObject,
    Organisation,
    Pipeline,
    Reference,
    Stage,
    User,
    ValueObject,
    is_record_id,
)

Value = TypeVar("Value")

#: Fields whose values Zoho compares with the list; other picklists take new values, too.
CLOSED_PICKLISTS = frozenset({("Deals", "Stage"), ("Deals", "Pipeline")})
#: Types of fields whose values Zoho computes.
COMPUTED_TYPES = frozenset({"formula", "rollup_summary", "autonumber"})
#: Seconds after which fields that a value does not fit are read again, before it is refused.
RECHECK_SECONDS = 60.0


class Module(ValueObject):
    """A module of the organisation."""

    api_name: str
    id: str
    label: str = ""
    #: Whether the API gives and takes its records.
    api_supported: bool = True
    creatable: bool = True
    editable: bool = True
    deletable: bool = True
    #: Zoho's word: ``default``, ``custom``, ``linking``, ``subform``, ``web``.
    kind: str = ""
    #: Zoho's word: ``visible``, ``user_hidden``, ``system_hidden``.
    status: str = ""

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the module that ``as_json`` stored."""
        return cls(**stored)


class ModuleField(ValueObject):
    """A field of a module."""

    api_name: str
    id: str = ""
    label: str = ""
    #: Zoho's type, such as ``text``, ``picklist``, ``lookup``; of a formula, that of its results.
    data_type: str = ""
    #: Zoho's word for the form of its values: ``string``, ``integer``, ``jsonarray``, …
    json_type: str = ""
    #: Zoho's limit of characters or digits; 0 if it names none.
    length: int = 0
    #: Whether every record of the module has a value in it, in each layout.
    required: bool = False
    unique: bool = False
    #: Whether a new record, and one that exists, can be given a value.
    creatable: bool = True
    updatable: bool = True
    #: The values of a picklist, and whether Zoho refuses others.
    choices: tuple[Stage, ...] = ()
    is_closed: bool = False
    #: API name of the module that a look-up refers to.
    lookup_module: str = ""
    custom: bool = False
    #: API name of the field of each module to which a conversion carries the value of a lead.
    mapped_to: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the field that ``as_json`` stored."""
        return cls(**{**stored, "choices": tuple(Stage(**value) for value in stored["choices"])})


class Layout(ValueObject):
    """A layout of the records of a module."""

    id: str
    name: str
    #: Zoho's word: ``active``, ``inactive``.
    status: str = ""
    #: API names of its fields, and of those that it requires.
    fields: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    #: Of leads, by module: the layout that the record of a conversion gets.
    converts_to: Mapping[str, Reference] = field(default_factory=dict)
    #: Of leads: the fields of the deal that a conversion asks for, without types and choices.
    deal_fields: tuple[DealField, ...] = ()

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the layout that ``as_json`` stored."""
        lists = {name: tuple(stored[name]) for name in ("fields", "required")}
        targets = {name: Reference(**each) for name, each in stored["converts_to"].items()}
        deal_fields = tuple(map(DealField.from_json, stored["deal_fields"]))
        more = {"converts_to": targets, "deal_fields": deal_fields}
        return cls(**{**stored, **lists, **more})


class Role(ValueObject):
    """A role of users in the organisation's hierarchy."""

    id: str
    name: str
    #: The role above it.
    reports_to: Reference | None = None

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the role that ``as_json`` stored."""
        above = stored["reports_to"]
        return cls(**{**stored, "reports_to": above and Reference(**above)})


class Tag(ValueObject):
    """A tag that records of a module can have."""

    id: str
    name: str
    color: str = ""

    @classmethod
    def from_json(cls, stored: JsonObject) -> Self:
        """Return the tag that ``as_json`` stored."""
        return cls(**stored)


class MetadataStore(Protocol):
    """Keeps parts of the metadata between calls; it never raises an error."""

    def get(
        self, part: str, load: Callable[[JsonObject], Value], max_age: float | None
    ) -> tuple[Value, ...] | None:
        """Return the values of a part that are not older than seconds; ``None`` if it has none."""

    def put(self, part: str, values: tuple[Any, ...]) -> None:
        """Keep the values of a part."""

    def note_failure(self, part: str) -> None:
        """Remember for a while that a part cannot be read."""

    def has_failed(self, part: str) -> bool:
        """Return whether a part could not be read a moment ago."""


class OrganisationReads(Protocol):
    """What a client reads of its organisation, each time anew."""

    def users(self) -> tuple[User, ...]: ...
    def organisation(self) -> Organisation: ...
    def contact_roles(self) -> tuple[Reference, ...]: ...
    def pipelines(self, layout_id: str) -> tuple[Pipeline, ...]: ...


class Metadata(ValueObject):
    """
    The metadata of one organisation.

    Each method returns what is kept in the store, or asks Zoho: one call, of users and tags one for
    each page. Of what the user may not see, Zoho says nothing, or refuses the call. What was read
    more than ``max_age`` seconds ago is read again.
    """

    api: Api
    reads: OrganisationReads
    store: MetadataStore | None = None

    def modules(self) -> tuple[Module, ...]:
        """Return the modules of the organisation."""
        return self._kept(
            "modules", Module.from_json, lambda: self.api.read("/crm/v8/settings/modules", _modules)
        )

    def fields(self, module: str, *, max_age: float | None = None) -> tuple[ModuleField, ...]:
        """
        Return the fields of a module.

        :raises RequestRefusedError: if there is no such module
        """

        name = module_name(module)

        def read() -> tuple[ModuleField, ...]:
            parse = partial(fields_of, module=name)
            return self.api.read("/crm/v8/settings/fields", parse, module=name)

        return self._kept(fields_part(name), ModuleField.from_json, read, max_age)

    def layouts(self, module: str, *, max_age: float | None = None) -> tuple[Layout, ...]:
        """
        Return the layouts of a module; those of ``Leads`` say what a conversion makes.

        :raises RequestRefusedError: if there is no such module
        """

        name = module_name(module)

        def read() -> tuple[Layout, ...]:
            return self.api.read("/crm/v8/settings/layouts", _layouts, module=name)

        return self._kept(f"layouts.{name}", Layout.from_json, read, max_age)

    def pipelines(
        self, layout_id: str = "", *, max_age: float | None = None
    ) -> tuple[Pipeline, ...]:
        """
        Return the pipelines of a layout of deals; none if the organisation uses none.

        :param layout_id: all layouts, if it is empty
        """
        if not layout_id:
            ids = [layout.id for layout in self.layouts("Deals", max_age=max_age)]
            found = (self.pipelines(each, max_age=max_age) for each in ids)
            return tuple({each.value: each for some in found for each in some}.values())
        read = partial(self.reads.pipelines, layout_id)
        return self._kept(f"pipelines.{layout_id}", Pipeline.from_json, read, max_age)

    def roles(self) -> tuple[Role, ...]:
        """Return the roles of users: https://www.zoho.com/crm/developer/docs/api/v8/get-roles.html."""
        return self._kept(
            "roles", Role.from_json, lambda: self.api.read("/crm/v8/settings/roles", _roles)
        )

    def contact_roles(self, *, max_age: float | None = None) -> tuple[Reference, ...]:
        """Return the roles that a contact can have in a deal."""
        return self._kept("contact_roles", _reference_of, self.reads.contact_roles, max_age)

    def users(self, *, max_age: float | None = None) -> tuple[User, ...]:
        """Return the active and confirmed users, who may own records."""
        return self._kept("users", _user_of, self.reads.users, max_age)

    def organisation(self) -> Organisation:
        """Return the organisation."""
        [found] = self._kept("org", _organisation_of, lambda: (self.reads.organisation(),))
        return found

    def tags(self, module: str) -> tuple[Tag, ...]:
        """Return the tags of a module: …/api/v8/get-tag-list.html."""
        name = module_name(module)

        def read() -> tuple[Tag, ...]:
            return self.api.read("/crm/v8/settings/tags", _tags, module=name)

        return self._kept(f"tags.{name}", Tag.from_json, read)

    def fields_at_hand(
        self, module: str, *, max_age: float | None = None
    ) -> Mapping[str, ModuleField] | None:
        """
        Return the fields of a module by API name, for checks that a call must not wait for.

        ``None`` without a store, and if they cannot be read: then they are not asked for again for
        a while.
        """
        part = fields_part(module)
        if self.store is None or self.store.has_failed(part):
            return None
        try:
            return {each.api_name: each for each in self.fields(module, max_age=max_age)} or None
        except ZohoError:
            self.store.note_failure(part)
            return None

    def _kept(
        self,
        part: str,
        load: Callable[[JsonObject], Value],
        read: Callable[[], tuple[Value, ...]],
        max_age: float | None = None,
    ) -> tuple[Value, ...]:
        if self.store is None:
            return read()
        kept = self.store.get(part, load, max_age)
        if kept is None:
            kept = read()
            self.store.put(part, kept)
        return kept


def fields_part(module: str) -> str:
    """Return the name by which a store keeps the fields of a module."""
    return f"fields.{module}"


def fields_of(body: JsonObject, module: str) -> tuple[ModuleField, ...]:
    """Return the fields in the answer about a module."""
    return tuple(_field(record, module) for record in body.get("fields") or [])


def choices_of(record: JsonObject) -> tuple[Stage, ...]:
    """Return the values of a picklist that can be sent; Zoho lists the empty one, too."""
    values = [
        value
        for value in record.get("pick_list_values") or []
        if value.get("actual_value") not in (None, "", "-None-") and value.get("type") != "unused"
    ]
    return tuple(
        Stage(
            value=str(value["actual_value"]),
            label=str(value.get("display_value") or value["actual_value"]),
        )
        for value in values
    )


def _field(record: JsonObject, module: str) -> ModuleField:
    name, kind = str(record["api_name"]), text_of(record.get("data_type"))
    result: Any = record.get(kind) if kind in COMPUTED_TYPES else None
    may_write = not record.get("read_only") and kind not in COMPUTED_TYPES
    ways = record.get("operation_type") or {}
    choices = choices_of(record)
    return ModuleField(
        api_name=name,
        id=id_or_empty(record.get("id")),
        label=text_of(record.get("field_label")) or name,
        data_type=text_of((result or {}).get("return_type")) or kind,
        json_type=text_of(record.get("json_type")),
        length=count_of(record.get("length")),
        required=bool(record.get("system_mandatory")),
        unique=bool(record.get("unique")),
        creatable=may_write and bool(ways.get("api_create", True)),
        updatable=may_write and bool(ways.get("api_update", True)),
        choices=choices,
        is_closed=bool(choices) and (module, name) in CLOSED_PICKLISTS,
        lookup_module=_module_of(record.get("lookup")),
        custom=bool(record.get("custom_field")),
        mapped_to={
            target: each
            for target, each in (record.get("convert_mapping") or {}).items()
            if isinstance(each, str)
        },
    )


def _module_of(lookup: Any) -> str:
    """Return the module that a look-up refers to, which some answers name and some describe."""
    module = lookup.get("module") if isinstance(lookup, dict) else None
    return text_of(module.get("api_name") if isinstance(module, dict) else module)


def _modules(body: JsonObject) -> tuple[Module, ...]:
    return tuple(map(_module, body.get("modules") or []))


def _module(record: JsonObject) -> Module:
    flags = ("api_supported", "creatable", "editable", "deletable")
    return Module(
        api_name=str(record["api_name"]),
        id=id_of(record["id"]),
        label=text_of(record.get("plural_label")) or text_of(record.get("module_name")),
        kind=text_of(record.get("generated_type")),
        status=text_of(record.get("status")),
        **{name: bool(record.get(name, True)) for name in flags},
    )


def _layouts(body: JsonObject) -> tuple[Layout, ...]:
    return tuple(map(_layout, body.get("layouts") or []))


def _layout(record: JsonObject) -> Layout:
    sections = record.get("sections") or []
    fields = [each for section in sections for each in section.get("fields") or []]
    targets = record.get("convert_mapping") or {}
    deal_fields = (targets.get("Deals") or {}).get("fields") or []
    return Layout(
        id=id_of(record["id"]),
        name=text_of(record.get("name")),
        status=text_of(record.get("status")),
        fields=tuple(str(each["api_name"]) for each in fields),
        required=tuple(str(each["api_name"]) for each in fields if each.get("required")),
        converts_to={
            module: Reference(id=str(each["id"]), name=text_of(each.get("name")))
            for module, each in targets.items()
            if isinstance(each, dict) and is_record_id(str(each.get("id")))
        },
        deal_fields=tuple(map(_deal_field, deal_fields)),
    )


def _deal_field(record: JsonObject) -> DealField:
    name = str(record["api_name"])
    label = text_of(record.get("field_label")) or name
    return DealField(api_name=name, label=label, required=bool(record.get("required")))


def _roles(body: JsonObject) -> tuple[Role, ...]:
    return tuple(map(_role, body.get("roles") or []))


def _role(record: JsonObject) -> Role:
    above = record.get("reporting_to") or {}
    return Role(
        id=id_of(record["id"]),
        name=text_of(record.get("display_label")) or text_of(record.get("name")),
        reports_to=_reference(above) if is_record_id(str(above.get("id"))) else None,
    )


def _reference(record: JsonObject) -> Reference:
    return Reference(id=str(record["id"]), name=text_of(record.get("name")))


def _tags(body: JsonObject) -> tuple[Tag, ...]:
    return tuple(
        Tag(id=id_of(each["id"]), name=str(each["name"]), color=text_of(each.get("color_code")))
        for each in body.get("tags") or []
    )


def _reference_of(stored: JsonObject) -> Reference:
    return Reference(**stored)


def _user_of(stored: JsonObject) -> User:
    return User(**stored)


def _organisation_of(stored: JsonObject) -> Organisation:
    environment = stored["environment"]
    return Organisation(**{**stored, "environment": environment and Environment(environment)})
