"""``manage.py zoho_simulator``: run a simulated Zoho CRM on a loopback port."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from zoho_crm.management import _arguments as arguments
from zoho_crm.management._command import TranslatedCommand
from zoho_crm.simulator import Server, Simulator, SimulatorSettings

#: Exit code of a program that Ctrl-C ended.
INTERRUPTED = 130


class Command(TranslatedCommand):
    help = gettext_noop("Run a simulated Zoho CRM on a loopback port, until Ctrl-C.")
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        default = SimulatorSettings()
        numbers = {
            "--port": (8080, _("0 picks a free one")),
            "--leads": (default.leads, _("number of leads at the start")),
            "--seed": (default.seed, _("seed of the leads' names")),
            "--latency-ms": (0, _("milliseconds added to every CRM call")),
            "--concurrency": (
                default.concurrency,
                _("limit of calls in progress, beyond which the answer is 429"),
            ),
            "--credits": (default.credits, _("API credits in 24 hours")),
            "--job-ms-per-lead": (0, _("milliseconds that a mass convert job takes for each lead")),
            "--token-seconds": (
                int(default.token_seconds),
                _("lifetime of access tokens in seconds"),
            ),
        }
        for name, (value, meaning) in numbers.items():
            parser.add_argument(
                name, type=arguments.natural, default=value, help=f"{meaning} ({value})"
            )
        parser.add_argument(
            "--legacy-expires-in",
            action="store_true",
            help=_("answer expires_in in milliseconds, as legacy clients get it"),
        )

    def handle(
        self,
        *,
        port: int,
        leads: int,
        seed: int,
        latency_ms: int,
        concurrency: int,
        credits: int,
        job_ms_per_lead: int,
        token_seconds: int,
        legacy_expires_in: bool,
        **options: Any,
    ) -> None:
        settings = SimulatorSettings(
            leads=leads,
            seed=seed,
            latency=latency_ms / 1000,
            concurrency=concurrency,
            credits=credits,
            job_seconds_per_lead=job_ms_per_lead / 1000,
            token_seconds=token_seconds,
            legacy_expires_in=legacy_expires_in,
        )
        try:
            server = Server(Simulator(settings), port=port)
        except (OSError, OverflowError) as error:
            message = _("Port %(port)s cannot be used: %(error)s")
            raise CommandError(message % {"port": port, "error": error}) from error
        self._serve(server)

    def _serve(self, server: Server) -> None:
        try:
            self.stdout.write(f"Zoho simulator on {server.origin}")
            self.stdout.flush()
            server.serve_forever()
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        finally:
            server.close()
