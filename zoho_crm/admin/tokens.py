"""Admin pages of tokens, each the consent of one user, which may be the default or be ended."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import tasks
from zoho_crm.admin._actions import ActionsMixin
from zoho_crm.admin._base import (
    BY_CONNECTION,
    PagesAdmin,
    has_any_permission,
    signed_in_user,
)
from zoho_crm.admin._html import EMPTY_TEXT, time_html
from zoho_crm.admin.connection_actions import MAY_CHOOSE_DEFAULT, TOKEN_ACTIONS
from zoho_crm.models import Token
from zoho_crm.services import users
from zoho_crm.services.display import relative_time, status_badge
from zoho_crm.services.keys import fingerprint


class TokenAdmin(ActionsMixin, PagesAdmin):
    list_actions = TOKEN_ACTIONS
    empty_list_text = gettext_lazy(
        "Nobody has given consent yet. Connect to Zoho: each consent gives one token."
    )
    list_display = (
        "user",
        "connection",
        "badge",
        "expires",
        "last_refresh",
        "is_default",
    )
    list_filter = ("status", BY_CONNECTION)
    list_select_related = ("connection",)
    fields = (
        "connection",
        "user",
        "user_id",
        "client_id",
        "scope_list",
        "badge",
        "is_default",
        "access_token",
        "expires",
        "expires_at",
        "generation",
        "refreshed_at",
        "throttled_until",
        "refresh_token",
        "created_at",
    )
    readonly_fields: ClassVar = fields

    @admin.display(description=gettext_lazy("user"), ordering="user_email")
    def user(self, token: Token) -> str:
        return token.user_email or token.user_name or token.user_id

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def badge(self, token: Token) -> SafeString:
        return status_badge(token.status, token.get_status_display())

    @admin.display(description=gettext_lazy("access token"))
    def access_token(self, token: Token) -> SafeString | str:
        return secret_text(token, "access_token")

    @admin.display(description=gettext_lazy("refresh token"))
    def refresh_token(self, token: Token) -> SafeString | str:
        return secret_text(token, "refresh_token")

    @admin.display(description=gettext_lazy("last refresh"), ordering="refreshed_at")
    def last_refresh(self, token: Token) -> SafeString | str:
        return time_html(token.refreshed_at)

    @admin.display(description=gettext_lazy("validity"), ordering="expires_at")
    def expires(self, token: Token) -> str:
        return expiry_text(token)

    @admin.display(description=gettext_lazy("scopes"))
    def scope_list(self, token: Token) -> str:
        return ", ".join(token.scopes) or EMPTY_TEXT

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        token: Token = kwargs["obj"]
        context |= {
            "can_be_default": may_be_default(token)
            and has_any_permission(request, *MAY_CHOOSE_DEFAULT, of=token),
            "can_disconnect": bool(token.refresh_token_cipher)
            and has_any_permission(request, "disconnect_connection", of=token),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def journal_link(self, request: HttpRequest, row: Any) -> tuple[str, str] | None:
        return self.connection_events_link(request, row.connection_id)

    def url_patterns(self) -> list[URLPattern]:
        return [
            self.url_pattern("<int:pk>/default/", default_page, *MAY_CHOOSE_DEFAULT),
            self.url_pattern("<int:pk>/disconnect/", disconnect_page, "disconnect_connection"),
        ]


def default_page(pages: PagesAdmin, request: HttpRequest, token: Token) -> HttpResponse:
    """Show what it means that this user is the default; on POST make it so."""
    names = {"name": token.connection, "user": token.user_label}

    def make_default() -> None:
        users.make_default(token_id=token.pk, by=signed_in_user(request))
        tasks.wake(token.connection_id)

    if request.method == "POST":
        return pages.carry_out(
            request,
            token,
            make_default,
            log=gettext_lazy("Made the default."),
            done=_("%(name)s works with the consent of %(user)s now.") % names,
            failed=_("The default was not changed. %s"),
        )
    return _render(
        pages,
        request,
        token,
        "default.html",
        page_name=_("Make default"),
        can_be_default=may_be_default(token),
    )


def disconnect_page(pages: PagesAdmin, request: HttpRequest, token: Token) -> HttpResponse:
    """Show what stops without this user; on POST revoke the token at Zoho and delete it."""
    if request.method == "POST":
        by = signed_in_user(request)
        return pages.carry_out(
            request,
            token,
            partial(users.disconnect_user, token_id=token.pk, by=by),
            log=gettext_lazy("Disconnected."),
            done=_("The consent of %s was revoked; the history stays.") % token.user_label,
            failed=_("Not disconnected; nothing was deleted. %s"),
        )
    return _render(
        pages,
        request,
        token,
        "disconnect.html",
        page_name=_("Disconnect this user"),
        others=users.other_users(token.connection),
        waiting=token.connection.conversions.unfinished().count(),
    )


def _render(
    pages: PagesAdmin, request: HttpRequest, token: Token, template: str, **context: Any
) -> HttpResponse:
    context |= {"original": token, "user_name": token.user_label}
    return pages.render_page(request, template, cancel=pages.record_url(request, token), **context)


def may_be_default(token: Token) -> bool:
    """Return whether a token works and is not the default."""
    return token.status == Token.Status.ACTIVE and not token.is_default


def expiry_text(token: Token | None) -> str:
    """
    Return how long the access token of a token is valid, in words.

    An expired one is no problem: it is refreshed when it is needed.
    """
    if token is None or token.status != Token.Status.ACTIVE or token.expires_at is None:
        return EMPTY_TEXT
    if token.expires_at > timezone.now():
        return _("expires %s") % relative_time(token.expires_at)
    return _("renews by itself")


def secret_text(token: Token, name: str) -> SafeString | str:
    """Return what may be shown of a stored secret: its fingerprint and the id of its key."""
    found = fingerprint(token, name)
    if found.problem:
        return _("cannot be read: %s") % found.problem
    if not found.digits:
        return EMPTY_TEXT
    text = _("encrypted with key %s") % found.key_id
    return format_html("<code>{}</code> · {}", found.digits, text)
