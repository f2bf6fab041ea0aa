"""What is done to leads in the review of a run: to one, to the ticked ones, to all that match."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from zoho_crm.admin._actions import MAX_NAMES, MAX_SECONDS, MORE_THAN_SHOWN, number_of
from zoho_crm.admin._base import PagesAdmin, signed_in_user
from zoho_crm.admin._runs import redirect_with_success
from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.forms import LOOK_AGAIN, DecisionForm
from zoho_crm.matching import Action
from zoho_crm.models import LeadConversion, MassConversion, Selection
from zoho_crm.services import bulk, mass_convert
from zoho_crm.services.obstacles import (
    Obstacles,
    count_by_obstacle,
    decision_obstacles,
    look_again_obstacles,
    without_obstacles,
)
from zoho_crm.services.run_review import ReviewFilter
from zoho_crm.services.run_statistics import rows_of
from zoho_crm.services.selections import chosen_rows, find_selection, id_batches, select
from zoho_crm.types import CountedText, ValueObject, ngettext_lazy

T = TypeVar("T")
#: What is listed, in the selections of the review.
LIST_NAME = "zoho_crm.leadconversion:review"
#: What the button of one lead decides: join this record, or the same as an action on several.
RECORDS = ("contact", "account")
WAYS = (*RECORDS, "create", "skip")


class Deed(ValueObject):
    """What can be done to leads of a run under review, in words."""

    will: CountedText
    note: Any = gettext_lazy("Nothing is sent before somebody starts the run.")
    button: CountedText = ngettext_lazy("Decide %(count)s lead", "Decide %(count)s leads", "count")
    done: CountedText = ngettext_lazy(
        "%(count)s lead is decided; nothing is sent yet.",
        "%(count)s leads are decided; nothing is sent yet.",
        "count",
    )
    log: Any = gettext_lazy("Decided.")


DEEDS: Mapping[str, Deed] = {
    Action.ATTACH: Deed(
        will=ngettext_lazy(
            "%(count)s lead joins the one record that matches it.",
            "%(count)s leads join the one record that matches each of them.",
            "count",
        )
    ),
    Action.CREATE: Deed(
        will=ngettext_lazy(
            "%(count)s lead becomes a new contact, and a new account if it has a company, whatever "
            "matches it.",
            "%(count)s leads become new contacts, and new accounts if they have a company, "
            "whatever matches them.",
            "count",
        )
    ),
    Action.SKIP: Deed(
        will=ngettext_lazy(
            "%(count)s lead is left out of this run, and stays as it is at Zoho.",
            "%(count)s leads are left out of this run, and stay as they are at Zoho.",
            "count",
        )
    ),
    LOOK_AGAIN: Deed(
        will=ngettext_lazy(
            "The worker reads %(count)s lead from Zoho anew, with what matches it.",
            "The worker reads %(count)s leads from Zoho anew, with what matches them.",
            "count",
        ),
        note=gettext_lazy(
            "A decision that somebody made is kept if it still fits; else the policy decides. The "
            "run can be started after that."
        ),
        button=ngettext_lazy(
            "Look at %(count)s lead again", "Look at %(count)s leads again", "count"
        ),
        done=ngettext_lazy(
            "%(count)s lead is read from Zoho again; the worker does it by itself.",
            "%(count)s leads are read from Zoho again; the worker does it by itself.",
            "count",
        ),
        log=gettext_lazy("Looked again."),
    ),
}


def act(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Do what a button of the review says."""
    given, here = request.POST, request.get_full_path()
    if "one" in given:
        return _decide_one(pages, request, run, given["one"])
    if one := _tick(given.get("again", "")):
        to = f"{here}#lead-{one[0]}"
        return _act_on(pages, request, run, LOOK_AGAIN, dict([one]), to=to)
    form = DecisionForm(given)
    if not form.is_valid():
        return pages.redirect_with_warning(request, run, _("Please choose a decision."), to=here)
    action = form.cleaned_data["action"]
    if form.cleaned_data["scope"] == DecisionForm.MATCHING:
        return _choose_matching(pages, request, run, action)
    versions = dict(filter(None, map(_tick, given.getlist("row"))))
    if not versions:
        text = _("Nothing is chosen: tick some, or choose all that match.")
        return pages.redirect_with_warning(request, run, text, to=here)
    return _act_on(pages, request, run, action, versions, to=here)


