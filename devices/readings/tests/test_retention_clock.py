"""A clock that jumps ahead makes nothing older."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from structlog.testing import capture_logs

from devices.readings.keeping import Cut, Kept
from devices.readings.models import RetentionRule
from devices.readings.outlook import outlook
from devices.readings.retention import cuts, prune
from devices.readings.samples import (
    AggregateRequest,
    HistoryRequest,
    Received,
    Sample,
    Tier,
)
from devices.readings.store import ReadingStore
from devices.readings.tests.network import (
    device,
    metrics,
    source,
)
from devices.readings.tests.retained import (
    DAYS,
    JANUARY,
    NOW,
    afterwards,
    daily,
    held,
    kept,
    rule,
    said_at,
    spoken,
)

pytestmark = pytest.mark.django_db(transaction=True)
A_YEAR_ON = NOW + timedelta(days=365)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with afterwards():
        yield


def test_a_clock_that_jumps_ahead_destroys_nothing(store: ReadingStore) -> None:
    channel = source()
    level = metrics(channel.device, 1)[0]
    store.write(
        daily(level.pk, level.device_id),
        [
            Received(channel.pk, level.device_id, JANUARY + timedelta(days=day), day, {})
            for day in range(DAYS)
        ],
    )
    rule(90, 120)
    with time_machine.travel(A_YEAR_ON, tick=False):
        for _ in range(2):
            store.roll_up(A_YEAR_ON)
            prune(A_YEAR_ON)

    since = NOW - timedelta(days=90)
    assert len([at for at in held(store, level) if at >= since]) == 90
    assert len([at for at in kept(store, channel) if at >= since]) == 90
    live, late = said_at(level, NOW), said_at(level, NOW - timedelta(days=80))
    assert store.write([live, late]).expired == []
    store.roll_up(NOW)  # which went ahead with the clock, and follows what comes now
    whole = AggregateRequest(level.pk, JANUARY, NOW + timedelta(days=40), Tier.DAY)
    assert sum(bucket.count for bucket in store.aggregate(whole).buckets) == DAYS + 2
    hours = AggregateRequest(level.pk, NOW, NOW + timedelta(hours=1), timedelta(hours=1))
    assert [bucket.sum for bucket in store.aggregate(hours).buckets] == [48.0]


def test_where_nobody_measures_any_more_everything_may_stay(store: ReadingStore) -> None:
    level = spoken(store)
    mode = metrics(level.device, 1, "text")[0]
    rule(90)
    prune(NOW)
    before = held(store, level)
    later = NOW + timedelta(days=20)
    store.roll_up(later)
    with capture_logs() as lines:
        prune(later)
        prune(later + timedelta(hours=1))
    assert held(store, level) == before
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("clock_not_believed", "warning")
    ]
    assert "put it right" in lines[0]["message"]
    assert outlook(later).believed == JANUARY + timedelta(days=DAYS, hours=5)

    store.write([Sample(mode.device_id, later, 1, {mode.pk: "running"})])  # a text counts as well
    with capture_logs() as lines:
        prune(later)
        prune(later + timedelta(hours=1))
    assert [line["event"] for line in lines] == ["clock_believed_again"]
    assert outlook(later).believed is None
    assert store.survey(level.pk).kept == Kept(later - timedelta(days=90))


def test_a_reading_that_is_a_little_ahead_does_not_matter(store: ReadingStore) -> None:
    level = spoken(store)
    store.write([said_at(level, NOW + timedelta(minutes=10))])
    rule(90)
    assert cuts(NOW)[level.device_id] == Cut(NOW - timedelta(days=90))


@pytest.mark.parametrize("archive", [False, True])
def test_a_site_that_was_hit_before_takes_readings_again(
    store: ReadingStore, archive: bool, settings: Any, tmp_path: Path
) -> None:
    settings.ARCHIVE_DIR = tmp_path / "archive"
    level, silent = spoken(store), metrics(device(), 1)[0]
    total = store.statistics(level.pk, JANUARY, NOW)
    assert total is not None
    rule(90)
    RetentionRule.objects.update(archive=archive)
    with time_machine.travel(A_YEAR_ON, tick=False):  # as it was done once: the clock was believed
        store.roll_up(A_YEAR_ON)
        cut = Cut(A_YEAR_ON - timedelta(days=90), None, archive)
        store.drop({level.device_id: cut, silent.device_id: cut})
    old = daily(level.pk, level.device_id) if archive else []
    assert len(held(store, level)) == len(old)
    live = [said_at(level, NOW), said_at(silent, NOW)]
    assert store.write(live).expired == live

    with capture_logs() as lines:
        prune(NOW)
        prune(NOW)

    assert [(line["event"], line["devices"]) for line in lines] == [("cuts_set_back", 2)]
    assert store.write(live).new == live
    missed = said_at(level, NOW - timedelta(hours=15))  # after the last one that was stored
    assert store.write([missed]).new == [missed]
    gone = daily(level.pk, level.device_id)[-1:]
    assert archive or store.write(gone).expired == gone
    store.roll_up(NOW)
    after = store.statistics(level.pk, JANUARY, NOW + timedelta(days=1))
    assert after is not None
    assert (after.count, after.first, after.last) == (DAYS + 2, total.first, 48.0)
    request = HistoryRequest(level.pk, JANUARY, NOW + timedelta(days=1))
    assert [one.at for one in store.history(request)] == [
        *(one.at for one in old), missed.at, NOW,
    ]  # fmt: skip

    for month in range(1, 6):  # and they go when they are old, as ever
        now = NOW + timedelta(days=30 * month)
        with time_machine.travel(now, tick=False):
            store.write([said_at(level, now)])
            store.roll_up(now)
            prune(now)
    there = [one.at for one in store.history(replace(request, until=now))]
    assert (NOW in there, missed.at in there) == (archive, archive)
    assert now - timedelta(days=60) in there
    assert len(there) == len(set(there))
