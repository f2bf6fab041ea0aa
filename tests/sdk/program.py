"""A program that uses Zoho's SDK as its documentation shows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
from zohocrmsdk.src.com.zoho.api.authenticator.store import FileStore, TokenStore
from zohocrmsdk.src.com.zoho.crm.api import Initializer, ParameterMap
from zohocrmsdk.src.com.zoho.crm.api.conversion_option import ConversionOptionOperations
from zohocrmsdk.src.com.zoho.crm.api.convert_lead import (
    BodyWrapper,
    ConvertLeadOperations,
    LeadConverter,
)
from zohocrmsdk.src.com.zoho.crm.api.dc import DataCenter
from zohocrmsdk.src.com.zoho.crm.api.record import (
    BodyWrapper as RecordBody,
)
from zohocrmsdk.src.com.zoho.crm.api.record import GetRecordsParam, Record, RecordOperations
from zohocrmsdk.src.com.zoho.crm.api.users import GetUsersParam, UsersOperations

from zoho_crm.contrib.sdk import DjangoTokenStore
from zoho_crm.simulator import CLIENT_ID, CLIENT_SECRET, Simulator

#: Stores by name; each is made for a folder.
STORES: dict[str, Callable[[Path], TokenStore]] = {
    "file": lambda folder: FileStore(file_path=str(folder / "tokens.csv")),
    "django": lambda folder: DjangoTokenStore(),
}


def current_user() -> Any:
    """Return the user as whom the SDK acts in this thread."""
    parameters = ParameterMap()
    parameters.add(GetUsersParam.type, "CurrentUser")
    return UsersOperations().get_users(parameters).get_object().get_users()[0]


class Sdk:
    """The program, with one of the token stores."""

    def __init__(self, zoho: Simulator, folder: Path, store: str = "file") -> None:
        self.zoho = zoho
        self.folder = folder
        self.store = STORES[store](folder)

    def connect(self, **grant: str) -> OAuthToken:
        token = OAuthToken(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, **grant)
        Initializer.initialize(
            environment=DataCenter.Environment(
                self.zoho.origin, f"{self.zoho.origin}/oauth/v2/token", self.zoho.origin
            ),
            token=token,
            store=self.store,
            resource_path=str(self.folder),
        )
        return token

    def current_user(self) -> Any:
        return current_user()

    def leads(self, **chosen: str) -> list[Any]:
        parameters = ParameterMap()
        for name, value in {"fields": "Last_Name,Company,Email", **chosen}.items():
            parameters.add(getattr(GetRecordsParam, name), value)
        answer = RecordOperations("Leads").get_records(parameters)
        return answer.get_object().get_data() if answer.get_object() else []

    def options(self, lead_id: str) -> Any:
        return ConversionOptionOperations(int(lead_id)).lead_conversion_options()

    def convert(self, lead_id: str, converter: LeadConverter) -> Any:
        request = BodyWrapper()
        request.set_data([converter])
        return ConvertLeadOperations(int(lead_id)).convert_lead(request)

    def write(self, lead_id: str = "", **values: Any) -> Any:
        """Create a lead, or update one, and return the SDK's object for it."""
        lead, request = Record(), RecordBody()
        for name, value in values.items():
            lead.add_key_value(name, value)
        request.set_data([lead])
        leads = RecordOperations("Leads")
        answer = (
            leads.update_record(int(lead_id), request) if lead_id else leads.create_records(request)
        )
        return answer.get_object().get_data()[0]

    def lead(self, lead_id: str) -> Any:
        return RecordOperations("Leads").get_record(int(lead_id)).get_object().get_data()[0]
