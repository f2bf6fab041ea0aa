"""The actions of the list of outgoing records."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from zoho_crm.admin._action_kinds import ExportAction, SetAction
from zoho_crm.admin._base import signed_in_user
from zoho_crm.services.exports import csv_of_outbox
from zoho_crm.services.obstacles import LEAVE_OUT_OBSTACLES, SEND_AGAIN_OBSTACLES
from zoho_crm.services.outbox import many
from zoho_crm.types import ngettext_lazy

MAY_RESOLVE = "resolve_outboxrecord"


def _send_again(request: HttpRequest, ids: list[Any]) -> int:
    return many.send_again(ids=ids, by=signed_in_user(request))


def _leave_out(request: HttpRequest, ids: list[Any]) -> int:
    return many.leave_out(ids=ids, by=signed_in_user(request))


OUTBOX_ACTIONS = (
    SetAction(
        name="send_again",
        label=gettext_lazy("Send again"),
        permissions=(MAY_RESOLVE,),
        obstacles=SEND_AGAIN_OBSTACLES,
        will=ngettext_lazy(
            "The worker sends %(count)s record to Zoho again.",
            "The worker sends %(count)s records to Zoho again.",
            "count",
        ),
        notes=(
            gettext_lazy("Put the cause right first, or Zoho refuses it once more."),
            gettext_lazy(
                "Before a lead is created, its person is looked for again; if Zoho knows them, it "
                "waits for a person again."
            ),
            gettext_lazy("What waits with it, of the same key, goes along."),
        ),
        button=ngettext_lazy(
            "Send %(count)s record again", "Send %(count)s records again", "count"
        ),
        done=ngettext_lazy(
            "%(count)s record is sent again; the worker does it by itself.",
            "%(count)s records are sent again; the worker does it by itself.",
            "count",
        ),
        act=_send_again,
    ),
    SetAction(
        name="leave_out",
        label=gettext_lazy("Leave out"),
        permissions=(MAY_RESOLVE,),
        obstacles=LEAVE_OUT_OBSTACLES,
        will=ngettext_lazy(
            "%(count)s record is left out: it is never sent.",
            "%(count)s records are left out: they are never sent.",
            "count",
        ),
        notes=(
            gettext_lazy("That cannot be taken back here; it can be pushed again."),
            gettext_lazy("What waits with it, of the same key, is left out, too."),
        ),
        button=ngettext_lazy("Leave %(count)s record out", "Leave %(count)s records out", "count"),
        is_dangerous=True,
        done=ngettext_lazy(
            "%(count)s record is left out.", "%(count)s records are left out.", "count"
        ),
        act=_leave_out,
    ),
    ExportAction(
        name="export",
        label=gettext_lazy("Export as CSV"),
        permissions=("export_leadconversion",),
        will=ngettext_lazy(
            "%(count)s record is written to a CSV file, with what became of it.",
            "%(count)s records are written to a CSV file, with what became of them.",
            "count",
        ),
        notes=(gettext_lazy("The values that are sent are not in the file."),),
        button=ngettext_lazy("Export %(count)s record", "Export %(count)s records", "count"),
        lines=lambda page: csv_of_outbox(page.all_id_batches()),
        file_name="outbox.csv",
    ),
)
