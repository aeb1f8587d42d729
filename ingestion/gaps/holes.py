"""Opening gaps: unread ranges, missing numbers, and channels that were cleared."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import F

from devices.models import Source
from ingestion.gaps.days import Tally, add_to_days, lost_by_day, times_of, zone_of
from ingestion.gaps.ledger import Ledger, Turn, missing
from ingestion.gaps.numbers import Hole
from ingestion.gaps.windows import BEGINNING, END
from ingestion.models import (
    UNREAD,
    EventKind,
    Gap,
    GapReason,
    GapState,
    PollState,
    SourceEvent,
)
from ingestion.normalise import FUTURE_TOLERANCE
from ingestion.polling import oldest_time
from ingestion.sources.base import Fetched

# Where rows with missing numbers are looked for: uploads of a device that was offline.
LATE = timedelta(days=31)
# So many missing numbers are an import.
IMPORT = 100
# One row of the gap list tells of all holes of about one time; a search adds so many rows at most.
APART = timedelta(days=1)
MOST_ROWS = 10


SAID_AGAIN = timedelta(days=1)
"""A clock that goes on standing still is told of so often."""


class Expect(NamedTuple):
    """What a new gap is opened with: why, how many entries it may bring, and up to which number."""

    reason: GapReason = GapReason.UNREAD
    entries: int | None = None
    last_number: int | None = None


_UNSTATED = Expect()


def note_hole(state: PollState, fetched: Fetched, ledger: Ledger, now: datetime) -> Gap | None:
    """Record what a full live answer did not reach back to."""
    oldest = min(oldest_time(fetched) or END, now + FUTURE_TOLERANCE)
    known = state.cursor_at
    if known is not None and oldest <= known:
        return None
    since = known or state.source.history_from or BEGINNING
    expect = _expected(ledger, since, state.source)
    if known is None and since > BEGINNING:
        expect = expect._replace(entries=None)  # how many came since then, nobody knows
    return open_gap(state.source, min(since, oldest), oldest, now, expect)


@transaction.atomic
def open_gap(
    source: Source, since: datetime, until: datetime, now: datetime, expect: Expect = _UNSTATED
) -> Gap:
    """Open a gap, or widen an open one that it touches.

    A page that is on its way for the old range is refused: it would close what it did not ask for.
    """
    unread = Gap.objects.select_for_update().filter(
        source=source,
        state__in=UNREAD,
        reason__in=[GapReason.UNREAD, GapReason.CLEARED],
        since__lte=until,
        until__gte=since,
    )
    gap = unread.order_by("pk").first()
    if gap is None:
        return new_gap(source, since, until, now, expect)
    gap.since, gap.until = min(gap.since, since), max(gap.until, until)
    gap.range_until = max(gap.range_until, until)
    gap.expected = None if expect.entries is None else gap.entries + expect.entries
    gap.last_number = expect.last_number
    gap.next_try_at, gap.failures = now, 0
    gap.lease_until, gap.claim_token = None, gap.claim_token + 1
    gap.save()
    return gap


def new_gap(source: Source, since: datetime, until: datetime, now: datetime, expect: Expect) -> Gap:
    """Open a gap of its own, whatever else is open."""
    return Gap.objects.create(
        source=source,
        reason=expect.reason,
        since=since,
        until=until,
        range_until=until,
        found_at=now,
        next_try_at=now,
        expected=expect.entries,
        last_number=expect.last_number,
    )


def search(source: Source, ledger: Ledger, now: datetime) -> Gap | None:
    """Look for rows whose numbers are missing though everything around them was read.

    They came late, at older times: back until all are found. None while something else is open,
    which may bring them, and where none is wanted (any more).
    """
    automatic = Gap.objects.filter(source=source, state__in=UNREAD)
    if automatic.exclude(reason=GapReason.REQUESTED).exists():
        return None
    found = missing(ledger, ledger.claimed, source.history_from)
    if not found:
        return None
    count = sum(hole.size for hole in found)
    begins = source.history_from or BEGINNING
    oldest = min(times_of(hole, (now, now))[0] for hole in found)
    since = max(begins, min(oldest, now) - LATE)
    if (count > IMPORT or found[0].first == 1) and not ledger.barren:
        since = begins  # rows of any age may have been uploaded
    expect = Expect(GapReason.NUMBERS, count, ledger.claimed)
    return new_gap(source, min(since, now), now, now, expect)


def channel_cleared(source: Source, turn: Turn, now: datetime) -> None:
    """Say so, give up what went with the channel's old rows, and read all that it holds now."""
    text = (
        f"The channel was cleared at its source: entry numbers had reached {turn.reached} and "
        "begin again. What was read before stays; everything the channel holds now is read."
    )
    SourceEvent.objects.create(source=source, at=now, kind=EventKind.CHANNEL_CLEARED, text=text)
    _give_up_unread(source, now)
    ends = now + FUTURE_TOLERANCE
    since = min(source.history_from or BEGINNING, ends)
    expect = _expected(turn.ledger, since, source)._replace(reason=GapReason.CLEARED)
    new_gap(source, since, ends, now, expect)


