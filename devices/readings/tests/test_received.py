"""Entries are kept as they came, so that a number can be explained."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import override_settings

from devices.models import Connection, ThingSpeakChannel
from devices.readings.models import Received as Stored
from devices.readings.retention import prune
from devices.readings.samples import HistoryRequest, Received, Sample
from devices.readings.store import ReadingStore
from devices.readings.tests.network import FAR, START, device, metrics, minutes

pytestmark = pytest.mark.django_db


def source() -> ThingSpeakChannel:
    account = Connection.objects.create(name="Account")
    return ThingSpeakChannel.objects.create(device=device(), connection=account, channel_id=9)


def entry(of: ThingSpeakChannel, number: int, fields: dict[str, str | None]) -> Received:
    return Received(of.pk, of.device_id, minutes(START, number), number, fields)


@pytest.mark.parametrize("others", [0, 1_200])
def test_an_entry_is_kept_once_and_partial_ones_merge(store: ReadingStore, others: int) -> None:
    channel = source()
    rest = [entry(channel, number, {"field1": str(number)}) for number in range(2, 2 + others)]
    first = entry(channel, 1, {"field1": "4,8", "field2": None})

    store.write([], [first])
    store.write([], [first, *rest])
    store.write([], [entry(channel, 1, {"field3": "Pumpe läuft"})])

    assert Stored.objects.count() == 1 + others
    kept = Stored.objects.get(sequence=1)
    assert kept.at == minutes(START, 1)
    assert kept.fields == {"field1": "4,8", "field2": None, "field3": "Pumpe läuft"}


def test_characters_that_no_database_takes_are_replaced(store: ReadingStore) -> None:
    channel = source()

    store.write([], [entry(channel, 1, {"field1": "a\0b\ud800c", "field2": "C:\\u0000"})])

    assert Stored.objects.get().fields == {"field1": "a�b�c", "field2": "C:\\u0000"}


def test_nothing_is_pruned_until_somebody_asks_for_it(store: ReadingStore) -> None:
    channel = source()
    store.write([], [entry(channel, 1, {"field1": "1"}), entry(channel, 3000, {"field1": "2"})])

    prune(FAR)
    assert Stored.objects.count() == 2
    with override_settings(KEEP_RECEIVED_DAYS=1):
        assert prune(START + timedelta(days=2)).received == 1
    assert Stored.objects.get().sequence == 3000


def test_dropped_readings_leave_their_tiers_and_do_not_come_back(store: ReadingStore) -> None:
    (level,) = metrics(device("Asia/Kolkata"), 1)
    samples = [
        Sample(level.device_id, minutes(START, 30 * n), n, {level.pk: float(n)})
        for n in range(48 * 10)
    ]
    store.write(samples)
    now = START + timedelta(days=12)
    store.roll_up(now)
    before = store.statistics(level.pk, START, now)

    with override_settings(KEEP_READINGS_DAYS=5):
        dropped = prune(now)

    assert dropped.rows == 48 * 5
    assert store.statistics(level.pk, START, now) == before
    again = store.write(samples[:3])
    assert (again.new, list(again.expired)) == ([], samples[:3])
    store.roll_up(now)
    assert store.statistics(level.pk, START, now) == before
    left = store.history(HistoryRequest(level.pk, START, now, limit=1000))
    assert left[0].at == START + timedelta(days=5)
