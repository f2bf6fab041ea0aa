"""An error at any line of our code shows no secret to those who report errors."""

from __future__ import annotations

import io
import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils.log import AdminEmailHandler
from django.utils.timezone import now
from django.views.debug import ExceptionReporter

from tests.grants import granted
from tests.parameters import mostly_long
from tests.reporter import OUTSIDE, Place, Tracer, links_of, shown_by
from zoho_crm import crypto
from zoho_crm.contrib.pytest import ENCRYPTION_KEY
from zoho_crm.exceptions import ZohoError
from zoho_crm.models import Connection, SdkToken, Token
from zoho_crm.services import clients, connect, keys, sdk_tokens, tokens
from zoho_crm.services.export_tokens import export_tokens
from zoho_crm.services.sdk_rows import SdkGrant
from zoho_crm.services.users import disconnect_user
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator
from zoho_crm.types import Secret

pytestmark = pytest.mark.django_db

NEW_KEY = crypto.new_key()
#: Random texts that the app makes begin with this.
RANDOM = "random-and-secret"
LONG_AGO = timedelta(days=1)
#: One of so many places is tried where others have shown much the same, or a reporter is slow.
SAMPLE = 15


@dataclass
class Site:
    """A site with a connection, and a person who is signed in."""

    zoho: Simulator
    client: Client
    connection: Connection
    settings: Any
    directory: Path

    def by_code(self) -> Callable[[], object]:
        code = Secret(self.zoho.grant_code())
        return lambda: connect.with_grant_code(code=code, data_center="local")

    def by_command(self) -> Callable[[], object]:
        stdin = io.StringIO(f"{self.zoho.grant_code()}\n{CLIENT_SECRET}\n")
        options = ("--grant-code=-", "--data-center=local", f"--client-id={CLIENT_ID}")
        return lambda: call_command("zoho_connect", *options, stdin=stdin, stdout=io.StringIO())

    def client_page(self) -> Callable[[], object]:
        """A person enters a client."""
        answers = {"how": "self", "data_center": "local", "environment": "production"}
        query = urlencode({"step": "client", **answers})
        page = f"{reverse('admin:zoho_crm_connection_connect')}?{query}"
        form = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        return lambda: self.client.post(page, form)

    def by_page(self) -> Callable[[], object]:
        entered: Any = self.client_page()()
        form = {"code": self.zoho.grant_code()}
        return lambda: self.client.post(entered.headers["Location"], form)

    def start(self) -> Callable[[], object]:
        return lambda: self.client.post(reverse("zoho_crm:connect"))

    def callback(self) -> Callable[[], object]:
        address = self.client.post(reverse("zoho_crm:connect")).headers["Location"]
        back = urlsplit(self.zoho.consent(address))
        return lambda: self.client.get(back.path, parse_qs(back.query))

    def refresh(self) -> Callable[[], object]:
        self._connect_again()
        Token.objects.update(expires_at=now() - LONG_AGO)
        return lambda: tokens.access_token(connection_id=self.connection.pk)

    def api_call(self) -> Callable[[], object]:
        self._connect_again()
        return lambda: clients.client_for(self.connection).organisation()

    def rejected(self) -> Callable[[], object]:
        """Zoho rejects the access token of a call, which is renewed."""
        self._connect_again()
        self.zoho.world.grants.access_tokens.clear()
        return lambda: clients.client_for(self.connection).organisation()

    def disconnect(self) -> Callable[[], object]:
        self._connect_again()
        return lambda: connect.disconnect(connection_id=self.connection.pk)

    def disconnect_user(self) -> Callable[[], object]:
        self._connect_again()
        token_id = tokens.token_of(self.connection).pk
        return lambda: disconnect_user(token_id=token_id)

    def rotate(self) -> Callable[[], object]:
        self._connect_again()
        before = self.settings.ZOHO_CRM["ENCRYPTION_KEYS"]
        self.settings.ZOHO_CRM |= {"ENCRYPTION_KEYS": before[::-1]}
        return lambda: (keys.rotate(), keys.fingerprint(Token.objects.get(), "access_token"))

    def forget(self) -> Callable[[], object]:
        self._connect_again()
        Token.objects.update(refresh_token_cipher="zk1:00000000:lost")
        return lambda: connect.forget(connection_id=self.connection.pk)

    def export_tokens(self) -> Callable[[], object]:
        self._connect_again()
        path = self._new_file()
        return lambda: export_tokens(path=path)

    def import_tokens(self) -> Callable[[], object]:
        self._connect_again()
        path = self._new_file()
        export_tokens(path=path)
        options = (f"--from-file={path}", "--no-verify", "--execute")
        return lambda: call_command("zoho_import_tokens", *options, stdout=io.StringIO())

    def sdk_save(self) -> Callable[[], object]:
        """A program that uses Zoho's SDK saves a grant."""
        grant = self._grant_of_sdk()
        return lambda: sdk_tokens.save(grant)

    def sdk_kept(self) -> Callable[[], object]:
        """It finds one of which Zoho does not say whose it is, and which is to be renewed."""
        sdk_id = sdk_tokens.save(self._grant_of_sdk(scope="ZohoCRM.modules.ALL"))
        SdkToken.objects.update(expires_at=now() - LONG_AGO, asked_at=None)
        return lambda: sdk_tokens.find_by_id(sdk_id)

    def _grant_of_sdk(self, **code: str) -> SdkGrant:
        given = granted(self.zoho, **code)
        return SdkGrant(
            client_id=CLIENT_ID,
            client_secret=Secret(CLIENT_SECRET),
            refresh_token=Secret(given["refresh_token"]),
            access_token=Secret(given["access_token"]),
            api_domain=self.zoho.origin,
            expires_at=now() + LONG_AGO,
        )

    def _new_file(self) -> Path:
        return self.directory / str(len(list(self.directory.iterdir())))

    def secrets(self) -> set[str]:
        """Return the secrets that there are at the moment."""
        grants = self.zoho.world.grants
        issued = {*grants.codes, *grants.refresh_tokens, *grants.access_tokens}
        return {CLIENT_SECRET, ENCRYPTION_KEY, NEW_KEY, RANDOM, *issued}

    def _connect_again(self) -> None:
        connect.with_grant_code(code=self.zoho.grant_code(), data_center="local")


