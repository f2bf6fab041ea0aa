"""``manage.py zoho_mass_convert``: convert many leads, from their ids to the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from zoho_crm.exceptions import RequestRefusedError, StaleDecisionError
from zoho_crm.management._command import ZohoCommand, chosen_connection, stdin_of
from zoho_crm.management._exits import ExitCode, wrong_use
from zoho_crm.management._run_arguments import SUMMARIES, add_action, run_policy_from
from zoho_crm.management._runs import (
    LIST_COLUMNS,
    LIST_FIELDS,
    Stage,
    get_run,
    list_row,
    show_run,
)
from zoho_crm.management._waiting import (
    DECISIONS_MAX_SECONDS,
    RunWaiter,
    decisions_applied,
    has_ended,
    is_at_rest,
    is_previewed,
)
from zoho_crm.models import Connection, MassConversion, batches
from zoho_crm.services import mass_convert
from zoho_crm.types import CodedText

Options = dict[str, Any]
STDIN = "-"


class Command(ZohoCommand):
    help = gettext_noop(
        "Convert many leads: read their ids and preview them (create), decide the unclear ones"
        " (decide), start (run), read the results (show, export). Zoho cannot undo a conversion."
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
            "create": self._create,
            "list": self._list,
            "show": self._show,
            "decide": self._decide,
            "run": self._run,
            "pause": self._pause,
            "resume": self._resume,
            "cancel": self._cancel,
            "retry": self._retry,
            "export": self._export,
        }
        actions[action](options)

    # Before anything is sent

    def _create(self, options: Options) -> None:
        if options["column"] and not options["ids_file"]:
            raise wrong_use(_("--column is for a file: --ids-file."))
        by = _user(options)
        connection = chosen_connection(options["connection"])
        with _refused_is_wrong_use():
            policy, known = run_policy_from(options, connection)
        for notice in known.absence_texts():
            self.hint(notice)
        with _source(options, connection) as (source, lead_ids):
            run = mass_convert.prepare(
                connection_id=connection.pk,
                lead_ids=lead_ids,
                policy=policy,
                active_owners=known.active_owners,
                name=options["name"],
                source=source,
                by=by,
            )
        self._preview(run, options)

    def _preview(self, run: MassConversion, options: Options) -> None:
        waiter = self._waiter(run, options)
        if options["wait"]:
            waiter.wait_until(is_previewed)
        self._show_progress(run, options)
        waiter.problems.finish()

    def _list(self, options: Options) -> None:
        runs = MassConversion.objects.select_related("connection")
        rows = map(list_row, chain.from_iterable(batches(runs, newest_first=True)))
        self.open_output(options).show(rows, fields=LIST_FIELDS, columns=LIST_COLUMNS)

    def _show(self, options: Options) -> None:
        self._show_progress(get_run(options["run"]), options)

    def _decide(self, options: Options) -> None:
        run, by = get_run(options["run"]), _user(options)
        self._apply_decisions(run)
        with _refused_is_wrong_use():
            number = mass_convert.decide(
                run_id=run.pk, verdict=options["verdict"], action=options["decision"], by=by
            )
        run.refresh_from_db()
        self._apply_decisions(run)
        message = ngettext("%s lead was decided.", "%s leads were decided.", number)
        self.hint(message % f"{number:,}")
        self._show_progress(run, options)

    # Sending

    def _run(self, options: Options) -> None:
        run, by = get_run(options["run"]), _user(options)
        if not options["execute"]:
            self._show_progress(run, options)
            self.hint(_("Nothing was sent."))
            return
        count = options["expect_count"]
        if count is None:
            raise wrong_use(_("Say how many leads are to be sent: --expect-count."))
        self._apply_decisions(run)
        waiter = self._waiter(run, options)
        with _refused_is_wrong_use():
            mass_convert.start(run_id=run.pk, revision=run.revision, count=count, by=by)
        if options["wait"]:
            waiter.wait_until(has_ended)
            waiter.report_outcome(to_be_sent=count)
        self._show_progress(run, options)
        waiter.problems.finish()

    def _pause(self, options: Options) -> None:
        run = get_run(options["run"])
        if not mass_convert.pause(run_id=run.pk, by=_user(options)) and not run.paused_reason:
            raise _nothing_to_do(_("There is nothing to pause: %s."), run)
        self._show_progress(run, options)

    def _resume(self, options: Options) -> None:
        run = get_run(options["run"])
        mass_convert.resume(run_id=run.pk)
        run.refresh_from_db()
        self._wait_and_show(is_at_rest, run, options)

    def _cancel(self, options: Options) -> None:
        run = get_run(options["run"])
        if not mass_convert.cancel(run_id=run.pk) and run.stage != Stage.CANCELLED:
            raise _nothing_to_do(_("There is nothing to cancel: %s."), run)
        run.refresh_from_db()
        self._wait_and_show(has_ended, run, options)

    def _wait_and_show(
        self, condition: Callable[[MassConversion], bool], run: MassConversion, options: Options
    ) -> None:
        waiter = self._waiter(run, options)
        if options["wait"]:
            waiter.wait_until(condition)
            waiter.report_outcome()
        self._show_progress(run, options)
        waiter.problems.finish()

    def _retry(self, options: Options) -> None:
        run = get_run(options["run"])
        number = mass_convert.retry(run_id=run.pk, by=_user(options))
        message = ngettext("%s lead is retried.", "%s leads are retried.", number)
        self.hint(message % f"{number:,}")
        run.refresh_from_db()
        self._preview(run, options)

    def _export(self, options: Options) -> None:
        lines = mass_convert.export(run_id=get_run(options["run"]).pk)
        if options["output"] is None:
            for line in lines:
                self.stdout.write(line, ending="")
            return
        with (
            _readable(options["output"]),
            Path(options["output"]).open("w", encoding="utf-8", newline="") as file,
        ):
            file.writelines(lines)

    # Shared by the actions

    def _waiter(self, run: MassConversion, options: Options) -> RunWaiter:
        return RunWaiter(run, self.hint, max_seconds=options["max_seconds"])

    def _apply_decisions(self, run: MassConversion) -> None:
        """Wait until recorded decisions are applied: they may change the plans of other leads."""
        if not decisions_applied(run):
            waiter = RunWaiter(run, self.hint, max_seconds=DECISIONS_MAX_SECONDS)
            waiter.wait_until(decisions_applied)
            waiter.problems.finish()

    def _show_progress(self, run: MassConversion, options: Options) -> None:
        run.refresh_from_db()
        show_run(run, self.open_output(options))
        decided = mass_convert.decided_count(run)
        if run.stage == Stage.REVIEW and decided:
            message = _(
                "To convert them: manage.py zoho_mass_convert run %(run)s --expect-count %(count)s"
                " --execute --wait. Zoho cannot undo it."
            )
            self.hint(message % {"run": run.pk, "count": decided})


@contextmanager
def _source(options: Options, connection: Connection) -> Iterator[tuple[CodedText, Iterable[str]]]:
    """Yield the source of the leads, and an iterable of their ids."""
    path, column = options["ids_file"], options["column"] or ""
    if path == STDIN:
        with _refused_is_wrong_use(_("stdin")), _readable(_("stdin")):
            lead_ids = mass_convert.ids_in_lines(stdin_of(options), column=column)
            yield CodedText(code="stdin"), lead_ids
    elif path:
        source = mass_convert.file_source(Path(path).name)
        with _refused_is_wrong_use(path), _readable(path), Path(path).open("rb") as file:
            yield source, mass_convert.ids_in_file(file, column=column)
    else:
        filters = dict(options["filter"] or ())
        with _refused_is_wrong_use():
            lead_ids = mass_convert.ids_of_open_leads(connection, filters=filters)
            yield mass_convert.open_leads_source(filters), lead_ids


@contextmanager
def _refused_is_wrong_use(source: str = "") -> Iterator[None]:
    """Turn a refusal by a service into the error for invalid options."""
    try:
        yield
    except StaleDecisionError:
        raise
    except RequestRefusedError as error:
        raise wrong_use(f"{source}: {error}" if source else str(error)) from error


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        message = _("%(path)s cannot be used: %(error)s")
        raise wrong_use(message % {"path": path, "error": error}) from error


def _user(options: Options) -> AbstractBaseUser | None:
    """Return the user that ``--user`` names, or ``None``."""
    name = options["user"]
    if name is None:
        return None
    users = get_user_model()
    found: AbstractBaseUser | None = users._default_manager.filter(
        **{users.USERNAME_FIELD: name}
    ).first()
    if found is None:
        raise wrong_use(_("There is no user “%s”.") % name)
    return found


def _nothing_to_do(message: str, run: MassConversion) -> CommandError:
    return CommandError(message % run.get_stage_display(), returncode=ExitCode.ERROR)
