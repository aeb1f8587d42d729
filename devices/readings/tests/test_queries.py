"""What pages ask: newest values in a few queries."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from devices.readings.queries import latest_of_devices
from devices.readings.samples import Sample
from devices.readings.store import ReadingStore
from devices.readings.tests.network import START, device, metrics

pytestmark = pytest.mark.django_db


def test_newest_values_of_many_devices_take_as_many_queries_as_those_of_one(
    store: ReadingStore,
) -> None:
    tanks = [device() for _ in range(5)]
    known = {tank.pk: metrics(tank, 2) for tank in tanks}
    for tank in tanks[:4]:
        store.write([Sample(tank.pk, START, 0, {known[tank.pk][0].pk: float(tank.pk)})])

    with CaptureQueriesContext(connection) as of_one:
        latest_of_devices([tanks[0].pk])
    with CaptureQueriesContext(connection) as of_all:
        found = latest_of_devices([tank.pk for tank in tanks])

    assert len(of_all) == len(of_one) <= 4
    assert {pk: [metric for metric, _ in pairs] for pk, pairs in found.items()} == known
    for tank in tanks[:4]:
        (_, first), (_, second) = found[tank.pk]
        assert first is not None
        assert (first.value, second) == (float(tank.pk), None)
    assert [reading for _, reading in found[tanks[4].pk]] == [None, None]
