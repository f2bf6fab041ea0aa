"""The address for host projects: what it has, what each function returns, and when it wakes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.db import connection as database
from django.db import transaction

from tests import messages
from tests.calls import calls
from tests.connected import connected
from tests.messages import Sent
from zoho_crm import shortcuts
from zoho_crm.contrib.pytest import SimulatorAdapter
from zoho_crm.exceptions import (
    ConnectionLostError,
    PlanError,
    RequestRefusedError,
    StaleDecisionError,
    TransientError,
)
from zoho_crm.matching import POLICIES, Action, DealTemplate, Policy
from zoho_crm.models import Connection, LeadConversion, MassConversion, from_now
from zoho_crm.models import Policy as SavedPolicy
from zoho_crm.services import work
from zoho_crm.simulator import Simulator
from zoho_crm.types import ConversionPlan, as_json

Status = LeadConversion.Status
Stage = MassConversion.Stage
#: Seconds that no test takes: here ``work`` ends when nothing is due.
LONG_TIMES = {"CALL_DEADLINE": 10, "QUIET_PERIOD": 10, "LEASE": 600, "SLICE": 300}


@pytest.fixture
def connection(transactional_db: None, zoho: Simulator, settings: Any) -> Connection:
    """Use real transactions: workers' threads read what tests write, and ``on_commit`` runs."""
    connection = connected(zoho)
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, **LONG_TIMES}
    messages.take_all()
    return connection


@pytest.fixture
def pat(db: None) -> User:
    return User.objects.create_user("pat")


def work_all(connection: Connection) -> None:
    while work.work(connection_id=connection.pk) == 0.0:
        pass


def in_review(connection: Connection, *lead_ids: str, **arguments: Any) -> MassConversion:
    """Return a run of these leads whose preview is done."""
    run = shortcuts.prepare_mass_conversion(lead_ids, **arguments)
    work_all(connection)
    run.refresh_from_db()
    assert (run.stage, run.due_at) == (Stage.REVIEW, None)
    return run


def finished(connection: Connection, *lead_ids: str) -> MassConversion:
    run = shortcuts.start_mass_conversion(in_review(connection, *lead_ids))
    work_all(connection)
    run.refresh_from_db()
    assert run.stage == Stage.FINISHED
    return run


def in_doubt(connection: Connection, lead_id: str) -> LeadConversion:
    """Return a row whose conversion was sent once, with no answer."""
    times = {"due_at": from_now(-1), "quiet_until": from_now(-1)}
    return LeadConversion.objects.create(
        connection=connection,
        lead_id=lead_id,
        status=Status.UNKNOWN,
        attempts=1,
        in_doubt=True,
        negative_reads=1,
        plan=as_json(ConversionPlan()),
        **times,
    )


# What it has


def test_all_functions_are_exported_and_nothing_else() -> None:
    functions = {
        name
        for name, value in vars(shortcuts).items()
        if inspect.isfunction(value) and value.__module__ == shortcuts.__name__
    }
    public = {name for name in functions if not name.startswith("_")}

    assert shortcuts.__all__ == sorted(public | {"client_for", "auth_for"})


@pytest.mark.parametrize("name", shortcuts.__all__)
def test_each_docstring_says_whether_zoho_is_asked_now(name: str) -> None:
    words = " ".join((getattr(shortcuts, name).__doc__ or "").split())

    said = ("Ask Zoho now", "Zoho is not asked", "Zoho is asked now", "Nothing is asked now")
    assert any(each in words for each in said)


# Wakes


def approved(connection: Connection, zoho: Simulator, user: User) -> Callable[..., Any]:
    row = shortcuts.preview_lead(zoho.story("no_match"))
    return partial(shortcuts.approve_lead, row, user=user)


def requested(connection: Connection, zoho: Simulator, user: User) -> Callable[..., Any]:
    return partial(shortcuts.convert_lead, zoho.story("no_match"))


def previewed(connection: Connection, zoho: Simulator, user: User) -> Callable[..., Any]:
    """Previewed although a policy decides about it, which it then has to do again."""
    row = shortcuts.convert_lead(zoho.story("no_match"), wake=False)
    return partial(shortcuts.preview_lead, row.lead_id)


def decided(connection: Connection, zoho: Simulator, user: User) -> Callable[..., Any]:
    row = in_review(connection, zoho.story("one_match")).rows.get()
    return partial(shortcuts.decide_lead, row, ConversionPlan(), user=user)


def skipped(connection: Connection, zoho: Simulator, user: User) -> Callable[..., Any]:
    row = in_review(connection, zoho.story("one_match")).rows.get()
    return partial(shortcuts.skip_lead, row, user=user)


