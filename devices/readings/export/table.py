"""What is exported: one row an instant (or bucket), one column a metric, read page by page."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from devices.models import DataType, Device, Metric
from devices.readings.instants import HOUR
from devices.readings.pace import silence
from devices.readings.paging import all_readings
from devices.readings.periods import Period, day_span, hour_span, month_span
from devices.readings.samples import (
    RESOLUTIONS,
    AggregateRequest,
    Bucket,
    Reading,
    Tier,
    Value,
)
from devices.readings.staying import all_told, stays_of
from devices.readings.store import get_store

BUCKETS_AT_ONCE = 2_000
_WIDTHS: dict[Tier, timedelta | Tier] = {
    Tier.HOUR: HOUR,
    Tier.DAY: Tier.DAY,
    Tier.MONTH: Tier.MONTH,
}
_SPANS = {
    Tier.HOUR: HOUR * BUCKETS_AT_ONCE,
    Tier.DAY: timedelta(days=BUCKETS_AT_ONCE),
    Tier.MONTH: timedelta(days=6 * BUCKETS_AT_ONCE),  # the store counts the days of a range
}
_PERIODS: dict[Tier, Period] = {
    Tier.HOUR: hour_span,
    Tier.DAY: day_span,
    Tier.MONTH: month_span,
}
STATES = "states"
TIERS = (*(tier.value for tier in RESOLUTIONS), STATES)
"""Readings, buckets of a tier, or states of texts and on/off values."""
_STATED = (DataType.BOOLEAN, DataType.TEXT)
STATE_COLUMNS = {"Until", "Metric", "Name", "State"}
"""Titles by which a table of states is known."""
STATISTICS = ("average", "minimum", "maximum", "count")
ENTRY = "Entry number"
TAKEN = {"Time", ENTRY, "UTC offset"}
"""What columns are called that are no metric's."""


class Kind(StrEnum):
    """What a column's cells are."""

    TIME = "time"
    NUMBER = "number"
    WHOLE = "whole"
    FLAG = "flag"
    TEXT = "text"


