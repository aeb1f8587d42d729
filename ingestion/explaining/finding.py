"""The reading that is to be explained, and what is said where there is none (any more)."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from devices.models import DataType, Metric
from devices.phrases import plural
from devices.readings.instants import HOUR, MILLISECOND, hour_of, to_millisecond
from devices.readings.periods import day_of, day_span
from devices.readings.retention import governed, rules_set
from devices.readings.samples import AggregateRequest, Bucket, HistoryRequest, Reading, Tier, Value
from devices.readings.store import NotKept, NotNumeric, get_store

_BEFORE = timedelta(days=366)


class NoSuchReading(LookupError):
    """Nothing is stored of that metric at that time; the message says so for people."""


def find(metric: Metric, at: datetime, sequence: int | None = None) -> Reading:
    """The metric's reading of that time (aware), or the last one before; raises NoSuchReading.

    With `sequence`, exactly the reading of that entry number and time. Raises ArchiveUnreadable
    where it may stand in a file of the archive that is missing or damaged.
    """
    at = to_millisecond(at)
    found = _stored(metric, at, sequence)
    if not found:
        zone = ZoneInfo(metric.device.community.zone)
        said = (
            f"No single reading of {metric.label} is kept at {_words(at, zone)} ({zone.key})"
            + ("" if sequence is None else f" under the number {sequence}")
            + (" or in the year before." if sequence is None else ".")
        )
        looked_from = at if sequence is not None else at - _BEFORE
        raise NoSuchReading(" ".join([said, *_dropped(metric, looked_from, at, zone)]))
    return found[0]


def _stored(metric: Metric, at: datetime, sequence: int | None) -> list[Reading]:
    until = at + MILLISECOND
    if sequence is None:
        newest = HistoryRequest(metric.pk, until - _BEFORE, until, limit=1, newest_first=True)
        return list(get_store().history(newest))
    there = HistoryRequest(metric.pk, at, until, limit=1000)
    return [one for one in get_store().history(there) if one.sequence == sequence]


def hour_at(metric: Metric, at: datetime) -> Bucket | None:
    """What the hour (UTC) of an instant came to; None: no reading, no number, or not kept."""
    begin = hour_of(at)
    return _bucket(metric, begin, begin + HOUR, HOUR)


def _bucket(
    metric: Metric, since: datetime, until: datetime, width: timedelta | Tier
) -> Bucket | None:
    try:
        request = AggregateRequest(metric.pk, since, until, width)
        return next(iter(get_store().aggregate(request).buckets), None)
    except (NotNumeric, NotKept):
        return None


def _dropped(metric: Metric, since: datetime, at: datetime, zone: ZoneInfo) -> list[str]:
    """Sentences about what age dropped of the metric between two instants, and what is left."""
    kept = get_store().survey(metric.pk).kept
    if kept.readings_from is None or since >= kept.readings_from:
        return []
    edge = _words(kept.readings_from, zone)
    said = [f"Single readings from before {edge} are dropped for their age{_rule(metric)}."]
    if at < kept.readings_from:
        said.append(_left(metric, at, zone))
    return said


def _rule(metric: Metric) -> str:
    """What rules over the device, as it is today; nothing where that lets nothing go (any more)."""
    rule = governed(rules_set()).get(metric.device_id)
    if rule is None or rule.readings_days is None:
        return ""
    return f" by the retention rule “{rule}” ({plural(rule.readings_days, 'day')})"


def _left(metric: Metric, at: datetime, zone: ZoneInfo) -> str:
    """What still tells of an instant whose readings are gone."""
    if metric.data_type == DataType.TEXT:
        return "What stays of a text is which value was said from when to when."
    hour, span = hour_at(metric, at), day_span(at, zone)
    day = _bucket(metric, span.since, span.until, Tier.DAY)
    told = [
        f"the hour from {_words(hour.start, zone)[:-3]} ({_figures(metric, hour)})" if hour else "",
        f"the day {day_of(at, zone)} ({_figures(metric, day)})" if day else "",
    ]
    left = " and ".join(one for one in told if one)
    return f"Still kept: {left}." if left else "No hour and no day of that time has a reading."


def _figures(metric: Metric, bucket: Bucket) -> str:
    average = shown(float(f"{bucket.average:.6g}"), metric.unit)
    return f"{plural(bucket.count, 'reading')}, average {average}"


def _words(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def shown(value: Value, unit: str = "") -> str:
    """A value as it is, in words for people."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.12g} {unit}".strip() if isinstance(value, (int, float)) else f"“{value}”"
