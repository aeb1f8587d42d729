"""ClickHouse is in no transaction: what was written before it was undone is repaired when the same
is written again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.models import DataType
from devices.readings.models import LateLog
from devices.readings.samples import HistoryRequest, Sample, Tier, Value
from devices.readings.store import ReadingStore, get_store
from devices.readings.tests.network import (
    FAR,
    LONG_AGO,
    START,
    Identity,
    Values,
    device,
    examples,
    metrics,
    minutes,
    recomputed,
    remember,
    tier_of,
    undone,
)
from devices.readings.tests.test_rollups import assert_same

pytestmark = pytest.mark.django_db


@contextmanager
def cut_short() -> Iterator[None]:
    """As when the process dies, or the database goes away, before the transaction is committed."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def told(store: ReadingStore, samples: list[Sample]) -> tuple[int, int, int]:
    """How many values a write tells as new, revised and unchanged."""
    result = store.write(samples)
    revised = sum(len(sample.values) for sample in result.revised)
    return result.new_values, revised, result.unchanged


def test_a_live_reading_is_new_again(store: ReadingStore) -> None:
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    (state,) = (metric.pk for metric in metrics(tank, 1, DataType.TEXT))
    store.write([Sample(tank.pk, START, 1, {level: 1.0, state: "full"})])
    later = [Sample(tank.pk, minutes(START, 1), 2, {level: 2.0, state: "low"})]

    with cut_short():
        store.write(later)
    assert store.latest([level])[level].value == 1.0

    assert told(store, later) == (2, 0, 0)
    assert {one.value for one in store.latest([level, state]).values()} == {2.0, "low"}
    assert told(store, later) == (0, 0, 2)


def test_a_late_reading_is_brought_into_its_hour(store: ReadingStore) -> None:
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    store.write([Sample(tank.pk, minutes(START, n), n, {level: float(n)}) for n in (0, 90)])
    store.roll_up(FAR)
    late = [Sample(tank.pk, minutes(START, 5), 5, {level: 50.0})]

    with cut_short():
        store.write(late)
    store.roll_up(FAR)
    store.write(late)
    assert LateLog.objects.count() == 1
    store.roll_up(FAR)

    assert [bucket.maximum for bucket in tier_of(Tier.HOUR, level)] == [50.0, 90.0]
    store.write(late)
    assert not LateLog.objects.exists(), "what is right is not made again with every poll"


def test_a_revision_reaches_the_latest_reading_and_its_hour(store: ReadingStore) -> None:
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    store.write([Sample(tank.pk, START, 1, {level: 1.0})])
    store.roll_up(FAR)
    corrected = [Sample(tank.pk, START, 1, {level: 7.0})]

    with cut_short():
        store.write(corrected)
    store.write(corrected)
    store.roll_up(FAR)

    assert [bucket.sum for bucket in tier_of(Tier.HOUR, level)] == [7.0]
    assert store.latest([level])[level].value == 7.0


def test_a_value_taken_out_leaves_the_latest_reading_and_its_hour(store: ReadingStore) -> None:
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    first, second = (Sample(tank.pk, minutes(START, n), n, {level: float(n)}) for n in (1, 2))
    store.write([first, second])
    store.roll_up(FAR)

    with cut_short():
        store.correct([], [second])
    store.correct([], [second])
    store.roll_up(FAR)

    assert [bucket.count for bucket in tier_of(Tier.HOUR, level)] == [1]
    assert store.latest([level])[level].value == 1.0


steps = st.lists(
    st.tuples(
        st.booleans(),  # cut short first
        st.booleans(),  # rolled up between
        st.lists(
            st.tuples(st.integers(0, 200), st.dictionaries(st.integers(0, 1), st.integers(0, 5))),
            min_size=1,
            max_size=5,
        ),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=examples(80), deadline=None)
@given(steps)
def test_whatever_is_sent_until_it_is_taken_is_right_in_the_end(
    drawn: list[tuple[bool, bool, list[tuple[int, dict[int, int]]]]],
) -> None:
    store = get_store()
    with undone():
        tank = device()
        keys = [metric.pk for metric in metrics(tank, 2)]
        model: Values = {}
        for fails, rolls, batch in drawn:
            samples = [
                Sample(tank.pk, minutes(START, at), 0, {keys[k]: float(v) for k, v in some.items()})
                for at, some in batch
            ]
            if fails:
                with cut_short():
                    store.write(samples)
            if rolls:
                store.roll_up(START + timedelta(hours=3))
            store.write(samples)
            remember(model, samples)
        store.roll_up(FAR)
        for key in keys:
            expected = model.get(key, {})
            judge(store, key, expected)


def judge(store: ReadingStore, key: int, expected: dict[Identity, Value]) -> None:
    """Readings, hours and the latest reading are those of the model."""
    history = store.history(HistoryRequest(key, LONG_AGO, FAR, limit=10_000))
    assert {(one.at, one.sequence): one.value for one in history} == expected
    assert_same(tier_of(Tier.HOUR, key), recomputed(expected, Tier.HOUR, ZoneInfo("UTC")))
    newest = store.latest([key]).get(key)
    assert (newest and (newest.at, newest.sequence)) == max(expected, default=None)
