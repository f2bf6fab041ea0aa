"""
The modules and fields of a standard organisation, and the lead conversion mapping.

The mapping is that of Zoho's sample organisation:
`field metadata <https://www.zoho.com/crm/developer/docs/api/v8/field-meta.html>`_.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: The simulated modules that have records.
RECORD_MODULES = ("Leads", "Contacts", "Accounts", "Deals")
#: The field that names a record in look-ups.
NAME_FIELDS = {
    "Leads": "Full_Name",
    "Contacts": "Full_Name",
    "Accounts": "Account_Name",
    "Deals": "Deal_Name",
}


_UNSORTABLE = ("textarea", "multiselectpicklist", "tag", "profileimage", "layout")
_UNFILTERABLE = ("textarea", "profileimage")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a module; ``contact``, ``account``, ``deal`` are the fields it is mapped to."""

    name: str
    type: str = "text"
    length: int = 255
    mandatory: bool = False
    read_only: bool = False
    contact: str | None = None
    account: str | None = None
    deal: str | None = None
    choices: tuple[str, ...] = ()
    target: str = ""
    """The module that a look-up refers to."""
    #: Whether it is one that an organisation added.
    custom: bool = False

    @property
    def label(self) -> str:
        return self.name.removesuffix("__s").replace("_", " ")

    @property
    def sortable(self) -> bool:
        """Return whether a search may be sorted by the field."""
        return self.type not in _UNSORTABLE

    @property
    def filterable(self) -> bool:
        """Return whether views and COQL may select by the field."""
        return self.type not in _UNFILTERABLE

    @property
    def searchable(self) -> bool:
        return self.type not in ("profileimage", "layout")

    @property
    def mapping(self) -> dict[str, str | None]:
        return {"Contacts": self.contact, "Accounts": self.account, "Deals": self.deal}


LEAD_STATUSES = (
    "-None-",
    "Attempted to Contact",
    "Contact in Future",
    "Contacted",
    "Junk Lead",
    "Lost Lead",
    "Not Contacted",
    "Pre-Qualified",
    "Not Qualified",
)
STAGES = ("Qualification", "Needs Analysis", "Proposal/Price Quote", "Closed Won", "Closed Lost")
SOURCES = ("-None-", "Advertisement", "Cold Call", "Trade Show", "Web Download", "Partner")


def _text(name: str, length: int = 255, **more: Any) -> Field:
    return Field(name=name, length=length, **more)


def _typed(name: str, type_: str, length: int = 255, **more: Any) -> Field:
    return Field(name=name, type=type_, length=length, **more)


def _address(street: str, city: str, state: str, code: str, country: str) -> tuple[Field, ...]:
    lengths = {street: 250, city: 100, state: 100, code: 30, country: 100}
    return tuple(_text(name, length) for name, length in lengths.items())