PATHS = ["by_code", "by_command", "client_page", "by_page", "start", "callback", "refresh"]
PATHS += ["api_call", "rejected", "disconnect", "disconnect_user", "rotate", "forget"]
PATHS += ["export_tokens", "import_tokens", "sdk_save", "sdk_kept"]


@pytest.fixture
def site(
    zoho: Simulator,
    admin_client: Client,
    connection: Connection,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    numbers = count()
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _size: f"{RANDOM}-{next(numbers)}")
    settings.ZOHO_CRM |= {"ENCRYPTION_KEYS": [ENCRYPTION_KEY, NEW_KEY]}
    return Site(
        zoho=zoho,
        client=admin_client,
        connection=connection,
        settings=settings,
        directory=tmp_path,
    )


def places_of(site: Site, path: str, *, libraries: bool = False) -> list[Place]:
    """Return the places that a path passes."""
    getattr(site, path)()()  # modules are imported
    tracer = Tracer(libraries=libraries)
    tracer.run(getattr(site, path)())
    places = list(tracer.passed)
    return after(places, "_take_parameters") if path == "callback" else places


def after(places: list[Place], function: str) -> list[Place]:
    """Leave out the places until a view has taken the secrets out of the request, with this."""
    takes = [number for number, place in enumerate(places) if place.function == function]
    return places[takes[-1] + 1 :]


def interrupted(site: Site, path: str, tracer: Tracer) -> tuple[BaseException | None, set[str]]:
    """Follow a path until the tracer raises; return the error, and the secrets that there were."""
    site.zoho.advance(601)  # Zoho gives ten tokens in ten minutes
    call = getattr(site, path)()
    before = site.secrets()
    try:
        tracer.run(call)
    except BaseException as error:
        if not any(isinstance(link, tracer.error) for link in links_of(error)):
            raise
        return error, before | site.secrets()
    return None, set()


