"""The commands for one of several users of a connection."""

from __future__ import annotations

import pytest

from tests.management.conftest import Run
from tests.services.test_users import AIKO, MARA, add_user, lose
from zoho_crm.models import Connection, LeadConversion, Token
from zoho_crm.services.preview import get_or_create_row
from zoho_crm.services.users import disconnect_user
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def aiko(zoho: Simulator, connection: Connection) -> Token:
    return add_user(zoho)


@pytest.fixture
def mara(connection: Connection) -> Token:
    return connection.tokens.get(user_email=MARA)


@pytest.mark.parametrize(
    "words", [["zoho_leads"], ["zoho_preview", "LEAD"], ["zoho_status", "--test"]]
)
def test_a_command_reads_as_the_user_who_is_named(
    run: Run, zoho: Simulator, aiko: Token, mara: Token, words: list[str]
) -> None:
    lead_id = zoho.story("no_match")
    words = [lead_id if word == "LEAD" else word for word in words]
    lose(zoho, mara)

    assert run(*words).code == 4
    assert run(*words, "--user", AIKO, "--format", "json").out


@pytest.mark.parametrize(
    "words",
    [["zoho_leads"], ["zoho_preview", "1"], ["zoho_disconnect", "Nordwind Trading", "--execute"]],
)
def test_an_unknown_user_is_named(run: Run, aiko: Token, words: list[str]) -> None:
    ran = run(*words, "--user", "nobody@nordwind.example")

    assert ran.code == 4
    assert "nobody@nordwind.example has not given consent" in ran.err
    assert set(Token.objects.values_list("status", flat=True)) == {"ACTIVE"}


def test_what_another_user_sees_decides_no_conversion(
    run: Run, zoho: Simulator, aiko: Token
) -> None:
    lead_id = zoho.story("no_match")

    line = run("zoho_preview", lead_id, "--user", AIKO, "--format", "json").line

    assert (line["verdict"], line["plan"]["contact_id"]) == ("NO_MATCH", "")
    assert not LeadConversion.objects.exists()


def test_a_user_is_tested_only_if_zoho_is_asked(run: Run, aiko: Token) -> None:
    assert run("zoho_status", "--user", AIKO).code == 2


def test_the_test_of_a_user_says_what_is_wrong(run: Run, zoho: Simulator, aiko: Token) -> None:
    lose(zoho, aiko)

    ran = run("zoho_status", "--test", "--user", AIKO)

    assert ran.code == 1
    assert f"The consent of {AIKO}" in ran.out
    assert run("zoho_status", "--test").code == 0


@pytest.mark.slow
def test_a_connection_says_that_it_needs_a_default_user(
    run: Run, zoho: Simulator, connection: Connection, mara: Token, aiko: Token
) -> None:
    disconnect_user(token_id=mara.pk)

    status = run("zoho_status", "--format", "json")
    shown = run("zoho_status")
    doctor = run("zoho_doctor")

    assert (status.code, status.line["needs_default_user"]) == (4, True)
    assert "needs a default user" in shown.out
    assert "choose one in the admin" in shown.err
    assert doctor.code == 4
    assert f"Choose another default user in the admin ({AIKO})." in doctor.out
    assert run("zoho_leads").code == 4
    get_or_create_row(connection_id=connection.pk, lead_id="1")
    work = run("zoho_work", "--until-idle")
    assert work.code == 4
    assert "needs a default user; its leads wait" in work.err
    assert run("zoho_leads", "--user", AIKO).code == 0


def test_disconnecting_a_user_is_shown_first(run: Run, connection: Connection, aiko: Token) -> None:
    words = ["zoho_disconnect", connection.name, "--user", AIKO.upper()]

    shown = run(*words)
    aiko.refresh_from_db()
    assert (shown.code, aiko.status) == (0, "ACTIVE")
    assert f"The consent of {AIKO} for “{connection}” would be revoked" in shown.out
    assert "add --execute" in shown.err

    done = run(*words, "--execute", "--format", "json")

    assert done.line == {
        "connection": connection.name,
        "org_id": connection.org_id,
        "user": AIKO,
        "was_default": False,
        "status": "ACTIVE",
        "executed": True,
    }
    aiko.refresh_from_db()
    assert (aiko.status, aiko.refresh_token_cipher) == ("REVOKED", "")


def test_disconnecting_the_default_user_says_what_it_means(
    run: Run, connection: Connection, aiko: Token
) -> None:
    ran = run("zoho_disconnect", connection.name, "--user", MARA, "--execute")

    assert f"{MARA} is disconnected" in ran.out
    assert "This is the default user" in ran.out
    connection.refresh_from_db()
    assert connection.status == Connection.Status.NEEDS_RECONNECT


def test_one_user_cannot_be_forgotten(run: Run, connection: Connection, aiko: Token) -> None:
    assert run("zoho_disconnect", connection.name, "--user", AIKO, "--forget").code == 2


def test_a_default_user_is_chosen_without_the_admin(
    run: Run, connection: Connection, mara: Token, aiko: Token
) -> None:
    disconnect_user(token_id=mara.pk)
    words = ["zoho_connect", "--make-default", AIKO.upper()]

    shown = run(*words)

    aiko.refresh_from_db()
    assert (shown.code, aiko.is_default) == (0, False)
    assert f"“{connection}” would work as {AIKO}; it has no default user." in shown.out
    assert "add --execute" in shown.err

    done = run(*words, "--connection", connection.name, "--execute", "--format", "json")

    assert done.line == {
        "connection": connection.name,
        "org_id": connection.org_id,
        "user": AIKO,
        "previous_user": None,
        "executed": True,
    }
    aiko.refresh_from_db()
    connection.refresh_from_db()
    assert (aiko.is_default, connection.status) == (True, "ACTIVE")
    assert run("zoho_status").code == 0


def test_another_default_user_is_chosen(run: Run, connection: Connection, aiko: Token) -> None:
    words = ["zoho_connect", "--make-default", AIKO]

    assert f"would work as {AIKO} instead of {MARA}" in run(*words).out
    assert f"works as {AIKO} from now on" in run(*words, "--execute").out
    assert f"works as {AIKO} already" in run(*words, "--execute").out
    assert connection.tokens.get(is_default=True) == aiko


def test_a_user_who_is_not_connected_is_no_default(
    run: Run, zoho: Simulator, connection: Connection, aiko: Token
) -> None:
    lose(zoho, aiko)
    assert run("zoho_status", "--test", "--user", AIKO).code == 1
    words = ["zoho_connect", "--execute", "--make-default"]

    for user, why in ((AIKO, "has ended"), ("nobody@nordwind.example", "has not given consent")):
        ran = run(*words, user)
        assert (ran.code, why in ran.err) == (4, True)
    assert run(*words, AIKO, "--connection", "None such").code == 2
    assert run("zoho_connect", "--execute", "--grant-code", "-").code == 2
    assert connection.tokens.get(is_default=True).user_email == MARA
