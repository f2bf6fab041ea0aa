"""The kinds of actions of lists: what one says before, and how it is done to the chosen rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.db.models import Model, Q
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy

from zoho_crm import tasks
from zoho_crm.admin._base import EXPECTED_ERRORS, access_in
from zoho_crm.services.access import connection_column
from zoho_crm.services.obstacles import Obstacles, not_permitted
from zoho_crm.services.presentation import describe_error
from zoho_crm.types import CountedText, ValueObject

if TYPE_CHECKING:
    from zoho_crm.admin._actions import ActionPage


class ListAction(ValueObject):
    """What can be done to the chosen rows of a list."""

    #: Of the action in the list, and in its URL.
    name: str
    label: Any
    #: Permissions of the app, of which one is needed.
    permissions: tuple[str, ...]
    #: Whether it is needed for all connections: what is done to one changes what others do.
    is_of_all: bool = False
    #: What will happen to ``count`` rows, and what else is to be known before.
    will: CountedText | str
    notes: Sequence[Any] = ()
    button: CountedText | str
    #: What was done to ``count`` rows, and what to say if to none.
    done: Any = ""
    nothing_done: Any = gettext_lazy("Nothing was left to do.")
    obstacles: Obstacles | Callable[[HttpRequest], Obstacles] = ()
    #: What cannot be taken back has a button of another colour.
    is_dangerous: bool = False
    #: The name of the model's page for one row, which is opened instead if one is chosen.
    page_of_one: str = ""
    #: What to say if several are chosen and only one may be, or the user lacks the permission.
    only_one: Any = ""
    #: One of these is needed, too, if several are chosen.
    permissions_for_several: tuple[str, ...] = ()

    def obstacles_for(self, request: HttpRequest, model: type[Model]) -> Obstacles:
        """Return the obstacles for this user, the lack of a permission being the first one."""
        own = self.obstacles(request) if callable(self.obstacles) else self.obstacles
        access, column = access_in(request), connection_column(model)
        limits = [access.connection_ids(*names) for names in self.needed(several=True)]
        restricted = [ids for ids in limits if ids is not None]
        if not (restricted and column):
            return own
        ids = frozenset.intersection(*restricted)
        return (not_permitted(~Q(**{f"{column}__in": ids})), *own)

    def needed(self, *, several: bool) -> list[tuple[str, ...]]:
        """Return the sets of permissions of each of which one is needed, for one row or several."""
        more = several and self.permissions_for_several
        return [self.permissions, *([self.permissions_for_several] if more else [])]

    def permits(self, request: HttpRequest, *, several: bool, of: Any = None) -> bool:
        """
        Return whether the user has the permissions for one row, or for several.

        :param of: the connection that the rows are of, or its primary key; ``None`` for any
        """
        may = access_in(request)
        if self.is_of_all:
            return may.everywhere(*self.permissions)
        needed = self.needed(several=several)
        return all(may.somewhere(*each) if of is None else may.of(of, *each) for each in needed)

    def refusal(self, page: ActionPage) -> str:
        """Return why it cannot be done to this choice of rows at all; empty if it can."""
        is_too_many = self.only_one and not self.permissions_for_several and page.count > 1
        return str(self.only_one) if is_too_many else ""

    def form(self, page: ActionPage) -> forms.Form | None:
        """Return the form on the page; ``None`` if there is nothing to enter."""
        return None

    def facts(self, page: ActionPage) -> list[str]:
        """Return what else is to be known before, and depends on the chosen rows."""
        return []

    def perform(self, page: ActionPage) -> HttpResponseBase:
        """Do it to the rows that were shown, as far as they still fit."""
        raise NotImplementedError


class SetAction(ListAction):
    """An action that a service does to sets of rows."""

    #: Does it to the rows with these ids, and returns to how many.
    act: Callable[[HttpRequest, list[Any]], int]
    #: Rows of one set.
    batch: int = 500

    def perform(self, page: ActionPage) -> HttpResponseBase:
        done, problems = 0, []
        connections = page.connection_ids()
        try:
            for ids in page.id_batches(self.batch):
                done += self.act(page.request, ids)
        except EXPECTED_ERRORS as error:
            problems.append(describe_error(error))
        for connection_id in connections:
            tasks.wake(connection_id)
        page.log(done)
        return page.report(done, problems)


class RowAction(ListAction):
    """An action that a service does to one row after the other; each has its log entry."""

    #: Does it to a row; returns why not, or an empty text.
    act: Callable[[HttpRequest, Any], str]
    log: Any

    def perform(self, page: ActionPage) -> HttpResponseBase:
        done, problems = 0, []
        for (pk,) in page.id_batches(1):
            if (row := page.rows.filter(pk=pk).first()) is None:
                continue
            try:
                problem = self.act(page.request, row)
            except EXPECTED_ERRORS as error:
                problem = describe_error(error)
            if problem:
                problems.append(f"{row}: {problem}")
            else:
                done += 1
                page.pages.log_change(page.request, row, self.log)
        return page.report(done, problems)


class ExportAction(ListAction):
    """An action that streams the chosen rows as CSV."""

    #: Yields the lines of the file.
    lines: Callable[[ActionPage], Iterable[str]]
    file_name: str

    def perform(self, page: ActionPage) -> HttpResponseBase:
        page.log(page.count)
        response = StreamingHttpResponse(self.lines(page), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{self.file_name}"'
        return response
