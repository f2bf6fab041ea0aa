"""Many rows are read in batches, each by a query of its own."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from tests.admin.conftest import sign_in
from tests.management.conftest import Run
from tests.management.conftest import run as run
from zoho_crm.matching import POLICIES
from zoho_crm.models import Connection, MassConversion, Policy, batches
from zoho_crm.services import keys, mass_convert


@pytest.mark.django_db
@pytest.mark.parametrize("newest_first", [False, True])
def test_all_rows_come_in_the_order_of_their_keys(newest_first: bool) -> None:
    Policy.objects.bulk_create(Policy(name=str(number), rules={}) for number in range(1001))
    pks = sorted(Policy.objects.values_list("pk", flat=True), reverse=newest_first)

    found = list(batches(Policy.objects.all(), newest_first=newest_first))

    assert [len(batch) for batch in found] == [500, 500, 1]
    assert [row.pk for row in chain.from_iterable(found)] == pks


@pytest.fixture
def no_open_cursors(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    """Refuse cursors that stay open between two queries, as a pooler of transactions does."""

    def refused() -> Any:
        raise AssertionError("a cursor that stays open")

    monkeypatch.setattr(connections["default"], "chunked_cursor", refused)


def test_exports_and_lists_need_no_cursor_that_stays_open(
    no_open_cursors: None, connection: Connection, run: Run
) -> None:
    made = mass_convert.prepare(
        connection_id=connection.pk, lead_ids=["1", "x"], policy=POLICIES["careful"]
    )

    assert len(list(mass_convert.export(run_id=made.pk))) == 3
    assert keys.count_by_key() == {}
    assert run("zoho_mass_convert", "list").code == 0
    assert run("zoho_usage").code == 0
    assert MassConversion.objects.count() == 1


@pytest.mark.parametrize("path", ["leadconversion/preview/", "massconversion/prepare/"])
def test_forms_that_choose_a_connection_need_no_cursor_that_stays_open(
    no_open_cursors: None, connection: Connection, path: str
) -> None:
    browser = sign_in(User.objects.create_superuser("boss"))

    page = browser.get(f"/admin/zoho_crm/{path}")

    assert f'<option value="{connection.pk}"' in page.html
