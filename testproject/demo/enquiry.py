"""The demo's visitor: fills in the form on the front page, and becomes a lead."""

from __future__ import annotations

import time

from testproject.demo.browser import browser
from testproject.demo.scenario import MAX_WAIT_SECONDS
from testproject.models import Enquiry

VISITOR = {
    "name": "Ada Lovelace",
    "company": "Nordwind GmbH",
    "email": "ada@nordwind.example",
    "message": "Can it weave algebraic patterns?",
}


def enquire_in_browser(site: str) -> Enquiry:
    """
    Fill in the form on the front page of the site, and return the enquiry.

    :raises LookupError: if the page has no such form
    """
    with browser() as visitor:
        visitor.press(visitor.open(f"{site}/"), "Send", **VISITOR)
    return Enquiry.objects.latest("pk")


def wait_until_lead(enquiry: Enquiry) -> str:
    """Wait until an enquiry is a lead at Zoho, or the time limit; return its id, or nothing."""
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while not enquiry.zoho_lead_id and time.monotonic() < deadline:
        time.sleep(0.1)
        enquiry.refresh_from_db()
    return enquiry.zoho_lead_id
