"""Every refusal of a mass convert call, in Zoho's words and without effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.conftest import Caller
from tests.simulator.test_mass_convert import DEAL, leads_of
from zoho_crm.simulator import Simulator

Json = dict[str, Any]


def refusal_of(caller: Caller, *lead_ids: str, **keys: Any) -> Json:
    answer = caller.mass_convert(*lead_ids, **keys)
    assert answer.status_code == 400, answer.text
    assert caller.simulator.ledger()["conversions"] == []
    problem = answer.json()
    assert problem.pop("status") == "error"
    assert isinstance(problem, dict)
    return problem


def no(code: str, message: str, **details: Any) -> Json:
    return {"code": code, "details": details, "message": message}


def bad(path: str, *, message: str = "invalid data", **details: Any) -> Json:
    return no("INVALID_DATA", message, **details, json_path=path)


def test_ids_are_needed(caller: Caller) -> None:
    expected = no(
        "MANDATORY_NOT_FOUND", "required field not found", api_name="ids", json_path="$.ids"
    )

    assert refusal_of(caller) == expected
    assert caller.post("/Leads/actions/mass_convert", {"data": [{}]}).json() == {
        **expected,
        "status": "error",
    }


def test_the_body_has_to_be_an_object(caller: Caller) -> None:
    answer = caller.post("/Leads/actions/mass_convert", ["7"])

    assert answer.json()["details"] == {"expected_data_type": "jsonobject"}


def test_an_unknown_id_is_named_and_no_lead_is_converted(caller: Caller, sim: Simulator) -> None:
    lead_ids = leads_of(sim, 9)
    lead_ids[7] = sim.story("deleted")

    problem = refusal_of(caller, *lead_ids)

    assert problem == bad("$.ids[7]", api_name="ids")


@pytest.mark.parametrize("wrong", ["abc", "", None, 1.5, True, ["7"], {"id": "7"}, "9" * 20, -7])
def test_a_malformed_id_is_named_with_the_expected_type(
    caller: Caller, sim: Simulator, wrong: Any
) -> None:
    problem = refusal_of(caller, sim.add_lead().id, wrong)

    assert problem == bad("$.ids[1]", expected_data_type="long", api_name="ids")


def test_a_fault_removes_the_details_of_a_refusal(caller: Caller, sim: Simulator) -> None:
    sim.fail("mass_convert", "unnamed")

    assert refusal_of(caller, sim.story("deleted")) == no("INVALID_DATA", "invalid data")
    assert refusal_of(caller, "77") == bad("$.ids[0]", api_name="ids")


def test_fifty_leads_are_the_limit(caller: Caller, sim: Simulator) -> None:
    lead_ids = leads_of(sim, 51)

    problem = refusal_of(caller, *lead_ids)

    assert problem == no(
        "LIMIT_EXCEEDED",
        "Limit exceeded for mass convert",
        limit=50,
        limit_due_to=[{"api_name": "ids", "json_path": "$.ids"}],
    )
    job_id = caller.start_job(*lead_ids[:50])
    assert caller.job(job_id)["Converted_Count"] == 50


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ids", "7", "jsonarray"),
        ("Deals", [], "jsonobject"),
        ("assign_to", "7", "jsonobject"),
        ("related_modules", {}, "jsonarray"),
        ("carry_over_tags", {"Contacts": ["fair"]}, "jsonarray"),
        ("move_attachments_to", "Contacts", "jsonobject"),
        ("portal_user_type", None, "jsonobject"),
    ],
)
def test_every_key_has_a_type(
    caller: Caller, sim: Simulator, name: str, value: Any, expected: str
) -> None:
    problem = refusal_of(caller, **{"ids": [sim.add_lead().id], name: value})

    assert problem == bad(f"$.{name}", expected_data_type=expected, api_name=name)


def test_an_assignee_is_required(caller: Caller, sim: Simulator) -> None:
    answer = caller.post("/Leads/actions/mass_convert", {"ids": leads_of(sim, 1)})

    assert answer.json()["code"] == "MANDATORY_NOT_FOUND"
    assert answer.json()["details"] == {"api_name": "assign_to", "json_path": "$.assign_to"}


def test_the_assignee_needs_an_id(caller: Caller, sim: Simulator) -> None:
    problem = refusal_of(caller, sim.add_lead().id, assign_to={"name": "Mara Lind"})

    assert problem["code"] == "MANDATORY_NOT_FOUND"
    assert problem["details"] == {"api_name": "id", "json_path": "$.assign_to.id"}


@pytest.mark.parametrize("number", [None, 4, 5], ids=["unknown", "inactive", "unconfirmed"])
def test_the_assignee_has_to_be_an_active_user(
    caller: Caller, sim: Simulator, number: int | None
) -> None:
    user_id = sim.organisation.users[number]["id"] if number else "77"

    problem = refusal_of(caller, sim.add_lead().id, assign_to={"id": user_id})

    message = "Given assignee param does not match"
    assert problem == bad("$.assignee.id", message=message, api_name="id")


def test_name_and_id_of_the_assignee_have_to_belong_together(
    caller: Caller, sim: Simulator
) -> None:
    assignee = {"id": sim.organisation.users[1]["id"], "name": "Mara Lind"}

    problem = refusal_of(caller, sim.add_lead().id, assign_to=assignee)

    assert problem["details"]["json_path"] == "$.assignee.id"


def test_the_assignee_has_to_be_a_subordinate(caller: Caller, sim: Simulator) -> None:
    ceo = sim.organisation.users[3]

    problem = refusal_of(caller, sim.add_lead().id, assign_to={"id": ceo["id"]})

    message = "Non Subordinate User Found"
    assert problem == bad("$.assign_to.id", message=message, api_name="assign_to")


@pytest.mark.parametrize("name", ["Deal_Name", "Closing_Date", "Pipeline", "Stage", "Type"])
def test_a_deal_needs_its_mandatory_fields(caller: Caller, sim: Simulator, name: str) -> None:
    sim.organisation.required["Deals"] = ["Type"]
    deal = {**DEAL, "Type": "New Business", name: None}

    problem = refusal_of(caller, sim.add_lead().id, Deals=deal)

    assert problem == no(
        "MANDATORY_NOT_FOUND",
        "required field missing",
        api_name=name,
        json_path=f"$.Deals.{name}",
    )


@pytest.mark.parametrize(
    ("values", "code", "path"),
    [
        ({"Deal_Name": "x" * 121}, "INVALID_DATA", "$.Deals.Deal_Name"),
        ({"Closing_Date": "soon"}, "INVALID_DATA", "$.Deals.Closing_Date"),
        ({"Stage": "Invented"}, "MAPPING_MISMATCH", "$.Stage"),
        ({"Pipeline": "Invented"}, "MAPPING_MISMATCH", "$.Pipeline"),
        ({"Contact_Role": "77"}, "INVALID_DATA", "$.Deals.Contact_Role"),
    ],
)
def test_a_deal_has_to_be_valid(
    caller: Caller, sim: Simulator, values: Json, code: str, path: str
) -> None:
    problem = refusal_of(caller, sim.add_lead().id, Deals={**DEAL, **values})

    assert (problem["code"], problem["details"]["json_path"]) == (code, path)


def test_a_job_takes_no_role_of_the_contact(caller: Caller, sim: Simulator) -> None:
    role = sim.organisation.contact_roles[0]["id"]

    problem = refusal_of(caller, sim.add_lead().id, Deals={**DEAL, "Contact_Role": role})

    assert problem == bad("$.Deals.Contact_Role", api_name="Contact_Role")


def test_without_pipelines_a_deal_needs_none(caller: Caller, sim: Simulator) -> None:
    sim.organisation.pipelines = []
    deal = {name: value for name, value in DEAL.items() if name != "Pipeline"}

    problem = refusal_of(caller, sim.add_lead().id, Deals={**deal, "Stage": "Invented"})

    assert problem == bad("$.Deals.Stage", api_name="Stage")
    caller.start_job(sim.add_lead().id, Deals=deal)


MODULE_LISTS = [("related_modules", "Tasks", "Calls"), ("carry_over_tags", "Contacts", "Deals")]


@pytest.mark.parametrize(("key", "one", "other"), MODULE_LISTS)
def test_a_module_needs_name_and_id(
    caller: Caller, sim: Simulator, key: str, one: str, other: str
) -> None:
    lead_id = sim.add_lead().id
    whole = sim.organisation.module(other)
    without_id = refusal_of(caller, lead_id, **{key: [whole, {"api_name": one}]})

    problem = refusal_of(caller, lead_id, **{key: [{}]})

    names = [{"api_name": each, "json_path": f"$.{key}[0].{each}"} for each in ("id", "api_name")]
    assert problem == no(
        "EXPECTED_FIELD_MISSING", "Specify Atleast one field", expected_fields=names
    )
    assert without_id["details"]["expected_fields"] == [
        {"api_name": "id", "json_path": f"$.{key}[1].id"}
    ]


@pytest.mark.parametrize(("key", "one", "other"), MODULE_LISTS)
def test_name_and_id_of_a_module_have_to_belong_together(
    caller: Caller, sim: Simulator, key: str, one: str, other: str
) -> None:
    mixed = {"api_name": one, "id": sim.organisation.modules[other]["id"]}

    problem = refusal_of(caller, sim.add_lead().id, **{key: [mixed]})

    names = [{"api_name": each, "json_path": f"$.{key}[0].{each}"} for each in ("id", "api_name")]
    assert problem == no(
        "AMBIGUITY_DURING_PROCESSING", "two modules are different", ambiguity_due_to=names
    )


@pytest.mark.parametrize(
    ("key", "module"), [("related_modules", "Contacts"), ("carry_over_tags", "Tasks")]
)
def test_only_some_modules_are_allowed(
    caller: Caller, sim: Simulator, key: str, module: str
) -> None:
    given = [sim.organisation.module(module)]

    problem = refusal_of(caller, sim.add_lead().id, **{key: given})

    assert problem == bad(f"$.{key}[0].api_name", api_name="api_name")


@pytest.mark.parametrize("key", ["related_modules", "carry_over_tags"])
def test_a_list_of_modules_has_three_of_them_at_most(
    caller: Caller, sim: Simulator, key: str
) -> None:
    problem = refusal_of(caller, sim.add_lead().id, **{key: [{}] * 4})

    assert problem["code"] == "LIMIT_EXCEEDED"
    assert problem["details"]["limit"] == 3
    assert problem["details"]["limit_due_to"] == [{"api_name": key, "json_path": f"$.{key}"}]


@pytest.mark.parametrize("key", ["related_modules", "carry_over_tags"])
def test_a_module_is_an_object(caller: Caller, sim: Simulator, key: str) -> None:
    problem = refusal_of(caller, sim.add_lead().id, **{key: ["Tasks"]})

    assert problem == bad(f"$.{key}[0]", expected_data_type="jsonobject", api_name=key)


def test_attachments_need_a_module_that_is_made(caller: Caller, sim: Simulator) -> None:
    lead_id, module = sim.add_lead().id, sim.organisation.module

    nowhere = refusal_of(caller, lead_id, move_attachments_to={})
    no_target = refusal_of(caller, lead_id, move_attachments_to=module("Tasks"))
    no_deal = refusal_of(caller, lead_id, move_attachments_to=module("Deals"))

    assert nowhere["code"] == "EXPECTED_FIELD_MISSING"
    assert no_target == no_deal == bad("$.move_attachments_to.api_name", api_name="api_name")


def test_a_portal_user_type_has_to_exist(caller: Caller, sim: Simulator) -> None:
    lead_id = sim.add_lead().id

    missing = refusal_of(caller, lead_id, portal_user_type={})

    assert missing["code"] == "MANDATORY_NOT_FOUND"
    assert refusal_of(caller, lead_id, portal_user_type={"id": "77"}) == bad(
        "$.portal_user_type.id", api_name="id"
    )


@pytest.mark.parametrize("value", ["true", 1, None])
def test_the_assignment_threshold_is_a_flag(caller: Caller, sim: Simulator, value: Any) -> None:
    problem = refusal_of(caller, sim.add_lead().id, apply_assignment_threshold=value)

    name = "apply_assignment_threshold"
    assert problem == bad(f"$.{name}", api_name=name)


def test_without_contacts_nothing_can_be_converted(caller: Caller, sim: Simulator) -> None:
    sim.organisation.modules["Contacts"]["status"] = "user_hidden"

    assert refusal_of(caller, sim.add_lead().id)["code"] == "NOT_ALLOWED"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_profile_needs_a_permission_of_its_own(
    caller: Caller, sim: Simulator, method: str
) -> None:
    sim.organisation.denied.add("Crm_Implied_Mass_Convert_Leads")

    answer = caller.call(method, "/crm/v8/Leads/actions/mass_convert", json={})

    assert answer.status_code == 403
    assert answer.json() == {
        "code": "NO_PERMISSION",
        "details": {"permissions": ["Crm_Implied_Mass_Convert_Leads"]},
        "message": "permission denied",
        "status": "error",
    }


@pytest.mark.parametrize(
    ("scope", "post", "get"),
    [
        ("ZohoCRM.modules.ALL", 401, 401),
        ("ZohoCRM.mass_convert.leads.CREATE", 202, 401),
        ("ZohoCRM.mass_convert.leads.READ", 401, 400),
        ("ZohoCRM.mass_convert.leads.ALL", 202, 400),
    ],
)
def test_each_method_needs_its_own_scope(
    caller: Caller, sim: Simulator, scope: str, post: int, get: int
) -> None:
    caller.connect(scope=scope)

    assert caller.mass_convert(sim.add_lead().id).status_code == post
    assert caller.get("/Leads/actions/mass_convert").status_code == get


def test_only_leads_are_mass_converted_and_only_by_post(caller: Caller) -> None:
    elsewhere = caller.post("/Contacts/actions/mass_convert", {})
    otherwise = caller.put("/Leads/actions/mass_convert", {})

    assert (elsewhere.status_code, elsewhere.json()["code"]) == (404, "INVALID_URL_PATTERN")
    assert (otherwise.status_code, otherwise.json()["code"]) == (400, "INVALID_REQUEST_METHOD")


@pytest.mark.parametrize("query", [{}, {"job_id": ""}])
def test_a_status_needs_a_job(caller: Caller, query: Json) -> None:
    answer = caller.get("/Leads/actions/mass_convert", **query)

    assert answer.status_code == 400
    assert answer.json() == {
        "code": "REQUIRED_PARAM_MISSING",
        "details": {"param": "job_id", "json_path": "$.job_id"},
        "message": "job_id is required.",
        "status": "error",
    }


def test_a_status_needs_a_job_that_exists(caller: Caller, start: Callable[..., Caller]) -> None:
    other = start()
    job_id = other.start_job(other.simulator.add_lead().id)

    for unknown in (job_id, "77", "x"):
        answer = caller.get("/Leads/actions/mass_convert", job_id=unknown)
        assert answer.status_code == 400
        assert answer.json() == {
            "code": "INVALID_DATA",
            "details": {"param_name": "job_id"},
            "message": "The jobid given seems to be invalid",
            "status": "error",
        }
