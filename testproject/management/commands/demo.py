"""``manage.py demo``: a site with a Zoho of its own, at work."""

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

from testproject.demo import run, story, zoho
from testproject.demo.stage import Stage, stage
from testproject.demo.surroundings import TakenError, are_begun, begin_anew
from testproject.demo.table import compared, table
from zoho_crm.models import Connection, LeadConversion

INTERRUPTED = 130

TRY = """
Things to try:
  decide about a lead that waits    {site}/admin/zoho_crm/leadconversion/?status__exact=PREVIEWED
  see what truly happened           curl {zoho}/_simulator/ledger
  lose the answer of a conversion   curl -d '{fault}' {zoho}/_simulator/faults
  see the results of the run        {site}/admin/zoho_crm/massconversion/
  use the commands, from here       (. {environment} && .venv/bin/python manage.py zoho_status)
"""
FAULT = '{"on": "convert", "do": "close_after"}'


class Command(BaseCommand):
    help = "Run a site with a Zoho of its own: connect, preview, convert; then it is yours to try."
    # They would warn of a broker in memory, which is right for one process.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--once", action="store_true", help="end when the table is printed")
        port, leads = number(most=65_535), number(most=1_000)
        add("--port", type=port, default=8000, help="of the site, if it is free (default: 8000)")
        add("--leads", type=leads, default=20, help="how many leads there are (default: 20)")
        add("--keep", action="store_true", help="keep the database, and take up the kept one")

    def handle(self, *, keep: bool, **options: Any) -> None:
        if not are_begun():
            begin_anew(kept=settings.RUN_DIR / "demo" if keep else None)
        _stop_on_signals()
        try:
            wrong = self._run(keep=keep, **options)
        except TakenError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        if wrong:
            raise CommandError(wrong)

    def _run(
        self, *, once: bool, port: int, leads: int, keep: bool, verbosity: int, **options: Any
    ) -> str:
        """Start everything, show it, stay until a person has seen enough; return what is wrong."""
        with stage(port=port, leads=leads, keep=keep, quiet=verbosity < 2) as running:
            if port and not running.site.endswith(f":{port}"):
                self._say(f"Port {port} is taken; the site is at {running.site}.")
            wrong = self._show(running, once=once)
            if not once:
                _stay()
        return wrong

    def _show(self, running: Stage, *, once: bool) -> str:
        """Play the story, print what came of it, and return what is wrong."""
        admin, password = story.administrator()
        connection = self._connect(running, admin.get_username(), password)
        rows = story.look(connection, zoho.lead_ids(running.zoho), admin)
        self._say(f"Looked at {len(rows)} leads.")
        if lost := story.last_without_match(rows):
            zoho.lose_answer(running.zoho, lost.lead_id)
            self._say(f"The answer to the conversion of {lost.lead_id} will be lost.")
        if decided := story.decide(rows, admin):
            self._say(f"A person decided about {decided.lead_id}, with a deal.")
        story.convert([row for row in rows if decided is None or row.pk != decided.pk])
        rows = story.at_rest(connection)
        self._say("", *table(rows), "")
        wrong = self._convert_many(connection, running, admin)
        wrong = self._compare(story.at_rest(connection), running) or wrong
        if not once:
            self._say(TRY.format(fault=FAULT, **vars(running)))
        self._say(f"Site: {running.site}", f"Log-in: {admin.get_username()} / {password}")
        return wrong

    def _connect(self, running: Stage, username: str, password: str) -> Connection:
        try:
            page = story.connect(running.site, username=username, password=password)
        except LookupError as error:
            raise CommandError(str(error)) from error
        connection = Connection.objects.filter(org_id=running.org_id).first()
        if connection is None:
            raise CommandError(f"{page.url} (HTTP {page.status}): {' '.join(page.messages)}")
        self._say(f"Zoho: {running.zoho}", *page.messages)
        return connection

    def _convert_many(self, connection: Connection, running: Stage, admin: User) -> str:
        """Convert the leads of a fair in one run, and return what is wrong."""
        fair = run.prepare(connection, running.simulator, admin)
        self._say(*run.preview_in_words(fair))
        run.refuse_one(fair, running.zoho)
        fair = run.convert(fair, admin)
        self._say(*run.outcome_in_words(fair), "")
        return "" if fair.ended_at else f"Mass conversion {fair} did not end. {fair.paused_reason}"

    def _compare(self, rows: Sequence[LeadConversion], running: Stage) -> str:
        equal = compared(rows, zoho.ledger(running.zoho))
        self._say(f"Ledger: {len(equal)} rows, {sum(equal.values())} equal")
        moving = [row.lead_id for row in rows if not row.is_at_rest]
        if moving:
            return f"Still on their way: {', '.join(moving)}"
        differing = [lead_id for lead_id, is_equal in equal.items() if not is_equal]
        return f"Rows and ledger differ: {', '.join(differing)}" if differing else ""

    def _say(self, *lines: str) -> None:
        self.stdout.write("\n".join((*lines, "")))
        self.stdout.flush()


def number(*, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers for an argument."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) > most:
            raise ArgumentTypeError(f"{text} is no number from 0 to {most}")
        return int(text)

    return read


def _stop_on_signals() -> None:
    """Let the first signal end everything in order, and later ones not disturb that."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _stay() -> None:
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
