"""What an import brings counts in completeness: by day, and as numbers that are not missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from devices.models import ThingSpeakChannel
from ingestion.enrolment import enrol
from ingestion.gaps.completeness import days_of
from ingestion.imports.tests.scene import NOW, carry_out, channel, minutes, start, upload
from ingestion.models import EntryLedger, PollState
from realtime.way_in import Day, DayState

pytestmark = pytest.mark.django_db

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def numbered(source: ThingSpeakChannel, *ranges: tuple[int, int], **known: Any) -> None:
    """What was read of the channel, an entry a minute; its newest number is the last of them."""
    stored = [
        [first, last, *(int((FIRST + (n - 1) * MINUTE).timestamp()) for n in (first, last))]
        for first, last in ranges
    ]
    EntryLedger.objects.create(source=source, ranges=stored, **{"claimed": ranges[-1][1], **known})
    enrol(NOW, [source.pk])
    PollState.objects.filter(source=source).update(cadence_s=60)


def day(source: ThingSpeakChannel) -> Day:
    zone = ZoneInfo("UTC")
    type(source.device.community).objects.update(zone="UTC")
    (found,) = days_of([source.pk], zone, FIRST.date(), FIRST.date(), NOW)
    return found


def imported(source: ThingSpeakChannel, count: int, first: int = 0) -> None:
    carry_out(start(upload(source, minutes(count, first))))


def test_a_part_of_a_day_before_the_wanted_history_is_a_part() -> None:
    source = channel()
    ThingSpeakChannel.objects.update(history_from=FIRST + timedelta(days=1))
    source.refresh_from_db()
    numbered(source, (5000, 9000))
    assert day(source).state is DayState.NOTHING
    imported(source, 120)
    assert (day(source).entries, day(source).state, day(source).percent) == (
        120, DayState.PARTIAL, 8,
    )  # fmt: skip
    imported(source, 120)
    assert day(source).entries == 120
    PollState.objects.update(cadence_s=59.5)  # no device keeps its pace to the second
    imported(source, 1440)
    assert (day(source).entries, day(source).percent) == (1440, 99)
    imported(source, 1, first=1440)  # numbers from midnight to midnight leave no doubt
    assert (day(source).entries, day(source).state) == (1440, DayState.COMPLETE)


def test_rows_of_a_file_fill_what_was_missing() -> None:
    source = channel()
    numbered(source, (1, 100), (200, 300))
    imported(source, 150)
    assert day(source).entries == 50
    assert [one[:2] for one in EntryLedger.objects.get().ranges] == [[1, 150], [200, 300]]


def test_rows_from_before_a_channel_was_cleared_are_not_taken_for_new_ones() -> None:
    source = channel()
    late = [[first, last, 1785000000, 1785003600] for first, last in ((0, 100), (200, 300))]
    numbered(source, (1, 300), epoch=1)
    EntryLedger.objects.update(ranges=late)
    imported(source, 600)
    assert [one[:2] for one in EntryLedger.objects.get().ranges] == [[0, 100], [200, 300]]
    assert day(source).entries == 0
