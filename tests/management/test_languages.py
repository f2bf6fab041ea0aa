"""What commands say to people is translated; the names that programs read are not."""

from __future__ import annotations

from argparse import Action, ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.db import connection as database

from tests.management.conftest import Run
from tests.pseudo import pseudo_language, untranslated, words_of_data
from zoho_crm import crypto
from zoho_crm.models import Connection, MassConversion
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

#: Names that tables show as programs get them: of options, fields and outcomes.
DATABASE = "journal mode transaction filesystem IMMEDIATE WAL local"
OPTIONS = "contact account owner ID new undecided in run"
FIELDS = (
    "lead id Full Name Company Email Owner Lead Status outcome error code would delete tokens path"
)
NAMES = {*DATABASE.split(), *OPTIONS.split(), *FIELDS.split()}


@pytest.fixture(autouse=True)
def everybody_reads_the_pseudo_language() -> Iterator[None]:
    with pseudo_language():
        yield


def test_everything_that_a_command_says_is_translated(
    run: Run, connection: Connection, zoho: Simulator, durable_broker: None, tmp_path: Path
) -> None:
    User.objects.create_superuser("boss")
    clear, one, several, deleted, locked = (
        zoho.story(case) for case in ("no_match", "one_match", "several", "deleted", "locked")
    )
    ids, rows, tokens = tmp_path / "ids.csv", tmp_path / "rows.csv", tmp_path / "tokens.csv"
    ids.write_text("\n".join([one, several, deleted, "no id", one]))
    rows.write_text("Last_Name,Company\nByron,Nordwind\n,Südwind\n")
    create = ["zoho_mass_convert", "create", "--ids-file", str(ids), "--name", "Fair"]
    said = [run(*create, "--wait")]
    number = str(MassConversion.objects.get().pk)
    for words in (
        ["zoho_status", "--test"],
        ["zoho_doctor"],
        ["zoho_leads", "--limit=1"],
        ["zoho_leads", "--filter=City=Nowhere"],
        ["zoho_preview", clear, several, locked, deleted],
        ["zoho_preview", "12x"],
        ["zoho_convert", clear],
        ["zoho_convert", clear, several, "--execute"],
        ["zoho_convert", clear, "--deal-name=Fair", "--stage=None"],
        ["zoho_mass_convert", "list"],
        ["zoho_mass_convert", "decide", number, "--verdict=one_match", "--as=attach"],
        ["zoho_work", "--until-idle"],
        ["zoho_mass_convert", "run", number],
        ["zoho_mass_convert", "run", number, "--expect-count=1", "--execute", "--wait"],
        ["zoho_mass_convert", "show", number],
        ["zoho_mass_convert", "pause", number],
        ["zoho_mass_convert", "show", "99"],
        ["zoho_records", "upsert", "Leads", f"--from-file={rows}", "--key=Email"],
        ["zoho_records", "delete", "Leads", locked],
        ["zoho_metadata", "--users"],
        ["zoho_usage"],
        ["zoho_purge"],
        ["zoho_rotate_keys"],
        ["zoho_groups"],
        ["zoho_export_tokens", f"--output={tokens}", "--execute"],
        ["zoho_import_tokens", f"--from-file={tokens}"],
        ["zoho_connect"],
        ["zoho_status", "--connection=None"],
        ["zoho_disconnect", str(connection)],
        ["zoho_disconnect", str(connection), "--execute"],
        ["zoho_status"],
        ["zoho_preview", one],
    ):
        said.append(run(*words))
    place = [str(tmp_path), *crypto.key_ids(), database.vendor, str(database.settings_dict["NAME"])]
    data = NAMES | words_of_data(zoho.organisation.users, place)

    pieces = {
        piece
        for each in said
        for text in (each.out, each.err)
        for piece in untranslated(text, data)
    }
    assert not pieces, "\n".join(pieces)


def commands() -> list[str]:
    return sorted(name for name, app in get_commands().items() if app == "zoho_crm")


@pytest.mark.parametrize("name", commands())
def test_everything_that_the_help_of_a_command_says_is_translated(name: str) -> None:
    of_django = {action.help for action in _actions(BaseCommand().create_parser("manage.py", ""))}
    parser = load_command_class("zoho_crm", name).create_parser("manage.py", name)
    texts = [parser.description or "", *(action.help or "" for action in _actions(parser))]

    assert parser.description
    assert [text for text in texts if text not in of_django and untranslated(text, set())] == []


def _actions(parser: ArgumentParser) -> Iterator[Action]:
    """Yield the arguments of a command and of its actions, and those actions."""
    for action in parser._actions:
        yield action
        if isinstance(action, _SubParsersAction):
            yield from action._choices_actions
            for each in action.choices.values():
                yield from _actions(each)


def test_names_that_programs_read_are_not_translated(run: Run, connection: Connection) -> None:
    assert "connection" in run("zoho_status", "--format=json").line
    assert run("zoho_status", "--format=csv").out.startswith("connection,")
    findings = run("zoho_doctor", "--format=json").lines
    assert ("client", "ok") in {(each["check"], each["result"]) for each in findings}
