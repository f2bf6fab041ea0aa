"""
Actions on lists: choose rows, see in numbers what will happen and what is left out, let it happen.

A list declares its actions. What is chosen is stored as a ``Selection``, so that "all that match"
needs no field for each row; the rows are looked up again, with what the user may see and do, when
the page is shown and when its button is pressed. Rows are acted on in sets, never all in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import cached_property, partial
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME, ActionForm
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ALL_VAR, ERROR_FLAG, PAGE_VAR
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import BigAutoField, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from zoho_crm.admin._action_kinds import ListAction
from zoho_crm.admin._base import access_in, signed_in_user
from zoho_crm.admin._history import HistoryAdmin
from zoho_crm.models import Connection, Selection, non_atomic_requests
from zoho_crm.services.access import connection_column
from zoho_crm.services.obstacles import (
    count_by_obstacle,
    without_obstacles,
)
from zoho_crm.services.selections import chosen_rows, find_selection, id_batches, select
from zoho_crm.types import storable

#: Seconds after which one request begins no further set of rows.
MAX_SECONDS = 20.0
#: Why nothing is done to more rows than the number that a button showed.
MORE_THAN_SHOWN = gettext_lazy("There are more by now than were shown; please look again.")
#: Rows that a page names, and problems that it shows.
MAX_NAMES = 10
MAX_PROBLEMS = 5
#: Value of the field ``scope``: not the ticked rows, but all that match the filter of the list.
MATCHING = "matching"
#: Parameters of a list that do not say which rows match.
VIEW_PARAMETERS = (PAGE_VAR, ALL_VAR, ERROR_FLAG)


class ScopeForm(ActionForm):
    """The actions of a list, and whether for the ticked rows or for all that match."""

    scope = forms.ChoiceField(
        label=gettext_lazy("For:"),
        required=False,
        choices=[
            ("", gettext_lazy("the ticked ones")),
            (MATCHING, gettext_lazy("all that match")),
        ],
    )


class ActionsMixin(HistoryAdmin):
    """A model admin whose list has actions with a page of their own."""

    action_form = ScopeForm
    list_actions: ClassVar[tuple[ListAction, ...]] = ()
    action_page: ClassVar[type[ActionPage]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actions = (*(self.actions or ()), *map(_admin_action, self.list_actions))
        for codename in {name for each in self.list_actions for name in each.permissions}:
            # Django calls these to leave out the actions that a user may not use.
            setattr(self, f"has_{codename}_permission", partial(_has_permission, codename))

    def get_urls(self) -> list[Any]:
        return [*self.action_urls(), *super().get_urls()]

    def action_urls(self) -> list[Any]:
        """Return the URL patterns of the pages of the actions."""
        return [_action_path(self, each) for each in self.list_actions]

    def may_act(self, request: HttpRequest, action: ListAction) -> bool:
        """Return whether the rules of the list itself allow an action to this user."""
        return True

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> Any:
        # Django 6.1 says for which page, and warns of a method that does not take this.
        where = {} if action_location is None else {"action_location": action_location}
        actions = super().get_actions(request, **where)
        for action in self.list_actions:
            is_permitted = not action.is_of_all or action.permits(request, several=False)
            if not (is_permitted and self.may_act(request, action)):
                actions.pop(action.name, None)
        return actions

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        if action := posted_action(self, request):
            return _begin(self, request, action)
        response = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None) or {}
        if context.get("action_form"):
            count = context["cl"].result_count
            text = ngettext("the %(count)s that matches", "all %(count)s that match", count)
            scope = context["action_form"].fields["scope"]
            scope.choices = [scope.choices[0], (MATCHING, text % {"count": count})]
        return response

    def row_name(self, request: HttpRequest, row: Any) -> str:
        """Return how the page of an action names a row for this user."""
        return str(row)

    def back_url(self, selection: Selection) -> str:
        """Return the URL of the list, with the filter that a selection was made with."""
        url = _url(self, "changelist")
        query = query_of(selection.filters).urlencode()
        return f"{url}?{query}" if query else url


class ActionPage:
    """The page of an action: the chosen rows, and what becomes of them."""

    def __init__(
        self, pages: ActionsMixin, request: HttpRequest, action: ListAction, selection: Selection
    ) -> None:
        self.pages, self.request, self.action, self.selection = pages, request, action, selection
        self.by = signed_in_user(request)
        self.obstacles = action.obstacles_for(request, pages.model)
        #: Whether a request took so long that rows were left.
        self.is_cut = False

    @cached_property
    def rows(self) -> QuerySet[Any]:
        """The chosen rows that the user may see now."""
        filters = self.selection.filters if self.selection.ids is None else None
        return chosen_rows(self.selection, _listed_rows(self.pages, self.request, filters))

    @cached_property
    def fitting(self) -> QuerySet[Any]:
        """Those of the rows that the action can be done to."""
        return without_obstacles(self.rows, self.obstacles)

    @cached_property
    def counts(self) -> tuple[int, list[Any]]:
        return count_by_obstacle(self.rows, self.obstacles)

    @property
    def count(self) -> int:
        """The number of rows that the action can be done to."""
        return self.counts[0]

    def connection_ids(self) -> list[int]:
        """Return the connections of the rows that the action can be done to."""
        rows = self.fitting.order_by().values_list("connection_id", flat=True)
        return list(rows.distinct())

    def all_id_batches(self) -> Iterable[list[Any]]:
        """Yield the ids of all rows that the action can be done to, in sets."""
        return id_batches(self.fitting)

    def id_batches(self, size: int) -> Iterable[list[Any]]:
        """Yield ids in sets, of no more rows than were counted, until the time is over."""
        began, left = time.monotonic(), self.count
        for ids in id_batches(self.fitting, size):
            if left <= 0:
                return
            if time.monotonic() - began > MAX_SECONDS:
                self.is_cut = True
                return
            yield ids[:left]
            left -= len(ids)

    def respond(self) -> HttpResponseBase:
        """Show what will happen; on POST let it happen, if it is not more than was shown."""
        form = self.action.form(self)
        if self.request.method != "POST" or not self.count or self.action.refusal(self):
            return self.show(form)
        if self.count > number_of(self.request.POST.get("count")):
            messages.warning(self.request, str(MORE_THAN_SHOWN))
            return self.show(form)
        if form is not None and not form.is_valid():
            return self.show(form)
        return self.action.perform(self)

    def show(self, form: forms.Form | None) -> TemplateResponse:
        """Show what will happen to how many rows, and how many are left out, and why."""
        action, pages, refusal = self.action, self.pages, self.action.refusal(self)
        count = 0 if refusal else self.count
        names = self.names() if count else []
        will = [action.will % {"count": count}, *self.notes()] if count else []
        context = {
            **pages.admin_site.each_context(self.request),
            "about": Connection.objects.filter(pk=self.connection_id or 0).first(),
            "opts": pages.opts,
            "media": pages.media,
            "has_view_permission": pages.has_view_permission(self.request),
            "page_name": str(action.label).rstrip("…"),
            "title": str(action.label).rstrip("…"),
            "refusal": refusal,
            "sentences": will,
            "left_out": [obstacle.describe(number) for obstacle, number in self.counts[1]],
            "names": names,
            "more": max(0, count - len(names)),
            "count": count,
            "form": form,
            "button": action.button % {"count": count},
            "is_dangerous": action.is_dangerous,
            "back": pages.back_url(self.selection),
            **self.more_context(),
        }
        self.request.current_app = pages.admin_site.name
        return TemplateResponse(self.request, "admin/zoho_crm/action.html", context)

    def notes(self) -> list[str]:
        """Return what else is to be known before."""
        return [*map(str, self.action.notes), *self.action.facts(self)]

    def more_context(self) -> dict[str, Any]:
        """Return further template variables."""
        return {}

    @property
    def connection_id(self) -> int | None:
        """The connection that all chosen rows are of; ``None`` if they are of several."""
        return self.selection.connection_id

    def names(self) -> list[str]:
        """Return the names of the first rows that the action can be done to."""
        first = list(self.fitting.order_by("pk").values_list("pk", flat=True)[:MAX_NAMES])
        rows = self.pages.get_queryset(self.request).filter(pk__in=first).order_by("pk")
        return [self.pages.row_name(self.request, row) for row in rows]

    def log(self, count: int) -> None:
        """Write one entry into Django's log for all rows, in English."""
        if not count:
            return
        with translation.override(None):
            LogEntry.objects.create(
                user_id=self.by.pk,
                content_type_id=ContentType.objects.get_for_model(self.pages.model).pk,
                object_repr=f"{count} {self.pages.opts.verbose_name_plural}",
                action_flag=CHANGE,
                change_message=str(self.action.label).rstrip("…"),
            )

    def report(self, done: int, problems: Sequence[str]) -> HttpResponse:
        """Say what was done and what was not, and go back to the list."""
        if done:
            messages.success(self.request, self.action.done % {"count": done})
        for problem in problems[:MAX_PROBLEMS]:
            messages.error(self.request, problem)
        further = len(problems) - MAX_PROBLEMS
        if further > 0:
            text = ngettext("%(count)s more failed.", "%(count)s more failed.", further)
            messages.error(self.request, text % {"count": further})
        if self.is_cut:
            text = _("It takes longer than one request may: press the button again for the rest.")
            messages.warning(self.request, text)
            return redirect(action_url(self.pages, self.action, self.selection))
        if not done and not problems:
            messages.warning(self.request, str(self.action.nothing_done))
        return redirect(self.pages.back_url(self.selection))


