"""What the admins share: base classes, results of buttons, permissions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import RelatedFieldListFilter, SimpleListFilter
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.module_loading import import_string
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from zoho_crm.admin._history import HistoryAdmin
from zoho_crm.exceptions import ZohoError
from zoho_crm.models import Connection, non_atomic_requests
from zoho_crm.services.access import Access, Permissions, access_of
from zoho_crm.services.choices import Choices, choices
from zoho_crm.services.presentation import describe_error
from zoho_crm.types import storable

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: Errors that a page shows as a message.
EXPECTED_ERRORS = (ZohoError, ImproperlyConfigured)

#: One of these is needed to see the names of leads in lists.
LEAD_NAME_PERMISSIONS = (
    "view_payload_leadconversion",
    "preview_leadconversion",
    "approve_leadconversion",
)


class BaseAdmin(HistoryAdmin):
    """An admin whose list can be filtered only by its own filters; an empty one says what to do."""

    #: What the list says, and what to do next, while there is no row.
    empty_list_text: ClassVar[StrPromise | str] = ""

    class Media:
        css: ClassVar = {"all": ["zoho_crm/admin.css"]}
        js: ClassVar = ["zoho_crm/copy.js"]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = capfirst(str(self.opts.verbose_name_plural))
        common = {"title": title, "may": permissions_in(request)}
        return super().changelist_view(request, common | (extra_context or {}))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what people did here, as Django logs it, with a link to the app's own journal."""
        response = super().history_view(request, object_id, extra_context)
        if context := getattr(response, "context_data", None):
            row = context["object"]
            # The bar at the top is about the connection of this row.
            context |= {"original": row, "journal": self.journal_link(request, row)}
        return response

    def journal_link(self, request: HttpRequest, row: Any) -> tuple[str, str] | None:
        """
        Return URL and words of the link to all events of a row, those of workers, too.

        ``None`` if it has none, or if the user may not see them.
        """
        return None

    def list_url_of(self, model: str, **query: Any) -> str:
        """Return the URL of the list of one of the app's models, filtered by these parameters."""
        name = f"admin:zoho_crm_{model}_changelist"
        return f"{reverse(name, current_app=self.admin_site.name)}?{urlencode(query)}"

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """
        Return whether a filter of the list uses this look-up.

        Django allows every look-up of the model's own columns, by which a user could find out the
        values of columns that the pages do not show.
        """
        filters = self.get_list_filter(cast(HttpRequest, request))
        allowed = {name for one in filters for name in _lookups_of(self.model, one)}
        return lookup in allowed and value == storable(value)


class ConnectionFilter(RelatedFieldListFilter):
    """A filter by those connections of which the user may view the rows."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        ids = access_in(request).connection_ids(*model_admin.view_permissions)
        limit = {} if ids is None else {"pk__in": ids}
        ordering = self.field_admin_ordering(field, request, model_admin)
        return field.get_choices(include_blank=False, ordering=ordering, limit_choices_to=limit)


BY_CONNECTION = ("connection", ConnectionFilter)


def _lookups_of(model: type[Model], list_filter: Any) -> set[str]:
    """Return the look-ups that an item of ``list_filter``, a class or a field's name, uses."""
    if isinstance(list_filter, tuple):
        list_filter = list_filter[0]  # the name of a field, with the class of its filter
    if isinstance(list_filter, type):
        return {str(cast(type[SimpleListFilter], list_filter).parameter_name)}
    field: Any = model._meta.get_field(list_filter)
    target = f"__{field.target_field.name}" if field.is_relation else ""
    exact = "__exact" if field.is_relation or field.choices else ""
    return {f"{list_filter}{target}{exact}", f"{list_filter}__isnull"}


