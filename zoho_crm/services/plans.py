"""
The rules for what a person or a policy chooses, under all user interfaces.

An error names the field that it is about (``PlanError.field``): one of ``ConversionPlan`` or of
``Policy``, or a deal's by its API name. Forms show it at that field, commands name the option.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _

from zoho_crm import matching
from zoho_crm.exceptions import PlanError
from zoho_crm.matching import CONVERTIBLE, Action, DealTemplate, Policy
from zoho_crm.models import LeadConversion
from zoho_crm.services.choices import Choices, check_owner
from zoho_crm.services.deal_fields import deal_values
from zoho_crm.services.policies import decision_on
from zoho_crm.services.presentation import REASONS, reason_text
from zoho_crm.types import ConversionPlan, Deal, Pipeline, Verdict

#: API names of the fields that every deal of ours has, by the attribute of ``Deal``.
DEAL_FIELDS: Mapping[str, str] = {
    "name": "Deal_Name",
    "stage": "Stage",
    "closing_date": "Closing_Date",
    "pipeline": "Pipeline",
    "amount": "Amount",
    "contact_role": "Contact_Role",
}
#: The same by the attribute of ``DealTemplate``.
TEMPLATE_FIELDS: Mapping[str, str] = {
    {"closing_date": "closing_days"}.get(attribute, attribute): api_name
    for attribute, api_name in DEAL_FIELDS.items()
}
#: Fields without which no deal is created.
ALWAYS_NEEDED = ("Deal_Name", "Stage", "Closing_Date")
EMPTY_VALUES: tuple[Any, ...] = (None, "", [])
#: Verdicts for which there is one record to attach to.
SINGLE_TARGET_VERDICTS = frozenset({Verdict.ONE_MATCH, Verdict.ACCOUNT_ONLY})


# Deals


def missing_deal_fields(entered: Mapping[str, Any], known: Choices) -> list[PlanError]:
    """Return an error, with the field's label, for each field that a deal needs and has not got."""
    labels = dict.fromkeys(ALWAYS_NEEDED, "")
    if any(pipeline.value for pipeline in known.pipelines):
        labels["Pipeline"] = ""
    labels |= {field.api_name: field.label for field in known.deal_fields if field.required}
    return [
        PlanError(_("A deal needs this."), code="required", details={"field": name, "label": label})
        for name, label in labels.items()
        if entered.get(name) in EMPTY_VALUES
    ]


def read_deal(entered: Mapping[str, Any], known: Choices) -> tuple[Deal | None, list[PlanError]]:
    """
    Return the deal that was entered, or ``None`` and what is wrong with it.

    :param entered: values by the API name of the field, those of the layout as texts; pipeline and
        stage are named by value or label
    """
    values, errors = _read_fields(entered, known)
    errors = [*missing_deal_fields(entered, known), *errors]
    if errors:
        return None, errors
    own = {word: values.pop(name) for word, name in DEAL_FIELDS.items() if name in values}
    return Deal(**own, other=values), []


def default_pipeline(known: Choices) -> str:
    """Return the value of the organisation's default pipeline; empty if it has no pipelines."""
    default = next((each for each in known.pipelines if each.is_default), None)
    return (default or known.pipelines[0]).value if known.pipelines else ""


def _read_fields(
    entered: Mapping[str, Any], known: Choices
) -> tuple[dict[str, Any], list[PlanError]]:
    """Return Zoho's values for those that were entered, without empty ones, and the errors."""
    values: dict[str, Any] = {}
    errors: list[PlanError] = []
    pipeline: Pipeline | None = None
    with _noted_in(errors):
        pipeline = _find_pipeline(entered.get("Pipeline") or "", known)
    for name, value in entered.items():
        if value in EMPTY_VALUES:
            continue
        with _noted_in(errors):
            if name == "Pipeline":
                values[name] = pipeline.value if pipeline else value
            elif name == "Stage":
                values[name] = _find_stage(value, pipeline)
            elif name == "Contact_Role":
                values[name] = _checked_role(value, known)
            elif name in DEAL_FIELDS.values():
                values[name] = value
            else:
                values |= deal_values({name: value}, known)
    return values, errors


@contextmanager
def _noted_in(errors: list[PlanError]) -> Iterator[None]:
    """Add an error that is raised in the block to these, and go on after it."""
    try:
        yield
    except PlanError as error:
        errors.append(error)


def _find_pipeline(wanted: str, known: Choices) -> Pipeline | None:
    """Return a pipeline by its name; ``None`` if none is named, or none could be read."""
    offered = known.pipelines
    found = next((each for each in offered if wanted in (each.value, each.label)), None)
    if found or not wanted or not offered:
        return found
    message = _("There is no pipeline “%(name)s”; known are: %(known)s.")
    labels = ", ".join(pipeline.label for pipeline in offered if pipeline.value) or _("none")
    details = {"field": "Pipeline", "name": wanted, "known": labels}
    raise PlanError(message % details, code="no_pipeline", details=details)


def _find_stage(wanted: str, pipeline: Pipeline | None) -> str:
    """Return Zoho's value for a stage of a pipeline; unchecked if there is no pipeline."""
    if pipeline is None:
        return wanted
    found = next((stage for stage in pipeline.stages if wanted in (stage.value, stage.label)), None)
    if found:
        return found.value
    message = _("The pipeline “%(pipeline)s” has no stage “%(stage)s”; it has: %(stages)s.")
    stages = ", ".join(stage.label for stage in pipeline.stages)
    details = {"field": "Stage", "stage": wanted, "stages": stages}
    details["pipeline"] = pipeline.label or "–"
    raise PlanError(message % details, code="no_stage", details=details)


