"""The actions of the lists of connections and of tokens."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from zoho_crm import tasks
from zoho_crm.admin._action_kinds import RowAction
from zoho_crm.admin._base import signed_in_user
from zoho_crm.models import Connection, Token
from zoho_crm.services import connect, tokens, users
from zoho_crm.services.obstacles import (
    DEFAULT_OBSTACLES,
    DEFAULT_TOKEN_OBSTACLES,
    DISCONNECT_OBSTACLES,
    DISCONNECT_TOKEN_OBSTACLES,
    RENEW_OBSTACLES,
)
from zoho_crm.types import ngettext_lazy

#: Permissions with one of which a person may choose the default user of a connection.
MAY_CHOOSE_DEFAULT = ("connect_connection", "disconnect_connection")


def _test(request: HttpRequest, connection: Connection) -> str:
    problem = connect.check_connection(connection_id=connection.pk, by=signed_in_user(request))
    if not problem:
        tasks.wake(connection.pk)
    return problem


def _renew(request: HttpRequest, connection: Connection) -> str:
    token = connection.tokens.filter(is_default=True).first()
    tokens.refresh(connection_id=connection.pk, generation=token.generation if token else 0)
    return ""


def _make_default(request: HttpRequest, connection: Connection) -> str:
    connect.make_default(connection_id=connection.pk)
    return ""


def _disconnect(request: HttpRequest, connection: Connection) -> str:
    connect.disconnect(connection_id=connection.pk, by=signed_in_user(request))
    return ""


def _make_default_user(request: HttpRequest, token: Token) -> str:
    users.make_default(token_id=token.pk, by=signed_in_user(request))
    tasks.wake(token.connection_id)
    return ""


def _disconnect_user(request: HttpRequest, token: Token) -> str:
    users.disconnect_user(token_id=token.pk, by=signed_in_user(request))
    return ""


CONNECTION_ACTIONS = (
    RowAction(
        name="test",
        label=gettext_lazy("Test"),
        permissions=("refresh_connection",),
        will=ngettext_lazy(
            "%(count)s connection is tested by a call to Zoho.",
            "%(count)s connections are tested, each by a call to Zoho.",
            "count",
        ),
        notes=(gettext_lazy("Nothing is changed there. One that works and was waiting goes on."),),
        button=ngettext_lazy("Test %(count)s connection", "Test %(count)s connections", "count"),
        done=ngettext_lazy("%(count)s connection works.", "%(count)s connections work.", "count"),
        act=_test,
        log=gettext_lazy("Tested."),
    ),
    RowAction(
        name="renew",
        label=gettext_lazy("Renew access token"),
        permissions=("refresh_connection",),
        obstacles=RENEW_OBSTACLES,
        will=ngettext_lazy(
            "%(count)s connection gets a new access token from Zoho.",
            "%(count)s connections get a new access token each from Zoho.",
            "count",
        ),
        notes=(
            gettext_lazy(
                "That happens by itself when one ends; Zoho gives out only some in ten minutes."
            ),
        ),
        button=ngettext_lazy(
            "Renew %(count)s access token", "Renew %(count)s access tokens", "count"
        ),
        done=ngettext_lazy(
            "%(count)s access token was renewed.", "%(count)s access tokens were renewed.", "count"
        ),
        act=_renew,
        log=gettext_lazy("Access token renewed."),
    ),
    RowAction(
        name="make_default",
        label=gettext_lazy("Make default"),
        permissions=("change_connection",),
        is_of_all=True,
        obstacles=DEFAULT_OBSTACLES,
        only_one=gettext_lazy("Only one connection can be the default: choose exactly one."),
        will=ngettext_lazy(
            "This connection is used when none is named.",
            "This connection is used when none is named.",
            "count",
        ),
        notes=(gettext_lazy("The connection that is the default now is it no longer."),),
        button=ngettext_lazy("Make it the default", "Make it the default", "count"),
        done=ngettext_lazy(
            "It is the default connection now.", "It is the default connection now.", "count"
        ),
        act=_make_default,
        log=gettext_lazy("Made the default."),
    ),
    RowAction(
        name="disconnect",
        label=gettext_lazy("Disconnect…"),
        permissions=("disconnect_connection",),
        obstacles=DISCONNECT_OBSTACLES,
        page_of_one="disconnect",
        will=ngettext_lazy(
            "The consent for %(count)s connection is taken back at Zoho, and its tokens are "
            "deleted here.",
            "The consent for %(count)s connections is taken back at Zoho, and their tokens are "
            "deleted here.",
            "count",
        ),
        notes=(
            gettext_lazy(
                "Nothing can be read from or sent to these organisations until somebody connects "
                "them again; leads that are under way stay where they are."
            ),
            gettext_lazy("The history of their conversions stays."),
        ),
        button=ngettext_lazy(
            "Disconnect %(count)s connection", "Disconnect %(count)s connections", "count"
        ),
        is_dangerous=True,
        done=ngettext_lazy(
            "%(count)s connection is disconnected; its history stays.",
            "%(count)s connections are disconnected; their history stays.",
            "count",
        ),
        act=_disconnect,
        log=gettext_lazy("Disconnected."),
    ),
)

TOKEN_ACTIONS = (
    RowAction(
        name="make_default",
        label=gettext_lazy("Make default"),
        permissions=MAY_CHOOSE_DEFAULT,
        obstacles=DEFAULT_TOKEN_OBSTACLES,
        page_of_one="default",
        only_one=gettext_lazy("Only one user can be the default: choose exactly one."),
        will="",
        button="",
        act=_make_default_user,
        log=gettext_lazy("Made the default."),
    ),
    RowAction(
        name="disconnect",
        label=gettext_lazy("Disconnect this user…"),
        permissions=("disconnect_connection",),
        obstacles=DISCONNECT_TOKEN_OBSTACLES,
        page_of_one="disconnect",
        will=ngettext_lazy(
            "The consent of %(count)s user is taken back at Zoho, and the tokens are deleted here.",
            "The consents of %(count)s users are taken back at Zoho, and the tokens are deleted "
            "here.",
            "count",
        ),
        notes=(
            gettext_lazy(
                "A connection that loses its default user stops until another one is made the "
                "default, or somebody connects again."
            ),
            gettext_lazy("The history stays."),
        ),
        button=ngettext_lazy("Disconnect %(count)s user", "Disconnect %(count)s users", "count"),
        is_dangerous=True,
        done=ngettext_lazy(
            "The consent of %(count)s user was revoked; the history stays.",
            "The consents of %(count)s users were revoked; the history stays.",
            "count",
        ),
        act=_disconnect_user,
        log=gettext_lazy("Disconnected."),
    ),
)
