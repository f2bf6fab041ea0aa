"""The panel with which a person breaks the simulator, and sees what it was asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.admin.pages import Browser
from zoho_crm.exceptions import ConnectionLostError, ServerError, ZohoError
from zoho_crm.models import Connection, ConnectionWork, from_now
from zoho_crm.services import clients, connect, tokens
from zoho_crm.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection(live_zoho: Simulator) -> Connection:
    """Connect to a simulator that answers over HTTP."""
    return connect.with_grant_code(code=live_zoho.grant_code(), data_center="local")


@pytest.fixture
def panel(browser: Browser, connection: Connection) -> Browser:
    browser.get(f"/admin/zoho_crm/connection/{connection.pk}/simulator/")
    return browser


def organisation_of(connection: Connection) -> str:
    return clients.client_for(connection).organisation().name


@pytest.mark.parametrize(
    ("button", "error"),
    [
        ("Next call: out of order (500)", ServerError),
        ("Next call: too many calls (429)", ZohoError),
    ],
)
def test_the_next_call_fails_once(
    button: str, error: type[Exception], panel: Browser, connection: Connection
) -> None:
    page = panel.press(button)

    assert f"The simulator will do this: {button}" in page.text
    with pytest.raises(error):
        organisation_of(connection)
    assert organisation_of(connection) == "Nordwind Trading"


def test_an_answer_is_lost_after_converting(
    panel: Browser, connection: Connection, live_zoho: Simulator
) -> None:
    panel.press("Next conversion: converts, and the answer is lost")

    (fault,) = live_zoho.engine.faults
    assert (fault.on, fault.do) == ("convert", "close_after")


def test_tokens_are_revoked(panel: Browser, connection: Connection) -> None:
    panel.press("Revoke the tokens")

    with pytest.raises(ConnectionLostError):
        tokens.refresh(connection_id=connection.pk, generation=1)


def test_limits_are_set_and_removed(
    panel: Browser, connection: Connection, live_zoho: Simulator
) -> None:
    panel.press("Slow: 800 ms a call")
    panel.press("50 credits left")
    panel.press("Next call: out of order (500)")
    settings = live_zoho.engine.settings
    assert (settings.latency, settings.credits - live_zoho.stats()["credits_used"]) == (0.8, 50)

    ConnectionWork.objects.update_or_create(
        connection=connection,
        defaults={"backoff_until": from_now(600), "backoff_reason": "reserve"},
    )
    panel.press("Remove all faults and limits")

    assert ConnectionWork.objects.get().backoff_until is None
    assert live_zoho.engine.settings.latency == 0
    assert live_zoho.engine.faults == []
    assert organisation_of(connection) == "Nordwind Trading"


@pytest.mark.slow
def test_a_reset_makes_a_new_organisation_to_be_added(
    panel: Browser, connection: Connection, live_zoho: Simulator
) -> None:
    assert "Ensure this value is greater" in panel.press("Reset", leads=-1).text

    page = panel.press("Reset", leads=3, seed=7)

    assert "a new organisation with 3 leads" in page.text
    assert len(live_zoho.stories()) == 3
    panel.get("/admin/zoho_crm/connection/")
    panel.press("Add the simulator")
    assert Connection.objects.count() == 2


def test_the_log_has_what_was_asked(panel: Browser, connection: Connection) -> None:
    organisation_of(connection)

    page = panel.get(panel.url)

    assert "GET /crm/v8/org 200" in page.text


def test_a_simulator_that_does_not_answer_is_said_not_to(
    browser: Browser, connection: Connection, settings: object
) -> None:
    settings.ZOHO_CRM |= {"LOCAL_URL": "http://127.0.0.1:9"}  # type: ignore[attr-defined]

    page = browser.get(f"/admin/zoho_crm/connection/{connection.pk}/simulator/")

    assert "The simulator does not answer" in page.text


def test_only_a_connection_to_the_simulator_has_a_panel(
    browser: Browser, browser_as: Callable[..., Browser], connection: Connection
) -> None:
    address = f"/admin/zoho_crm/connection/{connection.pk}/change/"
    assert "Simulator…" in browser.get(address).links
    assert "Simulator…" not in browser_as("view_connection").get(address).links
    Connection.objects.update(data_center="eu")

    assert "Simulator…" not in browser.get(address).links
    browser.get(f"/admin/zoho_crm/connection/{connection.pk}/simulator/")
    assert browser.status == 404
