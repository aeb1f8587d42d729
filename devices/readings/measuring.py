"""Any measure of a metric by bucket, with the unit it comes in; or a refusal that says why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from devices import units
from devices.models import DataType, Metric
from devices.readings.pace import silence
from devices.readings.samples import (
    AggregateRequest,
    Bucket,
    Buckets,
    IntegralRequest,
    PercentileRequest,
    Tier,
)
from devices.readings.store import NotNumeric, get_store

HOUR_S = 3600
STATISTICS: dict[str, Callable[[Bucket], float | datetime]] = {
    "count": lambda bucket: bucket.count,
    "minimum": lambda bucket: bucket.minimum,
    "average": lambda bucket: bucket.average,
    "maximum": lambda bucket: bucket.maximum,
    "sum": lambda bucket: bucket.sum,
    "deviation": lambda bucket: bucket.deviation,
    "first": lambda bucket: bucket.first,
    "last": lambda bucket: bucket.last,
}
"""What every tier answers."""
INTEGRALS = ("time_weighted", "rate", "integral", "known")
"""What the line through the readings answers; from hours or days where readings are gone."""


class NoSuchMeasure(ValueError):
    """A measure that does not exist, or that makes no sense of this metric; says why."""


class PaceUnknown(NoSuchMeasure):
    """Nobody said how often a metric is expected, so a gap cannot be told from the usual step."""


@dataclass(frozen=True, slots=True)
class Column:
    """One measure by bucket: None where it has no value. `tier`: the coarsest that was read."""

    unit: str
    tier: Tier
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Measured:
    """Columns by measure; `starts` says where each bucket begins.

    `left_out` as in Buckets: what STATISTICS do not count.
    """

    starts: Sequence[datetime]
    columns: Mapping[str, Column]
    left_out: Sequence[tuple[datetime, datetime]] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    unit: str
    tier: Tier
    values: Mapping[datetime, float]


def measure(
    metric: Metric, request: AggregateRequest, measures: Sequence[str], bridge: timedelta | None
) -> Measured:
    """The measures of a metric by bucket; `bridge` as in IntegralRequest, None: `usual_bridge`.

    Measures are those of STATISTICS and INTEGRALS, and p with a percent: p50, p99.9.
    Raises NoSuchMeasure, and what the store raises.
    """
    if metric.data_type == DataType.TEXT:
        raise NotNumeric("Text has no minimum, maximum or average.")
    percents = {name: _percent(name) for name in measures if _is_percentile(name)}
    lines = [name for name in measures if name in INTEGRALS]
    plain = [name for name in measures if name in STATISTICS]
    unknown = set(measures) - percents.keys() - set(lines) - set(plain)
    if unknown:
        raise NoSuchMeasure(f"“{min(unknown)}” is no measure. Known: {', '.join(known())}.")
    units_of = {name: _unit(metric, name) for name in lines}
    found: dict[str, _Found] = {}
    left_out: Sequence[tuple[datetime, datetime]] = ()
    if plain:
        answer = get_store().aggregate(request)
        found |= _statistics(metric, answer, plain)
        left_out = answer.left_out
    if percents:
        found |= _percentiles(metric, request, percents)
    if lines:
        found |= _integrals(request, units_of, bridge or usual_bridge(metric))
    starts = sorted({start for one in found.values() for start in one.values})
    return Measured(
        starts,
        {
            name: Column(one.unit, one.tier, [one.values.get(start) for start in starts])
            for name, one in ((name, found[name]) for name in measures)
        },
        left_out,
    )


def known() -> list[str]:
    """Every measure, as people write them."""
    return [*STATISTICS, "p50 (any percent)", *INTEGRALS]


def usual_bridge(metric: Metric) -> timedelta:
    """What counts as silence of the metric; raises PaceUnknown when nobody can tell."""
    found = silence(metric)
    if found is None:
        raise PaceUnknown(
            f"Nobody said how often “{metric.label}” is expected: a gap cannot be told from the "
            "usual step. Say how far apart readings may be with “bridge”, or state on the "
            "metric's page how often one is expected."
        )
    return found


def _is_percentile(name: str) -> bool:
    number = name[1:]
    return name[:1] == "p" and number.isascii() and number.replace(".", "", 1).isdigit()


def _percent(name: str) -> float:
    percent = float(name[1:])
    if not 0 < percent <= 100 or round(percent, 3) != percent:
        raise NoSuchMeasure(
            f"“{name}” is no percentile: write p and a percent above 0 and up to 100, with at most "
            "three digits after the point."
        )
    return percent


def _unit(metric: Metric, name: str) -> tuple[str, float]:
    """Unit of a measure of the line, and the factor from the store's own unit."""
    on_off = metric.data_type == DataType.BOOLEAN
    if name == "known":
        return "s", 1.0
    if name == "time_weighted":
        return metric.unit, 1.0
    if name == "rate":
        if on_off:
            raise NoSuchMeasure("On/off has no rate of change; ask for its integral, the time on.")
        return units.rate_per_hour(metric.unit), HOUR_S
    found = ("h", 1 / HOUR_S) if on_off else units.integral(metric.unit)
    if found is None:
        unit = f"“{metric.unit}”" if metric.unit else "a number without a unit"
        raise NoSuchMeasure(
            f"{unit} adds up to nothing that has a unit. A flow (L/min, L/h, m³/h) adds up to a "
            "volume, a power (W, kW, MW) to an energy, on/off to the time on."
        )
    return found


def _statistics(metric: Metric, answer: Buckets, names: Sequence[str]) -> dict[str, _Found]:
    found = {}
    for name in names:
        values: dict[datetime, Any] = {
            bucket.start: STATISTICS[name](bucket) for bucket in answer.buckets
        }
        found[name] = _Found("" if name == "count" else metric.unit, answer.tier, values)
    return found


def _percentiles(
    metric: Metric, request: AggregateRequest, names: Mapping[str, float]
) -> dict[str, _Found]:
    percents = sorted(set(names.values()))
    answer = get_store().percentiles(
        PercentileRequest(request.metric, request.since, request.until, request.width, percents)
    )
    edge = get_store().survey(metric.pk).kept.archived_until
    tier = Tier.RAW if edge is None or request.since >= edge else Tier.ARCHIVE
    return {
        name: _Found(metric.unit, tier, {bucket.start: bucket.values[percent] for bucket in answer})
        for name, percent in names.items()
    }


def _integrals(
    request: AggregateRequest, names: Mapping[str, tuple[str, float]], bridge: timedelta
) -> dict[str, _Found]:
    answer = get_store().integrate(
        IntegralRequest(request.metric, request.since, request.until, request.width, bridge)
    )
    read = {
        "time_weighted": lambda one: one.average,
        "rate": lambda one: one.rate_per_s,
        "integral": lambda one: one.area,
        "known": lambda one: one.known_s,
    }
    return {
        name: _Found(
            unit, answer.tier, {one.start: read[name](one) * factor for one in answer.buckets}
        )
        for name, (unit, factor) in names.items()
    }
