"""The schedule of beat, which follows the settings."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.beat import PersistentScheduler, ScheduleEntry

from testproject.celery import app
from tests import messages
from zoho_crm.schedules import BEAT_SCHEDULE

NAMES = ["zoho-crm-send-signals", "zoho-crm-sweep"]


@pytest.fixture(autouse=True)
def changed(settings: Any) -> None:
    """Settings that differ from those with which the schedule was imported."""
    settings.ZOHO_CRM = {**settings.ZOHO_CRM, "SWEEP_INTERVAL": 7, "QUEUE": "later"}
    messages.take_all("later")


@pytest.fixture
def beat(tmp_path: Path) -> Iterator[PersistentScheduler]:
    beat = PersistentScheduler(app, schedule_filename=str(tmp_path / "beat"))
    yield beat
    beat.close()


@pytest.mark.slow
def test_the_schedule_can_be_imported_by_the_module_of_the_settings() -> None:
    code = "from zoho_crm.schedules import BEAT_SCHEDULE; print(sorted({**BEAT_SCHEDULE}))"

    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={"PATH": ""}
    )

    assert done.stdout.strip() == str(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_interval_and_queue_are_those_of_now(name: str) -> None:
    entry = BEAT_SCHEDULE[name]

    assert entry["schedule"].run_every == timedelta(seconds=7)
    assert dict(entry["options"]) == {"expires": 3600, "queue": "later"}


@pytest.mark.parametrize("name", NAMES)
def test_what_beat_stores_follows_the_settings_too(name: str, settings: Any) -> None:
    stored = pickle.dumps(ScheduleEntry(**BEAT_SCHEDULE[name], name=name, app=app))
    settings.ZOHO_CRM = {"SWEEP_INTERVAL": 8}

    entry = pickle.loads(stored)

    assert entry.schedule.run_every == timedelta(seconds=8)
    assert dict(entry.options) == {"expires": 3600}


def test_beat_sends_its_messages_to_the_queue_of_now(beat: PersistentScheduler) -> None:
    entries = beat.schedule
    ours = [entries[name] for name in NAMES]
    for entry in ours:
        entry.last_run_at -= timedelta(seconds=8)
        assert beat.is_due(entry).is_due
        beat.apply_entry(beat.reserve(entry))

    sent = messages.take_all("later")

    assert [message.task for message in sent] == ["send_signals", "sweep"]
    assert not any(beat.is_due(beat.schedule[name]).is_due for name in NAMES)