ActionsMixin.action_page = ActionPage


# From the list to the page


def _admin_action(action: ListAction) -> Callable[..., HttpResponseBase]:
    """Return an action as Django's admin lists it."""

    @admin.action(description=action.label, permissions=action.permissions)
    def begin(pages: ActionsMixin, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponseBase:
        return _begin_with(pages, request, action, rows, list(rows.values_list("pk", flat=True)))

    begin.__name__ = action.name
    return begin


def _has_permission(codename: str, request: HttpRequest, _row: Any = None) -> bool:
    return access_in(request).somewhere(codename)


def posted_action(pages: ActionsMixin, request: HttpRequest) -> ListAction | None:
    """Return the action that was chosen in the list; ``None`` if it is none of these."""
    if request.method != "POST" or "index" not in request.POST:
        return None
    names, index = request.POST.getlist("action"), number_of(request.POST["index"])
    name = names[index] if index < len(names) else ""
    return next((each for each in pages.list_actions if each.name == name), None)


def _begin(pages: ActionsMixin, request: HttpRequest, action: ListAction) -> HttpResponseBase:
    """Store what was chosen in the list, and go on to the page of the action."""
    check_permission(pages, request, action, several=False)
    across = MATCHING in request.POST.getlist("scope") or request.POST.get("select_across") == "1"
    ids = None if across else request.POST.getlist(ACTION_CHECKBOX_NAME)
    try:
        rows = _listed_rows(pages, request, filters_in(request))
        if ids is not None:
            rows = rows.filter(pk__in=ids)
        return _begin_with(pages, request, action, rows, ids)
    except (IncorrectLookupParameters, ValidationError, ValueError, OverflowError):
        return redirect(request.path)


def _begin_with(
    pages: ActionsMixin,
    request: HttpRequest,
    action: ListAction,
    rows: QuerySet[Any],
    ids: list[Any] | None,
) -> HttpResponseBase:
    rows = rows.order_by("-pk")
    first = list(rows.values_list("pk", flat=True)[:2])
    if not first:
        text = _("Nothing is chosen: tick some, or choose all that match.")
        messages.warning(request, text)
        return redirect(request.get_full_path())
    if len(first) == 1 and action.page_of_one:
        return redirect(_url(pages, action.page_of_one, first[0]))
    may_do_several = action.permissions_for_several and action.permits(request, several=True)
    if len(first) > 1 and action.only_one and not may_do_several:
        messages.error(request, str(action.only_one))
        return redirect(request.get_full_path())
    selection = select(
        user=signed_in_user(request),
        of=pages.opts.label_lower,
        ids=None if ids is None else list(rows.values_list("pk", flat=True)),
        filters=filters_in(request),
        newest_id=first[0] if isinstance(pages.opts.pk, BigAutoField) else None,
        connection_id=_only_connection(rows),
    )
    return redirect(action_url(pages, action, selection))


def _only_connection(rows: QuerySet[Any]) -> int | None:
    """Return the connection that all rows are of; ``None`` if they are of several, or of none."""
    if connection_column(rows.model) != "connection":
        return None
    found = list(rows.order_by().values_list("connection_id", flat=True).distinct()[:2])
    return found[0] if len(found) == 1 else None


def _listed_rows(
    pages: ActionsMixin, request: HttpRequest, filters: dict[str, list[str]] | None
) -> QuerySet[Any]:
    """
    Return the rows that the list shows to this user with these filters; all if there are none.

    :raises IncorrectLookupParameters: if a filter has a value that cannot be
    """
    if filters is None:
        return pages.get_queryset(request)
    asked = copy(request)
    asked.GET = query_of(filters)  # type: ignore[assignment]
    return pages.get_changelist_instance(asked).get_queryset(asked)


def filters_in(request: HttpRequest) -> dict[str, list[str]]:
    """Return the parameters of a list that say which rows match, as every database stores them."""
    return {
        storable(name): list(map(storable, values))
        for name, values in request.GET.lists()
        if name not in VIEW_PARAMETERS
    }


def query_of(filters: dict[str, list[str]]) -> QueryDict:
    query = QueryDict(mutable=True)
    for name, values in filters.items():
        query.setlist(name, values)
    return query


def number_of(text: Any) -> int:
    text = str(text or "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


# The page


def _action_path(pages: ActionsMixin, action: ListAction) -> Any:
    """Return the URL pattern of an action; it may call Zoho, as the pages of ``PagesAdmin``."""

    @require_http_methods(["GET", "POST"])
    def view(request: HttpRequest, selection: int) -> HttpResponseBase:
        check_permission(pages, request, action, several=True)
        found = find_selection(
            pk=selection, user=signed_in_user(request), of=pages.opts.label_lower
        )
        if found is None:
            raise Http404
        if found.has_expired:
            text = _("What was chosen has expired; please choose again.")
            messages.warning(request, text)
            return redirect(pages.back_url(found))
        page = pages.action_page(pages, request, action, found)
        if not action.permits(request, several=True, of=page.connection_id):
            raise PermissionDenied
        return page.respond()

    name = f"{pages.opts.app_label}_{pages.opts.model_name}_action_{action.name}"
    route = f"action/{action.name}/<int:selection>/"
    return path(route, non_atomic_requests(pages.admin_site.admin_view(view)), name=name)


def check_permission(
    pages: ActionsMixin, request: HttpRequest, action: ListAction, *, several: bool
) -> None:
    may_see = pages.has_view_or_change_permission(request)
    may_act = pages.may_act(request, action) and action.permits(request, several=several)
    if not (may_see and may_act):
        raise PermissionDenied


def action_url(pages: ActionsMixin, action: ListAction, selection: Selection) -> str:
    return _url(pages, f"action_{action.name}", selection.pk)


def _url(pages: ActionsMixin, name: str, *args: Any) -> str:
    full = f"admin:{pages.opts.app_label}_{pages.opts.model_name}_{name}"
    return reverse(full, args=args, current_app=pages.admin_site.name)
