"""What pages need of the readings, in few queries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from devices.models import Metric
from devices.readings.instants import HOUR
from devices.readings.samples import (
    AggregateRequest,
    Bucket,
    HistoryRequest,
    Reading,
    Tier,
)
from devices.readings.store import NotNumeric, get_store

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
WIDTHS = (
    *(MINUTE * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(HOUR * hours for hours in (1, 2, 3, 6, 12)),
)
"""Bucket widths a chart may have, up to half a day; beyond, it counts in calendar days."""
GAP = 3
"""A line is broken where the next reading is this many times later than expected."""


@dataclass(frozen=True, slots=True)
class Point:
    """One place of a chart's line, or of its min/max band; None where the line is broken."""

    at: datetime
    minimum: float | None
    average: float | None
    maximum: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """A metric's line over a range: from which tier, how wide each bucket is (None: readings)."""

    tier: Tier
    width: timedelta | None
    points: Sequence[Point]


def latest_of_devices(
    device_ids: Collection[int],
) -> dict[int, list[tuple[Metric, Reading | None]]]:
    """Each device's metrics in their order with their newest reading, in two queries.

    Every asked device is there; a metric that was never heard has None.
    """
    answer: dict[int, list[tuple[Metric, Reading | None]]] = {key: [] for key in device_ids}
    metrics = list(
        Metric.objects.filter(device_id__in=device_ids).order_by("device_id", "position", "pk")
    )
    if not metrics:
        return answer
    latest = get_store().latest([metric.pk for metric in metrics])
    for metric in metrics:
        answer[metric.device_id].append((metric, latest.get(metric.pk)))
    return answer


def series(metric: Metric, since: datetime, until: datetime, points: int) -> Series:
    """A chart of [since, until) with about `points` places at most, gaps kept.

    The readings themselves while they are few enough, else minimum, average and maximum of equal
    buckets from the coarsest tier that answers. Raises NotNumeric for text.
    """
    if metric.data_type == "text":
        raise NotNumeric("Text cannot be drawn as a line.")
    store = get_store()
    readings = store.history(HistoryRequest(metric.pk, since, until, limit=points + 1))
    if len(readings) <= points:
        return Series(Tier.RAW, None, _line(readings, metric.expected_every_s))
    width = next((width for width in WIDTHS if (until - since) / width <= points), None)
    if width is not None:
        buckets = store.aggregate(AggregateRequest(metric.pk, since, until, width))
        return Series(buckets.tier, width, _band(buckets.buckets, width))
    days = -(-(until - since) // (DAY * points))
    answer = store.aggregate(AggregateRequest(metric.pk, since, until, Tier.DAY))
    groups = _grouped(answer.buckets, days)
    return Series(answer.tier, DAY * days, _band(groups, DAY * days))


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


def _grouped(buckets: Sequence[Bucket], days: int) -> list[Bucket]:
    """Days put together, so many at a time, aligned to whole multiples since 1970."""
    groups: list[list[Bucket]] = []
    numbers: list[int] = []
    for bucket in buckets:
        # Half a day added: midnight in any zone is nearest to the right whole day.
        number = int((bucket.start.timestamp() // 3600 + 12) // (24 * days))
        if numbers and numbers[-1] == number:
            groups[-1].append(bucket)
        else:
            numbers.append(number)
            groups.append([bucket])
    return [_together(group) for group in groups]


def _together(group: Sequence[Bucket]) -> Bucket:
    return Bucket(
        start=group[0].start,
        count=sum(bucket.count for bucket in group),
        minimum=min(bucket.minimum for bucket in group),
        maximum=max(bucket.maximum for bucket in group),
        sum=sum(bucket.sum for bucket in group),
        sum_of_squares=sum(bucket.sum_of_squares for bucket in group),
        first=group[0].first,
        last=group[-1].last,
        first_at=group[0].first_at,
        last_at=group[-1].last_at,
    )