def _act_on(
    pages: PagesAdmin,
    request: HttpRequest,
    run: MassConversion,
    action: str,
    versions: Mapping[int, int],
    *,
    to: str,
) -> HttpResponse:
    """Do it to some leads, and say to how many, and how many stay as they are."""
    try:
        count = _do(request, run, action, versions)
    except RequestRefusedError as error:
        return pages.redirect_with_warning(request, run, str(error), to=to)
    return _report(pages, request, run, action, count, left=len(versions) - count, to=to)


def _do(request: HttpRequest, run: MassConversion, action: str, versions: Mapping[int, int]) -> int:
    """
    Do it to leads, and return to how many.

    :param versions: of the rows that were shown, by primary key
    :raises RequestRefusedError: if the run is not in review
    """
    by = signed_in_user(request)
    if action == LOOK_AGAIN:
        return bulk.look_again(run=run, versions=versions, by=by)
    return mass_convert.decide_rows(run_id=run.pk, versions=versions, action=action, by=by)


def _report(
    pages: PagesAdmin,
    request: HttpRequest,
    run: MassConversion,
    action: str,
    count: int,
    *,
    left: int,
    to: str,
) -> HttpResponse:
    if left > 0:
        text = ngettext(
            "%(count)s lead stays as it is: this does not fit it, or it has changed since it was "
            "shown.",
            "%(count)s leads stay as they are: this does not fit them, or they have changed since "
            "they were shown.",
            left,
        )
        messages.warning(request, text % {"count": left})
    if not count:
        return redirect(to)
    deed = DEEDS[action]
    text = deed.done % {"count": count}
    return redirect_with_success(pages, request, run, text, log=deed.log, to=to)


def _tick(text: str) -> tuple[int, int] | None:
    """Return the primary key and the version of a ticked row; ``None`` if the text is no tick."""
    parts = text.split(":")
    if len(parts) != 2 or not all(map(_is_number, parts)):
        return None
    return int(parts[0]), int(parts[1])


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _decide_one(
    pages: PagesAdmin, request: HttpRequest, run: MassConversion, given: str
) -> HttpResponse:
    """Decide about one lead as its button says, which names lead, version, way and record."""
    pk, version, way, record_id = [*given.split(":"), *[""] * 4][:4]
    is_complete = way in WAYS and bool(record_id) == (way in RECORDS)
    if not (_is_number(pk) and _is_number(version) and is_complete):
        text = _("Please choose a decision.")
        return pages.redirect_with_warning(request, run, text, to=request.get_full_path())
    row = get_object_or_404(LeadConversion, pk=pk, mass_conversion=run)
    here = f"{request.get_full_path()}#lead-{row.pk}"
    of: dict[str, Any] = {"conversion_id": row.pk, "version": int(version)}
    of["by"] = signed_in_user(request)
    try:
        if way == "skip":
            mass_convert.decide_one(plan=None, **of)
        else:
            records: dict[str, Any] = {f"{way}_id": record_id} if way in RECORDS else {}
            mass_convert.choose_match(**records, **of)
    except RequestRefusedError as error:
        return pages.redirect_with_warning(request, run, str(error), to=here)
    text = _("The lead %s is decided; nothing is sent yet.") % row.lead_name
    log = gettext_lazy("Decided.")
    return redirect_with_success(pages, request, run, text, log=log, to=here)


# All that match


class Choice(ValueObject):
    """All that matched when a user chose them, and what is to be done to them."""

    selection: Selection
    action: str
    chosen: ReviewFilter

    def rows(self, run: MassConversion) -> QuerySet[LeadConversion]:
        """Return those that match still; of a sample, its leads."""
        is_sample = self.selection.ids is not None
        return chosen_rows(self.selection, rows_of(run) if is_sample else self.chosen.rows(run))

    def obstacles(self) -> Obstacles:
        """Return why it cannot be done to some of them; a decision of the meantime is one."""
        takes_left_out = self.chosen.decision == "left_out"
        if self.action == LOOK_AGAIN:
            return look_again_obstacles(takes_left_out=takes_left_out)
        revision = int(self.selection.filters["revision"][0])
        return decision_obstacles(self.action, takes_left_out=takes_left_out, revision=revision)


