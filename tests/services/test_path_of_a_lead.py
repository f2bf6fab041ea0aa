"""The files that a reader walks through who follows one lead from its approval to its outcome."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import zoho_crm
from zoho_crm.models import Connection, LeadConversion
from zoho_crm.services import convert, work
from zoho_crm.services.preview import preview
from zoho_crm.simulator import Simulator
from zoho_crm.types import ConversionPlan

PACKAGE = Path(zoho_crm.__file__).parent
#: Not on the path of a lead: the simulated Zoho, and the way to it.
ELSEWHERE = ("simulator/", "contrib/")
#: Every value gets its fields here, as one of a dataclass does from code that is in no file, and a
#: name that is used for the first time gets its module.
AS_IN_THE_LANGUAGE = {"types/_late.py", "types/_values.py"}
#: The worker only asks these whether a pushed record is due.
OUTBOX = {
    "models/_outbox.py",
    "services/outbox/_deliveries.py",
    "services/work/_outbox.py",
    "services/work/_outbox_checks.py",
}


@contextmanager
def files_entered() -> Iterator[set[str]]:
    """Yield a set that gets the files of the package whose functions are called, in any thread."""
    paths: set[str] = set()
    names: set[str] = set()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            paths.add(frame.f_code.co_filename)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield names
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    ours = {Path(path) for path in paths if Path(path).is_relative_to(PACKAGE)}
    found = {path.relative_to(PACKAGE).as_posix() for path in ours}
    names |= {name for name in found if not name.startswith(ELSEWHERE)}


@pytest.mark.django_db(transaction=True)
def test_one_lead_passes_through_few_files(connection: Connection, zoho: Simulator) -> None:
    row = preview(connection_id=connection.pk, lead_id=zoho.story("no_match"))

    with files_entered() as entered:
        convert.approve(conversion_id=row.pk, version=row.version, plan=ConversionPlan())
        work.work(connection_id=connection.pk)

    row.refresh_from_db()
    assert row.status == LeadConversion.Status.CONVERTED
    path = entered - OUTBOX - AS_IN_THE_LANGUAGE
    assert len(path) <= 30, "\n".join(sorted(path))
    assert len([name for name in entered if name.startswith("services/work/")]) <= 12
