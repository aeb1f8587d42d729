"""Charts fit their pixels, show gaps, and put tiers together where readings were dropped by age."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

import pytest
import time_machine

from devices.models import DataType, Metric
from devices.readings.charts import Part, Point, Series, series
from devices.readings.samples import Sample, Tier
from devices.readings.store import NotNumeric, ReadingStore
from devices.readings.tests.network import START, device, drop_before, metrics, minutes

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


NOW = START + timedelta(days=120)


@pytest.fixture
def aged(store: ReadingStore) -> Iterator[Metric]:
    """Four months of readings, ten minutes apart, of which the last forty days are kept."""
    (level,) = metrics(device("Asia/Kolkata"), 1)
    said = [
        Sample(level.device_id, minutes(START, 10 * n), n, {level.pk: float(n)})
        for n in range(120 * 144)
    ]
    store.write(said)
    with time_machine.travel(NOW, tick=False):
        store.roll_up(NOW)
        drop_before(store, KEPT_FROM)
        yield level


KEPT_FROM = NOW - timedelta(days=40, hours=5)


def drawn(chart: Series) -> list[Point]:
    return [point for point in chart.points if point.average is not None]


def band(chart: Series) -> list[tuple[float, float]]:
    return [
        (point.minimum, point.maximum)
        for point in chart.points
        if point.minimum is not None and point.maximum is not None
    ]


def test_where_readings_are_gone_hours_stand(aged: Metric) -> None:
    since, until = KEPT_FROM - timedelta(hours=6), KEPT_FROM + timedelta(hours=6)

    few = series(aged, since, until, 600)
    narrow = series(aged, since, until, 40)

    assert few.parts == [
        Part(Tier.HOUR, timedelta(hours=1), since, KEPT_FROM),
        Part(Tier.RAW, None, KEPT_FROM, until),
    ]
    assert few.tier is Tier.HOUR
    assert few.width == timedelta(hours=1)
    assert [point.at for point in few.points] == sorted(point.at for point in few.points)
    assert len(few.points) == len(drawn(few)) == 6 + 36  # nothing missing, nothing broken
    (least, most), (following, _) = band(few)[:2]
    assert (least, most) == (following - 6, following - 1)
    assert [part.width for part in narrow.parts] == [timedelta(hours=1), timedelta(minutes=30)]
    assert len(narrow.points) == 6 + 12


@pytest.mark.parametrize("points", [40, 300, 1200])
def test_a_chart_over_both_parts_is_whole(aged: Metric, points: int) -> None:
    chart = series(aged, START, NOW, points)

    found = drawn(chart)
    assert len(found) == len(chart.points) <= points + 2
    assert [point.at for point in found] == sorted({point.at for point in found})
    assert found[0].minimum == 0.0
    assert found[-1].maximum == 120 * 144 - 1
    assert all(most + 1 == least for (_, most), (least, _) in pairwise(band(chart)))
    assert (chart.parts[0].since, chart.parts[-1].until) == (START, NOW)
    assert all(one.until == other.since for one, other in pairwise(chart.parts))


@pytest.mark.parametrize("points", [5, 10, 20, 30])
def test_more_months_than_places_are_put_together(store: ReadingStore, points: int) -> None:
    days = 1000
    level = filled(store, days, 24 * 60, "Asia/Kolkata")
    store.roll_up(START + timedelta(days=days + 1))

    chart = series(level, START, START + timedelta(days=days), points)

    drawn = [point for point in chart.points if point.average is not None]
    assert chart.tier is Tier.MONTH
    assert points / 4 <= len(drawn) <= points + 2
    assert len(drawn) == len(chart.points)  # nothing is missing, so the line is not broken
    assert (drawn[0].minimum, drawn[-1].maximum) == (0.0, days - 1)


def test_decades_are_drawn_in_months(store: ReadingStore) -> None:
    (level,) = metrics(device("Asia/Kolkata"), 1)
    store.write(
        [
            Sample(level.device_id, START + timedelta(days=9 * n), n, {level.pk: float(n)})
            for n in range(400)
        ]
    )
    store.roll_up(START + timedelta(days=4000))

    chart = series(level, START, START + timedelta(days=3600), 120)

    assert (chart.tier, len(drawn(chart))) == (Tier.MONTH, 119)
    assert min(least for least, _ in band(chart)) == 0.0
    assert max(most for _, most in band(chart)) == 399.0
