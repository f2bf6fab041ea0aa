"""What a test or a person does to a simulator from outside; the control routes do the same."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from zoho_crm.simulator import story
from zoho_crm.simulator.calls import Call
from zoho_crm.simulator.engine import Engine
from zoho_crm.simulator.faults import Fault
from zoho_crm.simulator.oauth.grants import Code
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.records import Record, Table
from zoho_crm.simulator.settings import SimulatorSettings
from zoho_crm.simulator.world import Addresses, World

Json = dict[str, Any]

#: What a grant code covers unless asked for less.
EVERYTHING = (
    "ZohoCRM.modules.ALL,ZohoCRM.mass_convert.leads.CREATE,ZohoCRM.mass_convert.leads.READ,"
    "ZohoCRM.settings.ALL,ZohoCRM.users.READ,ZohoCRM.org.READ,ZohoCRM.coql.READ,"
    "ZohoSearch.securesearch.READ,ZohoCRM.bulk.READ,ZohoCRM.notifications.ALL"
)


class Workbench:
    """
    A simulator in the hands of a test: change the world, look at the world.

    ``records`` and ``organisation`` are plain state: reading and writing them is the API.
    """

    def __init__(
        self,
        settings: SimulatorSettings | None = None,
        *,
        addresses: Addresses | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.engine = Engine(settings or SimulatorSettings(), addresses or Addresses(), sleep)

    @property
    def world(self) -> World:
        return self.engine.world

    @property
    def organisation(self) -> Organisation:
        """Users, choices, settings of the organisation, with everything done that is due."""
        with self.engine.lock:
            self.world.catch_up()
            return self.world.organisation

    @property
    def records(self) -> dict[str, Table]:
        """Tables by module, records by id, values by API name."""
        return self.organisation.records

    @property
    def origin(self) -> str:
        """Where this Zoho answers; what ``LOCAL_URL`` has to say."""
        return self.engine.addresses.accounts

    def move_to(self, addresses: Addresses) -> None:
        """Answer at other addresses from now on."""
        self.engine.move_to(addresses)

    # Changing the world

    def add(self, module: str, **values: Any) -> Record:
        """Put a record in, without the checks that an API call would meet."""
        with self.engine.lock:
            return self.world.organisation.add(module, values)

    def add_lead(self, **values: Any) -> Record:
        """Put a lead in; what is not given is believable, and like no other lead."""
        with self.engine.lock:
            return self.engine.stories.lead(**values)

    def story(self, case: str) -> str:
        """Add a lead of that case (see the table in `docs/simulator.md`); return its id."""
        with self.engine.lock:
            return self.engine.stories.tell(case)

    def change(self, record: Record, **values: Any) -> None:
        """Edit a record as a person in Zoho does: a stale read still shows what stood there."""
        with self.engine.lock:
            self.world.organisation.change(record, values)

    def delete(self, module: str, record_id: str) -> None:
        with self.engine.lock:
            del self.records[module][record_id]

    def convert_elsewhere(self, lead_id: str) -> None:
        """Convert a lead as somebody else would in Zoho's own pages."""
        with self.engine.lock:
            story.convert_elsewhere(self.world, self.records["Leads"][lead_id])

    def grant_code(self, scope: str = EVERYTHING, *, seconds: float = 180) -> str:
        """Return a code as the self client of Zoho's API console makes them."""
        with self.engine.lock:
            code = Code(
                user_id=self.world.organisation.current_user["id"],
                scopes=tuple(filter(None, scope.replace(" ", "").split(","))),
                expires_at=self.world.clock.now() + timedelta(seconds=seconds),
            )
            return self.world.grants.add_code(code)

    def consent(self, authorize_url: str, *, accept: bool = True) -> str:
        """
        Open the authorization page and press a button; return where the browser is sent.

        :raises ValueError: with the text of the page, if it asks nothing
        """
        page = self.engine.answer(Call.to("GET", authorize_url))
        question = re.search(rb'name="request" value="([0-9a-f]+)"', page.body)
        if page.status == 302:
            return page.headers["Location"]
        if question is None:
            raise ValueError(page.body.decode())
        decision = b"accept" if accept else b"reject"
        body = b"request=%s&decision=%s" % (question[1], decision)
        answer = self.engine.answer(Call.to("POST", "/oauth/v2/consent", body=body))
        return answer.headers["Location"]

    def fail(self, on: str, do: str, **order: Any) -> Fault:
        """
        Order a fault: ``fail("convert", "close_after", lead_id=lead_id)``.

        :raises ValueError: for an ``on`` or ``do`` that does not exist
        :raises TypeError: for a parameter that does not exist
        """
        fault = Fault(on=on, do=do, **order)
        with self.engine.lock:
            self.engine.faults.append(fault)
        return fault

    def heal(self) -> None:
        """Take back all faults."""
        with self.engine.lock:
            self.engine.faults.clear()

    def advance(self, seconds: float) -> None:
        """Move the simulator's clock on; what becomes due, happens."""
        with self.engine.lock:
            self.world.clock.advance(seconds)
            self.world.catch_up()

    def tune(self, **settings: Any) -> None:
        """
        Change settings from now on: ``tune(job_seconds_per_lead=0.5)``.

        :raises TypeError: for a setting that does not exist
        """
        with self.engine.lock:
            self.engine.tune(**settings)

    def reset(self, *, leads: int | None = None, seed: int | None = None) -> None:
        """Begin anew with a new organisation."""
        self.engine.reset(leads=leads, seed=seed)

    # Looking at the world

    def stories(self) -> list[dict[str, str]]:
        """Return ``{"lead_id", "case"}`` of every lead that has a story."""
        return list(self.world.stories)

    def ledger(self) -> Json:
        """Return what truly happened, in the shape of ``GET /_simulator/ledger``."""
        with self.engine.lock:
            self.world.catch_up()
            return self.world.ledger.as_json()

    def conversions_of(self, lead_id: str) -> list[Json]:
        """Return the ledger's conversions of one lead: at most one, if all is well."""
        return [each for each in self.ledger()["conversions"] if each["lead_id"] == lead_id]

    def stats(self) -> Json:
        """Return the counters, in the shape of ``GET /_simulator/stats``."""
        with self.engine.lock:
            return self.world.stats.as_json(self.world.credits.used(self.world.clock.now()))
