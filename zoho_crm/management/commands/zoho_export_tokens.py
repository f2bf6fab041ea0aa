"""``manage.py zoho_export_tokens``: write tokens to a file that Zoho's own SDK reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from zoho_crm.exceptions import RequestRefusedError
from zoho_crm.management._arguments import STDIN
from zoho_crm.management._command import ZohoCommand, named_connection
from zoho_crm.management._exits import ExitCode, wrong_use
from zoho_crm.management._output import Output
from zoho_crm.services.export_tokens import export_tokens, exportable_tokens

FIELDS = ("tokens", "path")


class Command(ZohoCommand):
    help = gettext_noop(
        "Write tokens, with all secrets in plain text, to a new file that only its owner can read:"
        " the store of Zoho's SDK for Python. The result is a line of JSON."
    )
    formats = ("sdk-file",)
    format_help = gettext_noop(
        "of the file: sdk-file, the FileStore of Zoho's SDK for Python (the default)"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--output", required=True, metavar="PATH", help=_("a file to be made"))
        parser.add_argument(
            "--connection", metavar="NAME", help=_("only of this one (default: all)")
        )
        parser.add_argument("--execute", action="store_true", help=_("do it"))

    def handle(self, *args: Any, output: str, execute: bool, **options: Any) -> None:
        if output == STDIN:
            raise wrong_use(_("Secrets are written to a file only; name a new one."))
        name = options["connection"]
        connection = None if name is None else named_connection(name)
        path = Path(output)
        number = len(exportable_tokens(connection))
        if execute:
            try:
                number = export_tokens(path=path, connection=connection)
            except RequestRefusedError as error:
                raise CommandError(str(error), returncode=ExitCode.ERROR) from error
        line = {"tokens": number, "path": str(path)}
        Output(self.stdout, "json").show([line], fields=FIELDS, columns={})
        self.hint(
            _("The file has all secrets in plain text: move it, and delete it when it is read.")
            if execute
            else _("Nothing was written. To do it, add --execute")
        )
