"""Statistics from the coarsest tier that answers exactly, and from finer ones at its edges."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from devices.models import DataType
from devices.readings.instants import EPOCH, HOUR
from devices.readings.keeping import Kept
from devices.readings.periods import (
    Span,
    calendar_spans,
    clip,
    day_of,
    day_span,
    fixed_spans,
    month_span,
    split_hours,
)
from devices.readings.samples import (
    AggregateRequest,
    Bucket,
    Buckets,
    DayCompleteness,
    Tier,
)
from devices.readings.store.archive import reading as archive
from devices.readings.store.archive.stitching import by_hours, divide, joined, together
from devices.readings.store.base import NotKept, NotNumeric, TooManyBuckets
from devices.readings.store.edges import sorted_out
from devices.readings.store.engine import Engine
from devices.readings.store.reading import Subject, subject_of
from devices.readings.store.summary import STATISTICS, TIER_TABLES

MAX_BUCKETS = 20_000
DAY = timedelta(days=1)
_ORDER = list(Tier)
_PERIODS = {Tier.DAY: day_span, Tier.MONTH: month_span}


def aggregate(engine: Engine, request: AggregateRequest) -> Buckets:
    """See `ReadingStore.aggregate`."""
    subject = numeric_subject(engine, request.metric)
    refuse_gone(request, subject.kept)
    spans = buckets_of(request, subject.zone)
    pending = _pending(engine, subject, spans)
    rest = spans
    tiers = {Tier.RAW}
    buckets: list[Bucket] = []
    if isinstance(request.width, Tier) and subject.days_ready:
        ready, rest = _ready(request, spans, subject.rolled, pending)
        if ready:
            tiers.add(request.width)
            buckets = _of_tier(engine, subject, request.width, ready)
    clipped = [clip(span, request.since, request.until) for span in rest]
    aged, younger = _by_age(subject, clipped)
    of_days = _of_whole_days(engine, subject, aged)
    hours: list[Span] = []
    readings: list[Span] = []
    for span in younger:
        for part, has_hours in by_hours(span, subject.kept, subject.cut):
            inner, outer = split_hours(part, subject.rolled, pending) if has_hours else ([], [part])
            hours += inner
            readings += outer
    edges = sorted_out(
        readings,
        subject.kept.readings_from,
        pending,
        lambda spans: _summed(engine, subject.metric, spans, []),
        lambda spans: _read(engine, subject, [], spans),
    )
    archived, _ = divide(edges.readings, subject.kept.archived_until)
    parts = ((Tier.DAY, of_days), (Tier.HOUR, [*hours, *edges.whole]), (Tier.ARCHIVE, archived))
    tiers |= {tier for tier, some in parts if some}
    found = joined(of_days, _read(engine, subject, hours, edges.readings))
    found = joined(found, edges.whole)
    ordered = sorted([*buckets, *found], key=lambda bucket: bucket.start)
    left_out = [(span.since, span.until) for span in edges.left_out]
    return Buckets(max(tiers, key=_ORDER.index), ordered, sorted(left_out))


def _by_age(subject: Subject, spans: Sequence[Span]) -> tuple[list[Span], list[Span]]:
    """The parts of spans of which only days are kept, and the others.

    The day in which hours begin to be kept is whole only as a day.
    """
    begins = subject.kept.hours_from
    if begins is None:
        return [], list(spans)
    day = day_span(begins, subject.zone)
    edge = begins if begins == day.since else day.until
    aged, younger = divide([span for span in spans if span.since < begins], edge)
    return aged, [*younger, *(span for span in spans if span.since >= begins)]


def _of_whole_days(engine: Engine, subject: Subject, spans: Sequence[Span]) -> list[Bucket]:
    """Statistics by bucket, of days alone: all of them that have readings within the spans.

    Raises NotKept where some of a day's readings lie within and others do not.
    """
    if not spans:
        return []
    since, until = spans[0].since, spans[-1].until
    begins = [span.since for span in spans]
    found: dict[datetime, list[Bucket]] = {}
    for day in _days(engine, subject.metric, since - 2 * DAY, until):
        if day.last_at < since or day.first_at >= until:
            continue
        if day.first_at < since or day.last_at >= until:
            raise NotKept(
                f"Of the time before {_words(until)} only whole days are kept, and "
                f"{day_of(day.first_at, subject.zone)} is cut in two. Begin and end with a day of "
                f"the community's zone, {subject.zone}."
            )
        span = spans[max(bisect_right(begins, day.first_at) - 1, 0)]
        if day.first_at < span.until:
            found.setdefault(span.bucket, []).append(day)
    return [replace(together(days), start=bucket) for bucket, days in sorted(found.items())]


def _days(engine: Engine, metric: int, since: datetime, until: datetime) -> list[Bucket]:
    rows = engine.read(
        f"SELECT bucket, {STATISTICS} FROM {engine.source(TIER_TABLES[Tier.DAY])} "
        "WHERE metric_id = %s AND bucket >= %s AND bucket < %s ORDER BY bucket",
        [metric, engine.instant(since), engine.instant(until)],
    )
    return [_bucket(engine, row) for row in rows]


def _read(
    engine: Engine, subject: Subject, hours: Sequence[Span], readings: Sequence[Span]
) -> list[Bucket]:
    """Statistics by bucket, of whole hours and of readings wherever these stand."""
    archived, stored = divide(readings, subject.kept.archived_until)
    older = archive.summaries(subject.metric, subject.data_type, archived)
    return joined(older, _summed(engine, subject.metric, hours, stored))


def _summed(
    engine: Engine, metric: int, hours: Sequence[Span], readings: Sequence[Span]
) -> list[Bucket]:
    """Statistics by bucket, of whole hours from their tier and of the rest from readings."""
    if not hours and not readings:
        return []
    rows = engine.summed(metric, Tier.HOUR, hours, readings)
    return [_bucket(engine, row[1:]) for row in rows]


def numeric_subject(engine: Engine, metric: int) -> Subject:
    """Look a metric up that statistics can be asked of; raises UnknownMetric or NotNumeric."""
    subject = subject_of(engine, metric)
    if subject.data_type == DataType.TEXT:
        raise NotNumeric("Text has no minimum, maximum or average.")
    return subject


def refuse_gone(request: AggregateRequest, kept: Kept) -> None:
    """Raise NotKept for buckets of a length that is finer than what is kept of their time."""
    if not isinstance(request.width, timedelta):
        return
    if request.width % HOUR:
        refuse_before(request.since, kept.readings_from, "Buckets that are not whole hours need")
    elif kept.hours_from is not None and request.since < kept.hours_from:
        raise NotKept(
            f"Hours before {_words(kept.hours_from)} are too old: their age has dropped them or is "
            "about to. Days and months are kept. Ask for days, or for a later start."
        )


def refuse_before(since: datetime, kept_from: datetime | None, what: str) -> None:
    """Raise NotKept where a request needs readings that were dropped by age."""
    if kept_from is not None and since < kept_from:
        raise NotKept(
            f"{what} single readings, and those before {_words(kept_from)} are too old: their age "
            "has dropped them or is about to. Hours, days and months are kept longer. Ask for a "
            "later start."
        )


def _words(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def buckets_of(request: AggregateRequest, zone: ZoneInfo) -> list[Span]:
    """Every bucket that touches the request's range; raises TooManyBuckets."""
    since, until, width = request.since, request.until, request.width
    if width is None:
        return [Span(since, since, until)] if since < until else []
    length = timedelta(days=1) if isinstance(width, Tier) else width
    if length <= timedelta() or (until - since) / length > MAX_BUCKETS:
        raise TooManyBuckets(f"More than {MAX_BUCKETS} buckets.")
    if isinstance(width, timedelta):
        return list(fixed_spans(width, since, until))
    return list(calendar_spans(_PERIODS[width], since, until, zone))


