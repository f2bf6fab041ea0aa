"""Push changes of records on a site that is disrupted, and compare Zoho with what was pushed."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, TypeAlias

from tests.chaos.disruptions import retry_on_database_error
from tests.chaos.fault_profile import order_push_faults
from tests.chaos.report import Report
from tests.chaos.run import DisruptedRun
from tests.services.outbox import links_of
from zoho_crm.models import OutboxRecord
from zoho_crm.services import outbox
from zoho_crm.simulator import Simulator

Json: TypeAlias = dict[str, Any]
#: What is pushed for each record, in this order.
PUSHES_FOR_A_RECORD = ("create", "phone", "tag", "note", "link", "untag", "title")
TAG, OTHER_TAG = "Pushed", "Taken away"


@dataclass(frozen=True)
class Push:
    """One push for the record of a key."""

    key: str
    kind: str
    #: Before a lead is created, people with its address are looked for.
    module: str = "Contacts"

    @property
    def email(self) -> str:
        return f"{self.key}@nordwind.example"

    @property
    def note(self) -> str:
        return f"Note of {self.key}"

    @property
    def url(self) -> str:
        return f"https://nordwind.example/{self.key}"

    @property
    def title(self) -> Json:
        """The title, in the field that the module has for it."""
        return {"Title" if self.module == "Contacts" else "Designation": f"title {self.key}"}

    def arguments(self) -> tuple[str, str, Json]:
        """Return the action, the module and the values."""
        name = {"Last_Name": self.key, "Email": self.email}
        if self.module == "Leads":
            name["Company"] = "Nordwind"
        action, values = {
            "create": ("create", name),
            "phone": ("upsert", {**name, "Phone": f"phone {self.key}"}),
            "tag": ("tag", {"Tag": [TAG, OTHER_TAG]}),
            "note": ("note", {"Note_Title": "Chaos", "Note_Content": self.note}),
            "link": ("link", {"attachmentUrl": self.url}),
            "untag": ("untag", {"Tag": [OTHER_TAG]}),
            "title": ("update", self.title),
        }[self.kind]
        return action, self.module, values


@dataclass(kw_only=True)
class OutboxRun(DisruptedRun):
    """Pushes several changes of each record while the site is disrupted."""

    def run(self, *, time_limit: float) -> Report:
        """Push all changes; give up when so many seconds are over."""
        began = time.monotonic()
        pushes = self._pushes()
        if self.scenario.has_faults:
            if self.servers.proxy:
                self.servers.proxy.cut(self.scenario.cut_commit_share)
            order_push_faults(self.zoho, seed=self.seed)
        schedule = self.schedule(len(pushes))
        number = max(1, len(schedule.pending) // 2)
        size = -(-len(pushes) // number)
        batches = [pushes[first : first + size] for first in range(0, len(pushes), size)]
        self.go_on(batches, schedule, began + time_limit)
        report = Report(
            seconds=time.monotonic() - began,
            time_limit=time_limit,
            start_seconds=self.start_seconds,
            done=self.disruptions.done,
        )
        for program in self.workers:
            program.kill()  # the rows must not change while they are checked
        if self.servers.proxy:
            self.servers.proxy.cut(0)
        report.figures = {
            "rows": dict(Counter(OutboxRecord.objects.values_list("status", flat=True))),
            "in doubt": OutboxRecord.objects.filter(events__to_status="UNKNOWN").distinct().count(),
        }
        unmet = self.unmet_requirements(report, list(schedule.pending))
        report.problems = [*unmet, *violations(self.zoho, pushes)]
        return report

    def request(self, batch: list[Push]) -> None:
        for push in batch:
            one = partial(outbox.push, self.connection_id, *push.arguments())
            retry_on_database_error(partial(one, key=push.key, unique_field="Email"))

    def count_at_rest(self) -> int:
        return retry_on_database_error(OutboxRecord.objects.filter(due_at=None).count)

    def is_finished(self) -> bool:
        return self.count_at_rest() == self.scenario.pushes

    def _pushes(self) -> list[Push]:
        """
        Return the pushes, those of each record in their order and mixed with those of others.

        The records are contacts and leads by turns.
        """
        number = self.scenario.pushes // len(PUSHES_FOR_A_RECORD)
        keys = {f"key{n}": ("Contacts", "Leads")[n % 2] for n in range(number)}
        left = [key for key in keys for _kind in PUSHES_FOR_A_RECORD]
        self.random.shuffle(left)
        kinds = {key: iter(PUSHES_FOR_A_RECORD) for key in keys}
        return [Push(key, next(kinds[key]), keys[key]) for key in left]


def violations(zoho: Simulator, pushes: list[Push]) -> Iterator[str]:
    """Yield what is lost, double, or not as it was pushed last."""
    records = {
        key: dict(record.data)
        for module in ("Contacts", "Leads")
        for key, record in zoho.organisation.records[module].items()
    }
    notes = Counter(note.data["Note_Content"] for note in zoho.organisation.notes.values())
    by_email: defaultdict[str, list[Json]] = defaultdict(list)
    for record in records.values():
        by_email[record.get("Email", "")].append(record)
    for push in {push.key: push for push in pushes}.values():
        found = by_email[push.email]
        if len(found) != 1:
            yield f"exactly once: there are {len(found)} records of {push.key}"
        else:
            yield from _differences(push, found[0])
        if notes[push.note] != 1:
            yield f"exactly once: there are {notes[push.note]} notes of {push.key}"
        links = [url for record in found for url in links_of(zoho, record["id"])]
        if found and links != [push.url]:
            yield f"exactly once: the links of {push.key} are {links}"
    yield from _rows_not_sent(records)
    yield from _gaps_in_journals()


def _differences(push: Push, record: Mapping[str, Any]) -> Iterator[str]:
    pushed = {"Phone": f"phone {push.key}", "Last_Name": push.key, **push.title}
    for name, value in pushed.items():
        if record.get(name) != value:
            yield f"last state: {name} of {push.key} is {record.get(name)!r}"
    if [tag["name"] for tag in record.get("Tag") or []] != [TAG]:
        yield f"last state: the tags of {push.key} are {record.get('Tag')}"


def _rows_not_sent(records: Mapping[str, Json]) -> Iterator[str]:
    for row in OutboxRecord.objects.exclude(status="SENT"):
        events = row.events.order_by("version").values_list("at", "to_status", "details")
        journal = "; ".join(f"{at:%T.%f} {to} {details}" for at, to, details in events)
        yield f"lost: {row} is {row.status} {row.error_code}: {journal}"
    for row in OutboxRecord.objects.filter(status="SENT"):
        if row.record_id not in records:
            yield f"correct outcome: {row} was sent to {row.record_id or 'nothing'}"


def _gaps_in_journals() -> Iterator[str]:
    for row in OutboxRecord.objects.prefetch_related("events"):
        events = sorted(row.events.all(), key=lambda event: event.version)
        versions = [0, *(event.version for event in events)]
        follows = all(one.to_status == other.from_status for one, other in pairwise(events))
        if versions != list(range(row.version + 1)) or not follows:
            yield f"complete journal: {row} has the versions {versions}"
