"""The control API: what tests do to a simulator, in Python and over HTTP under ``/_simulator/``."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from zoho_crm.simulator import story
from zoho_crm.simulator.calls import Answer, Call
from zoho_crm.simulator.engine import Engine
from zoho_crm.simulator.faults import Fault
from zoho_crm.simulator.oauth.grants import Code
from zoho_crm.simulator.organisation import Organisation
from zoho_crm.simulator.records import Record, Table
from zoho_crm.simulator.settings import CLIENT_ID, CLIENT_SECRET, SimulatorSettings
from zoho_crm.simulator.world import Addresses, World

Json = dict[str, Any]
CONTROL_PREFIX = "/_simulator/"

#: The default scope of a grant code.
ALL_SCOPES = (
    "ZohoCRM.modules.ALL,ZohoCRM.mass_convert.leads.CREATE,ZohoCRM.mass_convert.leads.READ,"
    "ZohoCRM.settings.ALL,ZohoCRM.users.READ,ZohoCRM.org.READ,ZohoCRM.coql.READ,"
    "ZohoSearch.securesearch.READ,ZohoCRM.bulk.READ,ZohoCRM.notifications.ALL"
)


class ControlApi:
    """
    Methods that change and read the state of a simulator, for tests.

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
        """Run due events and return the organisation, whose attributes are users, tags and more."""
        with self.engine.lock:
            self.world.run_due_events()
            return self.world.organisation

    @property
    def records(self) -> dict[str, Table]:
        """Return the tables by module; a table has records by id, a record values by API name."""
        return self.organisation.records

    @property
    def origin(self) -> str:
        """Return the URL that the simulator answers at, for the setting ``LOCAL_URL``."""
        return self.engine.addresses.accounts

    def move_to(self, addresses: Addresses) -> None:
        """Use other addresses from now on."""
        self.engine.move_to(addresses)

    # Changing state

    def add(self, module: str, **values: Any) -> Record:
        """Add a record without the checks of an API call."""
        with self.engine.lock:
            return self.world.organisation.add(module, values)

    def add_lead(self, **values: Any) -> Record:
        """Add a lead; values that are not given are generated and unlike other leads'."""
        with self.engine.lock:
            return self.engine.story_factory.lead(**values)

    def story(self, case: str) -> str:
        """Add a lead of a case (see the table in `docs/simulator.md`) and return its id."""
        with self.engine.lock:
            return self.engine.story_factory.create(case)

    def add_user(self, **values: Any) -> Json:
        """Add a user, active and confirmed like the one who grants tokens, and return the user."""
        with self.engine.lock:
            own = self.world.organisation
            number = len(own.users) + 1
            name = {"full_name": f"User {number}", "email": f"user{number}@{own.domain}"}
            own.users.append({**own.current_user, **name, "id": own.ids.next(), **values})
            return own.users[-1]

    def change(self, record: Record, **values: Any) -> None:
        """Edit a record as a user of Zoho CRM does; stale reads still show its former values."""
        with self.engine.lock:
            self.world.organisation.change(record, values)

    def delete(self, module: str, record_id: str, *, is_permanent: bool = False) -> None:
        """Delete a record as a user of Zoho CRM does: to the recycle bin, or from there, too."""
        with self.engine.lock:
            self.world.organisation.remove(module, record_id, is_permanent=is_permanent)

    def restore(self, module: str, record_id: str) -> None:
        """Restore a deleted record from the recycle bin, as a user of Zoho CRM does."""
        with self.engine.lock:
            self.world.organisation.restore(module, record_id)

    def convert_elsewhere(self, lead_id: str) -> None:
        """Convert a lead as a user of Zoho CRM does, outside the API."""
        with self.engine.lock:
            story.convert_elsewhere(self.world, self.records["Leads"][lead_id])

    def grant_code(
        self, scope: str = ALL_SCOPES, *, seconds: float = 180, user_id: str = ""
    ) -> str:
        """Return a grant code of a self client, of the first user if no other one is named."""
        with self.engine.lock:
            code = Code(
                user_id=user_id or self.world.organisation.current_user["id"],
                scopes=tuple(filter(None, scope.replace(" ", "").split(","))),
                expires_at=self.world.clock.now() + timedelta(seconds=seconds),
            )
            return self.world.grants.add_code(code)

    def consent(self, authorize_url: str, *, accept: bool = True) -> str:
        """
        Open the authorization page, press a button and return the URL of the redirect.

        :raises ValueError: with the text of the page, if it shows no question
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

    def fail(self, on: str, do: str, **parameters: Any) -> Fault:
        """
        Add a fault: ``fail("convert", "close_after", lead_id=lead_id)``.

        :raises ValueError: for an ``on`` or ``do`` that does not exist
        :raises TypeError: for a parameter that does not exist
        """
        fault = Fault(on=on, do=do, **parameters)
        with self.engine.lock:
            self.engine.faults.append(fault)
        return fault

    def revoke_tokens(self) -> int:
        """Revoke all tokens, as a user does under *Connected Apps*; return how many consents."""
        with self.engine.lock:
            grants = self.world.grants
            revoked = [grants.revoke(token) for token in list(grants.refresh_tokens)]
            grants.access_tokens.clear()
            return len(revoked)

    def leave_credits(self, left: int) -> None:
        """Change the limit on credits, so that so many of today's are left."""
        with self.engine.lock:
            used = self.world.credits.used(self.world.clock.now())
            self.engine.tune(credits=used + left)

    def heal(self) -> None:
        """Remove all faults."""
        with self.engine.lock:
            self.engine.faults.clear()

    def advance(self, seconds: float) -> None:
        """Advance the simulator's clock and run the events that become due."""
        with self.engine.lock:
            self.world.clock.advance(seconds)
            self.world.run_due_events()

    def tune(self, **settings: Any) -> None:
        """
        Change settings while the simulator runs: ``tune(job_seconds_per_lead=0.5)``.

        :raises TypeError: for a setting that does not exist
        """
        with self.engine.lock:
            self.engine.tune(**settings)

    def reset(self, *, leads: int | None = None, seed: int | None = None) -> None:
        """Replace all state: new organisation, no tokens, no faults, empty ledger and counters."""
        self.engine.reset(leads=leads, seed=seed)

    # Reading state

    def stories(self) -> list[dict[str, str]]:
        """Return ``{"lead_id", "case"}`` of every lead that was added by case."""
        return list(self.world.stories)

    def ledger(self) -> Json:
        """Run due events and return the ledger in the shape of ``GET /_simulator/ledger``."""
        with self.engine.lock:
            self.world.run_due_events()
            return self.world.ledger.as_json()

    def conversions_of(self, lead_id: str) -> list[Json]:
        """Return the ledger's conversions of one lead."""
        return [each for each in self.ledger()["conversions"] if each["lead_id"] == lead_id]

    def stats(self) -> Json:
        """Return the counters in the shape of ``GET /_simulator/stats``."""
        with self.engine.lock:
            return self.world.stats.as_json(self.world.credits.used(self.world.clock.now()))


