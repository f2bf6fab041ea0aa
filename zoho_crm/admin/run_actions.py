"""The actions of the list of mass conversions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from zoho_crm import tasks
from zoho_crm.admin._action_kinds import ExportAction, RowAction
from zoho_crm.admin._actions import ActionPage
from zoho_crm.admin._base import signed_in_user
from zoho_crm.admin._runs import may_see_source
from zoho_crm.models import MassConversion
from zoho_crm.services import mass_convert
from zoho_crm.services.exports import csv_of_runs
from zoho_crm.services.obstacles import (
    CANCEL_OBSTACLES,
    PAUSE_OBSTACLES,
    RESUME_OBSTACLES,
    RETRY_OBSTACLES,
)
from zoho_crm.types import ngettext_lazy

MAY_PAUSE = ("pause_massconversion",)


def _pause(request: HttpRequest, run: MassConversion) -> str:
    is_paused = mass_convert.pause(run_id=run.pk, by=signed_in_user(request))
    return "" if is_paused else _("It is not running, so it was not paused.")


def _resume(request: HttpRequest, run: MassConversion) -> str:
    is_resumed = mass_convert.resume(run_id=run.pk)
    tasks.wake(run.connection_id)
    return "" if is_resumed else _("It was not paused.")


def _cancel(request: HttpRequest, run: MassConversion) -> str:
    is_cancelled = mass_convert.cancel(run_id=run.pk)
    tasks.wake(run.connection_id)
    return "" if is_cancelled else _("It is over already.")


def _retry(request: HttpRequest, run: MassConversion) -> str:
    count = mass_convert.retry(run_id=run.pk, by=signed_in_user(request))
    tasks.wake(run.connection_id)
    return "" if count else _("It has no refused or undecided lead.")


def _run_lines(page: ActionPage) -> Iterator[str]:
    return csv_of_runs(page.all_id_batches(), may_see_source=partial(may_see_source, page.request))


RUN_ACTIONS = (
    RowAction(
        name="pause",
        label=gettext_lazy("Pause"),
        permissions=MAY_PAUSE,
        obstacles=PAUSE_OBSTACLES,
        will=ngettext_lazy(
            "%(count)s run begins with no further lead until somebody resumes it.",
            "%(count)s runs begin with no further lead until somebody resumes them.",
            "count",
        ),
        notes=(gettext_lazy("What was sent already is settled."),),
        button=ngettext_lazy("Pause %(count)s run", "Pause %(count)s runs", "count"),
        done=ngettext_lazy(
            "%(count)s run is paused; what was sent already is settled.",
            "%(count)s runs are paused; what was sent already is settled.",
            "count",
        ),
        act=_pause,
        log=gettext_lazy("Paused."),
    ),
    RowAction(
        name="resume",
        label=gettext_lazy("Resume"),
        permissions=MAY_PAUSE,
        obstacles=RESUME_OBSTACLES,
        will=ngettext_lazy("%(count)s run goes on.", "%(count)s runs go on.", "count"),
        notes=(gettext_lazy("The first leads of each are sent one by one."),),
        button=ngettext_lazy("Resume %(count)s run", "Resume %(count)s runs", "count"),
        done=ngettext_lazy("%(count)s run goes on.", "%(count)s runs go on.", "count"),
        act=_resume,
        log=gettext_lazy("Resumed."),
    ),
    RowAction(
        name="cancel",
        label=gettext_lazy("Cancel…"),
        permissions=MAY_PAUSE,
        obstacles=CANCEL_OBSTACLES,
        page_of_one="cancel",
        will=ngettext_lazy(
            "%(count)s run ends: what was not sent is left out, and stays as it is at Zoho.",
            "%(count)s runs end: what was not sent is left out, and stays as it is at Zoho.",
            "count",
        ),
        notes=(
            gettext_lazy("What is under way is settled; what is converted stays converted."),
            gettext_lazy(
                "A cancelled run cannot be taken up again; its leads can be taken into another."
            ),
        ),
        button=ngettext_lazy("Cancel %(count)s run", "Cancel %(count)s runs", "count"),
        is_dangerous=True,
        done=ngettext_lazy("%(count)s run is cancelled.", "%(count)s runs are cancelled.", "count"),
        act=_cancel,
        log=gettext_lazy("Cancelled."),
    ),
    RowAction(
        name="retry",
        label=gettext_lazy("Retry what failed"),
        permissions=MAY_PAUSE,
        obstacles=RETRY_OBSTACLES,
        will=ngettext_lazy(
            "The refused and undecided leads of %(count)s run are previewed again.",
            "The refused and undecided leads of %(count)s runs are previewed again.",
            "count",
        ),
        notes=(gettext_lazy("They are sent after new decisions, when somebody starts it again."),),
        button=ngettext_lazy("Retry %(count)s run", "Retry %(count)s runs", "count"),
        done=ngettext_lazy(
            "The leads of %(count)s run are previewed again.",
            "The leads of %(count)s runs are previewed again.",
            "count",
        ),
        act=_retry,
        log=gettext_lazy("Retried."),
    ),
    ExportAction(
        name="export",
        label=gettext_lazy("Export as CSV"),
        permissions=("export_leadconversion",),
        will=ngettext_lazy(
            "%(count)s run is written to a CSV file, with the numbers of its leads.",
            "%(count)s runs are written to a CSV file, one a line, with the numbers of their "
            "leads.",
            "count",
        ),
        notes=(gettext_lazy("The results lead by lead are exported from the page of a run."),),
        button=ngettext_lazy("Export %(count)s run", "Export %(count)s runs", "count"),
        lines=_run_lines,
        file_name="runs.csv",
    ),
)
