"""Which permissions open which address of the admin, and who is shown a link or a button to it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from typing import Any, TypeAlias

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import Resolver404, resolve, reverse
from django.utils import timezone

from tests.admin.actions import action_names
from tests.admin.pages import Page
from zoho_crm.matching import POLICIES
from zoho_crm.models import (
    ApiUsage,
    Connection,
    ConnectionEvent,
    LeadConversion,
    MassConversion,
    OutboxRecord,
    Policy,
    Token,
)
from zoho_crm.types import ConversionOptions, Lead, as_json

pytestmark = pytest.mark.django_db

#: Sets of permissions of which each opens an address.
Keys: TypeAlias = list[frozenset[str]]

READ_ONLY = ("apiusage", "connection", "connectionevent", "leadconversion", "massconversion")
READ_ONLY = (*READ_ONLY, "outboxrecord", "token")


def one_of(*permissions: str) -> Keys:
    return [frozenset({name}) for name in permissions]


def seeing(model: str, *permissions: str, besides: Collection[str] = ()) -> Keys:
    """Return the keys of an action: each of these permissions with those that show its list."""
    return [key | {name, *besides} for key in seen_by(model) for name in permissions]


def seen_by(model: str) -> Keys:
    """Return the keys of a list; only connections and policies can be changed."""
    also = [f"change_{model}"] if model in ("connection", "policy") else []
    return one_of(f"view_{model}", *also)


#: By the name of each address, without the app's.
KEYS: dict[str, Keys] = {
    **{
        f"{model}_{page}": seen_by(model)
        for model in (*READ_ONLY, "policy")
        for page in ("changelist", "change", "history")
    },
    **{f"{model}_{page}": [] for model in READ_ONLY for page in ("add", "delete")},
    "policy_add": one_of("add_policy"),
    "policy_delete": one_of("delete_policy"),
    "connection_connect": one_of("connect_connection"),
    "connection_add_simulator": one_of("connect_connection"),
    "connection_result": one_of("connect_connection"),
    "connection_simulator": one_of("connect_connection"),
    "connection_test": one_of("refresh_connection"),
    "connection_refresh": one_of("refresh_connection"),
    "connection_disconnect": one_of("disconnect_connection"),
    "connection_forget": one_of("disconnect_connection"),
    "connection_action_test": seeing("connection", "refresh_connection"),
    "connection_action_renew": seeing("connection", "refresh_connection"),
    "connection_action_make_default": one_of("change_connection"),
    "connection_action_disconnect": seeing("connection", "disconnect_connection"),
    "token_default": one_of("connect_connection", "disconnect_connection"),
    "token_disconnect": one_of("disconnect_connection"),
    "token_action_make_default": seeing("token", "connect_connection", "disconnect_connection"),
    "token_action_disconnect": seeing("token", "disconnect_connection"),
    "leadconversion_preview": one_of("preview_leadconversion"),
    "leadconversion_decide": one_of("preview_leadconversion", "approve_leadconversion"),
    "leadconversion_settle": one_of("resolve_leadconversion"),
    "leadconversion_close": one_of("resolve_leadconversion"),
    "leadconversion_action_preview_again": seeing("leadconversion", "preview_leadconversion"),
    "leadconversion_action_convert": seeing(
        "leadconversion", "approve_leadconversion", besides={"prepare_massconversion"}
    ),
    "leadconversion_action_leave_out": seeing(
        "leadconversion", "approve_leadconversion", "prepare_massconversion"
    ),
    "leadconversion_action_find_out": seeing("leadconversion", "resolve_leadconversion"),
    "leadconversion_action_prepare": seeing("leadconversion", "prepare_massconversion"),
    "leadconversion_action_export": seeing("leadconversion", "export_leadconversion"),
    "zoholead_changelist": one_of("preview_leadconversion"),
    "zoholead_action_check_matches": one_of("preview_leadconversion"),
    **{
        f"zoholead_action_{name}": [frozenset({"preview_leadconversion", "prepare_massconversion"})]
        for name in ("prepare", "prepare_matching")
    },
    "massconversion_prepare": one_of("prepare_massconversion"),
    "massconversion_decide": one_of("prepare_massconversion"),
    "massconversion_decide_all": one_of("prepare_massconversion"),
    "massconversion_progress": one_of("view_massconversion"),
    "massconversion_start": one_of("run_massconversion"),
    "massconversion_export": one_of("export_leadconversion"),
    "massconversion_export_json": one_of("export_leadconversion"),
    "massconversion_export_review": one_of("export_leadconversion"),
    **{
        f"massconversion_{page}": [
            frozenset({"export_leadconversion", "view_payload_leadconversion"})
        ]
        for page in ("export_changes", "export_before")
    },
    **{
        f"massconversion_{page}": one_of("pause_massconversion")
        for page in ("pause", "resume", "retry", "cancel")
    },
    "massconversion_leave_out": one_of("prepare_massconversion"),
    "massconversion_check": one_of("resolve_leadconversion"),
    "massconversion_set_in_policy": [frozenset({"pause_massconversion", "prepare_massconversion"})],
    **{
        f"massconversion_action_{name}": seeing("massconversion", "pause_massconversion")
        for name in ("pause", "resume", "cancel", "retry")
    },
    "massconversion_action_export": seeing("massconversion", "export_leadconversion"),
    "outboxrecord_decide": one_of("resolve_outboxrecord"),
    "outboxrecord_action_send_again": seeing("outboxrecord", "resolve_outboxrecord"),
    "outboxrecord_action_leave_out": seeing("outboxrecord", "resolve_outboxrecord"),
    "outboxrecord_action_export": seeing("outboxrecord", "export_leadconversion"),
}
#: The page that an action of a list opens for a single row, for which fewer permissions suffice.
PAGE_FOR_ONE = {"leadconversion_action_convert": "leadconversion_decide"}
PREFIX = "zoho_crm_"


def is_opened_by(name: str, permissions: Collection[str]) -> bool:
    return any(key <= set(permissions) for key in KEYS[name])


class World:
    """One row of each kind, without a token that Zoho could be asked with, and users."""

    def __init__(self, name: str = "A") -> None:
        where = {"data_center": "us", "environment": "production"}
        lost = Connection.Status.NEEDS_RECONNECT
        connection = Connection.objects.create(
            name=name, org_id=name, org_name=name, status=lost, **where
        )
        of = {"connection": connection}
        run = MassConversion.objects.create(
            name=name, stage="REVIEW", policy=as_json(POLICIES["careful"]), **of
        )
        lead, options = as_json(Lead(id="1", name=f"Ada {name}")), as_json(ConversionOptions())
        row = LeadConversion.objects.create(
            lead_id="1",
            status="PREVIEWED",
            verdict="NO_MATCH",
            lead_snapshot=lead,
            options_snapshot=options,
            **of,
        )
        self.rows: dict[str, Any] = {
            "connection": connection,
            "massconversion": run,
            "leadconversion": row,
            "policy": Policy.objects.create(
                name=f"own {name[:1]}", rules=as_json(POLICIES["careful"])
            ),
            "token": Token.objects.create(
                user_id="1", user_email=f"{name}@example.com", client_id="1", **of
            ),
            "connectionevent": ConnectionEvent.objects.create(
                kind="connected", details={"user": name}, **of
            ),
            "apiusage": ApiUsage.objects.create(hour=timezone.now(), kind="other", **of),
            "outboxrecord": OutboxRecord.objects.create(
                action="create", module="Leads", status="REFUSED", key=name, **of
            ),
        }
        ours = Permission.objects.filter(content_type__app_label="zoho_crm")
        self.permissions = {each.codename: each for each in ours}
        self.client_with = cache(self._client_with)

    def _client_with(self, permissions: frozenset[str]) -> Client:
        """Return the browser of a user with these permissions only."""
        user = User.objects.create(username=f"user {User.objects.count()}", is_staff=True)
        user.user_permissions.set([self.permissions[name] for name in permissions])
        client = Client()
        client.force_login(user)
        return client

    def url(self, name: str) -> str:
        """Return the URL of an address, for the row of its model, or a selection that is not."""
        row = self.rows.get(name.partition("_")[0], self.rows["leadconversion"])
        patterns = resolver_args()[name]
        return reverse(f"admin:{PREFIX}{name}", args=[row.pk] if patterns else [])

    def answers(self, name: str, permissions: Collection[str]) -> list[bool]:
        """Return whether this user may open an address, and if not, whether they may post to it."""
        client, url = self.client_with(frozenset(permissions)), self.url(name)
        if client.get(url).status_code != 403:
            return [True]
        # What only answers to GET may say so first.
        return [False, client.post(url).status_code not in (403, 405)]


@cache
def resolver_args() -> dict[str, int]:
    """Return the number of arguments of each address of ours, by its name."""
    return {
        pattern.name.removeprefix(PREFIX): len(pattern.pattern.converters)
        for model, pages in admin.site._registry.items()
        if model._meta.app_label == "zoho_crm"
        for pattern in pages.get_urls()
        if pattern.name
    }


@pytest.fixture
def world() -> World:
    return World()


def test_every_address_is_in_the_table() -> None:
    assert resolver_args().keys() == KEYS.keys()


def test_an_address_is_opened_by_each_of_its_keys_and_by_all_other_permissions_not(
    subtests: pytest.Subtests, world: World
) -> None:
    for name, keys in KEYS.items():
        with subtests.test(name):
            others = world.permissions.keys() - {each for key in keys for each in key}

            assert world.answers(name, others) == [False, False]
            assert all(world.answers(name, key) == [True] for key in keys)


def test_who_is_not_signed_in_is_asked_to(subtests: pytest.Subtests, world: World) -> None:
    for name in KEYS:
        with subtests.test(name):
            answer = Client().get(world.url(name))

            assert answer.status_code == 302
            assert answer["Location"].startswith("/admin/login/")


def test_who_is_asked_to_sign_in_can(boss: User) -> None:
    client = Client()
    log_in = f"{reverse('admin:login')}?next={reverse('admin:index')}"

    assert client.get(log_in).status_code == 200
    answer = client.post(log_in, {"username": boss.username, "password": "secret"}, follow=True)

    assert answer.status_code == 200
    assert answer.context["user"] == boss


def test_who_may_only_look_is_shown_no_link_to_what_is_closed(
    subtests: pytest.Subtests, world: World
) -> None:
    lookers = {name for name in world.permissions if name.startswith("view_")}
    for url in shown_pages(world):
        with subtests.test(url):
            assert closed_targets(world, url, lookers) == []


@pytest.mark.long
def test_each_permission_alone_opens_what_it_is_a_key_of(
    subtests: pytest.Subtests, world: World
) -> None:
    for permission in world.permissions:
        for name in KEYS:
            with subtests.test(f"{permission} {name}"):
                # An action needs that one may see the list.
                see = {f"view_{name.partition('_')[0]}"} if "_action_" in name else set()
                seen = see & world.permissions.keys()
                expected = is_opened_by(name, {permission, *seen})

                answers = world.answers(name, {permission, *seen})

                assert answers == ([True] if expected else [False, False])


@pytest.mark.long
def test_each_permission_shows_no_link_to_what_is_closed(
    subtests: pytest.Subtests, world: World
) -> None:
    lookers = {name for name in world.permissions if name.startswith("view_")}
    for permission in world.permissions.keys() - lookers:
        for url in shown_pages(world):
            with subtests.test(f"{permission} {url}"):
                assert closed_targets(world, url, {permission, *lookers}) == []


def shown_pages(world: World) -> Iterator[str]:
    yield reverse("admin:app_list", args=["zoho_crm"])
    for model in world.rows:
        yield world.url(f"{model}_changelist")
        yield world.url(f"{model}_change")
        yield world.url(f"{model}_history")


def closed_targets(world: World, url: str, permissions: Collection[str]) -> list[str]:
    """Return the links, buttons and actions on a page that lead to what this user may not open."""
    answer = world.client_with(frozenset(permissions)).get(url)
    assert answer.status_code == 200
    page = Page(answer.content.decode())
    links = [given.get("href", "") for given in page.attributes_of("a")]
    forms = [given.get("action", "") for given in page.attributes_of("form")]
    buttons = [given.get("formaction", "") for given in page.attributes_of("button")]
    names = {name for each in (*links, *forms, *buttons) if (name := name_of(each))}
    model = resolve(url).url_name.removeprefix(PREFIX).partition("_")[0]
    actions = {f"{model}_action_{each}" for each in action_names(page)} & KEYS.keys()
    names |= {PAGE_FOR_ONE.get(each, each) for each in actions}
    return sorted(name for name in names if not is_opened_by(name, permissions))


def name_of(url: str) -> str:
    """Return the name of an address of ours; empty if it is none."""
    try:
        name = resolve(url.partition("?")[0].partition("#")[0]).url_name or ""
    except Resolver404:
        return ""
    short = name.removeprefix(PREFIX)
    return short if short in KEYS else ""
