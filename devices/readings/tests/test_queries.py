"""What pages ask: newest values in two queries."""

from __future__ import annotations

import pytest
from pytest_django import DjangoAssertNumQueries

from devices.readings.queries import latest_of_devices
from devices.readings.samples import Sample
from devices.readings.store import ReadingStore
from devices.readings.tests.network import START, device, metrics

pytestmark = pytest.mark.django_db


def test_newest_values_of_many_devices_take_two_queries(
    store: ReadingStore, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    tanks = [device() for _ in range(5)]
    known = {tank.pk: metrics(tank, 2) for tank in tanks}
    for tank in tanks[:4]:
        store.write([Sample(tank.pk, START, 0, {known[tank.pk][0].pk: float(tank.pk)})])

    with django_assert_num_queries(2):
        found = latest_of_devices([tank.pk for tank in tanks])

    assert {pk: [metric for metric, _ in pairs] for pk, pairs in found.items()} == known
    for tank in tanks[:4]:
        (_, first), (_, second) = found[tank.pk]
        assert first is not None
        assert (first.value, second) == (float(tank.pk), None)
    assert [reading for _, reading in found[tanks[4].pk]] == [None, None]
