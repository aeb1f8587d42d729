"""Newest readings that are looked up among the rows, whoever wrote them and took them out again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as site
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.readings.models import Latest, LatestRow
from devices.readings.samples import Sample
from devices.readings.store import ReadingStore, get_store, places, store_at
from devices.readings.store.newest import hand_over
from devices.readings.tests.network import (
    LONG_AGO,
    START,
    Values,
    device,
    drop_before,
    empty_rows,
    examples,
    in_the_database,
    metrics,
    minutes,
    remember,
)
from devices.readings.tests.test_concurrency import together, waits_for_a_lock

pytestmark = pytest.mark.usefixtures("shared_database")


@contextmanager
def process(memories: dict[str, places.Memory]) -> Iterator[None]:
    """What is done by a process that remembers what it saw before."""
    mine, places._memories = places._memories, memories
    try:
        yield
    finally:
        places._memories = mine


def assert_newest(keys: list[int], model: Values) -> None:
    """The store and the admin's list say what the model says."""
    expected = {key: (*max(model[key]), model[key][max(model[key])]) for key in keys if model[key]}
    found = get_store().latest(keys)
    assert {key: (one.at, one.sequence, one.value) for key, one in found.items()} == expected
    listed = Latest.objects.filter(metric__in=keys)
    assert {row.metric_id: (row.at, row.sequence, row.number) for row in listed} == expected


written = st.tuples(
    st.just("write"),
    st.integers(0, 1),  # the process
    st.lists(
        st.tuples(
            st.integers(-4, 4),  # times 20 minutes: within and beyond the hour
            st.sampled_from([0, 0, 0, 1]),
            st.dictionaries(st.integers(0, 1), st.integers(1, 9).map(float), min_size=1),
        ),
        min_size=1,
        max_size=4,
    ),
)
taken_out = st.tuples(
    st.just("take out"), st.integers(0, 1), st.lists(st.integers(0, 9), min_size=1, max_size=3)
)


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.one_of(written, written, taken_out), min_size=2, max_size=12))
def test_newest_readings_are_those_of_the_rows(drawn: list[tuple[str, int, Any]]) -> None:
    store = get_store()
    store.roll_up(LONG_AGO)
    tank = device()
    keys = [metric.pk for metric in metrics(tank, 2)]
    model: Values = {key: {} for key in keys}
    memories: list[dict[str, places.Memory]] = [{}, {}]
    for what, number, content in drawn:
        if what == "write":
            samples = [
                Sample(
                    tank.pk,
                    minutes(START, 20 * at),
                    sequence,
                    {keys[k]: v for k, v in some.items()},
                )
                for at, sequence, some in content
            ]
            with process(memories[number]):
                store.write(samples)
            remember(model, samples)
        else:
            values = model[keys[number]]
            gone = {sorted(values)[-1 - place % len(values)] for place in content if values}
            leaving = [
                Sample(tank.pk, at, sequence, {keys[number]: values.pop((at, sequence))})
                for at, sequence in gone
            ]
            with process(memories[0]):
                store.correct([], leaving)
        assert_newest(keys, model)
    empty_rows()


def test_a_row_within_the_hour_is_found_and_not_written_twice(store: ReadingStore) -> None:
    store.roll_up(LONG_AGO)
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    for minute in (0, 1, 59):
        store.write([Sample(tank.pk, minutes(START, minute), minute, {level: float(minute)})])
    assert store.latest([level])[level].value == 59.0
    kept = LatestRow.objects.get(v1__isnull=False, stream__device=tank)
    assert kept.at == (START if in_the_database() else minutes(START, 59))
    store.write([Sample(tank.pk, minutes(START, 60), 60, {level: 60.0})])
    kept.refresh_from_db(from_queryset=LatestRow.objects.filter(stream__device=tank))
    assert kept.at == minutes(START, 60)


