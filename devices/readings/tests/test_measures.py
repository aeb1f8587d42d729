"""Percentiles, integrals and many histories: equal to the slow and obvious way, on any engine."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.models import DataType, Metric
from devices.readings.periods import clip, day_span
from devices.readings.samples import (
    AggregateRequest,
    HistoriesRequest,
    HistoryRequest,
    IntegralRequest,
    Line,
    PercentileRequest,
    Sample,
    Tier,
    Value,
)
from devices.readings.store import NotNumeric, ReadingStore, TooMuch, UnknownMetric, get_store
from devices.readings.tests.network import START, device, examples, metrics, minutes, undone

pytestmark = pytest.mark.django_db

ZONE = "Asia/Kolkata"
UNTIL = START + timedelta(days=3)
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=n) for n in (1, 60, 3600, 86_400))
Drawn = dict[tuple[int, int], float]
"""Values by (minute after START, entry number)."""

drawn_values = st.dictionaries(
    st.tuples(st.integers(-600, 60 * 24 * 3 + 600), st.integers(0, 1)),
    st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda value: round(value, 2)),
    max_size=40,
)
widths = st.sampled_from([None, 20 * MINUTE, HOUR, 5 * HOUR, Tier.DAY, Tier.MONTH])


def written(drawn: Drawn, data_type: str = DataType.FLOAT) -> Metric:
    """A metric that said all that."""
    (metric,) = metrics(device(ZONE), 1, data_type)
    get_store().write(
        [
            Sample(
                metric.device_id, minutes(START, at), entry, {metric.pk: shown(value, data_type)}
            )
            for (at, entry), value in drawn.items()
        ]
    )
    return metric


def shown(value: float, data_type: str) -> Value:
    return value > 0 if data_type == DataType.BOOLEAN else value


def nearest_rank(values: list[float], percent: float) -> float:
    rank = -(-len(values) * Fraction(str(percent)) // 100)
    return sorted(values)[max(int(rank), 1) - 1]


@settings(max_examples=examples(60), deadline=None)
@given(drawn_values, widths, st.sets(st.sampled_from([0.001, 5, 33.333, 50, 99.9, 100])))
def test_percentiles_are_readings_by_nearest_rank(
    drawn: Drawn, width: Any, percents: set[float]
) -> None:
    store = get_store()
    with undone():
        metric = written(drawn)
        store.roll_up(START + DAY)  # what is rolled up does not matter to them
        found = store.percentiles(
            PercentileRequest(metric.pk, START, UNTIL, width, sorted(percents))
        )
        buckets = store.aggregate(AggregateRequest(metric.pk, START, UNTIL, width)).buckets
        ends = [*[bucket.start for bucket in buckets[1:]], UNTIL] if buckets else []
        if not percents:
            assert list(found) == []
            return
        assert [one.start for one in found] == [bucket.start for bucket in buckets]
        for one, bucket, end in zip(found, buckets, ends, strict=True):
            inside = [
                value
                for (at, _), value in drawn.items()
                if max(bucket.start, START) <= minutes(START, at) < end
            ]
            assert one.count == bucket.count == len(inside)
            assert one.values == {percent: nearest_rank(inside, percent) for percent in percents}


def slow_integral(
    drawn: Drawn, since: datetime, until: datetime, bridge: timedelta, held: bool
) -> tuple[Fraction, Fraction, Fraction]:
    """Known seconds, area and change, in exact arithmetic."""
    known = area = change = Fraction(0)
    ordered = [(minutes(START, at), Fraction(value)) for (at, _), value in sorted(drawn.items())]
    for (left, head), (right, tail) in pairwise(ordered):
        if right - left > bridge:
            continue
        if (left == right or held) and since <= right < until:
            change += tail - head
        begins, ends = max(left, since), min(right, until)
        if begins >= ends:
            continue
        length = Fraction((ends - begins) // timedelta(milliseconds=1), 1000)
        whole = Fraction((right - left) // timedelta(milliseconds=1), 1000)
        if held:
            first = last = head
        else:
            slope = (tail - head) / whole
            offset = Fraction((begins - left) // timedelta(milliseconds=1), 1000)
            first, last = head + slope * offset, head + slope * (offset + length)
            change += last - first
        known += length
        area += (first + last) / 2 * length
    return known, area, change


@settings(max_examples=examples(80), deadline=None)
@given(
    drawn_values,
    widths,
    st.integers(1, 600).map(lambda number: number * MINUTE),
    st.sampled_from([DataType.FLOAT, DataType.BOOLEAN]),
)
def test_integrals_equal_exact_arithmetic_and_add_up(
    drawn: Drawn, width: Any, bridge: timedelta, data_type: str
) -> None:
    store = get_store()
    held = data_type == DataType.BOOLEAN
    with undone():
        metric = written(drawn, data_type)
        numbers = {key: float(shown(value, data_type)) for key, value in drawn.items()}
        since = START + 7 * MINUTE
        answer = store.integrate(IntegralRequest(metric.pk, since, UNTIL, width, bridge))
        assert answer.tier is Tier.RAW
        starts = [one.start for one in answer.buckets]
        assert starts == sorted(set(starts))
        for one in answer.buckets:
            begins, ends = whole_bucket(one.start, width, since)
            known, area, change = slow_integral(numbers, begins, ends, bridge, held)
            assert one.known_s == pytest.approx(float(known))
            assert one.area == pytest.approx(float(area), rel=1e-6, abs=1e-2)
            assert one.average == pytest.approx(float(area / known), rel=1e-6, abs=1e-3)
            assert one.change == pytest.approx(float(change), rel=1e-6, abs=1e-3)
        known, area, _ = slow_integral(numbers, since, UNTIL, bridge, held)
        assert sum(one.known_s for one in answer.buckets) == pytest.approx(float(known))
        assert sum(one.area for one in answer.buckets) == pytest.approx(
            float(area), rel=1e-6, abs=0.1
        )


def whole_bucket(start: datetime, width: Any, since: datetime) -> tuple[datetime, datetime]:
    """The part of a bucket that lies within the range that was asked for."""
    if width is None:
        return since, UNTIL
    if isinstance(width, timedelta):
        return max(start, since), min(start + width, UNTIL)
    if width is Tier.DAY:
        part = clip(day_span(start, ZoneInfo(ZONE)), since, UNTIL)
        return part.since, part.until
    return since, UNTIL  # the three days lie in one month


def test_volume_of_a_steady_flow_whatever_the_buckets(store: ReadingStore) -> None:
    metric = written({(minute, 0): 12.0 for minute in range(-5, 60 * 24)})  # L/min
    for width in (None, 5 * MINUTE, HOUR, Tier.DAY):
        answer = store.integrate(
            IntegralRequest(metric.pk, START, START + 20 * HOUR, width, 2 * MINUTE)
        )
        assert sum(one.area for one in answer.buckets) == pytest.approx(12 / 60 * 20 * 3600 * 60)
        assert {round(one.average, 9) for one in answer.buckets} == {12.0}
        assert {round(one.rate_per_s, 9) for one in answer.buckets} == {0.0}


def test_nothing_is_taken_to_be_known_across_a_gap(store: ReadingStore) -> None:
    metric = written({(0, 0): 10.0, (1, 0): 10.0, (50, 0): 90.0, (51, 0): 90.0})

    (hour,) = store.integrate(
        IntegralRequest(metric.pk, START, START + HOUR, HOUR, 3 * MINUTE)
    ).buckets

    assert (hour.known_s, hour.average, hour.change) == (120.0, 50.0, 0.0)


def test_time_on_is_the_integral_of_a_switch(store: ReadingStore) -> None:
    pump = written({(0, 0): 0.0, (10, 0): 1.0, (25, 0): 0.0, (40, 0): 0.0}, DataType.BOOLEAN)

    (hour,) = store.integrate(
        IntegralRequest(pump.pk, START, START + HOUR, HOUR, 30 * MINUTE)
    ).buckets

    assert (hour.area, hour.known_s) == (15 * 60, 40 * 60)


def test_more_readings_than_a_page_stream_through(store: ReadingStore) -> None:
    (metric,) = metrics(device(), 1)
    count = 21_000
    for start in range(0, count, 7_000):
        store.write(
            [
                Sample(
                    metric.device_id, START + timedelta(seconds=n), 0, {metric.pk: float(n % 60)}
                )
                for n in range(start, start + 7_000)
            ]
        )
    (total,) = store.integrate(
        IntegralRequest(metric.pk, START, UNTIL, None, timedelta(seconds=1))
    ).buckets
    assert total.known_s == count - 1
    assert total.change == (count - 1) % 60


@pytest.mark.parametrize("percents", [[0], [-1], [100.5], [0.00001]])
def test_what_is_no_percent_is_refused(store: ReadingStore, percents: list[float]) -> None:
    metric = written({})
    with pytest.raises(ValueError, match="not a percentile"):
        store.percentiles(PercentileRequest(metric.pk, START, UNTIL, None, percents))


def test_text_has_neither(store: ReadingStore) -> None:
    (state,) = metrics(device(), 1, DataType.TEXT)
    with pytest.raises(NotNumeric):
        store.percentiles(PercentileRequest(state.pk, START, UNTIL, None, [50]))
    with pytest.raises(NotNumeric):
        store.integrate(IntegralRequest(state.pk, START, UNTIL, None, HOUR))


def test_a_bridge_of_nothing_is_refused(store: ReadingStore) -> None:
    metric = written({})
    with pytest.raises(ValueError, match="length of time"):
        store.integrate(IntegralRequest(metric.pk, START, UNTIL, None, timedelta()))


TYPES = [DataType.FLOAT, DataType.INTEGER, DataType.BOOLEAN, DataType.TEXT]


@settings(max_examples=examples(40), deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 11), st.integers(0, 300), st.integers(0, 1), st.integers(-9, 9)),
        max_size=60,
    )
)
def test_many_histories_at_once_equal_each_of_them(
    drawn: list[tuple[int, int, int, int]],
) -> None:
    """Eleven metrics of one device fill more than one stream; one belongs to another device."""
    store = get_store()
    with undone():
        tank, other = device(), device()
        known = [metrics(tank, 1, TYPES[n % 4])[0] for n in range(11)] + metrics(other, 1)
        for place, at, entry, number in drawn:
            metric = known[place]
            value: Value = number
            if metric.data_type == DataType.TEXT:
                value = f"state {number}"
            elif metric.data_type == DataType.BOOLEAN:
                value = number > 0
            store.write([Sample(metric.device_id, minutes(START, at), entry, {metric.pk: value})])
        since, until = minutes(START, 20), minutes(START, 250)

        found = store.histories(HistoriesRequest([one.pk for one in known], since, until))

        assert set(found) == {one.pk for one in known}
        for metric in known:
            expected = store.history(HistoryRequest(metric.pk, since, until))
            line = found[metric.pk]
            assert list(line.at) == [one.at for one in expected]
            assert list(line.values) == [one.value for one in expected]
            assert list(map(type, line.values)) == [type(one.value) for one in expected]


def test_more_than_the_caller_wants_at_once_is_refused(store: ReadingStore) -> None:
    tank = device()
    keys = [one.pk for one in metrics(tank, 3)]
    store.write(
        [Sample(tank.pk, minutes(START, n), n, dict.fromkeys(keys, 1.0)) for n in range(10)]
    )
    assert (
        sum(
            len(line.at)
            for line in store.histories(HistoriesRequest(keys, START, UNTIL, most=30)).values()
        )
        == 30
    )
    for most in (29, 9):
        with pytest.raises(TooMuch):
            store.histories(HistoriesRequest(keys, START, UNTIL, most=most))


def test_many_histories_of_nothing(store: ReadingStore) -> None:
    (silent,) = metrics(device(), 1)
    assert store.histories(HistoriesRequest([silent.pk], START, UNTIL)) == {silent.pk: Line()}
    assert store.histories(HistoriesRequest([], START, UNTIL)) == {}
    with pytest.raises(UnknownMetric):
        store.histories(HistoriesRequest([silent.pk, 999_999], START, UNTIL))
