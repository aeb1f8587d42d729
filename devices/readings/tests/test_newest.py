"""The newest readings of devices whose messages do not all fill the same slots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from devices.readings.models import Latest, LatestRow, Slot
from devices.readings.samples import Reading, Sample
from devices.readings.store import ReadingStore, get_store
from devices.readings.tests.network import START, device, drop_before, metrics, minutes

pytestmark = pytest.mark.django_db


def listed(keys: list[int]) -> dict[int, tuple[datetime, int, float | None, bool]]:
    """The same as the admin shows it."""
    found = Latest.objects.filter(metric__in=keys)
    return {
        metric: (at, sequence, number, revised)
        for metric, at, sequence, number, revised in found.values_list(
            "metric", "at", "sequence", "number", "revised"
        )
    }


def assert_newest(keys: list[int], expected: dict[int, tuple[int, float, bool]]) -> None:
    """By metric: the minute since START, which is the entry's number too, value, revised."""
    found: Mapping[int, Reading] = get_store().latest(keys)
    assert {
        metric: (one.sequence, one.value, one.revised) for metric, one in found.items()
    } == expected
    assert listed(keys) == {
        metric: (minutes(START, number), number, value, revised)
        for metric, (number, value, revised) in expected.items()
    }


def test_each_metric_has_its_own_newest_reading_whatever_else_came_with_it(
    store: ReadingStore,
) -> None:
    tank = device()
    level, flow, power = keys = [metric.pk for metric in metrics(tank, 3)]
    messages = [{level: 1.0, flow: 2.0}, {power: 3.0}, {level: 4.0}, {flow: 5.0, power: 6.0}]
    for number in (3, 1, 4, 2):  # as they like to come
        store.write([Sample(tank.pk, minutes(START, number), number, messages[number - 1])])
    assert_newest(keys, {level: (3, 4.0, False), flow: (4, 5.0, False), power: (4, 6.0, False)})


def test_a_message_that_is_completed_later_counts_once_and_whole(store: ReadingStore) -> None:
    tank = device()
    level, flow = keys = [metric.pk for metric in metrics(tank, 2)]
    at = minutes(START, 5)
    store.write([Sample(tank.pk, at, 5, {level: 1.0})])
    store.write([Sample(tank.pk, at, 5, {flow: 2.0})])
    store.write([Sample(tank.pk, at, 5, {level: 1.5, flow: 2.0})])  # revised
    assert_newest(keys, {level: (5, 1.5, True), flow: (5, 2.0, False)})
    store.write([Sample(tank.pk, minutes(START, 6), 6, {flow: 3.0})])
    assert_newest(keys, {level: (5, 1.5, True), flow: (6, 3.0, False)})


def test_taking_the_newest_out_leaves_what_else_came_with_it_and_what_is_no_longer_kept(
    store: ReadingStore,
) -> None:
    tank = device()
    level, flow, power = keys = [metric.pk for metric in metrics(tank, 3)]
    long_ago = START - timedelta(days=400)
    store.write([Sample(tank.pk, long_ago, 1, {power: 9.0})])
    drop_before(store, long_ago + timedelta(days=40))
    store.write([Sample(tank.pk, minutes(START, 2), 2, {level: 1.0, flow: 2.0})])
    newest = Sample(tank.pk, minutes(START, 3), 3, {level: 3.0, flow: 4.0})
    store.write([newest])
    store.correct([], [Sample(tank.pk, newest.at, 3, {level: 3.0})])
    found = store.latest(keys)
    assert {metric: (one.sequence, one.value) for metric, one in found.items()} == {
        level: (2, 1.0),
        flow: (3, 4.0),
        power: (1, 9.0),
    }


def test_what_stood_by_slot_stands_by_message_after_the_migration() -> None:
    tank = device()
    level, flow, power = (metric.pk for metric in metrics(tank, 3))
    get_store().write([Sample(tank.pk, START, 1, {level: 1.0, flow: 1.0, power: 1.0})])
    stream = Slot.objects.get(metric=level).stream_id
    LatestRow.objects.all().delete()
    state = MigrationLoader(connection).project_state(("readings", "0008_archive"))
    old = state.apps.get_model("readings", "LatestRow")
    old._meta.db_table = "readings_latestofslot"
    columns = [f"{one.column} {one.db_type(connection)}" for one in old._meta.local_fields]
    migration = import_module("devices.readings.migrations.0009_latest_by_filled")
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE readings_latestofslot ({', '.join(columns)})")
        together = minutes(START, 5)
        old.objects.create(
            stream_id=stream, revised=0b100,
            v1=4.0, at1=together, sequence1=5, origin1=1,
            v2=2.0, at2=minutes(START, 2), sequence2=2, origin2=2,
            v3=6.0, at3=together, sequence3=5, origin3=1,
        )  # fmt: skip
        migration.move(None, SimpleNamespace(connection=connection, execute=cursor.execute))
        cursor.execute("DROP TABLE readings_latestofslot")
    assert_newest(
        [level, flow, power],
        {level: (5, 4.0, False), flow: (2, 2.0, False), power: (5, 6.0, True)},
    )
    assert LatestRow.objects.filter(stream=stream).count() == 2