def settled(connection: Connection, zoho: Simulator, user: User) -> Callable[..., Any]:
    return partial(shortcuts.settle_lead, in_doubt(connection, zoho.story("no_match")))


def prepared(connection: Connection, zoho: Simulator, user: User) -> Callable[..., Any]:
    return partial(shortcuts.prepare_mass_conversion, [zoho.story("no_match")])


def decided_run(connection: Connection, zoho: Simulator, user: User) -> Callable[..., Any]:
    run = in_review(connection, zoho.story("one_match"))
    return partial(shortcuts.decide_mass_conversion, run, verdict="ONE_MATCH", action="attach")


def started(connection: Connection, zoho: Simulator, user: User) -> Callable[..., Any]:
    return partial(shortcuts.start_mass_conversion, in_review(connection, zoho.story("no_match")))


def resumed(connection: Connection, zoho: Simulator, user: User) -> Callable[..., Any]:
    run = shortcuts.prepare_mass_conversion([zoho.story("no_match")])
    return partial(shortcuts.resume_mass_conversion, shortcuts.pause_mass_conversion(run))


def cancelled(connection: Connection, zoho: Simulator, user: User) -> Callable[..., Any]:
    return partial(shortcuts.cancel_mass_conversion, in_review(connection, zoho.story("no_match")))


def retried(connection: Connection, zoho: Simulator, user: User) -> Callable[..., Any]:
    run = finished(connection, zoho.story("several"))
    return partial(shortcuts.retry_mass_conversion, run)


VERBS = {
    "preview_lead": previewed,
    "convert_lead": requested,
    "decide_lead": decided,
    "approve_lead": approved,
    "skip_lead": skipped,
    "settle_lead": settled,
    "prepare_mass_conversion": prepared,
    "decide_mass_conversion": decided_run,
    "start_mass_conversion": started,
    "resume_mass_conversion": resumed,
    "cancel_mass_conversion": cancelled,
    "retry_mass_conversion": retried,
}


@pytest.fixture(params=VERBS, ids=str)
def act(
    request: pytest.FixtureRequest, connection: Connection, zoho: Simulator, pat: User
) -> Callable[..., Any]:
    """Each function that gives a worker something to do, with all but ``wake``."""
    function = VERBS[request.param](connection, zoho, pat)
    messages.take_all()
    return function


def test_a_worker_is_woken_when_the_transaction_is_committed(
    act: Callable[..., Any], connection: Connection
) -> None:
    with transaction.atomic():
        act()
        before = messages.take_all()

    awake = Sent(task="work_connection", kwargs={"connection_id": connection.pk}, eta=None)
    assert before == []
    assert messages.take_all() == [awake]


def test_no_worker_is_woken_for_what_was_rolled_back(act: Callable[..., Any]) -> None:
    with transaction.atomic():
        act()
        transaction.set_rollback(True)

    assert messages.take_all() == []


def test_without_a_wake_up_the_sweep_finds_the_work(
    act: Callable[..., Any], connection: Connection
) -> None:
    act(wake=False)

    assert messages.take_all() == []
    assert work.connections_to_wake() == [connection.pk]


def test_what_is_returned_is_the_row_as_it_is_stored(act: Callable[..., Any]) -> None:
    row = act()

    stored = type(row).objects.get(pk=row.pk)
    names = [field.attname for field in row._meta.concrete_fields]
    assert {name: getattr(row, name) for name in names} == {
        name: getattr(stored, name) for name in names
    }


# Which connection


@pytest.fixture
def other(connection: Connection) -> Connection:
    return Connection.objects.create(name="other", data_center="local", org_id="1")


def test_a_connection_is_named_by_itself_its_name_or_its_key(
    connection: Connection, other: Connection
) -> None:
    chosen = [other, "other", other.pk]

    rows = [shortcuts.convert_lead(str(n), connection=each) for n, each in enumerate(chosen, 1)]

    assert {row.connection for row in rows} == {other}
    assert shortcuts.convert_lead("1").connection == connection


@pytest.mark.parametrize("name", ["another", "", "1", "\0", 0, 10**30])
def test_an_unknown_connection_is_refused_with_the_names_of_those_there_are(
    connection: Connection, other: Connection, name: str | int
) -> None:
    with pytest.raises(RequestRefusedError, match="known are: .*, other") as refused:
        shortcuts.convert_lead("1", connection=name)

    assert refused.value.code == "no_such_connection"
    assert not LeadConversion.objects.exists()


