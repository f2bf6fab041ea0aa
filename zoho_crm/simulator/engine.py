"""Processing of a call: route, fault, admission, effect, ledger and counters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

from zoho_crm.simulator import admission, refusals, story
from zoho_crm.simulator.calls import Answer, Call, Delivery
from zoho_crm.simulator.clock import Clock
from zoho_crm.simulator.faults import ACTIONS, Fault
from zoho_crm.simulator.oauth.endpoints import grant_kind
from zoho_crm.simulator.request_context import RequestContext, Route
from zoho_crm.simulator.routes import ROUTER, without_ids
from zoho_crm.simulator.settings import SimulatorSettings
from zoho_crm.simulator.world import Addresses, World


class Engine:
    """A Zoho with one organisation and one client; safe to call from several threads."""

    def __init__(
        self,
        settings: SimulatorSettings,
        addresses: Addresses,
        sleep: Callable[[float], None],
    ) -> None:
        self.settings = settings
        self.addresses = addresses
        self.sleep = sleep
        self.lock = RLock()
        self.reset()

    def reset(self, *, leads: int | None = None, seed: int | None = None) -> None:
        """Replace all state: new organisation and ids, no tokens, no faults, empty ledger."""
        with self.lock:
            leads = self.settings.leads if leads is None else leads
            seed = self.settings.seed if seed is None else seed
            self.settings = replace(self.settings, leads=leads, seed=seed)
            self.faults: list[Fault] = []
            self.world = World(self.settings, Clock(), self.addresses)
            self.story_factory = story.create_stories(self.world, leads, seed)

    def tune(self, **settings: Any) -> None:
        """Change settings; new values of ``leads`` and ``seed`` apply from the next reset."""
        self.settings = replace(self.settings, **settings)
        self.world.tune(self.settings)

    def move_to(self, addresses: Addresses) -> None:
        """Use other addresses from now on."""
        self.addresses = self.world.addresses = addresses

    def answer(self, call: Call) -> Answer:
        """Answer a call as Zoho does, or as a fault demands."""
        with self.lock:
            now = self.world.run_due_events()
            try:
                context = self._route(call, now)
            except refusals.RefusedError as refusal:
                self.world.stats.count(call, without_ids(call.path), refusal.answer, now)
                return refusal.answer
        return RequestHandler(self, context).run()

    def _route(self, call: Call, now: datetime) -> RequestContext:
        route, path = ROUTER.find(call)
        kind = kind_of(call, route, path)
        return RequestContext(call=call, route=route, path=path, kind=kind, now=now)

    def next_fault(self, context: RequestContext) -> Fault | None:
        """Return the first fault that applies to the call, counted down, or None."""
        return next((fault for fault in self.faults if fault.triggers(context)), None)


def kind_of(call: Call, route: Route, path: Mapping[str, str]) -> str:
    """Return the kind of a call, by which faults and counters name it."""
    if route.kind == "token":
        return grant_kind(call)
    if route.kind in ("get", "list"):
        return f"{'leads' if path['module'] == 'Leads' else 'records'}_{route.kind}"
    return route.kind


class RequestHandler:
    """Processes one call; faults decide how far."""

    def __init__(self, engine: Engine, context: RequestContext) -> None:
        self.engine = engine
        self.world = engine.world
        self.context = context
        self._admitted = False

    def run(self) -> Answer:
        try:
            answer = self._delay_answer(self._apply_fault())
        except refusals.RefusedError as refusal:
            answer = refusal.answer
        finally:
            self._release_slot()
        with self.engine.lock:
            self._record(answer)
        return answer

    def _apply_fault(self) -> Answer:
        with self.engine.lock:
            if self.context.kind in ("convert", "mass_convert"):
                context = self.context
                context.ledger_entries = self.world.ledger.add_calls(
                    context.lead_ids, context.now, context.body_without_ids
                )
            fault = self.engine.next_fault(self.context)
        return ACTIONS[fault.do](fault, self) if fault else self.process()

    def process(self) -> Answer:
        """Admit the call, carry out its effect and return its answer, or the refusal."""
        try:
            self._admit()
            return self._take_effect(self.context)
        except refusals.RefusedError as refusal:
            return self._with_credit_header(refusal.answer)

    def _admit(self) -> None:
        if self.context.route.public:
            return
        with self.engine.lock:
            admission.admit(self.world, self.context)
            self._admitted = True
        if self.world.settings.latency:
            self.engine.sleep(self.world.settings.latency)

    def _take_effect(self, context: RequestContext) -> Answer:
        with self.engine.lock:
            context.now = self.world.run_due_events()
            return self._with_credit_header(context.route.handler(self.world, context))

    def process_later(self, seconds: float) -> None:
        """
        Schedule the effect of the call; its answer will be discarded.

        :raises RefusedError: 401
        """
        with self.engine.lock:
            self.context.access_token = admission.authenticate(self.world, self.context)
            self.context.is_pending = True
            self.world.schedule(self.context.now + timedelta(seconds=seconds), self._take_effect_at)

    def _take_effect_at(self, moment: datetime) -> None:
        context = replace(self.context.at(moment), is_pending=False)
        with suppress(refusals.RefusedError):
            context.route.handler(self.world, context)
        if not context.is_pending:
            self.world.ledger.set_resolved(context.ledger_entries, moment)

    def _with_credit_header(self, answer: Answer) -> Answer:
        left = {} if self.context.route.public else self.world.credits.headers(self.context.now)
        return replace(answer, headers={**answer.headers, **left}) if left else answer

    def _delay_answer(self, answer: Answer) -> Answer:
        timeout = self.context.call.timeout
        if timeout is not None and answer.delay >= timeout:
            return replace(answer, delivery=Delivery.TIMED_OUT)
        if answer.delay:
            self.engine.sleep(answer.delay)
        return answer

    def _release_slot(self) -> None:
        if self._admitted:
            with self.engine.lock:
                admission.release(self.world, self.context)

    def _record(self, answer: Answer) -> None:
        path = self.context.route.path.replace("{module}", self.context.path.get("module", ""))
        now, entries = self.world.clock.now(), self.context.ledger_entries
        self.world.stats.count(self.context.call, path, answer, now)
        if not self.context.is_pending:
            self.world.ledger.set_resolved(entries, now)
        if answer.is_delivered:
            self.world.ledger.set_answer(entries, now, answer.code)
