"""Buckets of time: fixed lengths in UTC, calendar days and months in a zone. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from devices.readings.instants import EPOCH, HOUR, hour_of


class Span(NamedTuple):
    """The part [since, until) of the bucket that begins at `bucket`."""

    bucket: datetime
    since: datetime
    until: datetime


Period = Callable[[datetime, ZoneInfo], Span]


@lru_cache(maxsize=4096)  # many sources share their days
def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, at which a calendar day begins in a zone.

    Where midnight is skipped, that is the moment of the skip; where it comes twice, the first.
    """
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def day_of(at: datetime, zone: ZoneInfo) -> date:
    """The calendar day whose span holds the instant.

    Not always what the clock on the wall said: where it went back over midnight, the new day goes
    on.
    """
    day = at.astimezone(zone).date()
    if at >= day_start(day + timedelta(days=1), zone):
        return day + timedelta(days=1)
    return day - timedelta(days=1) if at < day_start(day, zone) else day


def hour_span(at: datetime, zone: ZoneInfo) -> Span:
    """The hour that holds an instant: of UTC, whatever the zone."""
    return Span(hour_of(at), hour_of(at), hour_of(at) + HOUR)


def day_span(at: datetime, zone: ZoneInfo) -> Span:
    """The calendar day that holds an instant."""
    day = day_of(at, zone)
    begins = day_start(day, zone)
    return Span(begins, begins, day_start(day + timedelta(days=1), zone))


def month_span(at: datetime, zone: ZoneInfo) -> Span:
    """The calendar month that holds an instant."""
    first = day_of(at, zone).replace(day=1)
    begins = day_start(first, zone)
    return Span(begins, begins, day_start(_next_month(first), zone))


def calendar_spans(
    period: Period, since: datetime, until: datetime, zone: ZoneInfo
) -> Iterator[Span]:
    """The days or months (`day_span`, `month_span`) that touch [since, until), whole."""
    if since >= until:
        return
    day = day_of(since, zone)
    if period is month_span:
        day = day.replace(day=1)
    begins = day_start(day, zone)
    while begins < until:
        day = _next_month(day) if period is month_span else day + timedelta(days=1)
        ends = day_start(day, zone)
        if begins < ends:  # where a zone changed sides of the date line, a day is missing
            yield Span(begins, begins, ends)
        begins = ends


def _next_month(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)


def fixed_spans(width: timedelta, since: datetime, until: datetime) -> Iterator[Span]:
    """The buckets of a fixed width that touch [since, until), whole, aligned to 1970 UTC."""
    begins = since - (since - EPOCH) % width
    while begins < until:
        yield Span(begins, begins, begins + width)
        begins += width


def clip(span: Span, since: datetime, until: datetime) -> Span:
    """What of a span lies inside [since, until)."""
    return Span(span.bucket, max(span.since, since), min(span.until, until))


def split_hours(
    span: Span, rolled: datetime, pending: Sequence[datetime]
) -> tuple[list[Span], list[Span]]:
    """The parts of a span that whole rolled-up hours answer, and the parts that need readings.

    `pending` are hours that the tier does not hold rightly yet, in order.
    """
    bucket, since, until = span
    inner_since = hour_of(since + HOUR - timedelta.resolution)
    inner_until = min(hour_of(until), rolled)
    if inner_since >= inner_until:
        return [], [span]
    hours, readings = [], [Span(bucket, since, inner_since), Span(bucket, inner_until, until)]
    for hour in pending[bisect_left(pending, inner_since) : bisect_left(pending, inner_until)]:
        hours.append(Span(bucket, inner_since, hour))
        readings.append(Span(bucket, hour, hour + HOUR))
        inner_since = hour + HOUR
    hours.append(Span(bucket, inner_since, inner_until))
    return _filled(hours), _filled(readings)


def _filled(spans: list[Span]) -> list[Span]:
    return [span for span in spans if span.since < span.until]
