"""
The address for host projects: convert leads, one or many, and call Zoho.

* ``preview_lead`` shows what a lead would become; ``decide_lead``, ``approve_lead`` and
  ``skip_lead`` record what a person says to it. ``convert_lead`` leaves the decision to a policy,
  and ``settle_lead`` finds out an outcome that is unknown.
* ``prepare_mass_conversion`` takes in many leads; ``decide_``, ``start_``, ``pause_``, ``resume_``,
  ``cancel_`` and ``retry_mass_conversion`` do what they say.
* ``push_record`` puts a change of any record into the outbox, from which a worker sends it.
* ``client_for`` and ``auth_for`` are for a project's own calls.

Each docstring says whether Zoho is asked now. If not, the function records what is wanted, and a
worker does it. The worker is woken by a Celery message when the transaction is committed; with
``wake=False`` no message is sent, and the next sweep or ``manage.py zoho_work`` finds the work.

Arguments that several functions have:

* ``connection``: a ``Connection``, its name or its primary key; ``None``: the default one.
  ``RequestRefusedError`` is raised if there is no such connection, ``ConnectionLostError`` if there
  is none at all.
* ``user``: the user of this site who asks, for the journal; of ``client_for`` and ``auth_for`` it
  is a user at Zoho.
* ``version``: the version of the conversion that a person was shown, if it was read again since.

Rows of ``zoho_crm.models`` are returned as they are stored now. The errors are those of
``zoho_crm.exceptions``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.utils.translation import gettext as _

from zoho_crm import tasks
from zoho_crm.exceptions import PlanError, StaleDecisionError
from zoho_crm.matching import Policy
from zoho_crm.models import Connection, LeadConversion, MassConversion, OutboxRecord
from zoho_crm.services import convert, mass_convert, outbox, preview, settle
from zoho_crm.services.choices import choices
from zoho_crm.services.clients import auth_for, client_for
from zoho_crm.services.connections import find_connection
from zoho_crm.services.plans import fit_policy
from zoho_crm.services.policies import policy_named
from zoho_crm.types import CodedText, ConversionPlan

__all__ = [
    "approve_lead",
    "auth_for",
    "cancel_mass_conversion",
    "client_for",
    "convert_lead",
    "decide_lead",
    "decide_mass_conversion",
    "pause_mass_conversion",
    "prepare_mass_conversion",
    "preview_lead",
    "push_record",
    "resume_mass_conversion",
    "retry_mass_conversion",
    "settle_lead",
    "skip_lead",
    "start_mass_conversion",
]


# One lead


def preview_lead(
    lead_id: str,
    *,
    connection: Connection | str | int | None = None,
    user: AbstractBaseUser | None = None,
    wake: bool = True,
) -> LeadConversion:
    """
    Ask Zoho now what a lead would become, and return its row with the preview; nothing is sent.

    Two calls are made: for the lead, and for its conversion options. The row has a ``verdict``,
    ``stored_lead()``, ``stored_options()`` (the contacts and accounts that match) and
    ``stored_plan()``, the proposed plan or ``None``. The row of a lead that is being converted, or
    is converted, is returned as it is. A lead that was refused, left out or needs a person is
    taken up again.

    :param lead_id: Zoho's id, a text of up to 19 digits
    :raises RequestRefusedError: if this can be no lead's id, or the lead is in a mass conversion
        that has not ended
    :raises ZohoError: if Zoho cannot be asked; nothing is stored then
    """
    connection_id = find_connection(connection).pk
    row = preview.preview(connection_id=connection_id, lead_id=lead_id, by=user)
    # A worker has to act if it was requested with a policy, which decides again.
    return _woken(row, wake and row.due_at is not None)


def convert_lead(
    lead_id: str,
    *,
    policy: str = "careful",
    connection: Connection | str | int | None = None,
    user: AbstractBaseUser | None = None,
    wake: bool = True,
) -> LeadConversion:
    """
    Record that a lead is to be converted if a policy decides so, and return its row.

    Zoho is not asked now: a worker previews the lead and sends what the policy decides. A lead that
    the policy leaves to a person rests as ``PREVIEWED``. Nothing happens if the lead is already on
    its way, converted, or decided by a person: a repeated call does no harm.

    :param lead_id: Zoho's id, a text of up to 19 digits
    :param policy: ``careful``, ``attach`` or the name of a saved one; it decides as it is then
    :raises RequestRefusedError: if this can be no lead's id
    :raises PlanError: if there is no such policy
    """
    connection_id = find_connection(connection).pk
    row = convert.request(connection_id=connection_id, lead_id=lead_id, policy=policy, by=user)
    return _woken(row, wake)


def decide_lead(
    conversion: LeadConversion,
    plan: ConversionPlan,
    *,
    user: AbstractBaseUser,
    version: int | None = None,
    wake: bool = True,
) -> LeadConversion:
    """
    Store a person's plan for a previewed lead, and return the row; Zoho is not asked.

    Nothing is sent before ``approve_lead``, or, of a lead in a mass conversion that waits for
    decisions, before the start of that.

    :param conversion: the row as it was shown to the person
    :param plan: which records it joins; those that it names have to be among the matches
    :raises StaleDecisionError: if the row changed after it was shown
    :raises PlanError: if the plan does not fit the preview
    :raises RequestRefusedError: if a mass conversion in another stage has the lead
    """
    shown = {"conversion_id": conversion.pk, "version": _shown_version(conversion, version)}
    run = conversion.mass_conversion
    if run is not None and run.stage == MassConversion.Stage.REVIEW:
        return _woken(mass_convert.decide_one(**shown, plan=plan, by=user), wake)
    return convert.decide(**shown, plan=plan, by=user)


def approve_lead(
    conversion: LeadConversion,
    plan: ConversionPlan | None = None,
    *,
    user: AbstractBaseUser | None = None,
    version: int | None = None,
    wake: bool = True,
) -> LeadConversion:
    """
    Let a previewed lead be converted with exactly this plan, and return its row, which is READY.

    Zoho is not asked now: a worker reads the lead once more and sends the plan. If the lead has
    changed at Zoho meanwhile, nothing is sent and it is previewed again.

    :param conversion: the row as it was shown
    :param plan: by default the one that was shown: decided, or proposed by the preview
    :raises StaleDecisionError: if the row changed after it was shown
    :raises PlanError: if there is no plan, or it does not fit the preview
    :raises RequestRefusedError: if a mass conversion that has not ended has the lead
    """
    plan = plan or conversion.stored_plan()
    if plan is None:
        raise PlanError(_("There is no plan for this lead yet; choose one."), code="no_plan")
    row = convert.approve(
        conversion_id=conversion.pk,
        version=_shown_version(conversion, version),
        plan=plan,
        by=user,
    )
    return _woken(row, wake)


def skip_lead(
    conversion: LeadConversion,
    *,
    user: AbstractBaseUser,
    note: str = "",
    version: int | None = None,
    wake: bool = True,
) -> LeadConversion:
    """
    Leave a lead out, and return its row, which is SKIPPED; Zoho is not asked.

    Previewed and approved leads can be left out, and those that need a person. ``preview_lead``
    takes the lead up again.

    :param conversion: the row as it was shown
    :param note: why, for the journal
    :raises StaleDecisionError: if the row changed after it was shown, as when it is being sent
    """
    row = convert.skip(
        conversion_id=conversion.pk,
        version=_shown_version(conversion, version),
        by=user,
        note=note,
    )
    return _woken(row, wake and row.mass_conversion_id is not None)


def settle_lead(conversion: LeadConversion, *, wake: bool = True) -> LeadConversion:
    """
    Ask Zoho now whether a lead whose outcome is unknown was converted, and return its row.

    One call reads the lead. If it shows a conversion, the row is CONVERTED; that it is open counts
    only after the quiet period (``QUIET_PERIOD``). A row that is not UNKNOWN or SCHEDULED is
    returned as it is. Workers do the same by themselves: nobody has to call this.

    :raises ZohoError: if Zoho cannot be asked; nothing is recorded then
    """
    row = settle.settle(conversion_id=conversion.pk)
    return _woken(row, wake and row.due_at is not None)


# Many leads


def prepare_mass_conversion(
    lead_ids: Iterable[str] | None = None,
    *,
    filters: Mapping[str, str] | None = None,
    every_open_lead: bool = False,
    policy: str | Policy = "careful",
    name: str = "",
    connection: Connection | str | int | None = None,
    user: AbstractBaseUser | None = None,
    wake: bool = True,
) -> MassConversion:
    """
    Take leads into a new run, which a worker previews, and return it; nothing is converted yet.

    Give one of ``lead_ids``, ``filters`` and ``every_open_lead``. To check the policy, Zoho is
    asked now what the organisation offers, at most every five minutes. Ids are stored now, one by
    one; open leads are read by the worker. Each lead is previewed, and decided as the policy says,
    when ``stage`` is ``REVIEW`` and ``due_at`` is ``None``.

    :param lead_ids: ids; each that has to be left out is in ``run.lines`` with its reason
    :param filters: values that open leads have, by API name: ``{"Lead_Status": "Qualified"}``
    :param policy: ``careful``, ``attach``, the name of a saved one, or a ``matching.Policy``
    :param name: of the run, for people
    :raises TypeError: if none or several of the three are given
    :raises PlanError: if there is no such policy, or it asks for what the organisation lacks
    :raises RequestRefusedError: if there is not one id
    :raises ZohoError: if Zoho cannot be asked
    """
    sources = [lead_ids is not None, bool(filters), every_open_lead]
    if sources.count(True) != 1 or isinstance(lead_ids, str):
        raise TypeError("Give one of: an iterable of lead_ids; filters; every_open_lead=True.")
    given = _prepared_arguments(find_connection(connection), policy)
    given |= {"name": name, "by": user}
    if lead_ids is None:
        run = mass_convert.prepare_open_leads(filters=filters or {}, **given)
    else:
        run = mass_convert.prepare(lead_ids=lead_ids, source=CodedText(code="program"), **given)
    return _refreshed(run, wake)


def _prepared_arguments(connection: Connection, policy: str | Policy) -> dict[str, Any]:
    """Return the connection, the checked policy and the active users for a new run."""
    policy = policy_named(policy) if isinstance(policy, str) else policy
    known = choices(connection, with_deal=policy.deal is not None)
    policy, errors = fit_policy(policy, known)
    if errors:
        raise errors[0]
    return {
        "connection_id": connection.pk,
        "policy": policy,
        "active_owners": known.active_owners,
    }


def decide_mass_conversion(
    run: MassConversion,
    *,
    verdict: str,
    action: str,
    user: AbstractBaseUser | None = None,
    wake: bool = True,
) -> MassConversion:
    """
    Decide all previewed leads of a verdict in the same way, and return the run; Zoho is not asked.

    ``decide_lead`` and ``skip_lead`` decide a single lead of a run. Each decision raises the run's
    ``revision``. A worker then forms the groups of leads that would create the same record:
    until ``due_at`` is ``None`` again, the run cannot be started.

    :param verdict: ``NO_MATCH``, ``ONE_MATCH``, ``ACCOUNT_ONLY`` or ``SEVERAL_MATCHES``
    :param action: ``attach`` to the match, ``create`` everything anew, or ``skip``
    :param user: without one, leads that a person decided stay as they are
    :raises StaleDecisionError: if the run does not wait for decisions
    :raises PlanError: if the action does not fit the verdict
    """
    mass_convert.decide(run_id=run.pk, verdict=verdict, action=action, by=user)
    return _refreshed(run, wake)


def start_mass_conversion(
    run: MassConversion,
    *,
    expect_count: int | None = None,
    user: AbstractBaseUser | None = None,
    wake: bool = True,
) -> MassConversion:
    """
    Start to convert the decided leads of a run, and return the run; Zoho is not asked now.

    Zoho cannot undo a conversion: show a person first how many leads it is
    (``run.rows.decided().count()``), and give that number.

    :param run: the run as it was shown: its ``revision`` says which decisions are meant
    :param expect_count: the number of leads that was shown; ``None``: however many are decided
    :raises StaleDecisionError: if the run does not wait for its start, a decision was made after it
        was shown, or the last decisions are still being applied
    :raises PlanError: if another number of leads would be converted
    """
    count = mass_convert.decided_count(run) if expect_count is None else expect_count
    mass_convert.start(run_id=run.pk, revision=run.revision, count=count, by=user)
    return _refreshed(run, wake)


def pause_mass_conversion(
    run: MassConversion, *, reason: str = "", user: AbstractBaseUser | None = None
) -> MassConversion:
    """
    Begin with no more leads of a run, and return the run; Zoho is not asked.

    Leads that are being sent are finished, and unknown outcomes are found out. A run that is paused
    already stays as it is.

    :param reason: what people read about why; by default, who paused it
    :raises StaleDecisionError: if it is neither being previewed nor being converted
    """
    paused = mass_convert.pause(run_id=run.pk, by=user, reason=reason)
    run.refresh_from_db()
    if not paused and not run.paused_reason:
        raise StaleDecisionError(code="not_running")
    return run


def resume_mass_conversion(run: MassConversion, *, wake: bool = True) -> MassConversion:
    """
    Continue a paused run, and return it; Zoho is not asked now.

    The next leads go one at a time, like the first ones of a run. A run that is not paused stays as
    it is.
    """
    mass_convert.resume(run_id=run.pk)
    return _refreshed(run, wake)


def cancel_mass_conversion(run: MassConversion, *, wake: bool = True) -> MassConversion:
    """
    Cancel a run, and return it; Zoho is not asked now.

    Leads that were not sent are left out; those that are being sent are finished, and what is
    converted stays converted. A run that was cancelled before stays as it is.

    :raises StaleDecisionError: if it has finished
    """
    cancelled = mass_convert.cancel(run_id=run.pk)
    run.refresh_from_db()
    if not cancelled and run.stage != MassConversion.Stage.CANCELLED:
        raise StaleDecisionError(code="finished")
    return _refreshed(run, wake)


def retry_mass_conversion(
    run: MassConversion, *, user: AbstractBaseUser | None = None, wake: bool = True
) -> MassConversion:
    """
    Let the refused and undecided leads of a finished run be previewed again, and return the run.

    Zoho is not asked now. They are converted after new decisions and another start. A run without
    such leads stays finished.

    :raises StaleDecisionError: if the run has not finished
    """
    mass_convert.retry(run_id=run.pk, by=user)
    return _refreshed(run, wake)


# Other records


def push_record(
    action: str,
    module: str,
    values: Mapping[str, Any],
    *,
    key: str = "",
    when_known: str = "hold",
    unique_field: str = "",
    trigger: Iterable[str] | None = None,
    connection: Connection | str | int | None = None,
    wake: bool = True,
) -> OutboxRecord:
    """
    Record that a worker is to write this to Zoho, and return the row; Zoho is not asked now.

    The row is one INSERT in the caller's transaction: a rollback takes it back. Pushes with the
    same key are about one record: they are sent in their order, and values that wait are merged.
    ``docs/reference/outbox.md`` says which values each action takes, and what is guaranteed.

    :param action: ``create``, ``update``, ``upsert``, ``delete``, ``tag``, ``untag``, ``note`` or
        ``link``
    :param key: a name for the record in this project, such as ``enquiry:17``; no personal data
    :param when_known: before a lead is created for the address of a contact or a converted lead:
        ``hold`` it for a person, ``update_contact``, or ``create`` it
    :param unique_field: API name of the field that identifies the record, which an upsert compares
        and by which a lost answer is settled; for an upsert by default Zoho's own
    :param trigger: names of the automations to run, ``workflow`` for one; all by default
    :raises RequestRefusedError: for values that cannot be sent; ``error.field`` names the field
    :raises ValueError: if there is no such action or ``when_known``, or the key is too long
    """
    connection_id = find_connection(connection).pk
    options = {"when_known": when_known, "unique_field": unique_field, "trigger": trigger}
    row = outbox.push(connection_id, action, module, values, key=key, **options)
    if wake:
        tasks.wake(connection_id)
    return row


def _shown_version(conversion: LeadConversion, version: int | None) -> int:
    return conversion.version if version is None else version


def _woken(row: LeadConversion, wake: bool) -> LeadConversion:
    """Return the row; wake a worker of its connection when the transaction is committed."""
    if wake:
        tasks.wake(row.connection_id)
    return row


def _refreshed(run: MassConversion, wake: bool) -> MassConversion:
    """Return the run as it is stored now; wake a worker when the transaction is committed."""
    if wake:
        tasks.wake(run.connection_id)
    run.refresh_from_db()
    return run
