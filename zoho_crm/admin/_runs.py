"""What the pages of a run share: its state, and what a button answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse

from zoho_crm import tasks
from zoho_crm.admin._base import PagesAdmin, has_any_permission
from zoho_crm.admin._html import state_html
from zoho_crm.models import MassConversion
from zoho_crm.services import mass_convert
from zoho_crm.services.run_statistics import duration_text
from zoho_crm.services.states import available_actions, describe_run

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


#: One of these is needed to see values in the source of a run: its filters, and its lines.
SOURCE_PERMISSIONS = ("prepare_massconversion", "view_payload_leadconversion")


def may_see_source(request: HttpRequest, run: MassConversion) -> bool:
    """Return whether the user may see values of leads in the source of a run."""
    return has_any_permission(request, *SOURCE_PERMISSIONS, of=run)


def state_context(run: MassConversion, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the template variables for the state of a run and its possible actions."""
    return {
        "original": run,
        "run": run,
        "state": state_html(describe_run(run, counts)),
        **available_actions(run, counts),
    }


def estimate_context(run: MassConversion) -> dict[str, Any]:
    """Return the estimate of what is left to do, and its duration in words."""
    estimate = mass_convert.estimate(run)
    return {"estimate": estimate, "duration": duration_text(estimate.seconds)}


def redirect_with_success(
    pages: PagesAdmin,
    request: HttpRequest,
    run: MassConversion,
    text: str,
    *,
    log: StrPromise,
    to: str = "",
) -> HttpResponse:
    """Wake the worker of a run, log what was done, and say so on its page or another one."""
    tasks.wake(run.connection_id)
    return pages.redirect_with_success(request, run, text, log=log, to=to)
