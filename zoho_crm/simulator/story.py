"""
Generated leads by case: each case determines what a preview of the lead finds.

Names and companies differ for every lead, so that a lead matches only the records that its case
adds; the seed determines the names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import cycle, islice
from random import Random
from typing import Any
from unicodedata import normalize

from zoho_crm.simulator.clock import zoho_time
from zoho_crm.simulator.crm.conversion import convert_lead
from zoho_crm.simulator.crm.convert_request import ConvertRequest
from zoho_crm.simulator.records import Record
from zoho_crm.simulator.world import World

Json = dict[str, Any]


def _words(text: str) -> list[str]:
    return text.split()


_FIRST = _words("""
Ines Jonas Amara Luca Saskia Emre Freya Mateo Yuki Olga Ravi Nadia Henrik Zofia Kwame
Elif Tobias Chiara Samuel Leila Anders Marta Diego Hanna Pavel Aisha Viktor Noemi Oscar Thu
""")
_LAST = _words("""
Albrecht Okafor Lindqvist Moreau Bianchi Novak Haddad Fischer Tanaka Petrov Sharma
Jensen Kowalski Mensah Yilmaz Brandt Rossi Cohen Farouk Eriksen Vidal Santos Horvat Meyer Dubois
Nakamura Silva Berger Andersson Nguyen Castillo Weiss Popescu Keller Lindgren Costa Baptiste Ito
Marin Schubert""")
_TRADE = _words("""
Logistik Optik Druck Marine Textil Solar Kaffee Medizintechnik Metallbau Software
Spedition Gartenbau Elektrik Keramik Akustik Verlag Messtechnik Papier Fahrrad Sanitär""")
_PLACE = _words("""
Hamburg Bremen Leipzig Graz Basel Utrecht Malmö Turin Gent Nantes Gdynia Porto Cork
Tampere Brno Split Aarhus Linz Kiel Bergen""")
_FORM = ("GmbH", "AG", "& Söhne", "KG", "Group", "Partners")

_SCRIPT = "<script>alert('zoho')</script>"
_HOSTILE: Json = {
    "First_Name": '"><img src=x onerror=alert(1)>',
    "Last_Name": "O'Brien \"Robert'); DROP TABLE leads;--",
    "Company": f"{_SCRIPT} {{{{ 7*7 }}}} & Söhne <b>AG</b>",
    "Designation": "\u202eevil\u202c מנהל המכירות",
    "Lead_Source": '=HYPERLINK("http://bad.example")',
    "Street": "A" * 250,
    "City": "  \t Zero\u200bwidth  ",
    "Website": "javascript:alert(document.cookie)",
    "Description": f"{_SCRIPT}\n" + "مرحبا بالعالم " * 2000,
}


class LeadValueGenerator:
    """Generator of lead values, shuffled by the seed; a million names do not repeat."""

    def __init__(self, seed: int) -> None:
        random = Random(seed)
        self._first, self._last, self._founders, self._trades, self._places = (
            random.sample(pool, len(pool)) for pool in (_FIRST, _LAST, _LAST, _TRADE, _PLACE)
        )
        self.number = 0

    def next(self) -> Json:
        """Return the field values of one more lead."""
        number, self.number = self.number, self.number + 1
        first, last = self._person(number)
        company = self._company(number)
        domain = _ascii_lower("-".join(company.split()[:2]))
        return {
            "First_Name": first,
            "Last_Name": last,
            "Company": company,
            "Email": f"{_ascii_lower(first[0])}.{_ascii_lower(last)}.{number}@{domain}.example",
            "Phone": f"+49 40 {5550000 + number}",
            "City": company.split()[2],
            "Country": "Germany",
            "Lead_Source": ("Trade Show", "Web Download", "Partner")[number % 3],
            "Lead_Status": "Not Contacted",
            "Industry": "Manufacturing",
            "No_of_Employees": 12 + number % 400,
        }

    def _person(self, number: int) -> tuple[str, str]:
        """Return first and last name: 1,200 pairs differ, then last names are doubled."""
        first = self._first[number % 30]
        last = self._last[(number + number // 30) % 40]
        double, initial = number // 1200 % 41, number // 49_200
        if double:
            last = f"{last}-{self._founders[double - 1]}"
        return (f"{first} {chr(64 + initial % 26)}." if initial else first), last

    def _company(self, number: int) -> str:
        founder = self._founders[(number + number // 400) % 40]
        trade = self._trades[number % 20]
        place = self._places[(number + number // 20) % 20]
        form = _FORM[(number + number // 16_000) % 6]
        branch = f" {number // 96_000 + 1}" if number >= 96_000 else ""
        return f"{founder} {trade} {place} {form}{branch}"


def _ascii_lower(text: str) -> str:
    return normalize("NFKD", text).encode("ascii", "ignore").decode().lower()


class StoryFactory:
    """Adds leads, and the records that they match, to an organisation."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.organisation = world.organisation
        self.lead_values = LeadValueGenerator(seed)
        self.counts: Counter[str] = Counter()

    def create(self, case: str) -> str:
        """Add a lead of a case and return its id."""
        lead = CASES[case](self)
        self.counts[case] += 1
        self.world.stories.append({"lead_id": lead.id, "case": case})
        return lead.id

    def lead(self, **values: Any) -> Record:
        """Add a lead that was created days ago, so that stale reads find it, after all others."""
        age = timedelta(days=3 + 3600 / (60 + len(self.world.stories)))
        created_at = self.world.clock.now() - age
        return self.organisation.add("Leads", {**self.lead_values.next(), **values}, at=created_at)

    def contact(
        self, lead: Record, account: Record | None = None, *, days: int = 0, **values: Any
    ) -> Record:
        """Add a contact with the lead's name and e-mail, created ``days`` ago."""
        same_person = {name: lead[name] for name in ("First_Name", "Last_Name", "Email")}
        link = {"Account_Name": account.lookup()} if account else {}
        created_at = self.days_ago(days)
        return self.organisation.add("Contacts", {**same_person, **link, **values}, at=created_at)

    def days_ago(self, days: int) -> datetime:
        return self.world.clock.now() - timedelta(days=days)

    def account(self, name: str) -> Record:
        return self.organisation.add("Accounts", {"Account_Name": name})


