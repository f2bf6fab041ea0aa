"""The choices for a conversion, as far as the connection has permissions."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from tests.calls import calls
from tests.kept import grow_older
from zoho_crm.client import MAX_USERS
from zoho_crm.exceptions import PlanError, TransientError
from zoho_crm.models import Connection
from zoho_crm.services.choices import Choices, check_owner, choices
from zoho_crm.services.clients import client_for
from zoho_crm.services.connect import with_grant_code
from zoho_crm.simulator import Simulator
from zoho_crm.types import User

REFUSAL = {"code": "NO_PERMISSION", "details": {}, "message": "no right", "status": "error"}

pytestmark = pytest.mark.usefixtures("no_metadata_kept")


def test_pipelines_fields_roles_and_owners_are_offered(
    connection: Connection, zoho: Simulator
) -> None:
    offered = choices(connection)

    assert [pipeline.value for pipeline in offered.pipelines] == [
        "Standard (Standard)",
        "Partners (Standard)",
    ]
    assert {"Deal_Name", "Stage"} <= {field.api_name for field in offered.deal_fields}
    assert len(offered.contact_roles) == len(zoho.organisation.contact_roles)
    assert "Mara Lind" in {user.name for user in offered.users}


def test_users_and_roles_are_known_by_name(connection: Connection, zoho: Simulator) -> None:
    names = choices(connection).names

    assert names[zoho.organisation.current_user["id"]] == "Mara Lind"
    assert names[zoho.organisation.contact_roles[0]["id"]] == "Decision Maker"


def test_without_pipelines_there_are_stages(connection: Connection, zoho: Simulator) -> None:
    zoho.organisation.pipelines.clear()

    [only] = choices(connection).pipelines

    assert (only.value, only.is_default) == ("", True)
    assert "Qualification" in {stage.value for stage in only.stages}


def test_choices_are_cached_for_each_connection(connection: Connection, zoho: Simulator) -> None:
    first = choices(connection)
    asked = calls(zoho)

    assert choices(connection) == first
    assert calls(zoho) == asked
    zoho.reset()
    other = with_grant_code(code=zoho.grant_code(), data_center="local")
    assert choices(other).users != first.users


def test_choices_without_permission_are_empty(db: None, zoho: Simulator) -> None:
    code = zoho.grant_code("ZohoCRM.modules.ALL,ZohoCRM.users.READ,ZohoCRM.org.READ")

    offered = choices(with_grant_code(code=code, data_center="local"))

    assert offered.pipelines == ()
    assert offered.deal_fields == ()
    assert offered.contact_roles
    assert offered.users
    assert offered.absences.keys() == {"deal_layout", "pipelines"}


@pytest.mark.parametrize(
    ("do", "why"), [("empty", "sees none at Zoho"), ("error_before", "no right")]
)
def test_what_of_a_deal_cannot_be_read_is_absent_with_its_reason(
    connection: Connection, zoho: Simulator, do: str, why: str
) -> None:
    refusal = {"status": 403, "body": REFUSAL} if do == "error_before" else {}
    zoho.fail("metadata", do, times=9, **refusal)

    offered = choices(connection)

    assert (offered.pipelines, offered.deal_fields, offered.contact_roles) == ((), (), ())
    assert offered.users
    assert "stages of deals cannot be read" in offered.absence_text("pipelines")
    assert all(why in text for text in offered.absence_texts())
    assert offered.absences.keys() >= {"deal_layout", "pipelines"}


def test_all_fields_of_deals_come_with_their_types(connection: Connection, zoho: Simulator) -> None:
    zoho.organisation.required["Deals"].append("Lead_Source")

    for offered in (choices(connection), choices(connection)):  # the second is cached
        shown = {field.api_name: field for field in offered.deal_fields}
        others = {field.api_name: field for field in offered.other_deal_fields}
        assert shown["Amount"].data_type == "currency"
        assert "Trade Show" in {choice.value for choice in shown["Lead_Source"].choices}
        assert shown["Lead_Source"].required
        assert others["Probability"].data_type == "integer"
        assert not shown.keys() & others.keys()


def test_without_a_deal_only_users_are_read(connection: Connection, zoho: Simulator) -> None:
    zoho.fail("metadata", "error_before", times=9)

    assert choices(connection, with_deal=False).users
    assert not [call for call in zoho.stats()["calls"] if "layouts" in call["path"]]


def test_users_that_cannot_be_read_are_not_checked(connection: Connection, zoho: Simulator) -> None:
    zoho.fail("users", "error_before", status=403, body=REFUSAL)

    offered = choices(connection)

    assert (offered.users, offered.active_owners) == ((), ())
    assert offered.pipelines
    assert offered.absence_texts() == [
        "The users cannot be read, so owners are not checked: no right"
    ]
    check_owner("4711", offered)


def test_an_owner_has_to_be_active_as_far_as_all_users_are_known() -> None:
    users = tuple(User(id=str(number), name="x") for number in range(1, MAX_USERS + 1))
    some, many = Choices(users=users[:201]), Choices(users=users)

    for user_id in ("", "1", "201"):
        check_owner(user_id, some)
    with pytest.raises(PlanError, match="user 202 is not active"):
        check_owner("202", some)
    check_owner("20002", many)
    assert (len(some.active_owners), many.active_owners) == (201, ())


def test_errors_are_not_cached(connection: Connection, zoho: Simulator) -> None:
    zoho.fail("metadata", "error_before")

    with pytest.raises(TransientError):
        choices(connection)

    assert choices(connection) != Choices()


class JsonCache(LocMemCache):
    """A cache with a serializer of JSON, which takes nothing else."""

    def set(self, key: str, value: Any, *args: Any, **kwargs: Any) -> None:
        super().set(key, json.dumps(value), *args, **kwargs)

    def get(self, key: str, default: Any = None, *args: Any, **kwargs: Any) -> Any:
        found = super().get(key, None, *args, **kwargs)
        return default if found is None else json.loads(found)


class BrokenCache(BaseCache):
    """A cache that is down: the errors of its client have no base class of Django's."""

    class Error(Exception):
        pass

    def get(self, *args: Any, **kwargs: Any) -> Any:
        raise self.Error("connection refused")

    set = get


