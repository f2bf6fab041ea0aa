"""``manage.py zoho_records``: read, write, delete and follow the records of any module."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from zoho_crm.exceptions import RequestRefusedError, ZohoError
from zoho_crm.management import _arguments as arguments
from zoho_crm.management._command import ZohoCommand, chosen_connection, stdin_of
from zoho_crm.management._exits import (
    ExitCode,
    Problems,
    error_text,
    exit_code_of,
    wrong_use,
)
from zoho_crm.management._output import Row
from zoho_crm.management._record_files import FIELDS, Results, Source
from zoho_crm.management._records import (
    CHANGE_WIDTHS,
    SUMMARIES,
    WIDTHS,
    add_action,
    change_row,
    columns_of,
    counts_text,
    fields_of,
    import_row,
    record_row,
)
from zoho_crm.services.clients import client_for
from zoho_crm.services.record_import import ImportRow, Outcome, RecordImport
from zoho_crm.services.records import equal_to
from zoho_crm.types import Record

Options = dict[str, Any]
RESULTS_SUFFIX = ".results.csv"
DELETE_FIELDS = ("id", "outcome", "error_code", "message")


class Command(ZohoCommand):
    help = gettext_noop(
        "Read, write, delete and follow the records of a module, standard or custom."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for name, summary in SUMMARIES.items():
            text = str(summary)
            action = actions.add_parser(name, help=text, description=text)
            super().add_arguments(action)
            add_action(action, name)

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        actions: Mapping[str, Callable[[Options], None]] = {
            "get": self._get,
            "list": self._list,
            "search": self._search,
            "upsert": self._upsert,
            "delete": self._delete,
            "changes": self._changes,
        }
        try:
            actions[action](options)
        except ValueError as error:
            raise wrong_use(str(error)) from error

    # Reading

    def _get(self, options: Options) -> None:
        ids, fields = self._ids(options), fields_of(options)
        found = self._records(options).get_many(ids, fields=fields)
        shown = (found[each] for each in ids if each in found)
        self._show(shown, fields, options)
        problems = Problems()
        for each in (each for each in ids if each not in found):
            problems.add(ExitCode.SOME_FAILED, _("There is no record with the id %s.") % each)
        problems.finish()

    def _list(self, options: Options) -> None:
        fields = fields_of(options)
        found = self._records(options).list(fields=fields, sort_by=options["sort_by"])
        self._show(self._limited(found, options["limit"]), fields, options)

    def _search(self, options: Options) -> None:
        fields = fields_of(options)
        filters = options["filter"]
        found = self._records(options).search(
            email=options["email"] or "",
            phone=options["phone"] or "",
            word=options["word"] or "",
            criteria=equal_to(filters) if filters else None,
            fields=fields,
        )
        self._show(self._limited(found, options["limit"]), fields, options)

    def _changes(self, options: Options) -> None:
        path, fields = Path(options["cursor_file"]), fields_of(options)
        cursor = _read_text(path)
        changes = self._client(options).changes(options["module"], cursor, fields=fields)
        names = tuple(dict.fromkeys(("at", "id", "deleted", *fields)))
        rows = (change_row(change, fields) for change in changes)
        widths = CHANGE_WIDTHS | {name: 30 for name in fields if name not in CHANGE_WIDTHS}
        self.open_output(options).show(rows, fields=names, columns=columns_of(names), widths=widths)
        _replace_text(path, changes.cursor)

    def _show(self, records: Iterable[Record], fields: tuple[str, ...], options: Options) -> None:
        names = tuple(dict.fromkeys(("id", *fields)))
        rows = (record_row(record, fields) for record in records)
        self.open_output(options).show(rows, fields=names, columns=columns_of(names))

    def _limited(self, records: Iterator[Record], limit: int) -> Iterator[Record]:
        """Yield at most ``limit`` records, then write a hint if there are more, or none."""
        number = 0
        for number, record in enumerate(records, start=1):  # noqa: B007
            if number > limit:
                self.hint(_("There are more; raise --limit to see them."))
                return
            yield record
        if not number:
            self.hint(_("No record matches."))

    # Writing

    def _upsert(self, options: Options) -> None:
        source = Source(options["from_file"], dict(options["map"] or ()), options["key"])
        results = Results(options["results"] or options["from_file"] + RESULTS_SUFFIX)
        records = RecordImport(
            client=self._client(options),
            module=options["module"],
            key=options["key"],
            fields=[*source.fields.values()],
        )
        counts: Counter[Outcome] = Counter()
        problems = Problems()
        waiting = (row for row in source.rows() if not results.is_done(row))
        chunks = self._chunks(records, waiting, results, problems, options)
        rows = chain.from_iterable(map(partial(self._counted, counts), chunks))
        self.open_output(options).show(
            rows, fields=FIELDS, columns=columns_of(FIELDS), widths=_widths()
        )
        self._summary(counts, results.number_done, options)
        for outcome in (Outcome.INVALID, Outcome.REFUSED):
            if counts[outcome]:
                message = counts_text({outcome: counts[outcome]})
                problems.add(ExitCode.SOME_FAILED, message)
        problems.finish()

    def _chunks(
        self,
        records: RecordImport,
        rows: Iterable[ImportRow],
        results: Results,
        problems: Problems,
        options: Options,
    ) -> Iterator[list[ImportRow]]:
        """Yield chunk after chunk, sent if that is wanted, until one cannot be sent."""
        for chunk in records.chunks(rows):
            try:
                done = records.compared(chunk)
            except ZohoError as error:
                problems.add(exit_code_of(error), error_text(error))
                return
            if options["execute"]:
                done = records.sent(done)
                results.add(map(import_row, done))
            yield done
            errors = [row.error for row in done if row.error]
            stop = next((e for e in errors if not isinstance(e, RequestRefusedError)), None)
            if stop is not None:
                problems.add(exit_code_of(stop), error_text(stop))
                return

    def _counted(self, counts: Counter[Outcome], chunk: list[ImportRow]) -> Iterator[Row]:
        """Return the rows that are shown of a chunk, and say how far the command is."""
        counts.update(row.outcome for row in chunk)
        self.progress(counts_text(counts))
        return map(import_row, chunk)

    def _summary(self, counts: Counter[Outcome], number_done: int, options: Options) -> None:
        self.progress("")
        if number_done:
            self.hint(_("%s rows were done before.") % f"{number_done:,}")
        self.hint(counts_text(counts) + ".")
        if not options["execute"]:
            self.hint(_("Nothing was sent; add --execute to do it."))

    def _delete(self, options: Options) -> None:
        ids = self._ids(options)
        if not options["execute"]:
            planned = ({"id": each, "outcome": "would_delete"} for each in ids)
            self._show_deleted(planned, options)
            self.hint(_("Nothing was deleted; add --execute to do it."))
            return
        results = self._records(options).delete(ids)
        problems = Problems()
        rows: list[dict[str, Any]] = []
        for each, result in zip(ids, results, strict=True):
            error = result.error
            outcome = "failed" if error else "deleted"
            code = error.code if error else None
            rows.append({"id": each, "outcome": outcome, "error_code": code, "message": str(error)})
            if error:
                refused = isinstance(error, RequestRefusedError)
                exit_code = ExitCode.SOME_FAILED if refused else exit_code_of(error)
                problems.add(exit_code, f"{each}: {error_text(error)}")
        self._show_deleted(rows, options)
        problems.finish()

    def _show_deleted(self, rows: Iterable[dict[str, Any]], options: Options) -> None:
        empty = dict.fromkeys(DELETE_FIELDS)
        shown = ({**empty, **row, "message": _message(row)} for row in rows)
        self.open_output(options).show(
            shown, fields=DELETE_FIELDS, columns=columns_of(DELETE_FIELDS)
        )

    # What is asked

    def _client(self, options: Options) -> Any:
        return client_for(chosen_connection(options["connection"]), user=options["user"])

    def _records(self, options: Options) -> Any:
        return self._client(options).records(options["module"])

    def _ids(self, options: Options) -> list[str]:
        return arguments.record_ids(options["ids"], options["ids_file"], stdin_of(options))


def _message(row: Mapping[str, Any]) -> str:
    return str(row["message"]) if row.get("error_code") or row["outcome"] == "failed" else ""


def _widths() -> dict[str, int]:
    return {**WIDTHS, "fields": 30, "error_code": 20}


def _read_text(path: Path) -> str:
    """
    Return the content of a file; empty if there is none.

    :raises CommandError: if it cannot be read
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        message = _("%(name)s cannot be read: %(error)s")
        raise wrong_use(message % {"name": path, "error": error}) from error


def _replace_text(path: Path, text: str) -> None:
    """Write a file under another name, and then give it its own."""
    temporary = path.with_name(f"{path.name}.new")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        message = _("%(name)s cannot be written: %(error)s")
        raise wrong_use(message % {"name": path, "error": error}) from error