class ReadOnlyAdmin(BaseAdmin):
    """
    An admin without adding, changing and deleting, for rows that the app writes.

    Each row belongs to a connection, and so do the permissions for it: a list has the rows of the
    connections for which the user may view them, and the page of another row answers 403.
    """

    list_per_page = 50
    show_full_result_count = False
    #: The column that a field of the form shows, where the names differ.
    columns: ClassVar[Mapping[str, str]] = {}
    #: Columns whose field is left out if they have no value.
    optional_columns: ClassVar[frozenset[str]] = frozenset()

    @property
    def view_permissions(self) -> tuple[str, ...]:
        """The permissions of the app of which one is needed to view a row."""
        return (f"view_{self.opts.model_name}",)

    def all_rows(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of all connections, with what the pages show of them."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of the connections for which the user may view them."""
        return access_in(request).limit(self.all_rows(request), *self.view_permissions)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return a row of any connection: the page asks for the permission to view it."""
        try:
            return self.all_rows(request).get(pk=object_id)
        except (self.model.DoesNotExist, ValidationError, ValueError):
            return None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is None:
            return access_in(request).somewhere(*self.view_permissions)
        return has_any_permission(request, *self.view_permissions, of=obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fieldsets without the fields of this row that have no value."""
        fieldsets = []
        for name, options in super().get_fieldsets(request, obj):
            fields = [each for each in options["fields"] if not self._is_empty(obj, each)]
            if fields:
                fieldsets.append((name, {**options, "fields": fields}))
        return fieldsets

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Render the page of a row, whose heading says what it is of, and which one."""
        kind, name = capfirst(str(self.opts.verbose_name)), context.get("record_name")
        row = kwargs.get("obj") or context.get("original")
        heading = {"kind": kind, "name": name or row}
        context |= {"title": _("%(kind)s: %(name)s") % heading, "subtitle": None}
        context["may"] = permissions_in(request, row)
        return super().render_change_form(request, context, *args, **kwargs)

    def _is_empty(self, row: Any, field: Any) -> bool:
        column = self.columns.get(field, field)
        return column in self.optional_columns and getattr(row, column) in (None, "")


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
        view: Callable[..., HttpResponseBase] | str,
        *permissions: str,
        methods: tuple[str, ...] = ("GET", "POST"),
        is_of_all: bool = False,
    ) -> URLPattern:
        """
        Return the URL pattern of a view that requires one of these permissions of the app.

        The view gets this admin, the request, and the row if its primary key is in the route: then
        the permission is needed for the connection of the row, else for any connection. The view
        may call Zoho: it is never cached and stays outside ``ATOMIC_REQUESTS``, because what Zoho
        does cannot be rolled back.

        :param view: a function, for a page of its own or for a button; or its name, with that of a
            module of this package, which is loaded when the page is first opened
        :param is_of_all: whether the permission is needed for all connections
        """
        function = _view_named(view) if isinstance(view, str) else view
        allowed = require_http_methods(list(methods))(partial(function, self))

        def guarded(request: HttpRequest, pk: int | None = None) -> HttpResponseBase:
            access = access_in(request)
            if not (access.everywhere if is_of_all else access.somewhere)(*permissions):
                raise PermissionDenied
            if pk is None:
                return allowed(request)
            row = get_object_or_404(self.all_rows(request), pk=pk)
            if not access.of(row, *permissions):
                raise PermissionDenied
            return allowed(request, row)

        name = f"{self.opts.app_label}_{self.opts.model_name}_{route.strip('/').split('/')[-1]}"
        return path(route, non_atomic_requests(self.admin_site.admin_view(guarded)), name=name)

    def page_url(self, name: str, *args: Any) -> str:
        """Return the URL of one of this model's admin pages."""
        full = f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}"
        return reverse(full, args=args, current_app=self.admin_site.name)

    def connection_events_link(
        self, request: HttpRequest, connection_id: int
    ) -> tuple[str, str] | None:
        """Return URL and words of the link to the events of a connection, if they may be seen."""
        if not has_any_permission(request, "view_connectionevent", of=connection_id):
            return None
        url = self.list_url_of("connectionevent", connection__id__exact=connection_id)
        return url, _("Every event of this connection, with who and when")

    def events_link(self, row: Model) -> tuple[str, str]:
        """Return URL and words of the link to the events on the page of a record."""
        return f"{self.page_url('change', row.pk)}#events", _("Every event of it, with who and why")

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
        log: StrPromise,
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
        self, request: HttpRequest, row: Model, text: str, *, log: StrPromise, to: str = ""
    ) -> HttpResponse:
        """Log what was done to a record, and say it, by default on its page."""
        self.log_change(request, row, log)
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
            "has_view_permission": self.has_view_permission(request, context.get("original")),
            "may": permissions_in(request, context.get("original")),
        }
        request.current_app = self.admin_site.name
        name = f"admin/zoho_crm/{self.opts.model_name}/{template}"
        return TemplateResponse(request, name, {**common, **context})


def access_in(request: HttpRequest) -> Access:
    """Return what the user, who may be anonymous, may do, and for which connections."""
    return access_of(request.user)


def permissions_in(request: HttpRequest, record: Any = None) -> Permissions:
    """Return the permissions of the user by name, for a record or else for any connection."""
    return Permissions(access_in(request), record)


def _view_named(name: str) -> Callable[..., HttpResponseBase]:
    """Return a view that is looked up by name, below this package, when it is first called."""

    def view(*args: Any, **kwargs: Any) -> HttpResponseBase:
        found: Callable[..., HttpResponseBase] = import_string(f"{__package__}.{name}")
        return found(*args, **kwargs)

    return view


def has_any_permission(request: HttpRequest, *permissions: str, of: Any) -> bool:
    """
    Return whether the user has one of these permissions of the app for a record.

    :param of: the record that it is about, or the primary key of a connection
    """
    return access_in(request).of(of, *permissions)


def signed_in_user(request: HttpRequest) -> Any:
    """Return the user; the admin admits signed-in users only."""
    assert isinstance(request.user, AbstractBaseUser)
    return request.user


def permitted_connections(request: HttpRequest, *permissions: str) -> QuerySet[Connection]:
    """Return the connections for which the user has one of these, the default one first."""
    known = Connection.objects.order_by("-is_default", "name")
    return access_in(request).limit(known, *permissions)


def chosen_connection(request: HttpRequest, *permissions: str) -> Connection | None:
    """
    Return the chosen connection, by default the default one; ``None`` if there is none.

    Only those count for which the user has one of these permissions. Where another one is chosen,
    nothing is done to the first instead: that is only shown, with a message.

    :raises Http404: on POST, if there is no such connection
    :raises PermissionDenied: on POST, if the user may not use it
    """
    chosen = request.POST.get("connection") or request.GET.get("connection") or ""
    known = permitted_connections(request, *permissions)
    pk = int(chosen) if chosen.isascii() and chosen.isdecimal() and len(chosen) < 19 else 0
    found = known.filter(pk=pk).first() if chosen else known.first()
    if found is not None or not chosen:
        return found
    if request.method == "POST":
        get_object_or_404(Connection, pk=pk)
        raise PermissionDenied
    text = _("The connection that was chosen is gone, or you may not use it: this is another one.")
    messages.warning(request, text)
    return known.first()


def readable_choices(connection: Connection) -> tuple[Choices, str]:
    """Return what an organisation offers; nothing, and why, if Zoho cannot be asked now."""
    try:
        return choices(connection), ""
    except EXPECTED_ERRORS as error:
        return Choices(), describe_error(error)