def _choose_matching(
    pages: PagesAdmin, request: HttpRequest, run: MassConversion, action: str
) -> HttpResponse:
    """Remember all leads that match, and go on to the page that says what will happen."""
    chosen = ReviewFilter.from_values(request.GET)
    keys = chosen.rows(run).order_by("-pk").values_list("pk", flat=True)
    filters = {**chosen.values(), "run": str(run.pk), "revision": str(run.revision)}
    selection = select(
        user=signed_in_user(request),
        of=LIST_NAME,
        ids=list(keys) if chosen.sample else None,
        filters={name: [text] for name, text in filters.items()},
        newest_id=keys.first() or 0,
        connection_id=run.connection_id,
    )
    query = urlencode({"selection": selection.pk, "action": action})
    return redirect(f"{pages.page_url('decide_all', run.pk)}?{query}")


def _find_choice(request: HttpRequest, run: MassConversion) -> Choice | None:
    """Return what this user chose in the review of a run; ``None`` if it can be used no longer."""
    number, action = request.GET.get("selection", ""), request.GET.get("action", "")
    is_possible = run.stage == MassConversion.Stage.REVIEW and _is_number(number)
    if not is_possible or action not in DEEDS:
        return None
    found = find_selection(pk=int(number), user=signed_in_user(request), of=LIST_NAME)
    if found is None or found.has_expired or found.filters.get("run") != [str(run.pk)]:
        return None
    given = {name: values[0] for name, values in found.filters.items()}
    return Choice(selection=found, action=action, chosen=ReviewFilter.from_values(given))


def decide_all_page(pages: PagesAdmin, request: HttpRequest, run: MassConversion) -> HttpResponse:
    """Show to how many leads that match something is done; on POST do it."""
    choice, back = _find_choice(request, run), pages.page_url("decide", run.pk)
    if choice is None:
        text = _("What was chosen has expired; please choose again.")
        return pages.redirect_with_warning(request, run, text, to=back)
    back += f"?{urlencode(choice.chosen.values())}"
    rows, obstacles = choice.rows(run), choice.obstacles()
    count, left_out = count_by_obstacle(rows, obstacles)
    fitting = without_obstacles(rows, obstacles)
    if request.method == "POST" and count:
        if count <= number_of(request.POST.get("count")):
            return _act_on_all(pages, request, run, choice.action, fitting, back)
        messages.warning(request, str(MORE_THAN_SHOWN))
    deed = DEEDS[choice.action]
    names = fitting.order_by("pk")[:MAX_NAMES] if count else []
    return pages.render_page(
        request,
        "decide_all.html",
        page_name=_("Look again") if choice.action == LOOK_AGAIN else _("Decide"),
        original=run,
        title=_("Look again: %s") % run if choice.action == LOOK_AGAIN else _("Decide: %s") % run,
        count=count,
        sentences=[deed.will % {"count": count}, deed.note],
        names=[f"{row.lead_name} ({row.lead_id})" for row in names],
        more=max(0, count - MAX_NAMES),
        left_out=[obstacle.describe(n) for obstacle, n in left_out],
        button=deed.button % {"count": count},
        back=back,
    )


def _act_on_all(
    pages: PagesAdmin,
    request: HttpRequest,
    run: MassConversion,
    action: str,
    fitting: QuerySet[LeadConversion],
    back: str,
) -> HttpResponse:
    """Do it in sets, until the time of a request is over; what is left then can be done next."""
    shown, count = number_of(request.POST.get("count")), 0
    try:
        for versions in _in_time(_version_batches(fitting)):
            count += _do(request, run, action, versions)
    except RequestRefusedError as error:
        messages.warning(request, str(error))
        return _report(pages, request, run, action, count, left=0, to=back)
    rest = fitting.count()
    if rest:
        text = _("It takes longer than one request may: press the button again for the rest.")
        messages.warning(request, text)
    to = request.get_full_path() if rest else back
    return _report(pages, request, run, action, count, left=shown - count - rest, to=to)


def _version_batches(rows: QuerySet[LeadConversion]) -> Iterator[dict[int, int]]:
    """
    Yield the versions of rows by primary key, in sets.

    Rows that are decided after they were read have another version, and stay as they are then.
    """
    for ids in id_batches(rows):
        yield dict(rows.filter(pk__in=ids).values_list("pk", "version"))


def _in_time(batches: Iterable[T]) -> Iterator[T]:
    """Yield sets until the time of a request is over."""
    began = time.monotonic()
    for batch in batches:
        yield batch
        if time.monotonic() - began > MAX_SECONDS:
            return
