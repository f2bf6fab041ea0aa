from __future__ import annotations

import pytest

from zoho_crm.models import ConnectionWork
from zoho_crm.services import work


@pytest.mark.django_db
def test_of_many_who_wait_for_the_same_moment_one_comes_back(connection):
    ConnectionWork.objects.create(connection=connection)

    answers = [work.come_back(connection_id=connection.pk, seconds=60) for _call in range(5)]

    assert answers == [True, False, False, False, False]


@pytest.mark.django_db
def test_who_has_something_earlier_to_do_comes_back_too(connection):
    ConnectionWork.objects.create(connection=connection)
    work.come_back(connection_id=connection.pk, seconds=60)

    assert work.come_back(connection_id=connection.pk, seconds=0)