class BadControlRequestError(Exception):
    """Raised when the body of a control request is invalid; the text says why."""


def answer_control_call(api: ControlApi, call: Call) -> Answer:
    """Answer a request to a control route: 404 for an unknown one, 400 for an invalid body."""
    action = CONTROL_ROUTES.get((call.method, call.path.removeprefix(CONTROL_PREFIX)))
    if action is None:
        known = ", ".join(f"{method} {CONTROL_PREFIX}{name}" for method, name in CONTROL_ROUTES)
        return Answer.json({"error": f"known here: {known}"}, status=404)
    try:
        return action(api, _body(call))
    except (BadControlRequestError, TypeError, ValueError) as error:
        return Answer.json({"error": str(error)}, status=400)


def _body(call: Call) -> Json:
    body = call.json() if call.body else {}
    if not isinstance(body, dict):
        raise BadControlRequestError("the body has to be a JSON object")
    return body


def _story(api: ControlApi, body: Json) -> Answer:
    return Answer.json(api.stories())


def _grant_codes(api: ControlApi, body: Json) -> Answer:
    seconds = body.get("seconds", 180)
    code = api.grant_code(body.get("scope", ALL_SCOPES), seconds=seconds)
    made = {"code": code, "expires_in": seconds}
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return Answer.json({**made, **client}, status=201)


def _stats(api: ControlApi, body: Json) -> Answer:
    return Answer.json(api.stats())


def _ledger(api: ControlApi, body: Json) -> Answer:
    return Answer.json(api.ledger())


def _faults(api: ControlApi, body: Json) -> Answer:
    return Answer.json({"id": api.fail(**body).id}, status=201)


def _clear_faults(api: ControlApi, body: Json) -> Answer:
    api.heal()
    return Answer.no_content()


def _calls(api: ControlApi, body: Json) -> Answer:
    return Answer.json({"calls": api.world.stats.log_as_json()})


def _revoke(api: ControlApi, body: Json) -> Answer:
    return Answer.json({"revoked": api.revoke_tokens()})


def _limits(api: ControlApi, body: Json) -> Answer:
    unknown = body.keys() - {"latency_ms", "credits_left"}
    numbers = [value for value in body.values() if type(value) is not int or value < 0]
    if unknown or numbers:
        raise BadControlRequestError("latency_ms and credits_left: whole numbers, 0 or more")
    if "latency_ms" in body:
        api.tune(latency=body["latency_ms"] / 1000)
    if "credits_left" in body:
        api.leave_credits(body["credits_left"])
    return Answer.no_content()


def _reset(api: ControlApi, body: Json) -> Answer:
    api.reset(leads=body.get("leads"), seed=body.get("seed"))
    organisation = api.world.organisation
    return Answer.json({"org_id": organisation.id, "leads": len(api.stories())})


def _clock(api: ControlApi, body: Json) -> Answer:
    if "advance_seconds" not in body:
        raise BadControlRequestError("advance_seconds is missing")
    api.advance(body["advance_seconds"])
    return Answer.json({"now": api.world.clock.now().isoformat()})


CONTROL_ROUTES: dict[tuple[str, str], Callable[[ControlApi, Json], Answer]] = {
    ("GET", "story"): _story,
    ("POST", "grant-codes"): _grant_codes,
    ("GET", "stats"): _stats,
    ("GET", "ledger"): _ledger,
    ("GET", "calls"): _calls,
    ("POST", "revoke"): _revoke,
    ("POST", "limits"): _limits,
    ("POST", "faults"): _faults,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "reset"): _reset,
    ("POST", "clock"): _clock,
}
