"""Two writers at once, with late, repeated, revised and removed rows, and a roller beside them."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from zoneinfo import ZoneInfo

from django.db import connection

from benchmarks.report import Figure
from devices.models import Community, Device, DeviceType, Metric
from devices.readings.instants import HOUR, hour_of
from devices.readings.periods import day_span, month_span
from devices.readings.samples import HistoryRequest, Sample, Tier
from devices.readings.store import get_store
from devices.readings.store.summary import TIER_TABLES

ROUNDS = 10_000
ZONES = ("UTC", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Berlin")
START = datetime(2025, 3, 1, tzinfo=UTC)
FAR = datetime(2100, 1, 1, tzinfo=UTC)
PATIENCE_S = 60.0
Facts = tuple[int, float, float, float, float]
"""Count, smallest, largest, first, last."""
BUCKETS: dict[Tier, Callable[[datetime, ZoneInfo], datetime]] = {
    Tier.HOUR: lambda at, zone: hour_of(at),
    Tier.DAY: lambda at, zone: day_span(at, zone).bucket,
    Tier.MONTH: lambda at, zone: month_span(at, zone).bucket,
}


def run() -> Iterator[Figure]:
    """How many buckets are right, of each tier, compared with all readings in the end.

    Each round has an hour of its own that is closed already: no later round repairs it.
    """
    metrics = [_metric(zone) for zone in ZONES]
    get_store().roll_up(FAR)  # whatever is written from now on is late
    _Race(metrics).run()
    get_store().roll_up(FAR)
    yield from _judged(metrics)


class _Race:
    """Two writers who begin each round together, and a roller that never rests."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = metrics
        self._rounds = threading.Barrier(2)
        self._done = threading.Event()
        self._failures: list[BaseException] = []

    def run(self) -> None:
        """All rounds; raises what went wrong in one of the three."""
        writers = [threading.Thread(target=self._guarded, args=(self._write, n)) for n in range(2)]
        roller = threading.Thread(target=self._guarded, args=(self._roll,))
        for thread in (*writers, roller):
            thread.start()
        for thread in writers:
            thread.join()
        self._done.set()
        roller.join()
        if self._failures:
            raise self._failures[0]

    def _guarded(self, job: Callable[..., None], *args: int) -> None:
        try:
            job(*args)
        except BaseException as error:
            self._failures.append(error)
            self._rounds.abort()
        finally:
            connection.close()

    def _write(self, writer: int) -> None:
        chance = random.Random(writer)
        for number in range(ROUNDS):
            metric = self.metrics[number % len(self.metrics)]
            self._rounds.wait(PATIENCE_S)
            _write(metric, START + HOUR * (number // len(self.metrics)), writer, chance)

    def _roll(self) -> None:
        while not self._done.is_set():
            get_store().roll_up(FAR)


def _metric(zone: str) -> Metric:
    place = Community.objects.create(name=zone, slug=zone.replace("/", "-").lower(), zone=zone)
    kind = DeviceType.objects.get(slug="overhead-tank")
    device = Device.objects.create(community=place, type=kind, name="Tank")
    return Metric.objects.create(device=device, name="level", label="Level")


def _write(metric: Metric, hour: datetime, writer: int, chance: random.Random) -> None:
    """One transaction: own minutes, minutes of both (each sees its own value), now and then one
    taken out again.
    """
    store = get_store()
    own = [hour + timedelta(minutes=2 * n + writer) for n in chance.sample(range(30), 2)]
    both = [hour + timedelta(minutes=n) for n in chance.sample((7, 8, 9, 58), 2)]
    samples = [
        Sample(metric.device_id, at, 0, {metric.pk: float(chance.randrange(1000))})
        for at in sorted({*own, *both})
    ]
    if chance.random() < 0.2:
        store.correct(samples[1:], samples[:1])
    else:
        store.write(samples)


def _judged(metrics: Sequence[Metric]) -> Iterator[Figure]:
    for tier, begins in BUCKETS.items():
        right = total = 0
        for metric, zone in zip(metrics, ZONES, strict=True):
            expected = _expected(metric, partial(_begin, begins, ZoneInfo(zone)))
            found = _stored(metric, tier)
            total += len(expected.keys() | found.keys())
            right += sum(found.get(start) == facts for start, facts in expected.items())
        what = f"right {tier}s after {ROUNDS:,} rounds of two writers, {connection.vendor}"
        yield Figure("rollup", what, right, total, "buckets", ROUNDS, more_is_better=True)


def _begin(
    begins: Callable[[datetime, ZoneInfo], datetime], zone: ZoneInfo, at: datetime
) -> datetime:
    return begins(at, zone)


def _expected(metric: Metric, begins: Callable[[datetime], datetime]) -> dict[datetime, Facts]:
    """From the readings, the slow and obvious way."""
    every = HistoryRequest(metric.pk, START - timedelta(days=1), FAR, limit=10**7)
    groups: dict[datetime, list[float]] = defaultdict(list)
    for start, readings in groupby(get_store().history(every), key=lambda one: begins(one.at)):
        groups[start] += [float(one.value) for one in readings]
    return {
        start: (len(values), min(values), max(values), values[0], values[-1])
        for start, values in groups.items()
    }


def _stored(metric: Metric, tier: Tier) -> dict[datetime, Facts]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT bucket, count, minimum, maximum, first, last FROM {TIER_TABLES[tier]} "
            "WHERE metric_id = %s",
            [metric.pk],
        )
        rows = cursor.fetchall()
    moment = datetime.fromtimestamp
    return {
        start if isinstance(start, datetime) else moment(start / 1000, UTC): tuple(facts)
        for start, *facts in rows
    }
