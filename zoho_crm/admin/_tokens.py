"""Tokens and events: to be looked at, and nothing else. No secret is ever shown."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm.admin._base import NOTHING, RecordAdmin, token_badge
from zoho_crm.models import ConnectionEvent, Token
from zoho_crm.services.fingerprint import fingerprint


def expiry(token: Token | None) -> str:
    """Say until when an access token serves; an expired one with a good consent is fine."""
    if token is None or token.status != Token.Status.ACTIVE or token.expires_at is None:
        return NOTHING
    if token.expires_at > timezone.now():
        return _("expires in %s") % timeuntil(token.expires_at)
    return _("renews by itself")


def named(token: Token, word: str) -> SafeString | str:
    """Return what may be shown of a secret: its fingerprint, and the key that it needs."""
    found = fingerprint(token, word)
    if found.problem:
        return _("cannot be read: %s") % found.problem
    if not found.digits:
        return NOTHING
    text = _("encrypted with key %s") % found.key_id
    return format_html("<code>{}</code> · {}", found.digits, text)


class TokenAdmin(RecordAdmin):
    list_display = (
        "user",
        "connection",
        "badge",
        "access_token",
        "expires",
        "generation",
        "refreshed_at",
        "is_default",
    )
    list_filter = ("status", "connection")
    list_select_related = ("connection",)
    fields = (
        "connection",
        "user",
        "user_id",
        "client_id",
        "granted",
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
        return token_badge(token)

    @admin.display(description=gettext_lazy("access token"))
    def access_token(self, token: Token) -> SafeString | str:
        return named(token, "access_token")

    @admin.display(description=gettext_lazy("refresh token"))
    def refresh_token(self, token: Token) -> SafeString | str:
        return named(token, "refresh_token")

    @admin.display(description=gettext_lazy("validity"), ordering="expires_at")
    def expires(self, token: Token) -> str:
        return expiry(token)

    @admin.display(description=gettext_lazy("scopes"))
    def granted(self, token: Token) -> str:
        return ", ".join(token.scopes) or NOTHING


class ConnectionEventAdmin(RecordAdmin):
    list_display = ("at", "connection", "kind", "by", "told")
    list_filter = ("kind", "connection")
    list_select_related = ("connection", "by")
    ordering = ("-pk",)
    fields = ("connection", "at", "kind", "by", "told")
    readonly_fields: ClassVar = fields

    @admin.display(description=gettext_lazy("details"))
    def told(self, event: ConnectionEvent) -> str:
        return details(event)


def details(event: ConnectionEvent) -> str:
    """Return what else is known of an event, in one line."""
    told = (f"{name}: {value}" for name, value in event.details.items() if value not in ("", None))
    return ", ".join(told) or NOTHING
