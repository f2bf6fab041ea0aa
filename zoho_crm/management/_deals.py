"""The deal that a conversion creates: its options, and checks against the organisation's fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from zoho_crm.exceptions import PlanError
from zoho_crm.management import _arguments as arguments
from zoho_crm.management._exits import wrong_use
from zoho_crm.services.choices import Choices
from zoho_crm.services.deal_fields import deal_values
from zoho_crm.types import Deal, DealField, FieldValue, Pipeline

#: Deal fields (API names) that have an option of their own, and its name.
OPTION_BY_FIELD: Mapping[str, str] = {
    "Deal_Name": "deal_name",
    "Stage": "stage",
    "Closing_Date": "closing_date",
    "Pipeline": "pipeline",
    "Amount": "amount",
    "Contact_Role": "contact_role",
}
DEAL_OPTIONS = (*OPTION_BY_FIELD.values(), "deal_field")


def add_deal_arguments(parser: CommandParser) -> None:
    """Add the options for the deal that a conversion creates."""
    add = parser.add_argument
    add("--deal-name", type=arguments.non_empty, metavar="NAME", help="create a deal")
    add("--stage", type=arguments.non_empty, help="its stage")
    add("--closing-date", type=arguments.day, metavar="YYYY-MM-DD", help="its closing date")
    add("--pipeline", type=arguments.non_empty, help="its pipeline (default: the default one)")
    add("--amount", type=arguments.amount, help="its amount")
    add("--contact-role", type=arguments.record_id, metavar="ID", help="the contact's role in it")
    add(
        "--deal-field",
        type=arguments.assignment,
        action="append",
        metavar="FIELD=VALUE",
        help="another field of the deal, by its API name: a number as 12.50, a day as 2026-12-31,"
        " true or false, the id of a look-up, several values with ;; may be repeated",
    )


def wants_deal(options: dict[str, Any]) -> bool:
    """Return whether any of the options asks for a deal."""
    return any(options[option] is not None for option in DEAL_OPTIONS)


def check_deal(options: dict[str, Any]) -> None:
    """
    Check that the options name everything that each deal needs, without asking Zoho.

    :raises CommandError: if a mandatory option is missing
    """
    missing = [option for option in ("deal_name", "stage", "closing_date") if not options[option]]
    if wants_deal(options) and missing:
        flags = ", ".join("--" + option.replace("_", "-") for option in missing)
        raise wrong_use(_("A deal also needs: %s.") % flags)
    if options["move_attachments_to"] == "Deals" and not wants_deal(options):
        raise wrong_use(_("Attachments can move to a deal only if one is created: --deal-name."))


def deal_from_options(options: dict[str, Any], known: Choices) -> Deal:
    """
    Return the deal that the options ask for, with Zoho's own values.

    :raises CommandError: if pipeline, stage or role do not exist, or a mandatory field is missing
    """
    pipeline = find_pipeline(options["pipeline"], known)
    other = _other_values(dict(options["deal_field"] or ()), known)
    deal = Deal(
        name=options["deal_name"],
        stage=find_stage(options["stage"], pipeline),
        closing_date=options["closing_date"],
        pipeline=pipeline.value if pipeline else options["pipeline"] or "",
        amount=options["amount"],
        contact_role=check_contact_role(options["contact_role"], known),
        other=other,
    )
    given = {name for name, option in OPTION_BY_FIELD.items() if options[option] is not None}
    given |= {*other, *(["Pipeline"] if deal.pipeline else [])}
    _check_mandatory(known, given)
    return deal


def _other_values(entered: Mapping[str, str], known: Choices) -> dict[str, FieldValue]:
    """
    Return the values of ``--deal-field``.

    :raises CommandError: if a field has an option of its own or does not exist, or a text is no
        value of its type
    """
    for name in entered.keys() & OPTION_BY_FIELD.keys():
        message = _("%(field)s has an option of its own: %(option)s.")
        raise wrong_use(message % {"field": name, "option": _flag(name)})
    try:
        return deal_values(entered, known)
    except PlanError as error:
        raise wrong_use(str(error)) from error


def find_pipeline(wanted: str | None, known: Choices) -> Pipeline | None:
    """
    Return a pipeline by its name, or the organisation's default; ``None`` if none could be read.

    :raises CommandError: if there is none of this name
    """
    offered = known.pipelines
    if not offered:
        return None
    if wanted is None:
        return next((pipeline for pipeline in offered if pipeline.is_default), offered[0])
    found = next(
        (pipeline for pipeline in offered if wanted in (pipeline.value, pipeline.label)), None
    )
    if found is None:
        message = _("There is no pipeline “%(name)s”; known are: %(known)s.")
        labels = ", ".join(pipeline.label for pipeline in offered if pipeline.value) or _("none")
        raise wrong_use(message % {"name": wanted, "known": labels})
    return found


def find_stage(wanted: str, pipeline: Pipeline | None) -> str:
    """
    Return Zoho's value for a stage of a pipeline; unchecked if there is no pipeline.

    :raises CommandError: if there is none of this name
    """
    if pipeline is None:
        return wanted
    found = next((stage for stage in pipeline.stages if wanted in (stage.value, stage.label)), None)
    if found is None:
        message = _(
            "There is no stage “%(name)s” in the pipeline “%(pipeline)s”; it has: %(known)s."
        )
        labels = ", ".join(stage.label for stage in pipeline.stages)
        raise wrong_use(
            message % {"name": wanted, "pipeline": pipeline.label or "–", "known": labels}
        )
    return found.value


def check_contact_role(wanted: str | None, known: Choices) -> str:
    """
    Return the id of a contact role, empty if none is wanted.

    :raises CommandError: if the organisation has no such role
    """
    roles = {role.id: role.name for role in known.contact_roles}
    if wanted and roles and wanted not in roles:
        message = _("There is no contact role %(id)s; known are: %(known)s.")
        listed = ", ".join(f"{name} ({role_id})" for role_id, name in roles.items())
        raise wrong_use(message % {"id": wanted, "known": listed})
    return wanted or ""


def missing_fields(known: Choices, given: set[str]) -> list[DealField]:
    """Return the mandatory deal fields of the organisation that are not among the given ones."""
    return [field for field in known.deal_fields if field.required and field.api_name not in given]


def _check_mandatory(known: Choices, given: set[str]) -> None:
    missing = missing_fields(known, given)
    if missing:
        flags = ", ".join(f"{field.label} ({_flag(field.api_name)})" for field in missing)
        raise wrong_use(_("Deals of this organisation also need: %s.") % flags)


def _flag(api_name: str) -> str:
    option = OPTION_BY_FIELD.get(api_name)
    return "--" + option.replace("_", "-") if option else f"--deal-field {api_name}=…"
