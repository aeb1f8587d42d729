"""Statistics of spans of readings, and of buckets of a tier, each in one statement."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are numbers

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from devices.readings.instants import to_ms
from devices.readings.periods import Span
from devices.readings.samples import Tier
from devices.readings.store.clickhouse.literals import listed, relation
from devices.readings.store.clickhouse.server import Server
from devices.readings.store.clickhouse.slots import Slots
from devices.readings.store.summary import TIER_TABLES
from devices.readings.store.tables import NUMBERS, ROWS, TEXTS

Spans = Mapping[int, Sequence[Span]]
"""Disjoint spans, by metric or by device."""
Bucket = tuple[int, int]
"""Metric, and the beginning in milliseconds."""
Facts = tuple[Any, ...]
"""STATISTICS, instants in milliseconds."""
Found = dict[Bucket, Facts]

STRETCHES = 64
"""So many stretches of time at most does a statement name; what lies between is read as well."""
_SPAN = (("owner", "UInt64"), ("bucket", "Int64"), ("since", "Int64"), ("until", "Int64"))
_OF_READINGS = (
    "count(), min(v), max(v), sumKahan(v), sumKahan(v * v), argMin(v, (at, sequence)), "
    "argMax(v, (at, sequence)), min(at), max(at)"
)
_OF_BUCKETS = (
    "sum(h.count), min(h.minimum), max(h.maximum), sumKahan(h.sum), sumKahan(h.sum_of_squares), "
    "argMin(h.first, h.first_at), argMax(h.last, h.last_at), min(h.first_at), max(h.last_at)"
)


def of_readings(server: Server, slots: Slots, spans: Spans, *, by_device: bool) -> Found:
    """Statistics of numbers and flags (on is 1) in the spans of metrics, or of devices."""
    found: Found = {}
    streams = {
        stream: device if by_device else slots.numbers[stream, position]
        for (stream, position), device in (
            (place, slots.device_of_stream[place[0]]) for place in slots.numbers
        )
    }
    wanted = {stream: spans[owner] for stream, owner in streams.items() if owner in spans}
    if wanted:
        positions = sorted({position for _, position in slots.numbers})
        for stream, position, bucket, *facts in server.rows(_numbers(wanted, positions)):
            metric = slots.numbers.get((stream, position))
            if metric is not None:
                found[metric, bucket] = tuple(facts)
    flags = {
        metric: spans[owner]
        for metric in slots.flags
        if (owner := slots.device[metric] if by_device else metric) in spans
    }
    if flags:
        for metric, bucket, *facts in server.rows(_flags(flags)):
            put(found, (metric, bucket), tuple(facts))
    return found


def of_tier(server: Server, tier: Tier, spans: Spans) -> Found:
    """Statistics of a tier's buckets in the spans of metrics."""
    wanted = {metric: some for metric, some in spans.items() if some}
    if not wanted:
        return {}
    rows = server.rows(
        f"SELECT h.metric_id, p.bucket, {_OF_BUCKETS} FROM {TIER_TABLES[tier]} AS h FINAL "
        f"ASOF JOIN {_spans(wanted)} ON h.metric_id = p.owner AND h.bucket >= p.since "
        f"WHERE h.bucket < p.until AND h.metric_id IN {listed(sorted(wanted))} "
        f"AND {_within('h.bucket', wanted)} GROUP BY h.metric_id, p.bucket"
    )
    return {(metric, bucket): tuple(facts) for metric, bucket, *facts in rows}


def ranked(
    server: Server,
    slots: Slots,
    metric: int,
    spans: Sequence[Span],
    shares: Sequence[int],
    whole: int,
) -> list[tuple[Any, ...]]:
    """See `Rows.ranked`. The readings of a bucket are sorted in the server's memory."""
    parts = [_each_number({stream: spans}, [position]) for stream, position in slots.numbers]
    if slots.flags:
        parts.append(_each_flag({metric: spans}))
    if not parts:
        return []
    asked = ", ".join(map(str, shares))
    rows = server.rows(
        "SELECT bucket, count() AS n, arraySort(groupArray(v)) AS ordered, "
        f"arrayMap(s -> ordered[intDiv(s * n + {whole - 1}, {whole})], [{asked}]) "
        f"FROM ({' UNION ALL '.join(parts)}) GROUP BY bucket"
    )
    return [
        (bucket, count, share, value)
        for bucket, count, _, values in rows
        for share, value in zip(shares, values, strict=True)
    ]


