"""Hours, days and months equal a full recomputation, whatever arrives, whenever they are rolled."""

from __future__ import annotations

from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.models import DataType, Metric
from devices.readings.models import LateLog
from devices.readings.rollups import roll_up
from devices.readings.samples import AggregateRequest, Bucket, Sample, Tier, Value
from devices.readings.store import NotNumeric, ReadingStore, TooManyBuckets, get_store
from devices.readings.tests.network import (
    FAR,
    START,
    Identity,
    Values,
    asked,
    device,
    examples,
    metrics,
    minutes,
    recomputed,
    remember,
    tier_of,
    undone,
)

pytestmark = pytest.mark.django_db

TIERS = (Tier.HOUR, Tier.DAY, Tier.MONTH)
# Whole hours with and without daylight saving, half and quarter hours, a zone that skips midnight.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Asia/Beirut",
]
# Around a change of clocks in each of them, and at the end of a month.
MOMENTS = [
    datetime(2026, 10, 31, 20, 40, tzinfo=UTC),
    datetime(2026, 10, 24, 22, 20, tzinfo=UTC),
    datetime(2027, 3, 27, 21, 50, tzinfo=UTC),
]


def assert_same(found: list[Bucket], expected: list[Bucket]) -> None:
    """Equal, up to the rounding of sums in another order."""
    assert [bucket.start for bucket in found] == [bucket.start for bucket in expected]
    for one, other in zip(found, expected, strict=True):
        for left, right in zip(astuple(one)[1:], astuple(other)[1:], strict=True):
            assert left == right or left == pytest.approx(right, rel=1e-9, abs=1e-9)


def assert_tiers(
    store: ReadingStore, metric: int, values: dict[Identity, Value], zone: str
) -> None:
    """Everything rolled up: each table, and each answer, equals recomputation."""
    for tier in TIERS:
        expected = recomputed(values, tier, ZoneInfo(zone))
        assert_same(tier_of(tier, metric), expected)
        assert_same(asked(store, metric, tier, zone, values), expected)


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("write"),
            st.lists(
                st.tuples(
                    st.integers(-4 * 24 * 12, 4 * 24 * 12),  # five-minute steps around the moment
                    st.integers(0, 1),
                    st.dictionaries(
                        st.integers(0, 1),
                        st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda v: round(v, 3)),
                        min_size=1,
                    ),
                ),
                min_size=1,
                max_size=8,
            ),
        ),
        st.tuples(st.just("roll"), st.integers(-5 * 24, 5 * 24)),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from(ZONES), st.sampled_from(MOMENTS), steps)
def test_tiers_equal_a_full_recomputation(zone: str, moment: datetime, drawn: list[tuple]) -> None:  # type: ignore[type-arg]
    store = get_store()
    with undone():
        tank = device(zone)
        keys = [metric.pk for metric in metrics(tank, 2)]
        model: Values = {}
        for what, content in drawn:
            if what == "roll":
                roll_up(moment + timedelta(hours=content))
                continue
            samples = [
                Sample(
                    tank.pk, minutes(moment, 5 * at), number, {keys[k]: v for k, v in some.items()}
                )
                for at, number, some in content
            ]
            store.write(samples)
            remember(model, samples)
            # Also before the roller has seen it, every answer is exact.
            for tier in TIERS:
                values = model.get(keys[0], {})
                expected = recomputed(values, tier, ZoneInfo(zone))
                assert_same(asked(store, keys[0], tier, zone, values), expected)
        roll_up(FAR)
        assert not LateLog.objects.exists()
        for metric in keys:
            assert_tiers(store, metric, model.get(metric, {}), zone)


def readings(metric: Metric, hours: int) -> list[Sample]:
    """A reading every ten minutes."""
    return [
        Sample(metric.device_id, minutes(START, 10 * n), n, {metric.pk: float(n % 37)})
        for n in range(6 * hours)
    ]


def test_rolling_up_again_changes_nothing(store: ReadingStore) -> None:
    (level,) = metrics(device(), 1)
    store.write(readings(level, 30))

    assert store.roll_up(START + timedelta(days=2)) > 0
    assert store.roll_up(START + timedelta(days=2)) == 0


def test_a_late_reading_repairs_its_hour_day_and_month(store: ReadingStore) -> None:
    (level,) = metrics(device("Asia/Kolkata"), 1)
    samples = readings(level, 30)
    store.write(samples)
    store.roll_up(START + timedelta(days=2))
    late = [Sample(level.device_id, minutes(START, 61), 0, {level.pk: 999.0})]

    store.write(late)
    store.roll_up(START + timedelta(days=2))

    model: Values = {}
    remember(model, [*samples, *late])
    assert_tiers(store, level.pk, model[level.pk], "Asia/Kolkata")


