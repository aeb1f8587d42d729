"""Two writers and a roller at once: no reading is lost, no bucket is wrong."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction

from devices.models import Device
from devices.readings.models import LateLog, Slot, Stream, Watermark
from devices.readings.rollups import roll_up
from devices.readings.samples import Sample, Tier
from devices.readings.store import ReadingStore, get_store
from devices.readings.store.sql import SqlStore
from devices.readings.tests.network import (
    FAR,
    START,
    Values,
    asked,
    device,
    metrics,
    minutes,
    recomputed,
    remember,
    tier_of,
)
from devices.readings.tests.test_rollups import TIERS, assert_same, assert_tiers

pytestmark = pytest.mark.usefixtures("shared_database")
ROUNDS = 30


def together(*jobs: Callable[[], None]) -> None:
    """Run the jobs at once, each on its own connection; what one raises fails the test."""
    failures: list[BaseException] = []
    ready = threading.Barrier(len(jobs))

    def run(job: Callable[[], None]) -> None:
        try:
            ready.wait()
            job()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def plans_of(tank: Device, keys: list[int], chance: random.Random) -> list[list[list[Sample]]]:
    """Batches of two writers: each its own metric of shared rows, and both what is common."""
    common = [Sample(tank.pk, minutes(START, n), 0, {keys[2]: float(n)}) for n in range(0, 2400, 7)]

    def batch(writer: int) -> list[Sample]:
        own = [
            Sample(
                tank.pk,
                minutes(START, chance.randrange(2400)),
                0,
                {keys[writer]: float(chance.randrange(1000))},
            )
            for _ in range(20)
        ]
        return own + chance.sample(common, 20)

    return [[batch(writer) for _ in range(ROUNDS)] for writer in range(2)]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_two_writers_and_a_roller_leave_no_wrong_bucket(store: ReadingStore, zone: str) -> None:
    """Late, repeated, revised and partial samples into the same hours, committed as they come."""
    tank = device(zone)
    keys = [metric.pk for metric in metrics(tank, 3)]
    plans = plans_of(tank, keys, random.Random(7))
    writing = [threading.Event(), threading.Event()]

    def write(number: int) -> None:
        try:
            for batch in plans[number]:
                get_store().write(batch)
        finally:
            writing[number].set()

    def roll() -> None:
        hours = 0
        while not all(event.is_set() for event in writing):
            roll_up(START + timedelta(hours=hours % 45))
            hours += 1

    together(lambda: write(0), lambda: write(1), roll)

    model: Values = {}
    remember(model, (sample for plan in plans for batch in plan for sample in batch))
    for tier in TIERS:  # before the last round of the roller, answers are exact too
        expected = recomputed(model[keys[0]], tier, ZoneInfo(zone))
        assert_same(asked(store, keys[0], tier, zone, model[keys[0]]), expected)
    roll_up(FAR)
    assert not LateLog.objects.exists()
    for key in keys:
        assert_tiers(store, key, model[key], zone)
        newest = max(model[key])
        latest = store.latest([key])[key]
        assert ((latest.at, latest.sequence), latest.value) == (newest, model[key][newest])


def waits_for_a_lock() -> bool:
    """Whether somebody waits for one of our locks; SQLite does not tell."""
    if connection.vendor == "sqlite":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(cursor.fetchall())


def test_a_reading_that_is_not_committed_yet_when_its_hour_closes_is_not_forgotten(
    store: ReadingStore,
) -> None:
    """The race that makes natural designs wrong: the roller passes between write and commit."""
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    written, rolled = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            get_store().write([Sample(tank.pk, START, 0, {level: 1.0})])
            written.set()
            while not (waits_for_a_lock() or rolled.is_set()):
                rolled.wait(0.01)

    def roll() -> None:
        written.wait()
        roll_up(START + timedelta(hours=2))
        rolled.set()

    together(write, roll)

    roll_up(START + timedelta(hours=3))
    assert [bucket.count for bucket in tier_of(Tier.HOUR, level)] == [1]


def test_who_waited_while_an_hour_was_closed_enters_it_as_late(store: ReadingStore) -> None:
    assert isinstance(store, SqlStore)
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    store.roll_up(START)
    closed, written = threading.Event(), threading.Event()

    def close() -> None:
        with transaction.atomic():
            store.engine.hold_closed()
            Watermark.objects.update(closed=minutes(START, 60))
            closed.set()
            while not (waits_for_a_lock() or written.is_set()):
                written.wait(0.01)

    def write() -> None:
        closed.wait()
        get_store().write([Sample(tank.pk, START, 0, {level: 1.0})])
        written.set()

    together(close, write)

    assert LateLog.objects.filter(device=tank).count() == 1


def test_two_writers_of_one_entry_tell_each_value_once(store: ReadingStore) -> None:
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    samples = [Sample(tank.pk, minutes(START, n), n, {level: float(n)}) for n in range(300)]
    told: list[int] = []

    def write() -> None:
        told.append(get_store().write(samples).new_values)

    together(write, write)

    assert sum(told) == 300


def test_two_writers_that_meet_new_metrics_share_one_place_for_each(store: ReadingStore) -> None:
    tank = device()
    keys = [metric.pk for metric in metrics(tank, 12)]

    def write(number: int) -> None:
        for place in range(6):
            values = {keys[place]: 1.0, keys[11 - place]: 2.0}
            get_store().write([Sample(tank.pk, minutes(START, number), place, values)])

    together(lambda: write(0), lambda: write(1))

    assert Slot.objects.count() == 12
    assert sorted(Stream.objects.values_list("number", "used")) == [(1, 8), (2, 4)]
    assert store.statistics(keys[0], START, START + timedelta(hours=1)) is not None


def test_two_rollers_at_once_do_the_work_once(store: ReadingStore) -> None:
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    model: Values = {}
    samples = [Sample(tank.pk, minutes(START, n), n, {level: float(n)}) for n in range(600)]
    store.write(samples)
    remember(model, samples)

    def roll() -> None:
        roll_up(FAR)

    together(roll, roll)

    roll_up(FAR)
    for tier in TIERS:
        expected = recomputed(model[level], tier, ZoneInfo("UTC"))
        assert_same(asked(store, level, tier, "UTC", model[level]), expected)
