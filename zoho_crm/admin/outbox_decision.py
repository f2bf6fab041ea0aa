"""The page on which a person decides what becomes of a pushed record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import tasks
from zoho_crm.admin._base import PagesAdmin, has_any_permission, signed_in_user
from zoho_crm.admin.outbox import (
    MAY_SEE_VALUES,
    known_people,
    row_title,
    shown_values,
    state_context,
)
from zoho_crm.exceptions import RequestRefusedError, StaleDecisionError
from zoho_crm.forms import ContactForm, FoundForm, LeaveOutForm, VersionForm
from zoho_crm.models import OutboxRecord
from zoho_crm.services import outbox
from zoho_crm.services.states import can_be_sent_again
from zoho_crm.types import ValueObject

Status = OutboxRecord.Status


class Step(ValueObject):
    """What a button of the page lets happen."""

    form: type[VersionForm]
    #: The service; it gets the values of the form.
    act: Callable[..., OutboxRecord]
    #: What to say and log when it is done.
    done: Any


STEPS: Mapping[str, Step] = {
    "send": Step(
        form=VersionForm,
        act=outbox.send_again,
        done=gettext_lazy("It is sent again; the worker does it by itself."),
    ),
    "update": Step(
        form=ContactForm,
        act=outbox.update_contact,
        done=gettext_lazy("The contact is updated instead; the worker does it by itself."),
    ),
    "create": Step(
        form=VersionForm,
        act=outbox.create_anyway,
        done=gettext_lazy("The lead is created anyway; the worker does it by itself."),
    ),
    "found": Step(
        form=FoundForm,
        act=outbox.found_at_zoho,
        done=gettext_lazy("It is noted as found at Zoho, and not sent again."),
    ),
    "leave_out": Step(
        form=LeaveOutForm,
        act=outbox.leave_out,
        done=gettext_lazy("It is left out and is not sent."),
    ),
}


def decide_page(pages: PagesAdmin, request: HttpRequest, row: OutboxRecord) -> HttpResponse:
    """Show what may be decided about a record; on POST do what the button says."""
    if request.method != "POST":
        return show_decision(pages, request, row)
    step = STEPS.get(request.POST.get("step", ""))
    form = step.form(request.POST) if step else VersionForm(request.POST)
    here = pages.page_url("decide", row.pk)
    if step is None or VersionForm(request.POST).seen_version != row.version:
        return pages.redirect_with_warning(request, row, str(StaleDecisionError()), to=here)
    if not form.is_valid():
        return show_decision(pages, request, row, form)
    try:
        step.act(record_id=row.pk, by=signed_in_user(request), **form.cleaned_data)
    except RequestRefusedError as error:
        return pages.redirect_with_warning(request, row, str(error), to=here)
    tasks.wake(row.connection_id)
    return pages.redirect_with_success(request, row, str(step.done), log=step.done)


def show_decision(
    pages: PagesAdmin, request: HttpRequest, row: OutboxRecord, form: VersionForm | None = None
) -> HttpResponse:
    """Render the person's page of a record, with the errors of a form if it has some."""
    initial = {"version": row.version}
    needs_person = row.status == Status.NEEDS_REVIEW
    people = known_people(row) if needs_person else []
    context = {
        "people": people,
        "can_send_again": can_be_sent_again(row),
        "can_create": bool(people),
        "form": form or VersionForm(),
        "found_form": form if isinstance(form, FoundForm) else FoundForm(initial=initial),
        "leave_out_form": form if isinstance(form, LeaveOutForm) else LeaveOutForm(initial=initial),
        "can_be_found": needs_person,
    }
    if has_any_permission(request, MAY_SEE_VALUES, of=row):
        context["values"] = shown_values(row.values)
    return pages.render_page(
        request,
        "decide.html",
        page_name=_("Decide"),
        title=row_title(row),
        original=row,
        record_name=row_title(row),
        **context,
        **state_context(request, row),
    )
