"""
Users with permissions for one connection only: what they see, what they may do, and where.

The permissions are those of the table in ``test_permissions``; a backend gives them for *North*.
Everything of *South* has this word in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from testproject.models import Enquiry
from tests.admin.actions import action_names
from tests.admin.pages import Page
from tests.admin.test_permissions import (
    KEYS,
    World,
    closed_targets,
    is_opened_by,
    resolver_args,
    shown_pages,
)
from tests.object_permissions import (
    DJANGOS,
    QUERYING,
    ObjectPermissions,
    give,
)
from zoho_crm.models import (
    ApiUsage,
    Connection,
    LeadConversion,
    MassConversion,
    OutboxRecord,
    Selection,
    from_now,
)
from zoho_crm.services.access import access_of
from zoho_crm.services.permissions import GROUPS
from zoho_crm.services.selections import select
from zoho_crm.types import Lead, as_json

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_permissions")]

MAKE_DEFAULT = "connection_action_make_default"
#: Addresses for which a permission has to be one for all connections.
OF_ALL = {"connection_connect", "connection_add_simulator", MAKE_DEFAULT}
#: Addresses of a row of a connection; the others have none, or are about a choice of rows.
OF_ROW = [
    name
    for name, number in resolver_args().items()
    if number and "_action_" not in name and not name.startswith("policy_")
]
ACTIONS = [name for name in KEYS if "_action_" in name]


@pytest.fixture
def north() -> World:
    return World("North")


@pytest.fixture
def south() -> World:
    return World("South")


def connection_of(world: World) -> Connection:
    found: Connection = world.rows["connection"]
    return found


def all_of_connections() -> set[str]:
    """Return all permissions that can be given for a connection."""
    of_type = Permission.objects.filter(
        content_type__app_label="zoho_crm", content_type__model="connection"
    )
    return set(of_type.values_list("codename", flat=True))


def user_with(world: World, codenames: Collection[str], *everywhere: str) -> User:
    """Create a user with some permissions for the connection of a world, and others for all."""
    user = User.objects.create(username=f"user {User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=everywhere))
    give(user, codenames, connection_of(world))
    return user


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def streamed(answer: Any) -> str:
    """Return the text of a file that is streamed."""
    return b"".join(answer.streaming_content).decode()


def is_open(client: Client, url: str) -> bool:
    return client.get(url).status_code != 403 or client.post(url).status_code not in (403, 405)


# Addresses


def test_every_permission_can_be_given_for_a_connection_but_those_of_policies() -> None:
    keys = {name for keys in KEYS.values() for key in keys for name in key}
    of_groups = {name for names in GROUPS.values() for name in names}
    # Nothing asks for these.
    unused = {
        f"view_{each}"
        for each in ("leadconversionevent", "massconversionjob", "massconversionline")
    } | {"view_outboxrecordevent"}

    left = (keys | of_groups) - all_of_connections() - unused

    assert {name.partition("_")[2] for name in left} == {"policy"}


def test_the_address_of_a_row_is_open_for_the_connection_of_the_permission_only(
    subtests: pytest.Subtests, north: World, south: World
) -> None:
    for name in OF_ROW:
        for key in KEYS[name]:
            with subtests.test(f"{name} {sorted(key)}"):
                client = client_of(user_with(north, key))

                assert is_open(client, north.url(name))
                assert not is_open(client, south.url(name))


def test_other_permissions_for_a_connection_open_nothing(
    subtests: pytest.Subtests, north: World
) -> None:
    for name, keys in KEYS.items():
        with subtests.test(name):
            others = all_of_connections() - {each for key in keys for each in key}

            assert not is_open(client_of(user_with(north, others)), north.url(name))


def test_an_address_without_a_row_is_open_but_for_what_is_of_all_connections(
    subtests: pytest.Subtests, north: World, south: World
) -> None:
    client = client_of(user_with(north, all_of_connections()))
    for name, keys in KEYS.items():
        if keys and name not in OF_ROW:
            with subtests.test(name):
                is_about_policies = name.startswith("policy_")

                assert is_open(client, north.url(name)) == (
                    name not in OF_ALL and not is_about_policies
                )


# What is shown


def test_nothing_of_another_connection_is_shown(
    subtests: pytest.Subtests, north: World, south: World
) -> None:
    user = user_with(north, all_of_connections())
    north.client_with = lambda _permissions: client_of(user)  # type: ignore[assignment]
    pages = {url for url in shown_pages(north) if "/policy/" not in url}
    pages |= {north.url(name) for name in ("leadconversion_preview", "massconversion_prepare")}
    pages |= {north.url(f"{model}_decide") for model in ("leadconversion", "massconversion")}
    pages |= {north.url("massconversion_start"), north.url("zoholead_changelist")}
    for url in pages:
        with subtests.test(url):
            answer = client_of(user).get(url)

            assert answer.status_code == 200
            assert "South" not in answer.content.decode()
            assert not OF_ALL.intersection(
                closed_targets(north, url, all_of_connections() - {"connect_connection"})
            )


def test_each_list_has_the_rows_of_its_connections(
    subtests: pytest.Subtests, north: World, south: World
) -> None:
    for model in north.rows:
        if model != "policy":
            with subtests.test(model):
                client = client_of(user_with(north, {f"view_{model}"}))

                found = client.get(north.url(f"{model}_changelist")).context["cl"].result_list

                assert [row.pk for row in found] == [north.rows[model].pk]


def test_who_may_only_look_at_a_connection_is_shown_no_link_to_what_is_closed(
    subtests: pytest.Subtests, north: World, south: World
) -> None:
    lookers = {name for name in all_of_connections() if name.startswith("view_")}
    user = user_with(north, lookers)
    north.client_with = lambda _permissions: client_of(user)  # type: ignore[assignment]
    for url in shown_pages(north):
        if "/policy/" not in url:
            with subtests.test(url):
                assert closed_targets(north, url, lookers) == []


def test_what_may_be_done_elsewhere_has_no_button_here(
    subtests: pytest.Subtests, north: World, south: World
) -> None:
    """All may be looked at in both; the rest may be done in the North only."""
    lookers = {name for name in all_of_connections() if name.startswith("view_")}
    lookers -= {name for name in lookers if "payload" in name}
    user = user_with(north, all_of_connections(), *lookers)
    south.client_with = lambda _permissions: client_of(user)  # type: ignore[assignment]
    for model in south.rows:
        for page in ("change", "history"):
            if model != "policy":
                url = south.url(f"{model}_{page}")
                with subtests.test(url):
                    # The list of leads at Zoho is there for the North, and named beside each page.
                    assert closed_targets(south, url, lookers) in ([], ["zoholead_changelist"])
                    here = f"connection={connection_of(south).pk}"
                    assert here not in client_of(user).get(url).content.decode()


def test_the_names_of_leads_are_those_of_a_connection(north: World, south: World) -> None:
    user = user_with(north, {"preview_leadconversion"}, "view_leadconversion")

    page = Page(client_of(user).get(north.url("leadconversion_changelist")).content.decode())

    assert "Ada North" in page.text
    assert "Ada South" not in page.text
    assert "South" in page.text


def test_the_page_of_the_app_counts_what_may_be_seen(north: World, south: World) -> None:
    for world, count in ((north, 2), (south, 3)):
        of = {
            "connection": connection_of(world),
            "status": "FAILED",
            "error_code": connection_of(world).name,
        }
        for number in range(count):
            LeadConversion.objects.create(lead_id=f"9{number}", **of)
    ApiUsage.objects.update(credits=7)
    url = reverse("admin:app_list", args=["zoho_crm"])

    found = client_of(user_with(north, all_of_connections())).get(url).context["overview"]
    texts = [each.text for each in found["waiting"]]

    assert [each.connection.name for each in found["connections"]] == ["North"]
    assert [each.run.name for each in found["runs"]] == ["North"]
    assert [each.count for each in found["causes"]] == [2]
    assert [each.credits_spent for each in found["connections"]] == [7]
    assert "2 leads were refused by Zoho" in texts
    assert "1 outgoing record was refused" in texts
    assert "1 run waits for decisions" in texts


def test_a_search_of_sources_needs_the_permission_for_all_that_is_listed(
    north: World, south: World
) -> None:
    runs = (("North", "Qualified"), ("South", "Secret"))
    for name, value in runs:
        MassConversion.objects.filter(name=name).update(
            source_details={"filters": f"Lead_Status={value}"}
        )
    url = north.url("massconversion_changelist")
    sees_all = client_of(user_with(north, {"prepare_massconversion"}, "view_massconversion"))
    sees_north = client_of(user_with(north, {"prepare_massconversion", "view_massconversion"}))

    assert list(sees_all.get(url, {"q": "Secret"}).context["cl"].result_list) == []
    found = sees_north.get(url, {"q": "Qualified"}).context["cl"].result_list
    assert [run.name for run in found] == ["North"]


def test_values_in_the_source_of_a_run_are_exported_to_who_may_see_them(
    subtests: pytest.Subtests, north: World
) -> None:
    """Its filters, and lines that were left out, are on the pages of the same people only."""
    run = north.rows["massconversion"]
    filters = {"Email": "ada@example.com"}
    details = {"filters": "Email=ada@example.com"}
    MassConversion.objects.update(filters=filters, source="open_leads", source_details=details)
    run.lines.create(number=1, text="ada@example.com", reason="malformed")
    may = {"view_massconversion", "export_leadconversion"}
    for more in ((), ("prepare_massconversion",), ("view_payload_leadconversion",)):
        user = user_with(north, may | set(more))
        page = client_of(user).get(north.url("massconversion_change"))
        runs = client_of(user).post(
            chosen(user, "massconversion_action_export", None, None), {"count": "1"}
        )
        results = [
            client_of(user).get(north.url(f"massconversion_{name}"))
            for name in ("export", "export_json")
        ]
        with subtests.test(more):
            texts = [streamed(answer) for answer in (runs, *results)]

            assert ["ada@example.com" in text for text in texts] == [bool(more)] * 3
            assert ("ada@example.com" in page.content.decode()) == bool(more)
            assert "malformed" in texts[1]
            assert "malformed" in texts[2]


def test_values_that_zoho_refused_are_exported_to_who_may_see_them(
    subtests: pytest.Subtests, north: World
) -> None:
    lead = Lead(id="1", name="Ada", fields={"Phone": "secret"})
    LeadConversion.objects.update(
        mass_conversion=north.rows["massconversion"],
        status="FAILED",
        lead_snapshot=as_json(lead),
        error_code="INVALID_DATA",
        error_message="invalid data",
        error_details=[{"code": "INVALID_DATA", "api_name": "Phone"}],
    )
    pages = [f"massconversion_{name}" for name in ("export", "export_json", "export_review")]
    may = {"view_leadconversion", "export_leadconversion"}
    for more in ((), ("view_payload_leadconversion",)):
        user = user_with(north, may | set(more))
        url = chosen(user, "leadconversion_action_export", None, None)
        answers = [client_of(user).get(north.url(name)) for name in pages]
        with subtests.test(more):
            texts = [streamed(each) for each in (*answers, client_of(user).post(url, {"count": 1}))]

            assert ["Phone" in text for text in texts] == [True] * 4
            assert ["secret" in text for text in texts] == [bool(more)] * 4


def test_an_export_of_the_review_finds_by_values_for_who_may_see_them(north: World) -> None:
    lead = as_json(Lead(id="1", name="Ada", company="Acme", email="ada@example.com"))
    run = north.rows["massconversion"]
    LeadConversion.objects.update(mass_conversion=run, lead_snapshot=lead)
    url = north.url("massconversion_export_review")

    def found(text: str, *more: str) -> bool:
        user = user_with(north, {"export_leadconversion", *more})
        return len(streamed(client_of(user).get(url, {"q": text})).splitlines()) > 1

    assert [found(text) for text in ("ada@", "acme", "Ada", "1")] == [False, False, True, True]
    assert found("ada@", "view_payload_leadconversion")
    assert found("acme", "prepare_massconversion")


def test_a_missing_worker_is_said_to_who_sees_the_connection_that_waits(
    north: World, south: World
) -> None:
    long_ago = from_now(-3600)
    Connection.objects.filter(name="South").update(status="ACTIVE", created_at=long_ago)
    LeadConversion.objects.filter(connection=connection_of(south)).update(
        status="NEW", due_at=long_ago
    )
    user = user_with(north, all_of_connections())
    url = reverse("admin:app_list", args=["zoho_crm"])

    def missing() -> list[bool]:
        found = client_of(user).get(url).context["overview"]["heartbeats"]
        return [found[name].is_missing for name in ("worker", "sweep")]

    assert missing() == [False, False]
    give(user, {"view_connection"}, connection_of(south))
    assert missing() == [True, True]


# Choices of a connection


def test_a_connection_can_be_chosen_where_the_permission_is(north: World, south: World) -> None:
    Connection.objects.filter(name="South").update(is_default=True)
    user = user_with(north, {"preview_leadconversion", "prepare_massconversion"})
    other = str(connection_of(south).pk)
    preview, prepare = north.url("leadconversion_preview"), north.url("massconversion_prepare")

    for url in (preview, prepare):
        choices = client_of(user).get(url).context["form"].fields["connection"].queryset
        assert list(choices) == [connection_of(north)]
    form = {"connection": other, "lead": "123", "ids": "123"}
    answer = client_of(user).post(preview, form)
    assert "connection" in answer.context["form"].errors
    assert client_of(user).post(prepare, form).status_code == 403
    assert not MassConversion.objects.filter(name="").exists()


@pytest.mark.parametrize("name", ["zoholead_changelist", "massconversion_prepare"])
def test_another_connection_than_the_chosen_one_is_shown_with_a_message(
    name: str, north: World, south: World
) -> None:
    user = user_with(north, {"preview_leadconversion", "prepare_massconversion"})
    text = "The connection that was chosen is gone, or you may not use it: this is another one."
    shown = {}
    for chosen_one in ("", connection_of(north).pk, connection_of(south).pk, 0, "x"):
        answer = client_of(user).get(north.url(name), {"connection": chosen_one})
        shown[str(chosen_one)] = text in answer.content.decode()
        assert answer.context["form"] is not None
        assert "South" not in answer.content.decode()

    assert list(shown.values()) == [False, False, True, True, True]


@pytest.mark.parametrize("action", ["prepare_matching", "check_matches"])
def test_nothing_is_done_to_leads_of_another_connection_than_the_chosen_one(
    action: str, north: World, south: World
) -> None:
    user = user_with(north, {"preview_leadconversion", "prepare_massconversion"})
    url = north.url("zoholead_changelist")
    form = {"action": action, "index": "0", "to_check": "5000000000001"}
    codes = {}
    for chosen_one in (connection_of(north).pk, connection_of(south).pk, 0, "x"):
        answer = client_of(user).post(url, {**form, "connection": chosen_one})
        codes[str(chosen_one)] = answer.status_code

    assert list(codes.values()) == [302, 403, 404, 404]
    assert Selection.objects.get().connection_id == connection_of(north).pk


def test_the_default_connection_is_chosen_with_the_permission_for_all(
    north: World, south: World
) -> None:
    connection_of(south).set_default()
    names = {"connect_connection", "change_connection", "view_connection"}
    listed, result = north.url("connection_changelist"), north.url("connection_result")
    defaults = []
    for user in (user_with(north, names), user_with(north, names, "change_connection")):
        client, url = client_of(user), chosen(user, MAKE_DEFAULT, None, None)
        offered = "make_default" in client.get(listed).content.decode()
        has_box = "is_default" in client.get(result).context["form"].fields
        client.post(result, {"name": "North", "is_default": "on"})
        by_result = Connection.objects.get(is_default=True).name
        connection_of(south).set_default()
        of_north = chosen(user, MAKE_DEFAULT, [connection_of(north).pk], None)
        client.post(of_north, {"count": "1"})
        by_action = Connection.objects.get(is_default=True).name
        connection_of(south).set_default()
        assert client.get(url).status_code == (200 if offered else 403)
        defaults.append((offered, has_box, by_result, by_action))

    assert defaults == [(False, False, "South", "South"), (True, True, "North", "North")]


def test_leads_are_browsed_where_that_is_permitted_and_prepared_where_that_is(
    north: World, south: World
) -> None:
    user = user_with(north, {"prepare_massconversion"}, "preview_leadconversion")
    browse = client_of(user)
    form = {"action": "prepare", "index": "0", "_selected_action": "5000000000001"}
    url = north.url("zoholead_changelist")

    allowed = browse.post(f"{url}?connection={connection_of(north).pk}", form)
    refused = browse.post(f"{url}?connection={connection_of(south).pk}", form)

    assert (allowed.status_code, refused.status_code) == (302, 403)


# Actions


def chosen(user: User, name: str, ids: list[Any] | None, connection: Connection | None) -> str:
    """Return the URL of the page of an action for a choice of rows."""
    model = name.partition("_")[0]
    found = select(
        user=user,
        of=f"zoho_crm.{model}",
        ids=ids,
        connection_id=connection.pk if connection else None,
    )
    return reverse(f"admin:zoho_crm_{name}", args=[found.pk])


@pytest.mark.parametrize(
    "name", [name for name in ACTIONS if not name.startswith("zoholead") and name not in OF_ALL]
)
def test_an_action_leaves_out_the_rows_of_other_connections(
    name: str, north: World, south: World
) -> None:
    model = name.partition("_")[0]
    rows = [world.rows[model] for world in (north, south)]
    user = user_with(north, all_of_connections(), f"view_{model}")
    url = chosen(user, name, [row.pk for row in rows], None)

    answer = client_of(user).get(url)

    text = "1 is of a connection for which you lack the permission."
    assert answer.context["left_out"].count(text) == 1
    assert answer.context["count"] <= 1


def test_an_action_that_needs_two_permissions_needs_both_for_the_same_connection(
    north: World, south: World
) -> None:
    user = user_with(north, {"approve_leadconversion"}, "view_leadconversion")
    give(user, {"prepare_massconversion"}, connection_of(south))

    answer = client_of(user).get(chosen(user, "leadconversion_action_convert", None, None))

    text = "2 are of connections for which you lack the permission."
    assert answer.context["left_out"] == [text]
    assert answer.context["count"] == 0


def test_leads_that_were_chosen_are_shown_while_they_may_be_browsed(
    north: World, south: World
) -> None:
    user = user_with(north, {"preview_leadconversion"})
    give(user, {"prepare_massconversion"}, connection_of(south))

    url = chosen(user, "zoholead_action_prepare", ["1"], connection_of(south))

    assert client_of(user).get(url).status_code == 403


@pytest.mark.parametrize("name", [name for name in ACTIONS if not name.startswith("connection")])
def test_the_page_of_an_action_is_closed_for_a_choice_of_another_connection(
    name: str, north: World, south: World
) -> None:
    model = name.partition("_")[0]
    user = user_with(north, all_of_connections(), f"view_{model}", "preview_leadconversion")
    url = chosen(user, name, ["1"], connection_of(south))
    expected = is_opened_by(name, {f"view_{model}", "preview_leadconversion"})

    assert is_open(client_of(user), url) == expected


def test_what_is_left_out_stays_as_it_is(north: World, south: World) -> None:
    user = user_with(north, {"resolve_outboxrecord"}, "view_outboxrecord")
    url = chosen(user, "outboxrecord_action_leave_out", None, None)

    client_of(user).post(url, {"count": "1"})

    kept = OutboxRecord.objects.filter(status="REFUSED")
    assert [record.key for record in kept] == ["South"]


def test_a_run_is_paused_where_that_is_permitted(north: World, south: World) -> None:
    MassConversion.objects.update(stage="CONVERTING")
    user = user_with(north, {"pause_massconversion"}, "view_massconversion")
    ids = [world.rows["massconversion"].pk for world in (north, south)]
    url = chosen(user, "massconversion_action_pause", ids, None)

    client_of(user).post(url, {"count": "2"})

    assert [run.name for run in MassConversion.objects.exclude(paused_reason="")] == ["North"]


def test_leads_are_left_out_where_each_may_be_decided(north: World, south: World) -> None:
    """Single ones in the North, those of runs in the South."""
    for world in (north, south):
        of = {"connection": connection_of(world), "status": "PREVIEWED"}
        run = world.rows["massconversion"]
        LeadConversion.objects.create(lead_id="2", mass_conversion=run, **of)
    user = user_with(north, {"approve_leadconversion"}, "view_leadconversion")
    give(user, {"prepare_massconversion"}, connection_of(south))
    url = chosen(user, "leadconversion_action_leave_out", None, None)

    answer = client_of(user).get(url)
    client_of(user).post(url, {"count": str(answer.context["count"])})

    left_out = LeadConversion.objects.filter(status="SKIPPED").order_by("connection__name")
    assert list(left_out.values_list("connection__name", "lead_id")) == [
        ("North", "1"),
        ("South", "2"),
    ]


def test_an_export_has_what_may_be_exported(north: World, south: World) -> None:
    user = user_with(north, {"export_leadconversion"}, "view_leadconversion")
    url = chosen(user, "leadconversion_action_export", None, None)

    lines = streamed(client_of(user).post(url, {"count": "2"}))

    assert "North" in lines
    assert "South" not in lines


# How often it is asked


def test_the_number_of_queries_does_not_depend_on_the_rows(
    north: World, south: World, subtests: pytest.Subtests
) -> None:
    client = client_of(user_with(north, all_of_connections()))

    def queries(url: str) -> int:
        with CaptureQueriesContext(database) as captured:
            assert client.get(url).status_code == 200
        return len(captured)

    lists = [north.url(f"{name}_changelist") for name in ("leadconversion", "outboxrecord")]
    lists.append(reverse("admin:app_list", args=["zoho_crm"]))
    before = {url: queries(url) for url in lists}
    of = {"connection": connection_of(north)}
    for number in range(20):
        LeadConversion.objects.create(lead_id=f"7{number}", status="PREVIEWED", **of)
        OutboxRecord.objects.create(action="create", module="Leads", status="REFUSED", **of)
    for url in lists:
        with subtests.test(url):
            assert queries(url) == before[url]


def test_each_question_is_asked_once(
    north: World, south: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    original: Callable[..., bool] = ObjectPermissions.has_perm

    def has_perm(self: Any, user: Any, perm: str, obj: Any = None) -> bool:
        asked.append((perm, str(obj)))
        return original(self, user, perm, obj)

    monkeypatch.setattr(ObjectPermissions, "has_perm", has_perm)
    client = client_of(user_with(north, all_of_connections()))

    client.get(north.url("leadconversion_changelist"))

    assert len(asked) == len(set(asked))


def test_who_has_a_permission_for_all_is_not_asked_for_each(north: World) -> None:
    user = user_with(north, set(), "view_leadconversion")
    access = access_of(user)

    with CaptureQueriesContext(database) as captured:
        assert access.somewhere("view_leadconversion")
        assert access.of(north.rows["leadconversion"], "view_leadconversion")

    assert not any("zoho_crm_connection" in each["sql"] for each in captured.captured_queries)


@pytest.mark.parametrize(
    ("permissions", "expected"),
    [
        (("view_leadconversion", "view_massconversion"), 1),
        ((), 0),
    ],
    ids=["for one", "for all"],
)
def test_a_backend_that_queries_is_asked_once_for_each_connection(
    permissions: tuple[str, ...],
    expected: int,
    north: World,
    settings: Any,
    subtests: pytest.Subtests,
) -> None:
    settings.AUTHENTICATION_BACKENDS = [DJANGOS, QUERYING]
    everywhere = () if permissions else all_of_connections()
    user = user_with(north, permissions, *everywhere)
    names = ("leadconversion_changelist", "leadconversion_change", "massconversion_change")
    urls = [*map(north.url, names), reverse("admin:index")]

    def queries(url: str) -> int:
        with CaptureQueriesContext(database) as captured:
            assert client_of(user).get(url).status_code == 200
        return len(captured)

    for url in urls:  # what Django keeps is read before
        queries(url)
    before = {url: queries(url) for url in urls}
    for number in range(10):
        of = {"org_id": str(number), "org_name": "Other", "data_center": "us"}
        Connection.objects.create(name=f"Other {number}", **of)
    for url in urls:
        with subtests.test(url):
            assert queries(url) == before[url] + 10 * expected


# The page of a host's own rows


@pytest.mark.parametrize(
    ("action", "permission"),
    [
        ("zoho_preview", "preview_leadconversion"),
        ("zoho_convert", "approve_leadconversion"),
        ("zoho_push", "add_outboxrecord"),
    ],
)
def test_an_action_of_a_host_needs_the_permission_for_the_connection_of_its_rows(
    action: str, permission: str, north: World, south: World
) -> None:
    row = Enquiry.objects.create(name="Ada", zoho_lead_id="1")
    user = user_with(north, {permission}, "view_enquiry", "change_enquiry")
    url = reverse("admin:testproject_enquiry_changelist")
    form = {"action": action, "index": "0", "_selected_action": str(row.pk)}
    answers = {}

    for world in (north, south):
        connection_of(world).set_default()
        offered = action in action_names(Page(client_of(user).get(url).content.decode()))
        answers[connection_of(world).name] = offered, client_of(user).post(url, form).status_code
    # What was chosen while it was permitted, or by its address.
    page = reverse(f"admin:testproject_enquiry_action_{action}", args=[Selection.objects.get().pk])

    assert answers == {"North": (True, 302), "South": (False, 403)}
    assert client_of(user).get(page).status_code == 403
    connection_of(north).set_default()
    assert client_of(user).get(page).status_code == 200


def test_what_happened_to_a_lead_is_shown_to_a_host_for_the_connection_only(
    north: World, south: World
) -> None:
    row = Enquiry.objects.create(name="Ada", zoho_lead_id="1")
    user = user_with(north, {"view_leadconversion"}, "view_enquiry")
    give(user, {"view_payload_leadconversion"}, connection_of(south))
    lists = reverse("admin:testproject_enquiry_changelist")
    page = reverse("admin:testproject_enquiry_change", args=[row.pk])
    shown = {}

    for world in (north, south):
        connection_of(world).set_default()
        texts = [client_of(user).get(url).content.decode() for url in (lists, page)]
        shown[connection_of(world).name] = ["previewed" in texts[0], "zoho-panel" in texts[1]]
        assert "Ada North" not in texts[1]

    assert shown == {"North": [True, True], "South": [False, False]}
