"""Widths and heights of pages, measured where there is a browser: only long words are broken."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.staticfiles.finders import find

from tests.admin.pages import Browser
from tests.matches import many_matches
from tests.parameters import long
from tests.services.test_users import add_user
from zoho_crm.matching import POLICIES
from zoho_crm.models import Connection, LeadConversion, MassConversion, OutboxRecord, Token
from zoho_crm.services import preview
from zoho_crm.simulator import Simulator
from zoho_crm.types import as_json

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

BASE = "/admin/zoho_crm/"
WORD = "W" * 30_000
WINDOW = 1000
PHONE = 375
#: Pixels; more than four lines.
MAX_ROW_HEIGHT = 100
STATIC_URL = r"/static/([^\"']+)"
FRAME = '<iframe src="{number}.html" width="{width}" height="800"></iframe>'
#: Writes a size of each frame's page into the page.
MEASURE = """<script>addEventListener("load", () => {
for (const frame of document.querySelectorAll("iframe"))
    document.body.append(frame.contentDocument.SIZE, "px ");
})</script>"""
WIDTH = "documentElement.scrollWidth"
HEIGHT_OF_ROW = "querySelector('#result_list tbody tr').offsetHeight"


@pytest.fixture
def urls(connection: Connection, zoho: Simulator) -> list[str]:
    """Return pages of a lead, a run and an outgoing record with names of one very long word."""
    for user in zoho.organisation.users:
        user["full_name"] = WORD
    body = many_matches(2, 2, name=WORD)
    zoho.fail("options", "error_before", status=200, body=body)
    lead = zoho.add_lead(First_Name=WORD, Last_Name=WORD, Company=WORD, Description=WORD)
    row = preview.preview(connection_id=connection.pk, lead_id=lead.id)
    Connection.objects.update(name="W" * 100, org_name="W" * 200)
    token = add_user(zoho)
    Token.objects.update(user_email="W" * 200)
    LeadConversion.objects.update(error_code="W" * 50, error_message=WORD)
    run = MassConversion.objects.create(
        connection=connection,
        name="W" * 100,
        policy=as_json(POLICIES["careful"]),
        source="open_leads",
        source_details={"filters": WORD},
    )
    person = {"kind": "contact", "id": "1", "name": WORD, "company": WORD, "converted": None}
    pushed = OutboxRecord.objects.create(
        connection=connection,
        action="upsert",
        module="W" * 100,
        key="W" * 200,
        values={WORD: WORD},
        known_people=[person],
        status="NEEDS_REVIEW",
        error_code="W" * 50,
        error_message=WORD,
    )
    return [
        BASE,
        f"{BASE}zoholead/",
        f"{BASE}leadconversion/",
        f"{BASE}leadconversion/{row.pk}/change/",
        f"{BASE}leadconversion/{row.pk}/decide/",
        f"{BASE}massconversion/",
        f"{BASE}massconversion/{run.pk}/change/",
        f"{BASE}massconversion/{run.pk}/cancel/",
        f"{BASE}massconversion/prepare/",
        f"{BASE}outboxrecord/",
        f"{BASE}outboxrecord/{pushed.pk}/change/",
        f"{BASE}outboxrecord/{pushed.pk}/decide/",
        f"{BASE}connection/",
        f"{BASE}connection/{connection.pk}/change/",
        f"{BASE}connection/{connection.pk}/disconnect/",
        f"{BASE}token/{token.pk}/change/",
        f"{BASE}token/{token.pk}/default/",
        f"{BASE}token/{token.pk}/disconnect/",
    ]


@pytest.fixture
def chromium(tmp_path: Path) -> list[str]:
    """Return the command that loads a page without a window and writes its DOM."""
    program = shutil.which("chromium")
    if not program:
        pytest.skip("needs Chromium")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    return [program, *options, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]


@pytest.fixture
def measured(
    browser: Browser, chromium: list[str], tmp_path: Path
) -> Callable[..., dict[str, int]]:
    """Return a function that measures a size of pages, in pixels, by their URL."""

    def sizes(urls: list[str], size: str, window: int = WINDOW) -> dict[str, int]:
        for number, url in enumerate(urls):
            html = browser.get(url).html
            html = re.sub(STATIC_URL, lambda found: f"file://{find(found[1])}", html)
            (tmp_path / f"{number}.html").write_text(html, encoding="utf-8")
        frames = [FRAME.format(number=number, width=window) for number in range(len(urls))]
        page = tmp_path / "page.html"
        page.write_text("".join([*frames, MEASURE.replace("SIZE", size)]), encoding="utf-8")
        dom = subprocess.check_output([*chromium, page.as_uri()], text=True, timeout=120)
        found = map(int, re.findall(r"(\d+)px", dom))
        return dict(zip(urls, found, strict=True))

    return sizes


@pytest.mark.parametrize("window", [PHONE, long(WINDOW)])
def test_a_long_word_widens_no_page(
    urls: list[str], measured: Callable[..., dict[str, int]], window: int
) -> None:
    wide = {url: width for url, width in measured(urls, WIDTH, window).items() if width > window}
    assert not wide


def test_a_usual_word_is_not_broken_in_a_list(
    connection: Connection, measured: Callable[..., dict[str, int]]
) -> None:
    (height,) = measured([f"{BASE}connection/"], HEIGHT_OF_ROW).values()

    assert height < MAX_ROW_HEIGHT