def _pending(engine: Engine, subject: Subject, spans: Sequence[Span]) -> list[datetime]:
    """Hours that the tiers do not hold rightly yet, in order."""
    if not spans:
        return []
    rows = engine.query(
        "SELECT DISTINCT hour FROM readings_latelog "
        "WHERE device_id = %s AND hour >= %s AND hour < %s ORDER BY hour",
        [
            subject.device,
            engine.instant(spans[0].since - HOUR),
            engine.instant(spans[-1].until),
        ],
    )
    return [engine.moment(hour) for (hour,) in rows]


def _ready(
    request: AggregateRequest, spans: Sequence[Span], rolled: datetime, pending: Sequence[datetime]
) -> tuple[list[Span], list[Span]]:
    """Calendar buckets that their tier answers, and those that it does not."""
    ready: list[Span] = []
    rest: list[Span] = []
    for span in spans:
        whole = request.since <= span.since and span.until <= min(request.until, rolled)
        # An hour may begin in the day before.
        touching = bisect_right(pending, span.since - HOUR)
        stale = touching < len(pending) and pending[touching] < span.until
        (ready if whole and not stale else rest).append(span)
    return ready, rest


def _of_tier(engine: Engine, subject: Subject, tier: Tier, ready: Sequence[Span]) -> list[Bucket]:
    """The buckets of a calendar tier, as they are."""
    wanted = {span.bucket for span in ready}
    rows = engine.read(
        f"SELECT bucket, {STATISTICS} FROM {engine.source(TIER_TABLES[tier])} "
        "WHERE metric_id = %s AND bucket >= %s AND bucket <= %s",
        [subject.metric, engine.instant(ready[0].bucket), engine.instant(ready[-1].bucket)],
    )
    # After the zone changed, days whose readings are gone still begin where they used to.
    settled = subject.cut.readings_from or EPOCH
    buckets = (_bucket(engine, row) for row in rows)
    return [one for one in buckets if one.start in wanted or one.start < settled]


def _bucket(engine: Engine, row: Sequence[Any]) -> Bucket:
    start, first_at, last_at = (engine.moment(stored) for stored in (row[0], *row[-2:]))
    values: list[Any] = [start, *row[1:-2], first_at, last_at]
    return Bucket(*values)


def statistics(engine: Engine, metric: int, since: datetime, until: datetime) -> Bucket | None:
    """See `ReadingStore.statistics`."""
    buckets = aggregate(engine, AggregateRequest(metric, since, until, None)).buckets
    return buckets[0] if buckets else None


def completeness(
    engine: Engine, metric: int, since: datetime, until: datetime
) -> list[DayCompleteness]:
    """See `ReadingStore.completeness`."""
    subject = subject_of(engine, metric)
    request = AggregateRequest(metric, since, until, Tier.DAY)
    counts = {bucket.start: bucket.count for bucket in aggregate(engine, request).buckets}
    every = subject.expected_every_s
    days = []
    for span in buckets_of(request, subject.zone):
        part = clip(span, since, until)
        expected = int((part.until - part.since).total_seconds() // every) if every else None
        days.append(
            DayCompleteness(day_of(span.since, subject.zone), counts.get(span.bucket, 0), expected)
        )
    return days