def test_who_spoke_last_long_ago_is_found_beside_who_speaks_now(store: ReadingStore) -> None:
    """Months that almost nobody needs are not looked into at first; here one of them counts."""
    store.roll_up(LONG_AGO)
    now = timezone.now().replace(microsecond=0)
    month_ends = datetime(2025, 9, 30, 23, 50, tzinfo=UTC)
    model: Values = {}
    for begins in (now, month_ends, datetime(2024, 2, 5, tzinfo=UTC)):
        tank = device()
        (level,) = (metric.pk for metric in metrics(tank, 1))
        samples = [Sample(tank.pk, minutes(begins, n), n, {level: n / 4}) for n in (0, 30)]
        for sample in samples:
            store.write([sample])
        remember(model, samples)
    assert_newest(list(model), model)


def test_a_row_is_found_after_the_one_before_was_completed(store: ReadingStore) -> None:
    store.roll_up(LONG_AGO)
    tank = device()
    level, flow = keys = [metric.pk for metric in metrics(tank, 2)]
    for minute, values in ((0, {level: 1.0}), (0, {flow: 2.0}), (10, {level: 3.0})):
        store.write([Sample(tank.pk, minutes(START, minute), 0, values)])
    assert_newest(keys, {level: {(minutes(START, 10), 0): 3.0}, flow: {(START, 0): 2.0}})


def test_who_remembers_what_was_taken_out_forgets_it(store: ReadingStore) -> None:
    there, late, first = some_went(store)
    store.correct([], there[1:])
    with process(first):
        store.write([late])
    (level,) = late.values
    assert_newest([level], {level: {(late.at, 3): 3.0}})


def test_what_followed_stays_the_newest_when_its_rows_are_dropped(store: ReadingStore) -> None:
    store.roll_up(LONG_AGO)
    tank = device()
    (level,) = keys = [metric.pk for metric in metrics(tank, 1)]
    long_ago = START - timedelta(days=400)
    for minute in (0, 30):
        store.write([Sample(tank.pk, minutes(long_ago, minute), minute, {level: float(minute)})])
    drop_before(store, long_ago + timedelta(days=40))
    assert_newest(keys, {level: {(minutes(long_ago, 30), 30): 30.0}})


@pytest.mark.skipif(not in_the_database(), reason="there are no rows beside the books")
def test_another_engine_is_given_what_followed(store: ReadingStore) -> None:
    store.roll_up(LONG_AGO)
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    for minute in (0, 30):
        store.write([Sample(tank.pk, minutes(START, minute), minute, {level: float(minute)})])
    with transaction.atomic():
        hand_over(store_at(site.READINGS_ADDRESS).engine, exact=True)
    kept = LatestRow.objects.get(stream__device=tank)
    assert (kept.at, kept.v1, kept.exact) == (minutes(START, 30), 30.0, True)


def some_went(
    store: ReadingStore,
) -> tuple[list[Sample], Sample, dict[str, places.Memory]]:
    """Three rows, one between them that is still to come, and what a process remembers that has
    seen the first two.
    """
    store.roll_up(LONG_AGO)
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    late = Sample(tank.pk, minutes(START, 30), 3, {level: 3.0})
    there = [
        Sample(tank.pk, minutes(START, minute), number, {level: float(number)})
        for minute, number in ((-300, 1), (0, 2), (120, 4))
    ]
    first: dict[str, places.Memory] = {}
    with process(first):
        for sample in there[:2]:
            store.write([sample])
    store.write([there[2]])
    return there, late, first


def test_who_is_writing_while_the_newest_goes_is_not_forgotten(store: ReadingStore) -> None:
    """A row that is left out by what its writer remembers, and committed after others went."""
    there, late, first = some_went(store)
    has_written, may_end = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic(), process(first):
            get_store().write([late])
            has_written.set()
            assert may_end.wait(30)

    def take_out() -> None:
        assert has_written.wait(30)
        if connection.vendor == "sqlite":  # which has one writer at a time
            may_end.set()
        get_store().correct([], there[1:])

    def watch() -> None:
        assert has_written.wait(30)
        while not waits_for_a_lock():
            pass
        may_end.set()

    together(write, take_out, watch)
    (level,) = late.values
    assert_newest([level], {level: {(late.at, 3): 3.0}})
