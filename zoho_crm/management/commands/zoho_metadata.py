"""``manage.py zoho_metadata``: list the modules, fields, layouts and other metadata of Zoho."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from zoho_crm.management._command import (
    ZohoCommand,
    add_connection_argument,
    add_user_argument,
    chosen_connection,
)
from zoho_crm.management._exits import wrong_use
from zoho_crm.management._output import Row
from zoho_crm.services import metadata
from zoho_crm.services.clients import client_for
from zoho_crm.types import as_json

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


@dataclass(frozen=True)
class Part:
    """A part of the metadata: how it is read, and what is shown of it."""

    help: StrPromise
    #: Returns the values, given the metadata and the module.
    read: Callable[[Any, str], Any]
    #: Keys of a row, and the columns of the table: heading and key.
    fields: tuple[str, ...]
    columns: Mapping[str, str]
    needs_module: bool = False


PARTS: Mapping[str, Part] = {
    "modules": Part(
        gettext_lazy("modules (default without MODULE)"),
        lambda known, module: known.modules(),
        (
            *("api_name", "id", "label", "api_supported", "creatable", "editable", "deletable"),
            *("kind", "status"),
        ),
        {"module": "api_name", "label": "label", "kind": "kind", "status": "status"},
    ),
    "fields": Part(
        gettext_lazy("fields of MODULE (default)"),
        lambda known, module: known.fields(module),
        (
            *("api_name", "label", "data_type", "length", "required", "unique", "creatable"),
            *("updatable", "is_closed", "choices", "lookup_module", "custom", "mapped_to"),
        ),
        {"field": "api_name", "label": "label", "type": "type", "": "properties"},
        needs_module=True,
    ),
    "layouts": Part(
        gettext_lazy("layouts of MODULE; those of Leads say what a conversion makes"),
        lambda known, module: known.layouts(module),
        ("id", "name", "status", "fields", "required", "converts_to", "deal_fields"),
        {"id": "id", "layout": "name", "status": "status", "required": "required"},
        needs_module=True,
    ),
    "tags": Part(
        gettext_lazy("tags of MODULE"),
        lambda known, module: known.tags(module),
        ("id", "name", "color"),
        {"id": "id", "tag": "name"},
        needs_module=True,
    ),
    "pipelines": Part(
        gettext_lazy("pipelines of deals with their stages"),
        lambda known, module: known.pipelines(),
        ("value", "label", "is_default", "stages"),
        {"pipeline": "value", "stages": "stages"},
    ),
    "roles": Part(
        gettext_lazy("roles of users"),
        lambda known, module: known.roles(),
        ("id", "name", "reports_to"),
        {"id": "id", "role": "name", "reports to": "above"},
    ),
    "contact-roles": Part(
        gettext_lazy("roles of contacts in deals"),
        lambda known, module: known.contact_roles(),
        ("id", "name"),
        {"id": "id", "role": "name"},
    ),
    "users": Part(
        gettext_lazy("users who may own records"),
        lambda known, module: known.users(),
        ("id", "name", "email"),
        {"id": "id", "name": "name", "e-mail": "email"},
    ),
    "org": Part(
        gettext_lazy("the organisation"),
        lambda known, module: (known.organisation(),),
        ("id", "name", "environment", "edition", "licences", "time_zone"),
        {"id": "id", "name": "name", "environment": "environment", "edition": "edition"},
    ),
}


class Command(ZohoCommand):
    help = gettext_noop(
        "List the modules, fields, layouts and other metadata of Zoho; they are cached."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "module", nargs="?", metavar="MODULE", help=_("API name, such as Leads")
        )
        add_connection_argument(parser)
        add_user_argument(parser, _("what this user sees (default: the default user)"))
        chosen = parser.add_mutually_exclusive_group()
        for name, part in PARTS.items():
            chosen.add_argument(
                f"--{name}", action="store_const", const=name, dest="part", help=str(part.help)
            )
        parser.add_argument(
            "--clear", action="store_true", help=_("forget what is cached, and read it again")
        )

    def handle(self, *args: Any, module: str | None, part: str | None, **options: Any) -> None:
        connection = chosen_connection(options["connection"])
        shown = part or ("fields" if module else "modules")
        if PARTS[shown].needs_module != bool(module):
            raise wrong_use(_needs_module(shown) if not module else _takes_none(shown))
        if options["clear"]:
            metadata.clear(connection)
            if not (module or part):
                self.hint(_("The metadata of %s is forgotten; it is read again.") % connection)
                return
        known = client_for(connection, user=options["user"]).metadata
        rows = list(map(_row, PARTS[shown].read(known, module or "")))
        self.open_output(options).show(
            rows,
            fields=PARTS[shown].fields,
            columns={heading: _cell(key) for heading, key in PARTS[shown].columns.items()},
        )
        if not rows:
            self.hint(_("There are none, or this user may not see them."))


def _needs_module(part: str) -> str:
    return _("Name the module, such as: zoho_metadata Leads --%s") % part


def _takes_none(part: str) -> str:
    return _("--%s is not about one module; leave the module out.") % part


def _cell(key: str) -> Callable[[Row], str]:
    return lambda row: ", ".join(row[key]) if isinstance(row[key], list) else str(row[key] or "")


def _row(value: Any) -> dict[str, Any]:
    """Return a value as a row, in which picklists and stages are lists of their values."""
    row: dict[str, Any] = as_json(value)
    for key in ("choices", "stages"):
        if key in row:
            row[key] = [choice["value"] for choice in row[key]]
    if "reports_to" in row:
        row["above"] = row["reports_to"]["name"] if row["reports_to"] else ""
    if "data_type" in row:
        row |= {"type": _type(row), "properties": _properties(row)}
    return row


def _type(row: Row) -> str:
    target = row["lookup_module"] or row["length"]
    return f"{row['data_type']} ({target})" if target else str(row["data_type"])


def _properties(row: Row) -> list[str]:
    """Return the words for what is special about a field."""
    words = {
        _("required"): row["required"],
        _("unique"): row["unique"],
        _("read-only"): not (row["creatable"] or row["updatable"]),
        _("custom"): row["custom"],
    }
    values = " | ".join(row["choices"])
    return [*(word for word, fits in words.items() if fits), *filter(None, [values])]
