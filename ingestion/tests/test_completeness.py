"""Rows that no poll would have seen are found by their numbers, and channels that begin anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from devices.readings.samples import HistoryRequest
from devices.readings.store import get_store
from ingestion import gaps
from ingestion.dispatch import LEASE, Queues, dispatch
from ingestion.entries import Entry
from ingestion.gaps.backfill import request_backfill
from ingestion.models import (
    EntryLedger,
    EventKind,
    Gap,
    GapReason,
    GapState,
    PollLog,
    SourceDay,
    SourceEvent,
)
from ingestion.tests import stack as network
from ingestion.tests.held_channel import HeldChannel
from ingestion.tests.stack import START, TANK, Stack
from ingestion.tests.test_nothing_lost import running, served, stack, stored

__all__ = ["running", "stack"]
pytestmark = pytest.mark.django_db(transaction=True)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def held() -> Iterator[tuple[HeldChannel, str]]:
    channel = HeldChannel()
    with channel.running() as url:
        yield channel, url


def reader(stack: Stack, url: str, **changes: Any) -> Any:
    account = network.connection(stack.simulator, base_url=url)
    return network.channel(account, 1, ("field1",), interval_s=60, **changes)


def live(stack: Stack, minutes: int, every_s: int = 5) -> None:
    """Ticks some seconds apart: nothing here depends on every second."""
    for _ in range(minutes * 60 // every_s):
        dispatch(lambda: stack.at, stack.gate, Queues(stack.worker.poll, stack.worker.fill))
        stack.at += timedelta(seconds=every_s)


def kept(source: Any) -> Counter[tuple[datetime, int]]:
    """Every stored row: its time and number."""
    metric = source.device.metrics.get(name="field1")
    request = HistoryRequest(metric.pk, gaps.BEGINNING, gaps.END, limit=100_000)
    return Counter((one.at, one.sequence) for one in get_store().history(request))


def test_rows_uploaded_late_are_found_by_their_numbers(
    stack: Stack, held: tuple[HeldChannel, str]
) -> None:
    channel, url = held
    channel.report(stack.at - 40 * DAY, 10 * MINUTE, range(1, 5700))
    source = reader(stack, url)
    live(stack, 5)
    channel.report(stack.at - 3 * DAY, MINUTE, range(5701, 5751))  # what a logger had kept
    channel.say((stack.at, 5751))
    live(stack, 20)
    channel.say((stack.at - 5 * DAY, 5752))  # and nothing new after it
    live(stack, 20)
    assert kept(source) == Counter(channel.rows)
    found = Gap.objects.filter(reason=GapReason.NUMBERS)
    assert set(found.values_list("state", flat=True)) == {GapState.LOST, GapState.FILLED}
    lost = Gap.objects.get(state=GapState.LOST)
    assert "Entry number 5700 is not among" in lost.message  # it was never given to a row
    assert lost.missing == 1
    assert EntryLedger.objects.get().ranges[0][:2] == [1, 5752]
    assert sum(SourceDay.objects.values_list("entries", flat=True)) == len(channel.rows)
    assert sum(SourceDay.objects.values_list("lost", flat=True)) == 1


def test_numbers_that_never_exist_settle_quietly(
    stack: Stack, held: tuple[HeldChannel, str]
) -> None:
    channel, url = held
    channel.report(stack.at - 10 * DAY, 10 * MINUTE, range(1, 2880, 2))
    source = reader(stack, url)
    live(stack, 5)
    for number in range(2881, 2881 + 400, 2):
        channel.say((stack.at, number))
        live(stack, 1, every_s=20)
    found = kept(source)
    assert set(channel.rows[:-1]) <= set(found) <= set(channel.rows)  # perhaps not the last yet
    assert Gap.objects.count() <= 6
    assert not Gap.objects.filter(state__in=["open", "filling"]).exists()
    days = SourceDay.objects.filter(day=(stack.at - 3 * DAY).date()).get()
    assert days.entries == pytest.approx(days.lost, rel=0.02)
    assert Gap.objects.filter(state=GapState.LOST).first()


def test_a_cleared_channel_begins_anew_and_loses_nothing(stack: Stack) -> None:
    account = network.connection(stack.simulator)
    source = network.channel(account, interval_s=10, history_from=stack.at - HOUR)
    stack.run(60)
    before = set(kept(source))
    cleared = stack.at
    stack.simulator.fault("cleared", channel=TANK)
    stack.advance(600)
    stack.run(120)
    stack.read_everything()
    event = SourceEvent.objects.get()
    assert event.kind == EventKind.CHANNEL_CLEARED
    assert "begin again" in event.text
    newer = {number for at, number in kept(source) if at > cleared}
    assert newer == set(range(1, max(newer) + 1))
    assert before <= set(kept(source))
    assert max(kept(source).values()) == 1
    assert EntryLedger.objects.get().epoch == 1
    assert set(Gap.objects.values_list("state", flat=True)) == {GapState.FILLED}


def test_a_cleared_channel_filled_with_old_rows_is_read_whole(
    stack: Stack, held: tuple[HeldChannel, str]
) -> None:
    channel, url = held
    channel.report(stack.at - 2 * HOUR, MINUTE, range(1, 121))
    source = reader(stack, url)
    live(stack, 5)
    old = Counter(channel.rows)
    channel.rows.clear()
    live(stack, 5)
    channel.report(stack.at - 300 * DAY, 5 * HOUR, range(1, 60))  # times and numbers overlap
    channel.report(stack.at - HOUR, MINUTE, range(60, 125))
    live(stack, 30)
    assert kept(source) == old | Counter(channel.rows)
    assert [one.kind for one in SourceEvent.objects.all()] == [EventKind.CHANNEL_CLEARED]


def test_a_clock_that_stands_still_is_told_once_a_day_and_nothing_is_lost(
    stack: Stack, held: tuple[HeldChannel, str]
) -> None:
    channel, url = held
    channel.report(stack.at - HOUR, MINUTE, range(1, 61))
    source = reader(stack, url)
    live(stack, 2)
    stuck = stack.at
    for number in range(61, 71):
        channel.report(stuck, timedelta(), range(number, number + 1))
        live(stack, 2)
    assert kept(source) == Counter(channel.rows)
    (event,) = SourceEvent.objects.all()
    assert event.kind == EventKind.CLOCK_STANDS
    assert event.text.startswith(f"5 entries with rising numbers carry one time, {stuck:%Y-%m-%d}")
    assert not Gap.objects.exclude(state=GapState.FILLED).exists()


def test_a_few_entries_within_a_second_are_nothing_to_tell(
    stack: Stack, held: tuple[HeldChannel, str]
) -> None:
    channel, url = held
    source = reader(stack, url)
    for number in range(0, 60, 4):
        channel.report(stack.at, timedelta(), range(number + 1, number + 5))
        live(stack, 2)
    assert kept(source) == Counter(channel.rows)
    assert not SourceEvent.objects.exists()


def test_falling_numbers_are_told_once_and_nothing_is_lost(stack: Stack) -> None:
    account = network.connection(stack.simulator)
    source = network.channel(account, interval_s=10, history_from=stack.at - HOUR)
    stack.run(60)
    stack.simulator.fault("falling_ids", channel=TANK)
    stack.run(450)
    assert [one.kind for one in SourceEvent.objects.all()] == [EventKind.IDS_FELL]
    assert "prove nothing" in SourceEvent.objects.get().text
    times = {at for at, _ in kept(source)}
    expected = {
        datetime.fromisoformat(at)
        for at, _ in stack.simulator.control(
            f"rows?channel={TANK}&start={(START - HOUR).timestamp():.0f}"
            f"&end={(stack.at - timedelta(seconds=15)).timestamp():.0f}"
        )["rows"]
    }
    assert expected <= times
    assert Gap.objects.count() <= 2


def test_rows_of_the_far_future_do_not_crowd_out_live_ones(stack: Stack) -> None:
    account = network.connection(stack.simulator)
    source = network.channel(account, interval_s=10, history_from=stack.at)
    stack.run(30)
    stack.simulator.fault("future", channel=TANK, seconds=86_400 * 365, count=150)
    stack.run(200)
    assert max(at for at, _ in kept(source)) > stack.at - timedelta(seconds=25)
    newest = PollLog.objects.filter(lane="live").first()
    assert newest is not None
    assert newest.entries < 100
    assert set(served(stack, START, stack.at - timedelta(seconds=25))) <= set(stored(source))
    assert source.rejections.filter(reason="future_time").count() == 100
    assert Gap.objects.count() <= 2


def test_a_source_too_busy_for_live_answers_has_late_rows_found_too(
    stack: Stack, held: tuple[HeldChannel, str]
) -> None:
    channel, url = held
    source = reader(stack, url, history_from=stack.at - HOUR)
    source.interval_s = 300
    source.save()
    number = 1
    for minutes in range(0, 60, 5):
        channel.report(stack.at, timedelta(seconds=1), range(number, number + 300))
        number += 300
        if minutes == 20:  # a logger comes back between two other rows
            channel.report(stack.at - 30 * MINUTE, MINUTE, range(number, number + 10))
            number += 10
        live(stack, 5, every_s=20)
    live(stack, 10, every_s=20)
    assert kept(source) == Counter(channel.rows)


def test_a_range_that_somebody_wanted_besides_calls_nothing_lost(
    stack: Stack, held: tuple[HeldChannel, str]
) -> None:
    """Between it and the history that is wanted, nobody asked for anything."""
    channel, url = held
    channel.report(stack.at - 10 * DAY, 10 * MINUTE, range(1, 1440))
    source = reader(stack, url, history_from=stack.at - DAY)
    live(stack, 3)
    request_backfill(source, stack.at - 9 * DAY, stack.at - 5 * DAY, stack.at)
    live(stack, 20)
    assert not Gap.objects.exclude(state=GapState.FILLED).exists()
    assert not SourceDay.objects.filter(lost__gt=0).exists()

    number = 1440
    for _ in range(5):  # a hole in what is wanted is found as ever
        channel.say((stack.at, number))
        number += 2
        live(stack, 2)
    channel.say((stack.at - 2 * HOUR, number - 1))
    live(stack, 20)
    wanted = [row for row in channel.rows if row[0] >= source.history_from]
    assert set(wanted) <= set(kept(source))
    assert sum(SourceDay.objects.values_list("lost", flat=True)) == 4

    request_backfill(source, stack.at - 5 * DAY, stack.at - DAY, stack.at)
    live(stack, 5)
    full = SourceDay.objects.filter(day=(stack.at - 3 * DAY).date()).get()
    assert (full.entries, full.lost) == (144, 0)


def test_rows_that_an_import_brought_are_there(stack: Stack, held: tuple[HeldChannel, str]) -> None:
    channel, url = held
    channel.say((stack.at, 1), (stack.at + MINUTE, 2), (stack.at + 2 * MINUTE, 6))
    source = reader(stack, url)
    live(stack, 5)
    imported = [Entry(stack.at - DAY + MINUTE * n, n, {"field1": "1"}) for n in (3, 4, 5)]
    with transaction.atomic():
        gaps.note_entries(source, imported, stack.at)
        gaps.note_entries(source, imported, stack.at)  # counted once
    live(stack, 20)
    assert EntryLedger.objects.get().ranges[0][:2] == [1, 6]
    assert not Gap.objects.exists()
    assert SourceDay.objects.get(day=(stack.at - DAY).date()).entries == 3


def test_a_page_that_is_too_large_shrinks_and_grows_again(
    stack: Stack, held: tuple[HeldChannel, str]
) -> None:
    channel, url = held
    channel.report(stack.at - 20 * DAY, MINUTE, range(1, 20 * 1440))
    channel.most = 1500
    source = reader(stack, url)
    live(stack, 15)
    assert kept(source) == Counter(channel.rows)
    pages = [size for size in channel.asked if size != gaps.LIVE_LIMIT]
    assert pages[:4] == [8000, 4000, 2000, 1000]
    assert pages[4] > 1000
    assert sum(size > 1500 for size in pages) < len(pages) / 3


def test_a_worker_killed_in_mid_fill_loses_nothing(stack: Stack) -> None:
    account = network.connection(stack.simulator)
    source = network.channel(account, interval_s=60, history_from=stack.at - 4 * DAY)
    stack.run(3)
    taken: list[Any] = []
    # The dispatcher's claims go to a worker that dies with them.
    dispatch(lambda: stack.at, stack.gate, Queues(stack.worker.poll, taken.extend))
    assert taken
    gap = Gap.objects.get()
    assert gap.entries  # a part was read before
    assert gap.lease_until is not None
    stack.run(5)
    assert Gap.objects.get().entries == gap.entries
    stack.advance(LEASE.total_seconds())
    stack.read_everything()
    numbers = sorted(stored(source))
    assert numbers == [n for n in served(stack, START - 4 * DAY, stack.at) if n <= numbers[-1]]
