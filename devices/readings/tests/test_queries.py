"""What pages ask: newest values in two queries, charts that fit their pixels and show gaps."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from devices.models import DataType, Metric
from devices.readings.queries import latest_of_devices, series
from devices.readings.samples import Sample, Tier
from devices.readings.store import NotNumeric, ReadingStore
from devices.readings.tests.network import START, device, metrics, minutes

pytestmark = pytest.mark.django_db


def filled(store: ReadingStore, count: int, every: int, zone: str = "UTC") -> Metric:
    (level,) = metrics(device(zone), 1)
    store.write(
        [
            Sample(level.device_id, minutes(START, every * n), n, {level.pk: float(n)})
            for n in range(count)
        ]
    )
    return level


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


def test_few_readings_are_drawn_as_they_are_and_gaps_break_the_line(store: ReadingStore) -> None:
    level = filled(store, 10, 1)
    store.write([Sample(level.device_id, minutes(START, 60), 99, {level.pk: 5.0})])

    chart = series(level, START, START + timedelta(hours=2), 600)

    assert (chart.tier, chart.width) == (Tier.RAW, None)
    averages = [point.average for point in chart.points]
    assert averages == [*map(float, range(10)), None, 5.0]


@pytest.mark.parametrize(
    ("days", "points", "tier"), [(1, 300, Tier.RAW), (30, 300, Tier.HOUR), (60, 7, Tier.DAY)]
)
def test_many_readings_become_buckets_that_fit(
    store: ReadingStore, days: int, points: int, tier: Tier
) -> None:
    every = 2 * days
    level = filled(store, 24 * 60 * days // every, every, "Asia/Kolkata")
    store.roll_up(START + timedelta(days=days + 1))

    chart = series(level, START, START + timedelta(days=days), points)

    drawn = [point for point in chart.points if point.average is not None]
    assert chart.tier is tier
    assert points / 4 <= len(drawn) <= points + 2
    assert min(point.minimum or 0 for point in drawn) == 0.0
    assert max(point.maximum or 0 for point in drawn) == 24 * 60 * days // every - 1


def test_an_empty_stretch_breaks_the_band_once(store: ReadingStore) -> None:
    level = filled(store, 2000, 1)
    later = START + timedelta(days=5)
    store.write(
        [Sample(level.device_id, minutes(later, n), n, {level.pk: 1.0}) for n in range(2000)]
    )

    chart = series(level, START, START + timedelta(days=8), 200)

    assert sum(point.average is None for point in chart.points) == 1


def test_text_is_no_line(store: ReadingStore) -> None:
    (state,) = metrics(device(), 1, DataType.TEXT)

    with pytest.raises(NotNumeric):
        series(state, START, START + timedelta(days=1), 600)
