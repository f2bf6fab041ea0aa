"""``manage.py demo``: run a site with its own simulated Zoho and convert leads with it."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from testproject.demo import enquiry, mass_conversion, scenario, simulator_client
from testproject.demo.environment import (
    FolderLockedError,
    is_demo_process,
    restart_in_environment,
)
from testproject.demo.results import compare_with_ledger, table
from testproject.demo.stack import DemoStack, run_stack
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services.presentation import pause_text

INTERRUPTED = 130

THINGS_TO_TRY = """
Things to try:
  send an enquiry, which is a lead  {site}/
  decide about a lead that waits    {site}/admin/zoho_crm/leadconversion/?status__exact=PREVIEWED
  see the simulator's ledger        curl {zoho}/_simulator/ledger
  lose the answer of a conversion   curl -d '{fault}' {zoho}/_simulator/faults
  see the results of the run        {site}/admin/zoho_crm/massconversion/
  use the commands, from here       (. {env_file} && .venv/bin/python manage.py zoho_status)
"""
EXAMPLE_FAULT = '{"on": "convert", "do": "close_after"}'


class Command(BaseCommand):
    help = (
        "Run a site with its own simulated Zoho: connect, preview, convert; then try it yourself."
    )
    # The checks would warn of a broker in memory, which is right for one process.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--once", action="store_true", help="end when the table is printed")
        port, leads = whole_number(maximum=65_535), whole_number(maximum=1_000)
        add("--port", type=port, default=8000, help="of the site, if it is free (default: 8000)")
        add("--leads", type=leads, default=20, help="how many leads there are (default: 20)")
        add("--keep", action="store_true", help="keep the database, and use the one that was kept")

    def handle(self, *, keep: bool, **options: Any) -> None:
        if not is_demo_process():
            restart_in_environment(kept=settings.RUN_DIR / "demo" if keep else None)
        _stop_on_signals()
        try:
            failure = self._run(keep=keep, **options)
        except FolderLockedError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        if failure:
            raise CommandError(failure)

    def _run(
        self, *, once: bool, port: int, leads: int, keep: bool, verbosity: int, **options: Any
    ) -> str:
        """Start everything, run the scenario, wait for Ctrl-C unless ``once``; return the error."""
        with run_stack(port=port, leads=leads, keep=keep, quiet=verbosity < 2) as stack:
            if port and not stack.site.endswith(f":{port}"):
                self._print(f"Port {port} is taken; the site is at {stack.site}.")
            failure = self._run_scenario(stack, once=once)
            if not once:
                _wait_for_interrupt()
        return failure

    def _run_scenario(self, stack: DemoStack, *, once: bool) -> str:
        """Run all steps, print their results, and return an error message or an empty text."""
        admin, password = scenario.create_administrator()
        connection = self._connect(stack, admin.get_username(), password)
        rows = scenario.preview_leads(connection, simulator_client.lead_ids(stack.zoho), admin)
        self._print(f"Previewed {len(rows)} leads.")
        if lost := scenario.last_lead_without_match(rows):
            simulator_client.lose_answer(stack.zoho, lost.lead_id)
            self._print(f"The answer to the conversion of {lost.lead_id} will be lost.")
        if decided := scenario.decide_one(rows, admin):
            self._print(f"A person decided about {decided.lead_id}, with a deal.")
        scenario.convert_leads([row for row in rows if decided is None or row.pk != decided.pk])
        rows = scenario.wait_until_at_rest(connection)
        self._print("", *table(rows), "")
        failure = self._convert_many(connection, stack, admin)
        failure = self._enquire(stack) or failure
        failure = self._compare(scenario.wait_until_at_rest(connection), stack) or failure
        if not once:
            self._print(THINGS_TO_TRY.format(fault=EXAMPLE_FAULT, **vars(stack)))
        self._print(f"Site: {stack.site}", f"Log-in: {admin.get_username()} / {password}")
        return failure

    def _connect(self, stack: DemoStack, username: str, password: str) -> Connection:
        try:
            page = scenario.connect_in_browser(stack.site, username=username, password=password)
        except LookupError as error:
            raise CommandError(str(error)) from error
        connection = Connection.objects.filter(org_id=stack.org_id).first()
        if connection is None:
            raise CommandError(f"{page.url} (HTTP {page.status}): {' '.join(page.messages)}")
        self._print(f"Zoho: {stack.zoho}", *page.messages)
        return connection

    def _convert_many(self, connection: Connection, stack: DemoStack, admin: User) -> str:
        """Run the mass conversion, print its results, and return an error message."""
        run = mass_conversion.prepare(connection, stack.simulator, admin)
        self._print(*mass_conversion.preview_lines(run))
        mass_conversion.refuse_one(run, stack.zoho)
        run = mass_conversion.convert(run, admin)
        self._print(*mass_conversion.outcome_lines(run), "")
        return "" if run.ended_at else f"Run {run} did not end. {pause_text(run)}"

    def _enquire(self, stack: DemoStack) -> str:
        """Let a visitor fill in the form on the front page; return an error message."""
        lead_id = enquiry.wait_until_lead(enquiry.enquire_in_browser(stack.site))
        if lead_id:
            self._print(f"A visitor's enquiry from the front page is lead {lead_id} at Zoho.", "")
        return "" if lead_id else "The enquiry from the front page has not become a lead."

    def _compare(self, rows: Sequence[LeadConversion], stack: DemoStack) -> str:
        equal = compare_with_ledger(rows, simulator_client.ledger(stack.zoho))
        self._print(f"Ledger: {len(equal)} rows, {sum(equal.values())} equal")
        in_progress = [row.lead_id for row in rows if not row.is_at_rest]
        if in_progress:
            return f"Still in progress: {', '.join(in_progress)}"
        differing = [lead_id for lead_id, is_equal in equal.items() if not is_equal]
        return f"Rows and ledger differ: {', '.join(differing)}" if differing else ""

    def _print(self, *lines: str) -> None:
        self.stdout.write("\n".join((*lines, "")))
        self.stdout.flush()


def whole_number(*, maximum: int) -> Callable[[str], int]:
    """Return an argument type for whole numbers from 0 to a maximum."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) > maximum:
            raise ArgumentTypeError(f"{text} is no number from 0 to {maximum}")
        return int(text)

    return read


def _stop_on_signals() -> None:
    """Let the first SIGINT or SIGTERM start an orderly shutdown, and ignore later ones."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _wait_for_interrupt() -> None:
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