def test_one_of_several_connections_has_to_be_named_if_none_is_the_default(
    connection: Connection, other: Connection
) -> None:
    Connection.objects.update(is_default=False)

    with pytest.raises(RequestRefusedError, match=f"name one of: {connection}, other"):
        shortcuts.convert_lead("1")
    other.delete()

    assert shortcuts.convert_lead("1").connection == connection


def test_without_any_connection_there_is_a_clear_error(db: None) -> None:
    with pytest.raises(ConnectionLostError, match="connect to Zoho first"):
        shortcuts.convert_lead("1")


# One lead


def test_a_preview_asks_zoho_and_is_stored(
    connection: Connection, zoho: Simulator, pat: User
) -> None:
    lead_id = zoho.story("one_match")

    row = shortcuts.preview_lead(lead_id, user=pat)

    plan = row.stored_plan()
    assert (row.verdict, row.status) == ("ONE_MATCH", Status.PREVIEWED)
    assert plan
    assert plan.contact_id == row.stored_options().contacts[0].id
    assert LeadConversion.objects.of_lead(lead_id).get() == row
    assert row.events.get().by == "pat"
    assert messages.take_all() == []


def test_a_preview_of_what_a_policy_decides_leaves_the_decision_to_it(
    connection: Connection, zoho: Simulator
) -> None:
    row = shortcuts.convert_lead(zoho.story("no_match"), wake=False)

    shortcuts.preview_lead(row.lead_id)

    assert [message.task for message in messages.take_all()] == ["work_connection"]
    work_all(connection)
    assert LeadConversion.objects.converted().get() == row


def test_a_preview_that_zoho_does_not_answer_is_an_error(
    connection: Connection, zoho: Simulator
) -> None:
    zoho.fail("leads_list", "close_before")

    with pytest.raises(TransientError):
        shortcuts.preview_lead(zoho.story("one_match"))

    assert LeadConversion.objects.get().status == Status.NEW


@pytest.mark.parametrize(
    ("case", "policy", "status"),
    [
        ("no_match", "careful", Status.CONVERTED),
        ("one_match", "careful", Status.PREVIEWED),
        ("one_match", "attach", Status.CONVERTED),
        ("no_match", "mine", Status.SKIPPED),
    ],
)
def test_a_lead_is_converted_if_the_policy_decides_so(
    connection: Connection, zoho: Simulator, pat: User, case: str, policy: str, status: str
) -> None:
    rules = as_json(Policy(name="mine", on_no_match=Action.SKIP))
    SavedPolicy.objects.create(name="mine", rules=rules)
    before = calls(zoho)

    row = shortcuts.convert_lead(zoho.story(case), policy=policy, user=pat)

    assert (row.status, row.policy, calls(zoho)) == (Status.NEW, policy, before)
    assert row.events.get().by == "pat"
    work_all(connection)
    assert LeadConversion.objects.get().status == status


def test_a_policy_that_does_not_exist_is_refused(connection: Connection) -> None:
    with pytest.raises(PlanError, match="careful, attach"):
        shortcuts.convert_lead("1", policy="reckless")


def test_converting_a_lead_again_does_no_harm(connection: Connection, zoho: Simulator) -> None:
    row = shortcuts.convert_lead(zoho.story("no_match"))
    work_all(connection)

    again = shortcuts.convert_lead(row.lead_id)
    work_all(connection)

    assert (again.pk, again.status) == (row.pk, Status.CONVERTED)
    assert len(zoho.ledger()["conversions"]) == 1


def test_a_person_decides_then_approves(connection: Connection, zoho: Simulator, pat: User) -> None:
    shown = shortcuts.preview_lead(zoho.story("several"))
    plan = ConversionPlan(contact_id=shown.stored_options().contacts[1].id)

    decided = shortcuts.decide_lead(shown, plan, user=pat)
    assert (decided.status, decided.decided_by) == (Status.PREVIEWED, pat)
    approved = shortcuts.approve_lead(decided, user=pat)
    assert (approved.status, approved.approved_by) == (Status.READY, pat)
    work_all(connection)

    [truth] = zoho.conversions_of(shown.lead_id)
    assert truth["contact_id"] == plan.contact_id


def test_the_proposed_plan_is_approved_if_none_is_given(
    connection: Connection, zoho: Simulator
) -> None:
    shown = shortcuts.preview_lead(zoho.story("one_match"))

    shortcuts.approve_lead(shown)
    work_all(connection)

    [truth] = zoho.conversions_of(shown.lead_id)
    assert truth["contact_id"] == shown.stored_options().contacts[0].id