@pytest.mark.parametrize("path", mostly_long(PATHS, quick=("start",)))
def test_an_interruption_at_any_line_shows_no_secret(site: Site, path: str) -> None:
    shown, reached, places = [], 0, places_of(site, path)
    if path != "by_code":
        known = set(places_of(site, "by_code"))
        places = [each for n, each in enumerate(places) if each not in known or n % SAMPLE == 0]

    for place in places:
        error, hidden = interrupted(site, path, Tracer(place))
        if error is not None:
            reached += 1
            report = shown_by(error)
            shown += [place for secret in hidden if secret in report]

    assert sorted({place[1:] for place in shown}) == []
    assert reached > 0.8 * len(places) > 15


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.long
@pytest.mark.parametrize("path", ["by_code", "refresh", "api_call", "disconnect"])
def test_an_interruption_below_our_code_shows_no_secret(
    site: Site, live_zoho: Simulator, path: str
) -> None:
    site.zoho = live_zoho
    site.connection = site.by_code()()
    shown, reached, places = [], 0, places_of(site, path, libraries=True)

    for place in places:
        error, hidden = interrupted(site, path, Tracer(place, libraries=True))
        reached += error is not None
        report = shown_by(error) if error is not None else ""
        shown += [place for secret in hidden if secret in report]

    assert sorted({place[1:] for place in shown}) == []
    assert reached > 0.8 * len(places) > 80


class BugError(Exception):
    """Stands for a bug of ours: Django reports it."""


@pytest.fixture
def mail_to_admins(settings: Any) -> Iterator[AdminEmailHandler]:
    """Let Django mail what it reports, in HTML too."""
    settings.ADMINS = [("Ops", "ops@crm.example")]
    handler = AdminEmailHandler(include_html=True)
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


# From Django 6.1 on, its own mail to admins uses what is deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("path", mostly_long(PATHS, quick=("rotate",)))
def test_a_bug_shows_no_secret_on_the_debug_page_and_in_the_mail_to_admins(
    site: Site, path: str, settings: Any, mail_to_admins: AdminEmailHandler
) -> None:
    site.client.raise_request_exception = False
    shown: list[Place] = []
    reports = 0

    places = places_of(site, path)
    places = after(places, "without_values") if path.endswith("_page") else places
    for place in places[::SAMPLE]:
        for debug in (True, False):
            settings.DEBUG = debug
            mail.outbox.clear()
            site.zoho.advance(601)
            call = getattr(site, path)()
            hidden = site.secrets()
            report = reported(partial(Tracer(place, BugError).run, call), mail_to_admins)
            hidden |= site.secrets()
            reports += "interrupted" in report
            shown += [place for secret in hidden if secret in report]

    assert sorted({place[1:] for place in shown}) == []
    assert reports > 3


def reported(call: Callable[[], Any], mail_to_admins: AdminEmailHandler) -> str:
    """Return the debug page, or the mail to the admins, for the error of a call."""
    try:
        answer = call()
    except (BugError, ZohoError) as error:
        begin_with_our_frames(error)
        info = (type(error), error, error.__traceback__)
        record = logging.LogRecord("zoho_crm", logging.ERROR, "", 0, "failed", None, info)
        mail_to_admins.emit(record)
        page = ExceptionReporter(None, *info).get_traceback_html()
    else:
        page = answer.content.decode() if getattr(answer, "status_code", 200) == 500 else ""
    mails = [(message.body, message.alternatives) for message in mail.outbox]
    return f"{page} {mails}"


def begin_with_our_frames(error: BaseException) -> None:
    """Take the frames of tests off the beginning of an error's traceback."""
    trace = error.__traceback__
    while trace and trace.tb_frame.f_globals["__name__"].startswith(OUTSIDE):
        trace = trace.tb_next
    error.__traceback__ = trace
