"""One way to summarise, used by the roller and by every chart: pieces, then statistics of them.

A reading is a piece with a count of one; so is a bucket of a finer tier, with its own count. Pieces
of one metric and bucket never overlap, so their statistics add up exactly.
"""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from devices.readings.samples import Tier
from devices.readings.store.engine import Engine
from devices.readings.store.tables import NUMBERS, ROWS, TEXTS, Owned

TIER_TABLES = {
    Tier.HOUR: "readings_rollup_hour",
    Tier.DAY: "readings_rollup_day",
    Tier.MONTH: "readings_rollup_month",
}
FINER = {Tier.DAY: Tier.HOUR, Tier.MONTH: Tier.DAY}
"""What a tier is made of, beside readings."""
STATISTICS = "count, minimum, maximum, sum, sum_of_squares, first, last, first_at, last_at"
_SLOT_VALUE = (
    "CASE s.position "
    + " ".join(f"WHEN {position} THEN r.{name}" for position, name in enumerate(NUMBERS, start=1))
    + " END"
)
# PostgreSQL calls it an error that the square of a tiny number is nothing.
_SQUARE = "CASE WHEN abs(v) < 1e-150 THEN 0 ELSE v * v END"
_SPAN_COLUMNS = (
    ("owner", "int8"),
    ("bucket", "timestamptz"),
    ("since", "timestamptz"),
    ("until", "timestamptz"),
)

Query = tuple[str, list[Any]]


def _from_spans(engine: Engine, spans: Sequence[Owned], owner: str) -> Query:
    """FROM the spans (p) and their metrics (m)."""
    rows = [(key, *map(engine.instant, span)) for key, span in spans]
    relation, params = engine.relation("p", _SPAN_COLUMNS, rows)
    return f"FROM {relation} JOIN devices_metric m ON {owner} = p.owner", params


def pieces_of_readings(engine: Engine, spans: Sequence[Owned], owner: str) -> Query:
    """Numbers and flags (on is 1) in the spans; `owner` is m.id or m.device_id."""
    source, params = _from_spans(engine, spans, owner)
    since = engine.instant(min(span.since for _, span in spans))
    until = engine.instant(max(span.until for _, span in spans))
    numbers = engine.for_each(
        ROWS.name,
        "r",
        "r.stream_id = s.stream_id AND r.at >= p.since AND r.at < p.until"
        + engine.within("r.at", since, until),
    )
    flags = engine.for_each(
        TEXTS.name,
        "t",
        "t.metric_id = m.id AND t.at >= p.since AND t.at < p.until"
        + engine.within("t.at", since, until),
    )
    return (
        "SELECT metric_id, bucket, sequence, 1 AS count, v AS minimum, v AS maximum, v AS sum, "
        f"{_SQUARE} AS sum_of_squares, v AS first, v AS last, at AS first_at, at AS last_at FROM ("
        f"SELECT m.id AS metric_id, p.bucket, r.at, r.sequence, {_SLOT_VALUE} AS v {source} "
        f"JOIN readings_slot s ON s.metric_id = m.id {numbers} "
        "UNION ALL "
        "SELECT m.id, p.bucket, t.at, t.sequence, "
        f"CAST(CASE WHEN t.flag THEN 1 ELSE 0 END AS double precision) {source} {flags} "
        "WHERE m.data_type = 'boolean' AND t.flag IS NOT NULL"
        ") AS readings WHERE v IS NOT NULL",
        [*params, *params],
    )


def pieces_of_tier(engine: Engine, tier: Tier, spans: Sequence[Owned], owner: str) -> Query:
    """Buckets of a tier in the spans; `owner` is m.id or m.device_id."""
    source, params = _from_spans(engine, spans, owner)
    buckets = engine.for_each(
        TIER_TABLES[tier],
        "h",
        "h.metric_id = m.id AND h.bucket >= p.since AND h.bucket < p.until",
    )
    return (
        "SELECT m.id AS metric_id, p.bucket, 0 AS sequence, "
        f"{', '.join(f'h.{name}' for name in STATISTICS.split(', '))} {source} {buckets}",
        params,
    )


def summary(pieces: Sequence[Query]) -> Query:
    """SELECT metric_id, bucket and STATISTICS of the pieces, one row for each that has any."""
    union = " UNION ALL ".join(sql for sql, _ in pieces)
    return (
        "SELECT metric_id, bucket, CAST(sum(count) AS bigint) AS count, min(minimum) AS minimum, "
        "max(maximum) AS maximum, sum(sum) AS sum, sum(sum_of_squares) AS sum_of_squares, "
        "max(head) AS first, max(tail) AS last, min(first_at) AS first_at, max(last_at) AS last_at "
        "FROM (SELECT pieces.*, first_value(first) OVER w AS head, last_value(last) OVER w AS tail "
        f"FROM ({union}) AS pieces WINDOW w AS (PARTITION BY metric_id, bucket "
        "ORDER BY first_at, sequence ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"
        ") AS sorted GROUP BY metric_id, bucket",
        [param for _, params in pieces for param in params],
    )
