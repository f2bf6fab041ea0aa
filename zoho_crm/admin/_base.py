"""Base classes of our admins, permission checks, times and status badges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, TypeAlias, cast

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from zoho_crm.exceptions import ZohoError
from zoho_crm.models import (
    Connection,
    LeadConversion,
    MassConversion,
    MassConversionJob,
    Token,
    non_atomic_requests,
)
from zoho_crm.services.states import ShellCommand, StateText, Text
from zoho_crm.types import storable

#: Errors that a page shows as a message.
EXPECTED_ERRORS = (ZohoError, ImproperlyConfigured)
#: Shown in place of an empty value.
EMPTY_TEXT = "–"

#: Symbol and tone, by status.
BadgeStyles: TypeAlias = Mapping[str, tuple[str, str]]

_CONNECTION: BadgeStyles = {
    Connection.Status.ACTIVE: ("●", "good"),
    Connection.Status.NEEDS_RECONNECT: ("▲", "bad"),
    Connection.Status.DISABLED: ("○", "neutral"),
}
_TOKEN: BadgeStyles = {
    Token.Status.ACTIVE: ("●", "good"),
    Token.Status.NEEDS_RECONNECT: ("▲", "bad"),
    Token.Status.REVOKED: ("○", "neutral"),
}
_S = LeadConversion.Status
_CONVERSION: BadgeStyles = {
    _S.NEW: ("○", "neutral"),
    _S.PREVIEWED: ("◇", "neutral"),
    _S.READY: ("→", "neutral"),
    _S.RUNNING: ("↻", "neutral"),
    _S.SCHEDULED: ("↻", "neutral"),
    _S.UNKNOWN: ("?", "warn"),
    _S.CONVERTED: ("✓", "good"),
    _S.FAILED: ("✗", "bad"),
    _S.SKIPPED: ("–", "neutral"),
    _S.NEEDS_REVIEW: ("▲", "warn"),
}
_R = MassConversion.Stage
_RUN: BadgeStyles = {
    _R.STAGING: ("…", "neutral"),
    _R.PREVIEWING: ("○", "neutral"),
    _R.REVIEW: ("◇", "warn"),
    _R.CONVERTING: ("↻", "neutral"),
    _R.FINISHED: ("✓", "good"),
    _R.CANCELLED: ("–", "neutral"),
}
_J = MassConversionJob.Status
_JOB: BadgeStyles = {
    _J.POSTING: ("→", "neutral"),
    _J.ACCEPTED: ("↻", "neutral"),
    _J.FINISHED: ("✓", "good"),
    _J.REFUSED: ("✗", "bad"),
    _J.LOST: ("?", "warn"),
    _J.GIVEN_UP: ("▲", "warn"),
}


class BaseAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # no class to subscript at run time
    """An admin whose list can be filtered only by its own filters."""

    class Media:
        css: ClassVar = {"all": ["zoho_crm/admin.css"]}

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """
        Return whether a filter of the list uses this look-up.

        Django allows every look-up of the model's own columns, by which a user could find out the
        values of columns that the pages do not show.
        """
        filters = self.get_list_filter(cast(HttpRequest, request))
        allowed = {name for one in filters for name in _lookups_of(self.model, one)}
        return lookup in allowed and value == storable(value)


def _lookups_of(model: type[Model], list_filter: Any) -> set[str]:
    """Return the look-ups that an item of ``list_filter``, a class or a field's name, uses."""
    if isinstance(list_filter, type):
        return {str(cast(type[SimpleListFilter], list_filter).parameter_name)}
    field: Any = model._meta.get_field(list_filter)
    target = f"__{field.target_field.name}" if field.is_relation else ""
    exact = "__exact" if field.is_relation or field.choices else ""
    return {f"{list_filter}{target}{exact}", f"{list_filter}__isnull"}


