"""Ten faults that stop a site: ``zoho_doctor`` finds each and names its fix."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection as database
from django.db.migrations.recorder import MigrationRecorder

from tests.management.conftest import Run
from zoho_crm import crypto
from zoho_crm.models import Connection, ConnectionWork, LeadConversion, Token, from_now
from zoho_crm.services import connect, convert, work
from zoho_crm.simulator import Simulator
from zoho_crm.types import Secret

pytestmark = pytest.mark.django_db(transaction=True)

NOTHING_LISTENS = "127.0.0.1:1"


@dataclass(frozen=True, kw_only=True)
class Site:
    """A site that works: connected, with a converted lead and a recent sweep."""

    connection: Connection
    zoho: Simulator
    settings: Any
    #: What has to be undone when the test is over.
    afterwards: ExitStack

    def change(self, **more: Any) -> None:
        self.settings.ZOHO_CRM = {**self.settings.ZOHO_CRM, **more}

    def token(self) -> Token:
        return Token.objects.get(connection=self.connection, is_default=True)

    def let_the_access_token_expire(self) -> None:
        Token.objects.update(expires_at=from_now(-1))

    def let_a_lead_wait(self) -> None:
        row = convert.request(
            connection_id=self.connection.pk, lead_id=self.zoho.story("no_match"), policy="careful"
        )
        LeadConversion.objects.filter(pk=row.pk).update(due_at=from_now(-31))


@pytest.fixture
def site(
    connection: Connection, zoho: Simulator, durable_broker: None, settings: Any
) -> Iterator[Site]:
    a_lead = {"connection_id": connection.pk, "lead_id": zoho.story("no_match")}
    convert.request(**a_lead, policy="careful")
    work.work(connection_id=connection.pk)
    work.sweep()
    with ExitStack() as afterwards:
        yield Site(connection=connection, zoho=zoho, settings=settings, afterwards=afterwards)


def no_encryption_key(site: Site) -> None:
    site.change(ENCRYPTION_KEYS=[])


def an_encryption_key_was_lost(site: Site) -> None:
    site.change(ENCRYPTION_KEYS=[crypto.new_key()])


def the_consent_was_withdrawn_at_zoho(site: Site) -> None:
    site.zoho.world.grants.revoke(site.token().reveal("refresh_token").reveal())
    site.let_the_access_token_expire()


def the_client_secret_was_renewed_at_zoho(site: Site) -> None:
    former = site.token().encrypted_columns(client_secret=Secret("the-former-one"))
    Token.objects.update(**former)
    site.let_the_access_token_expire()


def a_scope_was_not_granted(site: Site) -> None:
    code = site.zoho.grant_code("ZohoCRM.modules.ALL,ZohoCRM.org.READ,ZohoCRM.users.READ")
    connect.with_grant_code(code=code, data_center="local")


def zoho_cannot_be_reached(site: Site) -> None:
    site.change(LOCAL_URL=f"http://{NOTHING_LISTENS}", TRANSPORT="")


def the_broker_does_not_listen(site: Site) -> None:
    site.afterwards.callback(os.environ.pop, "CELERY_BROKER_WRITE_URL")
    os.environ["CELERY_BROKER_WRITE_URL"] = f"amqp://guest:guest@{NOTHING_LISTENS}//"


def a_migration_is_missing(site: Site) -> None:
    recorder = MigrationRecorder(database)
    latest = recorder.migration_qs.filter(app="zoho_crm").order_by("-pk")[0].name
    site.afterwards.callback(recorder.record_applied, "zoho_crm", latest)
    recorder.record_unapplied("zoho_crm", latest)


def the_worker_is_missing(site: Site) -> None:
    site.let_a_lead_wait()
    ConnectionWork.objects.update(seen_at=from_now(-600))


def beat_is_missing(site: Site) -> None:
    Connection.objects.update(created_at=from_now(-3600))
    ConnectionWork.objects.update(swept_at=from_now(-600))


@dataclass(frozen=True, kw_only=True)
class ExpectedFinding:
    check: str
    #: What the fix has to mention.
    names: tuple[str, ...]


FAULTS: dict[Callable[[Site], None], ExpectedFinding] = {
    no_encryption_key: ExpectedFinding(check="encryption keys", names=("zoho_new_key",)),
    an_encryption_key_was_lost: ExpectedFinding(
        check="encryption keys", names=("ENCRYPTION_KEYS", "zoho_connect")
    ),
    the_consent_was_withdrawn_at_zoho: ExpectedFinding(check="connection", names=("zoho_connect",)),
    the_client_secret_was_renewed_at_zoho: ExpectedFinding(
        check="connection", names=("CLIENT_SECRET", "zoho_connect")
    ),
    a_scope_was_not_granted: ExpectedFinding(check="scopes of", names=("Connect again", "SCOPES")),
    zoho_cannot_be_reached: ExpectedFinding(
        check="data center local", names=("zoho_simulator", "LOCAL_URL")
    ),
    the_broker_does_not_listen: ExpectedFinding(
        check="broker", names=("CELERY_BROKER_URL", "zoho_work --loop")
    ),
    a_migration_is_missing: ExpectedFinding(check="database", names=("manage.py migrate",)),
    the_worker_is_missing: ExpectedFinding(
        check="worker", names=("celery -A <project> worker", "zoho_work --loop")
    ),
    beat_is_missing: ExpectedFinding(
        check="sweep", names=("celery -A <project> beat", "BEAT_SCHEDULE")
    ),
}


def findings(run: Run) -> list[dict[str, str]]:
    lines = run("zoho_doctor", "--format=json").lines
    return [line for line in lines if line["result"] != "ok"]


@pytest.mark.slow
def test_a_site_that_works_gets_no_complaint(site: Site, run: Run) -> None:
    assert findings(run) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", FAULTS, ids=lambda seed: seed.__name__)
def test_the_doctor_finds_the_fault_and_names_the_way_out(
    site: Site, run: Run, seed: Callable[[Site], None]
) -> None:
    expected = FAULTS[seed]

    seed(site)

    fixes = [line["fix"] for line in findings(run) if line["check"].startswith(expected.check)]
    assert len(fixes) == 1
    assert [name for name in expected.names if name not in fixes[0]] == []


def test_there_are_ten_of_them() -> None:
    assert len(FAULTS) == 10