def _checked_role(wanted: str, known: Choices) -> str:
    roles = {role.id: role.name for role in known.contact_roles}
    if roles and wanted not in roles:
        message = _("There is no contact role %(id)s; known are: %(known)s.")
        listed = ", ".join(f"{name} ({role_id})" for role_id, name in roles.items())
        details = {"field": "Contact_Role", "id": wanted, "known": listed}
        raise PlanError(message % details, code="no_role", details=details)
    return wanted


# Policies


def fit_policy(policy: Policy, known: Choices) -> tuple[Policy, list[PlanError]]:
    """
    Return a policy with Zoho's values for its deal, and what does not fit the organisation.

    A deal without a pipeline gets the default one.
    """
    errors: list[PlanError] = []
    if policy.deal is None:
        targets = {"tags_to": policy.tags_to, "attachments_to": (policy.attachments_to,)}
        errors += matching.deal_target_errors(targets)
    for field in ("owner_id", "owner_for_inactive_id"):
        with _noted_in(errors):
            check_owner(getattr(policy, field), known, field=field)
    if policy.deal is None:
        return policy, errors
    deal, wrong = _fit_template(policy.deal, known)
    return replace(policy, deal=deal), [*errors, *wrong]


def _fit_template(deal: DealTemplate, known: Choices) -> tuple[DealTemplate, list[PlanError]]:
    entered = {name: getattr(deal, word) for word, name in TEMPLATE_FIELDS.items()}
    entered["Pipeline"] = entered["Pipeline"] or default_pipeline(known)
    values, errors = _read_fields(entered, known)
    missing = missing_deal_fields(entered, known)
    if missing:
        message = _("Deals of this organisation also need: %s. A policy cannot give that.")
        text = message % ", ".join(error.details["label"] or error.field for error in missing)
        errors.append(PlanError(text, code="deal_needs", details={"field": "deal"}))
    if known.lead_fields:
        errors += map(_no_lead_field, sorted(deal.placeholders.difference(known.lead_fields)))
    words = {word: values[name] for word, name in TEMPLATE_FIELDS.items() if name in values}
    return replace(deal, **words), errors


def _no_lead_field(name: str) -> PlanError:
    message = _("“{%s}” is no field of leads that is read, so it would always be empty.")
    return PlanError(message % name, code="no_lead_field", details={"field": "Deal_Name"})


# What fits a verdict


def actions_for(verdict: Verdict) -> tuple[Action, ...]:
    """Return the actions that may be chosen for all leads of a verdict at once."""
    if verdict not in CONVERTIBLE:
        return ()
    attach = (Action.ATTACH,) if verdict in SINGLE_TARGET_VERDICTS else ()
    return (*attach, Action.CREATE, Action.SKIP)


def plan_for(row: LeadConversion, policy: Policy, chosen: Mapping[str, Any]) -> ConversionPlan:
    """
    Return the plan for a previewed lead: what a person decided, else what the policy does.

    :param chosen: fields of the plan, by name, that take the place of the decided ones; an empty
        ``contact_id`` or ``account_id`` is a new record
    :raises PlanError: if a person has to decide, the policy leaves the lead out, or the plan does
        not fit the lead's matches
    :raises ZohoError: if the policy depends on more than the preview, and Zoho cannot be asked
    """
    decided = row.stored_plan() if row.decided_by_id else None
    decided = decided or _plan_of_policy(row, policy, chosen)
    plan = replace(decided or ConversionPlan(), **chosen)
    matching.check_plan(plan, Verdict(row.verdict), row.stored_options())
    if field := _undecided_field(row, plan, chosen, is_decided=decided is not None):
        message = _("A person has to decide (%s)") % row.get_verdict_display()
        text = f"{reason_text(row)} {message}".strip()
        raise PlanError(text, code="undecided", details={"field": field})
    return plan


def _plan_of_policy(
    row: LeadConversion, policy: Policy, chosen: Mapping[str, Any]
) -> ConversionPlan | None:
    decision = decision_on(row, policy)
    if decision.skip and not {"contact_id", "account_id"} & chosen.keys():
        message = _("The policy “%s” leaves this lead out.") % policy.name
        raise PlanError(message, code="left_out", details={"field": "policy"})
    if decision.reason:
        text, details = str(REASONS[decision.reason]), {"field": "owner_id"}
        raise PlanError(text, code="undecided", details=details)
    return decision.plan


def _undecided_field(
    row: LeadConversion, plan: ConversionPlan, chosen: Mapping[str, Any], *, is_decided: bool
) -> str:
    """
    Return the field of a plan that a person still has to choose; empty if there is none.

    No record is created beside a match unless that was decided explicitly.
    """
    options = row.stored_options()
    is_contact_open = not is_decided and "contact_id" not in chosen
    is_account_open = (not is_decided or "contact_id" in chosen) and "account_id" not in chosen
    if is_contact_open and (options.contacts or not options.accounts):
        return "contact_id"
    if options.accounts and is_account_open and not (plan.contact_id or plan.account_id):
        return "account_id"
    return ""