def numbers_fell(source: Source, turn: Turn, now: datetime) -> None:
    """Say so; from now on completeness is judged by the cadence."""
    text = (
        f"Entry numbers fell from {turn.reached} to {turn.ledger.claimed} although older entries "
        "are still there. Until they rise again they prove nothing: completeness is judged by how "
        "often the device reports."
    )
    SourceEvent.objects.create(source=source, at=now, kind=EventKind.IDS_FELL, text=text)


def clock_stands(source: Source, entries: int, at: datetime, now: datetime) -> None:
    """Say so, once a day: entries go on coming and all carry one time."""
    said = SourceEvent.objects.filter(
        source=source, kind=EventKind.CLOCK_STANDS, at__gt=now - SAID_AGAIN
    )
    if said.exists():
        return
    text = (
        f"{entries} entries with rising numbers carry one time, {at:%Y-%m-%d %H:%M:%S} UTC: the "
        "device's clock stands still, or it sends several values a second. All of them are stored; "
        "a chart shows them at one instant."
    )
    SourceEvent.objects.create(source=source, at=now, kind=EventKind.CLOCK_STANDS, text=text)


def record_lost(
    source: Source, lost: Sequence[Hole], bounds: tuple[datetime, datetime], now: datetime
) -> list[Gap]:
    """Enter numbers that the source does not give as lost: by day, and one gap for each time.

    `bounds` stand in for times that are not known. Returns the gaps, oldest first.
    """
    by_day = lost_by_day(lost, zone_of(source), bounds)
    add_to_days({(source.pk, day): Tally(lost=count) for day, count in by_day.items()})
    return Gap.objects.bulk_create(
        Gap(
            source=source,
            reason=GapReason.NUMBERS,
            state=GapState.LOST,
            since=since,
            until=until,
            range_until=until,
            found_at=now,
            next_try_at=now,
            closed_at=now,
            missing=sum(hole.size for hole in group),
            message=lost_text(group),
        )
        for since, until, group in _together(lost, bounds)
    )


def lost_text(lost: Sequence[Hole]) -> str:
    """That numbers are missing, in words."""
    count, first, last = sum(one.size for one in lost), lost[0].first, lost[-1].last
    if count == 1:
        what = f"Entry number {first} is"
    elif count == last - first + 1:
        what = f"The {count:,} entry numbers from {first} to {last} are"
    else:
        what = f"{count:,} of the entry numbers from {first} to {last} are"
    return (
        f"{what} not among the entries that the source gives, although it was read again: it "
        "skipped or deleted them. Nothing of them can be fetched."
    )


_Group = tuple[datetime, datetime, list[Hole]]


def _together(lost: Sequence[Hole], bounds: tuple[datetime, datetime]) -> list[_Group]:
    """Holes grouped by time: those less than a day apart, and the nearest beyond ten groups."""
    timed = sorted(((*times_of(hole, bounds), [hole]) for hole in lost), key=lambda one: one[:2])
    apart = APART
    while True:
        groups: list[_Group] = []
        for since, until, group in timed:
            if groups and since - groups[-1][1] <= apart:
                begins, ends, before = groups[-1]
                groups[-1] = (begins, max(ends, until), sorted(before + group))
            else:
                groups.append((since, until, group))
        if len(groups) <= MOST_ROWS:
            return groups
        timed, apart = groups, apart * 2


def _expected(ledger: Ledger, since: datetime, source: Source) -> Expect:
    """How many entries a gap may bring, by the numbers that were not read."""
    if not ledger.proves or not ledger.ranges or ledger.claimed is None:
        return Expect(last_number=ledger.claimed)
    count = sum(hole.size for hole in missing(ledger, ledger.claimed, source.history_from))
    if since <= BEGINNING:
        count += max(ledger.ranges[0].first - 1, 0)  # numbers begin at 1
    return Expect(entries=count, last_number=ledger.claimed)


def _give_up_unread(source: Source, now: datetime) -> None:
    unread = Gap.objects.filter(source=source, state__in=UNREAD)
    unread.exclude(reason=GapReason.REQUESTED).update(
        state=GapState.LOST,
        closed_at=now,
        lease_until=None,
        claim_token=F("claim_token") + 1,
        message="The channel was cleared at its source before this range was read; what it held "
        "there is gone.",
    )