_COMMON = (
    _typed("id", "bigint", 18, read_only=True),
    _typed("Owner", "ownerlookup", 120),
    _typed("Tag", "tag", 2000),
    _typed("Layout", "layout", 50),
    _typed("Created_By", "ownerlookup", 120, read_only=True),
    _typed("Modified_By", "ownerlookup", 120, read_only=True),
    _typed("Created_Time", "datetime", 120, read_only=True),
    _typed("Modified_Time", "datetime", 120, read_only=True),
    _typed("Last_Activity_Time", "datetime", 120, read_only=True),
    _typed("Record_Status__s", "picklist", 120, read_only=True),
    _typed("Locked__s", "boolean", 5, read_only=True),
    _typed("Record_Image", "profileimage", 255),
)
_PERSON = (
    _text("Full_Name", 80, read_only=True),
    _typed("Salutation", "picklist", 25, choices=("-None-", "Mr.", "Mrs.", "Ms.", "Dr.", "Prof.")),
)
_LEADS = (
    _text("Company", 200, account="Account_Name"),
    _text("First_Name", 40, contact="First_Name"),
    _text("Last_Name", 80, contact="Last_Name", mandatory=True),
    _text("Designation", 100, contact="Title"),
    _typed("Email", "email", 100, contact="Email"),
    _typed("Secondary_Email", "email", 100, contact="Secondary_Email"),
    _typed("Phone", "phone", 30, contact="Phone", account="Phone"),
    _typed("Mobile", "phone", 30, contact="Mobile"),
    _text("Fax", 30, contact="Fax", account="Fax"),
    _typed("Website", "website", 255, account="Website"),
    _typed(
        "Lead_Source",
        "picklist",
        120,
        contact="Lead_Source",
        deal="Lead_Source",
        choices=SOURCES,
    ),
    _typed("Lead_Status", "picklist", 120, choices=LEAD_STATUSES),
    _typed("Industry", "picklist", 120, account="Industry"),
    _typed("Rating", "picklist", 120, account="Rating"),
    _typed("No_of_Employees", "integer", 9, account="Employees"),
    _typed("Annual_Revenue", "currency", 16, account="Annual_Revenue"),
    _text("Street", 250, contact="Mailing_Street", account="Billing_Street"),
    _text("City", 100, contact="Mailing_City", account="Billing_City"),
    _text("State", 100, contact="Mailing_State", account="Billing_State"),
    _text("Zip_Code", 30, contact="Mailing_Zip", account="Billing_Code"),
    _text("Country", 100, contact="Mailing_Country", account="Billing_Country"),
    _typed(
        "Description",
        "textarea",
        32000,
        contact="Description",
        account="Description",
        deal="Description",
    ),
    _text("Skype_ID", 50, contact="Skype_ID"),
    _text("Twitter", 50, contact="Twitter"),
    _typed("Email_Opt_Out", "boolean", 5),
    _typed("Unsubscribed_Mode", "picklist", 120, read_only=True),
    _typed("Unsubscribed_Time", "datetime", 120, read_only=True),
    _typed("Converted__s", "boolean", 5, read_only=True),
    _typed("Converted_Date_Time", "datetime", 120, read_only=True),
    _typed("Lead_Conversion_Time", "integer", 9, read_only=True),
    _typed("Converted_Account", "lookup", 120, read_only=True, target="Accounts"),
    _typed("Converted_Contact", "lookup", 120, read_only=True, target="Contacts"),
    _typed("Converted_Deal", "lookup", 120, read_only=True, target="Deals"),
    _typed("Enrich_Status__s", "picklist", 120, read_only=True),
    _typed("Last_Enriched_Time__s", "datetime", 120, read_only=True),
)
_CONTACTS = (
    _text("First_Name", 40),
    _text("Last_Name", 80, mandatory=True),
    _text("Title", 100),
    _typed("Account_Name", "lookup", 120, target="Accounts"),
    _typed("Email", "email", 100),
    _typed("Secondary_Email", "email", 100),
    _typed("Phone", "phone", 30),
    _typed("Mobile", "phone", 30),
    _text("Fax", 30),
    _typed("Lead_Source", "picklist", 120, choices=SOURCES),
    _typed("Data_Processing_Basis", "picklist", 120),
    *_address("Mailing_Street", "Mailing_City", "Mailing_State", "Mailing_Zip", "Mailing_Country"),
    _typed("Description", "textarea", 32000),
    _text("Skype_ID", 50),
    _text("Twitter", 50),
    _typed("Email_Opt_Out", "boolean", 5),
)
_ACCOUNTS = (
    _text("Account_Name", 200, mandatory=True),
    _typed("Phone", "phone", 30),
    _text("Fax", 30),
    _typed("Website", "website", 255),
    _typed("Account_Type", "picklist", 120),
    _typed("Industry", "picklist", 120),
    _typed("Rating", "picklist", 120),
    _typed("Employees", "integer", 9),
    _typed("Annual_Revenue", "currency", 16),
    *_address("Billing_Street", "Billing_City", "Billing_State", "Billing_Code", "Billing_Country"),
    _typed("Description", "textarea", 32000),
)
_DEALS = (
    _text("Deal_Name", 120, mandatory=True),
    _typed("Closing_Date", "date", 20),
    _typed("Stage", "picklist", 120, mandatory=True, choices=STAGES),
    _typed("Pipeline", "picklist", 120),
    _typed("Amount", "currency", 16),
    _typed("Account_Name", "lookup", 120, target="Accounts"),
    _typed("Contact_Name", "lookup", 120, target="Contacts"),
    _typed("Campaign_Source", "lookup", 120, target="Campaigns"),
    _typed("Type", "picklist", 120),
    _typed("Probability", "integer", 3),
    _typed("Lead_Source", "picklist", 120, choices=SOURCES),
    _text("Next_Step", 200),
    _typed("Description", "textarea", 32000),
    # Custom fields, of the types that no standard field of deals has.
    _typed("Is_Renewal", "boolean", 5, custom=True),
    _typed("Kick_Off", "datetime", 120, custom=True),
    _typed("Interests", "multiselectpicklist", 120, custom=True, choices=("A", "B", "C")),
    _typed("Margin", "percent", 5, custom=True),
    _typed("Budget", "double", 16, custom=True),
    _typed("External_Number", "bigint", 18, custom=True),
)

FIELDS: dict[str, tuple[Field, ...]] = {
    "Leads": (*_PERSON, *_LEADS, *_COMMON),
    "Contacts": (*_PERSON, *_CONTACTS, *_COMMON),
    "Accounts": (*_ACCOUNTS, *_COMMON),
    "Deals": (*_DEALS, *_COMMON),
}

_NO_REVIEW = {"approve": False, "reject": False, "resubmit": False}
_SYSTEM_KEYS: dict[str, Any] = {
    "$approval_state": "approved",
    "$approval": {"delegate": False, **_NO_REVIEW},
    "$review": None,
    "$review_process": _NO_REVIEW,
    "$editable": True,
    "$in_merge": False,
    "$locked_for_me": False,
    "$process_flow": False,
    "$currency_symbol": "€",
    "$field_states": None,
    "$sharing_permission": "full_access",
    "$orchestration": False,
    "$pathfinder": False,
    "$zia_visions": None,
    "$zia_owner_assignment": "owner_recommendation_unavailable",
    "$wizard_connection_path": None,
}
_COMMON_DEFAULTS: dict[str, Any] = {"Tag": [], "Record_Status__s": "Available", "Locked__s": False}
_MODULE_DEFAULTS: dict[str, dict[str, Any]] = {
    "Leads": {
        "Converted__s": False,
        "Email_Opt_Out": False,
        "$converted": False,
        "$converted_detail": {},
    },
    "Contacts": {"Email_Opt_Out": False},
    "Deals": {"Is_Renewal": False},
}


def defaults(module: str) -> dict[str, Any]:
    """Return the values of the module's unset fields: mostly null."""
    empty = dict.fromkeys(field.name for field in FIELDS[module])
    return {**empty, **_COMMON_DEFAULTS, **_SYSTEM_KEYS, **_MODULE_DEFAULTS.get(module, {})}


def field(module: str, name: str) -> Field | None:
    """Return the field of that API name, or None."""
    return _BY_NAME[module].get(name)


_BY_NAME = {module: {each.name: each for each in fields} for module, fields in FIELDS.items()}
