"""Writing is idempotent, merges what belongs together, and says exactly what it changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.conf import settings as site
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.models import DataType
from devices.readings.models import Slot, Stream
from devices.readings.samples import HistoryRequest, Origin, Reading, Sample, Value
from devices.readings.store import NotStorable, ReadingStore, UnknownMetric, get_store, store_at
from devices.readings.store.summary import TIER_TABLES
from devices.readings.tests.network import (
    FAR,
    LONG_AGO,
    START,
    Values,
    device,
    examples,
    metrics,
    minutes,
    remember,
    undone,
)

pytestmark = pytest.mark.django_db


def all_of(store: ReadingStore, metric: int) -> list[Reading]:
    return list(store.history(HistoryRequest(metric, LONG_AGO, FAR, limit=100_000)))


@pytest.mark.parametrize("rows", [3, 2_500])
def test_a_repeated_batch_changes_nothing(store: ReadingStore, rows: int) -> None:
    tank = device()
    level, flow = (metric.pk for metric in metrics(tank, 2))
    samples = [
        Sample(tank.pk, minutes(START, n), n, {level: n / 2, flow: float(n)}) for n in range(rows)
    ]

    first, second = store.write(samples), store.write(samples)

    assert list(first.new) == samples
    assert (first.revised, first.unchanged) == ([], 0)
    assert (second.new, second.revised, second.unchanged) == ([], [], 2 * rows)
    assert [reading.value for reading in all_of(store, level)] == [n / 2 for n in range(rows)]


@pytest.mark.parametrize("others", [0, 1_500])
def test_partial_messages_of_one_entry_merge(store: ReadingStore, others: int) -> None:
    tank = device()
    level, flow = (metric.pk for metric in metrics(tank, 2))
    rest = [Sample(tank.pk, minutes(START, n), n, {level: 0.0}) for n in range(1, others + 1)]
    store.write([Sample(tank.pk, START, 7, {level: 1.0})])

    result = store.write([Sample(tank.pk, START, 7, {level: 1.0, flow: 2.0}), *rest])

    assert list(result.new) == [Sample(tank.pk, START, 7, {flow: 2.0}), *rest]
    assert (result.revised, result.unchanged) == ([], 1)
    assert all_of(store, flow) == [Reading(flow, START, 7, 2.0)]


def test_a_revision_overwrites_only_what_differs_and_is_marked(store: ReadingStore) -> None:
    tank = device()
    level, flow = (metric.pk for metric in metrics(tank, 2))
    store.write([Sample(tank.pk, START, 1, {level: 1.0, flow: 2.0})])

    result = store.write([Sample(tank.pk, START, 1, {level: 1.5, flow: 2.0})])

    assert result.revised == [Sample(tank.pk, START, 1, {level: 1.5})]
    assert (result.new, result.unchanged) == ([], 1)
    assert all_of(store, level) == [Reading(level, START, 1, 1.5, revised=True)]
    assert all_of(store, flow) == [Reading(flow, START, 1, 2.0)]
    assert store.latest([level])[level] == Reading(level, START, 1, 1.5, revised=True)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [(DataType.FLOAT, 1.0, 1.5), (DataType.TEXT, "half", "full"), (DataType.BOOLEAN, True, False)],
)
def test_a_reading_tells_how_the_value_came_that_stands(
    store: ReadingStore, kind: DataType, before: Value, after: Value
) -> None:
    tank = device()
    (one,) = (metric.pk for metric in metrics(tank, 1, kind))
    store.write([Sample(tank.pk, START, 1, {one: before}, Origin.LIVE)])
    store.write([Sample(tank.pk, START, 1, {one: before}, Origin.PUSH)])
    assert [reading.origin for reading in all_of(store, one)] == [Origin.LIVE]

    store.write([Sample(tank.pk, START, 1, {one: after}, Origin.BACKFILL)])

    corrected = Reading(one, START, 1, after, Origin.BACKFILL, revised=True)
    assert all_of(store, one) == [corrected]
    assert store.latest([one])[one] == corrected


def test_samples_of_one_instant_with_different_numbers_are_different_readings(
    store: ReadingStore,
) -> None:
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))

    store.write([Sample(tank.pk, START, n, {level: float(n)}) for n in (2, 1)])

    assert [(r.sequence, r.value) for r in all_of(store, level)] == [(1, 1.0), (2, 2.0)]


def test_within_one_batch_the_later_value_wins(store: ReadingStore) -> None:
    tank = device()
    level, flow = (metric.pk for metric in metrics(tank, 2))
    within = START + timedelta(microseconds=900)

    result = store.write(
        [
            Sample(tank.pk, START, 0, {level: 1.0}),
            Sample(tank.pk, within, 0, {level: 2.0, flow: 3.0}),
        ]
    )

    assert list(result.new) == [Sample(tank.pk, START, 0, {level: 2.0, flow: 3.0})]
    assert all_of(store, level) == [Reading(level, START, 0, 2.0)]


def test_twenty_metrics_spread_over_three_streams(store: ReadingStore) -> None:
    tank = device()
    many = [metric.pk for metric in metrics(tank, 20)]

    store.write([Sample(tank.pk, START, 0, {metric: float(metric) for metric in many})])

    assert Stream.objects.filter(device=tank).count() == 3
    latest = store.latest(many)
    assert {metric: latest[metric].value for metric in many} == {m: float(m) for m in many}


def test_a_new_metric_never_inherits_the_values_of_a_deleted_one(store: ReadingStore) -> None:
    tank = device()
    old, other = metrics(tank, 2)
    store.write([Sample(tank.pk, START, 0, {old.pk: 1.0, other.pk: 2.0})])

    old.delete()
    (new,) = metrics(tank, 1)
    store.write([Sample(tank.pk, minutes(START, 1), 0, {new.pk: 3.0})])

    assert [reading.value for reading in all_of(store, new.pk)] == [3.0]
    assert [reading.value for reading in all_of(store, other.pk)] == [2.0]
    assert Slot.objects.get(metric=new).position == 3


def test_deleting_a_device_deletes_its_readings(store: ReadingStore) -> None:
    tank, well = device(), device()
    (level,), (depth,) = metrics(tank, 1), metrics(well, 1)
    store.write([Sample(tank.pk, START, 0, {level.pk: 1.0})])
    store.write([Sample(well.pk, START, 0, {depth.pk: 2.0})])
    store.roll_up(FAR)

    tank.delete()
    store.drop({})

    engine = store_at(site.READINGS_ADDRESS).engine
    for table, rows in (("readings_row", 1), *((name, 1) for name in TIER_TABLES.values())):
        assert engine.read(f"SELECT count(*) FROM {engine.source(table)}") == [(rows,)]
    assert [reading.value for reading in all_of(store, depth.pk)] == [2.0]
    assert store.latest([level.pk, depth.pk]).keys() == {depth.pk}


def test_text_and_flags_are_kept_and_revised_like_numbers(store: ReadingStore) -> None:
    tank = device()
    (state,) = (m.pk for m in metrics(tank, 1, DataType.TEXT))
    (pump,) = (m.pk for m in metrics(tank, 1, DataType.BOOLEAN))
    store.write([Sample(tank.pk, START, 0, {state: "filling", pump: True}, Origin.PUSH)])

    result = store.write([Sample(tank.pk, START, 0, {state: "full", pump: True})])

    assert result.revised == [Sample(tank.pk, START, 0, {state: "full"})]
    assert result.unchanged == 1
    assert all_of(store, state) == [Reading(state, START, 0, "full", revised=True)]
    assert all_of(store, pump) == [Reading(pump, START, 0, True, Origin.PUSH)]


def test_whole_numbers_come_back_whole(store: ReadingStore) -> None:
    tank = device()
    (counter,) = (m.pk for m in metrics(tank, 1, DataType.INTEGER))

    store.write([Sample(tank.pk, START, 0, {counter: 2**53})])

    value = store.latest([counter])[counter].value
    assert (value, type(value)) == (2**53, int)


@pytest.mark.parametrize("others", [0, 700])
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 1e200, 2**53 + 1, 10**400, "a\0b", "\ud800"]
)
def test_what_cannot_be_kept_is_refused_and_nothing_of_the_batch_is_written(
    store: ReadingStore, value: float | str, others: int
) -> None:
    tank = device()
    level, other = (metric.pk for metric in metrics(tank, 2))
    rest = [Sample(tank.pk, minutes(START, n), n, {other: 1.0}) for n in range(1, others + 1)]

    with pytest.raises(NotStorable):
        store.write([*rest, Sample(tank.pk, START, 0, {other: 1.0, level: value})])

    assert all_of(store, other) == []


@pytest.mark.parametrize("kind", [1, 0.5, -(2**53), True, "text"])
def test_whatever_stands_among_many_numbers_is_kept_as_it_is(
    store: ReadingStore, kind: float | str
) -> None:
    tank = device()
    data_type = {bool: DataType.BOOLEAN, str: DataType.TEXT}.get(type(kind), DataType.FLOAT)
    (level,), (odd,) = (
        (metric.pk for metric in metrics(tank, 1, one)) for one in (DataType.FLOAT, data_type)
    )
    values = [n if n % 2 else n / 2 for n in range(700)]
    samples = [Sample(tank.pk, minutes(START, n), n, {level: v}) for n, v in enumerate(values)]
    samples[350] = samples[350]._replace(values={level: 7, odd: kind})

    written = store.write(samples[::-1])

    assert list(written.new) == samples
    values[350] = 7
    assert [reading.value for reading in all_of(store, level)] == values
    (reading,) = all_of(store, odd)
    assert (reading.at, reading.value) == (minutes(START, 350), kind)
    assert isinstance(reading.value, float if data_type == DataType.FLOAT else type(kind))
    assert store.latest([level])[level].value == 699


def test_a_metric_of_another_device_or_none_is_refused(store: ReadingStore) -> None:
    tank, well = device(), device()
    (depth,) = (metric.pk for metric in metrics(well, 1))

    with pytest.raises(UnknownMetric):
        store.write([Sample(tank.pk, START, 0, {depth: 1.0})])
    with pytest.raises(UnknownMetric):
        store.write([Sample(tank.pk, START, 0, {999_999: 1.0})])


def test_the_latest_value_is_the_newest_by_its_own_time(store: ReadingStore) -> None:
    tank = device()
    level, flow = (metric.pk for metric in metrics(tank, 2))

    store.write([Sample(tank.pk, minutes(START, 5), 5, {level: 5.0})])
    store.write([Sample(tank.pk, START, 9, {level: 1.0, flow: 1.0})])
    store.write([Sample(tank.pk, minutes(START, 5), 4, {level: 4.0})])

    latest = store.latest([level, flow])
    assert latest[level] == Reading(level, minutes(START, 5), 5, 5.0)
    assert latest[flow] == Reading(flow, START, 9, 1.0)


@st.composite
def batches(draw: st.DrawFn) -> list[list[tuple[int, int, dict[int, float]]]]:
    """Batches of (minute, sequence, values by metric number), with many collisions."""
    sample = st.tuples(
        st.integers(0, 4),
        st.integers(0, 1),
        st.dictionaries(st.integers(0, 9), st.integers(-3, 3).map(float), min_size=1, max_size=4),
    )
    return draw(st.lists(st.lists(sample, max_size=6), max_size=5))


@settings(max_examples=examples(40), deadline=None)
@given(batches())
def test_any_writes_leave_what_a_dictionary_would_hold(
    drawn: list[list[tuple[int, int, dict[int, float]]]],
) -> None:
    store = get_store()
    with undone():
        tank = device()
        keys = [metric.pk for metric in metrics(tank, 10)]
        model: Values = {}
        for batch in drawn:
            samples = [
                Sample(tank.pk, minutes(START, at), number, {keys[k]: v for k, v in some.items()})
                for at, number, some in batch
            ]
            before = {metric: dict(values) for metric, values in model.items()}
            remember(model, samples)
            result = store.write(samples)
            assert told(result.new) == {
                key: value for key, value in flat(model).items() if key not in flat(before)
            }
            assert told(result.revised) == {
                key: value
                for key, value in flat(model).items()
                if flat(before).get(key, value) != value
            }
        for metric in keys:
            stored = {(r.at, r.sequence): r.value for r in all_of(store, metric)}
            assert stored == model.get(metric, {})
            newest = store.latest([metric]).get(metric)
            assert (newest and (newest.at, newest.sequence)) == max(stored, default=None)
            assert newest is None or newest.value == stored[newest.at, newest.sequence]


def flat(model: Values) -> dict[object, object]:
    return {
        (m, *identity): value for m, values in model.items() for identity, value in values.items()
    }


def told(samples: Sequence[Sample]) -> dict[object, object]:
    return {
        (metric, sample.at, sample.sequence): value
        for sample in samples
        for metric, value in sample.values.items()
    }


def test_each_metric_has_its_own_latest_however_messages_are_filled(store: ReadingStore) -> None:
    tank = device()
    level, flow, door = (metric.pk for metric in metrics(tank, 3))

    def said(at: int, **values: float) -> Sample:
        named = {"level": level, "flow": flow, "door": door}
        return Sample(tank.pk, minutes(START, at), at, {named[n]: v for n, v in values.items()})

    def newest() -> dict[int, tuple[int, object]]:
        found = store.latest([level, flow, door])
        return {metric: (reading.sequence, reading.value) for metric, reading in found.items()}

    store.write([said(1, level=1, flow=1), said(2, level=2), said(3, flow=3)])
    assert newest() == {level: (2, 2.0), flow: (3, 3.0)}
    store.write([said(0, level=9, flow=9, door=9), said(4, flow=4)])
    assert newest() == {level: (2, 2.0), flow: (4, 4.0), door: (0, 9.0)}
    store.correct([], [said(4, flow=4), said(0, door=9)])
    assert newest() == {level: (2, 2.0), flow: (3, 3.0)}
    store.write([said(2, level=5)])
    assert store.latest([level])[level].revised
    assert not store.latest([flow])[flow].revised


@pytest.mark.django_db(transaction=True)
def test_a_deleted_metric_is_unknown_to_whoever_wrote_it_before(store: ReadingStore) -> None:
    tank = device()
    level, flow = metrics(tank, 2)
    store.roll_up(START)
    for number in range(2):
        store.write([Sample(tank.pk, START, number, {level.pk: 1.0, flow.pk: 2.0})])
    gone = flow.pk

    flow.delete()

    with pytest.raises(UnknownMetric):
        store.write([Sample(tank.pk, START, 5, {level.pk: 1.0, gone: 2.0})])


@pytest.mark.django_db(transaction=True)
def test_what_was_undone_leaves_nobody_in_the_slot_of_another(store: ReadingStore) -> None:
    tank = device()
    level, flow = (metric.pk for metric in metrics(tank, 2))
    store.roll_up(START)

    with transaction.atomic():
        store.write([Sample(tank.pk, START, 1, {level: 1.0})])
        transaction.set_rollback(True)
    store.write([Sample(tank.pk, START, 2, {flow: 2.0})])
    store.write([Sample(tank.pk, START, 3, {level: 3.0})])

    assert [reading.value for reading in all_of(store, level)] == [3.0]
    assert [reading.value for reading in all_of(store, flow)] == [2.0]