def test_a_cache_that_takes_only_json_is_good_enough(
    connection: Connection, zoho: Simulator, settings: Any
) -> None:
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.JsonCache"}}
    first = choices(connection)
    asked = calls(zoho)

    assert choices(connection) == first
    assert calls(zoho) == asked


def test_forms_and_metadata_share_what_was_read(connection: Connection, zoho: Simulator) -> None:
    known = client_for(connection).metadata
    known.users()
    known.contact_roles()
    known.layouts("Leads")
    known.fields("Deals")
    known.pipelines()
    asked = calls(zoho)

    offered = choices(connection)

    assert calls(zoho) == asked
    assert offered.users == known.users()
    assert offered.pipelines == known.pipelines()


@pytest.mark.parametrize("part", ["users", "fields.Deals", "contact_roles"])
def test_a_form_offers_what_is_newer_than_five_minutes(
    connection: Connection, zoho: Simulator, part: str
) -> None:
    choices(connection)
    asked = calls(zoho)

    for age, more in ((290, 0), (20, 1)):
        grow_older(connection, part, age)
        choices(connection)
        assert calls(zoho) == asked + more


def test_a_refusal_is_kept_for_five_minutes(connection: Connection, zoho: Simulator) -> None:
    zoho.fail("metadata", "error_before", status=403, body=REFUSAL)
    first = choices(connection)
    asked = calls(zoho)

    assert choices(connection) == first
    assert calls(zoho) == asked
    grow_older(connection, "refused.deal_layout", 301)
    assert choices(connection).absences == {}


def test_without_a_cache_zoho_is_not_asked_each_time(
    connection: Connection, zoho: Simulator, settings: Any
) -> None:
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.BrokenCache"}}

    assert choices(connection) == choices(connection)

    asked = [call["count"] for call in zoho.stats()["calls"] if call["path"].endswith("/roles")]
    assert asked == [1]


def test_pages_and_commands_work_without_a_cache(
    connection: Connection, zoho: Simulator, settings: Any, admin_client: Client
) -> None:
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.BrokenCache"}}
    lead_id = zoho.story("no_match")

    page = admin_client.get(reverse("admin:zoho_crm_massconversion_prepare"))
    deal = ["--deal-name=New", "--stage=Qualification", "--closing-date=2030-01-31"]
    call_command("zoho_convert", lead_id, *deal, stdout=io.StringIO(), stderr=io.StringIO())

    assert page.status_code == 200
