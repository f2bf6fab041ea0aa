"""The pytest plugin that host projects use."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from urllib3.util import Timeout

from zoho_crm.contrib.pytest import SimulatorAdapter, transport
from zoho_crm.simulator import Simulator


def test_settings_point_to_an_empty_simulator(zoho: Simulator, settings: Any) -> None:
    assert settings.ZOHO_CRM["LOCAL_URL"] == zoho.origin
    assert settings.ZOHO_CRM["TRANSPORT"] == "zoho_crm.contrib.pytest.transport"
    assert settings.ZOHO_CRM["ENCRYPTION_KEYS"]
    assert zoho.stories() == []


def test_the_transport_reaches_the_simulator_of_the_running_test(zoho: Simulator) -> None:
    with requests.Session() as session:
        session.mount("http://", transport())

        answer = session.get(f"{zoho.origin}/oauth/serverinfo")

    assert answer.json()["locations"] == {"local": zoho.origin}


def test_without_the_fixture_there_is_no_transport() -> None:
    with pytest.raises(RuntimeError, match="use the fixture `zoho`"):
        transport()


def test_a_live_simulator_answers_at_its_port(live_zoho: Simulator, settings: Any) -> None:
    url = settings.ZOHO_CRM["LOCAL_URL"]

    assert requests.get(f"{url}/oauth/serverinfo", timeout=5).status_code == 200
    assert settings.ZOHO_CRM["TRANSPORT"] == ""
    assert live_zoho.origin == url


def test_redirects_to_djangos_test_client_are_allowed(zoho: Simulator) -> None:
    url = (
        "/oauth/v2/auth?response_type=code&client_id=1000.SIMULATOR&scope=ZohoCRM.modules.ALL"
        "&redirect_uri=http://testserver/zoho/oauth/callback/"
    )

    assert zoho.consent(url).startswith("http://testserver/zoho/oauth/callback/?code=")


@pytest.mark.parametrize("timeout", [1, (1, 2), Timeout(total=2)])
def test_every_form_of_timeout_is_accepted(zoho: Simulator, timeout: Any) -> None:
    zoho.fail("serverinfo", "delay", seconds=60)

    with requests.Session() as session:
        session.mount("http://", SimulatorAdapter(zoho))
        with pytest.raises(requests.ReadTimeout):
            session.get(f"{zoho.origin}/oauth/serverinfo", timeout=timeout)


def test_a_streamed_answer_is_read_on_demand(zoho: Simulator) -> None:
    with requests.Session() as session:
        session.mount("http://", SimulatorAdapter(zoho))

        answer = session.get(f"{zoho.origin}/oauth/serverinfo", stream=True)

        first = answer.raw.read(1)
        assert first + answer.raw.read() == b'{"result": "success", "locations": ' + (
            f'{{"local": "{zoho.origin}"}}}}'.encode()
        )