def test_without_any_plan_nothing_can_be_approved(connection: Connection, zoho: Simulator) -> None:
    shown = shortcuts.preview_lead(zoho.story("several"))

    with pytest.raises(PlanError, match="no plan") as refused:
        shortcuts.approve_lead(shown)

    assert refused.value.code == "no_plan"


@pytest.mark.parametrize("verb", ["decide_lead", "approve_lead", "skip_lead"])
def test_what_changed_after_it_was_shown_is_refused(
    connection: Connection, zoho: Simulator, pat: User, verb: str
) -> None:
    shown = shortcuts.preview_lead(zoho.story("no_match"))
    now = shortcuts.decide_lead(shown, ConversionPlan(), user=pat)
    plan = [] if verb == "skip_lead" else [ConversionPlan()]
    act = partial(getattr(shortcuts, verb), user=pat)

    with pytest.raises(StaleDecisionError):
        act(shown, *plan)
    with pytest.raises(StaleDecisionError):
        act(now, *plan, version=shown.version)

    assert act(shown, *plan, version=now.version).version == now.version + 1


def test_a_lead_is_left_out_with_a_note(connection: Connection, zoho: Simulator, pat: User) -> None:
    shown = shortcuts.preview_lead(zoho.story("no_match"))

    row = shortcuts.skip_lead(shown, user=pat, note="a test entry")

    assert (row.status, row.decided_by) == (Status.SKIPPED, pat)
    assert row.events.get(version=row.version).details == {"note": "a test entry"}
    assert messages.take_all() == []


def test_an_outcome_that_is_unknown_is_found_out(connection: Connection, zoho: Simulator) -> None:
    row = in_doubt(connection, zoho.story("no_match"))
    zoho.convert_elsewhere(row.lead_id)

    settled = shortcuts.settle_lead(row)

    assert (settled.status, settled.evidence) == (Status.CONVERTED, "read")
    assert messages.take_all() == []


# Many leads


def test_a_run_is_prepared_decided_and_started(
    connection: Connection, zoho: Simulator, pat: User
) -> None:
    cases = ("no_match", "one_match", "several", "locked")
    leads = {case: zoho.story(case) for case in cases}
    ids = (lead_id for lead_id in [*leads.values(), "no id"])

    run = shortcuts.prepare_mass_conversion(ids, name="Fair", user=pat)
    assert (run.name, run.created_by, run.stage) == ("Fair", pat, Stage.PREVIEWING)
    assert run.lines.get().reason == "malformed"
    work_all(connection)
    run = shortcuts.decide_mass_conversion(run, verdict="ONE_MATCH", action="attach", user=pat)
    one = run.rows.of_lead(leads["several"]).get()
    shortcuts.decide_lead(one, ConversionPlan(), user=pat)
    work_all(connection)
    run.refresh_from_db()
    run = shortcuts.start_mass_conversion(run, expect_count=run.rows.decided().count(), user=pat)
    assert (run.stage, run.started_by) == (Stage.CONVERTING, pat)
    work_all(connection)

    converted = run.rows.converted().values_list("lead_id", flat=True)
    assert set(converted) == {leads["no_match"], leads["one_match"], leads["several"]}
    assert len(zoho.ledger()["conversions"]) == 3


@pytest.mark.parametrize(
    "leads", [{"filters": {"Lead_Status": "Qualified"}}, {"every_open_lead": True}], ids=str
)
def test_open_leads_are_read_by_the_worker(
    connection: Connection, zoho: Simulator, leads: dict[str, Any]
) -> None:
    wanted = zoho.story("no_match")
    zoho.change(zoho.records["Leads"][wanted], Lead_Status="Qualified")
    zoho.story("no_match")

    run = shortcuts.prepare_mass_conversion(**leads)
    assert (run.stage, run.rows.count()) == (Stage.STAGING, 0)
    work_all(connection)

    assert run.rows.of_lead(wanted).exists()
    assert run.rows.count() == (1 if "filters" in leads else 2)


@pytest.mark.parametrize(
    "leads",
    [
        {},
        {"filters": {}},
        {"lead_ids": "5922274000000418003"},
        {"lead_ids": ["1"], "every_open_lead": True},
        {"lead_ids": [], "filters": {"City": "Bonn"}},
    ],
    ids=str,
)
def test_a_call_that_does_not_say_which_leads_is_refused(
    connection: Connection, leads: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match="one of: an iterable of lead_ids"):
        shortcuts.prepare_mass_conversion(**leads)

    assert not MassConversion.objects.exists()


