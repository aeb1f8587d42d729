"""How many entries each calendar day holds, and how many of its entry numbers are lost."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from devices.models import Source
from devices.readings.periods import day_span
from ingestion.bulk import insert_rows
from ingestion.gaps.numbers import Hole, Row
from ingestion.models import SourceDay


class Tally(NamedTuple):
    """Entries and lost numbers of one day of one source, to be added to what is known."""

    entries: int = 0
    lost: int = 0


Tallies = Mapping[tuple[int, date], Tally]


def zone_of(source: Source) -> ZoneInfo:
    """The zone in which the source's days begin: its community's."""
    return ZoneInfo(source.device.community.zone)


def entries_by_day(rows: Iterable[Row], zone: ZoneInfo, until: datetime) -> dict[date, int]:
    """Rows counted by calendar day; those without a time and those after `until` belong to none."""
    latest = int(until.timestamp())
    times = sorted(row.at for row in rows if row.at is not None and row.at <= latest)
    counts: dict[date, int] = {}
    counted = 0
    while counted < len(times):
        span = day_span(datetime.fromtimestamp(times[counted], UTC), zone)
        upto = bisect_left(times, span.until.timestamp(), counted)
        counts[span.bucket.astimezone(zone).date()] = upto - counted
        counted = upto
    return counts


def spread(count: int, since: datetime, until: datetime, zone: ZoneInfo) -> dict[date, int]:
    """So many entries spread evenly over the calendar days of [since, until]; the sum is kept."""
    parts: dict[date, float] = {}
    at, whole = since, max((until - since).total_seconds(), 1.0)
    while True:
        span = day_span(at, zone)
        ends = min(span.until, until)
        day = span.bucket.astimezone(zone).date()
        parts[day] = max((ends - at).total_seconds(), 0.0) / whole
        if span.until > until:
            return _whole_numbers(count, parts)
        at = span.until


def lost_by_day(
    holes: Sequence[Hole], zone: ZoneInfo, bounds: tuple[datetime, datetime]
) -> dict[date, int]:
    """Lost numbers by day: each hole spread between its neighbours, else over `bounds`."""
    lost: Counter[date] = Counter()
    for hole in holes:
        lost.update(spread(hole.size, *times_of(hole, bounds), zone))
    return lost


def times_of(hole: Hole, bounds: tuple[datetime, datetime]) -> tuple[datetime, datetime]:
    """When the hole's rows should have come: between its neighbours, whose order may be wrong."""
    known = [at for at in (hole.since, hole.until) if at is not None]
    if not known:
        return bounds
    ends = sorted(known)
    return datetime.fromtimestamp(ends[0], UTC), datetime.fromtimestamp(ends[-1], UTC)


def add_to_days(tallies: Tallies) -> None:
    """Add to the days of many sources. One statement, none for none."""
    rows = [
        {"source_id": source, "day": day, "entries": tally.entries, "lost": tally.lost}
        for (source, day), tally in sorted(tallies.items())
        if any(tally)
    ]
    insert_rows(SourceDay, rows, unique=["source_id", "day"], added=["entries", "lost"])


def _whole_numbers(count: int, parts: Mapping[date, float]) -> dict[date, int]:
    """Shares of a count as whole numbers that add up to it."""
    whole: dict[date, int] = {}
    before, share = 0, 0.0
    for day, part in parts.items():
        share += part
        upto = min(round(count * share), count)
        whole[day] = upto - before
        before = upto
    last = max(parts)
    whole[last] += count - before
    return whole
