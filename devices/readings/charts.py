"""A chart of a metric: from the coarsest tier that answers, never more than its pixels can show.

Where single readings (then hours) were dropped by age, the older part of a chart comes from the
next coarser tier: `Series.parts` says which part came from where.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby, pairwise
from statistics import median
from typing import NamedTuple
from zoneinfo import ZoneInfo

from devices.models import Metric
from devices.readings.instants import HOUR
from devices.readings.keeping import Kept
from devices.readings.pace import GAP
from devices.readings.periods import Period, day_span, hour_span, month_span
from devices.readings.samples import (
    AggregateRequest,
    Bucket,
    HistoryRequest,
    Reading,
    Tier,
)
from devices.readings.store import ArchiveUnreadable, NotNumeric, get_store
from devices.readings.store.archive.stitching import together

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
MONTH = 31 * DAY
WIDTHS = (
    *(MINUTE * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(HOUR * hours for hours in (1, 2, 3, 6)),
)
"""Bucket widths a chart may have; beyond, it counts in calendar days. Halves of a day would show
the difference of day and night as a zigzag.
"""
ALL = 10_000
"""More readings than any chart has places: those of a stretch were counted before."""
_ORDER = list(Tier)


@dataclass(frozen=True, slots=True)
class Point:
    """One place of a chart's line, or of its min/max band; None where the line is broken."""

    at: datetime
    minimum: float | None
    average: float | None
    maximum: float | None


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a chart: from which tier, how wide each bucket is (None: single readings)."""

    tier: Tier
    width: timedelta | None
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Series:
    """A metric's line over a range, and the stretches it was put together from, oldest first.

    `away`: why it is coarser than it might be, in words; empty: it is not.
    """

    points: Sequence[Point]
    parts: Sequence[Part]
    away: str = ""

    @property
    def tier(self) -> Tier:
        """The coarsest tier of the parts."""
        return max((part.tier for part in self.parts), key=_ORDER.index)

    @property
    def width(self) -> timedelta | None:
        """The widest bucket of the parts; None: single readings everywhere."""
        return max((part.width for part in self.parts if part.width), default=None)


class _Stretch(NamedTuple):
    """A part to draw, in buckets of a width or (None) as single readings."""

    since: datetime
    until: datetime
    width: timedelta | None

    def continues(self, later: _Stretch) -> bool:
        """Whether the later stretch is drawn in the same buckets, so that none is cut in two."""
        return self.width is not None and self.width == later.width


def series(metric: Metric, since: datetime, until: datetime, points: int) -> Series:
    """A chart of [since, until) with about `points` places at most, gaps kept.

    The readings themselves while they are few enough, else minimum, average and maximum of equal
    buckets from the coarsest tier that answers: two numbers and their mean for each place.
    Raises NotNumeric for text, ArchiveUnreadable where neither the archive nor a tier answers.
    """
    if metric.data_type == "text":
        raise NotNumeric("Text cannot be drawn as a line.")
    survey = get_store().survey(metric.pk)
    try:
        return _charted(metric, since, until, points, survey.kept)
    except ArchiveUnreadable as error:
        chart = _charted(metric, since, until, points, survey.beside_archive)
        return replace(chart, away=str(error))


def _charted(metric: Metric, since: datetime, until: datetime, points: int, kept: Kept) -> Series:
    """The chart of what is kept."""
    zone = ZoneInfo(metric.device.community.zone)
    width = _width(until - since, points)
    plan: list[_Stretch] = []
    for begins, ends, finest in _kept_stretches(kept, zone, since, until):
        room = int(points * ((ends - begins) / (until - since)))
        few = not finest and get_store().count(metric.pk, begins, ends, room) <= room
        stretch = _Stretch(begins, ends, None if few else max(width, finest))
        if plan and plan[-1].continues(stretch):
            stretch = _Stretch(plan.pop().since, ends, stretch.width)
        plan.append(stretch)
    return _drawn(metric, plan, kept.archived_until)


def _drawn(metric: Metric, plan: Sequence[_Stretch], archived_until: datetime | None) -> Series:
    """Each stretch drawn, and the line broken between two of them where nothing was heard."""
    line: list[Point] = []
    parts: list[Part] = []
    for stretch in plan:
        part, points = _part(metric, stretch)
        if line and points and _apart(line[-1], points[0], parts[-1], part):
            line.append(_broken(line[-1].at + (points[0].at - line[-1].at) / 2))
        line += points
        parts += _told(part, archived_until)
    return Series(line, parts)


def _told(part: Part, archived_until: datetime | None) -> list[Part]:
    """A part of single readings, or of buckets made of them, by where these stand."""
    if archived_until is None or part.tier not in (Tier.RAW, Tier.ARCHIVE):
        return [part]
    edge = min(max(archived_until, part.since), part.until)
    stretches = [(Tier.ARCHIVE, part.since, edge), (Tier.RAW, edge, part.until)]
    return [
        Part(tier, part.width, since, until) for tier, since, until in stretches if since < until
    ]


def _width(length: timedelta, points: int) -> timedelta:
    """The narrowest bucket of which so many cover the length; whole days beyond six hours, and
    whole months beyond 28 days.
    """
    fitting = (width for width in WIDTHS if length / width <= points)
    days = -(-length // (DAY * points))
    return next(fitting, days * DAY if days <= 28 else -(-days // 31) * MONTH)


def _kept_stretches(
    kept: Kept, zone: ZoneInfo, since: datetime, until: datetime
) -> list[tuple[datetime, datetime, timedelta]]:
    """The range in parts, by the finest resolution that is kept of each; nothing for readings."""
    # Of the day in which hours begin to be kept, only the day itself is whole.
    hours_from = day_span(kept.hours_from, zone).until if kept.hours_from else since
    readings_from = max(kept.readings_from or since, hours_from)
    parts = [
        (since, hours_from, DAY),
        (max(since, hours_from), readings_from, HOUR),
        (max(since, readings_from), until, timedelta()),
    ]
    return [
        (begins, min(ends, until), finest)
        for begins, ends, finest in parts
        if begins < min(ends, until)
    ]


def _part(metric: Metric, stretch: _Stretch) -> tuple[Part, list[Point]]:
    """A stretch's points: its readings, or buckets from the coarsest tier that answers."""
    since, until, width = stretch
    if width is None:
        readings = get_store().history(HistoryRequest(metric.pk, since, until, limit=ALL))
        return Part(Tier.RAW, None, since, until), _line(readings, metric.expected_every_s)
    answer = get_store().aggregate(_request(metric, since, until, width))
    buckets = list(answer.buckets)
    if DAY < width < MONTH:
        buckets = _grouped(buckets, partial(_day_number, days=width // DAY))
    elif width > MONTH:
        zone = ZoneInfo(metric.device.community.zone)
        buckets = _grouped(buckets, partial(_month_number, zone=zone, months=width // MONTH))
    return Part(answer.tier, width, since, until), _band(buckets, width)


def _request(
    metric: Metric, since: datetime, until: datetime, width: timedelta
) -> AggregateRequest:
    """Buckets of a stretch; the first and last hour, day or month is whole, as the tier holds it:
    of a part of one there may be no readings any more.
    """
    if width < HOUR:
        return AggregateRequest(metric.pk, since, until, width)
    period: Period
    bucket: timedelta | Tier
    if width < DAY:
        period, bucket = hour_span, width
    elif width < MONTH:
        period, bucket = day_span, Tier.DAY
    else:
        period, bucket = month_span, Tier.MONTH
    zone = ZoneInfo(metric.device.community.zone)
    ends = period(until - timedelta.resolution, zone).until
    return AggregateRequest(metric.pk, period(since, zone).since, ends, bucket)


def _apart(before: Point, after: Point, older: Part, newer: Part) -> bool:
    """Whether nothing was heard between two parts, so that no line connects them."""
    patience = 1.5 * ((older.width or timedelta()) + (newer.width or HOUR))
    return after.at - before.at > patience


def _line(readings: Sequence[Reading], cadence_s: int | None) -> list[Point]:
    """Readings as points, and a broken place after each that was followed much too late."""
    steps = [(after.at - before.at).total_seconds() for before, after in pairwise(readings)]
    patience = GAP * (cadence_s or (median(steps) if steps else 0))
    line = []
    for place, reading in enumerate(readings):
        value = float(reading.value)
        line.append(Point(reading.at, value, value, value))
        if place < len(steps) and steps[place] > patience > 0:
            line.append(_broken(reading.at + timedelta(seconds=steps[place] / 2)))
    return line


def _band(buckets: Sequence[Bucket], width: timedelta) -> list[Point]:
    """Buckets as points, and one broken place for each run of empty buckets."""
    band: list[Point] = []
    for bucket in buckets:
        # A day may last 25 hours: more than one and a half widths is a bucket without readings.
        if band and bucket.start - band[-1].at > 1.5 * width:
            band.append(_broken(band[-1].at + width))
        band.append(Point(bucket.start, bucket.minimum, bucket.average, bucket.maximum))
    return band


def _broken(at: datetime) -> Point:
    return Point(at, None, None, None)


def _day_number(at: datetime, days: int) -> int:
    """Which group of so many days, aligned to whole multiples since 1970."""
    # Half a day added: midnight in any zone is nearest to the right whole day.
    return int((at.timestamp() // 3600 + 12) // (24 * days))


def _month_number(at: datetime, zone: ZoneInfo, months: int) -> int:
    """Which group of so many months, aligned to whole multiples since the year 0."""
    local = at.astimezone(zone)
    return (local.year * 12 + local.month - 1) // months


def _grouped(buckets: Sequence[Bucket], number: Callable[[datetime], int]) -> list[Bucket]:
    """Buckets whose beginnings have one number put together."""
    groups = groupby(buckets, key=lambda bucket: number(bucket.start))
    return [together(list(group)) for _, group in groups]
