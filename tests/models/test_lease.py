from __future__ import annotations

import pytest

from zoho_crm.models import ConnectionWork, from_now

pytestmark = pytest.mark.django_db


def acquire(connection, owner, seconds=90):
    return ConnectionWork.acquire(connection.pk, owner=owner, seconds=seconds)


def expire(connection):
    ConnectionWork.objects.filter(pk=connection.pk).update(lease_until=from_now(-0.001))


def test_one_worker_has_the_lease(connection):
    mine = acquire(connection, "me")

    assert mine.held().exists()
    assert acquire(connection, "you") is None
    assert mine.held().exists()


def test_a_lease_that_ran_out_goes_to_the_next_and_never_back(connection):
    mine = acquire(connection, "me")
    expire(connection)
    yours = acquire(connection, "you")

    assert yours.lease_number == mine.lease_number + 1
    assert not mine.held().exists()
    assert not mine.renew(seconds=90)
    mine.release(limit=1)
    assert yours.held().exists()
    assert ConnectionWork.objects.get(pk=connection.pk).limit == 2


def test_the_number_tells_two_leases_of_one_owner_apart(connection):
    first = acquire(connection, "me")
    expire(connection)
    second = acquire(connection, "me")

    assert not first.held().exists()
    assert second.held().exists()


def test_a_lease_that_ran_out_is_not_renewed_even_if_it_is_free(connection):
    mine = acquire(connection, "me")
    expire(connection)

    assert not mine.held().exists()
    assert not mine.renew(seconds=90)


def test_a_released_lease_is_free_and_its_columns_are_written(connection):
    acquire(connection, "me").release(limit=5.5, limit_met=True, credits_remaining=17)

    next_one = acquire(connection, "you")

    assert (next_one.limit, next_one.limit_met, next_one.credits_remaining) == (5.5, True, 17)


def test_a_lease_is_long_enough_or_not(connection):
    mine = acquire(connection, "me", seconds=60)

    assert mine.held(for_seconds=30).exists()
    assert not mine.held(for_seconds=61).exists()
    assert mine.renew(seconds=120)
    assert mine.held(for_seconds=61).exists()
