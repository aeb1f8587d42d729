"""What has outlived its time goes, its statistics stay; on PostgreSQL whole months at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import override_settings

from devices.readings.models import Received as Stored
from devices.readings.retention import prune
from devices.readings.samples import HistoryRequest, Received, Sample
from devices.readings.store import ReadingStore
from devices.readings.tests.network import FAR, device, metrics, source

pytestmark = pytest.mark.django_db(transaction=True)

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 150  # to the end of May
NOW = JANUARY + timedelta(days=DAYS)


def daily(metric: int, owner: int) -> list[Sample]:
    return [
        Sample(owner, JANUARY + timedelta(days=day, hours=5), day, {metric: float(day)})
        for day in range(DAYS)
    ]


@pytest.fixture(autouse=True)
def afterwards() -> Iterator[None]:
    """The clock stands after everything that is written here."""
    with time_machine.travel(NOW, tick=False):
        yield


def test_dropped_readings_leave_their_tiers_and_do_not_come_back(store: ReadingStore) -> None:
    (level,) = metrics(device("Asia/Kolkata"), 1)
    samples = daily(level.pk, level.device_id)
    store.write(samples)
    store.roll_up(NOW)
    before = store.statistics(level.pk, JANUARY, NOW)

    with override_settings(KEEP_READINGS_DAYS=80):  # from 12 March on
        prune(NOW)

    kept_from = NOW - timedelta(days=80)
    left = [one.at for one in store.history(HistoryRequest(level.pk, JANUARY, NOW))]
    assert {one.at for one in samples if one.at >= kept_from} <= set(left)
    assert min(left) >= datetime(2026, 3, 1, tzinfo=UTC)
    assert store.statistics(level.pk, JANUARY, NOW) == before
    again = store.write(samples[:3])
    assert (again.new, list(again.expired)) == ([], samples[:3])
    store.roll_up(NOW)
    assert store.statistics(level.pk, JANUARY, NOW) == before


def test_entries_as_received_have_a_time_of_their_own(store: ReadingStore) -> None:
    channel = source()
    entries = [
        Received(channel.pk, channel.device_id, JANUARY + timedelta(days=day), day, {"field1": "1"})
        for day in range(DAYS)
    ]
    store.write([], entries)

    prune(FAR)
    assert Stored.objects.count() == DAYS
    with override_settings(KEEP_RECEIVED_DAYS=30):  # from 1 May on
        prune(NOW)
    assert Stored.objects.earliest("at").at == datetime(2026, 5, 1, tzinfo=UTC)

    store.write([], entries[:2])  # a late backfill brings an old month again
    assert Stored.objects.earliest("at").at == JANUARY
