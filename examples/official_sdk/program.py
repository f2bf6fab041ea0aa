"""
Use Zoho's own Python SDK with its tokens in the tables of a Django site.

Run it from the root of the repository; a simulator and a new database are started for it::

    .venv/bin/python examples/official_sdk/program.py
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import django

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testproject.settings")
os.environ.setdefault("DEBUG", "0")

if __name__ == "__main__":
    own_folder = tempfile.TemporaryDirectory(prefix="official-sdk-")
    os.environ["DATABASE_URL"] = f"sqlite:///{own_folder.name}/db.sqlite3"
    django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken  # noqa: E402
from zohocrmsdk.src.com.zoho.crm.api import Initializer, ParameterMap  # noqa: E402
from zohocrmsdk.src.com.zoho.crm.api.conversion_option import (  # noqa: E402
    ConversionOptionOperations,
)
from zohocrmsdk.src.com.zoho.crm.api.convert_lead import (  # noqa: E402
    BodyWrapper,
    ConvertLeadOperations,
    LeadConverter,
)
from zohocrmsdk.src.com.zoho.crm.api.dc import DataCenter  # noqa: E402
from zohocrmsdk.src.com.zoho.crm.api.record import BodyWrapper as RecordBody  # noqa: E402
from zohocrmsdk.src.com.zoho.crm.api.record import (  # noqa: E402
    Field,
    GetRecordsParam,
    Record,
    RecordOperations,
)
from zohocrmsdk.src.com.zoho.crm.api.users import GetUsersParam, UsersOperations  # noqa: E402
from zohocrmsdk.src.com.zoho.crm.api.util import Choice  # noqa: E402

from zoho_crm import crypto  # noqa: E402
from zoho_crm.contrib.sdk import DjangoTokenStore, sdk_session  # noqa: E402
from zoho_crm.simulator import (  # noqa: E402
    CLIENT_ID,
    CLIENT_SECRET,
    Server,
    Simulator,
    SimulatorSettings,
)


@contextmanager
def site() -> Iterator[Simulator]:
    """Start a simulator, point the site's settings to it, and create the tables."""
    zoho = Simulator(SimulatorSettings(leads=0))
    with Server(zoho):
        settings.ZOHO_CRM = {"LOCAL_URL": zoho.origin, "ENCRYPTION_KEYS": [crypto.new_key()]}
        call_command("migrate", verbosity=0)
        yield zoho


def initialize(zoho: Simulator, folder: str, grant_token: str) -> None:
    """Start the SDK, as its documentation shows; only the store is another one."""
    Initializer.initialize(
        environment=DataCenter.Environment(
            zoho.origin, f"{zoho.origin}/oauth/v2/token", zoho.origin
        ),
        token=OAuthToken(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, grant_token=grant_token),
        store=DjangoTokenStore(),
        resource_path=folder,
    )


def current_user() -> str:
    parameters = ParameterMap()
    parameters.add(GetUsersParam.type, "CurrentUser")
    (user,) = UsersOperations().get_users(parameters).get_object().get_users()
    return str(user.get_email())


def create() -> str:
    lead, request = Record(), RecordBody()
    lead.add_key_value("Last_Name", "Berg")
    lead.add_key_value("Company", "Fjordlys")
    lead.add_key_value("Email", "lea@fjordlys.example")
    request.set_data([lead])
    (created,) = RecordOperations("Leads").create_records(request).get_object().get_data()
    return str(created.get_details()["id"])


def list_leads() -> list[str]:
    parameters = ParameterMap()
    parameters.add(GetRecordsParam.fields, "Last_Name,Company")
    answer = RecordOperations("Leads").get_records(parameters).get_object()
    return [lead.get_key_value("Company") for lead in answer.get_data()]


def options(lead_id: str) -> int:
    return int(ConversionOptionOperations(int(lead_id)).lead_conversion_options().get_status_code())


def convert(lead_id: str) -> str:
    converter, request, deal = LeadConverter(), BodyWrapper(), Record()
    deal.add_field_value(Field.Deals.deal_name(), "Roll-out")
    deal.add_field_value(Field.Deals.closing_date(), date(2030, 3, 31))
    deal.add_field_value(Field.Deals.stage(), Choice("Qualification"))
    deal.add_field_value(Field.Deals.pipeline(), Choice("Standard (Standard)"))
    converter.set_deals(deal)
    request.set_data([converter])
    answer = ConvertLeadOperations(int(lead_id)).convert_lead(request).get_object()
    outcome = answer.get_data()[0] if hasattr(answer, "get_data") else answer
    return str(outcome.get_code().get_value())


def run(folder: str) -> None:
    """Take each step, and print what came of it."""

    def show(step: str, outcome: Any) -> None:
        print(f"{step:<20}{outcome}")

    with site() as zoho:
        initialize(zoho, folder, zoho.grant_code())
        show("grant exchange", current_user())
        lead_id = create()
        steps: dict[str, Callable[[], Any]] = {
            "list": list_leads,
            "conversion options": lambda: options(lead_id),
            "convert": lambda: convert(lead_id),
            "convert again": lambda: convert(lead_id),
        }
        for step, take in steps.items():
            show(step, take())
        with sdk_session(user="mara@nordwind.example"):
            show("session", current_user())
        (token,) = DjangoTokenStore().get_tokens()
        show("revoke", token.revoke(token.get_id()))


if __name__ == "__main__":
    with own_folder:
        run(own_folder.name)
