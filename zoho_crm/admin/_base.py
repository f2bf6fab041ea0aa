"""What the admins share: base classes, results of buttons, permissions, badges, texts as HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods

from zoho_crm.exceptions import ZohoError
from zoho_crm.models import Connection, non_atomic_requests
from zoho_crm.services.choices import Choices, choices
from zoho_crm.services.presentation import describe_error
from zoho_crm.services.states import ShellCommand, StateText, Text
from zoho_crm.types import storable

#: Errors that a page shows as a message.
EXPECTED_ERRORS = (ZohoError, ImproperlyConfigured)
#: Shown in place of an empty value.
EMPTY_TEXT = "–"

#: Symbol and tone, by the status of a connection, token, conversion or job, or a run's stage.
BADGES: Mapping[str, tuple[str, str]] = {
    "ACTIVE": ("●", "good"),
    "NEEDS_RECONNECT": ("▲", "bad"),
    "DISABLED": ("○", "neutral"),
    "REVOKED": ("○", "neutral"),
    "NEW": ("○", "neutral"),
    "PREVIEWED": ("◇", "neutral"),
    "READY": ("→", "neutral"),
    "RUNNING": ("↻", "neutral"),
    "SCHEDULED": ("↻", "neutral"),
    "UNKNOWN": ("?", "warn"),
    "CONVERTED": ("✓", "good"),
    "FAILED": ("✗", "bad"),
    "SKIPPED": ("–", "neutral"),
    "NEEDS_REVIEW": ("▲", "warn"),
    "STAGING": ("…", "neutral"),
    "PREVIEWING": ("○", "neutral"),
    "REVIEW": ("◇", "warn"),
    "CONVERTING": ("↻", "neutral"),
    "FINISHED": ("✓", "good"),
    "CANCELLED": ("–", "neutral"),
    "POSTING": ("→", "neutral"),
    "ACCEPTED": ("↻", "neutral"),
    "REFUSED": ("✗", "bad"),
    "LOST": ("?", "warn"),
    "GIVEN_UP": ("▲", "warn"),
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


class PagesAdmin(ReadOnlyAdmin):
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

        The view gets this admin, the request, and the row if its primary key is in the route. It
        may call Zoho: it is never cached and stays outside ``ATOMIC_REQUESTS``, because what Zoho
        does cannot be rolled back.

        :param view: a function, for a page of its own or for a button
        """
        allowed = require_http_methods(list(methods))(partial(view, self))

        def guarded(request: HttpRequest, pk: int | None = None) -> HttpResponseBase:
            if not has_any_permission(request, *permissions):
                raise PermissionDenied
            if pk is None:
                return allowed(request)
            return allowed(request, get_object_or_404(self.get_queryset(request), pk=pk))

        name = f"{self.opts.app_label}_{self.opts.model_name}_{route.strip('/').split('/')[-1]}"
        return path(route, non_atomic_requests(self.admin_site.admin_view(guarded)), name=name)

    def page_url(self, name: str, *args: Any) -> str:
        """Return the URL of one of this model's admin pages."""
        full = f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}"
        return reverse(full, args=args, current_app=self.admin_site.name)

    def record_url(self, request: HttpRequest, row: Model) -> str:
        """Return the URL of a record's page; without view permission that of the admin index."""
        if self.has_view_permission(request, row):
            return self.page_url("change", row.pk)
        return reverse("admin:index", current_app=self.admin_site.name)

    def carry_out(
        self,
        request: HttpRequest,
        row: Model,
        action: Callable[[], object],
        *,
        log: str,
        done: str,
        failed: str,
        warning: str = "",
    ) -> HttpResponse:
        """
        Do something to a record, and redirect to its page, which says that, or why it failed.

        :param warning: what to say, too, when it is done
        """
        try:
            action()
        except EXPECTED_ERRORS as error:
            messages.error(request, failed % error)
            return redirect(self.record_url(request, row))
        response = self.redirect_with_success(request, row, done, log=log)
        if warning:
            messages.warning(request, warning)
        return response

    def redirect_with_success(
        self, request: HttpRequest, row: Model, text: str, *, log: str = "", to: str = ""
    ) -> HttpResponse:
        """Log what was done to a record, and show it, by default in the same words on its page."""
        self.log_change(request, row, log or text)
        messages.success(request, text)
        return redirect(to or self.record_url(request, row))

    def redirect_with_warning(
        self, request: HttpRequest, row: Model, text: str, *, to: str = ""
    ) -> HttpResponse:
        """Show a warning, by default on the page of the record."""
        messages.warning(request, text)
        return redirect(to or self.record_url(request, row))

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


def has_any_permission(request: HttpRequest, *permissions: str) -> bool:
    """Return whether the user has at least one of these permissions of the app."""
    return any(signed_in_user(request).has_perm(f"zoho_crm.{name}") for name in permissions)


def signed_in_user(request: HttpRequest) -> Any:
    """Return the user; the admin admits signed-in users only."""
    assert isinstance(request.user, AbstractBaseUser)
    return request.user


def readable_choices(connection: Connection) -> tuple[Choices, str]:
    """Return what an organisation offers; nothing, and why, if Zoho cannot be asked now."""
    try:
        return choices(connection), ""
    except EXPECTED_ERRORS as error:
        return Choices(), describe_error(error)


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


def status_badge(status: str, label: str) -> SafeString:
    """Return the badge of a status, with its label."""
    symbol, tone = BADGES[status]
    return format_html(
        '<span class="zoho-badge zoho-{}"><span aria-hidden="true">{}</span> {}</span>',
        tone,
        symbol,
        label,
    )
