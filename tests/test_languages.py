"""What the app stores is in no language: whoever writes it, others read it in their own."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import translation

from tests.catalogue import write_catalogue
from zoho_crm import crypto
from zoho_crm.matching import POLICIES
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, MassConversion
from zoho_crm.services import convert, mass_convert, work
from zoho_crm.services.presentation import ERRORS, REASONS, TEXTS_BY_CODE
from zoho_crm.services.preview import preview
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)

#: A translation of each sentence that begins with this.
MARK = "[de] "
OTHER_KEY = "b3RoZXIta2V5LWZvci10ZXN0cy1vbmx5LTAwMDAwMDA="


@pytest.fixture(autouse=True)
def german(tmp_path: Path, settings: Any) -> None:
    """Let everything that the database stores have a German sentence of its own."""
    tables: tuple[Any, ...] = (TEXTS_BY_CODE, ERRORS, REASONS)
    sentences = [str(sentence) for table in tables for sentence in table.values()]
    sentences.append("Cancelled.")
    write_catalogue(tmp_path, "de", {sentence: MARK + sentence for sentence in sentences})
    settings.LOCALE_PATHS = [tmp_path]


@pytest.fixture
def boss() -> User:
    return User.objects.create_superuser("boss")


def written_in(language: str, write: Callable[..., Any], **arguments: Any) -> Any:
    with translation.override(language):
        return write(**arguments)


def columns_of(row: Model, *names: str) -> tuple[Any, ...]:
    row.refresh_from_db()
    return tuple(getattr(row, name) for name in names)


def is_shown(sentence: str, read: Callable[[], str]) -> bool:
    """Return whether the sentence is shown in English to one reader, in German to the other."""
    with translation.override("en"):
        english = read()
    with translation.override("de"):
        german = read()
    return sentence in english and MARK not in english and MARK + sentence in german


def page(row: Model, name: str = "change") -> Callable[[], str]:
    """Return the function that reads a page of the admin."""
    client = Client()
    client.force_login(User.objects.get(is_superuser=True))
    arguments = [] if name == "changelist" else [row.pk]
    url = reverse(f"admin:zoho_crm_{row._meta.model_name}_{name}", args=arguments)
    return lambda: client.get(url).content.decode()


def output(*words: str) -> Callable[[], str]:
    """Return the function that reads the results and the errors of a command."""

    def read() -> str:
        out = io.StringIO()
        try:
            call_command(*words, stdout=out, stderr=out)
        except CommandError as error:
            out.write(str(error))
        return out.getvalue()

    return read


@pytest.mark.parametrize("language", ["de", "en"])
def test_why_a_run_is_paused(
    connection: Connection, zoho: Simulator, boss: User, language: str
) -> None:
    lead_ids = [zoho.story("no_match")]
    run = mass_convert.prepare(
        connection_id=connection.pk, lead_ids=lead_ids, policy=POLICIES["careful"]
    )

    written_in(language, mass_convert.pause, run_id=run.pk, by=boss)

    assert columns_of(run, "paused_reason", "paused_details") == ("by_user", {"user": "boss"})
    number = str(run.pk)
    for read in (
        page(run),
        page(run, "changelist"),
        output("zoho_mass_convert", "list"),
        output("zoho_mass_convert", "show", number),
        output("zoho_mass_convert", "show", number, "--format=json"),
    ):
        assert is_shown("Paused by boss.", read)


@pytest.mark.parametrize("language", ["de", "en"])
def test_where_the_leads_of_a_run_come_from(
    connection: Connection, boss: User, language: str
) -> None:
    run: MassConversion = written_in(
        language,
        mass_convert.prepare_open_leads,
        connection_id=connection.pk,
        filters={"City": "Kiel"},
        policy=POLICIES["careful"],
    )

    columns = columns_of(run, "source", "source_details")
    assert columns == ("open_leads", {"filters": "City=Kiel"})
    for read in (
        page(run),
        output("zoho_mass_convert", "list"),
        output("zoho_mass_convert", "list", "--format=json"),
        output("zoho_mass_convert", "show", str(run.pk)),
    ):
        assert is_shown("open leads with City=Kiel", read)


@pytest.mark.parametrize("language", ["de", "en"])
def test_why_a_connection_backs_off(
    connection: Connection, zoho: Simulator, boss: User, settings: Any, language: str
) -> None:
    key_id = crypto.key_id(settings.ZOHO_CRM["ENCRYPTION_KEYS"][0])
    convert.request(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "ENCRYPTION_KEYS": [OTHER_KEY]}

    written_in(language, work.work, connection_id=connection.pk)

    state, row = ConnectionWork.objects.get(), LeadConversion.objects.get()
    columns = columns_of(state, "backoff_reason", "backoff_details")
    assert columns == ("key_missing", {"key_id": key_id})
    for read in (
        page(connection),
        page(row),
        output("zoho_status"),
        output("zoho_status", "--format=json"),
        output("zoho_doctor", "--format=json"),
        output("zoho_work", "--until-idle"),
    ):
        assert is_shown(f"The encryption key {key_id} is missing", read)


@pytest.mark.parametrize("language", ["de", "en"])
def test_why_a_conversion_was_refused(
    connection: Connection, zoho: Simulator, boss: User, language: str
) -> None:
    row = preview(connection_id=connection.pk, lead_id=zoho.story("no_match"))
    plan = row.stored_plan()
    assert plan is not None
    convert.approve(conversion_id=row.pk, version=row.version, plan=plan)
    without_message = {"code": "INVALID_DATA", "status": "error", "details": {}}
    zoho.fail("convert", "error_before", status=400, body={"data": [without_message]})

    written_in(language, work.work, connection_id=connection.pk)

    columns = columns_of(row, "status", "error_code", "error_message")
    assert columns == ("FAILED", "INVALID_DATA", "")
    assert is_shown("Zoho CRM refused this: correct the lead or the choice.", page(row))


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_what_the_app_could_not_find_out(
    connection: Connection, zoho: Simulator, boss: User, code: str
) -> None:
    run = mass_convert.prepare(
        connection_id=connection.pk, lead_ids=[zoho.story("deleted")], policy=POLICIES["careful"]
    )
    row = LeadConversion.objects.get()
    LeadConversion.objects.update(status="NEEDS_REVIEW", due_at=None, error_code=code)
    sentence = str(ERRORS[code])

    assert is_shown(sentence, page(row))
    assert is_shown(sentence, output("zoho_mass_convert", "show", str(run.pk)))
    assert is_shown(sentence, lambda: "".join(mass_convert.export(run_id=run.pk)))


@pytest.mark.parametrize("language", ["de", "en"])
def test_why_a_lead_cannot_be_converted(
    connection: Connection, zoho: Simulator, boss: User, language: str
) -> None:
    without_message = {"code": "NOT_ALLOWED", "status": "error", "details": {}}
    zoho.fail("options", "error_before", status=400, body=without_message)
    lead_id = zoho.story("no_match")

    row = written_in(language, preview, connection_id=connection.pk, lead_id=lead_id)

    assert columns_of(row, "verdict", "reason") == ("NOT_CONVERTIBLE", "refused")
    assert row.events.get(to_status="PREVIEWED").details["reason"] == "refused"
    assert is_shown("Zoho would not convert it and gives no reason.", page(row))


def test_what_was_done_to_a_run(connection: Connection, zoho: Simulator, boss: User) -> None:
    run = mass_convert.prepare(
        connection_id=connection.pk,
        lead_ids=[zoho.story("no_match")],
        policy=POLICIES["careful"],
    )
    client = Client()
    client.force_login(boss)

    cancel = reverse("admin:zoho_crm_massconversion_cancel", args=[run.pk])
    written_in("de", client.post, path=cancel, headers={"accept-language": "de"})

    assert LogEntry.objects.get().get_change_message() == "Cancelled."
    assert is_shown("Cancelled.", page(run, "history"))
