"""``manage.py zoho_preview``: show verdict, matching records and plan of leads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from zoho_crm.management._arguments import add_lead_arguments, lead_ids
from zoho_crm.management._command import (
    ZohoCommand,
    add_connection_argument,
    add_user_argument,
    chosen_connection,
    stdin_of,
)
from zoho_crm.management._conversions import (
    lead_sentences,
    matches_as_json,
    proposed_plan,
    show_lead,
)
from zoho_crm.management._exits import ExitCode, Problems, error_text, exit_code_of
from zoho_crm.management._plans import add_policy_argument, chosen_policy
from zoho_crm.matching import Policy
from zoho_crm.models import LeadConversion
from zoho_crm.services.work.preview_leads import preview_leads
from zoho_crm.types import as_json

FIELDS = (
    "lead_id",
    "status",
    "verdict",
    "reason",
    "version",
    "contacts",
    "accounts",
    "plan",
    "sentences",
)


class Command(ZohoCommand):
    help = gettext_noop("Show what leads would become, and which existing records match them.")

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_lead_arguments(parser)
        add_connection_argument(parser)
        add_user_argument(parser, _("show what this user would see, and store nothing"))
        text = _(
            "careful, attach or a saved one: show what it would do (default: the proposed plan)"
        )
        add_policy_argument(parser, text)

    def handle(
        self,
        *args: Any,
        leads: list[str],
        ids_file: str | None,
        policy: str | None,
        **options: Any,
    ) -> None:
        ids = lead_ids(leads, ids_file, stdin_of(options))
        rules = chosen_policy(policy) if policy else None
        connection = chosen_connection(options["connection"])
        problems = Problems()
        rows = _previews(connection.pk, ids, options["user"], problems)
        output = self.open_output(options)
        if output.is_table:
            for row in rows:
                show_lead(row, lead_sentences(row, proposed_plan(row, rules)), output)
        else:
            lines = (_output_row(row, rules) for row in rows)
            output.show(lines, fields=FIELDS, columns={})
        problems.finish()


def _previews(
    connection_id: int, ids: list[str], user: str | None, problems: Problems
) -> Iterator[LeadConversion]:
    """Yield the previews of leads; an error of the connection is raised, one of a lead is noted."""
    previews = preview_leads(connection_id=connection_id, lead_ids=ids, user=user)
    with closing(previews):
        for lead_id, found in previews:
            if isinstance(found, LeadConversion):
                yield found
                continue
            code = exit_code_of(found)
            if code != ExitCode.ERROR:
                raise found
            problems.add(code, f"{lead_id}: {error_text(found)}")


def _output_row(row: LeadConversion, policy: Policy | None) -> dict[str, Any]:
    options, plan = row.stored_options(), proposed_plan(row, policy)
    return {
        "lead_id": row.lead_id,
        "status": row.status,
        "verdict": row.verdict,
        "reason": row.reason,
        "version": row.version,
        "contacts": matches_as_json(options.contacts),
        "accounts": matches_as_json(options.accounts),
        "plan": as_json(plan),
        "sentences": lead_sentences(row, plan),
    }
