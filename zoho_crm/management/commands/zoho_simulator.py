"""``manage.py zoho_simulator``: a Zoho of our own on a loopback port."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from zoho_crm.simulator import Server, Simulator, SimulatorSettings


class Command(BaseCommand):
    help = "Run a simulated Zoho CRM on a loopback port, until Ctrl-C."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        defaults = SimulatorSettings()
        number = parser.add_argument
        number("--port", type=int, default=8080, help="0 picks a free one (default: 8080)")
        number("--leads", type=int, default=defaults.leads, help="how many leads to begin with")
        number("--seed", type=int, default=defaults.seed, help="which names they bear")
        number("--latency-ms", type=int, default=0, help="how long every CRM call takes")
        number(
            "--concurrency",
            type=int,
            default=defaults.concurrency,
            help="calls in flight before Zoho answers 429",
        )
        number(
            "--token-seconds",
            type=int,
            default=int(defaults.token_seconds),
            help="lifetime of access tokens",
        )
        parser.add_argument(
            "--legacy-expires-in",
            action="store_true",
            help="answer expires_in in milliseconds, as legacy clients get it",
        )

    def handle(
        self,
        *,
        port: int,
        leads: int,
        seed: int,
        latency_ms: int,
        concurrency: int,
        token_seconds: int,
        legacy_expires_in: bool,
        **options: Any,
    ) -> None:
        settings = SimulatorSettings(
            leads=leads,
            seed=seed,
            latency=latency_ms / 1000,
            concurrency=concurrency,
            token_seconds=token_seconds,
            legacy_expires_in=legacy_expires_in,
        )
        try:
            server = Server(Simulator(settings), port=port)
        except OSError as error:
            raise CommandError(f"Port {port} cannot be used: {error.strerror}") from error
        self.stdout.write(f"Zoho simulator on {server.origin}")
        self.stdout.flush()
        self._serve(server)

    def _serve(self, server: Server) -> None:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            self.stdout.write("")
        finally:
            server.close()
