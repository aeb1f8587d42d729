"""Months that are over are sorted on disk while others write, and hold what they held."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import OperationalError, connection

from devices.models import Device
from devices.readings.backup import writing
from devices.readings.samples import HistoryRequest, Sample, Value
from devices.readings.store import ReadingStore, ordering
from devices.readings.store.ordering import put_in_order
from devices.readings.store.partitions import Month
from devices.readings.store.tables import ROWS
from devices.readings.tests.network import FAR, device, metrics

pytestmark = pytest.mark.django_db(transaction=True)

BEGINS = datetime(2026, 4, 1, tzinfo=UTC)
APRIL = Month(2026, 4)
NOW = datetime(2026, 5, 20, tzinfo=UTC)
DEVICES = 40
READINGS = 300
EVERY = timedelta(minutes=30)


@pytest.fixture(autouse=True)
def afterwards() -> Iterator[None]:
    """The clock stands after everything that is written here."""
    with time_machine.travel(NOW, tick=False):
        yield


class Village:
    """Tanks that reported by turns in April, and what each of them said."""

    def __init__(self, store: ReadingStore) -> None:
        self.store = store
        tanks = [device() for _ in range(DEVICES)]
        self.levels = {tank: metrics(tank, 1)[0].pk for tank in tanks}
        self.said: dict[int, dict[datetime, Value]] = {pk: {} for pk in self.levels.values()}
        for number in range(READINGS):
            self.write([self.sample(tank, number, float(number)) for tank in tanks])
        self.analyze()

    def sample(self, tank: Device, number: int, value: float) -> Sample:
        return Sample(tank.pk, BEGINS + number * EVERY, 1, {self.levels[tank]: value})

    def write(self, samples: list[Sample]) -> None:
        self.store.write(samples)
        for one in samples:
            for metric, value in one.values.items():
                self.said[metric][one.at] = value

    def take_out(self, sample: Sample) -> None:
        """One reading was never meant."""
        self.store.correct([], [sample])
        for metric in sample.values:
            del self.said[metric][sample.at]

    def change_much(self, chance: random.Random) -> None:
        """Late readings, revised ones, and one that goes."""
        for tank in chance.sample(list(self.levels), 5):
            late = self.sample(tank, READINGS + chance.randrange(500), chance.random())
            revised = self.sample(tank, chance.randrange(READINGS), chance.random())
            self.write([late, revised])
            self.take_out(late)

    def assert_all_there(self) -> None:
        for metric, said in self.said.items():
            found = self.store.history(HistoryRequest(metric, BEGINS, FAR, limit=10_000))
            assert {one.at: one.value for one in found} == said

    def analyze(self) -> None:
        """What autovacuum does on its own."""
        execute("ANALYZE readings_row_y2026m04")

    def pages(self) -> float:
        """Pages on which a day of one tank lies, beside the fewest on which it could."""
        level = next(iter(self.levels.values()))
        execute("VACUUM readings_row_y2026m04")
        ((pages, rows),) = rows_of(
            "SELECT count(DISTINCT (r.ctid::text::point)[0]), count(*) FROM readings_row r "
            "JOIN readings_slot s ON s.stream_id = r.stream_id "
            f"WHERE s.metric_id = {level} AND at >= '2026-04-02Z' AND at < '2026-04-05Z'"
        )
        ((each,),) = rows_of(
            "SELECT reltuples / relpages FROM pg_class WHERE relname = 'readings_row_y2026m04'"
        )
        return float(pages / max(1.0, rows / each))


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def rows_of(sql: str) -> list[tuple[float, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        rows: list[tuple[float, ...]] = cursor.fetchall()
        return rows


def leftovers() -> list[tuple[float, ...]]:
    """What sorting made for itself."""
    return rows_of(
        "SELECT relname FROM pg_class WHERE relname ~ '^readings_row_y2026m04_(changed|sorted)$' "
        "UNION ALL SELECT proname FROM pg_proc WHERE proname ~ '^readings_row_y2026m04_note'"
    )


def before_places_change(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let something happen when the copy is made and has not taken its place."""
    change = ordering._change_places

    def acted(*given: object) -> None:
        act()
        change(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(ordering, "_change_places", acted)


def test_a_month_that_is_over_is_sorted_once(store: ReadingStore) -> None:
    village = Village(store)
    assert village.pages() > 10
    assert put_in_order(ROWS, NOW) == APRIL
    assert village.pages() <= 2
    village.assert_all_there()
    assert put_in_order(ROWS, NOW) is None
    assert leftovers() == []


def test_a_month_that_is_not_over_stays_as_it_is(store: ReadingStore) -> None:
    Village(store)
    assert put_in_order(ROWS, datetime(2026, 5, 2, tzinfo=UTC)) is None


def test_what_changes_while_a_month_is_copied_is_carried_over(
    store: ReadingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    village = Village(store)
    before_places_change(monkeypatch, lambda: village.change_much(random.Random(1)))
    assert put_in_order(ROWS, NOW) == APRIL
    village.assert_all_there()
    village.change_much(random.Random(2))
    village.assert_all_there()


def test_writers_and_sorting_go_on_side_by_side(store: ReadingStore) -> None:
    village = Village(store)
    chance = random.Random(3)
    over = threading.Event()
    failures: list[BaseException] = []

    def change() -> None:
        try:
            while not over.is_set():
                village.change_much(chance)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    writer = threading.Thread(target=change)
    writer.start()
    try:
        assert put_in_order(ROWS, NOW) == APRIL
    finally:
        over.set()
        writer.join()
    assert failures == []
    village.assert_all_there()


def test_whoever_sorted_and_was_killed_leaves_a_month_that_works(
    store: ReadingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    village = Village(store)

    def die() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        before_places_change(patched, die)
        with pytest.raises(KeyboardInterrupt):
            put_in_order(ROWS, NOW)
    assert len(leftovers()) == 3
    village.change_much(random.Random(4))
    village.assert_all_there()
    assert put_in_order(ROWS, NOW) == APRIL
    village.assert_all_there()
    assert leftovers() == []


def test_a_backup_under_way_keeps_its_months(
    store: ReadingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sorted rows are younger than the moment that it shows."""
    monkeypatch.setattr(ordering, "TRIES", 2)
    village = Village(store)
    with writing._one_moment(), pytest.raises(OperationalError):
        put_in_order(ROWS, NOW)
    village.assert_all_there()
    assert put_in_order(ROWS, NOW) == APRIL
    village.assert_all_there()