_KINDS = {
    DataType.FLOAT: Kind.NUMBER,
    DataType.INTEGER: Kind.WHOLE,
    DataType.BOOLEAN: Kind.FLAG,
    DataType.TEXT: Kind.TEXT,
}


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Some metrics of one device, `since` <= at < `until`, in one of TIERS."""

    device: Device
    metrics: Sequence[Metric]
    since: datetime
    until: datetime
    tier: str = Tier.RAW


@dataclass(frozen=True, slots=True)
class Column:
    """`name` is for programs, `title` (with the unit) for people."""

    name: str
    title: str
    unit: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Table:
    """Rows come once, oldest first; their cells fit `columns`, None where nothing was said.

    Times are aware, in `zone`, the community's. `facts` say what this is, for formats that keep
    more than cells.
    """

    columns: Sequence[Column]
    rows: Iterator[tuple[Any, ...]]
    zone: ZoneInfo
    facts: Mapping[str, str]


def table_of(request: ExportRequest) -> Table:
    """The table that a request asks for; nothing is read before its rows are.

    Buckets exist of numbers and on/off metrics (the share of time readings said «on»); texts are
    left out there. States exist of texts and on/off metrics alone.
    """
    zone = ZoneInfo(request.device.community.zone)
    if request.tier == Tier.RAW:
        columns, rows = _readings(request, zone)
    elif request.tier == STATES:
        columns, rows = _states(request, zone)
    else:
        columns, rows = _buckets(request, Tier(request.tier), zone)
    return Table(columns, rows, zone, _facts(request))


def _facts(request: ExportRequest) -> dict[str, str]:
    return {
        "device": request.device.name,
        "device_uuid": str(request.device.uuid),
        "community": request.device.community.name,
        "zone": request.device.community.zone,
        "since": request.since.isoformat(),
        "until": request.until.isoformat(),
        "tier": request.tier,
    }


def _time(zone: ZoneInfo) -> Column:
    return Column("time", f"Time ({zone.key})", "", Kind.TIME)


def _readings(
    request: ExportRequest, zone: ZoneInfo
) -> tuple[list[Column], Iterator[tuple[Any, ...]]]:
    columns = [_time(zone), Column("entry", ENTRY, "", Kind.WHOLE)]
    titles = titles_of(list(request.device.metrics.all()))
    columns += [
        Column(metric.name, titles[metric.pk], metric.unit, _KINDS[DataType(metric.data_type)])
        for metric in request.metrics
    ]
    return columns, _reading_rows(request, zone)


def titles_of(metrics: Sequence[Metric]) -> dict[int, str]:
    """What the columns of all of a device's metrics are called, by key: each differently.

    Label and unit, with the name behind them where several share these.
    """
    shared = Counter(str(metric) for metric in metrics)
    return {
        one.pk: f"{one} [{one.name}]" if shared[str(one)] > 1 or one.label in TAKEN else str(one)
        for one in metrics
    }


def _reading_rows(request: ExportRequest, zone: ZoneInfo) -> Iterator[tuple[Any, ...]]:
    places = {metric.pk: place for place, metric in enumerate(request.metrics)}
    merged = heapq.merge(
        *(all_readings(one.pk, request.since, request.until) for one in request.metrics),
        key=_identity,
    )
    for (at, sequence), readings in groupby(merged, key=_identity):
        cells: list[Value | None] = [None] * len(places)
        for reading in readings:
            cells[places[reading.metric]] = reading.value
        yield (at.astimezone(zone), sequence or None, *cells)


def _identity(reading: Reading) -> tuple[datetime, int]:
    return reading.at, reading.sequence


def _states(
    request: ExportRequest, zone: ZoneInfo
) -> tuple[list[Column], Iterator[tuple[Any, ...]]]:
    columns = [
        _time(zone),
        Column("until", "Until", "", Kind.TIME),
        Column("metric", "Metric", "", Kind.TEXT),
        Column("name", "Name", "", Kind.TEXT),
        Column("state", "State", "", Kind.TEXT),
        Column("seconds", "Seconds", "s", Kind.NUMBER),
    ]
    stated = [metric for metric in request.metrics if metric.data_type in _STATED]
    found = [_state_rows(request, metric, zone) for metric in stated]
    return columns, heapq.merge(*found, key=lambda row: row[0])


def _state_rows(
    request: ExportRequest, metric: Metric, zone: ZoneInfo
) -> Iterator[tuple[Any, ...]]:
    """One state after the other. Where nobody knows how often the metric speaks, what it said, and
    not how long that held.
    """
    bridge = silence(metric)
    told, since = all_told(metric, request.since, request.until, bridge or timedelta())
    names = (str(metric), metric.name)
    if bridge is None:
        for one in told:
            if since <= one.since < request.until:
                yield (one.since.astimezone(zone), None, *names, _state(one.value), None)
        return
    for stay in stays_of(told, since, request.until, bridge):
        begins, ends = stay.since.astimezone(zone), stay.until.astimezone(zone)
        yield (begins, ends, *names, _state(stay.value), stay.length.total_seconds())


def _state(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _buckets(
    request: ExportRequest, tier: Tier, zone: ZoneInfo
) -> tuple[list[Column], Iterator[tuple[Any, ...]]]:
    metrics = [metric for metric in request.metrics if metric.data_type != DataType.TEXT]
    columns = [_time(zone)]
    for metric in metrics:
        for statistic in STATISTICS:
            counting = statistic == "count"
            unit = "" if counting else metric.unit
            title = f"{metric.label} {statistic}" + (f" ({unit})" if unit else "")
            kind = Kind.WHOLE if counting else Kind.NUMBER
            columns.append(Column(f"{metric.name}_{statistic}", title, unit, kind))
    return columns, _bucket_rows(request, tier, metrics, zone)


def _bucket_rows(
    request: ExportRequest, tier: Tier, metrics: Sequence[Metric], zone: ZoneInfo
) -> Iterator[tuple[Any, ...]]:
    kept_from = _hours_from(metrics) if tier is Tier.HOUR else None
    for since, until in _spans(request, tier, zone):
        found: dict[datetime, dict[int, Bucket]] = {}
        for metric in metrics:
            begins = max(since, kept_from) if kept_from else since
            if begins >= until:
                continue
            answer = get_store().aggregate(
                AggregateRequest(metric.pk, begins, until, _WIDTHS[tier])
            )
            for bucket in answer.buckets:
                found.setdefault(bucket.start, {})[metric.pk] = bucket
        for start in sorted(found):
            cells: list[Any] = [start.astimezone(zone)]
            for metric in metrics:
                cells += _statistics(found[start].get(metric.pk))
            yield tuple(cells)


def _hours_from(metrics: Sequence[Metric]) -> datetime | None:
    """From when on the device's hours are kept; None: all are."""
    if not metrics:
        return None
    return get_store().survey(metrics[0].pk).kept.hours_from


def _statistics(bucket: Bucket | None) -> list[float | int | None]:
    if bucket is None:
        return [None] * len(STATISTICS)
    return [bucket.average, bucket.minimum, bucket.maximum, bucket.count]


def _spans(
    request: ExportRequest, tier: Tier, zone: ZoneInfo
) -> Iterator[tuple[datetime, datetime]]:
    """Whole buckets that touch the range, in parts: of old ones nothing but the whole is kept."""
    period = _PERIODS[tier]
    since = period(request.since, zone).since
    ends = period(request.until - timedelta.resolution, zone).until
    while since < ends:
        until = min(period(since + _SPANS[tier], zone).since, ends)
        yield since, until
        since = until
