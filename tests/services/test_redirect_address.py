"""Whether the redirect address answers is a hint: it is asked once, and never waited for long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.client.raw import RawServer, answering, silent, whole
from tests.client.tls import certificate
from zoho_crm.services import redirect_address
from zoho_crm.services.redirect_address import Reach, ask_redirect_address

CALLBACK = "/zoho/oauth/callback/"


def ask(settings: Any, origin: str, **more: Any) -> Reach:
    settings.ZOHO_CRM = {"REDIRECT_URI": f"{origin}{CALLBACK}?next=/", **more}
    return ask_redirect_address()


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        ("200 OK", ""),
        ("302 Found", ""),
        ("403 Forbidden", ""),
        ("405 Method Not Allowed", ""),
        ("404 Not Found", "no page at this address (404)"),
        ("502 Bad Gateway", "out of order (502)"),
    ],
)
def test_any_answer_of_a_page_will_do(settings: Any, status: str, problem: str) -> None:
    with RawServer(
        answering(whole(b"", status=status, head=b"Location: /elsewhere/\r\n"))
    ) as server:
        found = ask(settings, server.origin)

    assert found.unknown == ""
    assert problem in found.problem
    assert bool(found.problem) == bool(problem)
    (asked,) = server.requests
    assert asked.startswith(f"HEAD {CALLBACK} ".encode())
    assert b"cookie" not in asked.lower()
    assert b"authorization" not in asked.lower()


def test_a_certificate_that_is_not_trusted_is_named(settings: Any, tmp_path: Path) -> None:
    trusted = certificate(tmp_path / "own.pem")
    with RawServer(answering(whole(b"{}")), trusted.server()) as server:
        assert "certificate" in ask(settings, server.origin).problem
        assert ask(settings, server.origin, CA_BUNDLE=str(trusted.path)) == Reach()


def test_what_does_not_answer_here_may_answer_browsers(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redirect_address, "MAX_SECONDS", 0.2)
    with RawServer(silent) as server:
        found = ask(settings, server.origin)
    assert (found.problem, bool(found.unknown)) == ("", True)

    found = ask(settings, "https://localhost:1")
    assert (found.problem, bool(found.unknown)) == ("", True)


def test_a_missing_file_of_certificates_is_no_crash(settings: Any) -> None:
    assert "/nowhere" in ask(settings, "https://localhost:1", CA_BUNDLE="/nowhere").unknown
