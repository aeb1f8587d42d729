"""Corrections beside live writers and the roller: nothing is lost, nothing wrong stays."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from devices.readings.models import LateLog
from devices.readings.rollups import roll_up
from devices.readings.samples import HistoryRequest, Sample, Value
from devices.readings.store import ReadingStore, get_store
from devices.readings.tests.network import (
    FAR,
    LONG_AGO,
    START,
    Identity,
    Values,
    asked,
    device,
    metrics,
    minutes,
    recomputed,
)
from devices.readings.tests.test_concurrency import together
from devices.readings.tests.test_rollups import TIERS, assert_same, assert_tiers

pytestmark = pytest.mark.usefixtures("shared_database")
ROUNDS = 30


def everything(store: ReadingStore, metric: int) -> dict[Identity, Value]:
    page = store.history(HistoryRequest(metric, LONG_AGO, FAR, limit=100_000))
    return {(one.at, one.sequence): one.value for one in page}


def assert_everything_agrees(store: ReadingStore, held: Values, zone: str) -> None:
    """Latest readings and every tier are those of the readings held, before and after rolling."""
    for metric, values in held.items():
        latest = store.latest([metric])[metric]
        assert ((latest.at, latest.sequence), latest.value) == max(values.items())
        for tier in TIERS:
            expected = recomputed(values, tier, ZoneInfo(zone))
            assert_same(asked(store, metric, tier, zone, values), expected)
    roll_up(FAR)
    assert not LateLog.objects.exists()
    for metric, values in held.items():
        assert_tiers(store, metric, values, zone)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_a_writer_a_correction_and_a_roller_agree(store: ReadingStore, zone: str) -> None:
    """Both touch the same rows and the same latest readings, and neither ever fails."""
    tank = device(zone)
    level, volume = (metric.pk for metric in metrics(tank, 2))
    chance = random.Random(11)
    done = [threading.Event(), threading.Event()]
    plans = [[chance.sample(range(600), 40) for _ in range(ROUNDS)] for _ in range(2)]

    def write() -> None:
        try:
            for turn, batch in enumerate(plans[0]):
                get_store().write(
                    [Sample(tank.pk, minutes(START, n), 0, {level: float(n + turn)}) for n in batch]
                )
        finally:
            done[0].set()

    def correct() -> None:
        try:
            for batch in plans[1]:
                identities = [(minutes(START, n), 0) for n in batch]
                gone = [
                    Sample(tank.pk, one.at, 0, {level: value})
                    for one in get_store().stored([level], identities)
                    if (value := one.values[level]) % 2
                ]
                got = [Sample(tank.pk, at, 0, {volume: 1.0 * at.minute}) for at, _ in identities]
                get_store().correct(got, gone)
        finally:
            done[1].set()

    def roll() -> None:
        hours = 0
        while not all(event.is_set() for event in done):
            roll_up(START + timedelta(hours=hours % 14))
            hours += 1

    together(write, correct, roll)

    held = {metric: everything(store, metric) for metric in (level, volume)}
    assert held[volume] == {
        (minutes(START, n), 0): float(minutes(START, n).minute) for batch in plans[1] for n in batch
    }
    assert_everything_agrees(store, held, zone)


def test_two_corrections_of_one_value_remove_it_once(store: ReadingStore) -> None:
    tank = device()
    (level,) = (metric.pk for metric in metrics(tank, 1))
    samples = [Sample(tank.pk, minutes(START, n), n, {level: float(n)}) for n in range(300)]
    store.write(samples)
    removed: list[int] = []

    def correct() -> None:
        removed.append(len(get_store().correct([], samples).removed))

    together(correct, correct)

    assert sum(removed) == 300
    assert store.latest([level]) == {}
