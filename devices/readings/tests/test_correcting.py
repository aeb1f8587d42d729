"""Correcting: what is wrong goes, what is right comes, and everything derived follows at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.models import DataType, Metric
from devices.readings.models import LateLog
from devices.readings.rollups import roll_up
from devices.readings.samples import (
    HistoryRequest,
    Origin,
    Reading,
    Received,
    ReceivedRequest,
    Sample,
    Tier,
    Value,
)
from devices.readings.store import NotStorable, ReadingStore, UnknownMetric, get_store
from devices.readings.tests.network import (
    FAR,
    LONG_AGO,
    START,
    Values,
    asked,
    device,
    drop_before,
    examples,
    metrics,
    minutes,
    recomputed,
    remember,
    tier_of,
    undone,
)
from devices.readings.tests.test_rollups import MOMENTS, TIERS, assert_same, assert_tiers

pytestmark = pytest.mark.django_db


def values_of(store: ReadingStore, metric: int) -> list[tuple[int, Value]]:
    page = store.history(HistoryRequest(metric, LONG_AGO, FAR, limit=100_000))
    return [(one.sequence, one.value) for one in page]


def test_a_value_taken_out_is_gone_everywhere_and_its_neighbours_stay(store: ReadingStore) -> None:
    tank = device()
    level, flow = (metric.pk for metric in metrics(tank, 2))
    store.write(
        [Sample(tank.pk, minutes(START, n), n, {level: 1.0 * n, flow: 7.0}) for n in (1, 2)]
    )
    roll_up(FAR)

    result = store.correct([], [Sample(tank.pk, minutes(START, 2), 2, {level: 2.0})])
    roll_up(FAR)

    assert list(result.removed) == [Sample(tank.pk, minutes(START, 2), 2, {level: 2.0})]
    assert values_of(store, level) == [(1, 1.0)]
    assert values_of(store, flow) == [(1, 7.0), (2, 7.0)]
    assert store.latest([level])[level] == Reading(level, minutes(START, 1), 1, 1.0)
    assert [bucket.count for bucket in tier_of(Tier.HOUR, level)] == [1]
    assert [bucket.count for bucket in tier_of(Tier.MONTH, flow)] == [2]


def test_what_changed_meanwhile_is_not_taken_out(store: ReadingStore) -> None:
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    store.write([Sample(tank.pk, START, 1, {level: 5.0})])

    result = store.correct([], [Sample(tank.pk, START, 1, {level: 4.0})])

    assert list(result.removed) == []
    assert values_of(store, level) == [(1, 5.0)]


def test_the_last_value_taken_out_leaves_a_metric_never_heard(store: ReadingStore) -> None:
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    (pump,) = (metric.pk for metric in metrics(tank, 1, DataType.BOOLEAN))
    only = Sample(tank.pk, START, 1, {level: 5.0, pump: False})
    store.write([only])
    roll_up(FAR)

    assert list(store.correct([], [only]).removed) == [only]
    roll_up(FAR)

    assert store.latest([level, pump]) == {}
    assert [tier_of(tier, metric) for metric in (level, pump) for tier in TIERS] == [[]] * 6
    assert store.write([only]).new == [only], "what comes again is new again"


def test_written_and_taken_out_in_one_step(store: ReadingStore) -> None:
    tank = device()
    level, volume = (metric.pk for metric in metrics(tank, 2))
    first, second = (minutes(START, n) for n in (1, 2))
    store.write([Sample(tank.pk, first, 1, {level: 1.0}), Sample(tank.pk, second, 2, {level: 2.0})])

    result = store.correct(
        [
            Sample(tank.pk, first, 1, {level: 1.5, volume: 15.0}),
            Sample(tank.pk, second, 2, {volume: 20.0}),
        ],
        [Sample(tank.pk, second, 2, {level: 2.0})],
    )

    assert result.written.revised == [Sample(tank.pk, first, 1, {level: 1.5})]
    assert result.written.new_values == 2
    assert (values_of(store, level), values_of(store, volume)) == (
        [(1, 1.5)],
        [(1, 15.0), (2, 20.0)],
    )
    assert store.latest([level])[level] == Reading(level, first, 1, 1.5, revised=True)


def test_a_number_becomes_text_when_the_metrics_type_changed(store: ReadingStore) -> None:
    tank = device()
    (state,) = metrics(tank, 1)
    old = Sample(tank.pk, START, 1, {state.pk: 3.0}, Origin.PUSH)
    store.write([old])
    Metric.objects.filter(pk=state.pk).update(data_type=DataType.TEXT)

    assert store.stored([state.pk], [(START, 1)]) == [old]
    store.correct([Sample(tank.pk, START, 1, {state.pk: "3"}, Origin.PUSH)], [old])
    roll_up(FAR)

    assert values_of(store, state.pk) == [(1, "3")]
    assert store.latest([state.pk])[state.pk].value == "3"
    assert tier_of(Tier.HOUR, state.pk) == []


def test_what_cannot_be_stored_changes_nothing(store: ReadingStore) -> None:
    tank, other = device(), device()
    (level,), (foreign,) = metrics(tank, 1), metrics(other, 1)
    sample = Sample(tank.pk, START, 1, {level.pk: 5.0})
    store.write([sample])

    with pytest.raises(NotStorable):
        store.correct([Sample(tank.pk, START, 1, {level.pk: float("nan")})], [sample])
    with pytest.raises(UnknownMetric):
        store.correct([Sample(tank.pk, START, 1, {foreign.pk: 1.0})], [sample])

    assert values_of(store, level.pk) == [(1, 5.0)]


def test_what_retention_dropped_is_neither_written_nor_taken_out(store: ReadingStore) -> None:
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    old = Sample(tank.pk, START, 1, {level: 5.0})
    store.write([old])
    roll_up(FAR)
    drop_before(store, START + timedelta(days=1))  # its row is kept two days longer

    result = store.correct([Sample(tank.pk, START, 2, {level: 6.0})], [old])

    assert [sample.sequence for sample in result.written.expired] == [2]
    assert list(result.removed) == []
    assert values_of(store, level) == [(1, 5.0)]


@pytest.mark.parametrize("rows", [3, 2_500])
def test_many_at_once(store: ReadingStore, rows: int) -> None:
    tank = device()
    level, flow = (metric.pk for metric in metrics(tank, 2))
    samples = [Sample(tank.pk, minutes(START, n), n, {level: float(n)}) for n in range(rows)]
    store.write(samples)
    odd = [sample for sample in samples if sample.sequence % 2]
    better = [Sample(tank.pk, one.at, one.sequence, {flow: 1.0}) for one in samples]

    result = store.correct(better, odd)

    assert (list(result.removed), list(result.written.new)) == (odd, better)
    assert len(values_of(store, level)) == (rows + 1) // 2
    assert store.held([level, flow], START, FAR) == (rows + 1) // 2 + rows


def test_stored_values_are_found_by_identity(store: ReadingStore) -> None:
    tank = device()
    many = [metric.pk for metric in metrics(tank, 10)]
    (word,) = (metric.pk for metric in metrics(tank, 1, DataType.TEXT))
    (quiet,) = (metric.pk for metric in metrics(tank, 1))
    store.write(
        [
            Sample(tank.pk, START, 1, {**dict.fromkeys(many, 1.0), word: "on"}, Origin.BACKFILL),
            Sample(tank.pk, START, 2, dict.fromkeys(many, 2.0)),
        ]
    )

    found = store.stored([many[0], many[9], word, quiet], [(START, 1), (minutes(START, 1), 1)])

    assert {one.origin for one in found} == {Origin.BACKFILL}
    assert {k: v for one in found for k, v in one.values.items()} == {
        many[0]: 1.0, many[9]: 1.0, word: "on",
    }  # fmt: skip
    assert store.stored([], [(START, 1)]) == store.stored([many[0]], []) == []


def test_received_entries_come_in_pages(store: ReadingStore) -> None:
    tank = device()
    entries = [
        Received(9, tank.pk, minutes(START, n // 2), n, {"field1": str(n), "field2": None})
        for n in range(7)
    ]
    store.write([], [*entries, Received(8, tank.pk, START, 1, {"field1": "other source"})])

    def page(**more: Any) -> list[Received]:
        return list(store.received(ReceivedRequest(9, **more)))

    assert page() == entries
    assert page(limit=3) == entries[:3]
    assert page(limit=3, after=(entries[2].at, entries[2].sequence)) == entries[3:6]
    assert page(limit=2, newest_first=True) == entries[:4:-1]
    newest = page(limit=2, newest_first=True)[-1]
    assert page(limit=2, newest_first=True, after=(newest.at, newest.sequence)) == entries[4:2:-1]
    within: dict[str, Any] = {"since": minutes(START, 1), "until": minutes(START, 3)}
    assert page(**within) == entries[2:6]
    assert store.received_count(ReceivedRequest(9, **within)) == 4


cells = st.dictionaries(
    st.integers(0, 1),
    st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda v: round(v, 3)),
    min_size=1,
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.lists(st.tuples(st.integers(-900, 900), cells), max_size=8)),
        st.tuples(st.just("take"), st.integers(0, 5)),
        st.tuples(st.just("roll"), st.integers(-120, 120)),
    ),
    min_size=2,
    max_size=9,
)


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from(["UTC", "Asia/Kolkata"]), st.sampled_from(MOMENTS), steps)
def test_tiers_follow_corrections(zone: str, moment: datetime, drawn: list[tuple]) -> None:  # type: ignore[type-arg]
    """Hours, days and months equal a full recomputation of what is left, whatever went."""
    store = get_store()
    with undone():
        tank = device(zone)
        keys = [metric.pk for metric in metrics(tank, 2)]
        model: Values = {key: {} for key in keys}
        for what, content in drawn:
            if what == "roll":
                roll_up(moment + timedelta(hours=content))
                continue
            if what == "write":
                samples = [
                    Sample(
                        tank.pk, minutes(moment, 5 * at), 0, {keys[k]: v for k, v in some.items()}
                    )
                    for at, some in content
                ]
                store.correct(samples, [])
                remember(model, samples)
            else:
                gone = [
                    Sample(tank.pk, *identity, {key: model[key].pop(identity)})
                    for key in keys
                    for identity in sorted(model[key])[content :: content + 2]
                ]
                assert list(store.correct([], gone).removed) == gone
            for key in keys:
                expected = recomputed(model[key], Tier.DAY, ZoneInfo(zone))
                assert_same(asked(store, key, Tier.DAY, zone, model[key]), expected)
                latest = store.latest([key]).get(key)
                newest = max(model[key], default=None)
                assert (latest and (latest.at, latest.sequence)) == newest
        roll_up(FAR)
        assert not LateLog.objects.exists()
        for key in keys:
            assert_tiers(store, key, model[key], zone)