@pytest.mark.parametrize("zones", [("UTC", "Asia/Kolkata"), ("Asia/Kathmandu", "America/New_York")])
def test_another_zone_of_the_community_moves_days_and_months(
    store: ReadingStore, zones: tuple[str, str]
) -> None:
    (level,) = metrics(device(zones[0]), 1)
    samples = readings(level, 24 * 12)
    model: Values = {}
    remember(model, samples)
    store.write(samples)
    store.roll_up(START + timedelta(days=20))

    community = level.device.community
    community.zone = zones[1]
    community.save()

    expected = recomputed(model[level.pk], Tier.DAY, ZoneInfo(zones[1]))
    assert_same(asked(store, level.pk, Tier.DAY, zones[1], model[level.pk]), expected)  # at once
    store.roll_up(START + timedelta(days=20))
    assert_tiers(store, level.pk, model[level.pk], zones[1])


def test_an_open_hour_is_read_from_readings_and_the_tier_is_told(store: ReadingStore) -> None:
    (level,) = metrics(device(), 1)
    store.write(readings(level, 3))
    store.roll_up(START + timedelta(hours=2, minutes=10))

    answer = store.aggregate(
        AggregateRequest(level.pk, START, START + timedelta(hours=3), timedelta(hours=1))
    )
    only_raw = store.aggregate(
        AggregateRequest(level.pk, START, START + timedelta(hours=3), timedelta(minutes=30))
    )

    assert answer.tier is Tier.HOUR
    assert [bucket.count for bucket in answer.buckets] == [6, 6, 6]
    assert only_raw.tier is Tier.RAW
    assert [bucket.count for bucket in only_raw.buckets] == [3] * 6


def test_only_readings_inside_the_range_count(store: ReadingStore) -> None:
    (level,) = metrics(device(), 1)
    store.write(readings(level, 48))
    store.roll_up(START + timedelta(days=3))

    since, until = minutes(START, 25), minutes(START, 60 * 26 + 31)
    total = store.statistics(level.pk, since, until)
    days = store.aggregate(AggregateRequest(level.pk, since, until, Tier.DAY))

    inside = [s for s in readings(level, 48) if since <= s.at < until]
    assert total is not None
    assert total.count == len(inside) == sum(bucket.count for bucket in days.buckets)
    assert total.sum == sum(float(sample.values[level.pk]) for sample in inside)
    assert (total.first_at, total.last_at) == (inside[0].at, inside[-1].at)
    assert store.statistics(level.pk, START - timedelta(days=2), START) is None


def test_on_off_counts_as_one_and_nothing(store: ReadingStore) -> None:
    (pump,) = metrics(device("Asia/Kolkata"), 1, DataType.BOOLEAN)
    samples = [
        Sample(pump.device_id, minutes(START, 10 * n), n, {pump.pk: n % 4 == 0}) for n in range(300)
    ]
    store.write(samples)
    store.roll_up(START + timedelta(hours=20))
    model: Values = {}
    remember(model, samples)

    expected = recomputed(model[pump.pk], Tier.DAY, ZoneInfo("Asia/Kolkata"))
    assert_same(asked(store, pump.pk, Tier.DAY, "Asia/Kolkata", model[pump.pk]), expected)
    store.roll_up(FAR)
    assert_tiers(store, pump.pk, model[pump.pk], "Asia/Kolkata")


def test_tiny_and_huge_numbers_do_not_stop_the_roller(store: ReadingStore) -> None:
    (level,) = metrics(device(), 1)
    store.write(
        [
            Sample(level.device_id, minutes(START, n), n, {level.pk: value})
            for n, value in enumerate([1e-300, -1e-300, 5e-324, 1e150, -1e150])
        ]
    )

    store.roll_up(FAR)

    (hour,) = tier_of(Tier.HOUR, level.pk)
    assert (hour.count, hour.minimum, hour.maximum) == (5, -1e150, 1e150)


def test_what_makes_no_sense_is_refused(store: ReadingStore) -> None:
    tank = device()
    (level,), (state,) = metrics(tank, 1), metrics(tank, 1, DataType.TEXT)
    second, zero = timedelta(seconds=1), timedelta()

    with pytest.raises(TooManyBuckets):
        store.aggregate(AggregateRequest(level.pk, START, START + timedelta(days=1), second))
    with pytest.raises(TooManyBuckets):
        store.aggregate(AggregateRequest(level.pk, START, START + timedelta(days=1), zero))
    with pytest.raises(NotNumeric):
        store.statistics(state.pk, START, START + timedelta(days=1))


def test_completeness_counts_against_the_promised_cadence(store: ReadingStore) -> None:
    (level,) = metrics(device("Asia/Kolkata"), 1)
    Metric.objects.filter(pk=level.pk).update(expected_every_s=600)
    store.write(readings(level, 24))

    first, second = store.completeness(level.pk, START, START + timedelta(hours=30))

    assert (first.count, first.expected, first.ratio) == (51, 51, 1.0)
    assert (second.count, second.expected) == (144 - 51, 129)