@pytest.mark.parametrize("policy", ["mine", POLICIES["attach"]], ids=str)
def test_a_run_takes_a_policy_or_its_name(connection: Connection, policy: str | Policy) -> None:
    SavedPolicy.objects.create(name="mine", rules=as_json(Policy(name="mine")))

    run = shortcuts.prepare_mass_conversion(["1"], policy=policy)

    assert run.rules.name == (policy if isinstance(policy, str) else "attach")


@pytest.mark.parametrize(
    "policy",
    [
        "reckless",
        Policy(name="p", owner_id="999"),
        Policy(name="p", deal=DealTemplate(name="{Company}", stage="Nowhere")),
    ],
    ids=["unknown", "owner", "stage"],
)
def test_a_policy_that_the_organisation_does_not_allow_prepares_nothing(
    connection: Connection, policy: str | Policy
) -> None:
    with pytest.raises(PlanError):
        shortcuts.prepare_mass_conversion(["1"], policy=policy)

    assert not MassConversion.objects.exists()


def test_another_number_than_was_shown_starts_nothing(
    connection: Connection, zoho: Simulator
) -> None:
    run = in_review(connection, zoho.story("no_match"))

    with pytest.raises(PlanError, match="1 leads would be converted, not 2"):
        shortcuts.start_mass_conversion(run, expect_count=2)


def test_a_decision_after_the_run_was_shown_stops_its_start(
    connection: Connection, zoho: Simulator
) -> None:
    shown = in_review(connection, zoho.story("no_match"), zoho.story("one_match"))
    again = MassConversion.objects.get(pk=shown.pk)
    shortcuts.decide_mass_conversion(again, verdict="ONE_MATCH", action="skip")
    work_all(connection)

    with pytest.raises(StaleDecisionError):
        shortcuts.start_mass_conversion(shown)


def test_a_run_is_paused_resumed_and_cancelled(connection: Connection, pat: User) -> None:
    run = shortcuts.prepare_mass_conversion(["1"], wake=False)

    paused = shortcuts.pause_mass_conversion(run, user=pat).paused_reason
    assert paused == shortcuts.pause_mass_conversion(run).paused_reason == "by_user"
    assert shortcuts.resume_mass_conversion(run).paused_reason == ""
    assert shortcuts.cancel_mass_conversion(run).stage == Stage.CANCELLED
    assert shortcuts.cancel_mass_conversion(run).stage == Stage.CANCELLED
    with pytest.raises(StaleDecisionError):
        shortcuts.pause_mass_conversion(run)


def test_a_finished_run_can_be_retried_and_not_cancelled(
    connection: Connection, zoho: Simulator
) -> None:
    run = finished(connection, zoho.story("several"), zoho.story("no_match"))

    with pytest.raises(StaleDecisionError):
        shortcuts.cancel_mass_conversion(run)
    again = shortcuts.retry_mass_conversion(run)

    assert again.stage == Stage.PREVIEWING
    assert [row.verdict for row in again.rows.filter(status=Status.NEW)] == ["SEVERAL_MATCHES"]


# Own calls


def test_a_project_calls_zoho_by_the_name_of_the_connection(
    connection: Connection, zoho: Simulator
) -> None:
    session = requests.Session()
    session.mount("http://", SimulatorAdapter(zoho))
    auth = shortcuts.auth_for(connection.name)

    answer = session.get(f"{zoho.origin}/crm/v8/org", auth=auth)

    assert answer.json()["org"][0]["id"] == connection.org_id
    assert shortcuts.client_for(connection.pk).organisation().id == connection.org_id
    for function in (shortcuts.client_for, shortcuts.auth_for):
        with pytest.raises(RequestRefusedError, match="There is no connection"):
            function("nowhere")


# Querysets


def test_conversions_are_found_by_what_became_of_them(connection: Connection) -> None:
    for number, status in enumerate(Status, start=1):
        columns = {"converted_by": "us"} if status == Status.CONVERTED else {}
        LeadConversion.objects.create(
            connection=connection, lead_id=str(number), status=status, **columns
        )

    rows = LeadConversion.objects
    for chosen, status in [
        (rows.converted(), Status.CONVERTED),
        (rows.failed(), Status.FAILED),
        (rows.needs_review(), Status.NEEDS_REVIEW),
    ]:
        assert [row.status for row in chosen] == [status]
    assert rows.of_lead("3").get().status == Status.READY


@pytest.mark.skipif(database.vendor != "sqlite", reason="others scan a table that is empty")
def test_the_conversions_of_a_lead_are_found_by_an_index(db: None) -> None:
    plan = LeadConversion.objects.of_lead("1").explain()

    assert plan.splitlines()[0].endswith("(lead_id=?)")