def put(found: Found, bucket: Bucket, facts: Facts) -> None:
    """Add statistics to what was found of the same bucket; the two hold different readings."""
    there = found.get(bucket)
    found[bucket] = facts if there is None else _both(there, facts)


def _both(one: Facts, other: Facts) -> Facts:
    """Statistics of two sets of readings together."""
    earliest = min(one, other, key=lambda facts: facts[7])
    newest = max(one, other, key=lambda facts: facts[8])
    return (
        one[0] + other[0],
        min(one[1], other[1]),
        max(one[2], other[2]),
        one[3] + other[3],
        one[4] + other[4],
        earliest[5],
        newest[6],
        earliest[7],
        newest[8],
    )


def _numbers(wanted: Spans, positions: Sequence[int]) -> str:
    return (
        f"SELECT owner, position, bucket, {_OF_READINGS} "
        f"FROM ({_each_number(wanted, positions)}) GROUP BY owner, position, bucket"
    )


def _each_number(wanted: Spans, positions: Sequence[int]) -> str:
    """SELECT every number in the spans of streams, with its bucket."""
    slots = ", ".join(f"({position}, r.{NUMBERS[position - 1]})" for position in positions)
    return (
        "SELECT r.stream_id AS owner, slot.1 AS position, p.bucket AS bucket, r.at AS at, "
        f"r.sequence AS sequence, assumeNotNull(slot.2) AS v FROM {ROWS.name} AS r FINAL "
        f"ASOF JOIN {_spans(wanted)} ON r.stream_id = p.owner AND r.at >= p.since "
        f"ARRAY JOIN [{slots}] AS slot "
        f"WHERE r.at < p.until AND r.stream_id IN {listed(sorted(wanted))} "
        f"AND {_within('r.at', wanted)} AND slot.2 IS NOT NULL"
    )


def _flags(wanted: Spans) -> str:
    return (
        f"SELECT owner, bucket, {_OF_READINGS} FROM ({_each_flag(wanted)}) GROUP BY owner, bucket"
    )


def _each_flag(wanted: Spans) -> str:
    """SELECT every flag in the spans of metrics, on is 1."""
    return (
        "SELECT r.metric_id AS owner, 0 AS position, p.bucket AS bucket, r.at AS at, "
        "r.sequence AS sequence, toFloat64(assumeNotNull(r.flag)) AS v "
        f"FROM {TEXTS.name} AS r FINAL "
        f"ASOF JOIN {_spans(wanted)} ON r.metric_id = p.owner AND r.at >= p.since "
        f"WHERE r.at < p.until AND r.metric_id IN {listed(sorted(wanted))} "
        f"AND {_within('r.at', wanted)} AND r.flag IS NOT NULL"
    )


def _spans(wanted: Spans) -> str:
    return relation("p", _SPAN, [(owner, *span) for owner, some in wanted.items() for span in some])


def _within(column: str, wanted: Spans) -> str:
    """A condition that all the spans meet and that an index can use."""
    spans = {(to_ms(span.since), to_ms(span.until)) for some in wanted.values() for span in some}
    conditions = (
        f"({column} >= {since} AND {column} < {until})" for since, until in stretches(spans)
    )
    return f"({' OR '.join(conditions)})"


def stretches(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans as STRETCHES stretches of time at most, with as little as possible between them."""
    joined: list[tuple[int, int]] = []
    for since, until in sorted(spans):
        if joined and since <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], until))
        else:
            joined.append((since, until))
    widest = sorted(
        range(1, len(joined)),
        key=lambda place: joined[place][0] - joined[place - 1][1],
        reverse=True,
    )
    cuts = sorted(widest[: STRETCHES - 1])
    pairs = zip([0, *cuts], [*cuts, len(joined)], strict=True)
    return [(joined[begin][0], joined[end - 1][1]) for begin, end in pairs if joined]
