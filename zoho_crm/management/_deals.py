"""The options for the deal that a conversion creates, and the options that errors name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from zoho_crm.exceptions import PlanError
from zoho_crm.management import _arguments as arguments
from zoho_crm.management._exits import wrong_use
from zoho_crm.services.choices import Choices
from zoho_crm.services.plans import (
    DEAL_FIELDS,
    default_pipeline,
    missing_deal_fields,
    read_deal,
)
from zoho_crm.types import Deal

#: Options by the API name of the deal's field that they fill; all others have ``--deal-field``.
OPTION_BY_FIELD: Mapping[str, str] = {
    api_name: "deal_name" if word == "name" else word for word, api_name in DEAL_FIELDS.items()
}
DEAL_OPTIONS = (*OPTION_BY_FIELD.values(), "deal_field")
#: The same with the fields of a plan or policy that an error names.
OPTIONS: Mapping[str, str] = {
    **OPTION_BY_FIELD,
    "contact_id": "contact",
    "account_id": "account",
    "owner_id": "owner",
    "owner_for_inactive_id": "owner_for_inactive",
    "deal": "deal_name",
}


def add_deal_arguments(parser: CommandParser) -> None:
    """Add the options for the deal that a conversion creates."""
    add = parser.add_argument
    add("--deal-name", type=arguments.non_empty, metavar="NAME", help=_("create a deal"))
    add("--stage", type=arguments.non_empty, help=_("its stage"))
    add("--closing-date", type=arguments.day, metavar="YYYY-MM-DD", help=_("its closing date"))
    add("--pipeline", type=arguments.non_empty, help=_("its pipeline (default: the default one)"))
    add("--amount", type=arguments.amount, help=_("its amount"))
    add(
        "--contact-role", type=arguments.record_id, metavar="ID", help=_("the contact's role in it")
    )
    add(
        "--deal-field",
        type=arguments.assignment,
        action="append",
        metavar="FIELD=VALUE",
        help=_(
            "another field of the deal, by its API name: a number as 12.50, a day as 2026-12-31,"
            " true or false, the id of a look-up, several values with ;; may be repeated"
        ),
    )


def wants_deal(options: Mapping[str, Any]) -> bool:
    """Return whether any of the options asks for a deal."""
    return any(options[option] is not None for option in DEAL_OPTIONS)


def check_deal(options: Mapping[str, Any]) -> None:
    """
    Check that the options name everything that each deal needs, without asking Zoho.

    :raises CommandError: if a mandatory option is missing
    """
    if wants_deal(options):
        refuse(missing_deal_fields(_entered(options), Choices()))
    elif options["move_attachments_to"] == "Deals":
        raise no_deal()


def deal_from_options(options: Mapping[str, Any], known: Choices) -> Deal | None:
    """
    Return the deal that the options ask for, with Zoho's own values.

    :raises CommandError: if something of it does not exist, or a mandatory field is missing
    """
    others: dict[str, str] = dict(options["deal_field"] or ())
    for name in others.keys() & OPTION_BY_FIELD.keys():
        message = _("%(field)s has an option of its own: %(option)s.")
        raise wrong_use(message % {"field": name, "option": flag(name)})
    entered = _entered(options)
    entered["Pipeline"] = entered["Pipeline"] or default_pipeline(known)
    deal, errors = read_deal({**entered, **others}, known)
    refuse(errors)
    return deal


def _entered(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the options, by the API name of the deal's field."""
    return {name: options[option] for name, option in OPTION_BY_FIELD.items()}


def refuse(errors: Sequence[PlanError]) -> None:
    """
    Refuse options that break rules; nothing happens without errors.

    :raises CommandError: that names the options of all fields that are missing, or the first error
    """
    if missing := [error for error in errors if error.code == "required"]:
        named = ((error.details["label"], flag(error.field)) for error in missing)
        flags = (f"{label} ({option})" if label else option for label, option in named)
        raise wrong_use(_("A deal also needs: %s.") % ", ".join(flags))
    for error in errors:
        if error.code == "no_deal":
            raise no_deal()
        text = f"{flag(error.field)}: {error}" if error.field in OPTIONS else str(error)
        raise wrong_use(text)


def no_deal() -> CommandError:
    """Return the error for options that need a deal where none is created."""
    return wrong_use(_("Nothing can go to deals if none are created: --deal-name."))


def flag(field: str) -> str:
    """Return the option that fills a field of a plan or policy, or of a deal by its API name."""
    option = OPTIONS.get(field)
    return "--" + option.replace("_", "-") if option else f"--deal-field {field}=…"
