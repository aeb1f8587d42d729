"""Entries are kept as they came, so that a number can be explained."""

from __future__ import annotations

import pytest

from devices.models import ThingSpeakChannel
from devices.readings.samples import Received, ReceivedRequest
from devices.readings.store import ReadingStore
from devices.readings.tests.network import START, minutes, source

pytestmark = pytest.mark.django_db


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

    assert store.received_count(ReceivedRequest(channel.pk)) == 1 + others
    (kept,) = store.received(ReceivedRequest(channel.pk, limit=1))
    assert kept.at == minutes(START, 1)
    assert kept.fields == {"field1": "4,8", "field2": None, "field3": "Pumpe läuft"}


def test_characters_that_no_database_takes_are_replaced(store: ReadingStore) -> None:
    channel = source()

    store.write([], [entry(channel, 1, {"field1": "a\0b\ud800c", "field2": "C:\\u0000"})])

    (kept,) = store.received(ReceivedRequest(channel.pk))
    assert kept.fields == {"field1": "a�b�c", "field2": "C:\\u0000"}


@pytest.mark.parametrize("others", [0, 1_200])
def test_what_corrected_an_entry_is_what_brought_it(store: ReadingStore, others: int) -> None:
    channel = source()
    first, again, later = (minutes(START, 60 * hours) for hours in (1, 2, 3))
    numbers = range(1, 3 + others)
    entries = [entry(channel, n, {"field1": str(n)})._replace(arrived=first) for n in numbers]
    store.write([], entries)

    repeated = [one._replace(arrived=again) for one in entries]
    store.write([], repeated)
    corrected = repeated[0]._replace(fields={"field1": "48"}, arrived=later)
    store.write([], [corrected, *repeated[1:]])

    kept = store.received(ReceivedRequest(channel.pk, limit=2))
    assert [(one.fields, one.arrived) for one in kept] == [
        ({"field1": "48"}, later),
        ({"field1": "2"}, first),
    ]