def _no_match(factory: StoryFactory) -> Record:
    """Add a lead without a match; every other one has a layout choice: 200, not 204."""
    lead = factory.lead()
    if factory.counts["no_match"] % 2:
        lead["Layout"] = factory.organisation.layout_with_choice
    return lead


def _one_match(factory: StoryFactory) -> Record:
    lead = factory.lead()
    factory.contact(lead, factory.account(lead["Company"].upper()))
    return lead


def _account_only(factory: StoryFactory) -> Record:
    lead = factory.lead()
    factory.account(lead["Company"])
    return lead


def _several(factory: StoryFactory) -> Record:
    """Add a lead with two contacts; the older contact has the more recent activity."""
    lead = factory.lead()
    recent, older = (zoho_time(factory.days_ago(days)) for days in (2, 60))
    account = factory.account(lead["Company"])
    factory.contact(lead, account, days=400, Last_Activity_Time=recent)
    factory.contact(lead, days=90, Last_Activity_Time=older, Title="Assistant")
    return lead


def _disagree(factory: StoryFactory) -> Record:
    """Add a lead whose contact belongs to another account than the one named like the company."""
    lead = factory.lead()
    factory.account(lead["Company"])
    factory.contact(lead, factory.account(f"{lead['Company']} Holding"))
    return lead


def _locked(factory: StoryFactory) -> Record:
    lead = factory.lead(Locked__s=True)
    lead["$locked_for_me"] = True
    return lead


def _unapproved(factory: StoryFactory) -> Record:
    """Add a lead whose only match waits for approval."""
    lead = factory.lead()
    contact = factory.contact(lead, factory.account(lead["Company"]))
    contact["$approval_state"] = "approval_process_pending"
    return lead


def _converted(factory: StoryFactory) -> Record:
    lead = factory.lead()
    convert_elsewhere(factory.world, lead)
    return lead


def _deleted(factory: StoryFactory) -> Record:
    lead = factory.lead()
    factory.organisation.remove("Leads", lead.id)
    return lead


def _hostile(factory: StoryFactory) -> Record:
    """Add a lead with hostile values, numbered so that converted ones do not match each other."""
    number = factory.counts["hostile"]
    numbered = {name: f"{_HOSTILE[name]} {number}" for name in ("Last_Name", "Company")}
    return factory.lead(**{**_HOSTILE, **numbered})


CASES: dict[str, Callable[[StoryFactory], Record]] = {
    "no_match": _no_match,
    "one_match": _one_match,
    "account_only": _account_only,
    "several": _several,
    "disagree": _disagree,
    "locked": _locked,
    "unapproved": _unapproved,
    "converted": _converted,
    "deleted": _deleted,
    "hostile": _hostile,
}


def create_stories(world: World, leads: int, seed: int) -> StoryFactory:
    """Add that many leads, cycling through the cases, and return the factory for more."""
    factory = StoryFactory(world, seed)
    for case in islice(cycle(CASES), leads):
        factory.create(case)
    return factory


def convert_elsewhere(world: World, lead: Record) -> None:
    """Convert a lead as a user of Zoho CRM does, outside the API."""
    convert_lead(world, lead, ConvertRequest(), at=world.clock.now(), via="elsewhere")
