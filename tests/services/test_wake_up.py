from __future__ import annotations

import pytest

from zoho_crm.models import ConnectionWork
from zoho_crm.services import work


@pytest.mark.django_db
def test_of_many_wake_ups_for_the_same_time_one_is_scheduled(connection):
    ConnectionWork.objects.create(connection=connection)

    answers = [work.schedule_wake_up(connection_id=connection.pk, seconds=60) for _call in range(5)]

    assert answers == [True, False, False, False, False]


@pytest.mark.django_db
def test_an_earlier_wake_up_is_scheduled_too(connection):
    ConnectionWork.objects.create(connection=connection)
    work.schedule_wake_up(connection_id=connection.pk, seconds=60)

    assert work.schedule_wake_up(connection_id=connection.pk, seconds=0)