class ReadOnlyAdmin(BaseAdmin):
    """An admin without adding, changing and deleting, for rows that the app writes."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class CustomPagesAdmin(ReadOnlyAdmin):
    """An admin with pages of its own beside the change list and the change form."""

    def url_patterns(self) -> list[URLPattern]:
        """Return the URL patterns of these pages."""
        raise NotImplementedError

    def get_urls(self) -> list[Any]:
        return [*self.url_patterns(), *super().get_urls()]

    def url_pattern(
        self,
        route: str,
        view: Callable[..., HttpResponseBase],
        *permissions: str,
        methods: tuple[str, ...] = ("GET", "POST"),
    ) -> URLPattern:
        """
        Return the URL pattern of a view that requires one of these permissions of the app.

        The view may call Zoho: it is never cached and stays outside ``ATOMIC_REQUESTS``, because
        what Zoho does cannot be rolled back.
        """
        guarded = self.admin_site.admin_view(
            require_permission(require_http_methods(list(methods))(view), permissions)
        )
        name = f"{self.opts.app_label}_{self.opts.model_name}_{route.strip('/').split('/')[-1]}"
        return path(route, non_atomic_requests(guarded), name=name)

    def page_url(self, name: str, *args: Any) -> str:
        """Return the URL of one of this model's admin pages."""
        full = f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}"
        return reverse(full, args=args, current_app=self.admin_site.name)

    def record_url(self, request: HttpRequest, row: Model) -> str:
        """Return the URL of a record's page; without view permission that of the admin index."""
        if self.has_view_permission(request, row):
            return self.page_url("change", row.pk)
        return reverse("admin:index", current_app=self.admin_site.name)

    def render_page(
        self, request: HttpRequest, template: str, *, page_name: str, **context: Any
    ) -> TemplateResponse:
        """Render a template of this model; ``page_name`` is also the title unless one is given."""
        common = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "page_name": page_name,
            "title": page_name,
            "media": self.media,
            "has_view_permission": self.has_view_permission(request),
        }
        request.current_app = self.admin_site.name
        name = f"admin/zoho_crm/{self.opts.model_name}/{template}"
        return TemplateResponse(request, name, {**common, **context})


def require_permission(
    view: Callable[..., HttpResponseBase], permissions: tuple[str, ...]
) -> Callable[..., HttpResponseBase]:
    """Return the view, guarded: users without any of these permissions of the app get 403."""

    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not has_any_permission(request, *permissions):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


def has_any_permission(request: HttpRequest, *permissions: str) -> bool:
    """Return whether the user has at least one of these permissions of the app."""
    return any(signed_in_user(request).has_perm(f"zoho_crm.{name}") for name in permissions)


def signed_in_user(request: HttpRequest) -> Any:
    """Return the user; the admin admits signed-in users only."""
    assert isinstance(request.user, AbstractBaseUser)
    return request.user


def time_html(instant: datetime | None) -> SafeString | str:
    """Return a time in the user's time zone, with the exact instant as a tooltip."""
    if instant is None:
        return EMPTY_TEXT
    text = date_format(timezone.localtime(instant), "SHORT_DATETIME_FORMAT")
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', instant.isoformat(), text)


def state_html(state: StateText) -> StateText:
    """Return the description of a state with HTML for the values of its sentences."""
    return replace(state, sentences=[_sentence_html(sentence) for sentence in state.sentences])


def _sentence_html(sentence: Text) -> str:
    if isinstance(sentence, str):
        return sentence
    return format_html(sentence.text, *map(_value_html, sentence.values))


def _value_html(value: str | datetime | None) -> str:
    if isinstance(value, ShellCommand):
        return format_html("<code>{}</code>", value)
    return value if isinstance(value, str) else time_html(value)


def connection_badge(connection: Connection, *, lacks_default: bool = False) -> SafeString:
    """Return the badge of a connection's status, which may be that it needs a default user."""
    label = _("needs a default user") if lacks_default else connection.get_status_display()
    return _badge(_CONNECTION, connection.status, label)


def token_badge(token: Token) -> SafeString:
    """Return the badge of a token's status."""
    return _badge(_TOKEN, token.status, token.get_status_display())


def conversion_badge(row: LeadConversion) -> SafeString:
    """Return the badge of a conversion's status."""
    return _badge(_CONVERSION, row.status, row.get_status_display())


def run_badge(run: MassConversion) -> SafeString:
    """Return the badge of a mass conversion's stage."""
    return _badge(_RUN, run.stage, run.get_stage_display())


def job_badge(job: MassConversionJob) -> SafeString:
    """Return the badge of a job's status."""
    return _badge(_JOB, job.status, job.get_status_display())


def _badge(styles: BadgeStyles, status: str, label: str) -> SafeString:
    symbol, tone = styles[status]
    return format_html(
        '<span class="zoho-badge zoho-{}"><span aria-hidden="true">{}</span> {}</span>',
        tone,
        symbol,
        label,
    )
